"""A bench for tests: real bands on real MicroPython behind raw ptys, and a cable that can be pulled at any byte."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import tty
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.micropython.bandlab import read_record

from bandtool import journal
from bandtool.journal import BenchJournal
from bandtool.line import Line, PortLine
from bandtool.provision import Bench
from bandtool.serialcard import SerialCard
from bandtool.stationkeys import EnrolledKeyRing, Enrolment, StationKey
from bandwire import apdu
from bandwire.files import FILE_NDEF, FILE_TOKEN, FREE, FULL, PLAIN, FileSettings, rights_word
from bandwire.keys import K_FILE, K_MASTER, K_META, KEY_COUNT, change_key_data
from bandwire.session import ReaderAuth
from steward.adapters import keyfile
from steward.adapters.aes import HostAes
from steward.adapters.keyring import FileKeyRing
from steward.adapters.system import OsEntropy, SystemClock
from steward.errors import CardRemoved
from voyage.bandproc import BandOptions, command_line

AES, ENTROPY, CLOCK = HostAes(), OsEntropy(), SystemClock()
SITE = 12
SUN_TEMPLATE = "ship.example/t?e={picc}&c={mac}"


class _Drawn:
    """The same draw in every process: what one began another goes on with."""

    def __init__(self) -> None:
        self._chance = random.Random(6)

    def token_bytes(self, size: int) -> bytes:
        return self._chance.randbytes(size)


DRAWN = _Drawn()
AUTHORITY = keyfile.new_key_file(SITE, DRAWN, 1_700_000_000)
STATION_FILE = keyfile.export(AUTHORITY, keyfile.Role.STATION, 1_700_000_000)
STATION_KEYS = FileKeyRing(STATION_FILE, AES)
ENROLMENT = Enrolment(DRAWN.token_bytes(16), AES)
ENROLLED = EnrolledKeyRing(STATION_FILE, AES, ENROLMENT)
SIGNER = StationKey(DRAWN.token_bytes(32))
NEVER = 1 << 60
START_LIMIT_S = 30.0
UID = bytes.fromhex("04112233445566")
VERSION = 1
MARKER = "made"


def on_flash(state: Path) -> list[tuple[bytes, int]]:
    """(key, version label) of each key, as the band's own flash has them."""
    raw = read_record(state, "keys")
    return [(raw[at : at + 16], raw[at + 16]) for at in range(0, 19 * KEY_COUNT, 19)]


def ours(uid: bytes = UID) -> list[tuple[bytes, int]]:
    """A voyage's keys, of a band that was finished."""
    return [(STATION_KEYS.card_key(uid, number, VERSION), VERSION) for number in range(KEY_COUNT)]


def first_keys(uid: bytes = UID) -> list[tuple[bytes, int]]:
    """Of a band that this station enrolled: labelled as factory keys, and none."""
    return [(ENROLMENT.initial_key(uid, number), 0) for number in range(KEY_COUNT)]


BORN_SETTINGS = {
    FILE_NDEF: FileSettings(PLAIN, rights_word(FREE, FREE, FREE, K_MASTER), 256),
    FILE_TOKEN: FileSettings(FULL, rights_word(K_META, K_FILE, K_FILE, K_MASTER), 128),
}


