"""For the attack tests: one ship's gateway with doors and a till, on a store in memory, and its bands' folders."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from steward.adapters.memory import MemoryStore
from steward.domain.charges import Charge, ChargeState
from steward.domain.events import EventType, StoredEvent
from steward.domain.guests import Guest
from steward.domain.ids import Uid
from steward.domain.ledger import guest_account
from steward.services.board import TapRecord
from voyage.bandproc import BandOptions, BandProcess
from voyage.rig import Rig

CABIN, DOOR = 5012, "cabin-5012"
NEXT_CABIN, NEXT_DOOR = 5013, "cabin-5013"
POOL, DESK, TILL = "pool", "desk", "bar-1"
UID = bytes.fromhex("04A1B2C3D4E5F6")
DAY_S = 86_400


@asynccontextmanager
async def ship(**changes: Any) -> AsyncIterator[Rig]:
    """A gateway that does everything; `changes` are Rig's own."""
    async with Rig(MemoryStore(), **changes) as rig:
        await rig.add_encoder(DESK)
        await rig.add_door(DOOR, cabin=CABIN)
        await rig.add_door(NEXT_DOOR, cabin=NEXT_CABIN)
        await rig.add_door(POOL, zone="pool")
        await rig.add_till(TILL)
        yield rig


async def band(tmp_path: Path, name: str = "a", **options: Any) -> BandProcess:
    """A real band with its flash in `name`; enters and leaves fields. Use it as a context manager."""
    return await BandProcess.start(BandOptions(tmp_path / name, **options), "field")


async def events(rig: Rig) -> list[StoredEvent]:
    """Everything that was recorded, and nothing lost in between."""
    found = list(await rig.store.read(lambda tx: tx.events(0, 1000)))
    assert [event.seq for event in found] == list(range(1, len(found) + 1))
    return found


async def alerts(rig: Rig) -> list[str]:
    return [str(e.payload["alert"]) for e in await events(rig) if e.type is EventType.STAFF_ALERT]


async def assert_shut(rig: Rig, record: TapRecord, code: str) -> None:
    """The door said no, with this code, to its lock and to the log."""
    assert record.code == code
    assert (rig.doors.signals[-1].open, rig.doors.signals[-1].code) == (False, code)
    last = [e for e in await events(rig) if e.type in (EventType.DOOR_OPENED, EventType.DOOR_REFUSED)][-1]
    assert (last.type, last.payload["code"]) == (EventType.DOOR_REFUSED, code)


async def assert_open(rig: Rig, band_: BandProcess, door: str = DOOR) -> None:
    assert (await rig.tap(band_, door)).code == "granted"
    assert rig.doors.signals[-1].open is True


async def balance(rig: Rig, guest: Guest) -> int:
    return await rig.store.read(lambda tx: tx.balance(guest_account(guest.ref)))


async def counter(rig: Rig, uid: Uid, kind: str = "charge") -> int:
    """The highest counter accepted from this band."""
    return await rig.store.read(lambda tx: tx.charge_counter(uid, kind))


async def assert_books(rig: Rig, guest: Guest, posted: list[Charge]) -> None:
    """Exactly these charges are on the folio, once each, the ledger sums to zero and no counter was used twice."""
    charges = await rig.store.read(lambda tx: tx.charges_of(guest.ref))
    on_folio = [c for c in charges if c.state is ChargeState.POSTED]
    assert sorted(c.request.tap_id for c in on_folio) == sorted(c.request.tap_id for c in posted)
    assert await balance(rig, guest) == sum(c.request.amount_minor for c in posted)
    assert await rig.store.read(lambda tx: tx.ledger_sum()) == 0
    told = [e.payload["tap_id"] for e in await events(rig) if e.type is EventType.CHARGE_POSTED]
    assert sorted(map(str, told)) == sorted(c.request.tap_id for c in posted)
    counters = [c.evidence.counter for c in on_folio if c.evidence is not None]
    assert len(set(counters)) == len(counters)
