"""AES-CMAC (RFC 4493), the chip's 8-byte form of it, and AN10922 AES-128 key diversification."""

from .aes import ZERO16, Aes
from .errors import BadArgument

_MASK = (1 << 128) - 1


def subkeys(aes: Aes, key: bytes) -> tuple[bytes, bytes]:
    """(K1, K2) of RFC 4493."""
    k1 = _double(aes.ecb(key, ZERO16))
    return k1, _double(k1)


def cmac(aes: Aes, key: bytes, msg: bytes) -> bytes:
    """The full 16 bytes."""
    k1, k2 = subkeys(aes, key)
    size = len(msg)
    if size and size % 16 == 0:
        return _last_block(aes, key, msg, k1)
    return _last_block(aes, key, pad(msg), k2)


def mact(full: bytes) -> bytes:
    """The 8 bytes that travel: numbers 1, 3, .. 15 of a full CMAC, counted from 0."""
    return bytes((full[1], full[3], full[5], full[7], full[9], full[11], full[13], full[15]))


def cmac_t(aes: Aes, key: bytes, msg: bytes) -> bytes:
    return mact(cmac(aes, key, msg))


def equal(a: bytes, b: bytes) -> bool:
    """Compare without stopping at the first difference; only the lengths can be told from the time."""
    if len(a) != len(b):
        return False
    diff = 0
    for i in range(len(a)):
        diff |= a[i] ^ b[i]
    return diff == 0


def diversify(aes: Aes, master: bytes, m: bytes) -> bytes:
    """AN10922 section 2.2: one AES-128 key of `m` (1..31 bytes) under `master`.

    Always two blocks, also for short `m`, where plain CMAC would give another key.
    """
    if not 1 <= len(m) <= 31:
        raise BadArgument("diversification input must be 1 to 31 bytes, not %d" % len(m))
    k1, k2 = subkeys(aes, master)
    if len(m) == 31:
        return _last_block(aes, master, b"\x01" + m, k1)
    return _last_block(aes, master, (b"\x01" + m + b"\x80" + bytes(30 - len(m))), k2)


def pad(data: bytes) -> bytes:
    """Append 80 and zeros up to whole blocks; always adds at least one byte (ISO/IEC 9797-1 method 2)."""
    return data + b"\x80" + bytes(15 - len(data) % 16)


def _last_block(aes: Aes, key: bytes, blocks: bytes, subkey: bytes) -> bytes:
    data = bytearray(blocks)
    start = len(data) - 16
    for i in range(16):
        data[start + i] ^= subkey[i]
    return aes.cbc_encrypt(key, ZERO16, bytes(data))[start:]


def _double(block: bytes) -> bytes:
    # Multiplying by the top bit instead of branching on it: the block is secret.
    value = (int.from_bytes(block, "big") << 1) & _MASK
    return (value ^ (0x87 * (block[0] >> 7))).to_bytes(16, "big")
