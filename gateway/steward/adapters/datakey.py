"""The data key file: 32 random bytes that wrap the guests' keys, sealed by what opens the key file.

A file of its own, and not a field of the key file: that one is exported to other roles and rotated for each voyage,
and neither may touch or tell what this gateway's guests are sealed with. It is never exported and never rotated.
"""

from __future__ import annotations

from pathlib import Path

import cbor2

from steward.adapters import keyseal
from steward.adapters.keyseal import KeySecret
from steward.adapters.vault import KEY_BYTES, DataKey
from steward.errors import KeyFileError
from steward.ports import Entropy

SCHEMA = 1
_WHAT = "steward data key"


def create(path: Path, secret: KeySecret, entropy: Entropy) -> DataKey:
    """Write a new sealed file; an existing one is never overwritten. Raises KeyFileError."""
    material = entropy.token_bytes(KEY_BYTES)
    plain = cbor2.dumps({"what": _WHAT, "schema": SCHEMA, "key": material}, canonical=True)
    keyseal.write_private(path, keyseal.seal(plain, secret, entropy), replace=False)
    return DataKey(material)


def load(path: Path, secret: KeySecret) -> DataKey:
    """Read, open and check it. KeyFileError says what is wrong and what to do, never what is inside."""
    where = f"data key file {path}"
    plain = keyseal.unseal(keyseal.read_private(path, "data key file", keyseal.FILE_BYTES_MAX), secret, where)
    try:
        top = cbor2.loads(plain)
    except (cbor2.CBORDecodeError, ValueError):
        raise _unfit(where) from None
    if not isinstance(top, dict) or set(top) != {"what", "schema", "key"} or top["what"] != _WHAT:
        raise _unfit(where)
    key = top["key"]
    if top["schema"] != SCHEMA or not isinstance(key, bytes) or len(key) != KEY_BYTES:
        raise _unfit(where)
    return DataKey(key)


def _unfit(where: str) -> KeyFileError:
    return KeyFileError(f"{where} is refused: it holds no data key. Put the right file there, or correct the setting")
