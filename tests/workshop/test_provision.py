"""What provisioning refuses, and what may happen to the bench itself: killed, out of disk, out of step with time."""

from __future__ import annotations

import asyncio
import itertools
import random
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.micropython.bandlab import AES
from tests.workshop.benchkit import (
    AUTHORITY,
    ENROLMENT,
    ENTROPY,
    UID,
    VERSION,
    BoardOnCable,
    first_keys,
    forget,
    on_flash,
    on_port,
    ours,
    unkey,
    workbench,
)

from bandtool import serialcard
from bandtool.journal import BandStage, BenchJournal
from bandtool.line import PortLine
from bandtool.provision import Bench, provision
from bandtool.serialcard import SerialCard
from bandtool.stationkeys import EnrolledKeyRing
from bandwire import about, apdu, bench, charge
from bandwire.files import FILE_NDEF, MAC
from bandwire.keys import K_TOKEN_READ, KEY_COUNT
from bandwire.session import Channel, ReaderAuth
from steward.adapters import keyfile
from steward.adapters.keyring import FileKeyRing
from steward.adapters.system import SystemClock
from steward.domain.ids import uid_from
from steward.errors import CardRefused, CardRemoved, ReaderFault, StoreUnavailable

ROOT = Path(__file__).resolve().parents[2]
JOURNAL_LINES = 2 * KEY_COUNT + 2  # begun, each key about to be changed and changed, done


async def keyed(desk: Bench, board: BoardOnCable) -> None:
    await provision(desk, await SerialCard.greet(board.plug_direct()), desk.enrolled, lambda _: None)


async def refused(desk: Bench, board: BoardOnCable) -> str:
    with pytest.raises(CardRefused) as error:
        await keyed(desk, board)
    return error.value.code


async def session(card: SerialCard, key_no: int, key: bytes) -> Channel:
    assert await card.exchange(apdu.select_df()) == b"\x90\x00"
    reader = ReaderAuth(AES, key_no, key, bytes(16))
    return reader.finish(await card.exchange(reader.step(await card.exchange(reader.start()))))


async def test_a_band_that_signed_a_charge_before_it_was_finished_is_set_aside(tmp_path: Path) -> None:
    """A band that somebody used and then put back to its first state."""
    board = BoardOnCable(tmp_path / "flash", UID)
    await board.power_on()
    card = await SerialCard.greet(board.plug_direct())
    channel = await session(card, K_TOKEN_READ, first_keys()[K_TOKEN_READ][0])
    request = charge.pack_request(100, "EUR", "bar-1", bytes(16))
    raw = await card.exchange(channel.command(apdu.INS_SIGN_CHARGE, b"", request, MAC))
    assert charge.unpack_response(channel.response(raw, MAC))[0] == 1
    async with workbench(tmp_path) as desk:
        assert await refused(desk, board) == "band_used"
        assert await desk.journal.bands() == []
    assert on_flash(board.state) == first_keys()
    await board.power_off()


async def test_a_band_whose_link_was_read_between_the_steps_is_set_aside(tmp_path: Path) -> None:
    """It lay about half-done, and its first read is not the guest's."""
    board = BoardOnCable(tmp_path / "flash", UID)
    await board.power_on()
    async with workbench(tmp_path) as desk:
        card = await SerialCard.greet(board.plug_direct())
        exchange = card.exchange

        async def gone_before_the_proof(capdu: bytes) -> bytes:
            if on_flash(board.state) == ours() and capdu == apdu.select_df():
                raise CardRemoved("pulled")
            return await exchange(capdu)

        card.exchange = gone_before_the_proof  # type: ignore[method-assign]
        with pytest.raises(CardRemoved):
            await provision(desk, card, desk.enrolled, lambda _: None)
        card = await SerialCard.greet(board.plug_direct())
        assert await card.exchange(apdu.select_df()) == b"\x90\x00"
        read = apdu.native(apdu.INS_READ_DATA, apdu.file_range(FILE_NDEF, 0, 64))
        assert (await card.exchange(read))[-2:] == b"\x91\x00"
        assert await refused(desk, board) == "band_used"
        (band,) = await desk.journal.bands()
        assert (band.stage, band.what, band.finished) == (BandStage.FAULTY, "band_used", False)
    await board.power_off()


