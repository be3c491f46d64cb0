"""Bands' radios, and where bands were heard: ports.presence on SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steward.adapters.sqlite.statements import Statements, select, upsert
from steward.domain.ids import GuestRef, Uid
from steward.domain.presence import BandRadio, Presence, Wanted

_RADIO = ("uid", "has", "is_on", "period", "told_s", "wish")
_PRESENCE = ("guest", "zone", "since_s", "seen_s")
_SEALED_AS = "presence"

PUT_RADIO = upsert("band_radio", ("uid",), _RADIO[1:])
RADIO = select(_RADIO, "FROM band_radio WHERE uid = ?")
WISHES = select(_RADIO, "FROM band_radio WHERE wish IS NOT NULL ORDER BY uid")
BANDS_TO_HEAR = """
SELECT r.uid, b.guest, b.key_version, r.period, r.told_s
FROM band_radio AS r JOIN band AS b ON b.uid = r.uid JOIN guest AS g ON g.ref = b.guest
JOIN consent AS c ON c.guest = b.guest AND c.purpose = 'presence' AND c.given = 1
LEFT JOIN untracked AS u ON u.guest = b.guest
WHERE b.state = 'issued' AND r.is_on = 1 AND r.period IS NOT NULL AND coalesce(r.wish, 1) = 1
AND g.not_after_s >= ? AND coalesce(u.is_on, g.child) = 0
ORDER BY r.uid
"""
PUT_PRESENCE = upsert("presence", ("guest",), _PRESENCE[1:])
PRESENCE = select(_PRESENCE, "FROM presence WHERE guest = ?")
DROP_PRESENCE = "DELETE FROM presence WHERE guest = ?"
SWEEP_PRESENCE = "DELETE FROM presence WHERE seen_s < ? RETURNING 1"


class PresenceTx(Statements):
    """Part of SqliteTx."""

    def put_radio(self, radio: BandRadio) -> None:
        state = (radio.has, radio.is_on, radio.period, radio.told_s, radio.wish)
        self._change(PUT_RADIO, (radio.uid, *state))

    def radio(self, uid: Uid) -> BandRadio | None:
        row = self._one(RADIO, (uid,))
        return None if row is None else _radio(row)

    def wishes(self) -> Sequence[BandRadio]:
        return [_radio(row) for row in self._all(WISHES)]

    def bands_to_hear(self, now_s: int) -> Sequence[Wanted]:
        return [
            Wanted(Uid(uid), GuestRef(guest), key_version, period, told_s)
            for uid, guest, key_version, period, told_s in self._all(BANDS_TO_HEAR, (now_s,))
        ]

    def put_presence(self, presence: Presence) -> None:
        zone = self._keys.seal(presence.guest, _SEALED_AS, presence.zone.encode())
        self._change(PUT_PRESENCE, (presence.guest, zone, presence.since_s, presence.seen_s))

    def presence(self, ref: GuestRef) -> Presence | None:
        row = self._one(PRESENCE, (ref,))
        if row is None:
            return None
        guest, sealed, since_s, seen_s = row
        zone = self._bytes(GuestRef(guest), _SEALED_AS, sealed)
        return None if zone is None else Presence(GuestRef(guest), zone.decode(), since_s, seen_s)

    def drop_presence(self, ref: GuestRef) -> None:
        self._change(DROP_PRESENCE, (ref,))

    def sweep_presence(self, before_s: int) -> int:
        return len(self._change(SWEEP_PRESENCE, (before_s,)))


def _radio(row: Sequence[Any]) -> BandRadio:
    uid, has, is_on, period, told_s, wish = row
    return BandRadio(Uid(uid), bool(has), bool(is_on), period, told_s, None if wish is None else bool(wish))
