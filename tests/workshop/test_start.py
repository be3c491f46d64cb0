"""A real board's start: it listens to its cable while one gives power, for a moment, and in service never."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import pytest
from tests.micropython import suitekit
from tests.workshop.benchkit import ENROLMENT, BoardOnCable, first_keys, on_flash, ours, workbench

from bandtool.provision import provision
from bandtool.serialcard import SerialCard
from bandwire import about, bench
from bandwire.about import KEYED, PRODUCTION, USED
from bandwire.errors import BadArgument, BadFrame
from steward.errors import ReaderFault
from voyage.bandproc import find_micropython

sys.path.append(str(suitekit.ROOT / "firmware" / "device"))

from band.duties import Duties  # MicroPython's subset of the language, run here by CPython
from band.errors import WriteFailed
from band.nfc import ACTIVATED, STOP
from band.station import StationLink

UID = bytes.fromhex("04246f28010203")  # of the chip in fakes/
HELLO = bench.pack_frame(bench.HELLO, 0, bytes((bench.PROTOCOL,)))
LONG_MS, SHORT_MS = 20_000, 200


def command(state: Path, power: str, wait_ms: int, kind: str = "production") -> tuple[list[str], dict[str, str]]:
    script = suitekit.HERE / "start_suite.py"
    line = [find_micropython(), "-X", "heapsize=400k", str(script), str(state), power, str(wait_ms), kind]
    return line, suitekit.environment()


async def started(
    given: bytes, state: Path, power: str, wait_ms: int, kind: str = "production"
) -> tuple[bytes, list[str]]:
    """(what it said on the cable, what became of it). given: what is on the cable before it starts."""
    line, environment = command(state, power, wait_ms, kind)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*line, env=environment, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(given)
    async with asyncio.timeout(30):
        said, became = await asyncio.gather(process.stdout.read(), process.stderr.read())  # the cable stays plugged in
        await process.wait()
    return said, became.decode().split("\n")[:-1]


def enrolled(folder: Path) -> Path:
    state = folder / "card"
    state.mkdir()
    (state / "enrol").write_bytes(ENROLMENT.file(UID))
    return state


RESTART = bench.pack_frame(bench.RESTART, 1)


@pytest.mark.parametrize(
    "before",
    [b"", b"ets Jul 29 2019 12:21:46\r\nrst:0x1\r\n", random.Random(5).randbytes(3000), RESTART, HELLO[:-4]],
    ids=["nothing", "boot words", "noise", "a question", "half a hello"],
)
async def test_a_station_that_calls_is_heard_whatever_was_on_the_line(before: bytes, tmp_path: Path) -> None:
    state = enrolled(tmp_path)
    said, became = await started(before + HELLO + RESTART, state, "cable", LONG_MS)
    frames = bench.FrameReader().feed(said)
    assert frames == [
        (bench.HELLO | bench.ANSWER, 0, bytes((bench.PROTOCOL,)) + UID),
        (bench.RESTART | bench.ANSWER, 1, b""),
    ]
    assert became == ["ctrl-c -1", "reset"]
    assert on_flash(state) == first_keys(UID)


@pytest.mark.parametrize(
    ("given", "power"),
    [(b"", "cable"), (RESTART, "cable"), (HELLO + RESTART, "cell")],
    ids=["silent", "no hello", "cell"],
)
async def test_without_a_station_or_a_cable_it_is_a_band(given: bytes, power: str, tmp_path: Path) -> None:
    """On the cell nothing is even read: a wearer's band answers no cable, because it has none."""
    said, became = await started(given, enrolled(tmp_path), power, SHORT_MS)
    assert (said, became) == (b"", ["nfc", "reset"])


async def test_a_band_that_is_taken_off_the_cable_becomes_a_band_again(tmp_path: Path) -> None:
    """It would answer no door else, until its cell is empty: nobody resets a band on a wrist."""
    said, became = await started(HELLO, enrolled(tmp_path), "pulled", LONG_MS)
    ((kind, _, _),) = bench.FrameReader().feed(said)
    assert kind == bench.HELLO | bench.ANSWER
    assert became == ["ctrl-c -1", "reset"]


