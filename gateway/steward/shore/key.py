"""Shore's signing key: one Ed25519 seed in a sealed file of its own. Gateways hold the public half in their settings.

Who has it can freeze bands and change the catalogue of every ship; it opens no door and signs no band.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from steward.adapters import keyseal
from steward.adapters.keyseal import KeySecret
from steward.errors import KeyFileError
from steward.ports import Entropy

SCHEMA = 1
_KIND = "shore"
_SEED_BYTES = 32


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
    seed = entropy.token_bytes(_SEED_BYTES)
    plain = cbor2.dumps({"schema": SCHEMA, "kind": _KIND, "seed": seed}, canonical=True)
    keyseal.write_private(path, keyseal.seal(plain, secret, entropy), replace=False)
    return ShoreKey(seed)


def load(path: Path, secret: KeySecret) -> ShoreKey:
    """Open and check the file. KeyFileError says what is wrong and what to do, never what is inside."""
    where = f"shore key file {path}"
    plain = keyseal.unseal(keyseal.read_private(path, "shore key file", keyseal.FILE_BYTES_MAX), secret, where)
    try:
        top = cbor2.loads(plain)
    except (cbor2.CBORDecodeError, ValueError):
        raise _unfit(where) from None
    if not isinstance(top, dict) or set(top) != {"schema", "kind", "seed"} or top["kind"] != _KIND:
        raise _unfit(where)
    seed = top["seed"]
    if top["schema"] != SCHEMA or not isinstance(seed, bytes) or len(seed) != _SEED_BYTES:
        raise _unfit(where)
    return ShoreKey(seed)


def _unfit(where: str) -> KeyFileError:
    return KeyFileError(f"{where} holds no shore key: is it a gateway's key file? Restore it from its copy in the safe")
