"""AES-128 for bandwire on the gateway, by `cryptography`."""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bandwire.aes import ZERO16, check_lengths


class HostAes:
    """bandwire's Aes: stateless, so one instance serves every thread."""

    def ecb(self, key: bytes, block: bytes) -> bytes:
        # One block of CBC under a zero IV is ECB, and keeps a mode out of reach that must not see two.
        check_lengths(key, block, ZERO16)
        return self.cbc_encrypt(key, ZERO16, block)

    def cbc_encrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes:
        check_lengths(key, iv, data)
        encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
        return encryptor.update(data) + encryptor.finalize()

    def cbc_decrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes:
        check_lengths(key, iv, data)
        decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
        return decryptor.update(data) + decryptor.finalize()