class BoardOnCable:
    """A band's own program, and the cable to it. Plugged in anew it shows up as another port."""

    def __init__(self, state: Path, uid: bytes, enrolment: Enrolment | None = ENROLMENT) -> None:
        """enrolment: of the station that flashed it, for a new flash folder; None: a chip as its maker sells it."""
        self.state = state
        if enrolment is not None and not state.exists():
            state.mkdir()
            (state / "enrol").write_bytes(enrolment.file(uid))
        self._uid = uid
        self._process: asyncio.subprocess.Process | None = None
        self._master = -1
        self._slave = -1
        self._pumps: list[asyncio.Task[None]] = []
        self._pulling: asyncio.Handle | None = None
        self.passed = 0  # bytes over the cable, both ways, since it was plugged in
        self.reset: str | None = None  # why its program starts
        self.broken: Sequence[str] = ()  # its parts

    async def power_on(self) -> None:
        line, environment = self.command()
        self._process = await asyncio.create_subprocess_exec(
            *line, env=environment, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(START_LIMIT_S):  # formatting is over when its marker is there
            while not (self.state / f"{MARKER}.0").exists():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def command(self) -> tuple[list[str], dict[str, str]]:
        options = BandOptions(self.state, uid=self._uid, reset=self.reset, broken=self.broken)
        return command_line(options, "station")

    async def power_off(self) -> None:
        """As when the cell is taken out: no warning."""
        self.pull()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None

    def plug_in(self, cut_after: int = NEVER) -> str:
        """The name of the port. cut_after: how many bytes pass, whichever way, before the cable is pulled."""
        assert self._process is not None
        self.pull()
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.passed = 0
        self._pumps = [
            asyncio.create_task(self._to_band(cut_after)),
            asyncio.create_task(self._from_band(cut_after)),
        ]
        return os.ttyname(self._slave)

    def plug_direct(self, cut_after: int = NEVER) -> DirectLine:
        """A line to the program itself, with no port between: for what is done some thousand times."""
        self.pull()
        self.passed = 0
        return DirectLine(self, cut_after)

    async def direct(self, data: bytes | None) -> bytes:
        """Send these, or wait for some."""
        assert self._process is not None
        if data is None:
            assert self._process.stdout is not None
            return await self._process.stdout.read(4096)
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        return b""

    def pull(self) -> None:
        if self._pulling is not None:
            self._pulling.cancel()
            self._pulling = None
        for pump in self._pumps:
            pump.cancel()
        self._pumps = []
        for end in (self._master, self._slave):
            if end >= 0:
                if end == self._master:
                    asyncio.get_running_loop().remove_reader(end)
                os.close(end)
        self._master = self._slave = -1

    def _allow(self, data: bytes, cut_after: int) -> bytes:
        kept = data[: max(0, cut_after - self.passed)]
        self.passed += len(kept)
        return kept

    async def _to_band(self, cut_after: int) -> None:
        loop = asyncio.get_running_loop()
        assert self._process is not None
        assert self._process.stdin is not None
        while True:
            ready = loop.create_future()
            loop.add_reader(self._master, ready.set_result, None)
            try:
                await ready
            finally:
                if self._master >= 0:
                    loop.remove_reader(self._master)
            data = os.read(self._master, 4096)
            kept = self._allow(data, cut_after)
            self._process.stdin.write(kept)
            if len(kept) < len(data) or self.passed >= cut_after:
                self.pull_soon()
                return

    async def _from_band(self, cut_after: int) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while data := await self._process.stdout.read(4096):
            kept = self._allow(data, cut_after)
            os.write(self._master, kept)
            if len(kept) < len(data) or self.passed >= cut_after:
                self.pull_soon()
                return

    def pull_soon(self) -> None:
        """Not before what was let through is on its way; and never another cable than this one."""
        self._pulling = asyncio.get_running_loop().call_soon(self.pull)


class DirectLine:
    """bandtool.line.Line. Past cut_after bytes, whichever way, none pass and the cable is pulled."""

    name = "direct"

    def __init__(self, board: BoardOnCable, cut_after: int) -> None:
        self._board = board
        self._left = cut_after

    async def read(self) -> bytes:
        return self._allow(await self._board.direct(None) if self._left else b"")

    async def write(self, data: bytes) -> None:
        kept = self._allow(data)
        await self._board.direct(kept)
        if len(kept) < len(data):
            raise CardRemoved("pulled")

    async def close(self) -> None:
        pass

    def _allow(self, data: bytes) -> bytes:
        if not self._left:
            raise CardRemoved("pulled")
        kept = data[: self._left]
        self._left -= len(kept)
        self._board.passed += len(kept)
        return kept


@asynccontextmanager
async def workbench(folder: Path, random_id: bool = False, name: str = "station.db") -> AsyncIterator[Bench]:
    path = folder / name
    if not path.exists():
        journal.create(path, SIGNER.public)
    book = await BenchJournal.open(path)
    try:
        yield Bench(book, ENROLLED, STATION_KEYS, ENROLMENT, SIGNER, AES, ENTROPY, CLOCK, SUN_TEMPLATE, random_id, True)
    finally:
        await book.close()


async def forget(bench: Bench) -> None:
    """All that was ever on this bench: as with a new station's journal, and without the time that one takes."""
    book = bench.journal
    await book._do(lambda: book._connection.executescript("DELETE FROM band; DELETE FROM key_change"))


async def unkey(line: Line) -> None:
    """As it was born, as nobody but the holder of its keys can: nothing of it is spared when it is keyed again."""
    await rekey(line, first_keys(), unlock=True)


async def rekey(line: Line, wanted: list[tuple[bytes, int]], *, unlock: bool = False) -> None:
    card = await SerialCard.greet(line)
    assert await card.exchange(apdu.select_df()) == b"\x90\x00"
    reader = ReaderAuth(AES, K_MASTER, STATION_KEYS.card_key(UID, K_MASTER, VERSION), bytes(16), True, None)
    proof = reader.step(await card.exchange(reader.start()))
    channel = reader.finish(await card.exchange(proof))
    for number, settings in BORN_SETTINGS.items() if unlock else ():
        command = channel.command(apdu.INS_CHANGE_FILE_SETTINGS, bytes([number]), settings.encode_change(), FULL)
        channel.response(await card.exchange(command), FULL)
    for number in range(KEY_COUNT - 1, -1, -1):
        data = change_key_data(number, *wanted[number], STATION_KEYS.card_key(UID, number, VERSION))
        raw = await card.exchange(channel.command(apdu.INS_CHANGE_KEY, bytes([number]), data, FULL))
        if number:
            channel.response(raw, FULL)
        else:
            channel.closing_response(raw)


@asynccontextmanager
async def on_port(name: str) -> AsyncIterator[PortLine]:
    line = await PortLine.open(name)
    try:
        yield line
    finally:
        await line.close()