async def test_a_production_board_without_an_enrolment_takes_no_keys_at_all(tmp_path: Path) -> None:
    said, became = await started(b"", tmp_path / "card", "cell", SHORT_MS)
    assert said == b""
    assert became == ["no station enrolled this board: flash it again at one"]
    assert not (tmp_path / "card" / "keys.0").exists()
    _, became = await started(b"", tmp_path / "card", "cell", SHORT_MS, "development")
    assert became == ["nfc", "reset"]


class Esp32OnCable(BoardOnCable):
    def command(self) -> tuple[list[str], dict[str, str]]:
        return command(self.state, "cable", LONG_MS)


async def test_a_real_boards_program_is_provisioned_and_tells_what_it_is(tmp_path: Path) -> None:
    board = Esp32OnCable(tmp_path / "card", UID)
    await board.power_on()
    async with workbench(tmp_path) as desk:
        card = await SerialCard.greet(board.plug_direct())
        told = await card.about()
        assert (told.slot, told.version, told.flags & (KEYED | USED)) == ("", "source", 0)
        done = await provision(desk, card, desk.enrolled, lambda _: None)
        assert (done.uid, done.firmware) == ("04246F28010203", "source")
        told = await card.about()
        assert told.flags & (KEYED | USED) == KEYED
        assert told.flags & PRODUCTION == 0  # of the file build.py, which is the tree's here
        assert on_flash(board.state) == ours(UID)
        raw = await card.ask(bench.INFO)
        assert len(raw) < 20  # nothing of the band's keys or name fits
        with pytest.raises(ReaderFault):
            await card.ask(bench.INFO, b"\x00")
    await board.power_off()


def test_what_a_board_tells_survives_the_way_and_nothing_else_passes() -> None:
    for slot in ("", "a", "b"):
        made = about.About("esp32", 5, slot, 2, "17")
        assert vars(about.read_about(about.pack_about(made))) == vars(made)
    whole = about.pack_about(made)
    wrong = [whole[:size] for size in range(5)] + [b"\x02" + whole[1:], whole[:1] + b"\x09" + whole[2:]]
    wrong += [whole[:3] + b"c" + whole[4:], whole + b"\x1b[2J", whole + b"x" * 64]
    for payload in wrong:
        with pytest.raises(BadFrame):
            about.read_about(payload)


class Scripted:
    """A SerialLine whose other end has said all it will say."""

    def __init__(self, *frames: bytes) -> None:
        self._frames = list(frames)
        self.said = bytearray()

    def read(self, wait_ms: int) -> bytes | None:
        return self._frames.pop(0) if self._frames else b""

    def write(self, data: bytes) -> None:
        self.said += data

    def claim(self) -> None:
        pass


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadArgument("no"), bench.BAD_PAYLOAD),
        (BadFrame("no"), bench.BAD_PAYLOAD),
        (OSError(28), bench.FAILED),
        (MemoryError(), bench.FAILED),
        (WriteFailed("no"), bench.FAILED),
    ],
)
def test_what_a_service_cannot_do_is_said_and_the_link_lives(error: Exception, code: int) -> None:
    asked = []

    def service(payload: bytes) -> bytes:
        asked.append(payload)
        if payload == b"bad":
            raise error
        return payload

    ask = bench.pack_frame(bench.TEST, 1, b"bad")
    line = Scripted(HELLO, ask, ask, bench.pack_frame(bench.TEST, 2, b"good"), bench.pack_frame(0x55, 3))
    link = StationLink(line)
    link.services = {bench.TEST: service}
    link.arm(UID)
    assert link.wait(Duties()) == ACTIVATED
    assert link.wait(Duties()) == STOP
    assert bench.FrameReader().feed(bytes(line.said))[1:] == [
        (bench.REFUSED, 1, bytes((code,))),
        (bench.REFUSED, 1, bytes((code,))),  # asked again, answered again, and not done again
        (bench.TEST | bench.ANSWER, 2, b"good"),
        (bench.REFUSED, 3, bytes((bench.NO_SUCH_KIND,))),
    ]
    assert asked == [b"bad", b"good"]
