"""Who switches the radio, and what of it outlives a power cut. The real firmware, tapped by a reader."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.micropython.bandlab import read_record, write_record
from tests.radio.radiokit import AES, PERIOD_MS, Wearer, name_at, names_of, wearing

from bandwire import apdu, radio
from bandwire.condition import WISH_OFF, WISH_ON
from bandwire.errors import AuthFailed
from bandwire.files import FULL, PLAIN
from bandwire.keys import change_key_data

LONG_MS = 3_500


async def is_off(wearer: Wearer) -> bool:
    """By its own word, and nothing on the air."""
    told = await wearer.tap()
    assert told is not None
    assert told.radio
    return not told.radio_on and wearer.shown() is None


async def test_it_is_off_from_the_factory_and_for_a_band_of_an_older_firmware(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        with wearer.air.listening() as heard:
            assert await is_off(wearer)
            assert not list(wearer.state.glob("radio.*"))
            await wearer.pass_ms(10 * PERIOD_MS)
            assert await is_off(wearer)
        assert not heard


async def test_a_band_without_a_radio_tells_of_none(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.restart(air=None)
        assert await wearer.tap(WISH_ON) is None
        assert await wearer.tap() is None
        assert not list(wearer.state.glob("radio.*"))


async def test_a_radio_that_does_not_work_is_tried_again_and_the_card_is_served(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.restart(broken=("ble",))
        for _ in range(3):
            await wearer.tap(WISH_ON)
            await wearer.pass_ms(61_000)
        told = await wearer.tap(WISH_OFF)
        assert told is not None
        assert told.radio_on, "as the guest wants it"
        assert wearer.shown() is None
        assert await is_off(wearer)


async def test_a_wish_switches_it_on_and_off_and_the_band_tells_the_period(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        with wearer.air.listening() as heard:
            await wearer.switch_on()
            name, power = names_of((await wearer.next_name(heard)).data)
            assert (name, power) == (name_at(0), 3)
            told = await wearer.tap()
            assert told is not None
            assert told.radio_on
            assert told.period == 0
            await wearer.pass_ms(5 * PERIOD_MS)
            told = await wearer.tap(WISH_OFF)
            assert told is not None
            assert told.period == 5
            await wearer.until(lambda: wearer.shown() is None)
            assert await is_off(wearer)


async def wish_without_a_command(wearer: Wearer) -> None:
    async with wearer.field.tapping(wearer.process) as tap:
        await tap.authenticate(WISH_ON)


async def wish_and_a_command_without_a_mac(wearer: Wearer) -> None:
    async with wearer.field.tapping(wearer.process) as tap:
        await tap.authenticate(WISH_ON)
        assert tap.channel is not None
        read = tap.channel.command(apdu.INS_READ_DATA, apdu.file_range(1, 0, 7), mode=PLAIN)
        assert len(tap.channel.response(await tap.apdu(read), PLAIN)) == 7


async def wish_and_a_command_with_a_wrong_mac(wearer: Wearer) -> None:
    async with wearer.field.tapping(wearer.process) as tap:
        await tap.authenticate(WISH_ON)
        assert tap.channel is not None
        raw = bytearray(tap.channel.command(apdu.INS_GET_CARD_UID, mode=FULL))
        raw[-2] ^= 1
        assert await tap.apdu(bytes(raw)) == bytes.fromhex("911e")


async def wish_and_then_another_authentication(wearer: Wearer) -> None:
    async with wearer.field.tapping(wearer.process) as tap:
        await tap.authenticate(WISH_ON)
        await tap.authenticate()
        await tap.read_uid()


async def wish_put_in_on_the_way(wearer: Wearer) -> None:
    async with wearer.field.tapping(wearer.process) as tap:
        with pytest.raises(AuthFailed, match="another wish"):
            await tap.authenticate(arrives=WISH_ON)


async def wish_turned_round_on_the_way(wearer: Wearer) -> None:
    async with wearer.field.tapping(wearer.process) as tap:
        with pytest.raises(AuthFailed, match="another wish"):
            await tap.authenticate(WISH_OFF, arrives=WISH_ON)


async def wish_of_a_reader_without_the_key(wearer: Wearer) -> None:
    async with wearer.field.tapping(wearer.process) as tap:
        with pytest.raises(Exception, match="91AE"):
            await tap.authenticate(WISH_ON, key=bytes(16))


ATTACKS = [
    wish_without_a_command,
    wish_and_a_command_without_a_mac,
    wish_and_a_command_with_a_wrong_mac,
    wish_and_then_another_authentication,
    wish_put_in_on_the_way,
    wish_turned_round_on_the_way,
    wish_of_a_reader_without_the_key,
]


async def test_no_wish_is_believed_before_its_reader_proved_it(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        for attack in ATTACKS:
            await attack(wearer)
            assert await is_off(wearer), attack.__name__
        await wearer.switch_on()  # and it would have worked


async def test_the_same_wish_the_other_way_does_not_switch_it_off(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        async with wearer.field.tapping(wearer.process) as tap:
            with pytest.raises(AuthFailed):
                await tap.authenticate(arrives=WISH_OFF)
        told = await wearer.tap()
        assert told is not None
        assert told.radio_on


async def test_the_button_held_long_switches_it_both_ways(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.press(LONG_MS)
        await wearer.until(lambda: wearer.shown() is not None)
        await wearer.press(300)
        assert wearer.shown() is not None, "a short press is for something else"
        await wearer.press(LONG_MS)
        await wearer.until(lambda: wearer.shown() is None)
        assert await is_off(wearer)


async def test_it_stays_as_it_was_over_a_restart_and_no_name_comes_back(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        names = []
        with wearer.air.listening() as heard:
            await wearer.switch_on()
            for _ in range(3):
                names.append(names_of((await wearer.next_name(heard)).data)[0])
                await wearer.restart()
                await wearer.until(lambda: wearer.shown() is not None)
            names.append(names_of((await wearer.next_name(heard)).data)[0])
        assert names == [name_at(0), name_at(1), name_at(2), name_at(3)]
        told = await wearer.tap(WISH_OFF)
        assert told is not None
        assert told.period == 3
        await wearer.settle()
        await wearer.restart()
        assert await is_off(wearer)


async def test_with_the_next_guests_keys_it_is_off_and_its_clock_begins_anew(tmp_path: Path) -> None:
    fresh = os.urandom(16)
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        await wearer.pass_ms(7 * PERIOD_MS)
        async with wearer.field.tapping(wearer.process) as tap:
            told = await tap.authenticate(key_no=0)
            assert told is not None
            assert told.period == 7
            assert tap.channel is not None
            data = change_key_data(0, fresh, 9)
            tap.channel.closing_response(await tap.apdu(tap.channel.command(apdu.INS_CHANGE_KEY, b"\x00", data, FULL)))
        assert await is_off(wearer)
        with wearer.air.listening() as heard:
            await wearer.switch_on()
            assert names_of((await wearer.next_name(heard)).data)[0] == name_at(0, radio.identity_key(AES, fresh))


async def test_a_reader_that_never_lets_go_does_not_keep_a_name_on_the_air(tmp_path: Path) -> None:
    fresh = os.urandom(16)
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        with wearer.air.listening() as heard:
            async with wearer.field.tapping(wearer.process) as tap:
                await tap.authenticate(key_no=0)
                await wearer.pass_ms(PERIOD_MS)
                await wearer.until(lambda: name_at(1) in {each.data[13:21] for each in heard})
                await tap.authenticate(key_no=0)
                assert tap.channel is not None
                data = change_key_data(0, fresh, 9)
                tap.channel.closing_response(
                    await tap.apdu(tap.channel.command(apdu.INS_CHANGE_KEY, b"\x00", data, FULL))
                )
                await wearer.pass_ms(PERIOD_MS)
                await wearer.until(lambda: wearer.shown() is None)
        assert await is_off(wearer)


async def test_readers_one_upon_another_do_not_either(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        await wearer.pass_ms(PERIOD_MS - 20_000)
        with wearer.air.listening() as heard:
            async with wearer.field.tapping(wearer.process) as tap:
                for _ in range(16):
                    tap.select_again()
                    await wearer.pass_ms(4_000)
                await wearer.next_name(heard)
                assert names_of(heard[-1].data)[0] == name_at(1)


async def test_quiet_time_and_the_clock_at_its_end(tmp_path: Path) -> None:
    """A record as the band writes it: the last period but one of a key, and a quiet time in it."""
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        await wearer.process.kill()
        epoch = read_record(wearer.state, "radio")[:2]
        last = radio.PERIODS - 2
        quiet_s = ((last + 1) << radio.PERIOD_EXPONENT) + 60
        write_record(
            wearer.state, "radio", epoch + b"\x01" + last.to_bytes(2, "little") + quiet_s.to_bytes(4, "little")
        )
        await wearer.restart()
        told = await wearer.tap()
        assert told is not None
        assert told.period == last + 1
        assert wearer.shown() is None, "it is quiet"
        await wearer.pass_ms(61_000)
        await wearer.until(lambda: wearer.shown() is not None)
        await wearer.pass_ms(PERIOD_MS)
        await wearer.until(lambda: wearer.shown() is None)
        assert await is_off(wearer), "no period is left under this key"


@pytest.mark.parametrize("written", [0, 1, 19, "all"])
async def test_a_power_cut_while_it_is_first_switched_on(tmp_path: Path, written: int | str) -> None:
    """The third write: the attempt to authenticate is counted and cleared before. Then it is on, or as before."""
    async with wearing(tmp_path) as wearer:
        await wearer.restart(cut=f"3:{written}")
        async with wearer.field.tapping(wearer.process) as tap:
            await tap.authenticate(WISH_ON)
            await tap.read_uid()
        await wearer.process.wait_cut()
        await wearer.restart()
        told = await wearer.tap()
        assert told is not None
        assert told.radio_on is (written == "all")
        await wearer.switch_on()


@pytest.mark.parametrize("written", [0, 10, "all"])
async def test_a_power_cut_while_a_period_is_written_down(tmp_path: Path, written: int | str) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        await wearer.restart(cut=f"1:{written}")
        await wearer.process.wait_cut()
        with wearer.air.listening() as heard:
            await wearer.restart()
            period = 2 if written == "all" else 1
            assert names_of((await wearer.next_name(heard)).data)[0] == name_at(period)


async def test_flash_that_refuses(tmp_path: Path) -> None:
    """Switching on is not done; a name that cannot be written down is not shown; off is off at once all the same."""
    async with wearing(tmp_path) as wearer:
        await wearer.restart(flash_fail=3)
        await wearer.tap(WISH_ON)
        assert await is_off(wearer)
        await wearer.switch_on()
        with wearer.air.listening() as heard:
            await wearer.restart(flash_fail=1)
            told = await wearer.tap()
            assert told is not None
            assert told.radio_on
            assert wearer.shown() is None
            assert not heard
            await wearer.pass_ms(61_000)
            assert names_of((await wearer.next_name(heard)).data)[0] == name_at(1)
        await wearer.restart(flash_fail=4)
        await wearer.until(lambda: wearer.shown() is not None)
        await wearer.tap(WISH_OFF)
        await wearer.until(lambda: wearer.shown() is None)
        await wearer.pass_ms(61_000)
        await wearer.restart()
        assert await is_off(wearer), "it was written down as soon as that could be"


def wreck(state: Path, what: Callable[[Path], object]) -> None:
    for slot in (0, 1):
        what(state / f"radio.{slot}")


async def test_a_damaged_record_leaves_it_off_and_is_never_overwritten(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        await wearer.tap(WISH_OFF)
        await wearer.process.kill()
        wreck(wearer.state, lambda path: path.write_bytes(b"S junk"))
        await wearer.restart()
        await wearer.tap(WISH_ON)
        assert await is_off(wearer)
        assert (wearer.state / "radio.0").read_bytes() == b"S junk"
