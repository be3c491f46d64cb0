"""AES-128 of the board's own cryptolib, which is the chip's hardware on an ESP32."""

from cryptolib import aes

from bandwire.aes import ZERO16, check_lengths

_ECB = 1
_CBC = 2


class CryptolibAes:
    """bandwire's Aes. A cryptolib object keeps its IV, so each call makes a fresh one."""

    def ecb(self, key: bytes, block: bytes) -> bytes:
        check_lengths(key, block, ZERO16)
        return aes(key, _ECB).encrypt(block)

    def cbc_encrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes:
        check_lengths(key, iv, data)
        return aes(key, _CBC, iv).encrypt(data)

    def cbc_decrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes:
        check_lengths(key, iv, data)
        return aes(key, _CBC, iv).decrypt(data)
