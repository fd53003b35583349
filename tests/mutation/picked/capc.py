"""The picked defences of CaPC."""

from __future__ import annotations

PICKED: dict[str, list[tuple[str, str]]] = {
    "mpc/capc/release.py": [
        ("    if (labels >= classes).any():", "    if (labels > classes).any():"),
        (
            "    return Ring(width).reduce(discrete_gaussian(sigma, shape, randomness))",
            "    return Ring(width).reduce(0 * discrete_gaussian(sigma, shape, randomness))",
        ),
        (
            "    return (parties + noise_bound(sigma)).bit_length() + 1",
            "    return (parties + noise_bound(sigma)).bit_length()",
        ),
        (
            "Circuit.sum_histogram(noisy_share.shape[1], self.width), noisy_share)",
            "Circuit.sum_histogram(noisy_share.shape[1], self.width), mask_sums)",
        ),
    ],
    "mpc/capc/confident.py": [
        (
            "self.threshold - discrete_gaussian(self.threshold_sigma, (count,), randomness)",
            "self.threshold - discrete_gaussian(self.threshold_sigma, (1,), randomness).repeat(count)",
        ),
        (
            "self.threshold - discrete_gaussian(self.threshold_sigma, (count,), randomness)",
            "self.threshold - 0 * discrete_gaussian(self.threshold_sigma, (count,), randomness)",
        ),
        ("values = np.concatenate([gate, noisy_share], axis=1)", "values = np.concatenate([gate, mask_sums], axis=1)"),
        ("noise_bound(threshold_sigma) + 1).bit_length() + 2", "noise_bound(threshold_sigma) + 1).bit_length() + 1"),
    ],
    "mpc/capc/parameters.py": [
        (
            "return (self.parties * (1 + noise_bound(self.part_scale))).bit_length() + 1",
            "return (self.parties + noise_bound(self.noise_scale)).bit_length() + 1",
        ),
        ("if self.noise_parts and 0 < self.part_scale < Fraction(1, 2):", "if False:"),
        ("        if self.noise_parts and self.threshold:", "        if False:"),
        ("        if self.noise_parts * self.part_scale**2 < ", "        if 0 and "),
        (
            "return check_cost(self.threshold_sigma), answer_cost(self.sigma, sensitivity)",
            "return (answer_cost(self.sigma, sensitivity),)",
        ),
    ],
    "mpc/capc/budget.py": [
        ("    if (spent.queries == 0) != bool(spent.refusal):", "    if False:"),
        ("    if not 0 <= found <= largest:", "    if not found <= largest:"),
        ('                if state == "closed":', "                if False:"),
        ("request.queries, batch=name\n", 'request.queries, batch="x"\n'),
        ("Granted(charged.granted, request.batch, state", "Granted(request.queries, request.batch, state"),
        ("        self.openings.forget_others(self.account, batch)\n", ""),
        ("            self._state(NO_BATCH)\n", ""),
        ("    check_name(channel, request.batch, may_be_none=request.queries == 0)\n", ""),
        (
            "    check_name(channel, request.batch, may_be_none=request.queries == 0)",
            "    check_name(channel, request.batch, may_be_none=True)",
        ),
    ],
    "mpc/capc/batches.py": [
        ("    if len(batch) != NAME_BYTES and not", "    if False and not"),
        ("return randomness.bytes(NAME_BYTES)", "return bytes(NAME_BYTES)"),
        ("    check_name(channel, batch, may_be_none=may_be_none)\n", ""),
    ],
    "mpc/capc/aggregation.py": [
        (
            "        if any(plaintext >= largest for plaintext in opened):",
            "        if any(plaintext > largest for plaintext in opened):",
        ),
        ("        if found != expected:", "        if False:"),
        ("    if len(collected) != packing.parties:", "    if len(collected) > packing.parties:"),
    ],
    "mpc/capc/quorum.py": [
        ("        parts = voters - colluding\n", "        parts = voters\n"),
        ("parties=voters, noise_parts=parts)", "noise_parts=parts)"),
        ("        if parts < _FEWEST_PARTS:", "        if False:"),
        ("    return max((with_voters", "    return min((with_voters"),
        ("if len(set(named)) != len(named) or not set(named) <= set(members):", "if not set(named) <= set(members):"),
        ("if len(set(named)) != len(named) or not set(named) <= set(members):", "if len(set(named)) != len(named):"),
        ("    if len(named) < least:", "    if False:"),
        ("    if not least <= voters <= most:", "    if not voters <= most:"),
        ("    if not least <= voters <= most:", "    if not least <= voters:"),
    ],
    "mpc/capc/odometer.py": [
        ("    if not 0 <= account.queries <= most:", "    if not account.queries <= most:"),
        ("    if account.queries < most and not account.refusal:", "    if False:"),
    ],
    "mpc/paillier/scheme.py": [
        ("for zero in self.encrypt([0] * len(terms[0]))]", "for zero in [1] * len(terms[0])]"),
        ("self._zeros.popleft() % self._square", "self._zeros[0] % self._square"),
        ("or gmpy2.jacobi(base, modulus) != 1", ""),
        ("if not 0 < value < self._square or gmpy2.gcd(value, self.modulus) != 1:", "if not 0 < value < self._square:"),
        ("uniform_below(1 << self._powers.bits, self._randomness)", "uniform_below(2, self._randomness)"),
    ],
    "mpc/paillier/packing.py": [
        ("return self.width + (self.parties - 1).bit_length()", "return self.width"),
    ],
    "mpc/inference/pool.py": [
        ("return order.batch, waiting.popleft()", "return order.batch, waiting[0]"),
        ("            if self.ready > self._size:", "            if False:"),
    ],
    "mpc/inference/sessions.py": [
        ("        self._queries_left -= batch\n", ""),
        ("        mask.fill(0)\n", ""),
        ("        if batch > self._queries_left:", "        if False:"),
        (
            "masked = self._ring.reduce(self._ring.reduce(queries) - mask)",
            "masked = self._ring.reduce(queries) + 0 * mask",
        ),
    ],
    "mpc/inference/nonlinear.py": [
        ("self._ring.reduce(shares - next_mask)", "self._ring.reduce(shares)"),
    ],
    "mpc/inference/linear/encrypted.py": [
        (
            "        return self._ring.random((batch, *self.shape.output_shape), self._randomness)",
            "        return np.zeros((batch, *self.shape.output_shape), np.uint64)",
        ),
    ],
    "mpc/inference/linear/dealt.py": [
        (
            "masked = self._ring.reduce(weight.astype(np.uint64) - pad)",
            "masked = self._ring.reduce(weight.astype(np.uint64) - 0 * pad)",
        ),
        (
            "return draw_masks(architecture, batch, Keystream(seed, 2 * number))",
            "return draw_masks(architecture, batch, Keystream(seed, 2))",
        ),
        ("Keystream(seed, 2 * number + 1)", "Keystream(seed, 2 * number)"),
    ],
    "mpc/inference/models/bounds.py": [
        ("weight_norm & (weight_norm - 1) == 0", "True"),
        ("    valid = 1 <= weight_norm <= LARGEST_WEIGHT_NORM", "    valid = 1 <= weight_norm"),
        ("        whole = max(-(-squared // pooled**2), 1)", "        whole = max(squared // pooled**2, 1)"),
        ("((whole - 1).bit_length() + 1) // 2", "(whole - 1).bit_length() // 2"),
        (", LARGEST_NORM_BITS))", ", 64))"),
        (
            "    if weights.size and int(np.abs(weights).max()) >= 1 << 32:",
            "    if weights.size and int(weights.max()) >= 1 << 32:",
        ),
        ("    return (squares << 32) + (crossed << 17) + rest", "    return (squares << 32) + (crossed << 16) + rest"),
        ("norm_squared(weights) <= 1 << (2 * norm_bits)", "norm_squared(weights) <= 1 << (2 * norm_bits + 1)"),
        ("math.ceil(math.log2(value))", "value"),
        ("math.ceil(math.log2(largest + 1)) + scale + 1)", "math.ceil(math.log2(largest + 1)) + scale)"),
        ("+ weights\n            norm =", "\n            norm ="),
        (
            "            if wide:\n                found[-1] *= values",
            "            if False:\n                found[-1] *= values",
        ),
    ],
    "parties/capc/accounts.py": [
        ('b"".join(sorted(images))', 'b"".join(images)'),
    ],
    "parties/capc/releases.py": [
        ("not stated >= proven * (1 - _SLACK)", "False"),
        ("    if plain.keys() != wanted:", "    if False:"),
        ("    if scale is None or not scale.is_finite() or scale <= 0:", "    if scale is None:"),
    ],
    "parties/capc/settings.py": [
        ("        values = shared | data | msgspec.structs.asdict(parameters)", "        values = shared | data"),
        (
            "        values = shared | data | msgspec.structs.asdict(parameters)",
            "        values = shared | msgspec.structs.asdict(parameters)",
        ),
        (
            "        values = shared | data | msgspec.structs.asdict(parameters)",
            "        values = data | msgspec.structs.asdict(parameters)",
        ),
    ],
    "parties/capc/odometer.py": [
        ("self.query_costs, count, least=count, batch=name", "self.query_costs, count, batch=name"),
        (", batch=name, again=MOST_TIMES_AGAIN", ", batch=name"),
        ('name = batch.hex() if self.rejoin else ""', "name = batch.hex()"),
        ("max(0, left - paid))", "left)"),
    ],
    "parties/capc/openings.py": [
        ("            if _count(journal.state, account, batch):\n", "            if False:\n"),
        (".exists() and opened <= MOST_REPEATS", ".exists()"),
        ('"repeat" if self._share(batch).exists() and', '"repeat" if'),
        ("            if not 0 < opened <= MOST_REPEATS:", "            if not 0 < opened:"),
        ("            if not 0 < opened <= MOST_REPEATS:", "            if not opened <= MOST_REPEATS:"),
        (
            "            kept = self._read(batch)\n            self._note(journal, account, batch)\n",
            "            kept = self._read(batch)\n",
        ),
        (
            "                self._keep(batch, noisy_share, voters)\n            self._note(journal, account, batch)\n",
            "                self._keep(batch, noisy_share, voters)\n",
        ),
        ("                path.unlink(missing_ok=True)", "                pass"),
        (" and (account, name) in journal.state:", ":"),
        ("if name != batch.hex() and (account, name)", "if (account, name)"),
        ("    counts[one.account, one.batch] += 1", '    counts["", one.batch] += 1'),
        ("                remove_unfinished(self.folder)", "                pass"),
    ],
    "parties/capc/pending.py": [
        ("if content is not None and content.digest == _digest(left[: content.queries]):", "if content is not None:"),
        (
            "            self._write(msgspec.structs.replace(self._content, share=flat, classes=width, voters=voters))",
            "            pass",
        ),
        ("        if self._durable:\n            self._path.unlink(missing_ok=True)\n", ""),
        ("        if self.name.hex() in kept:", "        if False:"),
        ("    digest = hashlib.sha256(repr(queries.shape).encode())", "    digest = hashlib.sha256()"),
        ('    digest.update(np.ascontiguousarray(queries, "<u8").tobytes())\n', ""),
        ("            remove_unfinished(make_private_folder(folder))", "            make_private_folder(folder)"),
        (
            "_Content(draw_name(), queries, _digest(left[:queries]))",
            "_Content(self.name or draw_name(), queries, _digest(left[:queries]))",
        ),
    ],
    "parties/capc/server.py": [
        ("    masks = Ring(parameters.width).add(masks, noise)\n", ""),
        ("        charge()  # on the disk before the masks leave", "        pass"),
        ("        if count > left:", "        if False:"),
        ("        left -= count\n", ""),
    ],
    "parties/capc/privacy_guardian.py": [
        ("    if len(voters) < settings.min_parties:", "    if False:"),
        ("                then.release.guardian(garbler", "                parameters.release.guardian(garbler"),
        (
            "        query_costs=settings.price,",
            "        query_costs=with_voters(settings.parameters, len(turn.servers)).costs,",
        ),
        (
            "noise = release.draw_noise(shape, scale, parameters.width)",
            "noise = 0 * release.draw_noise(shape, scale, parameters.width)",
        ),
        ("            if openings:  # on the disk before any label is possible", "            if False:"),
        ("kept_share = noisy_share if parameters.release.repeatable else None", "kept_share = noisy_share"),
        (
            "then.release.guardian(garbler, kept.share, kept.share)",
            "then.release.guardian(garbler, 0 * kept.share, 0 * kept.share)",
        ),
        (
            "parameters.release.guardian(garbler, mask_sums, noisy_share)",
            "parameters.release.guardian(garbler, noisy_share, mask_sums)",
        ),
        ("Ledger(settings.ledger, accountant, settings.epsilon_budget,", "Ledger(settings.ledger, accountant, None,"),
    ],
    "parties/capc/answers.py": [
        ("                found[place] = answers.pop(0)", "                found[place] = answers[0]"),
        ("        if len(known) == len(self.digests):", "        if known:"),
        ("        Answers(aside).add(known)  # before they leave the other file\n", ""),
    ],
    "parties/capc/questions.py": [
        ("            self._answers.add(answers)\n", "            pass\n"),
        ("if place not in known]", "]"),
    ],
    "parties/capc/campaign.py": [
        (
            "for record in chosen[: party.settings.n_queries] if record not in known]",
            "for record in chosen[: party.settings.n_queries]]",
        ),
    ],
}
