"""Forgetting a guest ashore, by the ship's order, and saying so: what remains is that somebody was forgotten.

The order is an event of the ship's folio authority (GUEST_ERASED); ordered.py says which are obeyed. Once it is kept,
no event that names the guest is stored with what it says. What was stored before is emptied in small transactions, each
under the lock of the gateway whose log it walks: a batch that was being stored when the order came is finished before,
so nothing slips by. Decisions about the guest leave the newest lists, and the older ones go. Then the ship is told,
over the signed link.

A backup from before the order does not know it. So orders are also kept in a file beside the database, which no
backup holds, and are carried out again at the next start; besides, gateways send again whatever a restored store has
forgotten, the order too.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from steward.domain.downs import ERASURES_MAX, decode_freeze, encode_erasures, encode_freeze
from steward.domain.events import ERASED_PAYLOAD, EventType, StoredEvent
from steward.domain.ids import GuestRef
from steward.domain.shorebodies import decode_consents, encode_consents
from steward.domain.topics import consent_kind
from steward.ports import Clock
from steward.shore.downs import forget_older, issue, newest_body
from steward.shore.erasedfile import ErasedFile, Order
from steward.shore.ordered import is_late, keep_orders, tell_late
from steward.shore.script import Script, among, change, change_many, one, rows
from steward.shore.store import ShoreStore

_LOG = logging.getLogger(__name__)

BY = "erasure"
CHUNK_EVENTS = 2000  # in one transaction
ORDERS_MAX = 500  # carried out in one walk
EVERY_S = 5.0
_REF = re.compile(r"[0-9a-f]{16}")
_ERASED = cbor2.dumps(dict(ERASED_PAYLOAD), canonical=True)

_ALL = "SELECT ship, ref, part, certificate, ordered_s FROM erasure ORDER BY ship, ref, part"
_PENDING = "SELECT ref, part FROM erasure WHERE ship = ? AND done_s IS NULL ORDER BY ordered_s, ref, part LIMIT ?"
_SHIPS = "SELECT DISTINCT ship FROM erasure WHERE done_s IS NULL ORDER BY ship"
_KNOWN = "SELECT DISTINCT ref FROM erasure WHERE ship = ? AND ref IN "
_LOGS = "SELECT gateway, epoch FROM log WHERE ship = ? ORDER BY gateway, epoch"
_LOCK = "UPDATE gateway SET ship = ship WHERE ship = ? AND gateway = ?"
_KEY = "ship = ? AND gateway = ? AND epoch = ?"
_CHUNK = f"SELECT seq, type, payload FROM event WHERE {_KEY} AND seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 a constant
_EMPTY = f"UPDATE event SET payload = ? WHERE {_KEY} AND seq = ?"  # noqa: S608 a constant
_DONE = (
    "UPDATE erasure SET done_s = ?, events = ? WHERE ship = ? AND ref = ? AND part = ? AND done_s IS NULL RETURNING 1"
)
_CONFIRMED = (
    "SELECT ref, part, done_s FROM erasure WHERE ship = ? AND done_s IS NOT NULL "
    "ORDER BY done_s DESC, ref, part LIMIT ?"
)
_LINES = "SELECT ship, ref, part, certificate, ordered_s, events, done_s FROM erasure ORDER BY ordered_s DESC LIMIT ?"


@dataclass(frozen=True, slots=True)
class Erasure:
    """An order and what became of it. done_s: None while it is being carried out."""

    ship: str
    ref: str
    part: int
    certificate: str
    ordered_s: int
    events: int
    done_s: int | None


def without_erased(ship: str, events: Sequence[StoredEvent]) -> Script[list[StoredEvent]]:
    """The same events, those emptied that name a guest who is to be forgotten."""
    named = {text for event in events for text in _named(event)}
    gone: set[str] = set()
    for part in _parts(sorted(named)):
        places, values = among(part)
        gone |= {row[0] for row in (yield from rows(_KNOWN + places, ship, *values))}
    if not gone:
        return list(events)
    return [replace(event, payload=ERASED_PAYLOAD) if gone.intersection(_named(event)) else event for event in events]


def _named(event: StoredEvent) -> Iterator[str]:
    """References in what an event says. The order itself names whom it is about for ever."""
    if event.type is EventType.GUEST_ERASED:
        return
    for value in event.payload.values():
        if isinstance(value, str):
            yield from _REF.findall(value)


def _parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(texts), 256):
        yield texts[at : at + 256]


# Carrying them out


def empty_chunk(
    ship: str, gateway: str, epoch: int, after_seq: int, refs: Sequence[str]
) -> Script[tuple[int | None, list[str]]]:
    """Empty what names one of these guests in the next part of a log.

    Returns where to go on (None: this was the end) and whom each emptied event named.
    """
    yield from change(_LOCK, ship, gateway)
    found = yield from rows(_CHUNK, ship, gateway, epoch, after_seq, CHUNK_EVENTS)
    wanted = [(ref, ref.encode()) for ref in refs]
    emptied, whose = [], []
    for seq, type_, payload in found:
        if type_ == EventType.GUEST_ERASED:
            continue
        named = [ref for ref, sought in wanted if sought in bytes(payload)]
        if named:
            emptied.append((_ERASED, ship, gateway, epoch, seq))
            whose += named
    yield from change_many(_EMPTY, emptied)
    return (found[-1][0] if len(found) == CHUNK_EVENTS else None), whose


def finish(
    key: Ed25519PrivateKey, ship: str, orders: Sequence[tuple[str, int]], emptied: dict[str, int], now_s: int
) -> Script[int]:
    """Take the guests off the ship's lists, note the orders as done and tell the ship; how many were not before."""
    yield from _forget_decisions(key, ship, {GuestRef(ref) for ref, _ in orders}, now_s)
    fresh = 0
    for ref, part in orders:
        fresh += len((yield from rows(_DONE, now_s, emptied.get(ref, 0), ship, ref, part)))
    if fresh:
        confirmed = yield from rows(_CONFIRMED, ship, ERASURES_MAX)
        body = encode_erasures(sorted((GuestRef(row[0]), row[1], row[2]) for row in confirmed))
        yield from issue(key, ship, "erasures", body, now_s, BY)
    return fresh


