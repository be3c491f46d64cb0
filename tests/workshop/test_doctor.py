"""The self-test, and what doctor makes of a band's faults: on the real firmware, part by part broken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.workshop.benchkit import ENROLMENT, BoardOnCable, on_port
from tests.workshop.bootkit import BootedBoard
from tests.workshop.imagekit import built
from tests.workshop.rombootkit import Chip
from typer.testing import CliRunner

from bandtool import doctor, selftest
from bandtool.__main__ import app
from bandtool.faultwords import WORDS, Advice, codes, name_of, words_of
from bandtool.flashing import ENROL_FILE
from bandtool.lfs import pack
from bandtool.selftest import State
from bandtool.serialcard import SerialCard
from bandwire import bench, faults
from bandwire import selftest as wire
from bandwire.about import About
from steward.errors import CardRemoved, ReaderFault
from voyage.bandproc import BandOptions, BandProcess, BandStopped

UID = bytes.fromhex("04a1b2c3d4e5f6")
JUDGED = ("flash", "ram", "nfc", "battery", "clock")


@pytest.fixture(autouse=True)
def _short_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of a second shows no clock that runs wrong: only the test that needs it takes the whole."""
    if "clock-clock" not in request.node.name:
        monkeypatch.setattr(selftest, "CLOCK_S", 0.05)


@asynccontextmanager
async def greeted(board: BoardOnCable) -> AsyncIterator[SerialCard]:
    await board.power_on()
    try:
        async with on_port(board.plug_in()) as line:
            yield await SerialCard.greet(line)
    finally:
        await board.power_off()


def a_board(tmp_path: Path, *broken: str, battery: str | None = "80") -> BoardOnCable:
    board = BoardOnCable(tmp_path / "flash", UID)
    board.broken = broken
    if battery is not None:
        (board.state / "battery").write_text(battery)
    return board


class Technician:
    """Sees what the band shows by the file that stands for its lights, and presses the file that is its button."""

    def __init__(self, state: Path, presses: bool = True) -> None:
        self._state = state
        self._presses = presses
        (state / "lights").touch()

    def sees(self, question: str) -> bool:
        shown = int((self._state / "lights").read_text() or "0")
        return bool(shown & (2 if "buzz" in question else 1))

    def told(self, line: str) -> None:
        if self._presses:
            button = self._state / "button"
            button.touch()
            self.release = button


async def test_a_whole_board_passes_and_says_what_nobody_judged(tmp_path: Path) -> None:
    async with greeted(a_board(tmp_path)) as card:
        results = {result.name: result for result in await selftest.run(card)}
        assert list(results) == list(wire.NAMES.values())
        assert {name: results[name].state for name in JUDGED} == dict.fromkeys(JUDGED, State.OK)
        assert results["radio"].state is State.ABSENT
        assert {results[name].state for name in ("light", "haptic", "button")} == {State.NOT_JUDGED}
        assert results["battery"].said == "3.99 V"
        assert selftest.passed(list(results.values()))
        assert (await doctor.read_record(card)).faults == []
        assert (await selftest.self_test(card))["light"] == "not_judged"


@pytest.mark.parametrize(
    ("part", "test", "code"),
    [
        ("flash", "flash", faults.FLASH_SELFTEST),
        ("full", "flash", faults.FLASH_FULL),
        ("ram", "ram", faults.RAM_SELFTEST),
        ("heap", "ram", faults.HEAP_SHORT),
        ("nfc", "nfc", faults.NFC_SELFTEST),
        ("ble", "radio", faults.RADIO_SELFTEST),
        ("battery", "battery", faults.BATTERY_ODD),
        ("clock", "clock", faults.CLOCK_ODD),
        ("button", "button", faults.BUTTON_STUCK),
    ],
)
async def test_each_broken_part_is_found_and_it_alone(tmp_path: Path, part: str, test: str, code: int) -> None:
    async with greeted(a_board(tmp_path, part)) as card:
        results = await selftest.run(card)
        assert [(result.name, result.code) for result in results if result.state is State.FAILED] == [(test, code)]
        assert not selftest.passed(results)
        assert (await selftest.self_test(card))[test] == name_of(code)


async def test_a_band_without_a_gauge_does_not_pass_for_one_with_a_good_cell(tmp_path: Path) -> None:
    async with greeted(a_board(tmp_path, battery=None)) as card:
        states = await selftest.self_test(card)
        assert states["battery"] == "absent"


@pytest.mark.parametrize(("part", "code"), [("led", faults.LIGHT_DARK), ("haptic", faults.HAPTIC_STILL)])
async def test_what_hands_judge(tmp_path: Path, part: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "BUTTON_LIMIT_S", 0.3)
    board = a_board(tmp_path, part)
    async with greeted(board) as card:
        results = {result.name: result for result in await selftest.run(card, Technician(board.state, presses=False))}
        wrong = {result.code for result in results.values() if result.state is State.FAILED}
        assert wrong == {code, faults.BUTTON_DEAD}
        assert State.NOT_JUDGED not in {result.state for result in results.values()}


