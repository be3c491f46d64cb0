"""How long a ship with 100,000 queued events needs to catch up over a satellite line, in simulated time.

256 kbit/s each way and 700 ms there and back. The uplink service, the codec and shore's ingest with its SQLite store
are the real ones; the line is computed, and its time is simulated: neither disk nor processor takes any of it. The
limit is what the bytes that were sent need at that rate. In a second run the line is cut for a minute three times.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import virtualtime
from bench.typical import EPOCH, Ship, json_bytes
from steward.adapters.memory import MemoryStore
from steward.domain.events import EventType, NewEvent, fact
from steward.domain.recipients import WHOLE
from steward.domain.topics import CLASS_WORDS, CLASSES, SAFETY
from steward.ports import ClockReading, Tx
from steward.ports.sync import LinkBytes, LinkDown, PipeMessage
from steward.services.uplink import UplinkService, UplinkSettings
from steward.shore.ingest import PEER, Ingest
from steward.shore.registry import add_ship, begin
from steward.shore.sqlite import SqliteShore

EVENTS = 100_000
RATE_BPS = 256_000
ROUND_TRIP_S = 0.7
CUTS = 3
CUT_S = 60.0
LATEST_S = 3600.0
_SHIP, _GATEWAY, _BOOT = "aurora", "gw1", b"boot-one"
_SEGMENT, _SEGMENT_HEAD = 1448, 52  # TCP over IPv4 with timestamps
_RECORD, _RECORD_HEAD = 16_384, 22  # TLS 1.3
_PUBLISH_HEAD = 7  # MQTT's, at QoS 1


def bytes_on_line(topic: str, payload_size: int) -> int:
    """What a PUBLISH takes on a TLS connection, headers of all layers included."""
    message = _PUBLISH_HEAD + len(topic) + payload_size
    message += -(-message // _RECORD) * _RECORD_HEAD
    return message + -(-message // _SEGMENT) * _SEGMENT_HEAD


@dataclass
class Way:
    """One direction: bytes go out one after the other, and arrive half a round trip later."""

    free_s: float = 0.0
    sent: int = 0

    def travel_s(self, size: int, now_s: float) -> float:
        """Seconds from now until `size` bytes are at the other end."""
        self.sent += size
        self.free_s = max(self.free_s, now_s) + size * 8 / RATE_BPS
        return self.free_s - now_s + ROUND_TRIP_S / 2

    def forget(self, now_s: float) -> None:
        """The line is cut: what waits to go out never does."""
        self.sent -= int(max(0.0, self.free_s - now_s) * RATE_BPS / 8)
        self.free_s = now_s


class SatellitePipe:
    """ports.sync.Pipe of the ship; what it publishes goes to `ashore`, whose answer travels back."""

    def __init__(self, ashore: Callable[[str, bytes], Any]) -> None:
        self._ashore = ashore
        self.up, self.down = Way(), Way()
        self._inbox: asyncio.Queue[PipeMessage] = asyncio.Queue()
        self._connected = asyncio.Event()
        self._generation = 0
        self.connect()

    @property
    def is_connected(self) -> bool:
        return self._connected.is_set()

    @property
    def generation(self) -> int:
        return self._generation

    def connect(self) -> None:
        self._generation += 1
        self._connected.set()

    def cut(self) -> None:
        """What is on the way is lost, and what was not sent yet."""
        self._connected.clear()
        for way in (self.up, self.down):
            way.forget(_now_s())

    async def connected(self) -> None:
        await self._connected.wait()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        if not self.is_connected:
            raise LinkDown("the line is cut")
        generation = self._generation
        await asyncio.sleep(self.up.travel_s(bytes_on_line(topic, len(payload)), _now_s()))
        self._check(generation)
        answer = await self._ashore(topic, payload)
        if answer is not None:
            later_s = self.down.travel_s(bytes_on_line(answer.topic, len(answer.payload)), _now_s())
            message = PipeMessage(answer.topic, answer.payload)
            asyncio.get_running_loop().call_later(later_s, self._arrive, message, generation)
        await asyncio.sleep(ROUND_TRIP_S / 2)
        self._check(generation)

    async def subscribe(self, *filters: str) -> None:
        """The broker ashore knows what the ship wants to hear."""

    async def messages(self) -> AsyncIterator[PipeMessage]:
        while True:
            yield await self._inbox.get()

    def counted(self) -> LinkBytes:
        return LinkBytes(self.up.sent, self.down.sent)

    async def close(self) -> None:
        self.cut()

    def _check(self, generation: int) -> None:
        if not self.is_connected or self._generation != generation:
            raise LinkDown("the line was cut")

    def _arrive(self, message: PipeMessage, generation: int) -> None:
        if self.is_connected and self._generation == generation:
            self._inbox.put_nowait(message)


class _Clock:
    def now(self) -> ClockReading:
        return ClockReading(EPOCH + 2 * 86_400 + int(_now_s()), True)

    def monotonic_ms(self) -> float:
        return _now_s() * 1000


class _Numbers:
    """ports.Entropy: the uplink's first batch number, always the same."""

    def token_bytes(self, n: int) -> bytes:
        return bytes(range(1, n + 1))


