"""The picked defences of what protocols share."""

from __future__ import annotations

PICKED: dict[str, list[tuple[str, str]]] = {
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
    "mpc/randomness.py": [
        ("        return os.urandom(count)", "        return bytes(count)"),
        ("        if candidate < bound:\n            return candidate", "        return candidate % bound"),
    ],
    "mpc/use_once.py": [("self._held.pop()", "self._held[0]")],
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
        (
            "        self._settle()\n        size = os.fstat(self._descriptor).st_size\n        data",
            "        size = os.fstat(self._descriptor).st_size\n        data",
        ),
        (
            "        self._settle()\n        size = os.fstat(self._descriptor).st_size\n        start",
            "        size = os.fstat(self._descriptor).st_size\n        start",
        ),
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
        ("        timers[-1].start()\n", ""),
        ("            one.__traceback__ = None\n", "            pass\n"),
        ("and not lost\n", "and False\n"),
        ("if isinstance(error, Exception) and not own else None", "if False else None"),
    ],
    "parties/learning/records.py": [
        ('        digest.update(self.images.astype("<f4").tobytes())\n', ""),
        ('        digest.update(self.labels.astype("<i8").tobytes())\n', ""),
        ('np.ascontiguousarray(image, "<f4").tobytes()', "repr(image.shape).encode()"),
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
    "parties/learning/own/quoting.py": [
        ("delimiter=delimiter, strict=True)", "delimiter=delimiter)"),
        ("    if b'\"' not in content:", "    if True:"),
    ],
    "parties/learning/own/tables.py": [
        ("        if lists_others and not (self", "        if not (self"),
        ("is_wanted = wanted is not None and name in chosen", "is_wanted = True"),
        ("    if column.null_count and not types.is_floating(column.type):", "    if column.null_count:"),
        ("    if rows != table.num_rows:", "    if False:"),
        ("ignore_empty_lines=not is_single", "ignore_empty_lines=True"),
    ],
    "parties/learning/own/loader.py": [
        ("    if choices.loader_digest not in (None, digest):", "    if False:"),
    ],
    "orchestrator/federation/records.py": [
        ('if not any((private / path.name).glob("*/"))', "if True"),
    ],
    "orchestrator/interruption.py": [
        ("        except Exception:\n            self.check()\n", "        except Exception:\n"),
        ("        except OSError:\n            raise\n", ""),
    ],
    "orchestrator/environment.py": [
        (
            "    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}",
            "    environment = dict(os.environ)",
        ),
    ],
}