async def test_a_press_is_felt_once_it_is_over(tmp_path: Path) -> None:
    board = a_board(tmp_path)
    async with greeted(board) as card:
        hands = Technician(board.state)

        async def asked() -> int:
            answer = await card.ask(bench.TEST, wire.pack_request(wire.BUTTON, wire.ASK_AGAIN))
            return wire.open_finding(answer).value

        assert wire.open_finding(await card.ask(bench.TEST, wire.pack_request(wire.BUTTON))).outcome == wire.ASK
        assert await asked() == 0
        hands.told("press")
        assert await asked() == 0
        hands.release.unlink()
        assert await asked() == 1


async def test_the_verdict_is_shown_on_the_band(tmp_path: Path) -> None:
    board = a_board(tmp_path)
    Technician(board.state)
    async with greeted(board) as card:
        await selftest.show_verdict(card, True)
        assert (board.state / "lights").read_text() == "1"
        await selftest.show_verdict(card, False)
        assert (board.state / "lights").read_text() == "4"


@pytest.mark.parametrize("payload", [b"", b"\x00\x00", b"\x01", b"\x01\x00\x00", b"\x63\x00"])
async def test_a_test_that_there_is_not_is_refused(tmp_path: Path, payload: bytes) -> None:
    async with greeted(a_board(tmp_path)) as card:
        with pytest.raises(ReaderFault):
            await card.ask(bench.TEST, payload)
        with pytest.raises(ReaderFault):
            await card.ask(bench.ERRORS, b"\x01")
        assert (await doctor.read_record(card)).boot == 1


async def test_resets_are_counted_by_their_cause(tmp_path: Path) -> None:
    board = a_board(tmp_path)
    for cause in ("power", "watchdog", "watchdog", "brownout", "soft", "sleep", "watchdog"):
        board.reset = cause
        async with greeted(board):
            pass
    async with greeted(board) as card:
        record = await doctor.read_record(card)
    noted = {name_of(fault.code): fault for fault in record.faults}
    assert {name: fault.count for name, fault in noted.items()} == {"reset_brownout": 1, "reset_watchdog": 4}
    assert record.boot == 7, "waking from deep sleep is no new start"
    assert (noted["reset_watchdog"].first_boot, noted["reset_watchdog"].last_boot) == (2, 7)


async def test_faults_of_the_flash_reach_the_doctor(tmp_path: Path) -> None:
    """A record of the card is torn in both slots: the band serves what it can, and notes it."""
    board = a_board(tmp_path)
    async with greeted(board):
        pass
    for slot in (0, 1):
        (board.state / f"keys.{slot}").write_bytes(b"torn")
    async with greeted(board) as card:
        health = await doctor.look(card)
    assert [(fault.code, fault.detail) for fault in health.record.faults] == [(faults.CARD_DAMAGED, 1)]
    assert health.advice is Advice.SET_ASIDE


async def test_a_refused_write_and_a_crash_reach_the_doctor(tmp_path: Path) -> None:
    """From the wrist to the bench: what a reader saw as 91EE, and a program that ended."""
    board = a_board(tmp_path)
    async with greeted(board):
        pass
    options = BandOptions(board.state, flash_fail=1)
    select, first = bytes.fromhex("00A4040007D276000085010100"), bytes.fromhex("9071000002000000")
    async with await BandProcess.start(options) as band:
        await band.apdu(select)
        assert (await band.apdu(first)).hex() == "91ee"
    band = await BandProcess.start(replace(options, flash_fail=None, random=bytes(3)))
    await band.apdu(select)
    with pytest.raises(BandStopped):
        await band.apdu(first)
    await band.close()
    async with greeted(board) as card:
        found = {name_of(fault.code): fault for fault in (await doctor.read_record(card)).faults}
    assert {name: (fault.detail, fault.count) for name, fault in found.items()} == {
        "card_write": (28, 1),
        "crash": (0, 1),
    }


async def test_a_torn_log_begins_anew_and_says_so(tmp_path: Path) -> None:
    board = a_board(tmp_path)
    async with greeted(board):
        pass
    for slot in (0, 1):
        (board.state / "log" / f"faults.{slot}").write_bytes(b"torn")
    async with greeted(board) as card:
        record = await doctor.read_record(card)
        assert [fault.code for fault in record.faults] == [faults.LOG_LOST]
    async with greeted(board) as card:
        assert [fault.count for fault in (await doctor.read_record(card)).faults] == [1]


