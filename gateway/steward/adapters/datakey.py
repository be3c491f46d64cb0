"""The data key file: 32 random bytes that wrap the guests' keys, sealed by what opens the key file.

A file of its own, and not a field of the key file: that one is exported to other roles and rotated for each voyage,
and neither may touch or tell what this gateway's guests are sealed with. It is never exported, and renewed only by
adapters/sqlite/renewal.py.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from steward.adapters import keyrecord
from steward.adapters.keyrecord import RecordForm
from steward.adapters.keyseal import KeySecret
from steward.adapters.vault import KEY_BYTES, DataKey, Lasting
from steward.ports import Entropy

_KEY, _INDEX, _HEADS = "key", "index", "heads"
# Schema 1: as it was made, all else follows from the key. 2: renewed, with what outlasts that.
_FORM = RecordForm(
    "data key file",
    ("what", "steward data key"),
    MappingProxyType({1: (_KEY,), 2: (_KEY, _INDEX, _HEADS)}),
    "is refused: it holds no data key. Put the right file there, or correct the setting",
)


def create(path: Path, secret: KeySecret, entropy: Entropy) -> DataKey:
    """Write a new sealed file; an existing one is never overwritten. Raises KeyFileError."""
    material = entropy.token_bytes(KEY_BYTES)
    keyrecord.write(path, _FORM, {_KEY: material}, secret, entropy)
    return DataKey(material)


def create_after(before: DataKey, path: Path, secret: KeySecret, entropy: Entropy) -> DataKey:
    """The same for the key that is to follow this one."""
    material, lasting = entropy.token_bytes(KEY_BYTES), before.lasting
    secrets = {_KEY: material, _INDEX: lasting.index, _HEADS: lasting.heads}
    keyrecord.write(path, _FORM, secrets, secret, entropy)
    return DataKey(material, lasting)


def load(path: Path, secret: KeySecret) -> DataKey:
    """Read, open and check it. KeyFileError says what is wrong and what to do, never what is inside."""
    found = keyrecord.read(path, _FORM, secret)
    return DataKey(found[_KEY], Lasting(found[_INDEX], found[_HEADS]) if _INDEX in found else None)
