"""What a paired gateway asks of a band, how much of it, and what happens to bytes that ask for nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from bumble import att
from tests.radio.radiokit import Gateway, lights, still_serves, wearing

from bandwire import radio, release
from bandwire.condition import BATTERY_UNKNOWN

SEED = 6
FUZZ_WRITES = 300


async def test_every_request_is_answered_over_a_paired_link(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        (wearer.state / "battery").write_text("57 charging")
        await wearer.switch_on()
        async with Gateway(wearer.air) as gateway:
            await gateway.meet(wearer, 0)
            assert gateway.link is not None
            assert gateway.link.encryption != 0
            assert gateway.link.sc
            assert await gateway.ask(radio.BATTERY) == (radio.DONE, b"\x39\x01")
            (wearer.state / "battery").unlink()
            assert await gateway.ask(radio.BATTERY) == (radio.DONE, bytes((BATTERY_UNKNOWN, 0)))
            assert await gateway.ask(radio.VERSION) == (radio.DONE, bytes(20)), "what a band run from source tells"
            assert await gateway.ask(0x55) == (radio.UNKNOWN, b"")
            assert await gateway.ask(radio.BATTERY, b"\x00") == (radio.MALFORMED, b"")


async def test_find_me_buzzes_as_long_as_asked_and_no_more_than_it_may(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        (wearer.state / "lights").write_text("")
        await wearer.switch_on()
        await wearer.settle()
        async with Gateway(wearer.air) as gateway:
            await gateway.meet(wearer, 0)
            assert await gateway.ask(radio.BUZZ, radio.buzz_data(10)) == (radio.DONE, b"")
            assert await lights(wearer) == 3, "light and motor"
            await wearer.pass_ms(9_000)
            assert await gateway.ask(radio.BUZZ, radio.buzz_data(6)) == (radio.TOO_OFTEN, b"")
            await wearer.pass_ms(1_100)
            assert await lights(wearer) == 0
            assert await gateway.ask(radio.BUZZ, radio.buzz_data(5)) == (radio.DONE, b"")
            assert await gateway.ask(radio.BUZZ, radio.buzz_data(0)) == (radio.DONE, b"")
            assert await lights(wearer) == 0
            for odd in (b"", b"\x0b", b"\x01\x01"):
                assert await gateway.ask(radio.BUZZ, odd) == (radio.MALFORMED, b"")
        await wearer.pass_ms(60_000)
        async with Gateway(wearer.air, "F0:00:00:00:00:02") as gateway:
            await gateway.meet(wearer, 0)
            assert await gateway.ask(radio.BUZZ, radio.buzz_data(10)) == (radio.DONE, b"")
            await gateway.leave()
        assert await lights(wearer) == 3, "it goes on though the gateway has gone"
        await wearer.tap()
        await wearer.pass_ms(10_100)
        assert await lights(wearer) == 0


async def test_the_button_ends_a_buzz(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        (wearer.state / "lights").write_text("")
        await wearer.switch_on()
        async with Gateway(wearer.air) as gateway:
            await gateway.meet(wearer, 0)
            assert await gateway.ask(radio.BUZZ, radio.buzz_data(10)) == (radio.DONE, b"")
            assert await lights(wearer) == 3
            await wearer.press(200)
            assert await lights(wearer) == 0, "and the battery is not shown for it"
            assert (await gateway.ask(radio.BATTERY))[0] == radio.DONE


async def test_commands_a_minute_are_limited_whatever_they_are(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        async with Gateway(wearer.air) as gateway:
            await gateway.meet(wearer, 0)
            outcomes = [(await gateway.ask(radio.VERSION))[0] for _ in range(radio.COMMANDS_A_MINUTE + 3)]
            assert outcomes == [radio.DONE] * radio.COMMANDS_A_MINUTE + [radio.TOO_OFTEN] * 3
            for passed_ms in (14_000,) * 4:
                await wearer.pass_ms(passed_ms)
                assert (await gateway.ask(radio.BATTERY))[0] == radio.TOO_OFTEN
            await wearer.pass_ms(5_000)
            assert (await gateway.ask(radio.BATTERY))[0] == radio.DONE


async def test_quiet_time_is_off_the_air_and_ends_by_itself(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        async with Gateway(wearer.air) as gateway:
            await gateway.meet(wearer, 0)
            for odd in (b"", b"\x05", b"\x00\x00", b"\x05\xa1", b"\x00\x01\x02"):
                assert await gateway.ask(radio.QUIET, odd) == (radio.MALFORMED, b"")
            assert await gateway.ask(radio.QUIET, radio.quiet_data(90)) == (radio.DONE, b"")
            await wearer.pass_ms(400)
            await wearer.until(lambda: not gateway.connected)
        with wearer.air.listening() as heard:
            await wearer.restart()
            for _ in range(5):
                await wearer.pass_ms(12 * 60_000)
                told = await wearer.tap()
                assert told is not None
                assert told.radio_on
            assert wearer.shown() is None
            assert not heard
            await wearer.pass_ms(20 * 60_000)
            await wearer.next_name(heard)
        await still_serves(wearer)


async def updater_says(gateway: Gateway, kind: int, data: bytes, room: int = radio.PART_MAX) -> int:
    """Its word for this request, sent in parts of `room` bytes."""
    status, answer = await gateway.ask(kind, data, room)
    assert status == radio.DONE
    return release.read_answer(answer)[0]


async def test_updates_arrive_whole_whatever_they_are_cut_into(tmp_path: Path) -> None:
    """A band run from source takes none; it says so in the updater's own word, the same as on a cable."""
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        async with Gateway(wearer.air) as gateway:
            await gateway.meet(wearer, 0)
            assert await gateway.ask(radio.UPDATE_BEGIN) == (radio.DONE, bytes(release.TOLD_SIZE))
            begin = release.begin_payload(bytes(release.HASH_SIZE), 200)
            for room in (7, len(begin) - 1, len(begin)):
                assert await updater_says(gateway, radio.UPDATE_BEGIN, begin, room) == release.NO_SLOTS
                assert await updater_says(gateway, radio.UPDATE_BEGIN, begin + b"x", room) == release.BAD_REQUEST
            for size in (radio.PART_MAX, radio.PART_MAX + 1, radio.PAYLOAD_MAX):
                assert await updater_says(gateway, radio.UPDATE_DATA, bytes(size)) == release.NOT_BEGUN
            assert await updater_says(gateway, radio.UPDATE_END, b"") == release.NOT_BEGUN
            head = bytes((radio.UPDATE_DATA, 9, 1))
            for _ in range(5):
                await gateway.write(head + bytes(radio.PART_MAX))
            assert radio.open_answer(await gateway.answer()) == (radio.UPDATE_DATA, 9, radio.MALFORMED, b"")
        await still_serves(wearer)


