"""A ship's own keys, and a deck of guests who say things."""

from __future__ import annotations

from steward.adapters.aes import HostAes
from steward.adapters.keyfile import new_key_file
from steward.adapters.keyring import FileKeyRing
from steward.adapters.system import OsEntropy
from steward.domain.receipt import Issuer

SITE = 12
ISSUER = Issuer(SITE, "MS Fjordlys", "Fjordlys Rederi", "personvern at the purser's office")


def ship_keys() -> FileKeyRing:
    """Of an authority: it signs."""
    return FileKeyRing(new_key_file(SITE, OsEntropy(), 1_700_000_000, 2), HostAes())
