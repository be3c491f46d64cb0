"""Cards that talk nonsense, too much, too slowly or not at all, and bands pulled away: the next one is served."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.attack.middleman import Exchange, Middleman, cut_at, passed_on
from tests.attack.shipkit import DESK, DOOR, TILL, assert_open, assert_shut, band, events, ship
from tests.e2e.pcsc_rig import ATR, GET_UID, ScriptedCard

from steward.adapters.memory import MemoryStore
from steward.domain.access import Place
from steward.domain.charges import ChargeState
from steward.domain.events import EventType
from steward.errors import Busy, Conflict, ReaderFault, StoreUnavailable
from steward.ports import Card
from steward.services.encoder import JobState
from steward.services.taps import MeteredCard, Tap
from voyage.rig import Rig

EXCHANGE_LIMIT_S = 0.8  # of these readers: silence is part of the tests
DOOR_APDUS = 5  # with Random ID: SELECT, SUN, two for the proof, the token
UID = bytes.fromhex("04112233445566")
WAIT_S = 10.0


# bands pulled away


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("number", range(DOOR_APDUS))
async def test_a_band_removed_at_an_apdu(tmp_path: Path, number: int, side: str) -> None:
    async with ship() as rig, await band(tmp_path) as wrist:
        await rig.issue(await rig.check_in(), wrist)
        hook = cut_at(number)
        relay = Middleman(rig.ports[DOOR], command=hook if side == "before" else passed_on)
        relay.answer = hook if side == "after" else passed_on
        async with relay:
            await assert_shut(rig, await rig.tap(wrist, DOOR, relay.port), "card_removed")
            assert rig.doors.signals[-1].light == "amber"
        await assert_open(rig, wrist)


async def test_a_door_has_no_more_apdus_than_those(tmp_path: Path) -> None:
    async with ship() as rig, await band(tmp_path) as wrist, Middleman(rig.ports[DOOR]) as relay:
        await rig.issue(await rig.check_in(), wrist)
        assert (await rig.tap(wrist, DOOR, relay.port)).code == "granted"
        assert len(relay.exchanges) == DOOR_APDUS


# a good band up to some point, nonsense from there on

NONSENSE: dict[str, bytes] = {
    "bare 9100": b"\x91\x00",
    "bare 91af": b"\x91\xaf",
    "unknown status": b"\x12\x34",
    "delay": b"\x91\xad",
    "zeros": bytes(30) + b"\x91\x00",
    "long": bytes(256) + b"\x91\x00",
    "17 more": bytes(17) + b"\x91\xaf",
    "one byte": b"\x91",
    "too long": bytes(400),
}


@pytest.mark.parametrize("what", NONSENSE)
async def test_nonsense_from_some_point_on(tmp_path: Path, what: str) -> None:
    """At a door and at a till: refused with a code, nothing booked, and the same band works right afterwards."""
    async with ship() as rig, await band(tmp_path) as wrist:
        guest = await rig.check_in()
        await rig.issue(guest, wrist)
        for number in range(DOOR_APDUS + 1):

            async def answer(exchange: Exchange, start: int = number) -> bytes:
                return exchange.answer if exchange.number < start else NONSENSE[what]

            async with Middleman(rig.ports[DOOR], answer=answer) as relay:
                code = (await rig.tap(wrist, DOOR, relay.port)).code
                assert (code == "granted") == (number == DOOR_APDUS)
            request = rig.ask(TILL, 500 + number)
            await rig.payments.request(request)
            async with Middleman(rig.ports[TILL], answer=answer) as relay:
                await rig.tap(wrist, TILL, relay.port)
            status = await rig.payments.status(request.tap_id)
            assert status.charge is None or status.charge.state is ChargeState.REFUSED
            await rig.payments.cancel(request.tap_id)
        await assert_open(rig, wrist)
        assert (await rig.charge(wrist, TILL, 900)).code == "posted"
        assert await rig.store.read(lambda tx: tx.spent_since(guest.ref, 0)) == 900


# cards that are not cards


async def say(writer: asyncio.StreamWriter, payload: bytes) -> None:
    writer.write(len(payload).to_bytes(2, "big") + payload)
    await writer.drain()


async def hear(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))


@asynccontextmanager
async def intruder(rig: Rig, door: str, apdus: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that has behaved like a card so far and is asked something.

    apdus: how many it has answered after its activation; -1: it has said nothing at all.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.ports[door])
    try:
        if apdus >= 0:
            assert await hear(reader) == b"\x01"
            assert await hear(reader) == b"\x04"
            await say(writer, ATR)
            assert await hear(reader) == GET_UID
            await say(writer, UID + b"\x90\x00")
            for _ in range(apdus):
                await hear(reader)
                await say(writer, b"\x90\x00")
            await hear(reader)
        yield reader, writer
    finally:
        writer.transport.abort()


RAW: dict[str, bytes] = {
    "no length": b"\x00\x00",
    "length of 65535": b"\xff\xff" + bytes(1000),
    "half a length": b"\x00",
    "half a frame": b"\x00\x10" + bytes(5),
    "two frames at once": b"\x00\x02\x90\x00" * 2,
    "text": b"GET / HTTP/1.1\r\nHost: door\r\n\r\n",
    "a megabyte": bytes(range(256)) * 4096,
    "nothing": b"",
}


@pytest.mark.parametrize("what", RAW)
@pytest.mark.parametrize("apdus", [-1, 0, 1], ids=["at once", "activated", "selected"])
async def test_raw_bytes_from_an_intruder(tmp_path: Path, what: str, apdus: int) -> None:
    """The connection is dropped within the exchange limit and the next band is served."""
    async with ship(exchange_limit_s=EXCHANGE_LIMIT_S) as rig, await band(tmp_path) as wrist:
        await rig.issue(await rig.check_in(), wrist)
        async with intruder(rig, DOOR, apdus) as (reader, writer), asyncio.timeout(WAIT_S):
            writer.write(RAW[what])
            if apdus < 0:
                await gone(reader)  # never taken for a card: no tap of it is counted
            else:
                await assert_shut(rig, await rig.next_tap(DOOR), "card_removed")
        await assert_open(rig, wrist)


async def gone(reader: asyncio.StreamReader) -> None:
    """Until the other side has closed or reset the connection."""
    try:
        while await reader.read(4096):
            pass
    except ConnectionError:
        return


async def test_a_drip_of_bytes_does_not_hold_a_door(tmp_path: Path) -> None:
    """One byte at a time is not an answer in time: the limit is for the whole of it."""
    async with ship(exchange_limit_s=EXCHANGE_LIMIT_S) as rig, await band(tmp_path) as wrist:
        await rig.issue(await rig.check_in(), wrist)
        async with intruder(rig, DOOR, 0) as (_, writer):
            drip = asyncio.create_task(dripping(writer))
            await assert_shut(rig, await rig.next_tap(DOOR), "card_removed")
            drip.cancel()
            await asyncio.wait([drip])
        await assert_open(rig, wrist)


async def dripping(writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x01\x00")
    for _ in range(256):
        writer.write(b"\x00")
        await writer.drain()
        await asyncio.sleep(EXCHANGE_LIMIT_S / 20)


async def test_a_crowd_of_silent_intruders(tmp_path: Path) -> None:
    """As many as may wait, all silent: each costs the door one exchange limit, then the guest is served."""
    async with ship(exchange_limit_s=EXCHANGE_LIMIT_S) as rig, await band(tmp_path) as wrist:
        await rig.issue(await rig.check_in(), wrist)
        crowd = [await asyncio.open_connection("127.0.0.1", rig.ports[DOOR]) for _ in range(3)]
        await assert_open(rig, wrist)
        for _, writer in crowd:
            writer.transport.abort()


async def test_answers_at_random(tmp_path: Path) -> None:
    """Whatever a card says, a tap ends with a stable code; three readers, one seed."""
    chance = random.Random(424)
    shapes = [b"", b"\x91\x00", b"\x91\xaf", b"\x90\x00", b"\x91\xad", b"\x91\x1c", b"\x91\xae"]

    def reply(capdu: bytes) -> bytes:
        body = chance.randbytes(chance.choice([0, 1, 4, 12, 16, 20, 32, 56, 144]))
        return (body + chance.choice(shapes)) or b"\x00"

    async with ship() as rig, await band(tmp_path) as wrist:
        guest = await rig.check_in()
        await rig.issue(guest, wrist)
        codes = set()
        for turn in range(240):
            reader = (DOOR, TILL, DESK)[turn % 3]
            if reader == TILL:
                await rig.payments.request(rig.ask(TILL, 100 + turn))
            if reader == DESK:
                job = await rig.encoder.request(guest.ref, DESK)
            card = ScriptedCard(chance.choice([UID, b"\x08\x01\x02\x03"]), reply=reply)
            await card.enter(rig.ports[reader])
            codes.add((await rig.next_tap(reader)).code)
            await card.left()
            if reader == TILL and (pending := rig.payments.pending_for(rig.ask(TILL, 1).till)) is not None:
                await rig.payments.cancel(pending.tap_id)
            if reader == DESK:
                await rig.encoder.cancel(job)
        assert codes <= {"not_our_card", "auth_failed", "auth_delayed", "card_removed", "foreign_card", "card_locked"}
        assert len(codes) >= 4
        await assert_open(rig, wrist)
        assert (await rig.charge(wrist, TILL, 900)).code == "posted"
        assert not any(e.type is EventType.BAND_ISSUED for e in (await events(rig))[6:])


# the gateway's own trouble, with a card in the field


class MoodyStore(MemoryStore):
    """A store that refuses writes with `mood`, once it is set."""

    mood: Exception | None = None

    async def write(self, work):  # type: ignore[no-untyped-def]
        if self.mood is not None:
            raise self.mood
        return await super().write(work)


@pytest.mark.parametrize("mood", [Busy("1024 writes wait"), StoreUnavailable("disk full")], ids=["busy", "disk"])
async def test_a_store_that_refuses_fails_closed(tmp_path: Path, mood: Exception) -> None:
    """No record, no door, no charge; and the readers are there when the store is."""
    store = MoodyStore()
    async with Rig(store) as rig, await band(tmp_path) as wrist:
        await rig.add_encoder(DESK)
        await rig.add_door(DOOR, cabin=5012)
        await rig.add_till(TILL)
        guest = await rig.check_in()
        await rig.issue(guest, wrist)
        request = rig.ask(TILL, 500)
        await rig.payments.request(request)
        job = await rig.encoder.request(guest.ref, DESK)
        store.mood = mood
        for reader in (DOOR, TILL, DESK):
            assert (await rig.tap(wrist, reader)).code == "store_unavailable"
        assert rig.doors.signals[-1].open is False
        assert rig.encoder.job(job).state is JobState.WAITING
        store.mood = None
        await assert_open(rig, wrist)
        assert (await rig.tap(wrist, TILL)).code == "posted"
        assert (await rig.tap(wrist, DESK)).code == "encoded"
        assert await rig.store.read(lambda tx: tx.spent_since(guest.ref, 0)) == 500


async def test_a_job_whose_reader_failed_can_be_cancelled(tmp_path: Path) -> None:
    async with ship() as rig, await band(tmp_path) as wrist:
        guest = await rig.check_in()
        job = await rig.encoder.request(guest.ref, DESK)
        with pytest.raises(Conflict):
            await rig.encoder.request(guest.ref, DESK)

        class Broken:
            anticollision_id = UID

            async def exchange(self, capdu: bytes) -> bytes:
                raise ReaderFault("unplugged")

        card: Card = Broken()
        tap = Tap(MeteredCard(card, rig.clock), Place(DESK, 7), DESK, "encoder", 0.0, 0, True)
        with pytest.raises(ReaderFault):
            await rig.encoder.encode(tap, DESK)
        assert rig.encoder.job(job).state is JobState.WAITING
        assert (await rig.encoder.cancel(job)).code == "cancelled"
        await rig.issue(guest, wrist)
        await assert_open(rig, wrist)


async def test_a_tap_in_flight_is_finished_when_the_gateway_stops(tmp_path: Path) -> None:
    """The readers are told to stop while the door reads the token: the guest still gets in, and it is recorded."""
    store = MemoryStore()
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def hold(exchange: Exchange) -> bytes:
        if exchange.number == DOOR_APDUS - 1:
            reading.set()
            await go_on.wait()
        return exchange.answer

    async with await band(tmp_path) as wrist:
        rig = await Rig(store).__aenter__()
        await rig.add_encoder(DESK)
        await rig.add_door(DOOR, cabin=5012)
        await rig.issue(await rig.check_in(), wrist)
        async with Middleman(rig.ports[DOOR], answer=hold) as relay:
            await wrist.enter("127.0.0.1", relay.port)
            async with asyncio.timeout(WAIT_S):
                await reading.wait()
                stopping = asyncio.create_task(rig.__aexit__(None, None, None))
                done, _ = await asyncio.wait([stopping], timeout=EXCHANGE_LIMIT_S)
                assert not done  # it waits for the tap
                go_on.set()
                await stopping
        assert [signal.open for signal in rig.doors.signals] == [True]
        found = await store.read(lambda tx: tx.events(0, 100))
        assert found[-1].type is EventType.DOOR_OPENED
