"""What schema version 12 calls: functions that seal, in its script's transaction, what older versions kept open."""

from __future__ import annotations

import sqlite3
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from steward.adapters.sqlite.guestkeys import GuestKeys
from steward.adapters.store_items import encode_pair
from steward.adapters.store_rules import decode_payload
from steward.adapters.vault import OVERHEAD_BYTES, PICTURE, PICTURE_KEY, STAGED, KeyChanges, TxKeys
from steward.domain.events import guest_of
from steward.domain.ids import GuestRef
from steward.ports import Entropy


class Sealing:
    """The keys that a migration makes: to be kept before its transaction is."""

    def __init__(self, keys: GuestKeys, entropy: Entropy) -> None:
        self._chest = keys
        self._keys = TxKeys(keys, entropy, KeyChanges())
        self._pictures: dict[str, bytes] = {}

    def lend(self, connection: sqlite3.Connection) -> None:
        """Make the functions known to this connection."""
        functions: dict[str, tuple[int, Callable[..., Any]]] = {
            "vault_id": (0, lambda: self._chest.id),
            "seal": (3, self._seal),
            "seal_text": (3, self._seal_text),
            "mark": (2, lambda kind, value: self._keys.mark(kind, value).hex()),
            "payload_guest": (1, _payload_guest),
            "two_texts": (2, encode_pair),
            "seal_picture": (2, self._seal_picture),
            "picture_key": (2, self._picture_key),
            "staged_owner": (1, lambda sha256: f"{STAGED}{self._keys.mark('staged', sha256).hex()[:32]}"),
        }
        for name, (count, function) in functions.items():
            connection.create_function(name, count, function)

    def keep(self) -> None:
        self._chest.keep(self._keys.changes.made)
        self._keys.changes = KeyChanges()

    def _seal(self, ref: str, kind: str, plain: bytes) -> bytes:
        """Of who was erased meanwhile, a backup from before is not sealed but emptied: the sweep takes the rows."""
        guest = GuestRef(ref)
        return bytes(OVERHEAD_BYTES) if self._keys.is_erased(guest) else self._keys.seal(guest, kind, plain)

    def _seal_picture(self, sha256: str, content: bytes) -> bytes:
        material = self._pictures.setdefault(sha256, self._keys.random_key())
        return self._keys.seal_with(material, PICTURE, content)

    def _picture_key(self, ref: str, sha256: str) -> bytes:
        return self._seal(ref, PICTURE_KEY, self._pictures[sha256])

    def _seal_text(self, ref: str, kind: str, text: str) -> str:
        return b64encode(self._seal(ref, kind, text.encode())).decode("ascii") if text else ""


def _payload_guest(payload: bytes) -> str | None:
    """None as well for a payload that is damaged: reading it will say so."""
    try:
        return guest_of(decode_payload(payload))
    except ValueError:
        return None
