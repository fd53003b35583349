"""The picked defences of decentralised aggregation."""

from __future__ import annotations

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
    "parties/commons/agreeing.py": [
        ("            self.role.trustee.check_release(body)  # before the cheap answer, too\n", ""),
        ("        if self._members.get(entry.author) != peer:", "        if False:"),
        ("        if entry.kind == Kind.REGISTER and (", "        if False and ("),
    ],
    "parties/commons/released.py": [
        ("        while self._bytes > self._most and self._kept:", "        while False:"),
        ("        except AbsentAttachmentError:\n            raise\n", ""),
    ],
    "parties/commons/config.py": [
        ('            if not noise_of(f"count{written}"):', "            if False:"),
    ],
    "parties/commons/questions.py": [
        ("abs(bound := getattr(self, key)) > MOST_MAGNITUDE", "(bound := getattr(self, key)) > float('inf')"),
        ('    refuse_absent(values, f"{key}: ")\n', ""),
    ],
    "parties/commons/converting.py": [
        ("    column = _as_written(column)\n", ""),
        ("    if not fits.all():", "    if False:"),
        ('    if beyond.any() and asked.outside == "refuse":', "    if False:"),
        ('    if unknown.any() and asked.outside == "refuse":', "    if False:"),
        ('found something that is no such number.") from None', 'found {error}.") from None'),
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
        ("    if found != expected:\n        raise ProtocolError", "    if False:\n        raise ProtocolError"),
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
        ("    if found != expected:\n        raise ProtocolError", "    if False:\n        raise ProtocolError"),
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
        ("        if len(boxes.sealed) == aggregators:", "        if True:"),
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
        ("        elif state.used.get(report, 0) + results > uses:", "        elif False:"),
        ("    if index > request.not_after:", "    if index > request.not_after + 1:"),
        ("    if index > rules.not_after:", "    if index > rules.not_after + 1:"),
        ("    if len(batch) < smallest:", "    if len(batch) < smallest - 1:"),
    ],
    "parties/commons/key_making.py": [
        ("            self._ready.clear()\n", "            pass\n"),
        ("        while whole < _ROUNDS:", "        while whole < 1:"),
        ("        if self._made:", "        if False:"),
    ],
    "parties/commons/own_log.py": [
        ("        if missing := [name for name in (FOUNDING, JOURNAL)", "        if missing := [name for name in ()"),
        ("        if key.session != KeySetup.of(founding).session:", "        if False:"),
        ("        if share.trustee != place or encodings(key.part(place)) != (public,):", "        if False:"),
    ],
    "parties/commons/trustee.py": [
        ("    if role.state.trustees_key:", "    if False:"),
        ("    if found.size:", "    if False:"),
    ],
    "parties/commons/own_keys.py": [
        ("    if own != line:", "    if False:"),
        ("            if key in owner:", "            if False:"),
        ("    if WORDS.get(word) != role:", "    if False:"),
    ],
    "parties/commons/aggregator.py": [
        ("        if (grant, self._place(grant)) in state.noises:", "        if False:"),
        (" if _report_of(one[0]) not in said_before]:", "]:"),
    ],
    "parties/commons/provider.py": [
        ("                self._check_unreported()\n", "                pass\n"),
        ("for leaf in [one for one in own if one not in self.reader.state.revoked]:", "for leaf in own:"),
        ("catch_up(self._settings.founding.faulty + 1)", "catch_up(1)"),
    ],
    "parties/commons/reading.py": [
        ("                if len(shown) >= of:\n", "                if True:\n"),
    ],
    "parties/commons/reporting.py": [
        ("    if kept.measurements != hashlib.sha256(measurements).digest():", "    if False:"),
        ("    if kept.policy != policy:", "    if False:"),
    ],
    "parties/commons/member.py": [
        ('    policies = {"uses of a report": str(config.uses)}', "    policies: dict[str, str] = {}"),
    ],
    "parties/commons/history.py": [
        ("        return names.get(key, key.hex()[:16])\n", "        pass\n"),
    ],
    "parties/commons/batches.py": [
        ("if authors is None or state.reports[one].author in authors]", "if True]"),
        ("        left = tuple(one for one in reports if one not in barred)", "        left = tuple(reports)"),
        (" and culprit not in _signers(state, one))", ")"),
    ],
    "parties/commons/asking.py": [
        ("        if not lags or now >= lag_until:", "        if True:"),
    ],
    "parties/commons/consumer.py": [
        ("            if first in absent or len(absent) > faulty:", "            if first in absent:"),
    ],
    "parties/commons/storage.py": [
        ("            if found != self._size:", "            if False:"),
        ('    if data and not data.endswith(b"\\n"):', "    if False:"),
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
