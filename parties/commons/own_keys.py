"""A member's own keys of a log, which it makes in its folder, and the line that says what is public of them.

    each member, once                                   the file that all members share
    capc keys  ->  identity.key, boxes.key (stay)
               ->  a line, such as                ->    keys:
                   trustee/3f2a...                        trustee-0: trustee/3f2a...

Everybody makes the founding record from these lines. So its digest, the log's identity, covers the keys of all trustees
and aggregators. A member whose folder holds another key than its line says takes no part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mpc.commons.founding import AggregatorRecord, TrusteeRecord
from mpc.commons.group import SecretScalar, read_points
from mpc.commons.identities import SEED_BYTES, Identity, TrusteeKeys
from mpc.errors import MpcError, ProtocolError
from mpc.randomness import SYSTEM
from parties.commons.settings import AGGREGATOR, CONSUMER, POINT, PROVIDER, SEED, TRUSTEE
from parties.frame.errors import ConfigError
from parties.frame.private_files import write_private

WORDS = {"trustee": TRUSTEE, "aggregator": AGGREGATOR, "provider": PROVIDER, "consumer": CONSUMER}
"""The roles of a federation's members, with those of the parties."""

_KEYS = {TRUSTEE: 3, AGGREGATOR: 2, PROVIDER: 1, CONSUMER: 1}  # in a line
_KEY_BYTES = 32


@dataclass(frozen=True)
class PublicKeys:
    """What a member's line says.

    Attributes:
        role: the party's.
        keys: 32 bytes each, the identity first. A trustee has its cosigner's and its log key besides, and an aggregator
            the element of its boxes.
    """

    role: str
    keys: tuple[bytes, ...]

    @property
    def line(self) -> str:
        """The line of the shared file."""
        word = next(word for word, role in WORDS.items() if role == self.role)
        return "/".join((word, *(key.hex() for key in self.keys)))

    @property
    def identity(self) -> bytes:
        """The key that signs this member's entries."""
        return self.keys[0]

    def trustee(self, name: str) -> TrusteeRecord:
        """Return a trustee's place in the founding record."""
        return TrusteeRecord(name, self.keys[0], self.keys[1])

    @property
    def log(self) -> bytes:
        """The key by which a trustee signs checkpoints as the log, if it is the first."""
        return self.keys[2]

    def aggregator(self, name: str) -> AggregatorRecord:
        """Return an aggregator's place in the founding record."""
        return AggregatorRecord(name, self.keys[0], self.keys[1])


def make_keys(folder: Path, role: str) -> PublicKeys:
    """Make what the folder lacks of a member's keys, and return what is public. Keys that are there stay."""
    if not (folder / SEED).exists():
        write_private(folder / SEED, SYSTEM.bytes(SEED_BYTES))
    if role == AGGREGATOR and not (folder / POINT).exists():
        write_private(folder / POINT, SecretScalar.fresh().reveal())
    found = own_keys(folder, role)
    if found is None:
        raise RuntimeError(f"expected the keys that were just made in {folder}, found none")
    return found


def own_keys(folder: Path, role: str) -> PublicKeys | None:
    """Return what is public of the keys in a folder, or None where they are not made yet. Raises `ConfigError`."""
    try:
        seed = (folder / SEED).read_bytes()
        if role == TRUSTEE:
            keys = TrusteeKeys(seed)
            return PublicKeys(role, (keys.identity.key, keys.cosigner.key, keys.log.key))
        more: tuple[bytes, ...] = ()
        if role == AGGREGATOR:
            more = (SecretScalar((folder / POINT).read_bytes()).times_generator().encode(),)
        return PublicKeys(role, (Identity(seed).key, *more))
    except FileNotFoundError:
        return None
    except (OSError, MpcError) as error:
        raise ConfigError(f"keys: expected this member's own keys in {folder}, found what cannot be read ({error}).") \
            from error  # fmt: skip


def read_line(name: str, role: str, line: str) -> PublicKeys:
    """Return what a member's line says. Raises `ConfigError`, which names the member."""
    word, *digits = line.split("/")
    if WORDS.get(word) != role:
        raise ConfigError(f"keys: expected a line of {name} that begins with its role, found {word!r}.")
    if len(digits) != _KEYS[role] or any(len(one) != 2 * _KEY_BYTES for one in digits):
        lengths = ", ".join(str(len(one)) for one in digits) or "none"
        raise ConfigError(
            f"keys: expected {_KEYS[role]} keys of {2 * _KEY_BYTES} hex digits in the line of {name}, found {lengths}."
        )
    try:
        keys = tuple(bytes.fromhex(one) for one in digits)
        read_points(keys, f"keys of {name}")
    except (ValueError, ProtocolError) as error:
        raise ConfigError(f"keys: expected keys in the line of {name}, found others ({error}).") from error
    return PublicKeys(role, keys)


def read_lines(lines: Mapping[str, str], roles: Mapping[str, str]) -> dict[str, PublicKeys]:
    """Return what the lines of all members say. Raises `ConfigError`, which names who lacks one.

    Args:
        lines: of the shared file, by name.
        roles: of all members, by name.
    """
    if missing := [name for name in roles if name not in lines]:
        raise ConfigError(
            f"keys: expected a line of each member, found none of {', '.join(missing)}: each makes its own by `keys`, "
            "and all put it into the shared file."
        )
    found = {name: read_line(name, role, lines[name]) for name, role in roles.items()}
    owner: dict[bytes, str] = {}
    for name, one in found.items():
        for key in one.keys:
            if key in owner:
                raise ConfigError(f"keys: expected keys of its own for {name}, found one of {owner[key]}.")
            owner[key] = name
    return found


def check_own(name: str, role: str, folder: Path, line: PublicKeys) -> None:
    """Raise `ConfigError` unless the keys in a member's folder are those of its line."""
    own = own_keys(folder, role)
    if own is None:
        raise ConfigError(f"keys: expected keys of {name} in {folder}, found none: make them by `keys`.")
    if own != line:
        raise ConfigError(
            f"keys: expected in the shared file the line of {name} that its own keys have, {_short(own)}, found "
            f"{_short(line)}: put the right one there (`keys` shows it), at all members."
        )


def _short(keys: PublicKeys) -> str:
    return f"{keys.line[:24]}..."
