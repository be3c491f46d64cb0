"""Replicated records, peers, allowances: ports.ship in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from steward.adapters.memory_peerlooks import MemoryPeerLookTx
from steward.domain.allowance import Escrow, Grant
from steward.domain.ids import GuestRef, TapId, Uid
from steward.domain.replica import Change, Kind
from steward.errors import Conflict

_FALLEN = "allowance: a running total never falls"


class ShipState:
    """What this part of the store keeps. log: what changed at each revision, also what has changed again since."""

    def __init__(self) -> None:
        self.log: dict[int, tuple[Kind, str]] = {}
        self.changed: dict[tuple[Kind, str], int] = {}
        self.grants: dict[tuple[str, int, GuestRef], Grant] = {}
        self.grants_of: dict[GuestRef, list[tuple[str, int, GuestRef]]] = {}
        self.escrows: dict[GuestRef, Escrow] = {}
        self.streams: dict[str, dict[int, bytes]] = {}
        self.events: dict[tuple[str, int, int], bytes] = {}
        self.counter_uses: dict[tuple[Uid, str, int], TapId] = {}
        self.words: dict[TapId, tuple[int, str]] = {}
        self.word_count: dict[str, int] = {}


class MemoryShipTx(MemoryPeerLookTx):
    """Part of MemoryTx."""

    def _told(self, kind: Kind, name: str) -> None:
        """What the triggers of the SQLite store do: this record changed, at the next revision."""
        ship = self._part(ShipState)
        revision = len(ship.log) + 1
        self._put(ship.log, revision, (kind, name))
        self._put(ship.changed, (kind, name), revision)

    def revision(self) -> int:
        return len(self._part(ShipState).log)

    def changes(self, after: int, limit: int) -> Sequence[Change]:
        ship = self._part(ShipState)
        found: list[Change] = []
        revisions = range(1, len(ship.log) + 1)
        for revision in revisions[bisect_right(revisions, after) :]:
            if len(found) >= limit:
                break
            kind, name = ship.log[revision]
            if ship.changed.get((kind, name)) == revision:
                found.append(Change(revision, kind, name))
        return found

    def put_grant(self, grant: Grant) -> None:
        ship = self._part(ShipState)
        key = (grant.gateway, grant.epoch, grant.ref)
        figures = _figures(grant)
        if min(figures) < 0 or grant.returned_minor > grant.granted_minor:
            raise Conflict("allowance: more returned than granted")
        known = ship.grants.get(key)
        if known is not None and any(new < old for new, old in zip(figures, _figures(known), strict=True)):
            raise Conflict(_FALLEN)
        self._put(ship.grants, key, grant)
        if known is None:
            self._add(ship.grants_of, grant.ref, key)
        self._told(Kind.GRANT, f"{grant.gateway}/{grant.epoch}/{grant.ref}")

    def grant(self, gateway: str, epoch: int, ref: GuestRef) -> Grant | None:
        return self._part(ShipState).grants.get((gateway, epoch, ref))

    def grants_of(self, ref: GuestRef) -> Sequence[Grant]:
        ship = self._part(ShipState)
        return [ship.grants[key] for key in sorted(ship.grants_of.get(ref, ()))]

    def outstanding(self, ref: GuestRef) -> int:
        return sum(grant.outstanding_minor for grant in self.grants_of(ref))

    def put_escrow(self, escrow: Escrow) -> None:
        escrows = self._part(ShipState).escrows
        totals = _totals(escrow)
        if min(totals) < 0 or escrow.left_minor < 0:
            raise Conflict("allowance: more used and returned than granted")
        known = escrows.get(escrow.ref)
        if known is not None and any(new < old for new, old in zip(totals, _totals(known), strict=True)):
            raise Conflict(_FALLEN)
        self._put(escrows, escrow.ref, escrow)

    def escrow(self, ref: GuestRef) -> Escrow | None:
        return self._part(ShipState).escrows.get(ref)

    def escrows_to_report(self, limit: int) -> Sequence[Escrow]:
        escrows = self._part(ShipState).escrows
        waiting = (escrows[ref] for ref in sorted(escrows))
        found = [e for e in waiting if e.returned_minor > e.confirmed_minor or e.recall_minor > e.returned_minor]
        return found[: max(limit, 0)]

    def peer_streams(self, gateway: str) -> Mapping[int, bytes]:
        return dict(sorted(self._part(ShipState).streams.get(gateway, {}).items()))

    def put_peer_stream(self, gateway: str, epoch: int, stream: bytes) -> None:
        streams = self._part(ShipState).streams
        self._put(streams, gateway, {**streams.get(gateway, {}), epoch: stream})

    def put_peer_event(self, gateway: str, epoch: int, seq: int, digest: bytes) -> None:
        events = self._part(ShipState).events
        if (gateway, epoch, seq) in events:
            raise Conflict("peer: an event is taken in once")
        self._put(events, (gateway, epoch, seq), digest)

    def peer_event(self, gateway: str, epoch: int, seq: int) -> bytes | None:
        return self._part(ShipState).events.get((gateway, epoch, seq))

    def use_counter(self, uid: Uid, kind: str, counter: int, tap_id: TapId) -> TapId:
        uses = self._part(ShipState).counter_uses
        first = uses.get((uid, kind, counter), tap_id)
        self._put(uses, (uid, kind, counter), first)
        return first

    def put_words(self, tap_id: TapId, text: str) -> None:
        ship = self._part(ShipState)
        number, _ = ship.words.get(tap_id, (ship.word_count.get("last", 0) + 1, ""))
        self._put(ship.word_count, "last", max(number, ship.word_count.get("last", 0)))
        self._put(ship.words, tap_id, (number, text))

    def words(self, limit: int) -> Sequence[tuple[TapId, str]]:
        rows = sorted((number, tap_id, text) for tap_id, (number, text) in self._part(ShipState).words.items())
        return [(tap_id, text) for _, tap_id, text in rows[: max(limit, 0)]]

    def words_of(self, tap_id: TapId) -> str | None:
        known = self._part(ShipState).words.get(tap_id)
        return None if known is None else known[1]

    def drop_words(self, tap_id: TapId) -> None:
        self._drop(self._part(ShipState).words, tap_id)


def _figures(grant: Grant) -> tuple[int, ...]:
    return (grant.granted_minor, grant.returned_minor, grant.booked_minor, grant.used_minor, grant.recall_minor)


def _totals(escrow: Escrow) -> tuple[int, ...]:
    heard = (escrow.confirmed_minor, escrow.recall_minor)
    return (escrow.granted_minor, escrow.used_minor, escrow.returned_minor, *heard)
