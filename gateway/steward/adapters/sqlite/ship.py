"""Replicated records, peers, allowances: ports.ship on SQLite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from steward.adapters.sqlite.peerlooks import PeerLookTx
from steward.adapters.sqlite.statements import select, upsert
from steward.domain.allowance import Escrow, Grant
from steward.domain.ids import GuestRef, TapId, Uid
from steward.domain.replica import Change, Kind

_FIGURES = ("granted_minor", "returned_minor", "booked_minor", "used_minor", "recall_minor")
_SAID = ("from_s", "answered", "why")
_GRANT = ("gateway", "epoch", "guest", *_FIGURES, *_SAID)
_ESCROW = ("guest", "granted_minor", "used_minor", "returned_minor", "confirmed_minor", "recall_minor", *_SAID)

REVISION = "SELECT revision FROM ship_revision"
CHANGES = "SELECT revision, kind, name FROM ship_change WHERE revision > ? ORDER BY revision LIMIT ?"
PUT_GRANT = upsert("allowance_grant", ("gateway", "epoch", "guest"), (*_FIGURES, *_SAID))
GRANT = select(_GRANT, "FROM allowance_grant WHERE guest = ? AND gateway = ? AND epoch = ?")
GRANTS_OF = select(_GRANT, "FROM allowance_grant WHERE guest = ? ORDER BY gateway, epoch")
OUTSTANDING = """
SELECT coalesce(sum(max(0, granted_minor - returned_minor - booked_minor)), 0) FROM allowance_grant WHERE guest = ?
"""
PUT_ESCROW = upsert("allowance_escrow", ("guest",), _ESCROW[1:])
ESCROW = select(_ESCROW, "FROM allowance_escrow WHERE guest = ?")
ESCROWS_TO_REPORT = select(
    _ESCROW,
    "FROM allowance_escrow WHERE returned_minor > confirmed_minor OR recall_minor > returned_minor "
    "ORDER BY guest LIMIT ?",
)
PEER_STREAMS = "SELECT epoch, stream FROM peer_stream WHERE gateway = ? ORDER BY epoch"
PUT_PEER_STREAM = upsert("peer_stream", ("gateway", "epoch"), ("stream",))
PUT_PEER_EVENT = "INSERT INTO peer_event (gateway, epoch, seq, digest) VALUES (?, ?, ?, ?)"
PEER_EVENT = "SELECT digest FROM peer_event WHERE gateway = ? AND epoch = ? AND seq = ?"
USE_COUNTER = "INSERT INTO counter_use (uid, kind, counter, tap_id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
COUNTER_USE = "SELECT tap_id FROM counter_use WHERE uid = ? AND kind = ? AND counter = ?"
PUT_WORDS = upsert("charge_words", ("tap_id",), ("words",))
WORDS = "SELECT tap_id, words FROM charge_words ORDER BY id LIMIT ?"
WORDS_OF = "SELECT words FROM charge_words WHERE tap_id = ?"
DROP_WORDS = "DELETE FROM charge_words WHERE tap_id = ?"


_HOUSE = GuestRef("house")  # descriptions on their way name no guest: they are sealed with the gateway's own key


def _words_kind(tap_id: str) -> str:
    return f"words {tap_id}"


class ShipTx(PeerLookTx):
    """Part of SqliteTx."""

    def revision(self) -> int:
        revision: int = self._one(REVISION)[0]
        return revision

    def changes(self, after: int, limit: int) -> Sequence[Change]:
        rows = self._all(CHANGES, (after, max(limit, 0)))
        return [Change(revision, Kind(kind), name) for revision, kind, name in rows]

    def put_grant(self, grant: Grant) -> None:
        figures = (grant.granted_minor, grant.returned_minor, grant.booked_minor, grant.used_minor, grant.recall_minor)
        said = (grant.from_s, grant.answered, grant.why)
        self._change(PUT_GRANT, (grant.gateway, grant.epoch, grant.ref, *figures, *said))

    def grant(self, gateway: str, epoch: int, ref: GuestRef) -> Grant | None:
        row = self._one(GRANT, (ref, gateway, epoch))
        return None if row is None else Grant(*row)

    def grants_of(self, ref: GuestRef) -> Sequence[Grant]:
        return [Grant(*row) for row in self._all(GRANTS_OF, (ref,))]

    def outstanding(self, ref: GuestRef) -> int:
        total: int = self._one(OUTSTANDING, (ref,))[0]
        return total

    def put_escrow(self, escrow: Escrow) -> None:
        totals = (escrow.granted_minor, escrow.used_minor, escrow.returned_minor)
        heard = (escrow.confirmed_minor, escrow.recall_minor)
        self._change(PUT_ESCROW, (escrow.ref, *totals, *heard, escrow.from_s, escrow.answered, escrow.why))

    def escrow(self, ref: GuestRef) -> Escrow | None:
        row = self._one(ESCROW, (ref,))
        return None if row is None else Escrow(*row)

    def escrows_to_report(self, limit: int) -> Sequence[Escrow]:
        return [Escrow(*row) for row in self._all(ESCROWS_TO_REPORT, (max(limit, 0),))]

    def peer_streams(self, gateway: str) -> Mapping[int, bytes]:
        return dict(self._all(PEER_STREAMS, (gateway,)))

    def put_peer_stream(self, gateway: str, epoch: int, stream: bytes) -> None:
        self._change(PUT_PEER_STREAM, (gateway, epoch, stream))

    def put_peer_event(self, gateway: str, epoch: int, seq: int, digest: bytes) -> None:
        self._change(PUT_PEER_EVENT, (gateway, epoch, seq, digest))

    def peer_event(self, gateway: str, epoch: int, seq: int) -> bytes | None:
        row = self._one(PEER_EVENT, (gateway, epoch, seq))
        return None if row is None else row[0]

    def use_counter(self, uid: Uid, kind: str, counter: int, tap_id: TapId) -> TapId:
        self._change(USE_COUNTER, (uid, kind, counter, tap_id))
        return TapId(self._one(COUNTER_USE, (uid, kind, counter))[0])

    def put_words(self, tap_id: TapId, text: str) -> None:
        self._change(PUT_WORDS, (tap_id, self._seal_text(_HOUSE, _words_kind(tap_id), text)))

    def words(self, limit: int) -> Sequence[tuple[TapId, str]]:
        rows = self._all(WORDS, (max(limit, 0),))
        return [(TapId(tap_id), self._text(_HOUSE, _words_kind(tap_id), text)) for tap_id, text in rows]

    def words_of(self, tap_id: TapId) -> str | None:
        row = self._one(WORDS_OF, (tap_id,))
        return None if row is None else self._text(_HOUSE, _words_kind(tap_id), row[0])

    def drop_words(self, tap_id: TapId) -> None:
        self._change(DROP_WORDS, (tap_id,))
