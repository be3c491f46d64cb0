"""What bandtool says when things go wrong, and how it leaves them: words, exit codes, files after a kill."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import typer
from tests.workshop.imagekit import BASE, KEY, built
from typer.testing import CliRunner, Result

from bandtool import files, manifest
from bandtool.__main__ import app
from bandtool.cli_common import plain_errors
from bandtool.journal import BandStage, BenchBand, BenchJournal
from bandtool.lfs import ImageFault
from bandtool.setup import new_station
from bandtool.signing import signed_image
from steward.adapters.system import OsEntropy
from steward.domain.ids import Uid
from steward.errors import ConfigError

LIMIT_S = 60.0
TESTS = '{"flash":"ok"}'


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def bandtool(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bandtool", *map(str, words)]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


@contextlib.contextmanager
def no_board(*, noisy: bool) -> Iterator[str]:
    """A port that is no board: silent, or a fountain of random bytes."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    over = threading.Event()

    def babble() -> None:
        chance = random.Random(6)
        while not over.wait(0.01):
            with contextlib.suppress(BlockingIOError):
                os.write(master, chance.randbytes(64))

    thread = threading.Thread(target=babble)
    if noisy:
        thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        over.set()
        if noisy:
            thread.join()
        os.close(master)
        os.close(slave)


def bench_with(folder: Path, *bands: BenchBand) -> Path:
    made = new_station(folder / "bench", "bench-1", "ship.example/t", None, OsEntropy())

    async def fill() -> None:
        journal = await BenchJournal.open(made.journal)
        for band in bands:
            await journal.put(band)
        await journal.close()

    asyncio.run(fill())
    return made.folder


def band(number: int, stage: BandStage = BandStage.DONE, what: str = "", tests: str = TESTS) -> BenchBand:
    done = stage is BandStage.DONE
    return BenchBand(Uid(f"04{number:012X}"), stage, True, 1, 1_700_000_000, 1_700_000_001, what, done, "f" * 16, tests)


@pytest.mark.parametrize("group", [(), ("image",), ("keys",), ("release",)])
def test_no_line_of_a_list_of_commands_is_cut_off(group: tuple[str, ...]) -> None:
    said = run(*group, "--help")
    assert (said.exit_code, "Commands:" in said.output) == (0, True)
    cut = [line for line in said.output.partition("Commands:")[2].splitlines() if line.endswith("...")]
    assert cut == []


def test_a_folder_that_is_no_stations_names_the_option_that_there_is(tmp_path: Path) -> None:
    said = run("journal", "--dir", tmp_path)
    assert said.exit_code == 2
    assert "--dir" in said.output
    assert "bandtool init" in said.output
    assert "--config" not in said.output


def test_a_port_that_cannot_be_opened_says_why_once(tmp_path: Path) -> None:
    absent = run("test", "--port", tmp_path / "ttyNONE")
    assert absent.exit_code == 1
    assert "there is no such port" in absent.stderr
    assert absent.stderr.count("ttyNONE") == 1
    assert "dialout" not in absent.stderr


