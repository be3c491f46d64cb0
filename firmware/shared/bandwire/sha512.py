"""SHA-512 in pure Python (FIPS 180-4), because MicroPython has none and Ed25519 wants it. For short messages.

Its constants are the fractions of square and cube roots of the first primes, and are worked out when first needed:
shorter than writing them down, and free of slips.

A band has little heap, in pieces: a number of 64 bits takes 64 bytes of it or more, so constants stay packed and only
the 16 words of the schedule that are still wanted are kept. The largest piece that is taken has 640 bytes.
"""

_MASK = (1 << 64) - 1
_ROUNDS = 80
_constants: list[tuple[list[int], bytearray]] = []


def sha512(data: bytes) -> bytes:
    if not _constants:
        _constants.append(_work_out())
    first, rounds = _constants[0]
    padded = data + b"\x80" + bytes(-(len(data) + 17) % 128) + (8 * len(data)).to_bytes(16, "big")
    state = first
    for at in range(0, len(padded), 128):
        state = _mix(state, padded[at : at + 128], rounds)
    return b"".join([word.to_bytes(8, "big") for word in state])


def _mix(state: list[int], block: bytes, rounds: bytearray) -> list[int]:
    w = [_word(block, at) for at in range(16)]
    a, b, c, d, e, f, g, h = state
    for i in range(_ROUNDS):
        now = i & 15
        if i > 15:
            x, y = w[i + 1 & 15], w[i + 14 & 15]
            s0 = _turn(x, 1) ^ _turn(x, 8) ^ x >> 7
            s1 = _turn(y, 19) ^ _turn(y, 61) ^ y >> 6
            w[now] = w[now] + s0 + w[i + 9 & 15] + s1 & _MASK
        s1 = _turn(e, 14) ^ _turn(e, 18) ^ _turn(e, 41)
        one = h + s1 + (e & f ^ (e ^ _MASK) & g) + _word(rounds, i) + w[now]
        s0 = _turn(a, 28) ^ _turn(a, 34) ^ _turn(a, 39)
        two = s0 + (a & b ^ a & c ^ b & c)
        a, b, c, d, e, f, g, h = one + two & _MASK, a, b, c, d + one & _MASK, e, f, g
    return [x + y & _MASK for x, y in zip(state, (a, b, c, d, e, f, g, h))]  # noqa: B905


def _word(data: bytes | bytearray, number: int) -> int:
    return int.from_bytes(data[8 * number : 8 * number + 8], "big")


def _turn(word: int, by: int) -> int:
    return (word >> by | word << (64 - by)) & _MASK


def _work_out() -> tuple[list[int], bytearray]:
    """The state to begin with; the constants of the rounds, 8 bytes each."""
    first: list[int] = []
    rounds = bytearray(8 * _ROUNDS)
    prime = 1
    for at in range(_ROUNDS):
        prime = _prime_after(prime)
        if at < 8:
            first.append(_root(prime << 128, 2) & _MASK)
        rounds[8 * at : 8 * at + 8] = (_root(prime << 192, 3) & _MASK).to_bytes(8, "big")
    return first, rounds


def _prime_after(number: int) -> int:
    while True:
        number += 1
        factor = 2
        while number % factor:
            factor += 1
        if factor == number:
            return number


def _root(value: int, degree: int) -> int:
    """The whole part of the root, by Newton's steps from above."""
    guess = 1 << 80
    while True:
        better = ((degree - 1) * guess + value // guess ** (degree - 1)) // degree
        if better >= guess:
            return guess
        guess = better
