"""Brokers and the lines to them: delay, loss, repetition, reordering, partitions, narrow and long ways; all seeded.

As MQTT with QoS 1 over such lines: what a broker took is passed on at least once while it lives; a crashed broker may
forget what it had not passed on yet; a publish that got no answer may have arrived all the same.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from steward.ports.sync import LinkBytes, LinkDown, PipeMessage

HEADER_BYTES = 60  # TCP/IP and MQTT around a message
ANSWER_LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Weather:
    """How a line is. Rates are bits a second, one way; None is as fast as anyone wants."""

    delay_s: float = 0.002
    jitter_s: float = 0.0
    loss: float = 0.0  # of a message or its answer: the publisher hears nothing
    duplicate: float = 0.0
    rate_bps: int | None = None
    up: bool = True


LAN = Weather()
SATELLITE = Weather(delay_s=0.35, jitter_s=0.02, rate_bps=256_000)


@dataclass
class _Session:
    """What a broker knows of one client."""

    filters: list[str] = field(default_factory=list)
    queue: deque[PipeMessage] = field(default_factory=deque)
    client: SimPipe | None = None


class SimBroker:
    """One broker. `crash` forgets everything but what it retains, as brokers on a page cache do at worst."""

    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self.up = True
        self._sessions: dict[str, _Session] = {}

    def session(self, client_id: str) -> _Session:
        return self._sessions.setdefault(client_id, _Session())

    def take(self, topic: str, payload: bytes, retain: bool) -> None:
        if retain:
            self.retained[topic] = payload
        for session in self._sessions.values():
            if any(matches(wanted, topic) for wanted in session.filters):
                session.queue.append(PipeMessage(topic, payload))
                if session.client is not None:
                    session.client.pump()

    def crash(self) -> None:
        self.up = False
        for session in self._sessions.values():
            session.queue.clear()
            if session.client is not None:
                session.client.weather_changed()

    def restart(self) -> None:
        self.up = True
        for session in self._sessions.values():
            if session.client is not None:
                session.client.weather_changed()


class SimPipe:
    """ports.sync.Pipe to a SimBroker. `weather` may be set at any time."""

    def __init__(self, broker: SimBroker, client_id: str, rng: random.Random, weather: Weather = LAN) -> None:
        self.broker = broker
        self._rng = rng
        self._weather = weather
        self._session = broker.session(client_id)
        self._session.client = self
        self._inbox: asyncio.Queue[PipeMessage] = asyncio.Queue()
        self._free_at_s = [0.0, 0.0]  # when the way up and the way down have sent what they were given
        self._sent = self._received = 0
        self._generation = 0
        self._was_up = False
        self._change = asyncio.Event()
        self.weather_changed()

    @property
    def weather(self) -> Weather:
        return self._weather

    @weather.setter
    def weather(self, weather: Weather) -> None:
        self._weather = weather
        self.weather_changed()

    def partition(self, cut: bool) -> None:
        self.weather = replace(self._weather, up=not cut)

    @property
    def is_connected(self) -> bool:
        return self._weather.up and self.broker.up and self._session.client is self

    @property
    def generation(self) -> int:
        return self._generation

    def weather_changed(self) -> None:
        """Notice a connection that came or went."""
        if self.is_connected and not self._was_up:
            self._generation += 1
            for topic in sorted(self.broker.retained):
                if any(matches(wanted, topic) for wanted in self._session.filters):
                    self._session.queue.append(PipeMessage(topic, self.broker.retained[topic], retained=True))
            self.pump()
        self._was_up = self.is_connected
        old, self._change = self._change, asyncio.Event()
        old.set()

    async def connected(self) -> None:
        while not self.is_connected:
            await self._change.wait()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        if not self.is_connected:
            raise LinkDown("not connected")
        generation, weather = self._generation, self._weather
        lost = self._rng.random() < weather.loss
        arrives = not lost or self._rng.random() < 0.5  # the message was lost, or only its answer
        copies = 1 + (self._rng.random() < weather.duplicate)
        await asyncio.sleep(self._travel(0, len(payload)))
        self._sent += len(payload) + HEADER_BYTES
        if not self.is_connected or self._generation != generation:
            raise LinkDown("the connection broke")
        if arrives:
            for _ in range(copies):
                self.broker.take(topic, payload, retain)
        if lost:
            await asyncio.sleep(ANSWER_LIMIT_S)
            raise LinkDown("no answer")
        await asyncio.sleep(weather.delay_s)
        if not self.is_connected or self._generation != generation:
            raise LinkDown("the connection broke")

    async def subscribe(self, *filters: str) -> None:
        new = [wanted for wanted in filters if wanted not in self._session.filters]
        self._session.filters.extend(new)
        if self.is_connected:
            for topic in sorted(self.broker.retained):
                if any(matches(wanted, topic) for wanted in new):
                    self._session.queue.append(PipeMessage(topic, self.broker.retained[topic], retained=True))
            self.pump()

    async def messages(self) -> AsyncIterator[PipeMessage]:
        while True:
            yield await self._inbox.get()

    def counted(self) -> LinkBytes:
        return LinkBytes(self._sent, self._received)

    async def close(self) -> None:
        self.vanish()

    def vanish(self) -> None:
        """The process is gone: what it had not read is the broker's again, and another pipe may take its place."""
        if self._session.client is self:
            self._session.client = None
            while not self._inbox.empty():
                self._session.queue.append(self._inbox.get_nowait())

    def pump(self) -> None:
        """Send on what the broker holds for this client."""
        loop = asyncio.get_running_loop()
        while self.is_connected and self._session.queue:
            message = self._session.queue.popleft()
            for _ in range(1 + (self._rng.random() < self._weather.duplicate)):
                loop.call_later(self._travel(1, len(message.payload)), self._arrive, message, self._generation)

    def _arrive(self, message: PipeMessage, generation: int) -> None:
        if self.is_connected and self._generation == generation:
            self._received += len(message.payload) + HEADER_BYTES
            self._inbox.put_nowait(message)
        elif self.broker.up:
            self._session.queue.append(message)  # not acknowledged: the broker sends it again
            if self._session.client is not None:
                self._session.client.pump()

    def _travel(self, way: int, size: int) -> float:
        """Seconds from now until a message of `size` bytes is at the other end."""
        now_s = asyncio.get_running_loop().time()
        weather = self._weather
        sending_s = 0.0 if weather.rate_bps is None else (size + HEADER_BYTES) * 8 / weather.rate_bps
        self._free_at_s[way] = max(self._free_at_s[way], now_s) + sending_s
        return self._free_at_s[way] - now_s + weather.delay_s + self._rng.uniform(0, weather.jitter_s)


def matches(wanted: str, topic: str) -> bool:
    """MQTT's topic filters: `+` is one level, `#` the rest."""
    parts, levels = wanted.split("/"), topic.split("/")
    for number, part in enumerate(parts):
        if part == "#":
            return True
        if number >= len(levels) or part not in ("+", levels[number]):
            return False
    return len(parts) == len(levels)