def test_a_second_tool_at_one_port_is_told_so(tmp_path: Path) -> None:
    folder = tmp_path / "image"
    manifest.write(folder, built(production=False).image, manifest.unsigned(built(production=False).manifest()))
    base = tmp_path / "base.bin"
    base.write_bytes(BASE)
    with no_board(noisy=False) as port:
        first = subprocess.Popen([sys.executable, "-c", _HOLD, port], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        try:
            asked = run("test", "--port", port)
            flashed = run("flash", "--port", port, "--image", folder, "--base", base, "--development")
        finally:
            first.communicate()
    assert (asked.exit_code, "another program has it" in asked.stderr) == (1, True), asked.stderr
    assert (flashed.exit_code, "cannot be opened" in flashed.stderr) == (1, True), flashed.stderr
    assert "BOOT" not in flashed.stderr


_HOLD = """
import serial, sys
port = serial.Serial(sys.argv[1], exclusive=True)
print("held", flush=True)
sys.stdin.read()
"""


def at_no_board(noisy: bool, command: str, *more: object) -> tuple[str, subprocess.CompletedProcess[str]]:
    with no_board(noisy=noisy) as port:
        return port, bandtool(command, "--port", port, *more)


@pytest.mark.parametrize("noisy", [False, True])
def test_a_port_that_is_no_board_ends_every_command(tmp_path: Path, noisy: bool) -> None:
    image, base = tmp_path / "image", tmp_path / "base.bin"
    manifest.write(image, built(production=False).image, manifest.unsigned(built(production=False).manifest()))
    base.write_bytes(BASE)
    said = {
        "repl": ("--exec", "print(1)"),
        "test": (),
        "doctor": (),
        "flash": ("--image", image, "--base", base, "--development"),
    }
    with ThreadPoolExecutor() as all_at_once:
        ended = all_at_once.map(lambda command: at_no_board(noisy, command, *said[command]), said)
    for command, (port, done) in zip(said, ended, strict=True):
        assert done.returncode == 1, (command, done.stderr)
        assert done.stderr.startswith("bandtool: "), (command, done.stderr)
        assert done.stderr.count("\n") == 1, (command, done.stderr)
        assert port in done.stderr
        assert "bandtool ports" in done.stderr or "BOOT" in done.stderr, (command, done.stderr)


def test_ctrl_c_says_how_things_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, plain_errors("all is well"):
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130
    assert capsys.readouterr().err == "bandtool: stopped: all is well\n"
    with no_board(noisy=False) as port:
        process = subprocess.Popen(
            [sys.executable, "-c", _ASKING, "test", "--port", port], stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        assert process.stderr.readline() == "asking\n"
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, error) == (130, "bandtool: stopped: nothing was changed\n")


_ASKING = """
import sys
from bandtool import line
from bandtool.__main__ import main
write = line.PortLine.write
async def told(self, data):
    print("asking", file=sys.stderr, flush=True)
    line.PortLine.write = write
    await write(self, data)
line.PortLine.write = told
main()
"""


def test_tables_come_as_json_and_lose_no_word_in_a_pipe(tmp_path: Path) -> None:
    long = "what_" + "x" * 27
    folder = bench_with(tmp_path, band(1), band(2, BandStage.FAULTY, long), band(3, tests=""))
    listed = run("journal", "--dir", folder, "--json")
    assert listed.exit_code == 0
    found = json.loads(listed.output)
    assert [(each["UID"], each["stage"], each["why"]) for each in found] == [
        ("04000000000001", "done", "-"),
        ("04000000000002", "faulty", long),
        ("04000000000003", "done", "not_tested"),
    ]
    assert long in run("journal", "--dir", folder).output
    assert json.loads(run("journal", "--dir", bench_with(tmp_path / "b"), "--json").output) == []
    ports = json.loads(run("ports", "--json").output)
    assert all({"port", "USB id", "chip, likely"} <= set(each) for each in ports)


def test_a_band_that_was_never_tested_gets_no_label(tmp_path: Path) -> None:
    folder = bench_with(tmp_path, band(1), band(2, BandStage.FAULTY, "x"), band(3, tests=""), band(4, BandStage.BEGUN))
    out = tmp_path / "labels.html"
    made = run("label", "--dir", folder, "--out", out)
    assert (made.exit_code, "1 labels" in made.output) == (0, True), made.output
    assert "000001-" in out.read_text()


def test_a_file_is_whole_or_as_it_was_when_its_writer_is_killed(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    out.write_bytes(b"before")
    for moment in ("os.fsync", "pathlib.Path.replace"):
        killed = subprocess.run([sys.executable, "-c", _KILLED, moment, out], timeout=LIMIT_S, check=False)
        assert killed.returncode == -signal.SIGKILL
        assert out.read_bytes() == b"before"
    files.write_whole(out, b"after")
    assert (out.read_bytes(), list(tmp_path.iterdir())) == (b"after", [out])
    with pytest.raises(ConfigError, match="Nothing was changed"):
        files.write_whole(tmp_path / "absent" / "file", b"x")


_KILLED = """
import os, pathlib, signal, sys
from bandtool.files import write_whole
place, _, name = sys.argv[1].rpartition(".")
setattr(eval(place), name, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
write_whole(pathlib.Path(sys.argv[2]), b"after" * 100_000)
"""


def test_an_image_that_was_half_exchanged_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between its two files; and a release is never made of it."""
    manifest.write(tmp_path, built().image, signed_image(built().manifest(), KEY))
    other = built(production=False)

    def killed(path: Path, content: bytes) -> None:
        if path.name == manifest.MANIFEST_FILE:
            raise KeyboardInterrupt
        files.write_whole(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(manifest, "write_whole", killed)
        with pytest.raises(KeyboardInterrupt):
            manifest.write(tmp_path, other.image, manifest.unsigned(other.manifest()))
    with pytest.raises(ImageFault, match="not the image of its manifest"):
        manifest.check(tmp_path)
