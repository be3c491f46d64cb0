"""AES-ECB of many blocks at once, for tables of names. Elsewhere one block is all that ever passes: adapters/aes.py."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def encrypt_blocks(key: bytes, blocks: bytes) -> bytes:
    """Each 16-byte block by itself."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305  names are single blocks by definition
    return encryptor.update(blocks) + encryptor.finalize()