async def test_a_band_that_this_journal_does_not_know_and_has_a_voyages_keys_is_not_touched(tmp_path: Path) -> None:
    board = BoardOnCable(tmp_path / "flash", UID)
    await board.power_on()
    async with workbench(tmp_path) as desk:
        await keyed(desk, board)
        await forget(desk)
        assert await refused(desk, board) == "keyed_elsewhere"
        assert await desk.journal.bands() == []
    await board.power_off()


async def test_a_board_with_an_open_console_is_keyed_only_where_that_is_wanted(tmp_path: Path) -> None:
    board = BoardOnCable(tmp_path / "flash", UID)
    await board.power_on()
    async with workbench(tmp_path) as desk:
        assert await refused(replace(desk, open_console=False), board) == "console_open"
        assert await desk.journal.bands() == []
        assert on_flash(board.state) == first_keys()
        await keyed(desk, board)
    await board.power_off()


async def test_a_band_of_last_voyage_gets_this_ones_keys_at_the_bench_that_made_it(tmp_path: Path) -> None:
    board = BoardOnCable(tmp_path / "flash", UID)
    await board.power_on()
    rotated = keyfile.export(keyfile.rotate(AUTHORITY, ENTROPY, 1_800_000_000), keyfile.Role.STATION, 1_800_000_000)
    async with workbench(tmp_path) as desk:
        await keyed(desk, board)
        ring = EnrolledKeyRing(rotated, AES, ENROLMENT)
        await keyed(replace(desk, enrolled=ring, factory=FileKeyRing(rotated, AES)), board)
        (band,) = await desk.journal.bands()
        assert (band.stage, band.key_version, band.finished) == (BandStage.DONE, 2, True)
        assert on_flash(board.state) == [(ring.card_key(UID, number, 2), 2) for number in range(KEY_COUNT)]
        assert await refused(desk, board) == "foreign_card"  # with last voyage's key file it is not known any more
    await board.power_off()


async def test_what_meets_the_band_can_refuse_it_before_anything_is_written(tmp_path: Path) -> None:
    board = BoardOnCable(tmp_path / "flash", UID)
    await board.power_on()
    met = []

    def meet(uid: str) -> None:
        met.append(uid)
        raise CardRefused("twice", "on another port now")

    async with workbench(tmp_path) as desk:
        with pytest.raises(CardRefused, match="another port"):
            card = await SerialCard.greet(board.plug_direct())
            await provision(desk, card, desk.enrolled, lambda _: None, meet)
        assert await desk.journal.bands() == []
    assert met == [uid_from(UID)]
    assert on_flash(board.state) == first_keys()
    await board.power_off()


def backwards() -> SystemClock:
    """Set back a day each time it is looked at."""
    days = itertools.count()
    return SystemClock(wall=lambda: 1_800_000_000.0 - 86_400 * next(days))


async def test_a_clock_that_is_set_back_ends_no_band_before_it_began(tmp_path: Path) -> None:
    board = BoardOnCable(tmp_path / "flash", UID)
    await board.power_on()
    async with workbench(tmp_path) as desk:
        await keyed(replace(desk, clock=backwards()), board)
        (band,) = await desk.journal.bands()
        assert (band.stage, band.begun_s) == (BandStage.DONE, band.ended_s)
        await keyed(desk, board)
    await board.power_off()


# The bench is killed: a process of its own is forked for each line of its journal, and dies there.
ZYGOTE = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.workshop import benchkit
from bandtool.provision import provision
from bandtool.serialcard import SerialCard