async def test_bytes_of_any_kind_leave_the_band_serving(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        async with Gateway(wearer.air) as gateway:
            await gateway.meet(wearer, 0)
            await gateway.ask(radio.UPDATE_END)  # what takes updates is loaded
            before = await wearer.process.mem()
            written = 0
            while written < FUZZ_WRITES:
                size = rng.choice((0, 1, 2, 3, 4, 5, 20, 100, 244))
                kind = rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x7F, 0x80, 0xFF))
                raw = (bytes((kind, rng.randrange(256), rng.randrange(3))) + rng.randbytes(size))[:size]
                if kind == radio.QUIET:
                    raw = raw[:3]  # or it would be quiet
                if not gateway.connected:
                    await gateway.meet(wearer, 0)
                await gateway.write(raw)
                await wearer.settle()
                written += 1
            with pytest.raises(att.ATT_Error):
                await gateway.write(bytes(radio.MTU))
            after = await wearer.process.mem()
        await wearer.pass_ms(61_000)
        await still_serves(wearer)
        assert after.used - before.used < 4096, "nothing of it is kept"


async def test_whoever_writes_faster_than_the_band_looks_is_sent_away(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        async with Gateway(wearer.air) as gateway:
            await gateway.meet(wearer, 0)
            async with wearer.field.tapping(wearer.process) as tap:
                await tap.authenticate()  # a reader has the band: the radio waits, and what it brings piles up
                for _ in range(12):
                    await gateway.write(b"\x03\x01\x00")
                assert await tap.read_uid() == wearer.options.uid
                assert gateway.answers.empty()
                for _ in range(3):
                    await gateway.write(b"\x03\x01\x00")
                await wearer.settle()
            await wearer.until(lambda: not gateway.connected)
        await still_serves(wearer)


async def test_a_stranger_whose_coming_was_lost_in_a_flood_is_sent_away_too(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        band = await wearer.radio()
        (command, _) = band._characteristics
        async with Gateway(wearer.air) as stranger:
            async with wearer.field.tapping(wearer.process) as tap:
                await tap.authenticate()
                for _ in range(20):
                    band._irq(3, 99, command, b"")
                address = wearer.shown()
                assert address is not None
                await stranger.connect(address)
                await wearer.settle()
                assert stranger.connected
            await wearer.until(lambda: not stranger.connected)
        await wearer.until(lambda: wearer.shown() not in (None, address))
        await still_serves(wearer)
