"""The service's tasks: take what the link brings, acknowledge it, and keep every ship's decisions published."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from steward.domain.topics import ROOT, down_topic
from steward.errors import Busy, StoreUnavailable
from steward.ports import Clock
from steward.ports.sync import LinkDown, Pipe, PipeMessage
from steward.shore.downs import Issued, Reached, message_of, newest, reached
from steward.shore.ingest import PEER, Ingest, Reply
from steward.shore.registry import GATEWAYS_MAX, NAME, SHIPS_MAX
from steward.shore.script import Script
from steward.shore.store import ShoreStore

_LOG = logging.getLogger(__name__)

UP_FILTER = f"{ROOT}/+/+/up/+"
LINK_FILTER = f"{ROOT}/+/+/link/{PEER}"
PUBLISH_EVERY_S = 1.0
REPEAT_FIRST_S, REPEAT_MAX_S = 5.0, 1800.0
HEARD_S = 900  # a gateway with nothing to say still asks every five minutes
RETRIES_MAX = 8
RETRY_FIRST_S, RETRY_PAUSE_MAX_S = 0.2, 10.0
_HERE = b"here"

Sleep = Callable[[float], Awaitable[None]]


class Presence:
    """Which gateways the broker says are connected: by (ship, gateway)."""

    def __init__(self) -> None:
        self._here: dict[tuple[str, str], bool] = {}

    def note(self, message: PipeMessage) -> None:
        levels = message.topic.split("/")
        named = len(levels) == 6 and all(NAME.fullmatch(level) for level in levels[2:4])
        if named and len(self._here) < SHIPS_MAX * GATEWAYS_MAX:
            self._here[levels[2], levels[3]] = message.payload == _HERE

    @property
    def here(self) -> Mapping[tuple[str, str], bool]:
        return MappingProxyType(self._here)


class LinkIntake:
    """One subscription and several workers behind it. `read` and `work` are tasks for a supervisor.

    up: whether batches come over this link; on a cluster they come from its streams instead.
    """

    def __init__(
        self, pipe: Pipe, ingest: Ingest, presence: Presence, *, workers: int, up: bool, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._pipe = pipe
        self._ingest = ingest
        self._presence = presence
        self._filters = (UP_FILTER, LINK_FILTER) if up else (LINK_FILTER,)
        # Short: what waits longer than a gateway's patience is sent again anyhow.
        self._waiting: asyncio.Queue[PipeMessage] = asyncio.Queue(2 * workers)
        self._sleep = sleep

    async def read(self) -> None:
        """Bring messages to the workers. While they are busy the broker holds the rest."""
        await self._pipe.subscribe(*self._filters)
        async for message in self._pipe.messages():
            if "/link/" in message.topic:
                self._presence.note(message)
            else:
                await self._waiting.put(message)

    async def work(self) -> None:
        """One worker. A batch in hand is finished even when it is cancelled, if the store answers."""
        while True:
            message = await self._waiting.get()
            doing = asyncio.ensure_future(self._take(message))
            try:
                await asyncio.shield(doing)
            except asyncio.CancelledError:
                await doing
                raise

    async def _take(self, message: PipeMessage) -> None:
        reply = await store_patiently(self._ingest, message.topic, message.payload, self._sleep)
        if reply is not None:
            with contextlib.suppress(LinkDown):  # the gateway asks again, and is then told the same
                await self._pipe.publish(reply.topic, reply.payload)


async def store_patiently(ingest: Ingest, topic: str, payload: bytes, sleep: Sleep) -> Reply | None:
    """Store a batch, waiting for a store that is away. Given up after RETRIES_MAX: the gateway sends it again."""
    for attempt in range(RETRIES_MAX):
        try:
            return await ingest.batch(topic, payload)
        except (StoreUnavailable, Busy) as error:
            ingest.counts["failures"] += 1
            _LOG.error("ingest.not_stored attempt=%d detail=%s", attempt + 1, error)
            await sleep(min(RETRY_FIRST_S * 2**attempt, RETRY_PAUSE_MAX_S))
    ingest.counts["given_up"] += 1
    return None


class Publisher:
    """Keeps the newest decision of every kind retained for every ship. `run` is a task for a supervisor.

    All of them again on every new connection: a broker may have lost what it retained. And again, ever more seldom,
    while a gateway that was heard lately does not say that it has applied it: nats-server drops a retained message
    for a client that subscribes at that very moment.
    """

    def __init__(self, store: ShoreStore, pipe: Pipe, clock: Clock, *, every_s: float = PUBLISH_EVERY_S) -> None:
        self._store = store
        self._pipe = pipe
        self._clock = clock
        self._every_s = every_s
        self._published: dict[tuple[str, str], _Published] = {}
        self._generation = 0
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is something new."""
        self._woken.set()

    async def run(self) -> None:
        while True:
            await self._pipe.connected()
            with contextlib.suppress(LinkDown):
                await self.publish()
            try:
                async with asyncio.timeout(self._every_s):
                    await self._woken.wait()
            except TimeoutError:
                continue
            self._woken.clear()

    async def publish(self) -> int:
        """Publish what is due; how many. Raises LinkDown, StoreUnavailable."""
        if self._pipe.generation != self._generation:
            self._published.clear()
            self._generation = self._pipe.generation
        decisions, gateways = await self._store.read(_both())
        due = [issued for issued in decisions if self._is_due(issued, self._missing(issued, gateways))]
        for issued in due:
            message = await self._store.read(message_of(issued))
            await self._pipe.publish(down_topic(issued.ship, issued.kind), message, retain=True)
            self._note(issued, self._missing(issued, gateways))
            _LOG.info("down.published ship=%s kind=%s version=%d", issued.ship, issued.kind, issued.version)
        return len(due)

    def _missing(self, issued: Issued, gateways: Sequence[Reached]) -> frozenset[str]:
        """Who was heard lately and has not said that it has it."""
        since_s = self._clock.now().unix_s - HEARD_S
        return frozenset(
            line.gateway
            for line in gateways
            if line.ship == issued.ship
            and line.contact_s > since_s
            and line.versions.get(issued.kind, 0) < issued.version
        )

    def _is_due(self, issued: Issued, missing: frozenset[str]) -> bool:
        known = self._published.get((issued.ship, issued.kind))
        if known is None or known.version != issued.version:
            return True
        if not missing:
            return False
        pause_s = REPEAT_FIRST_S if missing - known.missing else known.pause_s
        return self._clock.monotonic_ms() - known.at_ms >= pause_s * 1000

    def _note(self, issued: Issued, missing: frozenset[str]) -> None:
        key = (issued.ship, issued.kind)
        known = self._published.get(key)
        again = known is not None and known.version == issued.version and not missing - known.missing
        pause_s = min(2 * known.pause_s, REPEAT_MAX_S) if known is not None and again else REPEAT_FIRST_S
        self._published[key] = _Published(issued.version, self._clock.monotonic_ms(), pause_s, missing)


@dataclass(frozen=True, slots=True)
class _Published:
    """What this connection was given. pause_s: before it is said again; missing: who did not have it then."""

    version: int
    at_ms: float
    pause_s: float
    missing: frozenset[str]


def _both() -> Script[tuple[list[Issued], list[Reached]]]:
    return (yield from newest()), (yield from reached())
