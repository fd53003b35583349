"""The trustees' key: what fixes the session that makes it, what everybody knows of it, and one trustee's secret part.

There are n trustees, of whom t may be faulty. Trustee number i, from 0 on, holds x_i = f(i + 1), where f is a
polynomial of degree t that nobody knows. The key is X = f(0) G. Any t + 1 trustees can use f(0), and any t know nothing
of it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache

from mpc.commons.encoding import DIGEST, KEY, U8, U32, Fixed, Many, Name, Record, coded, decode, encode
from mpc.commons.founding import MOST_TRUSTEES, Founding
from mpc.commons.group import POINT_BYTES, Points, SecretScalar, read_points
from mpc.commons.sharing import are_on_a_polynomial
from mpc.errors import ProtocolError

POINT = Fixed(POINT_BYTES)


@dataclass(frozen=True)
class KeySetup(Record):
    """What all trustees agree on before they make a key.

    Attributes:
        origin: of the log that the key is for.
        attempt: counts sessions. One that has failed is never gone on with.
        faulty: t. There are n >= 2 t + 1 trustees.
        keys: by which the trustees sign, in order.
    """

    origin: str = coded(Name())
    attempt: int = coded(U32)
    faulty: int = coded(U8)
    keys: tuple[bytes, ...] = coded(Many(KEY, MOST_TRUSTEES))

    def check(self) -> str:
        if len(set(self.keys)) != len(self.keys):
            return f"expected {len(self.keys)} different keys of trustees, found {len(set(self.keys))}"
        least = 2 * self.faulty + 1
        if len(self.keys) < least:
            return f"expected at least {least} trustees where {self.faulty} may be faulty, found {len(self.keys)}"
        return ""

    @classmethod
    def of(cls, founding: Founding, attempt: int = 0) -> KeySetup:
        """Return what the trustees of a log agree on before a session."""
        return cls(founding.origin, attempt, founding.faulty, tuple(one.key for one in founding.trustees))

    @cached_property
    def session(self) -> bytes:
        """The digest of all this, which every message covers."""
        return hashlib.sha256(b"commons key session v1\n" + encode(self)).digest()

    @property
    def enough(self) -> int:
        """n - t, how many trustees are there even if all faulty ones keep silent."""
        return len(self.keys) - self.faulty


@dataclass(frozen=True)
class CommitteeKey(Record):
    """What everybody knows of the trustees' key. Honest trustees end a session with the same bytes of it.

    It is refused unless the parts are those of one polynomial of degree t whose value at zero is the key's.

    Attributes:
        session: :attr:`KeySetup.session`.
        faulty: t.
        key: X, to which reports are encrypted.
        parts: X_i = x_i G of every trustee.
        dealers: the trustees from whose polynomials the key was made.
    """

    session: bytes = coded(DIGEST)
    faulty: int = coded(U8)
    key: bytes = coded(POINT)
    parts: tuple[bytes, ...] = coded(Many(POINT, MOST_TRUSTEES))
    dealers: tuple[int, ...] = coded(Many(U8, MOST_TRUSTEES))

    def check(self) -> str:
        if list(self.dealers) != sorted(set(self.dealers)) or any(one >= len(self.parts) for one in self.dealers):
            return f"expected different dealers in order below {len(self.parts)}, found others"
        if len(self.dealers) <= self.faulty:
            return f"expected more than {self.faulty} dealers of a key, found {len(self.dealers)}"
        try:
            fitting = are_on_a_polynomial(self.faulty, self.point, self.part_points)
        except ProtocolError as error:
            return str(error)
        return "" if fitting else f"expected the parts of a key that {self.faulty + 1} trustees share, found others"

    @property
    def needed(self) -> int:
        """t + 1, how many trustees can use the key together."""
        return self.faulty + 1

    @cached_property
    def point(self) -> Points:
        """X."""
        return read_points([self.key], "a committee's key")

    @cached_property
    def part_points(self) -> Points:
        """X_i of all trustees, in order."""
        return read_points(self.parts, "a trustee's part of a key")

    def part(self, trustee: int) -> Points:
        """Return X_i of one trustee. Raises `ProtocolError` where there is no such trustee."""
        if not 0 <= trustee < len(self.parts):
            raise ProtocolError(f"expected a trustee from 0 to {len(self.parts) - 1}, found {trustee}")
        return self.part_points[trustee : trustee + 1]


@lru_cache(maxsize=64)
def check_for(founding: Founding, data: bytes) -> CommitteeKey:
    """Return the key that a trustee registers, if it is one of this log's trustees. Raises `ProtocolError`."""
    key = decode(CommitteeKey, data)
    if (key.faulty, len(key.parts)) != (founding.faulty, len(founding.trustees)):
        wanted = f"{len(founding.trustees)} trustees of whom {founding.faulty} may be faulty"
        raise ProtocolError(f"expected a key of {wanted}, found one of {len(key.parts)} and {key.faulty}")
    return key


@dataclass(frozen=True)
class KeyShare:
    """One trustee's part of the secret key. It prints nothing of its value.

    Attributes:
        trustee: its place, from 0 on.
        secret: x_i.
    """

    trustee: int
    secret: SecretScalar
