"""All the way through real PC/SC: MicroPython band, vpcd, pcscd, pyscard, the services; and other clients than ours."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.e2e.pcsc_rig import LIMIT_S, SELECT_DF, started, talk
from tests.vaultkit import DATA_KEY

from steward.adapters import keyfile
from steward.adapters.keyfile import Role
from steward.adapters.keyring import FileKeyRing
from steward.adapters.pcsc import PcscReader
from steward.adapters.sqlite.store import SqliteStore
from steward.domain.access import Place
from steward.domain.charges import ChargeState
from steward.domain.ids import TillId
from steward.errors import CardRemoved
from steward.services.board import TapRecord
from steward.services.doors import DoorService
from steward.services.taps import TapHandler
from steward.services.tills import TillService
from voyage.bandproc import BandOptions, BandProcess
from voyage.pcscd import Pcscd, VirtualReader
from voyage.rig import SUN_TEMPLATE, Rig

pytestmark = pytest.mark.pcsc
UID = bytes.fromhex("04A1B2C3D4E5F6")
PLACES = ("desk", "cabin-5012", "cabin-5013", "bar-1")


@pytest.fixture(scope="module")
def service() -> Iterator[Pcscd]:
    service = started(len(PLACES))
    yield service
    service.stop()


class PlacedReader(PcscReader):
    """A reader that goes by the name of its place, as the rig's helpers expect."""

    def __init__(self, name: str, place: str) -> None:
        super().__init__(name)
        self._place = place

    @property
    def name(self) -> str:
        return self._place


class Ship:
    """A gateway whose readers are all PC/SC. Its doors hold a door's keys and no others."""

    def __init__(self, rig: Rig, service: Pcscd) -> None:
        self.rig = rig
        self._service = service
        self._at = dict(zip(PLACES, service.readers, strict=True))

    async def open(self) -> None:
        rig = self.rig
        ring = FileKeyRing(keyfile.export(rig.keys, Role.DOOR, 0), rig.aes)
        for name, cabin in (("cabin-5012", 5012), ("cabin-5013", 5013)):
            door = DoorService(rig.store, rig.clock, rig.entropy, ring, rig.aes, SUN_TEMPLATE)
            await self._add(Place(name, rig.site, cabin), door)
        await self._add(Place("desk", rig.site), rig.encoder.handler("desk"))
        till = TillService(
            TillId("bar-1"), rig.payments, rig.store, rig.clock, rig.entropy, rig.keyring, rig.aes, SUN_TEMPLATE
        )
        await self._add(Place("bar-1", rig.site), till)

    async def tap(self, band: BandProcess, place: str) -> TapRecord:
        await self.vacated(place)
        return await self.rig.tap(band, place)

    async def vacated(self, place: str) -> None:
        await asyncio.to_thread(self._service.await_empty, self._at[place])

    async def _add(self, place: Place, handler: TapHandler) -> None:
        virtual = self._at[place.name]
        await self.vacated(place.name)
        self.rig.ports[place.name] = virtual.port
        await self.rig.add_reader(place.name, place, handler, PlacedReader(virtual.name, place.name))


@pytest.fixture
async def ship(service: Pcscd, tmp_path: Path) -> AsyncIterator[Ship]:
    store = SqliteStore.open(tmp_path / "steward.db", DATA_KEY)
    async with Rig(store) as rig:
        ship = Ship(rig, service)
        await ship.open()
        yield ship
    await store.close()


@pytest.fixture
async def desk(service: Pcscd) -> VirtualReader:
    await asyncio.to_thread(service.await_empty, service.readers[0])
    return service.readers[0]


@pytest.fixture
async def reader(desk: VirtualReader) -> AsyncIterator[PcscReader]:
    reader = PcscReader(desk.name)
    yield reader
    await reader.close()


@pytest.mark.parametrize("passive", [False, True], ids=["active", "passive"])
async def test_a_band_is_issued_opens_its_door_and_pays_through_pcsc(ship: Ship, tmp_path: Path, passive: bool) -> None:
    rig = ship.rig
    async with await BandProcess.start(BandOptions(tmp_path / "band", passive=passive), "field") as band:
        guest = await rig.check_in()
        job = await rig.issue(guest, band)
        assert job.active is not passive
        assert (await ship.tap(band, "cabin-5012")).code == "granted"
        assert (await ship.tap(band, "cabin-5013")).code == "wrong_cabin"
        charge = await rig.charge(band, "bar-1", 450)
        assert charge.state is ChargeState.POSTED
        assert charge.evidence is not None
        assert charge.evidence.verified is True
        assert charge.evidence.active is not passive
        await rig.desk.freeze(job.uid, "lost", "desk")
        assert (await ship.tap(band, "cabin-5012")).code == "frozen"
    assert [signal.open for signal in rig.doors.signals] == [True, False, False]


