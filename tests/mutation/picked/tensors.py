"""The picked defences of private tensors."""

from __future__ import annotations

PICKED: dict[str, list[tuple[str, str]]] = {
    "mpc/tensors/network.py": [
        ("        words = words & np.uint64((1 << bits) - 1)\n", "        words = words + np.uint64(0)\n"),
    ],
    "mpc/tensors/backends/products.py": [
        ("Part(own - share, party.ring_bits, sender=sender)", "Part(own + 0, party.ring_bits, sender=sender)"),
        ("    if not origin.checked:", "    if True:"),
        ("if rounded is not None and rounded.whole_bits + bits <= party.ring_bits:", "if rounded is not None:"),
        ("party.reduce(share + party.known(root.owed.value))", "share"),
        ("too_many = both > party.ring_bits", "too_many = False"),
    ],
    "mpc/tensors/backends/comparison.py": [
        ("Part(party.share_of(value) + mask, bits)", "Part(party.share_of(value) + 0, bits)"),
        ("[Part(plane ^ beta, planes=True)]", "[Part(plane ^ 0, planes=True)]"),
    ],
    "mpc/tensors/backends/tree.py": [
        ("[:, int(name[1])], mask, out=row)", "[:, int(name[1])], mask & 0, out=row)"),
    ],
    "mpc/tensors/backends/gathers.py": [
        ("    if not np.array_equal(picked, party.known(result)):\n", "    if False:\n"),
        (
            "return gather if np.array_equal(np.asarray(function(words)), sign * gather.of(words)) else None",
            "return gather",
        ),
    ],
    "mpc/tensors/backends/handles.py": [
        ("        if self._mask is not None:\n", "        if False:\n"),
    ],
    "mpc/tensors/backends/dealer.py": [
        ("            share = share + zero if added else share - zero\n", "            pass\n"),
    ],
    "mpc/tensors/backends/truncation.py": [
        ("        values = [_with_own_mask(party, value) for value in values]\n", "        pass\n"),
    ],
    "mpc/tensors/backends/arguments.py": [("    if provider in computing:\n", "    if False:\n")],
    "mpc/tensors/backends/authenticated/check.py": [
        ("    if total_low or total_high or polynomial.any():\n", "    if total_low or total_high:\n"),
        ("    if total_low or total_high or polynomial.any():\n", "    if total_low or polynomial.any():\n"),
        ("        if body[_DIGEST:] != seen:\n", "        if False:\n"),
        ("        if hidden[peer][:_DIGEST] != commitment(peer, value):\n", "        if False:\n"),
    ],
    "mpc/tensors/backends/authenticated/outputs.py": [
        ("    party.check_all()\n    opened = ", "    opened = "),
        ("    party.check_all()\n    return ", "    return "),
        ("digest_size)) != digest.digest():", 'digest_size)) == b"":'),
    ],
    "mpc/tensors/backends/authenticated/party.py": [
        ("        if self.pending.size > self._most_pending:\n", "        if False:\n"),
        ("        self.pending.add_bits(rest)\n", ""),
    ],
    "mpc/tensors/backends/replicated/trio.py": [
        ("self.reduce(self.zero(value.shape) + self.share_of(value))", "self.reduce(self.share_of(value) + 0)"),
        ("        part(left, hidden[0], out=left)\n", ""),
    ],
    "mpc/tensors/backends/replicated/masked.py": [
        ("[lowest(first + r, bits), *rest]", "[lowest(first - second, bits), *rest]"),
    ],
    "mpc/tensors/backends/replicated/inputs.py": [
        ("flat[0] + flat[1] + hidden if trio.place == 0", "flat[0] + flat[1] if trio.place == 0"),
    ],
    "mpc/tensors/backends/replicated_mac/check.py": [
        ("            if self._hidden[peer][2 * _DIGEST :] != digest:\n", "            if False:\n"),
        ("            if committed != commitment(peer, opened[peer][:SEED_BYTES]):\n", "            if False:\n"),
        (
            "            if number == 0 and opened[peer][SEED_BYTES:] !=",
            "            if number == 2 and opened[peer][SEED_BYTES:] !=",
        ),
        ("        if body != _confirmation(peer, master):\n", "        if False:\n"),
        ("        _confirm(trio, label, master)\n", ""),
    ],
    "mpc/tensors/backends/replicated_mac/numbers.py": [
        ("        return right and not any(words.any() for words in total)\n", "        return right\n"),
        ("        return right and not any(words.any() for words in total)\n", "        return not total[0].any()\n"),
    ],
    "mpc/tensors/backends/replicated_mac/bits.py": [
        ("        return right and not total.any()\n", "        return right\n"),
        ("        return right and not total.any()\n", "        return not total.any()\n"),
    ],
    "mpc/tensors/backends/replicated_mac/pieces.py": [("SMALLER = 48 ", "SMALLER = 1 ")],
    "mpc/tensors/backends/replicated_mac/outputs.py": [
        ("    if hashlib.sha256(received[before]).digest() != bytes(received[after]):\n", "    if False:\n"),
        ("    if not all(np.array_equal(sums[0], other) for other in sums[1:]):\n", "    if False:\n"),
    ],
    "mpc/tensors/backends/replicated_mac/truncation.py": [
        ("        pair = _masked_anew(trio, who, pair)\n", "        pass\n"),
        ("        trio.alike(trio.after, moved)\n", ""),
    ],
    "mpc/tensors/backends/replicated_mac/backend.py": [
        ("                    trio.alike(component, held)\n", "                    pass\n"),
        ("            if readers:\n", "            if False:\n"),
        ("                if self._trio.is_late:\n", "                if False:\n"),
    ],
    "mpc/tensors/backends/two_party/backend.py": [
        ("share + zero if party.first else share - zero", "share + 0 * zero"),
    ],
    "mpc/tensors/backends/two_party/packed.py": [
        ("self._slots.masks(self._keys.uniform(2 * PRIMES * DEGREE))", "np.zeros((PRIMES, DEGREE), dtype=np.uint64)"),
    ],
    "mpc/tensors/backends/two_party/matrices.py": [
        ("masks = keys.uniform(places.size)", "masks = np.zeros(places.size, dtype=np.uint64)"),
    ],
    "mpc/tensors/backends/two_party/truncation.py": [
        ("        added -= 1\n", "        added -= 0\n"),
    ],
    "mpc/tensors/reveals.py": [
        (
            "            self.policy.require(name, to, sum(each.name == name for each in self.done), noise)\n",
            "            pass\n",
        ),
        ("        for reveal in found:\n            self._tell(reveal)\n", ""),
        ("        if before >= self.times[name]:", "        if False:"),
        ("        if before >= agreed:", "        if False:"),
        ("        if noise < (least := self.noise.get(name, NO_NOISE)):", "        if False:"),
        ("if forbidden := sorted(set(to) - self.allowed[name]):", "if forbidden := []:"),
    ],
    "mpc/tensors/noise.py": [
        ("    for party in backend.computing:", "    for party in backend.computing[:1]:"),
    ],
    "mpc/tensors/forecast.py": [
        ("        return None if self.readings else dict(self.counted)", "        return None"),
    ],
    "mpc/tensors/ranges.py": [
        ("    if excess <= 0:", "    if excess <= 1:"),
    ],
    "mpc/tensors/public.py": [
        ("int(rounded.max()) > stated.high or int(rounded.min()) < stated.low", "False"),
    ],
    "mpc/tensors/simulation.py": [
        ("    _same_public_numbers(runs)\n", ""),
    ],
    "mpc/tensors/shaping.py": [
        ("    if any(isinstance(part, PrivateTensor) for part in parts):", "    if False:"),
    ],
    "mpc/tensors/delivery.py": [
        (
            "pieces = [ring.random(words.shape, randomness) for _ in range(parties - 1)]",
            "pieces = [np.zeros_like(words) for _ in range(parties - 1)]",
        ),
        (
            "mask, pad = (Ring(bits).random(each, randomness) for each in",
            "mask, pad = (np.zeros(each, dtype=np.uint64) for each in",
        ),
        ("        if self.pad.size and not np.array_equal(", "        if False and not np.array_equal("),
        ("next((name for name, theirs in bodies[1:] if theirs != body), None)", "None"),
        (
            "masks, pads = (Ring(bits).random((empty, *each.shape[1:]), randomness) for each in",
            "masks, pads = (np.zeros((empty, *each.shape[1:]), dtype=np.uint64) for each in",
        ),
        ("masked = backend.add(answer.shared, mask)", "masked = answer.shared"),
    ],
    "mpc/tensors/fingerprints.py": [
        ("        if hidden[peer] != commitment(peer, seed):\n", "        if False:\n"),
        ("        if hashlib.sha256(coins).digest() != ticket.digest:\n", "        if False:\n"),
        (
            "    if ticket is not None and opened is not None and not np",
            "    if False and ticket and opened and not np",
        ),
    ],
    "parties/tensors/records.py": [
        ("            if refusal := self._refusal(journal):\n                raise SessionsError(refusal)\n", ""),
        (" if there >= self.most else", " if there > self.most else"),
        ("line.reveal is None and line.computation == self.computation", "line.computation == self.computation"),
    ],
    "parties/tensors/serving/desk.py": [
        (" or any(name not in self._waiting for name in names)", ""),
        ("len(set(names)) != len(names) or ", ""),
        ("            if not found or sum(one.records for one in found) > most:", "            if not found:"),
    ],
    "parties/tensors/serving/line.py": [
        ("            if one.records != records:", "            if False:"),
        ("            if waiting + records > self._most:", "            if False:"),
        ("            if request in self._past or request in self._line:", "            if request in self._line:"),
    ],
    "parties/tensors/serving/quota.py": [
        ("        if asked + waiting + records <= self._limit:", "        if asked + records <= self._limit:"),
    ],
    "parties/tensors/serving/share.py": [
        ('(("party", party), ("agreed", digest_of(agreed)), ("sha256", _digest(body)))', "()"),
    ],
    "parties/tensors/serving/model.py": [
        ("                if changed.any():", "                if False:"),
    ],
}
