"""The field link (vpcd's protocol over TCP) and its control lines, against a reader of bare sockets."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.micropython.bandlab import UID, open_lab

from bandwire import apdu
from voyage.bandproc import BandOptions, BandProcess, BandProcessError, BandStopped

ATR = bytes.fromhex("3B8180018080")
GET_ID = bytes.fromhex("FFCA000000")
SELECT = apdu.select_df()
KEY_VERSION = bytes.fromhex("90640000010100")


class Reader:
    """Listens; hands out connections one by one."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self._writers: list[asyncio.StreamWriter] = []
        self.port = 0

    async def __aenter__(self) -> "Reader":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self._waiting.put_nowait((reader, writer))

    async def card(self) -> "Card":
        return Card(*await asyncio.wait_for(self._waiting.get(), 10))


class Card:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, payload: bytes) -> None:
        self.writer.write(len(payload).to_bytes(2, "big") + payload)

    async def answer(self) -> bytes:
        size = int.from_bytes(await asyncio.wait_for(self.reader.readexactly(2), 10), "big")
        return await asyncio.wait_for(self.reader.readexactly(size), 10)

    async def ask(self, payload: bytes) -> bytes:
        self.send(payload)
        return await self.answer()

    async def gone(self) -> bool:
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(self.reader.read(), 10) == b""
        return True


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    async with Reader() as listening:
        yield listening


@pytest.fixture
async def band(tmp_path: Path) -> AsyncIterator[BandProcess]:
    process = await BandProcess.start(BandOptions(tmp_path / "flash", uid=UID), "field")
    async with process:
        yield process


async def _until_left(band: BandProcess) -> str:
    """The reason of the next `left` that nobody asked for."""
    reason: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    band.on_left = lambda text: None if reason.done() else reason.set_result(text)
    if not band.in_field:
        return "already"
    return await asyncio.wait_for(reason, 10)


async def test_power_atr_identifier_and_apdus(band: BandProcess, reader: Reader) -> None:
    await band.enter("127.0.0.1", reader.port)
    card = await reader.card()
    assert await card.ask(b"\x04") == ATR
    card.send(b"\x01")
    assert await card.ask(GET_ID) == UID + b"\x90\x00"
    assert await card.ask(bytes.fromhex("FFCA000007")) == UID + b"\x90\x00"
    assert await card.ask(bytes.fromhex("FFCA000004")) == b"\x6c\x07"
    assert await card.ask(bytes.fromhex("FFCA010000")) == b"\x6e\x00"
    assert await card.ask(SELECT) == b"\x90\x00"
    assert await card.ask(KEY_VERSION) == b"\x00\x91\x00"
    for order in (b"\x02", b"\x01"):
        card.send(order)  # a new activation: nothing is selected
        assert await card.ask(KEY_VERSION) == b"\x91\x40"
        assert await card.ask(SELECT) == b"\x90\x00"
    card.send(b"\x00")
    card.send(b"\x01")
    assert await card.ask(KEY_VERSION) == b"\x91\x40"
    await band.leave()
    assert await card.gone()
    assert not band.in_field


async def test_a_reader_that_never_powers_on_is_served(band: BandProcess, reader: Reader) -> None:
    for first, expected in ((SELECT, b"\x90\x00"), (GET_ID, UID + b"\x90\x00"), (b"\x05", b"\x67\x00")):
        await band.enter("127.0.0.1", reader.port)
        card = await reader.card()
        assert await card.ask(first) == expected
        await band.leave()


async def test_messages_in_pieces_and_in_heaps(band: BandProcess, reader: Reader) -> None:
    await band.enter("127.0.0.1", reader.port)
    card = await reader.card()
    stream = b"".join(len(part).to_bytes(2, "big") + part for part in (b"\x01", SELECT, b"\x04", KEY_VERSION, GET_ID))
    for size in (1, 3, len(stream)):
        for start in range(0, len(stream), size):
            card.writer.write(stream[start : start + size])
            await card.writer.drain()
            await asyncio.sleep(0)
        assert [await card.answer() for _ in range(4)] == [b"\x90\x00", ATR, b"\x00\x91\x00", UID + b"\x90\x00"]


async def test_the_longest_message_is_answered_and_a_longer_one_ends_it(band: BandProcess, reader: Reader) -> None:
    await band.enter("127.0.0.1", reader.port)
    card = await reader.card()
    assert await card.ask(b"\x00\xa4\x04\x00\x00\x04\x00" + bytes(1017)) == b"\x67\x00"  # an extended APDU
    for bad in (b"\x00\x00", b"\x04\x01", b"\xff\xff"):
        card.writer.write(bad)
        assert await _until_left(band) in ("protocol", "already")
        assert await card.gone()
        await band.enter("127.0.0.1", reader.port)
        card = await reader.card()
    assert await card.ask(SELECT) == b"\x90\x00"


