"""The picked defences of encrypted training."""

from __future__ import annotations

PICKED: dict[str, list[tuple[str, str]]] = {
    "mpc/encrypted/release.py": [
        (
            "        if not (np.abs(decrypted - twin.weights) <= twin.bound).all():",
            "        if (np.abs(decrypted - twin.weights) > twin.bound).any():",
        ),
        ("        if not self._agreed:", "        if False:"),
        ("    return twin.weights\n", "    return decrypted\n"),
    ],
    "mpc/encrypted/joint_ridge.py": [
        ("        if not leak <= LARGEST_LEAK:", "        if False:"),
    ],
    "mpc/encrypted/ranges.py": [
        ("            if reach[-1] > choices.sigmoid.range:", "            if False:"),
        ("    first = 0.5 * choices.rate * filled * norm", "    first = 0.4 * choices.rate * filled * norm"),
        ("    both: Floats = bounds.reshape(2, -1).sum(axis=0)", "    both: Floats = bounds.reshape(2, -1)[1]"),
    ],
    "mpc/encrypted/packing.py": [
        ("records <= padded - _spare(slots // wide)", "records <= padded"),
        ("        kept = 1.0 if chunk is None else 1 - self.only_spare(chunk)", "        kept = 1.0"),
    ],
    "mpc/encrypted/training.py": [
        ("    comparison.note(owner_decrypt(job, secret, message), expected)", "    pass"),
        ("    if ciphertext.key_id != secret.key_id:", "    if False:"),
    ],
    "mpc/encrypted/shared_release.py": [
        ("evaluator.add(ciphertext, fresh).to_bytes()", "ciphertext.to_bytes()"),
        (
            "    noise = discrete_gaussian(release.steps, (len(taken),), randomness)",
            "    noise = np.zeros(len(taken), np.int64)",
        ),
        ("        if not (leak := self.leak(bounds)) <= most:", "        if not (leak := self.leak(bounds)) >= 0:"),
        ("    if opened != 1:", "    if False:"),
        ("(((bound + step) / float(self.sigma)) ** 2)", "((bound / float(self.sigma)) ** 2)"),
        ("    if ciphertext.key_id != secret.key_id:", "    if False:"),
    ],
    "mpc/encrypted/threshold/release.py": [
        ("            if number >= release.reading.modulus:", "            if False:"),
        ("            sums[place // features][place % features] += number", "            pass"),
    ],
    "mpc/encrypted/reading.py": [
        ("            found[j, k] = ((total * times >> down) + int(drawn[j, k])) >> _DITHER_BITS\n", ""),
        ("        if not (enlarged :=", "        if not (enlarged := 0 *"),
    ],
    "mpc/encrypted/private_model.py": [
        ("evaluator.add(result, noise).to_bytes()", "result.to_bytes()"),
        ("    if not bits >= _LEAST_BITS:", "    if False:"),
        ("    found[::stride] = gaussian.tolist()", "    found[::stride] = [0] * (2 * job.features)"),
    ],
    "parties/encrypted/container.py": [
        ("        if hashlib.sha256(chunk).digest() != digest:", "        if False:"),
        ('    if source.take(32, "its digest") != whole:', '    if len(source.take(32, "its digest")) != 32:'),
        ("    if file.read(1):", "    if False:"),
    ],
    "parties/encrypted/keys.py": [
        ("    if status.st_mode & 0o077:", "    if False:"),
        ("    if found != release:", "    if found.digest != release.digest:"),
    ],
    "parties/encrypted/kept.py": [
        ("    if found != digest:", "    if False:"),
        (
            "    if (found := hashlib.sha256(content).hexdigest()) != digest:",
            "    if (found := hashlib.sha256(content).hexdigest()) is None:",
        ),
        (
            "    nonce = np.frombuffer(os.urandom(_NONCE_BYTES), np.uint8)",
            "    nonce = np.zeros(_NONCE_BYTES, np.uint8)",
        ),
    ],
    "parties/encrypted/preparation.py": [
        ("        if table.extractor != self.extractor:", "        if False:"),
    ],
    "parties/encrypted/pool/owner.py": [
        ("    if found != settings.extractor:", "    if False:"),
    ],
    "parties/learning/model_files/extractor.py": [
        ("        if not finite.all():", "        if False:"),
    ],
    "parties/encrypted/answers.py": [
        ("        if targets >= weights and not known:", "        if False:"),
    ],
    "parties/encrypted/pooling.py": [
        ("    if share > job.records:", "    if False:"),
        ("        weights = verified(weights.reshape(-1), twin).reshape(twins.shape)", "        weights = twins"),
    ],
    "mpc/encrypted/pooled.py": [
        ("    if not largest <= job.choices.largest:", "    if False:"),
        ("    if not (np.linalg.norm(found, axis=1) <= allowed).all():", "    if False:"),
    ],
    "parties/encrypted/owner.py": [
        ("    record_release(private_path.parent, key.key_id, release)\n", ""),
    ],
}
