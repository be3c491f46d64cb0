"""What gateways of older versions sent whole, brought down ashore to what the register names shore a recipient of.

Gateways send no more than that since this version. What came before stays whole until an operator says that every
gateway runs it: an older one would see a difference in its daily comparison, where a newer one leaves payloads out.
"""

from __future__ import annotations

from dataclasses import dataclass

from steward.domain.recipients import Projection
from steward.shore.arrivals import event_of, payload_of
from steward.shore.script import Script, change, change_many, rows
from steward.shore.store import ShoreStore

CHUNK_EVENTS = 2000  # in one transaction
_LOGS = "SELECT ship, gateway, epoch FROM log ORDER BY ship, gateway, epoch"
_LOCK = "UPDATE gateway SET ship = ship WHERE ship = ? AND gateway = ?"
_KEY = "ship = ? AND gateway = ? AND epoch = ?"
_CHUNK = f"SELECT seq, type, at_s, payload FROM event WHERE {_KEY} AND seq > ? ORDER BY seq LIMIT ?"  # noqa: S608
_KEEP = f"UPDATE event SET payload = ? WHERE {_KEY} AND seq = ?"  # noqa: S608 a constant


@dataclass(frozen=True, slots=True)
class Narrowed:
    """How many events were looked at, and how many said more than they may."""

    events: int
    changed: int


async def narrow(store: ShoreStore, projection: Projection) -> Narrowed:
    """Walk every log, a part at a time; the service may be running. Doing it again changes nothing."""
    events = changed = 0
    for ship, gateway, epoch in await store.read(rows(_LOGS)):
        after: int | None = 0
        while after is not None:
            after, looked, wide = await store.write(_narrow_chunk(ship, gateway, epoch, after, projection))
            events, changed = events + looked, changed + wide
    await store.scrub()
    return Narrowed(events, changed)


def _narrow_chunk(
    ship: str, gateway: str, epoch: int, after_seq: int, projection: Projection
) -> Script[tuple[int | None, int, int]]:
    """(where to go on, how many events, how many of them said more)."""
    yield from change(_LOCK, ship, gateway)
    found = [event_of(epoch, *row) for row in (yield from rows(_CHUNK, ship, gateway, epoch, after_seq, CHUNK_EVENTS))]
    wide = [kept for event in found if (kept := projection.of(event)) is not event]
    yield from change_many(_KEEP, [(payload_of(event), ship, gateway, epoch, event.seq) for event in wide])
    return (found[-1].seq if len(found) == CHUNK_EVENTS else None), len(found), len(wide)
