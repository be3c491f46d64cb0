"""The main job in one process: a real MicroPython band, a real socket reader, the real services and store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.vaultkit import DATA_KEY

from steward.adapters.sqlite.store import SqliteStore
from steward.domain.access import Place
from steward.domain.charges import ChargeState
from steward.domain.events import EventType
from steward.domain.ids import GuestRef, TillId
from steward.domain.ledger import guest_account, revenue_account
from steward.services.tills import TillService
from voyage.bandproc import BandOptions, BandProcess
from voyage.rig import SITE, SUN_TEMPLATE, Rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    store = SqliteStore.open(tmp_path / "steward.db", DATA_KEY)
    async with Rig(store) as rig:
        await rig.add_encoder()
        await rig.add_door("cabin-5012", cabin=5012)
        await rig.add_door("cabin-5013", cabin=5013)
        await rig.add_door("pool", zone="pool")
        await rig.add_door("spa", zone="spa")
        await rig.add_till("bar-1")
        yield rig
    await store.close()


def band(tmp_path: Path, name: str = "a", passive: bool = False) -> BandOptions:
    return BandOptions(state=tmp_path / name, passive=passive)


@pytest.mark.parametrize("passive", [False, True], ids=["active", "passive"])
async def test_a_band_is_issued_opens_what_it_may_and_pays(rig: Rig, tmp_path: Path, passive: bool) -> None:
    async with await BandProcess.start(band(tmp_path, passive=passive), "field") as wrist:
        guest = await rig.check_in()
        job = await rig.issue(guest, wrist)
        assert (job.serial, job.active) == (1, not passive)
        codes = [(await rig.tap(wrist, door)).code for door in ("cabin-5012", "cabin-5013", "pool", "spa")]
        assert codes == ["granted", "wrong_cabin", "granted", "zone_not_allowed"]
        assert [s.open for s in rig.doors.signals] == [True, False, True, False]
        charge = await rig.charge(wrist, "bar-1", 450)
        assert (charge.state, charge.code) == (ChargeState.POSTED, "posted")
        assert charge.evidence is not None
        assert charge.evidence.verified is True
        assert charge.evidence.active is not passive
        balance = await rig.store.read(lambda tx: tx.balance(guest_account(guest.ref)))
        assert balance == 450
        events = await rig.store.read(lambda tx: tx.events(0, 100))
        assert [e.seq for e in events] == list(range(events[0].seq, events[0].seq + len(events)))
        types = [e.type for e in events]
        for type_ in (EventType.BAND_ISSUED, EventType.DOOR_OPENED, EventType.DOOR_REFUSED, EventType.CHARGE_POSTED):
            assert type_ in types


async def test_a_door_needs_five_apdus_at_most(rig: Rig, tmp_path: Path) -> None:
    async with await BandProcess.start(band(tmp_path), "field") as wrist:
        await rig.issue(await rig.check_in(), wrist)
        record = await rig.tap(wrist, "cabin-5012")
        assert record.code == "granted"
        assert record.apdus <= 5


async def test_a_lost_band_is_refused_and_its_replacement_works(rig: Rig, tmp_path: Path) -> None:
    async with (
        await BandProcess.start(band(tmp_path, "old"), "field") as old,
        await BandProcess.start(band(tmp_path, "new"), "field") as new,
    ):
        guest = await rig.check_in()
        lost = await rig.issue(guest, old)
        assert lost.uid is not None
        await rig.desk.freeze(lost.uid, "lost", "desk")
        assert (await rig.tap(old, "cabin-5012")).code == "frozen"
        assert (await rig.charge(old, "bar-1", 300)).code == "frozen"
        assert rig.board.snapshot()["alerts"] == {"frozen_band_used": 2}
        await rig.issue(guest, new, replaces=lost.uid)
        assert (await rig.tap(new, "cabin-5012")).code == "granted"
        assert (await rig.tap(old, "cabin-5012")).code == "frozen"
        # Found again, it is encoded for someone else and is as good as new.
        other = await rig.check_in("B2", (5013,))
        await rig.issue(other, old)
        assert (await rig.tap(old, "cabin-5013")).code == "granted"
        assert (await rig.tap(old, "cabin-5012")).code == "wrong_cabin"


async def test_a_band_in_use_is_not_taken_from_its_guest(rig: Rig, tmp_path: Path) -> None:
    async with await BandProcess.start(band(tmp_path), "field") as wrist:
        await rig.issue(await rig.check_in(), wrist)
        thief = await rig.check_in("B2", (5013,))
        await rig.encoder.request(thief.ref, "desk")
        assert (await rig.tap(wrist, "desk")).code == "band_in_use"
        assert (await rig.tap(wrist, "cabin-5012")).code == "granted"


async def test_a_new_party_retires_the_old_one_at_its_cabin(rig: Rig, tmp_path: Path) -> None:
    async with (
        await BandProcess.start(band(tmp_path, "old"), "field") as old,
        await BandProcess.start(band(tmp_path, "mate"), "field") as mate,
        await BandProcess.start(band(tmp_path, "new"), "field") as new,
    ):
        await rig.issue(await rig.check_in("B1"), old)
        await rig.issue(await rig.check_in("B1"), mate)
        assert (await rig.tap(old, "cabin-5012")).code == "granted"
        assert (await rig.tap(mate, "cabin-5012")).code == "granted"
        await rig.issue(await rig.check_in("B2"), new)
        assert (await rig.tap(new, "cabin-5012")).code == "granted"
        assert (await rig.tap(old, "cabin-5012")).code == "superseded"
        assert (await rig.tap(mate, "cabin-5012")).code == "superseded"


async def test_a_blank_band_opens_nothing(rig: Rig, tmp_path: Path) -> None:
    async with await BandProcess.start(band(tmp_path), "field") as wrist:
        assert (await rig.tap(wrist, "cabin-5012")).code == "auth_failed"
        assert rig.doors.signals[-1].open is False


async def test_a_till_serves_only_while_it_asks(rig: Rig, tmp_path: Path) -> None:
    async with await BandProcess.start(band(tmp_path), "field") as wrist:
        guest = await rig.check_in()
        await rig.issue(guest, wrist)
        await wrist.enter("127.0.0.1", rig.ports["bar-1"])  # held to a till that wants nothing
        request = rig.ask("bar-1", 700)
        await rig.payments.request(request)  # and then it does
        assert (await rig.next_tap("bar-1")).code == "posted"
        charges = await rig.store.read(lambda tx: tx.charges_of(GuestRef(guest.ref)))
        assert [c.request.tap_id for c in charges] == [request.tap_id]


async def test_two_readers_at_one_till_charge_one_of_two_bands(rig: Rig, tmp_path: Path) -> None:
    ring = (rig.store, rig.clock, rig.entropy, rig.keyring, rig.aes, SUN_TEMPLATE)
    await rig.add_reader("bar-1b", Place("bar-1", SITE), TillService(TillId("bar-1"), rig.payments, *ring))
    async with (
        await BandProcess.start(band(tmp_path, "one"), "field") as one,
        await BandProcess.start(band(tmp_path, "two"), "field") as two,
    ):
        for wrist, booking in ((one, "B1"), (two, "B2")):
            await rig.issue(await rig.check_in(booking), wrist)
        await one.enter("127.0.0.1", rig.ports["bar-1"])
        await two.enter("127.0.0.1", rig.ports["bar-1b"])
        request = rig.ask("bar-1", 700)
        await rig.payments.request(request)
        codes = {(await rig.next_tap(reader)).code for reader in ("bar-1", "bar-1b")}
        assert codes == {"posted", "idle"}
        sold = await rig.store.read(lambda tx: tx.balance(revenue_account(request.outlet)))
        assert sold == -700