async def work(port, folder, at, before):
    lines = 0
    async with benchkit.workbench(Path(folder)) as desk:
        book = desk.journal

        def dying(method):
            async def write(what):
                nonlocal lines
                lines += 1
                if before and lines == at:
                    os.kill(os.getpid(), signal.SIGKILL)
                await method(what)
                if lines == at:
                    os.kill(os.getpid(), signal.SIGKILL)
            return write

        book.put, book.note = dying(book.put), dying(book.note)
        async with benchkit.on_port(port) as line:
            await provision(desk, await SerialCard.greet(line), desk.enrolled, lambda _: None)

for line in sys.stdin:
    port, folder, at, before = line.split("|")
    child = os.fork()
    if not child:
        asyncio.run(work(port, folder, int(at), before.startswith("before")))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, flush=True)
"""


async def test_a_bench_that_is_killed_at_any_line_of_its_journal_goes_on(tmp_path: Path) -> None:
    board = BoardOnCable(tmp_path / "flash", UID)
    await board.power_on()
    pipe = asyncio.subprocess.PIPE
    zygote = await asyncio.create_subprocess_exec(sys.executable, "-c", ZYGOTE, stdin=pipe, stdout=pipe, cwd=ROOT)
    assert zygote.stdin is not None
    assert zygote.stdout is not None
    killed = 0
    for line in range(1, JOURNAL_LINES + 2):
        for moment in ("before", "after"):
            folder = tmp_path / f"{line}-{moment}"
            folder.mkdir()
            zygote.stdin.write(f"{board.plug_in()}|{folder}|{line}|{moment}\n".encode())
            async with asyncio.timeout(60):
                killed += int(await zygote.stdout.readline()) == signal.SIGKILL
            board.pull()
            await asyncio.sleep(0)  # for the pumps to end
            async with workbench(folder) as desk:
                known = {change.key_no for change in await desk.journal.changes(uid_from(UID))}
                for number, key in enumerate(on_flash(board.state)):
                    assert key == first_keys()[number] or number in known, (line, moment)
                await keyed(desk, board)
                (band,) = await desk.journal.bands()
                assert (band.stage, band.finished) == (BandStage.DONE, True)
                assert all(change.done for change in await desk.journal.changes(uid_from(UID)))
            assert on_flash(board.state) == ours()
            await unkey(board.plug_direct())
    assert killed == 2 * JOURNAL_LINES  # the line after the last one there is not
    zygote.stdin.close()
    await zygote.wait()
    await board.power_off()


@contextmanager
def full_disk(book: BenchJournal) -> Iterator[None]:
    """No file of this process may grow any more: what a write says then is what a full disk says."""
    size = book.path.with_name(book.path.name + "-wal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("line", range(1, JOURNAL_LINES + 1))
async def test_a_journal_on_a_full_disk_stops_the_bench_before_the_band(line: int, tmp_path: Path) -> None:
    board = BoardOnCable(tmp_path / "flash", UID)
    await board.power_on()
    async with workbench(tmp_path) as desk:
        await desk.journal._do(lambda: desk.journal._connection.execute("DELETE FROM band"))  # the log is there
        work = desk.journal._do

        async def until_full(job):  # type: ignore[no-untyped-def]
            before = desk.journal._connection.total_changes
            if before + 1 == line:
                with full_disk(desk.journal):
                    return await work(job)
            return await work(job)

        desk.journal._do = until_full  # type: ignore[method-assign]
        with pytest.raises(StoreUnavailable, match="free the disk"):
            await keyed(desk, board)
        desk.journal._do = work  # type: ignore[method-assign]
        known = {change.key_no for change in await desk.journal.changes(uid_from(UID))}
        for number, key in enumerate(on_flash(board.state)):
            assert key == first_keys()[number] or number in known
        await keyed(desk, board)
    assert on_flash(board.state) == ours()
    await board.power_off()


async def test_two_bandtools_on_one_port_are_one_too_many(tmp_path: Path) -> None:
    board = BoardOnCable(tmp_path / "flash", UID)
    await board.power_on()
    port = board.plug_in()
    async with on_port(port) as line:
        with pytest.raises(ReaderFault, match="another program has it"):
            await PortLine.open(port)
        assert (await SerialCard.greet(line)).anticollision_id == UID
    await board.power_off()


class Babble:
    """A line to something that speaks frames well, and says anything in them."""

    name = "babble"

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._ready: list[bytes] = []

    async def read(self) -> bytes:
        await asyncio.sleep(0)
        return self._ready.pop() if self._ready else b""

    async def write(self, data: bytes) -> None:
        chance = self._chance
        ((kind, number, payload),) = bench.FrameReader().feed(data)
        said = self._plausible(kind, payload) if chance.random() < 0.9 else chance.randbytes(chance.randrange(300))
        kinds = (kind | bench.ANSWER,) * 18 + (bench.REFUSED, chance.randrange(256))
        if chance.random() < 0.98:
            self._ready.append(bench.pack_frame(chance.choice(kinds), number, said))

    async def close(self) -> None:
        pass

    def _plausible(self, kind: int, payload: bytes) -> bytes:
        chance = self._chance
        if kind == bench.HELLO:
            return bytes((bench.PROTOCOL,)) + UID[: chance.choice((4, 7, 7, 7))]
        if kind == bench.INFO:
            return about.pack_about(about.About("esp32", chance.randrange(16), "a", 0, "1"))
        if payload[1] == apdu.INS_SELECT:
            return b"\x90\x00"
        if payload[1] == apdu.INS_GET_KEY_VERSION:
            return bytes((chance.choice((0, 0, 0, 0, VERSION, 99)), 0x91, 0x00))
        return chance.randbytes(chance.choice((0, 1, 16, 16, 32))) + chance.choice(
            (b"\x91\x00", b"\x91\xaf", b"\x91\xae")
        )


async def test_a_band_that_answers_anything_at_all_is_refused_in_our_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serialcard, "ANSWER_S", 0.001)
    outcomes: set[str] = set()
    async with workbench(tmp_path) as desk:
        for seed in range(400):
            try:
                card = await SerialCard.greet(Babble(seed))
                await provision(desk, card, desk.enrolled, lambda _: None)
            except (CardRefused, CardRemoved, ReaderFault) as error:
                outcomes.add(error.code)
            else:
                pytest.fail(f"seed {seed} was keyed")
        assert not [band for band in await desk.journal.bands() if band.finished]
    assert {"card_removed", "reader_fault", "foreign_card", "band_used"} <= outcomes


def spoiling(card: SerialCard, at: int, chance: random.Random) -> list[int]:
    """Change one bit of the answer to command number `at`; holds that number once it is done."""
    exchange, done, asked = card.exchange, [], itertools.count()

    async def between(capdu: bytes) -> bytes:
        rapdu = await exchange(capdu)
        number = next(asked)
        if number != at:
            return rapdu
        done.append(number)
        bit = chance.randrange(8 * len(rapdu))
        return bytes(byte ^ (1 << bit % 8 if where == bit // 8 else 0) for where, byte in enumerate(rapdu))

    card.exchange = between  # type: ignore[method-assign]
    return done


async def test_one_bit_changed_in_any_answer_is_found_out_and_the_band_finished_after_it(tmp_path: Path) -> None:
    """Past the line's own checksum, as only somebody between station and band can: it stops them, and no more."""
    board = BoardOnCable(tmp_path / "flash", UID)
    await board.power_on()
    chance, at, found_out, spoilt = random.Random(11), 0, 0, [0]
    async with workbench(tmp_path) as desk:
        while spoilt:
            card = await SerialCard.greet(board.plug_direct())
            spoilt = spoiling(card, at, chance)
            try:
                await provision(desk, card, desk.enrolled, lambda _: None)
            except (CardRefused, CardRemoved, ReaderFault):
                found_out += 1
            else:
                assert on_flash(board.state) == ours()
            await keyed(desk, board)
            assert on_flash(board.state) == ours(), at
            await unkey(board.plug_direct())
            await forget(desk)
            at += 1
    assert found_out > 30
    await board.power_off()
