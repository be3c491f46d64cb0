"""What a line may do to the NFC chip's bytes, and the chip to the band: the next reader is served all the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.micropython.pn532bench import BenchBand, I2cWire, UartWire, bench_band
from tests.micropython.pn532kit import ACK, INIT, SYNTAX_ERROR, Faults
from tests.micropython.pn532till import ACK_MS, LONG_MS, WIRES, charge_tap

from bandwire import apdu, faults
from steward.errors import CardRemoved
from voyage.bandproc import BandOptions

UNSEEN = ("start lost", "all lost")


def byte_lost(frame: bytes) -> bytes:
    """Without one of its middle bytes that is not 0: a lost 0 leaves a frame's sum as it was, with its end for the sum.

    That a MAC of the card sees, and the tap is refused.
    """
    where = next(at for at in range(len(frame) // 2, len(frame)) if frame[at])
    return frame[:where] + frame[where + 1 :]


BENDS: dict[str, Callable[[bytes], bytes]] = {
    "first byte lost": lambda data: data[1:],
    "start lost": lambda data: data[3:],
    "byte lost": byte_lost,
    "bent": lambda data: data[:-2] + bytes([data[-2] ^ 0x10]) + data[-1:],
    "all lost": lambda data: b"",
    "noise before": lambda data: b"\x00\x13\xff\x00\xff\x07\xf8" + data,
    "ACK before": lambda data: ACK + data,
}


@pytest.mark.parametrize("kind", BENDS)
@pytest.mark.parametrize("way", ["from the chip", "to the chip"])
async def test_what_the_line_loses_or_bends_is_asked_for_again(keyed_options: BandOptions, kind: str, way: str) -> None:
    """One frame after another of a tap, and no reader notices.

    Where nothing at all is left of an answer, the driver takes its reader for silent, and asks after a while.
    """
    async with bench_band(keyed_options, long_ms=LONG_MS // 2 if kind in UNSEEN else 60_000, ack_ms=ACK_MS) as band:
        await band.says("started")
        await tap_with_faults(band, BENDS[kind], way)


async def tap_with_faults(band: BenchBand, bend: Callable[[bytes], bytes], way: str) -> None:
    chip = band.chip
    card = await band.select()
    sent, received = chip.sent, chip.received
    counter = await charge_tap(card)
    frames = chip.sent - sent if way == "from the chip" else chip.received - received
    for frame in range(1, frames):
        if way == "from the chip":
            chip.faults.out[chip.sent + frame] = bend
        else:
            chip.faults.into[chip.received + frame] = bend
        assert await charge_tap(card) == counter + 1
        counter += 1
        assert not chip.faults.out
        assert not chip.faults.into
    assert band.said == ["started"]
    assert chip.restarts == 1


@WIRES
async def test_a_chip_that_hangs_is_reset_and_serves_the_next_reader(
    keyed_options: BandOptions, wire: type[UartWire | I2cWire]
) -> None:
    async with bench_band(keyed_options, wire, long_ms=LONG_MS, ack_ms=ACK_MS) as band:
        await band.says("started")
        card = await band.select()
        before = band.chip.sent
        counter = await charge_tap(card)
        frames = band.chip.sent - before
        for frame in range(1, frames + 1, 5):
            band.chip.faults.hang_at = band.chip.sent + frame
            restarts = band.chip.restarts
            with pytest.raises(CardRemoved):
                while True:
                    counter = await charge_tap(card)
            band.chip.faults.hang_at = 0
            card = await band.select()
            assert band.chip.restarts == restarts + 1
            now = await charge_tap(card)
            assert now > counter
            counter = now
        assert {line.split()[1] for line in band.said[1:]} == {str(faults.NFC_RESTARTED)}


async def test_a_chip_that_fell_over_while_nobody_was_there_is_found(keyed_options: BandOptions) -> None:
    async with bench_band(keyed_options, long_ms=LONG_MS) as band:
        await band.says("started")
        await band.chip.select()
        band.chip.lose_field()
        await band.chip.armed()
        band.chip.power_on()  # a dip of its supply: it has forgotten everything
        assert await charge_tap(await band.select()) == 1


async def test_a_reader_that_leaves_without_the_chips_telling_is_found_gone(keyed_options: BandOptions) -> None:
    async with bench_band(keyed_options, faults=Faults(mute_loss=True), long_ms=LONG_MS) as band:
        await band.says("started")
        card = await band.select()
        await card.exchange(apdu.select_df())
        await band.chip.listening()
        band.chip.lose_field()
        assert band.chip.selected
        band.chip.faults.mute_loss = False
        await band.chip.armed()
        assert await charge_tap(await band.select()) == 1


@WIRES
async def test_a_dead_chip_is_told_and_tried_again(keyed_options: BandOptions, wire: type[UartWire | I2cWire]) -> None:
    async with bench_band(keyed_options, wire, Faults(dead=True), long_ms=LONG_MS, ack_ms=ACK_MS // 2) as band:
        await band.says("no chip")
        silent = f"fault {faults.NFC_SILENT} 20"
        assert band.said[:4] == [f"fault {faults.NFC_RESTARTED} 20"] * 3 + [silent]
        await band.says(silent, 3)
        assert band.said == [*band.said[:4], "no chip", silent, silent], "one try at a time"
        band.chip.faults.dead = False
        assert await charge_tap(await band.select()) == 1


async def test_another_chip_in_its_place_is_told(keyed_options: BandOptions) -> None:
    async with bench_band(keyed_options, long_ms=LONG_MS) as band:
        band.chip.ic = 0x07
        await band.says("no chip")
        assert band.said[3] == f"fault {faults.NFC_WRONG_CHIP} 2"


async def test_a_chip_that_falls_over_under_a_reader_is_started_anew(keyed_options: BandOptions) -> None:
    async with bench_band(keyed_options, long_ms=LONG_MS) as band:
        await band.says("started")
        await (await band.select()).exchange(apdu.select_df())
        band.chip.power_on()
        assert await charge_tap(await band.select()) == 1
        assert len(band.said) == 2
        assert band.said[1].startswith(f"fault {faults.NFC_RESTARTED} ")


async def test_a_chip_that_refuses_a_command_is_reset(keyed_band: BenchBand) -> None:
    card = await keyed_band.select()
    await card.exchange(apdu.select_df())
    keyed_band.chip.faults.out[keyed_band.chip.sent + 2] = lambda data: SYNTAX_ERROR
    with pytest.raises(CardRemoved):
        await card.exchange(apdu.select_df())
        await card.exchange(apdu.select_df())
    assert await charge_tap(await keyed_band.select()) == 1
    assert keyed_band.said[1].startswith(f"fault {faults.NFC_RESTARTED} ")


@WIRES
async def test_a_slow_chip_loses_no_reader(keyed_options: BandOptions, wire: type[UartWire | I2cWire]) -> None:
    async with bench_band(keyed_options, wire, Faults(delay_s=0.02)) as band:
        await band.says("started")
        assert await charge_tap(await band.select()) == 1
        assert band.said == ["started"]


async def test_what_came_while_the_band_slept_is_asked_for_again(keyed_band: BenchBand) -> None:
    assert isinstance(keyed_band.wire, UartWire)
    await keyed_band.chip.armed()
    keyed_band.wire.lose_next = True
    assert await charge_tap(await keyed_band.select()) == 1
    assert keyed_band.said == ["started"]


async def test_a_chip_that_does_not_take_its_address_at_once_is_asked_again(keyed_options: BandOptions) -> None:
    async with bench_band(keyed_options, I2cWire) as band:
        assert isinstance(band.wire, I2cWire)
        await band.says("started")
        card = await band.select()
        for refusals in (1, 2):
            await card.exchange(apdu.select_df())
            band.wire.refusals = refusals
        await card.exchange(apdu.select_df())
        assert band.said == ["started"]


async def test_a_signal_that_means_nothing_loses_no_reader(keyed_options: BandOptions) -> None:
    """The button wakes the band as the chip does. A pin that is stuck is the chip's fault, and told as one."""
    async with bench_band(keyed_options, ack_ms=ACK_MS) as band:
        assert isinstance(band.wire, UartWire)
        await band.says("started")
        await band.chip.armed()
        armed = band.chip.asked(INIT)
        band.wire.signal = True  # until the band speaks
        await band.chip.until(lambda: band.chip.asked(INIT) > armed)
        assert await charge_tap(await band.select()) == 1
        assert band.said == ["started"]
        band.chip.deselect()
        band.wire.stuck = True
        await band.says(f"fault {faults.NFC_SILENT} {INIT}")
