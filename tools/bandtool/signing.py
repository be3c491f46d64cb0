"""The release key: one Ed25519 seed in a sealed file of its own. It signs images here, and updates for bands.

Its public half is built into every production image: a band takes updates that this key has signed, and no others.
Who has it can put a program on every band of the ships that use it; it opens no door by itself. Keep it off the
benches: an image is signed where it is built, and a station needs the public half only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from steward.adapters import keyrecord
from steward.adapters.keyrecord import SECRET_BYTES, RecordForm
from steward.adapters.keyseal import KeySecret
from steward.domain.records import IMAGE, record_input
from steward.domain.signedrecord import canonical, envelope
from steward.ports import Entropy

KEY_VERSION = 1  # a release key is replaced by another file, and known by its fingerprint
_SEED = "seed"
_FORM = RecordForm(
    "release key file",
    ("kind", "release"),
    MappingProxyType({1: (_SEED,)}),
    "holds no release key: is it another key file? Restore it from its copy in the safe",
)


class ReleaseKey:
    """Never shown, never pickled."""

    __slots__ = ("_private",)

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public(self) -> bytes:
        """32 bytes, for images and for the stations' settings."""
        return self._private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """64 bytes. message: with the words of its kind in front, so that none passes for another."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return "ReleaseKey()"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("keys must not be pickled or copied")


def create(path: Path, secret: KeySecret, entropy: Entropy) -> ReleaseKey:
    """Make a key and its sealed file; an existing file is never overwritten. Raises KeyFileError."""
    seed = entropy.token_bytes(SECRET_BYTES)
    keyrecord.write(path, _FORM, {_SEED: seed}, secret, entropy)
    return ReleaseKey(seed)


def load(path: Path, secret: KeySecret) -> ReleaseKey:
    """Open and check the file. KeyFileError says what is wrong and what to do, never what is inside."""
    return ReleaseKey(keyrecord.read(path, _FORM, secret)[_SEED])


def signed_image(body: Mapping[str, Any], key: ReleaseKey) -> dict[str, Any]:
    """An image's manifest as a signed record (steward.domain.signedrecord says how it is written and checked)."""
    return envelope(IMAGE, body, KEY_VERSION, key.public, key.sign(record_input(IMAGE, canonical(body))))
