"""The defences of privacy, one after another taken out, each of which a test must notice.

An entry is a file, a text that stands there once, and what stands in its place. An entry whose text has changed is
refused with its place, so that the list cannot fall behind the code without a word.
"""

from __future__ import annotations

import ast

from tests.copies import ROOT
from tests.mutation.mutants import Mutant

PICKED: dict[str, list[tuple[str, str]]] = {
    "mpc/commons/prio/prio3.py": [
        ("            statuses = np.where(earlier != 0, earlier, statuses)\n", "            pass\n"),
        ("            if element > largest * num_measurements:", "            if False:"),
        ("            if largest * num_measurements >= self.modulus:", "            if False:"),
    ],
    "mpc/commons/prio/robust.py": [
        ("        if self._coin is not None and self._coin != coin:", "        if False:"),
        ("        most = min(self.corrections, self.t - silent)", "        most = self.t"),
        ("        if silent > self.t:", "        if False:"),
        ("            if len(point) != size or max(entries) >= modulus:", "            if len(point) != size:"),
    ],
    "mpc/dp/discrete_gaussian.py": [
        ("        if abs(candidate) > bound:\n            continue\n", ""),
        ("    return ceil(TAIL_SIGMAS * sigma)", "    return floor(TAIL_SIGMAS * sigma)"),
        ("root if root * root >= wanted else root + 1", "root"),
        (
            "samples = [_sample(sigma, randomness) for _ in range(count)]",
            "samples = [_sample(sigma, randomness)] * count",
        ),
        ("        if negative and magnitude == 0:\n            continue", "        if False:\n            continue"),
        ("        if _bernoulli_exp(gamma, randomness):\n            return candidate", "        return candidate"),
    ],
    "mpc/dp/accountant.py": [
        (
            'integers[Cost("integer", sigma, 1, 1, cost.parts)] += sensitivity * cost.count',
            'integers[Cost("integer", sigma, 1, 1, cost.parts)] += cost.count',
        ),
        ("    delta -= sum(count * unit.parts for unit, count in integers.items()) * _CUT\n", ""),
        (" + 10 * sum(terms)) ** 2", ") ** 2"),
        ('    return Cost("check", str(sigma), 1, 1)', '    return Cost("check", str(sigma), 1, 0)'),
        (
            "    if bound > _BEYOND_INTEREST or any(unit.parts > 1 for unit in integers):",
            "    if bound > _BEYOND_INTEREST:",
        ),
    ],
    "mpc/dp/lattice.py": [
        ("        infinite += part.infinite\n", ""),
        ("places = np.ceil(part.loss / step)", "places = np.floor(part.loss / step)"),
    ],
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
    "mpc/randomness.py": [
        ("        return os.urandom(count)", "        return bytes(count)"),
        ("        if candidate < bound:\n            return candidate", "        return candidate % bound"),
    ],
    "mpc/use_once.py": [("self._held.pop()", "self._held[0]")],
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
    "mpc/channels/doors.py": [
        ("        if found == channel.peer:\n", "        if found:\n"),
        ("            if channel.peer not in roles and admission is None:", "            if False:"),
        ("                if channel.peer in roles:\n", "                if True:\n"),
        ("if plain.getsockname() != plain.getpeername():", "if True:"),
        ("                if now >= arrival.expires:", "                if False:"),
        ("            full = len(waiting) >= AT_THE_DOOR", "            full = False"),
        ("key=lambda arrival: (arrival.certified, arrival.expires)", "key=lambda arrival: arrival.expires"),
        ("        plain.shutdown(socket.SHUT_WR)\n", "        return\n"),
        ("                    channel.deadline_s = self._deadline_s\n", ""),
        ("            self._entered = not self.dropped", "            self._entered = True"),
        ("            if self._closed:\n", "            if False:\n"),
    ],
    "mpc/channels/credentials.py": [
        (" | SSL.VERIFY_FAIL_IF_NO_PEER_CERT", ""),
        (
            "        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)\n"
            "        context.set_options(SSL.OP_NO_TICKET)\n",
            '        context.set_session_id(b"x")\n',
        ),
        ("len(names) != 1", "len(names) < 1"),
        ("return bool(good)", "return True"),
    ],
    "mpc/channels/frames.py": [
        ("        if sequence != self._received_frames & 0xFFFFFFFF:", "        if False:"),
        ("        if length > limit:", "        if False:"),
        ("        if size is not None and length != size:", "        if False:"),
    ],
    "mpc/channels/hello.py": [
        ("        if expected != found:", "        if False:"),
        ("    if own.parameters != other.parameters:\n        raise", "    if False:\n        raise"),
        ("    if digest_of(theirs) != other.parameters:", "    if False:"),
        (", limit=_AGREED_BYTES", ""),
        ('        ("session", own.session, other.session),\n', ""),
    ],
    "mpc/channels/sockets.py": [("    if time.monotonic() >= expires:\n        raise TimeoutError", "    return")],
    "parties/ledger.py": [
        ("        return math.inf if math.isnan(total) else total", "        return total"),
        ("            return math.inf\n", "            return 0.0\n"),
        (
            "low, high = (middle, high) if total(middle) <= budget else (low, middle)",
            "low, high = (middle, high) if total(low) <= budget else (low, middle)",
        ),
        ("[cost for cost in entry.costs if cost.count > 0]", "list(entry.costs)"),
        ("names = {account, self._older.get(account, account)}", "names = {account}"),
        ("if (one.session, one.account) == (session, account)", "if one.account == account"),
        ("if (one.session, one.account) == (session, account)", "if one.session == session"),
        ("{}).get(tuple(map(_kind, costs)))", "{}).get(next(iter(accounts.batches.get((account, batch), {})), ()))"),
        (
            "        batches = self.batches.setdefault((entry.account, entry.batch), {})",
            '        batches = self.batches.setdefault(("", entry.batch), {})',
        ),
        ("        if not entry.batch:\n            return", "        if False:\n            return"),
        ("paid.again >= again", "paid.again > again"),
        ("paid is None or (again is not None and paid.again >= again)", "paid is None"),
        ("return Account(min(paid, times), total(0))", "return Account(times, total(0))"),
        ("            if paid >= least and (paid >= times or again is None):", "            if paid:"),
        ("                if again is not None:\n", "                if False:\n"),
        (
            '            raise LedgerError(f"expected a charge in line',
            '            return Charge("", "", 0.0, ())\n            raise LedgerError(f"expected a charge in line',
        ),
    ],
    "parties/frame/certificates.py": [
        ("x509.BasicConstraints(ca=False, path_length=None)", "x509.BasicConstraints(ca=True, path_length=0)"),
        ("            _SIGNS_HANDSHAKES,\n", "            _SIGNS_CERTIFICATES,\n"),
        ("min(valid_for, left),", "valid_for,"),
    ],
    "parties/frame/journal.py": [
        ("        fcntl.flock(descriptor, fcntl.LOCK_EX)\n", ""),
        (" and self._stamp == _stamp(journal):", ":"),
        ("        self._stamp = ()  # until the line is on the disk, and taken in\n", ""),
        ("now.st_size, now.st_mtime_ns, now.st_ctime_ns", "now.st_size"),
        ("        if len(data) != size:", "        if False:"),
        ("            if written != len(content):", "            if False:"),
        ("        os.fsync(self._descriptor)\n", ""),
        ("            os.fsync(folder)", "            pass"),
        ("            os.ftruncate(descriptor, complete)", "            pass"),
        ("os.O_APPEND | os.O_CLOEXEC, 0o600)", "os.O_APPEND | os.O_CLOEXEC, 0o644)"),
    ],
    "parties/frame/private_files.py": [
        ("    path.chmod(0o700)\n", ""),
        ("            os.fsync(file.fileno())\n", ""),
        ("        Path(temporary).unlink(missing_ok=True)\n", ""),
        ("        os.replace(temporary, path)", "        os.replace(temporary, path)\n        os.chmod(path, 0o644)"),
    ],
    "parties/frame/lifetime.py": [
        ("                elif now > expires:", "                elif False:"),
        ("                os._exit(1)\n", "                pass\n"),
        ("process_started(supervisor_pid) != supervisor_started", "process_started(supervisor_pid) is None"),
    ],
    "parties/learning/records.py": [
        ('        digest.update(self.images.astype("<f4").tobytes())\n', ""),
        ('        digest.update(self.labels.astype("<i8").tobytes())\n', ""),
        ('np.ascontiguousarray(image, "<f4").tobytes()', "repr(image.shape).encode()"),
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
    "parties/learning/own/choices.py": [
        (
            'private = {"records", "held_out", "unlabelled", "parties", "path", "delimiter", "id"}',
            'private = {"records", "held_out", "unlabelled", "path", "delimiter", "id"}',
        ),
        (
            'private = {"records", "held_out", "unlabelled", "parties", "path", "delimiter", "id"}',
            'private = {"held_out", "unlabelled", "parties", "path", "delimiter", "id"}',
        ),
        (
            '        return self.model_dump(mode="json", by_alias=True, exclude=private | stated_only)',
            "        return {}",
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
    "parties/learning/own/loader.py": [
        ("    if choices.loader_digest not in (None, digest):", "    if False:"),
    ],
    "orchestrator/federation/records.py": [
        ('if not any((private / path.name).glob("*/"))', "if True"),
    ],
    "mpc/tensors/network.py": [
        ("        words = words & np.uint64((1 << bits) - 1)\n", "        words = words + np.uint64(0)\n"),
    ],
    "mpc/tensors/backends/products.py": [
        ("Part(own - share, party.ring_bits, sender=sender)", "Part(own + 0, party.ring_bits, sender=sender)"),
        ("    if not origin.checked:", "    if True:"),
        ("if rounded is not None and rounded.whole_bits + bits <= party.ring_bits:", "if rounded is not None:"),
        ("party.reduce(share + party.known(root.owed.value))", "share"),
        ("too_many = len(rounded) == len(pair) and both > party.ring_bits", "too_many = False"),
    ],
    "mpc/tensors/backends/comparison.py": [
        ("Part(party.share_of(value) + mask, bits)", "Part(party.share_of(value) + 0, bits)"),
        ("[Part(plane ^ beta, planes=True)]", "[Part(plane ^ 0, planes=True)]"),
    ],
    "mpc/tensors/backends/tree.py": [
        ("        bits ^= self.masks\n", ""),
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
        ("        self.pending.add_bits(words ^ (bits & self.one))\n", ""),
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
    "orchestrator/environment.py": [
        (
            "    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}",
            "    environment = dict(os.environ)",
        ),
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
    "mpc/commons/consensus.py": [
        (
            "        if self.see(proposed.note):\n            raise ProtocolError",
            "        if False:\n            raise ProtocolError",
        ),
        ("        if list(proposed.entries[:overlap]) != self.copy.entries[proposed.first :]:", "        if False:"),
        ("            self._broken = True\n", ""),
        ("        if granted is None or granted.index >= self.copy.certified_size:", "        if granted is None:"),
        ("otherwise=granted.index + 1) <= granted.index:", "otherwise=0) < 0:"),
        ("        if not found.is_signed(self._founding.origin):", "        if False:"),
        ("        if len(proposal) > MOST_MESSAGE_BYTES:", "        if False:"),
        (
            "        if self.see(note):\n            raise ProtocolError",
            "        if False:\n            raise ProtocolError",
        ),
    ],
    "mpc/commons/replica.py": [
        ("        if checkpoint.root != self.tree.root():", "        if False:"),
        ("        if not entry.is_signed(self.founding.origin):", "        if False:"),
        ("        if len(self.handed_early) >= MOST_EARLY:", "        if False:"),
        ("        if checkpoint.root != self.tree.root(checkpoint.size):", "        if False:"),
    ],
    "mpc/commons/certificates.py": [
        ("len(trustees) < founding.quorum:", "len(trustees) < founding.quorum - 1:"),
        ("        if not known or seen:", "        if not known:"),
        ("    if checkpoint.origin != founding.origin:", "    if False:"),
    ],
    "mpc/commons/founding.py": [
        (
            "        return (len(self.trustees) + self.faulty + 2) // 2",
            "        return (len(self.trustees) + self.faulty + 1) // 2",
        ),
    ],
    "mpc/commons/admission.py": [
        ("    if not entry.is_signed(state.founding.origin):", "    if False:"),
        ("    if (before := state.statements.get(statement)) is not None:", "    if (before := None) is not None:"),
        ("    if body != expected:", "    if False:"),
        ("        if author != held.policy.owner:", "        if False:"),
        ("    if author not in owners:", "    if False:"),
        ("    if (author, body.report_id) in state.report_ids:", "    if False:"),
        ("    check_request(state.founding.origin, author, body)\n", ""),
        ("    check_endorsements(state.founding.origin, author, body)\n", ""),
        ("        check_for(state.founding, body.details)\n", ""),
        ("    if bare in state.bare_requests:", "    if False:"),
        ("            if report not in state.first_grants:", "            if True:"),
        ("    if author in named or body.name in {one.name for one in named.values()}:", "    if False:"),
        ("    if place is None and body.name in {one.name for one in state.founding.trustees}:", "    if False:"),
    ],
    "mpc/commons/proceedings.py": [
        (
            "    value = toss_of(state, body.about).value(body.shares)\n",
            "    value = body.about\n",
        ),
        ("== said for one in places) > state.founding.faulty:", "== said for one in places) >= state.founding.faulty:"),
        (
            "step, one) in state.closes for one in places) > state",
            "step, one) in state.closes for one in places) >= state",
        ),
        ("    if (grant, place) in state.words:", "    if False:"),
        (
            "    if (end := state.ended.get((grant, step))) is not None:",
            "    if (end := None) is not None:",
        ),
    ],
    "mpc/commons/judging.py": [
        ("        if len(lied) < len(complaints):", "        if complaints:"),
        ("        elif sum(not word for word in words.values()) > task.faulty:", "        elif False:"),
        ("    liars |= {item.dealer for item in invalid if item.dealer is not None}\n", ""),
        (
            "    liars |= {place for place, one in said.items() if len(one.words) != len(batch.items)}\n",
            "",
        ),
    ],
    "mpc/commons/batches.py": [
        (
            "(len(boxes.sealed), len(one.public_share)) == (aggregators, robust.public_share_size)",
            "len(one.public_share) == robust.public_share_size",
        ),
    ],
    "mpc/commons/summing.py": [
        ("    if len(reports) < task.smallest_batch:", "    if False:"),
        ("    if len(noises) < needed:", "    if False:"),
        ("if (found.grant, found.batch) == (grant, digest) else", "if True else"),
    ],
    "mpc/commons/following.py": [
        ("        check_certificate(self.copy.founding, Note.read(found.certificate))", "        pass"),
    ],
    "mpc/commons/attachments.py": [
        ("    if hashlib.sha256(data).digest() != digest_of(contents):", "    if False:"),
    ],
    "mpc/commons/roles/trustee.py": [
        ("        if missing:\n", "        if False:\n"),
        ("        if index >= self.trustee.copy.certified_size:", "        if False:"),
        ("        if digest not in self._asked:", "        if False:"),
    ],
    "mpc/commons/granted.py": [
        ("    if len(indices) < smallest:", "    if False:"),
        (
            "        if report not in sealed or sealed[report].digest != state.reports[report].digest:",
            "        if False:",
        ),
    ],
    "mpc/commons/access.py": [
        ("        if one.leaf in state.revoked:", "        if False:"),
        ("    if policy in state.revoked:", "    if False:"),
        ("    if named < rules.threshold:", "    if False:"),
        ("        if state.used.get(report, 0) >= allowed[one.policy]:", "        if False:"),
        ("    if index > request.not_after:", "    if index > request.not_after + 1:"),
        ("    if index > rules.not_after:", "    if index > rules.not_after + 1:"),
        ("    if len(batch) < smallest:", "    if len(batch) < smallest - 1:"),
    ],
    "parties/commons/storage.py": [
        ("            if found != self._size:", "            if False:"),
        ("            journal.settle()\n", ""),
        ('    if data and not data.endswith(b"\\n"):', "    if False:"),
    ],
    "parties/tensors/serving/model.py": [
        ("                if changed.any():", "                if False:"),
    ],
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
    "mpc/commons/proofs.py": [
        (
            '    return hash_to_scalar(b"commons proof v1", use, bases, multiples,',
            '    return hash_to_scalar(b"commons proof v1", use, bases, b"",',
        ),
        ("secret.reveal(), statement, randomness", "secret.reveal(), randomness"),
    ],
    "mpc/commons/sharing.py": [
        ("    return found == list(encodings(every))[degree + 1 :]", "    return True"),
    ],
    "mpc/commons/key_session.py": [
        ("        if first.body != message.body:", "        if False:"),
        ("        if not set(complaints.dealers) <= self._deals.keys() - {sender}:", "        if False:"),
        ("        if complaints.dealers and sender not in self._keys:", "        if False:"),
        ("        if receivers != sorted(self._keys):", "        if False:"),
        (" or sender not in self._answering():", ":"),
        ("            if fits(self._revealed[one.place], sender + 1, share):", "            if False:"),
        ("        if not fits_hidden(self._deals[dealer], holder + 1, share, blinding):", "        if False:"),
        ("        if len(data) != self.setup.faulty + 1:", "        if False:"),
        ("        if len(self._left) < self.setup.enough:", "        if False:"),
    ],
    "mpc/commons/sealing.py": [
        ('b"commons sealed v1", label, hashlib', 'b"commons sealed v1", hashlib'),
        ("points[i : i + 1] if holds else None", "points[i : i + 1]"),
    ],
    "mpc/commons/reports.py": [
        ("    if tuple(_digest(box) for box in boxes) != report.boxes:", "    if False:"),
        ("or _digest(box) != report.boxes[aggregator]:", "or False:"),
        ('    _check_box(report, aggregator, box, "from the consumer")\n    bound', "    bound"),
        ("    if not is_proven(_USE, *pairs, context, proof):", "    if False:"),
    ],
    "mpc/commons/release.py": [
        ("_request_context(origin, author, request), request.proof):", 'b"", request.proof) and False:'),
        ("    if _IDENTITY in encodings(summands):", "    if False:"),
        ("    if not is_proven(_USE, bases, multiples, grant, share.proof):", "    if False:"),
        ("    if share.grant != grant or len", "    if len"),
        ("    if not is_proven(_HAND_ON_USE, *pairs, grant, key.proof):", "    if False:"),
        ("            if share.trustee != sender:", "            if False:"),
    ],
    "mpc/commons/coin.py": [
        ("        if not is_proven(_USE, bases, multiples, self._about, share.proof):", "        if False:"),
        ("        if len(right) < self.committee.needed:", "        if False:"),
    ],
}


def picked_mutants() -> list[Mutant]:
    """Return the list as mutants, but for wings that are not there.

    Raises `ValueError` with the place of a text that does not stand there once.
    """
    there = {file: entries for file, entries in PICKED.items() if (ROOT / file).parent.is_dir()}
    return [_mutant(file, old, new) for file, entries in there.items() for old, new in entries]


def _mutant(file: str, old: str, new: str) -> Mutant:
    source = (ROOT / file).read_text()
    if source.count(old) != 1:
        raise ValueError(f"{file}: expected this text once, found it {source.count(old)} times: {old.strip()!r}")
    before = source[: source.index(old)]
    start, first = len(before.encode()), before.count("\n") + 1
    last = first + old.rstrip("\n").count("\n")
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    inside = any(node.body[0].lineno <= first <= (node.end_lineno or 0) for node in functions)
    lines = (first, last) if inside else (0, 0)
    return Mutant(file, first, start, start + len(old.encode()), "picked", new, *lines)
