"""The NFC chip's driver on a real MicroPython against the chip's double, and a gateway's own reader at the antenna."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from tests.micropython.pn532bench import BenchBand, I2cWire, UartWire, bench_band
from tests.micropython.pn532kit import GET_DATA, GET_STATUS, INIT, SET_DATA, SET_META
from tests.micropython.pn532till import (
    ACK_MS,
    AES,
    ENTROPY,
    KEYS,
    LONG_MS,
    REQUEST,
    TEMPLATE,
    UID,
    VERSION,
    WIRES,
    charge_tap,
    codes,
    personaliser,
)

from bandwire import apdu
from steward.errors import CardRefused, CardRemoved
from steward.services.card import CardTalk
from voyage.bandproc import BandOptions

# What the chip is told at its start: SAMConfiguration, GetFirmwareVersion, SetParameters, InitialRFOn of CIU_TxAuto.
START = ["14010001", "02", "1220", "066305", "08630507"]


@WIRES
async def test_a_charge_goes_through_the_chip(keyed_options: BandOptions, wire: type[UartWire | I2cWire]) -> None:
    async with bench_band(keyed_options, wire) as band:
        await band.says("started")
        card = await band.select()
        assert await charge_tap(card) == 1
        assert card.anticollision_id[:1] == b"\x08"
        assert len(card.anticollision_id) == 4
        assert band.chip.ats == bytes.fromhex("067533920380")
        band.chip.deselect()
        again = await band.select()
        assert again.anticollision_id != card.anticollision_id
        assert await charge_tap(again) == 2
        told = [command.hex() for command in band.chip.commands]
        assert told[:5] == START
        target = f"8c050403{card.anticollision_id[1:].hex()}2001fe" + "00" * 16 + "00" * 11 + "0180"
        assert told[5] == target
        taps = len(card.exchanges)
        assert codes(band)[6 : 6 + 2 * taps] == [GET_DATA, SET_DATA] * taps
        assert codes(band)[6 + 2 * taps : 8 + 2 * taps] == [GET_DATA, INIT], "the release ends the wait for a command"
        assert band.said == ["started"]


async def test_check_in_writes_a_keyed_band_over_the_air(keyed_band: BenchBand) -> None:
    """It takes the 4 bytes for Random ID and finds the keyed_band by its SUN message, though Random ID is off in it."""
    work = personaliser(await keyed_band.select())
    state = await work.inspect()
    assert (state.uid, state.active, state.random_id) == (UID, True, True)
    assert set(state.versions) == {VERSION}
    await work.key(state, VERSION, random_id=True)
    keyed_band.chip.deselect()
    assert await charge_tap(await keyed_band.select()) == 1


async def test_a_band_that_is_not_keyed_yet_is_told_apart_only_on_a_cable(tmp_path: Path) -> None:
    """It shows 4 bytes and has no SUN message: there is nothing by which to derive its keys."""
    async with bench_band(BandOptions(tmp_path / "flash", uid=UID)) as band:
        await band.says("started")
        talk = CardTalk(await band.select(), KEYS, AES, ENTROPY, TEMPLATE)
        await talk.select()
        with pytest.raises(CardRefused):
            await talk.identify()


@WIRES
async def test_long_commands_and_answers_go_in_pieces(tmp_path: Path, wire: type[UartWire | I2cWire]) -> None:
    options = BandOptions(tmp_path / "flash", uid=UID)
    async with bench_band(options, wire, what="echo") as band:
        await band.says("started")
        card = await band.select()
        for size in (1, 33, 126, 127, 131, 132, 261, 262, 263, 500, 524):
            capdu = bytes(at % 251 for at in range(size))
            assert await card.exchange(capdu) == capdu * 2
        assert band.chip.asked(SET_META) == 1 + 1 + 1 + 2 + 3 + 3
        with pytest.raises(CardRemoved):
            await card.exchange(bytes(525))  # more than the band keeps
        card = await band.select()
        assert await card.exchange(b"\x00") == bytes(2)


async def test_half_a_command_is_gone_with_its_reader(tmp_path: Path) -> None:
    async with bench_band(BandOptions(tmp_path / "flash", uid=UID), what="echo") as band:
        await band.says("started")
        whole = bytes(range(250)) * 2
        for event in range(1, 12):
            card = await band.select()
            band.chip.faults.field_lost_at = band.chip.events + event
            with contextlib.suppress(CardRemoved):
                assert await card.exchange(whole) == whole * 2
            band.chip.lose_field()
            assert await (await band.select()).exchange(b"\x01") == b"\x01\x01"
            band.chip.deselect()
        assert band.chip.asked(SET_META) > 3, "some readers stayed until the answer"


async def test_a_piece_of_a_message_is_never_taken_or_given_twice(tmp_path: Path) -> None:
    """Whether the chip had a command that it did not acknowledge, its last answer does not tell if that was alike."""
    options = BandOptions(tmp_path / "flash", uid=UID)
    async with bench_band(options, what="echo", ack_ms=ACK_MS) as band:
        await band.says("started")
        whole = bytes(range(250)) * 2
        lost = 0
        for write in range(1, 8):
            card = await band.select()
            band.chip.faults.into[band.chip.received + write] = lambda data: b""
            try:
                assert await card.exchange(whole) == whole * 2
            except CardRemoved:
                lost += 1
            band.chip.faults.into.clear()
            band.chip.lose_field()
        assert 0 < lost < 7


async def test_the_band_hears_of_every_reader_that_is_gone(tmp_path: Path) -> None:
    options = BandOptions(tmp_path / "flash", uid=UID)
    async with bench_band(options, what="echo", long_ms=LONG_MS, ack_ms=ACK_MS) as band:
        await band.says("started")
        endings = [band.chip.deselect, band.chip.lose_field]
        for count, end in enumerate([*endings, lambda: setattr(band.chip, "hung", True), *endings], 1):
            card = await band.select()
            await card.exchange(b"\x01")
            end()
            await band.says("gone", count)
        for frame in range(1, 6):
            card = await band.select()
            band.chip.faults.hang_at = band.chip.sent + frame
            with pytest.raises(CardRemoved):
                for _ in range(3):
                    await card.exchange(b"\x01")
            await band.says("gone", len(endings) * 2 + 1 + frame)


async def test_nothing_of_a_reader_is_left_for_the_next(keyed_band: BenchBand) -> None:
    """Wherever in a tap the field goes: at each command that the chip takes and each answer that it gives."""
    card = await keyed_band.select()
    before = keyed_band.chip.events
    counter = await charge_tap(card)
    tap = keyed_band.chip.events - before + 1
    keyed_band.chip.deselect()
    for event in range(1, tap + 1):
        card = await keyed_band.select()
        await card.exchange(apdu.select_df())
        await card.exchange(bytes.fromhex("9071000002010000"))  # a challenge that is never answered
        keyed_band.chip.lose_field()
        card = await keyed_band.select()
        assert (await card.exchange(bytes.fromhex("90AF0000" + "20" + "00" * 32 + "00"))) in (b"\x91\x1c", b"\x91\xca")
        keyed_band.chip.faults.field_lost_at = keyed_band.chip.events + event
        try:
            last = await charge_tap(card)
        except CardRemoved:
            last = counter
        keyed_band.chip.faults.field_lost_at = 0
        if keyed_band.chip.selected:
            keyed_band.chip.lose_field()
        card = await keyed_band.select()
        now = await charge_tap(card)
        assert now > last >= counter
        counter = now
        keyed_band.chip.deselect()
    assert keyed_band.said == ["started"], "a reader that goes is no fault"


async def test_a_reader_that_thinks_for_long_keeps_its_session(keyed_options: BandOptions) -> None:
    async with bench_band(keyed_options, long_ms=LONG_MS) as band:
        await band.says("started")
        card = await band.select()
        talk = CardTalk(card, KEYS, AES, ENTROPY, TEMPLATE)
        await talk.select()
        await talk.identify()
        await talk.authenticate()
        asked = band.chip.asked(GET_STATUS)
        await band.chip.until(lambda: band.chip.asked(GET_STATUS) >= asked + 3)  # whether there still is a field
        assert await talk.sign_charge(REQUEST) is not None


@WIRES
async def test_the_esp32s_own_board_finds_the_chip_by_its_pins(tmp_path: Path, wire: type[UartWire | I2cWire]) -> None:
    async with bench_band(BandOptions(tmp_path / "flash"), wire, what="esp32") as band:
        card = await band.select()
        assert await card.exchange(apdu.select_df()) == b"\x90\x00"
        assert [command.hex() for command in band.chip.commands[:5]] == START
        assert band.chip.restarts == 1
        assert (tmp_path / "flash" / "made.0").exists()


@pytest.mark.parametrize(("wire", "door", "till"), [(UartWire, 585, 702), (I2cWire, 899, 1105)])
async def test_what_a_tap_costs_on_the_line(
    keyed_options: BandOptions, wire: type[UartWire | I2cWire], door: int, till: int
) -> None:
    """APDUs, commands to the chip, and bytes both ways: by ten bits a byte on the UART, by nine on I2C."""
    costs = []
    async with bench_band(keyed_options, wire) as band:
        for charging in (False, True):
            card = await band.select()
            bytes_before, commands_before = band.wire.passed, len(band.chip.commands)
            talk = CardTalk(card, KEYS, AES, ENTROPY, TEMPLATE)
            await talk.select()
            await talk.identify()
            await talk.authenticate()
            await talk.read_token()
            if charging:
                await talk.sign_charge(REQUEST)
            passed = band.wire.passed - bytes_before
            costs.append((len(card.exchanges), len(band.chip.commands) - commands_before, passed))
            band.chip.deselect()
            await band.chip.armed()
    assert costs == [(5, 10, door), (6, 12, till)]
