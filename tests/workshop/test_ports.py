"""What is at a port, by its ids and by asking; and the prompt of a development board, through mpremote itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo
from tests.workshop.benchkit import ENROLMENT
from tests.workshop.bootkit import BootedBoard
from tests.workshop.imagekit import built
from tests.workshop.rombootkit import ESP32_S2, Chip, RomDouble
from typer.testing import CliRunner

from bandtool.__main__ import app
from bandtool.boards import Found, Probe, bridge, probe
from bandtool.flashing import ENROL_FILE
from bandtool.lfs import pack
from steward.errors import CardRefused
from voyage.bandproc import find_micropython

MAC = Chip().mac


@contextlib.contextmanager
def bare_board() -> Iterator[str]:
    """MicroPython at its prompt, on a line of its own."""
    master, slave = os.openpty()
    tty.setraw(slave)
    process = subprocess.Popen([find_micropython()], stdin=master, stdout=master, stderr=master)
    try:
        yield os.ttyname(slave)
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


@contextlib.contextmanager
def dead_line() -> Iterator[str]:
    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        yield os.ttyname(slave)
    finally:
        os.close(master)
        os.close(slave)


@contextlib.contextmanager
def bootloader(chip: Chip) -> Iterator[str]:
    double = RomDouble(chip)
    try:
        yield double.name
    finally:
        double.stop()


def flashed(folder: Path, *, production: bool) -> BootedBoard:
    """Its program listens to a cable at its start only: power it on just before it is asked."""
    folder.mkdir()
    path = folder / "flash.img"
    files = {ENROL_FILE: ENROLMENT.file(b"\x04" + MAC)}
    path.write_bytes(pack(files, onto=built(production=production).image))
    return BootedBoard(path, MAC)


async def plugged(board: BootedBoard) -> str:
    await board.power_on()
    return board.plug_in()


async def probed(board: BootedBoard) -> Probe:
    return await probe(await plugged(board))


async def test_each_port_says_what_is_there(tmp_path: Path) -> None:
    """All at once, as a technician's hub has them."""
    boards = [flashed(tmp_path / str(kind), production=kind) for kind in (True, False)]
    chip = Chip(magic=ESP32_S2)
    try:
        with bare_board() as bare, dead_line() as dead, bootloader(chip) as rom:
            ports = [bare, rom, dead, str(tmp_path / "ttyNONE")]
            found = await asyncio.gather(*map(probed, boards), *map(probe, ports))
    finally:
        for board in boards:
            await board.power_off()
    assert [one.what for one in found] == [
        Found.BAND,
        Found.BAND,
        Found.MICROPYTHON,
        Found.BOOTLOADER,
        Found.NOTHING,
        Found.CLOSED,
    ]
    assert found[0].detail == "esp32, release 3, slot a, production, not keyed"
    assert found[1].detail == "esp32, release 3, slot a, development, console open, not keyed"
    assert found[2].detail.startswith("MicroPython ")
    assert found[3].detail.startswith("ESP32-S2, address ")
    assert "hold BOOT" in found[4].detail
    assert "ttyNONE" in found[5].detail
    assert chip.writes == 0


def test_bridges_are_known_by_their_ids() -> None:
    assert bridge(0x10C4, 0xEA60)[0] == "CP210x"
    assert bridge(0x1A86, 0x7523)[0] == "CH340"
    assert bridge(0x0403, 0x6001)[0] == "FTDI FT232R"
    assert bridge(0x303A, 0x1001) == ("the chip's own USB", "ESP32-S3, C3, C6 or H2")
    assert bridge(0x303A, 0x9999)[0] == "the chip's own USB"
    assert bridge(0x1234, 0x0001) == bridge(None, None) == ("", "")


def test_the_command_probes_each_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with bare_board() as bare:
        board = ListPortInfo(bare)
        board.vid, board.pid = 0x10C4, 0xEA60
        monkeypatch.setattr(list_ports, "comports", lambda: [board])
        result = CliRunner().invoke(app, ["ports", "--probe"], env={"COLUMNS": "250"})
    assert result.exit_code == 0
    for word in (bare, "10c4:ea60", "CP210x", "MicroPython prompt: MicroPython "):
        assert word in result.output


def bandtool(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "bandtool", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


async def test_mpremote_gets_the_prompt_of_a_board_without_our_program() -> None:
    with bare_board() as bare:
        done = await asyncio.to_thread(bandtool, "repl", "--port", bare, "--exec", "print(1 + 1)")
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr


async def test_a_production_band_has_no_prompt(tmp_path: Path) -> None:
    """Neither when it says so itself, nor when it has gone to work before it was asked."""
    board = flashed(tmp_path / "band", production=True)
    try:
        port = await plugged(board)
        done = await asyncio.to_thread(bandtool, "repl", "--port", port, "--exec", "print(6 * 7)")
    finally:
        await board.power_off()
    assert (done.returncode, "42" in done.stdout) == (1, False)
    assert "production image" in done.stderr


async def test_a_developers_band_is_started_anew_for_its_prompt(tmp_path: Path) -> None:
    """Its console is closed while it talks to a station: only a reset opens it."""
    from bandtool.cli_repl import _need_open

    board = flashed(tmp_path / "band", production=False)
    try:
        await _need_open(await plugged(board))
        assert (await board.ended())["ended"] == "reset"
    finally:
        await board.power_off()
    closed = flashed(tmp_path / "closed", production=True)
    try:
        with pytest.raises(CardRefused) as refused:
            await _need_open(await plugged(closed))
    finally:
        await closed.power_off()
    assert refused.value.code == "console_closed"