async def test_the_reader_lets_go(band: BandProcess, reader: Reader) -> None:
    await band.enter("127.0.0.1", reader.port)
    card = await reader.card()
    assert await card.ask(SELECT) == b"\x90\x00"
    card.writer.close()
    assert await _until_left(band) in ("peer", "already")
    await band.leave()  # harmless: it has left
    # A reader that closes half way through a message leaves no trace of it.
    for piece in (b"\x00", b"\x00\x0d\x00\xa4"):
        await band.enter("127.0.0.1", reader.port)
        card = await reader.card()
        card.writer.write(piece)
        card.writer.close()
        await _until_left(band)
    await band.enter("127.0.0.1", reader.port)
    card = await reader.card()
    assert await card.ask(KEY_VERSION) == b"\x91\x40", "the session before is over, nothing is selected"


async def test_what_cannot_be_done_is_told(band: BandProcess, reader: Reader) -> None:
    with pytest.raises(BandProcessError, match=r"cannot reach a reader at 127\.0\.0\.1:1: "):
        await band.enter("127.0.0.1", 1)
    for port in (0, 65536, -1):
        with pytest.raises(BandProcessError, match="port is not a number"):
            await band.enter("127.0.0.1", port)
    assert not band.in_field
    await band.enter("127.0.0.1", reader.port)
    with pytest.raises(BandProcessError, match="leave it first"):
        await band.enter("127.0.0.1", reader.port)
    assert band.in_field
    with pytest.raises(BandProcessError, match="expected: enter HOST PORT"):
        await band.apdu(SELECT)
    card = await reader.card()
    assert await card.ask(SELECT) == b"\x90\x00"


async def test_half_a_control_line_does_not_hold_up_the_reader(band: BandProcess, reader: Reader) -> None:
    await band.enter("127.0.0.1", reader.port)
    card = await reader.card()
    assert band._process.stdin is not None
    for text in (b"lea", b"v" * 1000):
        band._process.stdin.write(text)
        await band._process.stdin.drain()
        assert await card.ask(SELECT) == b"\x90\x00"
    with pytest.raises(BandProcessError, match="expected: enter"):
        await band.reset()
    assert await card.ask(KEY_VERSION) == b"\x00\x91\x00"
    await band.leave()


async def test_a_random_identifier_is_new_at_every_activation(tmp_path: Path, reader: Reader) -> None:
    lab = await open_lab(tmp_path / "flash")
    async with lab.band:
        await lab.select()
        await lab.auth(0)
        assert await lab.command(apdu.INS_SET_CONFIGURATION, b"\x00", b"\x02") == b""
    process = await BandProcess.start(BandOptions(tmp_path / "flash"), "field")
    seen = []
    async with process as band:
        await band.enter("127.0.0.1", reader.port)
        card = await reader.card()
        for order in (b"\x01", b"\x02", b"\x01"):
            card.send(order)
            seen.append(await card.ask(GET_ID))
            assert await card.ask(GET_ID) == seen[-1], "one activation, one identifier"
        await band.leave()
        await band.enter("127.0.0.1", reader.port)
        seen.append(await (await reader.card()).ask(GET_ID))
    assert len(set(seen)) == len(seen)
    assert all(len(shown) == 6 and shown[0] == 8 for shown in seen)


async def test_thousands_of_taps_leak_no_heap_and_no_sockets(band: BandProcess, reader: Reader) -> None:
    async def tap() -> None:
        await band.enter("127.0.0.1", reader.port)
        card = await reader.card()
        card.send(b"\x01")
        assert await card.ask(SELECT) == b"\x90\x00"
        await band.leave()
        card.writer.close()

    def open_files() -> int:
        return len(os.listdir(f"/proc/{band.pid}/fd"))

    for _ in range(20):
        await tap()
    before, files = await band.mem(), open_files()
    for _ in range(2000):
        await tap()
    after = await band.mem()
    assert open_files() == files
    assert after.used <= before.used + 512
    assert after.peak <= after.heap * 9 // 10


async def test_it_ends_when_its_owner_does(band: BandProcess, reader: Reader) -> None:
    """stdin ends: the band leaves and stops, in the field or not; nobody is left to end it otherwise."""
    await band.enter("127.0.0.1", reader.port)
    card = await reader.card()
    assert await card.ask(SELECT) == b"\x90\x00"
    assert band._process.stdin is not None
    band._process.stdin.close()
    assert await card.gone()
    assert await asyncio.wait_for(band._process.wait(), 10) == 0
    with pytest.raises(BandStopped):
        await band.leave()


async def test_a_band_that_dies_at_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(BandStopped, match="MemoryError|memory allocation failed"):
        await BandProcess.start(BandOptions(state=tmp_path / "flash", heap="40k"), "field")
