"""A release that is halted while it is sent is tried by nobody; who is looked for is not updated because of that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from tests.contract.makers import uid
from tests.releasekit import Aboard, container, order, told
from tests.unit.radiokit import ADDRESS, UID, afloat

from bandwire import radio as bandradio
from bandwire import release as wire
from steward.domain.bandstages import BandState, BandUpdate, Stage, Tally, encode_orders
from steward.domain.guests import BandState as Worn
from steward.domain.ids import Uid
from steward.ports import Tx
from steward.ports.radio import RadioState, Sighting
from steward.services.bandupdater import BandUpdater, UpdaterSettings
from steward.services.presence import Heard

Deed = Callable[[Aboard], Awaitable[None]]


class Talking:
    """ports.radio.Talk."""

    def __init__(self, band: Talker) -> None:
        self._band = band

    async def ask(self, kind: int, data: bytes = b"") -> tuple[int, bytes]:
        return await self._band.said(kind, data)


@dataclass
class Talker:
    """A radio with a band at it that takes whatever it is sent. meanwhile: what happens before its first answer."""

    aboard: Aboard
    uid: Uid
    meanwhile: dict[int, Deed] = field(default_factory=dict)
    answers: dict[int, int] = field(default_factory=dict)
    listens: bool = True
    name: str = "gw1"
    zone: str = "pool"
    kinds: list[int] = field(default_factory=list)

    def status(self) -> RadioState:
        return RadioState(self.name, self.zone, "on", 0, 0)

    def take(self) -> Sequence[Sighting]:
        return []

    async def ask(self, address: str, passkey: int, kind: int, data: bytes) -> tuple[int, bytes]:
        return await self.said(kind, data)

    @asynccontextmanager
    async def talk(self, address: str, passkey: int) -> AsyncIterator[Talking]:
        yield Talking(self)

    # services.bandupdater.Ears

    def heard_now(self) -> Sequence[Uid]:
        return [self.uid]

    def where(self, uid: Uid) -> Heard | None:
        return Heard(self, ADDRESS, 0, 0.0, None)

    def passkey(self, uid: Uid, heard: Heard, address: bytes) -> int:
        return 1

    def spent(self, uid: Uid) -> None:
        return None

    async def said(self, kind: int, data: bytes = b"") -> tuple[int, bytes]:
        self.kinds.append(kind)
        if kind in self.meanwhile:
            await self.meanwhile.pop(kind)(self.aboard)
        if kind == bandradio.VERSION:
            return bandradio.DONE, told(1)
        at = 0
        if kind == bandradio.UPDATE_DATA:
            at = int.from_bytes(data[:4], "little") + len(data) - 4
        return bandradio.DONE, wire.answer(self.answers.get(kind, wire.OK), at)


async def halted(aboard: Aboard) -> None:
    await aboard.releases.halt()


async def withdrawn(aboard: Aboard) -> None:
    await aboard.hear(50, encode_orders(None))


async def withdrawn_and_seen(aboard: Aboard) -> None:
    await withdrawn(aboard)
    await aboard.releases.look()


async def replaced(aboard: Aboard) -> None:
    await aboard.hear(50, encode_orders(order(container(8), 8)))


async def replaced_by_another_file(aboard: Aboard) -> None:
    """Of the same number."""
    other = container(7)
    aboard.files.put(other)
    await aboard.hear(50, encode_orders(order(other, 7)))
    await aboard.releases.look()


async def narrowed(aboard: Aboard) -> None:
    """The same file for others."""
    opened = await aboard.releases.next_for(uid(1))
    assert opened is not None
    await aboard.hear(50, encode_orders(order(opened.content, 7, Stage(None, (1, 2), 1, 0))))


async def frozen(aboard: Aboard) -> None:
    def work(tx: Tx) -> None:
        band = tx.band(uid(1))
        assert band is not None
        tx.put_band(replace(band, state=Worn.FROZEN))

    await aboard.store.write(work)


EVERY = [halted, withdrawn, withdrawn_and_seen, replaced, replaced_by_another_file]


async def visited(band: Talker) -> BandUpdate | None:
    """What is known of the band after a visit."""
    await BandUpdater(band.aboard.releases, band, band.aboard.clock, UpdaterSettings(0, 0, 0)).look()
    return await band.aboard.store.read(lambda tx: tx.band_update(band.uid))


async def aboard_with_one() -> tuple[Aboard, Talker]:
    aboard = Aboard()
    (one,) = await aboard.issue(1)
    await aboard.given(7)
    return aboard, Talker(aboard, one)


async def test_a_band_that_takes_it_is_sent_all_of_it() -> None:
    _, band = await aboard_with_one()
    update = await visited(band)
    assert update is not None
    assert (update.state, update.tries) == (BandState.TRYING, 1)
    assert band.kinds == [bandradio.VERSION, bandradio.UPDATE_BEGIN, bandradio.UPDATE_DATA, bandradio.UPDATE_END]


@pytest.mark.parametrize(
    ("kind", "deed"),
    [
        *((bandradio.VERSION, deed) for deed in (*EVERY, narrowed, frozen) if deed is not replaced_by_another_file),
        *((bandradio.UPDATE_BEGIN, deed) for deed in (*EVERY, narrowed, frozen)),
    ],
)
async def test_a_release_that_is_called_back_before_it_is_sent_is_not_sent(kind: int, deed: Deed) -> None:
    _, band = await aboard_with_one()
    band.meanwhile[kind] = deed
    assert await visited(band) is None
    assert band.kinds[-1] == kind  # and nothing after it


async def test_another_file_that_was_ordered_before_the_talk_is_the_one_that_is_sent() -> None:
    aboard, band = await aboard_with_one()
    band.meanwhile[bandradio.VERSION] = replaced_by_another_file
    offered: list[bytes] = []
    said = band.said

    async def listening(kind: int, data: bytes = b"") -> tuple[int, bytes]:
        offered.extend([data] if kind == bandradio.UPDATE_BEGIN else [])
        return await said(kind, data)

    band.said = listening  # type: ignore[method-assign]
    await visited(band)
    release = await aboard.releases.next_for(band.uid)
    assert release is not None
    assert offered == [release.begin()]


@pytest.mark.parametrize("deed", EVERY)
async def test_a_release_that_is_called_back_while_it_is_sent_is_not_tried(deed: Deed) -> None:
    _, band = await aboard_with_one()
    band.meanwhile[bandradio.UPDATE_DATA] = deed
    await visited(band)
    assert band.kinds[-1] == bandradio.UPDATE_DATA


async def test_a_release_that_is_called_back_between_two_bands_goes_to_one() -> None:
    aboard = Aboard()
    one, two = await aboard.issue(2)
    await aboard.given(7)
    band = Talker(aboard, one, {bandradio.UPDATE_END: halted})
    band.heard_now = lambda: [one, two]  # type: ignore[method-assign]
    await visited(band)
    assert band.kinds.count(bandradio.VERSION) == 1


async def test_who_has_not_looked_since_another_release_was_ordered_sends_none() -> None:
    """Two that bring releases to the bands of one store: the slower one holds the old file."""
    slow = Aboard()
    (one,) = await slow.issue(1)
    await slow.given(7)
    old = await slow.releases.next_for(one)
    assert old is not None
    quick = Aboard(slow.store)
    await quick.given(8)
    assert await quick.releases.next_for(one) is not None
    assert await slow.releases.next_for(one) is None
    assert not await slow.releases.begin(one, old)
    assert not await slow.releases.goes_on(old)
    await slow.releases.heard(one, told(7))  # nor does the old one's word count for the new one
    status = await quick.releases.status()
    assert status is not None
    assert status.tally == Tally()
    await slow.hear(50, encode_orders(order(old.content, 7)))  # ordered anew: the ship's stages are still of the other
    assert await slow.releases.next_for(one) is None
    await slow.releases.look()
    assert await slow.releases.next_for(one) is not None


async def test_a_file_that_is_read_slowly_is_not_taken_for_the_one_ordered_meanwhile() -> None:
    aboard = Aboard()
    (one,) = await aboard.issue(1)
    at_once, reading, go_on = aboard.files.read, asyncio.Event(), asyncio.Event()
    old = container(7)
    aboard.files.put(old)

    async def read(sha256: str) -> bytes | None:
        content = await at_once(sha256)
        if content == old:
            reading.set()
            await go_on.wait()
        return content

    aboard.files.read = read  # type: ignore[method-assign]
    await aboard.hear(1, encode_orders(order(old, 7)))
    looking = asyncio.create_task(aboard.releases.look())
    await reading.wait()
    await aboard.given(8)
    go_on.set()
    await looking
    assert await aboard.releases.next_for(one) is None  # until the next look
    await aboard.releases.look()
    offered = await aboard.releases.next_for(one)
    assert offered is not None
    assert offered.number == 8


@pytest.mark.parametrize("code", [wire.BATTERY, wire.TAP, wire.ON_TRIAL])
async def test_a_band_that_asks_for_later_uses_up_no_try(code: int) -> None:
    aboard, band = await aboard_with_one()
    band.answers[bandradio.UPDATE_BEGIN] = code
    assert await visited(band) is None
    assert await aboard.releases.next_for(band.uid) is not None


async def test_who_is_looked_for_is_not_updated_because_of_that() -> None:
    ship = await afloat()
    ship.say(ship.pool)
    await ship.presence.tick()
    assert ship.presence.heard_now() == [UID]
    await ship.agree(yes=False)
    await ship.presence.seek(UID, ship.clock.ms + 60_000)
    ship.say(ship.pool)
    await ship.presence.tick()
    assert ship.presence.where(UID) is not None
    assert ship.presence.heard_now() == []


@pytest.mark.parametrize(("hour", "visits"), [(1, False), (2, True), (4, True), (5, False), (14, False)])
async def test_bands_are_left_alone_by_day(hour: int, visits: bool) -> None:
    aboard = Aboard()
    (one,) = await aboard.issue(1)
    await aboard.given(7)
    now_s = aboard.clock.now().unix_s
    aboard.clock.wall_s += 3600 * ((hour - now_s // 3600) % 24) + 1800 - now_s % 3600
    band = Talker(aboard, one)
    await BandUpdater(aboard.releases, band, aboard.clock, UpdaterSettings()).look()
    assert bool(band.kinds) is visits