async def test_two_bands_at_two_doors_at_once(ship: Ship, tmp_path: Path) -> None:
    bands = [await BandProcess.start(BandOptions(tmp_path / name), "field") for name in ("a", "b")]
    guests = [await ship.rig.check_in("B1", (5012,)), await ship.rig.check_in("B2", (5013,))]
    for band, guest in zip(bands, guests, strict=True):
        await ship.vacated("desk")
        await ship.rig.issue(guest, band)
    for _ in range(3):
        taps = await asyncio.gather(ship.tap(bands[0], "cabin-5012"), ship.tap(bands[1], "cabin-5013"))
        assert [tap.code for tap in taps] == ["granted", "granted"]
    for band in bands:
        await band.close()


async def test_a_band_whose_power_fails_in_the_field_is_a_removed_card(
    reader: PcscReader, desk: VirtualReader, tmp_path: Path
) -> None:
    band = await BandProcess.start(BandOptions(tmp_path / "band", uid=UID), "field")
    await band.enter("127.0.0.1", desk.port)
    async with asyncio.timeout(LIMIT_S):
        card = await reader.connect()
    assert card.anticollision_id == UID
    assert await card.exchange(SELECT_DF) == b"\x90\x00"
    await band.kill()
    with pytest.raises(CardRemoved):
        await card.exchange(SELECT_DF)


async def test_a_session_does_not_outlive_the_transaction(
    reader: PcscReader, desk: VirtualReader, tmp_path: Path
) -> None:
    """After disconnect the band was powered down: an authentication half done is forgotten, the next card is fresh."""
    again = PcscReader(desk.name)
    async with await BandProcess.start(BandOptions(tmp_path / "band", uid=UID), "field") as band:
        await band.enter("127.0.0.1", desk.port)
        async with asyncio.timeout(LIMIT_S):
            card = await reader.connect()
        await card.exchange(SELECT_DF)
        first_part = await card.exchange(bytes.fromhex("9071000002000000"))
        assert first_part[-2:] == b"\x91\xaf"
        await reader.disconnect(card)
        await reader.close()
        async with asyncio.timeout(LIMIT_S):
            card = await again.connect()
        assert await card.exchange(bytes.fromhex("90AF000020") + bytes(33)) == b"\x91\x1c"  # nothing was begun
    await again.close()


async def test_opensc_talks_to_the_band(service: Pcscd, desk: VirtualReader, tmp_path: Path) -> None:
    tool = shutil.which("opensc-tool")
    assert tool is not None, "this test needs an independent PC/SC client; on Debian: apt install opensc"
    async with await BandProcess.start(BandOptions(tmp_path / "band", uid=UID), "field") as band:
        await band.enter("127.0.0.1", desk.port)
        select, read_cc = "00:A4:04:00:07:D2:76:00:00:85:01:01:00", "00:A4:00:0C:02:E1:03"
        arguments = ["--send-apdu", select, "--send-apdu", read_cc, "--send-apdu", "00:B0:00:00:0F"]
        code, said = await talk(service, tool, "--reader", desk.name, "--wait", *arguments)
    assert code == 0, said
    assert said.count("Received (SW1=0x90, SW2=0x00)") == 3
    assert "00 17 20 01 00 00 FF 04 06 E1 04 01 00 00 00" in said


async def test_scriptor_talks_to_the_band(
    service: Pcscd, reader: PcscReader, desk: VirtualReader, tmp_path: Path
) -> None:
    tool = shutil.which("scriptor")
    assert tool is not None, "this test needs an independent PC/SC client; on Debian: apt install pcsc-tools"
    script = tmp_path / "script"
    script.write_text("FF CA 00 00 00\n00 A4 04 00 07 D2 76 00 00 85 01 01 00\n90 64 00 00 01 00 00\n")
    async with await BandProcess.start(BandOptions(tmp_path / "band", uid=UID), "field") as band:
        await band.enter("127.0.0.1", desk.port)
        async with asyncio.timeout(LIMIT_S):  # scriptor does not wait for a card
            await reader.disconnect(await reader.connect())
        code, said = await talk(service, tool, "-r", desk.name, str(script))
    assert code == 0, said
    answers = [line.split(" : ")[0].strip() for line in said.splitlines() if line.startswith("< ")]
    assert answers == ["< 04 A1 B2 C3 D4 E5 F6 90 00", "< 90 00", "< 00 91 00"]
