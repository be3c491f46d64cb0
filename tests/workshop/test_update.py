"""A band is updated over a cable: signed, cut anywhere, tried once, and the old program back if the new one fails."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.workshop.benchkit import NEVER
from tests.workshop.slotkit import BOARD, KEY, QUICK, SlottedBoard, program, released

import bandwire
from bandtool import update
from bandtool.doctor import read_record
from bandtool.faultwords import name_of
from bandtool.line import PortLine
from bandtool.serialcard import SerialCard
from bandtool.signing import ReleaseKey
from bandtool.sources import firmware_folder
from bandtool.update import REFUSALS, Connect, ask_told, bring, tried
from bandwire import bench
from bandwire import release as wire
from steward.domain.bandrelease import BandRelease, Told
from steward.errors import CardRefused, CardRemoved
from voyage.bandproc import find_micropython

SUITE = Path(__file__).with_name("slots_suite.py")
STAYS = {"band/update.py": ("RESTART_MS = 2_000", "RESTART_MS = 900_000")}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update, "_PAUSE_S", 0.02)


@pytest.mark.parametrize("medium", ["folder", "flash"])
def test_whatever_write_the_power_fails_at_the_old_or_the_new_program_starts(medium: str, tmp_path: Path) -> None:
    """On MicroPython, with the files in a folder and in LittleFS: every write of update, trial and confirming."""
    files = {"band/app.mpy": b"new" * 400, "band/boards/x.mpy": b"x" * 4097, "bandwire/wire.mpy": b"W" * 900}
    (tmp_path / "eight").write_bytes(released(8, 3, files={"band/app.mpy": b"mid" * 500}, board="esp32").content)
    (tmp_path / "nine").write_bytes(released(9, 5, files=files, board="esp32").content)
    path = f".frozen:{firmware_folder()}:{Path(bandwire.__file__).parents[1]}"
    command = [find_micropython(), "-X", "heapsize=16m", str(SUITE), medium]
    command += [str(tmp_path / "eight"), str(tmp_path / "nine"), KEY.public.hex(), str(tmp_path)]
    done = subprocess.run(
        command, env={**os.environ, "MICROPYPATH": path}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["cuts"] > 30
    ran = dict(told["ran"])
    assert sum(ran.values()) == told["cuts"]
    assert ran[7] > ran[9] >= 1


def on(board: SlottedBoard, cut_after: int = NEVER) -> Connect:
    """By a cable that is plugged in anew each time."""

    @asynccontextmanager
    async def connect() -> AsyncIterator[SerialCard]:
        line = await PortLine.open(board.plug_in(cut_after))
        try:
            yield await SerialCard.greet(line)
        finally:
            await line.close()

    return connect


async def told_by(board: SlottedBoard) -> Told:
    async with on(board)() as card:
        return await ask_told(card)


def quiet(_at: int) -> None:
    pass


@asynccontextmanager
async def powered(root: Path, files: dict[str, bytes] | None = None) -> AsyncIterator[SlottedBoard]:
    board = SlottedBoard(root, program(STAYS) if files is None else files)
    await board.power_on()
    try:
        yield board
    finally:
        await board.power_off()


async def test_a_whole_program_is_brought_tried_and_kept(tmp_path: Path) -> None:
    files = program(QUICK)
    made = released(9, 8, files=files)
    done: list[int] = []
    async with powered(tmp_path / "band", program()) as board:
        assert await told_by(board) == Told(0, 0, wire.NOTHING, 7, 0, 3)
        await bring(on(board), made, done.append)
        assert done[-1] == len(made.content)
        await board.ended()  # it restarts by itself
        assert board.slot("b") == files
        await board.power_on()
        assert await tried(on(board), 9)
        assert await told_by(board) == Told(1, 1, wire.NOTHING, 9, 7, 8)
        await bring(on(board), made, done.append)  # once more is nothing to do
        await board.power_off()
        await board.power_on()
        assert (await told_by(board)).running == 1
        with pytest.raises(CardRefused, match="older than the least"):
            await bring(on(board), released(7), quiet)


@pytest.mark.parametrize(
    "broken",
    [
        {"band/loop.py": ("    keeper = Keeper(board)", "    raise MemoryError")},
        {"band/loop.py": ("from .aes import CryptolibAes", "from .nowhere import CryptolibAes")},
    ],
)
async def test_a_program_that_does_not_run_is_tried_once(broken: dict[str, tuple[str, str]], tmp_path: Path) -> None:
    made = released(9, 8, files=program(broken))
    async with powered(tmp_path / "band", program()) as board:
        await bring(on(board), made, quiet)
        await board.ended()
        await board.power_on()
        await board.ended()  # as after the loader's reset
        await board.power_on()
        assert await tried(on(board), 9) is False
        assert await told_by(board) == Told(0, 0, wire.TRIED, 7, 9, 3)
        await bring(on(board), made, quiet)  # it may be tried again, and needs no byte of it
        assert (await told_by(board)).state == wire.READY


async def test_a_power_cut_within_the_first_minute_is_a_trial_that_failed(tmp_path: Path) -> None:
    async with powered(tmp_path / "band", program()) as board:
        await bring(on(board), released(9, 8, files=program()), quiet)
        await board.ended()
        await board.power_on()
        told = await told_by(board)
        assert told.on_trial
        with pytest.raises(CardRefused, match="still trying"):
            await impatiently(board, released(10))
        await board.power_off()
        await board.power_on()
        told = await told_by(board)
        assert (told.running, told.number, told.failed(9)) == (0, 7, True)
        async with on(board)() as card:
            noted = (await read_record(card)).faults
            assert [(name_of(fault.code), fault.detail) for fault in noted] == [("update_rolled_back", 9)]


async def impatiently(board: SlottedBoard, made: BandRelease) -> None:
    """Begin it, and take the first answer."""
    async with on(board)() as card:
        code, _ = wire.read_answer(await card.ask(bench.UPDATE_BEGIN, made.begin()))
        if code:
            raise CardRefused(*REFUSALS[code])


async def test_a_cable_pulled_at_many_bytes_costs_one_piece(tmp_path: Path) -> None:
    async with powered(tmp_path / "band") as board:
        whole = await _bytes_over_the_cable(board, released(8))
        cuts = list(range(0, whole, 131))
        assert len(cuts) > 25
        for count, cut in enumerate(cuts, 9):
            made = released(count)
            with pytest.raises(CardRemoved):
                await bring(on(board, cut), made, quiet, plug_in_s=0)
            again = await _bytes_over_the_cable(board, made)
            assert again <= whole - max(0, cut - 2 * bench.PAYLOAD_MAX) + 200, cut
            assert board.slot("b") == dict(made.files)
            assert (await told_by(board)).other == count


async def _bytes_over_the_cable(board: SlottedBoard, made: BandRelease) -> int:
    await bring(on(board), made, quiet)
    return board.passed


async def test_an_update_goes_on_after_a_power_cut_and_another_release_begins_anew(tmp_path: Path) -> None:
    files = {f"band/f{n}.mpy": os.urandom(3000) for n in range(6)}
    made, other = released(9, files=files), released(10)
    async with powered(tmp_path / "band") as board:
        whole = 20_000
        with pytest.raises(CardRemoved):
            await bring(on(board, 12_000), made, quiet, plug_in_s=0)
        await board.power_off()
        await board.power_on()
        steps: list[int] = []
        await bring(on(board), made, steps.append)
        assert 8_000 < steps[0] < whole
        assert board.slot("b") == files
        with pytest.raises(CardRemoved):
            await bring(on(board, 2_500), other, quiet, plug_in_s=0)
        assert not set(board.slot("b")) & set(files)
        assert (await told_by(board)).state == wire.NOTHING
        await bring(on(board), other, quiet)
        assert board.slot("b") == dict(other.files)


async def test_a_file_that_flash_lost_is_sent_again(tmp_path: Path) -> None:
    files = {f"band/f{n}.mpy": os.urandom(2500) for n in range(4)}
    made = released(9, files=files)
    async with powered(tmp_path / "band") as board:
        await bring(on(board), made, quiet)
        damaged = board.root / "b" / "band" / "f1.mpy"
        right = damaged.read_bytes()
        damaged.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
        steps: list[int] = []
        await bring(on(board), made, steps.append)
        assert board.slot("b") == files
        assert 0 < len([at for at in steps if at < len(made.content)]) <= 2500 // update.PIECE_BYTES + 2


@pytest.mark.parametrize(
    ("what", "code"),
    [
        (lambda: released(9, key=ReleaseKey(bytes(32))), "update_signature"),
        (lambda: released(9, board="esp32"), "update_board"),
        (lambda: released(2), "update_too_old"),
    ],
)
async def test_what_the_band_must_not_take_leaves_its_flash_alone(
    what: Callable[[], BandRelease], code: str, tmp_path: Path
) -> None:
    async with powered(tmp_path / "band") as board:
        with pytest.raises(CardRefused) as refusal:
            await bring(on(board), what(), quiet)
        assert refusal.value.code == code
        assert not (board.root / "b").exists()
        assert not (board.root / "slots" / "header").exists()


async def test_an_empty_cell_and_one_that_is_not_known_take_no_update_unless_they_charge(tmp_path: Path) -> None:
    made = released(9)
    async with powered(tmp_path / "band") as board:
        for cell in ("29", "", "broken"):
            board.set_cell(cell)
            with pytest.raises(CardRefused) as refusal:
                await bring(on(board), made, quiet)
            assert refusal.value.code == "update_battery"
        for cell in ("30", "5 charging"):
            board.set_cell(cell)
            await bring(on(board), made, quiet)


async def test_a_band_without_a_key_takes_nothing(tmp_path: Path) -> None:
    async with powered(tmp_path / "band", program(public=b"")) as board:
        with pytest.raises(CardRefused) as refusal:
            await bring(on(board), released(9), quiet)
        assert refusal.value.code == "update_no_key"


async def test_nonsense_is_answered_and_changes_nothing(tmp_path: Path) -> None:
    made = released(9)
    bad = hashlib.sha256(b"?").digest()
    asked = [
        (bench.UPDATE_DATA, made.piece(0, 10), wire.NOT_BEGUN),
        (bench.UPDATE_END, b"", wire.NOT_BEGUN),
        (bench.UPDATE_BEGIN, b"\x01", wire.BAD_REQUEST),
        (bench.UPDATE_BEGIN, b"\x02" + made.begin()[1:], wire.BAD_REQUEST),
        (bench.UPDATE_BEGIN, wire.begin_payload(bad, 64), wire.TOO_LARGE),
        (bench.UPDATE_BEGIN, wire.begin_payload(bad, 65_535), wire.TOO_LARGE),
        (bench.UPDATE_BEGIN, wire.begin_payload(bad, made.head_size), wire.OK),
        (bench.UPDATE_DATA, made.piece(0, made.head_size), wire.BAD_REQUEST),  # not what it was begun with
        (bench.UPDATE_BEGIN, made.begin(), wire.OK),
        (bench.UPDATE_DATA, b"\0\0", wire.BAD_REQUEST),
        (bench.UPDATE_END, b"", wire.NOT_BEGUN),
        (bench.UPDATE_DATA, made.piece(0, 100), wire.OK),
        (bench.UPDATE_DATA, made.piece(0, 100), wire.OK),
        (bench.UPDATE_DATA, made.piece(100, 900), wire.OK),
        (bench.UPDATE_END, b"", wire.INCOMPLETE),
        (bench.UPDATE_END, b"\0", wire.BAD_REQUEST),
        (bench.UPDATE_DATA, made.piece(1000, 1000), wire.OK),
        (bench.UPDATE_DATA, made.piece(2000, 1000), wire.OK),
        (bench.UPDATE_DATA, made.piece(3000, 1000) + b"more", wire.TOO_LARGE),
        (bench.UPDATE_DATA, made.piece(3000, 1000), wire.OK),
        (bench.UPDATE_END, b"", wire.OK),
    ]
    async with powered(tmp_path / "band") as board:
        async with on(board)() as card:
            for number, (kind, payload, wanted) in enumerate(asked):
                code, at = wire.read_answer(await card.ask(kind, payload))
                assert code == wanted, number
        assert at == len(made.content)
        assert board.slot("b") == dict(made.files)


async def test_bytes_without_end_are_not_taken(tmp_path: Path) -> None:
    made = released(9)
    async with powered(tmp_path / "band") as board:
        async with on(board)() as card:
            await card.ask(bench.UPDATE_BEGIN, made.begin())
            code, sent = wire.OK, 0
            while not code:
                code, at = wire.read_answer(await card.ask(bench.UPDATE_DATA, made.piece(0, 1000)))
                sent += 1
        assert (code, at) == (wire.BUDGET, 1000)
        assert sent <= 3 * len(made.content) // 1000 + 1


def test_the_loader_and_the_wire_mean_the_same() -> None:
    import runpy

    loader = runpy.run_path(str(firmware_folder() / "loader.py"))
    assert [loader[name] for name in ("NOTHING", "READY", "TRIED")] == [wire.NOTHING, wire.READY, wire.TRIED]
    assert loader["SIZE"] == wire.TOLD_SIZE
    assert BOARD == "linux"
