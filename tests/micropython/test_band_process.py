"""The band's process: what it is given to read, who takes its answers, and who else has its flash."""

import signal
import subprocess
from pathlib import Path

import pytest
from tests.micropython.bandlab import AES, FULL, UID, open_lab

from bandwire.aes import ZERO16
from bandwire.keys import FACTORY_KEY
from voyage.bandproc import BandOptions, BandProcess, BandStopped, command_line

SELECT = b"00A4040007D276000085010100\n"


def start(state: Path, link: str = "hex", *extra: str, stdin: int = subprocess.PIPE) -> "subprocess.Popen[bytes]":
    line, environment = command_line(BandOptions(state, uid=UID), link)
    pipe = subprocess.PIPE
    return subprocess.Popen([*line, *extra], env=environment, stdin=stdin, stdout=pipe, stderr=pipe)


def run(state: Path, text: bytes, link: str = "hex", *extra: str) -> list[str]:
    """What a band answers to `text`; it must end well and say nothing on stderr."""
    with start(state, link, *extra) as band:
        stdout, stderr = band.communicate(text, timeout=60)
    assert (band.returncode, stderr) == (0, b"")
    return stdout.decode().splitlines()


@pytest.mark.parametrize(
    "junk",
    [b"\xff\xfe", "9\N{FULLWIDTH DIGIT ZERO}60".encode(), b"\x00", b"909", b"0" * 2047, b"\xff" * 2047, b"\xff" * 9000],
    ids=["no text", "no digit", "nul", "odd", "longest odd", "longest no text", "too long"],
)
def test_a_line_that_is_no_hex_costs_that_line_only(tmp_path: Path, junk: bytes) -> None:
    answers = run(tmp_path / "flash", SELECT + junk + b"\n" + b"90640000010100\n")
    assert [answers[0], answers[1], answers[3]] == ["ready", "9000", "009100"]
    assert answers[2].startswith("error ")
    assert len(answers) == 4


def test_a_control_line_that_is_no_text_costs_that_line_only(tmp_path: Path) -> None:
    answers = run(tmp_path / "flash", b"\xff\xfe\nenter \xff 1\nx\nleave\n", "field")
    told = "error expected: enter HOST PORT, leave, mem or quit"
    assert answers == ["ready", told, told, told, "left already"]


@pytest.mark.parametrize("link", ["hex", "field"])
def test_closed_streams_end_it(tmp_path: Path, link: str) -> None:
    """Nothing the band opens for itself may slip into the place of a stream it was started without."""
    line, environment = command_line(BandOptions(tmp_path / "flash", uid=UID), link)
    for redirection, status, told in (
        ("<&-", 0, ""),
        (">&-", 2, "to stdout"),
        (">/dev/full", 2, "stdout"),
    ):
        done = subprocess.run(
            ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", *line],
            env=environment,
            input=SELECT,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, redirection
        assert told in done.stderr.decode()
        assert done.stderr.splitlines()[:-1] == ([b"fault light on"] if told else [])
        assert b"Traceback" not in done.stdout


def test_an_interrupt_is_quiet(tmp_path: Path) -> None:
    with start(tmp_path / "flash") as band:
        assert band.stdout is not None
        assert band.stdout.readline() == b"ready\n"
        band.send_signal(signal.SIGINT)
        stdout, stderr = band.communicate(timeout=30)
    assert (band.returncode, stdout, stderr) == (130, b"", b"")


async def test_one_flash_folder_serves_one_band(tmp_path: Path) -> None:
    """Two would undo each other's writes, and a counter that went back signs the same number twice."""
    state = tmp_path / "flash"
    lab = await open_lab(state)
    async with lab.band:
        for link in ("hex", "field"):
            with pytest.raises(BandStopped, match="another band uses flash folder"):
                await BandProcess.start(BandOptions(tmp_path / "." / "x" / ".." / "flash"), link)
        await lab.select()
        await lab.auth(3)
        await lab.write(3, 0, b"\x01")
        other = await open_lab(tmp_path / "other")
        await other.band.close()
        await lab.band.kill()
    lab = await open_lab(state)
    async with lab.band:
        await lab.select()
        await lab.auth(3)
        assert await lab.read(3, 0, 1, FULL) == b"\x01"


def test_random_numbers_may_come_in_pieces(tmp_path: Path) -> None:
    """The interpreter cannot take an argument of 256 characters or more."""
    rnd_b = bytes(range(0x40, 0x50))
    pieces = ["--random", rnd_b[:10].hex(), "--random", rnd_b[10:].hex()] + ["--random", bytes(120).hex()] * 3
    answers = run(tmp_path / "flash", SELECT + b"9071000002000000\n", "hex", *pieces)
    assert answers[2] == AES.cbc_encrypt(FACTORY_KEY, ZERO16, rnd_b).hex().upper() + "91AF"
