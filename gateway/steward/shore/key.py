"""Shore's signing key: one Ed25519 seed in a sealed file of its own. Gateways hold the public half in their settings.

Who has it can freeze bands and change the catalogue of every ship; it opens no door and signs no band.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from steward.adapters import keyrecord
from steward.adapters.keyrecord import SECRET_BYTES, RecordForm
from steward.adapters.keyseal import KeySecret
from steward.ports import Entropy

_SEED = "seed"
_FORM = RecordForm(
    "shore key file",
    ("kind", "shore"),
    MappingProxyType({1: (_SEED,)}),
    "holds no shore key: is it a gateway's key file? Restore it from its copy in the safe",
)


class ShoreKey:
    """Never shown, never pickled."""

    __slots__ = ("private",)

    def __init__(self, seed: bytes) -> None:
        self.private = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public(self) -> bytes:
        """32 bytes, for the gateways' settings."""
        return self.private.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return "ShoreKey()"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("keys must not be pickled or copied")


def create(path: Path, secret: KeySecret, entropy: Entropy) -> ShoreKey:
    """Make a key and its sealed file; an existing file is never overwritten. Raises KeyFileError."""
    seed = entropy.token_bytes(SECRET_BYTES)
    keyrecord.write(path, _FORM, {_SEED: seed}, secret, entropy)
    return ShoreKey(seed)


def load(path: Path, secret: KeySecret) -> ShoreKey:
    """Open and check the file. KeyFileError says what is wrong and what to do, never what is inside."""
    return ShoreKey(keyrecord.read(path, _FORM, secret)[_SEED])
