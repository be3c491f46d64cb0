"""The AES-128 the caller brings: cryptolib on the band, `cryptography` on the gateway."""

from .errors import BadArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object

BLOCK = 16
ZERO16 = bytes(16)


class Aes(Protocol):
    """No padding anywhere: data is a whole number of 16-byte blocks. Wrong lengths raise BadArgument."""

    def ecb(self, key: bytes, block: bytes) -> bytes:
        """Encrypt one 16-byte block."""
        ...

    def cbc_encrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes: ...

    def cbc_decrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes: ...


def check_lengths(key: bytes, iv: bytes, data: bytes) -> None:
    """What every implementation checks first, so that no library's own error leaks."""
    if len(key) != BLOCK or len(iv) != BLOCK or len(data) % BLOCK:
        raise BadArgument("AES wants a 16-byte key and IV and whole 16-byte blocks")
