"""What goes wrong on the air: a gateway lost at any packet, crowds, a jam, a spoofer; and taps in the middle."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from bumble import core
from tests.radio.radiokit import AES, Gateway, Wearer, name_at, names_of, passkey_for, wearing

from bandwire import eid, radio
from bandwire.condition import WISH_OFF
from voyage.air import Crowd, Spoofer, open_air
from voyage.airbackend import LOST

STORM_TAPS = 8
CROWD = 500
# Packets before the two lose each other. A whole visit has 107: 90 of the pairing, 14 of discovery, 3 of a request.
DROPS = (*range(0, 110, 6), 200)


async def visit(gateway: Gateway, wearer: Wearer) -> None:
    """Everything a gateway does with a band."""
    await gateway.meet(wearer, 0)
    assert (await gateway.ask(radio.BUZZ, radio.buzz_data(1)))[0] == radio.DONE
    assert (await gateway.ask(radio.BATTERY))[0] == radio.DONE


async def test_a_gateway_lost_at_any_packet_leaves_the_band_showing_its_name(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        whole = []
        for after in DROPS:
            period = await fresh_period(wearer)
            async with Gateway(wearer.air, "F0:00:00:00:00:55") as gateway:
                wearer.air.link.packets_left[gateway.controller] = after
                if await visited_whole(wearer, gateway, period):
                    whole.append(after)
                else:
                    assert not gateway.connected
                wearer.air.link.packets_left.clear()
            await wearer.until(lambda: wearer.shown() is not None)
        assert whole == [108, 200]
        period = await fresh_period(wearer)
        async with Gateway(wearer.air) as gateway:
            await meet_and_ask(gateway, wearer, period)


async def visited_whole(wearer: Wearer, gateway: Gateway, period: int) -> bool:
    """Whether a visit came to its end before the two lost each other: whoever is lost is waited for no longer."""
    visiting = asyncio.create_task(meet_and_ask(gateway, wearer, period))
    await wearer.until(lambda: visiting.done() or gateway.controller in wearer.air.link.lost)
    if gateway.controller in wearer.air.link.lost:
        visiting.cancel()
        with contextlib.suppress(*LOST, asyncio.CancelledError):
            await visiting
        return False
    await visiting
    return True


async def meet_and_ask(gateway: Gateway, wearer: Wearer, period: int) -> None:
    await gateway.meet(wearer, period)
    assert (await gateway.ask(radio.BATTERY))[0] == radio.DONE


async def fresh_period(wearer: Wearer) -> int:
    """A period in which no pairing has failed yet."""
    before = wearer.shown()
    await wearer.pass_ms(radio.PERIOD_S * 1000)
    await wearer.until(lambda: wearer.shown() not in (None, before))
    told = await wearer.tap()
    assert told is not None
    assert told.period is not None
    return told.period


async def test_out_of_range_and_back(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        async with Gateway(wearer.air) as gateway:
            await visit(gateway, wearer)
            band = await wearer.radio()
            assert band.controller is not None
            wearer.air.link.lose(band.controller)
            await wearer.until(lambda: not gateway.connected)
            await wearer.until(lambda: wearer.shown() is not None)
            with wearer.air.listening() as heard:
                await wearer.settle()
                await asyncio.sleep(0.1)
                assert not heard
                wearer.air.link.lost.clear()
                assert names_of((await wearer.next_name(heard)).data)[0] == name_at(0)
            await visit(gateway, wearer)


async def test_a_jam_keeps_nothing_but_the_radio_from_working(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        wearer.air.link.jammed = True
        told = await wearer.tap()
        assert told is not None
        assert told.radio_on
        async with Gateway(wearer.air) as gateway:
            address = wearer.shown()
            assert address is not None
            with pytest.raises(core.TimeoutError):
                await gateway.connect(address, 0.2)
        wearer.air.link.jammed = False
        async with Gateway(wearer.air) as gateway:
            await visit(gateway, wearer)


async def test_taps_come_first_in_a_storm_of_requests(tmp_path: Path) -> None:
    """A gateway that asks without pause: each tap is answered all the same, and switches the radio off at its wish."""
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        async with Gateway(wearer.air) as gateway:
            await gateway.meet(wearer, 0)

            async def storm() -> None:
                with contextlib.suppress(*LOST):
                    while gateway.connected:
                        await gateway.write(radio.pack_request(radio.UPDATE_DATA, 1, bytes(200))[0])

            raging = asyncio.create_task(storm())
            try:
                for _ in range(STORM_TAPS):
                    told = await wearer.tap()
                    assert told is not None
                    assert told.radio_on
                await wearer.tap(WISH_OFF)
                await wearer.until(lambda: not gateway.connected)
            finally:
                raging.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await raging
        await wearer.settle()
        assert wearer.shown() is None


def strangers(count: int) -> list[tuple[str, bytes]]:
    """Advertisers of the same kind, with keys of their own."""
    out = []
    for number in range(count):
        key = eid.temporary_key(AES, number.to_bytes(16, "big"), 0)
        name = eid.eid(AES, key, 0, radio.PERIOD_EXPONENT)
        address = ":".join(f"{byte:02X}" for byte in (0x20, 0, 0, 0, number >> 8, number & 0xFF))
        out.append((address, eid.advertisement(name, 0)))
    return out


async def test_among_five_hundred_others_it_is_heard_connected_to_and_tapped(tmp_path: Path) -> None:
    async with (
        open_air() as air,
        wearing(tmp_path, air) as wearer,
        Crowd(air, strangers(CROWD), 0.0005) as crowd,
    ):
        await wearer.switch_on()
        with air.listening() as heard:
            async with Gateway(air) as gateway:
                await gateway.device.start_scanning()
                await wearer.until(lambda: crowd.said >= CROWD)
                await wearer.until(lambda: name_at(0) in {each.data[13:21] for each in heard})
                await visit(gateway, wearer)
        assert len({each.address for each in heard}) > CROWD
        told = await wearer.tap()
        assert told is not None
        assert told.radio_on


async def test_a_spoofer_repeats_a_name_and_gets_no_further(tmp_path: Path) -> None:
    """Whoever connects to it shows no passkey that would be of use at the band."""
    async with open_air() as air, open_air() as elsewhere, wearing(tmp_path, air) as wearer:
        await wearer.switch_on()
        false = "11:22:33:44:55:66"
        spoofer = Spoofer(elsewhere, false)
        with elsewhere.listening() as heard, air.listening() as near:
            air.link.ears.append(spoofer.hear)
            await wearer.until(lambda: len(heard) > 0)
            await wearer.next_name(near)
        assert {each.address for each in heard} == {false}
        assert names_of(heard[0].data)[0] == name_at(0)
        address = wearer.shown()
        assert address is not None
        assert passkey_for(false, 0) != passkey_for(address, 0)
        async with Gateway(air, "F0:00:00:00:00:44") as gateway:
            await gateway.connect(address)
            with pytest.raises(core.ProtocolError):
                await gateway.pair(passkey_for(false, 0))


async def test_memory_while_it_charges_advertises_and_serves(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        (wearer.state / "battery").write_text("80 charging")
        off = await wearer.process.mem()
        await wearer.switch_on()
        async with Gateway(wearer.air) as gateway:
            await visit(gateway, wearer)
            for kind in (radio.UPDATE_BEGIN, radio.UPDATE_DATA):
                await gateway.ask(kind, bytes(radio.PAYLOAD_MAX))
            await wearer.tap()
            on = await wearer.process.mem()
        for _ in range(3):
            await wearer.until(lambda: wearer.shown() is not None)
            async with Gateway(wearer.air) as gateway:
                await meet_and_ask(gateway, wearer, 0)
        again = await wearer.process.mem()
        assert on.peak < on.heap * 0.95
        assert on.used - off.used < 48 * 1024, "the radio's own, on a build whose words are twice the chip's"
        assert abs(again.used - on.used) < 2048, "nothing is left behind by a connection"


async def test_the_air_that_goes_away_leaves_a_band_that_is_tapped(tmp_path: Path) -> None:
    """The stack answers no more, as after a fault of the chip's: the card is served, and the radio tried again."""
    async with open_air() as air, wearing(tmp_path, air) as wearer:
        await wearer.switch_on()
        await (await wearer.radio()).close()
        await wearer.pass_ms(radio.PERIOD_S * 1000)
        told = await wearer.tap()
        assert told is not None
        assert told.radio_on
        await wearer.pass_ms(120_000)
        assert (await wearer.tap(WISH_OFF)) is not None
        told = await wearer.tap()
        assert told is not None
        assert not told.radio_on
