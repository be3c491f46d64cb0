"""`bandtool station` as a technician runs it: a process, killed and started again, ended with Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.workshop.benchkit import AUTHORITY, ENTROPY, SITE, BoardOnCable

from bandtool import stationkeys
from bandtool.config import StationSettings, load
from bandtool.setup import new_station
from steward.adapters import keyfile
from steward.adapters.aes import HostAes
from steward.domain.stationreport import Outcome, read_report

UID = bytes.fromhex("04CC0000000001")
LIMIT_S = 60.0


@pytest.fixture
def settings(tmp_path: Path) -> StationSettings:
    """A station's folder, with the ship's keys, for boards from source."""
    made = new_station(tmp_path / "bench", "bench-1", "ship.example/t", None, ENTROPY)
    file = made.folder / "station.toml"
    file.write_text(file.read_text().replace("# development = false", "development = true"))
    keyfile.create(made.key_file, keyfile.export(AUTHORITY, keyfile.Role.STATION, 1), made.secret(), ENTROPY)
    return load(made.folder)


def board(settings: StationSettings, folder: Path) -> BoardOnCable:
    enrolment = stationkeys.load_enrolment(settings.enrolment, settings.secret(), HostAes())
    return BoardOnCable(folder / "flash", UID, enrolment)


@asynccontextmanager
async def running(settings: StationSettings, *ports: str) -> AsyncIterator[asyncio.subprocess.Process]:
    command = [sys.executable, "-m", "bandtool", "station", "--dir", str(settings.folder), "--ports", ",".join(ports)]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line_with(process: asyncio.subprocess.Process, word: str) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(LIMIT_S):
        while line := (await process.stdout.readline()).decode():
            if word in line:
                return line
    raise AssertionError(f"it ended without {word}")


async def test_killed_in_the_middle_and_started_again(settings: StationSettings, tmp_path: Path) -> None:
    band = board(settings, tmp_path)
    await band.power_on()
    port = band.plug_in()
    async with running(settings, port) as process:
        await line_with(process, "keying")
        process.kill()
        await process.wait()
    async with running(settings, port) as process:
        assert "000001 DONE" in await line_with(process, "DONE")
        process.send_signal(signal.SIGINT)
        summary = await line_with(process, "done 1")
        assert "faulty 0" in summary
        assert await process.wait() == 0
    signed, report = read_report((settings.folder / "bench-1-report.json").read_bytes())
    assert signed.key == stationkeys.load_station(settings.station_key, settings.secret()).public
    assert (report.station, report.site) == ("bench-1", SITE)
    assert [(each.uid, each.outcome, each.tests["flash"]) for each in report.bands] == [
        (UID.hex().upper(), Outcome.DONE, "ok")
    ]
    assert UID.hex().upper() in (settings.folder / "bench-1-report.csv").read_text()
    await band.power_off()


async def test_asked_twice_it_ends_at_once(settings: StationSettings) -> None:
    """Somebody plugged in what never answers, and nobody wants to wait for it."""
    master, slave = pty.openpty()
    async with running(settings, os.ttyname(slave)) as process:
        await line_with(process, "greeting")
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(LIMIT_S):
            assert await process.wait() == 1
    os.close(master)
    os.close(slave)


def test_on_a_terminal_it_draws_a_table_and_ends_with_q(settings: StationSettings, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "bandtool", "station", "--dir", str(settings.folder), "--ports", "/dev/none"]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment) as process:
        os.close(slave)
        shown = b""
        while b"q or Ctrl-C" not in shown:
            shown += os.read(master, 4096)
        os.write(master, b"q")
        try:
            while data := os.read(master, 4096):
                shown += data
        except OSError:
            pass  # it has let the terminal go
        assert process.wait(LIMIT_S) == 0
    os.close(master)
    assert b"station bench-1" in shown
    assert b"done 0" in shown


def test_what_cannot_work_is_said(settings: StationSettings, tmp_path: Path) -> None:
    def said(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "bandtool", "station", "--dir", str(settings.folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        return done.returncode, done.stderr

    code, error = said("--ports", "none")
    assert (code, "--reader" in error) == (2, True)
    code, error = said("--image", str(tmp_path))
    assert (code, "belong together" in error) == (2, True)
