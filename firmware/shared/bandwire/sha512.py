"""SHA-512 in pure Python (FIPS 180-4), because MicroPython has none and Ed25519 wants it. For short messages.

Its constants are the fractions of square and cube roots of the first primes, and are worked out when first needed:
shorter than writing them down, and free of slips.
"""

_MASK = (1 << 64) - 1
_ROUNDS = 80
_constants: list[tuple[list[int], list[int]]] = []


def sha512(data: bytes) -> bytes:
    if not _constants:
        _constants.append(_work_out())
    first, rounds = _constants[0]
    padded = data + b"\x80" + bytes(-(len(data) + 17) % 128) + (8 * len(data)).to_bytes(16, "big")
    state = first
    for at in range(0, len(padded), 128):
        state = _mix(state, padded[at : at + 128], rounds)
    return b"".join([word.to_bytes(8, "big") for word in state])


def _mix(state: list[int], block: bytes, rounds: list[int]) -> list[int]:
    w = [int.from_bytes(block[at : at + 8], "big") for at in range(0, 128, 8)]
    for i in range(16, _ROUNDS):
        s0 = _turn(w[i - 15], 1) ^ _turn(w[i - 15], 8) ^ w[i - 15] >> 7
        s1 = _turn(w[i - 2], 19) ^ _turn(w[i - 2], 61) ^ w[i - 2] >> 6
        w.append(w[i - 16] + s0 + w[i - 7] + s1 & _MASK)
    a, b, c, d, e, f, g, h = state
    for i in range(_ROUNDS):
        s1 = _turn(e, 14) ^ _turn(e, 18) ^ _turn(e, 41)
        one = h + s1 + (e & f ^ (e ^ _MASK) & g) + rounds[i] + w[i]
        s0 = _turn(a, 28) ^ _turn(a, 34) ^ _turn(a, 39)
        two = s0 + (a & b ^ a & c ^ b & c)
        a, b, c, d, e, f, g, h = one + two & _MASK, a, b, c, d + one & _MASK, e, f, g
    return [x + y & _MASK for x, y in zip(state, (a, b, c, d, e, f, g, h))]  # noqa: B905


def _turn(word: int, by: int) -> int:
    return (word >> by | word << (64 - by)) & _MASK


def _work_out() -> tuple[list[int], list[int]]:
    primes: list[int] = []
    number = 2
    while len(primes) < _ROUNDS:
        if all([number % prime for prime in primes]):
            primes.append(number)
        number += 1
    return [_root(p << 128, 2) & _MASK for p in primes[:8]], [_root(p << 192, 3) & _MASK for p in primes]


def _root(value: int, degree: int) -> int:
    """The whole part of the root, by Newton's steps from above."""
    guess = 1 << 80
    while True:
        better = ((degree - 1) * guess + value // guess ** (degree - 1)) // degree
        if better >= guess:
            return guess
        guess = better