def _forget_decisions(key: Ed25519PrivateKey, ship: str, refs: AbstractSet[GuestRef], now_s: int) -> Script[None]:
    """Lists without the guests are the newest then, and no older ones are kept."""
    for kind in sorted(set(map(consent_kind, refs))):
        body = yield from newest_body(ship, kind)
        if body is not None:
            left = [said for said in decode_consents(body) if said.guest not in refs]
            yield from _without(key, ship, kind, body, encode_consents(left), now_s)
    body = yield from newest_body(ship, "freeze")
    if body is not None:
        frozen = decode_freeze(body)
        guests = tuple(entry for entry in frozen.guests if entry[0] not in refs)
        yield from _without(key, ship, "freeze", body, encode_freeze(replace(frozen, guests=guests)), now_s)


def _without(key: Ed25519PrivateKey, ship: str, kind: str, before: bytes, after: bytes, now_s: int) -> Script[None]:
    if after != before:
        yield from issue(key, ship, kind, after, now_s, BY)
    yield from forget_older(ship, kind)


def pending_ships() -> Script[list[str]]:
    return [row[0] for row in (yield from rows(_SHIPS))]


def pending(ship: str) -> Script[tuple[list[tuple[str, int]], list[tuple[str, int]]]]:
    """Orders (guest, part) that are not done, and the ship's logs (gateway, epoch)."""
    orders = [(row[0], row[1]) for row in (yield from rows(_PENDING, ship, ORDERS_MAX))]
    return orders, [(row[0], row[1]) for row in (yield from rows(_LOGS, ship))]


def order_count() -> Script[int]:
    (count,) = yield from one("SELECT count(*) FROM erasure")
    return int(count)


def all_orders() -> Script[list[Order]]:
    return [Order(row[0], GuestRef(row[1]), *row[2:]) for row in (yield from rows(_ALL))]


def erasures(limit: int) -> Script[list[Erasure]]:
    """Newest first, for people."""
    return [Erasure(*row) for row in (yield from rows(_LINES, limit))]


class Forgetting:
    """The task: `run` it under a supervisor, on as many nodes as there are. Doing it twice does nothing more.

    told: called when a ship is to be told something.
    """

    def __init__(
        self,
        store: ShoreStore,
        clock: Clock,
        key: Ed25519PrivateKey,
        kept: ErasedFile,
        told: Callable[[], None],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._clock = clock
        self._key = key
        self._kept = kept
        self._told = told
        self._sleep = sleep
        self._filed = 0  # how many orders the store had when all of them were put into the file
        self._scrubbed = False  # what an earlier process overwrote may still be there

    async def run(self) -> None:
        """For ever. Raises what the store and the disk raise; started again, it goes on."""
        await self.recall()
        while True:
            await self.work()
            await self._sleep(EVERY_S)

    async def recall(self) -> int:
        """Orders of the file that the store does not know: it was put back from an older backup. How many."""
        known = set(await self._store.read(all_orders()))
        ships = {order.ship for order in known}
        lost = [order for order in await asyncio.to_thread(self._kept.read) if order not in known]
        if lost:
            await self._store.write(_recall(lost))
            _LOG.warning("erasure.recalled orders=%d ships=%d", len(lost), len(ships | {order.ship for order in lost}))
        return len(lost)

    async def work(self) -> int:
        """Carry out what is pending, and tell what was never ordered; how many orders were carried out."""
        done, now_s = 0, self._clock.now().unix_s
        await self._keep()
        if await self._store.read(is_late(now_s)):
            await self._store.write(tell_late(now_s))
        for ship in await self._store.read(pending_ships()):
            done += await self._of_ship(ship)
        if done:
            self._told()
        if done or not self._scrubbed:
            self._scrubbed = await self._store.scrub()
        return done

    async def _keep(self) -> None:
        """In the file, whatever node took the order in; read whole only when there are more than before."""
        count = await self._store.read(order_count())
        if count != self._filed:
            await asyncio.to_thread(self._kept.add, await self._store.read(all_orders()))
            self._filed = count

    async def _of_ship(self, ship: str) -> int:
        orders, logs = await self._store.read(pending(ship))
        await self._keep()  # an order that came since `work` did it is not confirmed before it is there
        refs = sorted({ref for ref, _ in orders})
        emptied = dict.fromkeys(refs, 0)
        for gateway, epoch in logs:
            after: int | None = 0
            while after is not None:
                after, whose = await self._store.write(empty_chunk(ship, gateway, epoch, after, refs))
                for ref in whose:
                    emptied[ref] += 1
        done = await self._store.write(finish(self._key, ship, orders, emptied, self._clock.now().unix_s))
        _LOG.info("erasure.done ship=%s orders=%d events=%d", ship, done, sum(emptied.values()))
        return done


def _recall(orders: Sequence[Order]) -> Script[None]:
    """Of ships that this store knows."""
    ships = {row[0] for row in (yield from rows("SELECT ship FROM ship"))}
    yield from keep_orders([order for order in orders if order.ship in ships])
