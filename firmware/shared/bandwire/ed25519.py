"""Ed25519 signatures checked in pure Python, for a band that has no library for it. RFC 8032, without the cofactor.

Only checking: it works on public values, so it may take a time that depends on them. Nothing is signed with this.
"""

from .sha512 import sha512

SIGNATURE_SIZE = 64
KEY_SIZE = 32
_P = (1 << 255) - 19
_L = (1 << 252) + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_I = pow(2, (_P - 1) // 4, _P)  # a square root of -1
_NEUTRAL = (0, 1, 1, 0)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is of `message` under this public key. False for anything malformed."""
    if len(public) != KEY_SIZE or len(signature) != SIGNATURE_SIZE:
        return False
    key = _point(public)
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or scalar >= _L:
        return False
    challenge = int.from_bytes(sha512(signature[:32] + public + message), "little") % _L
    x, y, z, t = key
    base = _point((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little"))
    assert base is not None
    # R = S B - k A
    return _bytes(_sum_of_products(scalar, base, challenge, (_P - x, y, z, _P - t))) == signature[:32]


def _point(data: bytes) -> tuple[int, int, int, int] | None:
    """In extended coordinates; None if there is no such point, or it is not written in the one way."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= _P:
        return None
    over, under = (y * y - 1) % _P, (_D * y * y + 1) % _P
    root = over * pow(under, 3, _P) * pow(over * pow(under, 7, _P), (_P - 5) // 8, _P) % _P
    if under * root * root % _P != over:
        root = root * _I % _P
    if under * root * root % _P != over or (root == 0 and sign):
        return None
    x = _P - root if root & 1 != sign else root
    return x, y, 1, x * y % _P


def _bytes(point: tuple[int, int, int, int]) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, _P - 2, _P)
    return (y * inverse % _P | (x * inverse % _P & 1) << 255).to_bytes(32, "little")


def _sum_of_products(
    a: int, p: tuple[int, int, int, int], b: int, q: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    """a P + b Q, both at once: each doubling is done for both."""
    table = (None, p, q, _add(p, q))
    out = _NEUTRAL
    for bit in range(252, -1, -1):
        out = _add(out, out)
        chosen = table[(a >> bit & 1) | (b >> bit & 1) << 1]
        if chosen is not None:
            out = _add(out, chosen)
    return out


def _add(p: tuple[int, int, int, int], q: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    x1, y1, z1, t1 = p
    x2, y2, z2, t2 = q
    a, b = (y1 - x1) * (y2 - x2) % _P, (y1 + x1) * (y2 + x2) % _P
    c, d = 2 * t1 * t2 * _D % _P, 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P
