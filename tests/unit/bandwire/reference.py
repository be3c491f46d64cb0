"""The chip's formulas once more, straight from their sources, on `cryptography`'s own CMAC: what tests compare with."""

import zlib

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC


def counting(start: int, size: int) -> bytes:
    return bytes(i & 0xFF for i in range(start, start + size))


def full_cmac(key: bytes, message: bytes) -> bytes:
    mac = CMAC(algorithms.AES(key))
    mac.update(message)
    return mac.finalize()


def short_cmac(key: bytes, message: bytes) -> bytes:
    return full_cmac(key, message)[1::2]


def ecb(key: bytes, block: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return encryptor.update(block) + encryptor.finalize()


def cbc(key: bytes, iv: bytes, data: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def session_keys(key: bytes, a: bytes, b: bytes) -> tuple[bytes, bytes]:
    tail = bytes.fromhex("00010080") + a[:2]
    tail += bytes(x ^ y for x, y in zip(a[2:8], b[:6], strict=True)) + b[6:] + a[8:]
    return full_cmac(key, b"\xa5\x5a" + tail), full_cmac(key, b"\x5a\xa5" + tail)


def jamcrc(data: bytes) -> bytes:
    return (zlib.crc32(data) ^ 0xFFFFFFFF).to_bytes(4, "little")