@dataclass(frozen=True, slots=True)
class Row:
    """One catch-up. Seconds are simulated; limit_s is what `bytes_up` need at the line's rate."""

    line: str
    events: int
    bytes_up: int
    bytes_down: int
    caught_up_s: float
    limit_s: float
    cut_s: float
    lost_batches: int
    class_done_s: dict[str, float]
    freeze_s: float | None  # from a freeze written in the middle until the ship knows that shore has it
    worked_s: float  # of real time, for the processors' part


@dataclass
class _Run:
    """The ends of one run and what they noticed."""

    store: MemoryStore
    uplink: UplinkService
    pipe: SatellitePipe
    newest: dict[int, int]
    done_s: dict[int, float] = field(default_factory=dict)
    freeze: tuple[int, float] | None = None  # seq, when it was written
    freeze_took_s: float | None = None

    async def listen(self) -> None:
        async for message in self.pipe.messages():
            await self.uplink.receive(message)
            covered = await self.store.read(lambda tx: {cls: seq for (_, cls), seq in tx.covered(PEER).items()})
            for cls, newest in self.newest.items():
                if covered.get(cls, 0) >= newest:
                    self.done_s.setdefault(cls, _now_s())
            if self.freeze is not None and self.freeze_took_s is None and covered.get(SAFETY, 0) >= self.freeze[0]:
                self.freeze_took_s = _now_s() - self.freeze[1]

    @property
    def is_done(self) -> bool:
        return len(self.done_s) == len(self.newest) and (self.freeze is None) == (self.freeze_took_s is None)

    async def write_freeze(self) -> None:
        """A freeze aboard in the middle of it all: it must not wait for what is queued."""
        event = fact(EventType.BAND_FROZEN, EPOCH, uid="04A1B2C3D4E5F6", guest="0" * 16, serial=1, epoch=1)
        self.freeze = (await self.store.write(lambda tx: tx.append_event(event)), _now_s())


