"""The link to a broker: MQTT 3.1.1 at QoS 1 over a line that may be slow, long and often gone.

`run` keeps a connection: it dials one address after the other, waits longer after each round that got nowhere, and
subscribes again to what was asked for. The session is persistent, so the broker keeps what arrives for us while we are
away; correctness does not rest on that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from steward.adapters.bytemeter import ByteMeter
from steward.adapters.dial import ClientTls, Dialler, reason
from steward.adapters.mqttline import Arrived, LinkRefused, MqttLine, Will
from steward.errors import Refused
from steward.ports.sync import LinkBytes, LinkDown, PipeMessage

_LOG = logging.getLogger(__name__)

KEEP_ALIVE_S = 300
# Messages nobody has taken yet; then the connection is not read until half of them are gone. Brokers stop sooner, at
# so many unacknowledged ones (64 by our files), and then acknowledgements of what we publish still come through.
WAITING_MAX = 256
BACKOFF_MIN_S = 0.05
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 60.0
FILTERS_MAX = 64
HERE, GONE = b"here", b"gone"


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """Where, and as whom. client_id: the same over restarts, and not to be guessed by others.

    presence: a topic that holds "here" while there is a connection, and "gone" after. login: user and password.
    others: addresses to try when the first does not answer; the first is tried again after each lost connection.
    """

    host: str
    port: int
    client_id: str = field(repr=False)
    tls: ClientTls | None = None
    login: tuple[str, str] | None = field(default=None, repr=False)
    presence: str | None = None
    keep_alive_s: int = KEEP_ALIVE_S
    others: tuple[tuple[str, int], ...] = ()


class MqttPipe:
    """A ports.sync.Pipe. `run` belongs to a supervisor, and ends with a good-bye when it is cancelled."""

    def __init__(self, settings: MqttSettings) -> None:
        self._settings = settings
        addresses = ((settings.host, settings.port), *settings.others)
        self._diallers = [Dialler(host, port, settings.tls) for host, port in addresses]
        self._meter = ByteMeter()
        self._line: MqttLine | None = None
        self._up = asyncio.Event()
        self._generation = 0
        self._filters: dict[str, None] = {}
        self._waiting: deque[tuple[MqttLine, Arrived]] = deque()
        self._arrived = asyncio.Event()
        self._held: MqttLine | None = None  # the connection that is not read
        self._trouble = ""
        self._acknowledged = False  # the broker has taken something from us over this connection
        self._run: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        return self._line is not None

    @property
    def generation(self) -> int:
        return self._generation

    @property
    def trouble(self) -> str:
        """Why there is no connection, or what the broker refuses on it. Empty when all is well."""
        return self._trouble

    async def connected(self) -> None:
        await self._up.wait()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        if self._line is None:
            raise LinkDown("there is no connection to the broker")
        await self._line.publish(topic, payload, retain)
        self._acknowledged = True

    async def subscribe(self, *filters: str) -> None:
        """As the port says. Raises Refused if the broker does not grant one of them now."""
        if len(self._filters.keys() | set(filters)) > FILTERS_MAX:
            raise ValueError(f"more than {FILTERS_MAX} subscriptions")
        self._filters.update(dict.fromkeys(filters))
        if self._line is not None:
            with contextlib.suppress(LinkDown):  # the next connection subscribes
                refused = await self._line.subscribe(filters)
                if refused:
                    raise Refused("subscription", f"the broker does not grant {', '.join(refused)}")

    async def messages(self) -> AsyncIterator[PipeMessage]:
        """As the port says. The broker is told that a message was dealt with when the next one is asked for."""
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            line, message = self._waiting.popleft()
            try:
                yield PipeMessage(message.topic, message.payload, message.retained)
            finally:
                line.done(message)
                if self._held is not None and len(self._waiting) <= WAITING_MAX // 2:
                    self._held.resume()
                    self._held = None

    def counted(self) -> LinkBytes:
        return self._meter.read()

    async def run(self) -> None:
        """Stay connected, until cancelled."""
        self._run = asyncio.current_task()
        place = rounds = 0  # of the addresses; how often all of them were tried in vain
        while True:
            self._acknowledged = False
            dialler = self._diallers[place]
            trouble = await self._one_connection(dialler)
            if trouble != self._trouble:
                _LOG.warning("link.down host=%s port=%d why=%s", dialler.host, dialler.port, trouble)
            self._trouble = trouble
            if self._acknowledged:
                place = rounds = 0
            else:
                place = (place + 1) % len(self._diallers)
                rounds += place == 0
            await asyncio.sleep(pause_s(0 if place else rounds))

    async def close(self) -> None:
        """End `run`."""
        if self._run is not None:
            self._run.cancel()
            await asyncio.wait([self._run])

    async def _one_connection(self, dialler: Dialler) -> str:
        """From dialling until it is lost; returns why it was."""
        settings = self._settings
        will = None if settings.presence is None else Will(settings.presence, GONE)
        try:
            line = await MqttLine.open(
                settings.client_id,
                dialler,
                self._meter,
                self._take,
                self._down,
                keep_alive_s=settings.keep_alive_s,
                will=will,
                login=settings.login,
            )
        except (LinkRefused, LinkDown) as error:
            return str(error)
        except (OSError, UnicodeError) as error:  # UnicodeError: a host that can be no name, such as a..b
            return reason(error)
        try:
            await self._use(line, dialler)
            return await asyncio.shield(line.lost)
        except LinkDown as error:
            return str(error)
        finally:
            await self._leave(line)

    async def _use(self, line: MqttLine, dialler: Dialler) -> None:
        """Subscribe, say that we are here, and let others use it. Raises LinkDown."""
        refused = await line.subscribe(list(self._filters)) if self._filters else []
        if self._settings.presence is not None:
            await line.publish(self._settings.presence, HERE, retain=True)
        if line.lost.done():
            raise LinkDown(line.lost.result())
        self._trouble = f"the broker does not grant {', '.join(refused)}" if refused else ""
        if refused:
            _LOG.warning("link.subscription_refused filters=%s", ",".join(refused))
        self._line = line
        self._generation += 1
        self._up.set()
        _LOG.info("link.up host=%s port=%d", dialler.host, dialler.port)

    def _down(self, line: MqttLine) -> None:
        if self._line is line:
            self._line = None
            self._up.clear()
        if self._held is line:
            self._held = None

    async def _leave(self, line: MqttLine) -> None:
        self._down(line)
        if not line.lost.done() and self._settings.presence is not None:
            with contextlib.suppress(LinkDown, TimeoutError):
                async with asyncio.timeout(1.0):
                    await line.publish(self._settings.presence, GONE, retain=True)
        await line.end()

    def _take(self, line: MqttLine, message: Arrived) -> None:
        self._waiting.append((line, message))
        self._arrived.set()
        if len(self._waiting) >= WAITING_MAX and self._held is not line:
            self._held = line
            line.pause()


def pause_s(rounds: int) -> float:
    """Anywhere up to a bound that doubles with each round: gateways that lost a broker together come back apart.

    A connection that got as far as a message the broker took begins anew: one that is accepted and at once dropped,
    again and again, does not.
    """
    bound_s = min(BACKOFF_FIRST_S * 2.0 ** min(rounds, 16), BACKOFF_MAX_S)
    return BACKOFF_MIN_S + (bound_s - BACKOFF_MIN_S) * secrets.randbelow(1001) / 1000
