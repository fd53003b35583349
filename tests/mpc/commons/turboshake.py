"""XofTurboShake128 in plain Python, written from RFC 9861 and FIPS 202 apart from the core, for tests."""

from __future__ import annotations

MASK = 2**64 - 1


def _constants() -> list[int]:
    """The round constants, by the shift register of FIPS 202, section 3.2.5."""
    register, found = 1, []
    for _ in range(24):
        constant = 0
        for j in range(7):
            if register & 1:
                constant |= 1 << (2**j - 1)
            register = register << 1 ^ (0x171 if register & 0x80 else 0)
        found.append(constant)
    return found


def _rotated(word: int, by: int) -> int:
    return (word << by % 64 | word >> (64 - by) % 64) & MASK


def permuted(state: list[int]) -> list[int]:
    """Keccak-p[1600, 12] of words x + 5 y."""
    for constant in _constants()[12:]:
        columns = [state[x] ^ state[x + 5] ^ state[x + 10] ^ state[x + 15] ^ state[x + 20] for x in range(5)]
        state = [word ^ columns[(i + 4) % 5] ^ _rotated(columns[(i + 1) % 5], 1) for i, word in enumerate(state)]
        moved, x, y, current = state[:], 1, 0, state[1]
        for step in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            current, moved[x + 5 * y] = state[x + 5 * y], _rotated(current, (step + 1) * (step + 2) // 2)
        state = [
            moved[i] ^ (~moved[i - i % 5 + (i + 1) % 5] & moved[i - i % 5 + (i + 2) % 5] & MASK) for i in range(25)
        ]
        state[0] ^= constant
    return state


def xof(tag: bytes, seed: bytes, binder: bytes, size: int) -> bytes:
    """The first bytes of the draft's XofTurboShake128."""
    message = len(tag).to_bytes(2, "little") + tag + bytes([len(seed)]) + seed + binder + b"\1"
    message += bytes(-len(message) % 168)
    message = message[:-1] + bytes([message[-1] ^ 0x80])
    state, out = [0] * 25, b""
    for start in range(0, len(message), 168):
        block = message[start : start + 168]
        words = [int.from_bytes(block[i : i + 8], "little") for i in range(0, 168, 8)]
        state = permuted([a ^ b for a, b in zip(state, words + [0] * 4, strict=True)])
    while len(out) < size:
        out += b"".join(word.to_bytes(8, "little") for word in state[:21])
        state = permuted(state)
    return out[:size]