async def _sail(line: str, count: int, cuts: int, expected_s: float) -> Row:
    """expected_s: about how long a clear line needs."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        shore = SqliteShore.open(Path(folder) / "shore.db", create=True, inline=True)
        await shore.write(begin(_BOOT, EPOCH))
        await shore.write(add_ship(_SHIP, [_GATEWAY], EPOCH))
        ingest = Ingest(shore, _Clock())
        store = MemoryStore(first_epoch=EPOCH)
        newest = await store.write(lambda tx: _queue(tx, count))
        pipe = SatellitePipe(ingest.batch)
        uplink = UplinkService(store, _Clock(), _Numbers(), pipe, UplinkSettings(_SHIP, _GATEWAY, PEER, "bench", WHOLE))
        run = _Run(store, uplink, pipe, newest)
        async with _running(uplink.run(), run.listen(), _break(pipe, cuts, expected_s)):
            if not cuts:
                await asyncio.sleep(expected_s / 2)
                await run.write_freeze()
            async with asyncio.timeout(LATEST_S):
                while not run.is_done:  # noqa: ASYNC110 simulated time costs nothing
                    await asyncio.sleep(0.05)
            snapshot = await uplink.snapshot()
        await shore.close()
    wanted = count + (run.freeze is not None)
    if ingest.counts["events"] != wanted or ingest.counts["conflicts"]:
        raise RuntimeError(f"shore has {ingest.counts['events']} events of {wanted}")
    sent = pipe.counted()
    done = {CLASS_WORDS[cls]: round(at_s, 1) for cls, at_s in sorted(run.done_s.items())}
    took_s, limit_s = max(run.done_s.values()), sent.sent * 8 / RATE_BPS
    worked_s = time.perf_counter() - began
    return Row(
        *(line, count, sent.sent, sent.received, took_s, limit_s, cuts * CUT_S, snapshot.lost),
        *(done, run.freeze_took_s, worked_s),
    )


def _queue(tx: Tx, count: int) -> dict[int, int]:
    """The log of a ship that was cut off; the newest seq of each class."""
    for event in Ship(seed=1).events(count):
        tx.append_event(NewEvent(event.type, event.at_s, event.payload))
    newest = {cls: tx.newest_of_class(EPOCH, cls) for cls in CLASSES}
    return {cls: seq for cls, seq in newest.items() if seq}


async def _break(pipe: SatellitePipe, cuts: int, expected_s: float) -> None:
    """Cuts spread over the time that the line needs."""
    for _ in range(cuts):
        await asyncio.sleep(expected_s / (cuts + 1))
        pipe.cut()
        await asyncio.sleep(CUT_S)
        pipe.connect()


@contextlib.asynccontextmanager
async def _running(*runs: Any) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(run) for run in runs]
    try:
        yield
        for task in tasks:
            if task.done() and (error := task.exception()) is not None:
                raise error
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def run(events: int = EVENTS) -> dict[str, Any]:
    """The clear line, then the one that is cut; and what the events would need as JSON."""
    plain_s = json_bytes(Ship(seed=1).events(events)) * 8 / RATE_BPS
    clear = virtualtime.run(_sail("clear", events, 0, plain_s / 9))
    cut = virtualtime.run(_sail(f"cut {CUTS} times for {CUT_S:.0f} s", events, CUTS, clear.caught_up_s))
    return {"rate_bps": RATE_BPS, "round_trip_s": ROUND_TRIP_S, "json_s": plain_s, "rows": [asdict(clear), asdict(cut)]}


def show(figures: dict[str, Any], console: Console) -> None:
    rows = figures["rows"]
    title = f"Catching up {rows[0]['events']:,} events at 256 kbit/s, 700 ms: simulated time, real codec and services"
    table = Table(title=title)
    for heading in (
        *("line", "bytes up", "an event", "caught up s", "limit s", "over limit", "all safety, money ashore s"),
        *("a fresh freeze s", "sent again"),
    ):
        table.add_column(heading, justify="left" if heading == "line" else "right")
    for row in rows:
        limit_s = row["limit_s"] + row["cut_s"]
        table.add_row(
            row["line"],
            f"{row['bytes_up']:,}",
            f"{row['bytes_up'] / row['events']:.1f}",
            f"{row['caught_up_s']:.1f}",
            f"{row['limit_s']:.1f}" + (f" + {row['cut_s']:.0f}" if row["cut_s"] else ""),
            f"{row['caught_up_s'] / limit_s - 1:+.1%}",
            f"{row['class_done_s']['safety']:.1f}, {row['class_done_s']['money']:.1f}",
            "" if row["freeze_s"] is None else f"{row['freeze_s']:.2f}",
            str(row["lost_batches"]),
        )
    console.print(table)
    console.print(f"the same events as JSON with named keys would need {figures['json_s']:,.0f} s of the line")