async def test_a_log_that_takes_nothing_stops_no_band(tmp_path: Path) -> None:
    board = a_board(tmp_path, "flash")
    async with greeted(board) as card:
        assert (await doctor.read_record(card)).faults == [], "it is kept nowhere: nothing was lost yet"
        assert len(await card.exchange(bytes.fromhex("00A4040007D276000085010100"))) == 2


async def test_the_wristbands_own_board_is_judged_from_its_image(tmp_path: Path) -> None:
    """The production image as it is flashed, on stand-ins of the chip's modules, whose NFC chip is silent."""
    chip = Chip()
    flash = tmp_path / "flash.img"
    flash.write_bytes(pack({ENROL_FILE: ENROLMENT.file(b"\x04" + chip.mac)}, onto=built().image))
    board = BootedBoard(flash, chip.mac)
    await board.power_on()
    try:
        async with on_port(board.plug_in()) as line:
            card = await SerialCard.greet(line)
            states = await selftest.self_test(card)
            assert states == {
                "flash": "ok",
                "ram": "ok",
                "nfc": "nfc_selftest",
                "radio": "ok",
                "battery": "ok",
                "light": "not_judged",
                "haptic": "not_judged",
                "clock": "ok",
                "button": "not_judged",
            }
            found = await doctor.look(card)
            assert [name_of(fault.code) for fault in found.record.faults] == ["nfc_selftest"]
            assert (found.about.board, found.about.slot, found.advice) == ("esp32", "a", Advice.SET_ASIDE)
    finally:
        await board.power_off()


async def test_a_pulled_cable_ends_the_test(tmp_path: Path) -> None:
    board = a_board(tmp_path)
    await board.power_on()
    try:
        async with on_port(board.plug_in(cut_after=120)) as line:
            card = await SerialCard.greet(line)
            with pytest.raises(CardRemoved):
                await selftest.run(card)
    finally:
        await board.power_off()


def health(*found: faults.Fault, boot: int = 10, tests: list[selftest.Result] | None = None) -> doctor.Health:
    return doctor.Health(About("esp32", 0, "a", 0, "1"), faults.Record(boot, 0, 0, list(found)), tests or [])


def test_a_verdict_weighs_how_often_and_how_long_ago() -> None:
    often = words_of(faults.NFC_RESTARTED).often
    assert health().advice is Advice.FINE
    assert health(faults.Fault(faults.NFC_RESTARTED, 0, often - 1, 1, 10, 0)).advice is Advice.FINE
    assert health(faults.Fault(faults.NFC_RESTARTED, 0, often, 1, 10, 0)).advice is Advice.SET_ASIDE
    gone = faults.Fault(faults.CARD_WRITE, 28, 5, 1, 10, 0)
    assert health(gone, boot=10 + doctor.RECENT_BOOTS - 1).advice is Advice.SET_ASIDE
    assert health(gone, boot=10 + doctor.RECENT_BOOTS).advice is Advice.FINE
    crash = faults.Fault(faults.CRASH, 0, 1, 10, 10, 0)
    odd = selftest.Result("battery", State.FAILED, faults.BATTERY_ODD)
    assert health(crash).advice is Advice.REFLASH
    assert health(crash, tests=[odd]).advice is Advice.BATTERY
    assert health(faults.Fault(200, 0, 9, 10, 10, 0)).advice is Advice.FINE


def test_every_code_has_words_and_a_number_of_its_own() -> None:
    table = codes()
    assert len(set(table.values())) == len(table)
    assert set(table.values()) == set(WORDS)
    assert all(0 < code < 256 for code in table.values())
    assert name_of(faults.NFC_SILENT) == "nfc_silent"
    assert name_of(200) == "fault_200"


async def test_commands_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a technician runs them, each in a process's worth of its own: table, verdict and exit code."""
    board = a_board(tmp_path, "nfc")
    await board.power_on()
    try:
        for command in ("test", "doctor"):
            port = board.plug_in()
            done = await asyncio.to_thread(CliRunner().invoke, app, [command, "--port", port])
            assert done.exit_code == 3, done.output
            assert "nfc_selftest" in done.output
            assert "set it" in done.output
            assert "Traceback" not in done.output
        assert "verdict: set it aside" in done.output
    finally:
        await board.power_off()
    board.broken = ()
    await board.power_on()
    try:
        done = await asyncio.to_thread(CliRunner().invoke, app, ["test", "--port", board.plug_in()])
        assert done.exit_code == 0, done.output
        assert "not judged" in done.output
        monkeypatch.setattr(selftest, "BUTTON_LIMIT_S", 0.2)
        line = ["test", "--hands", "--port", board.plug_in()]
        done = await asyncio.to_thread(CliRunner().invoke, app, line, input="y\nn\n")
        assert done.exit_code == 3, done.output
        assert "haptic_still" in done.output
        assert "button_dead" in done.output
        assert "light_dark" not in done.output
        assert "not judged" not in done.output
    finally:
        await board.power_off()
