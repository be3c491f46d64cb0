"""Radios at the ship's other gateways. They hold no key: what they hear goes to the authority, and is kept nowhere."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence

from steward.domain.lanradio import (
    ANSWERS_MAX,
    LATE_S,
    NAMES_MAX,
    HeardName,
    HeardNames,
    RadioAnswer,
    RadioAsk,
    decode_heard,
    encode_heard,
    heard_topic,
    open_ask,
    radio_topic,
    seal_ask,
)
from steward.domain.replica import BadLan
from steward.domain.topics import ROOT
from steward.errors import BandAway
from steward.ports import Clock, Entropy, KeyRing
from steward.ports.radio import Radio, RadioState, Sighting
from steward.ports.sync import LinkDown, Pipe, PipeMessage
from steward.services.rates import Rate

_LOG = logging.getLogger(__name__)
TELL_EVERY_S = 1.0
ANSWER_S = 12.0
AWAY_MS = 15_000.0
QUEUE_MAX = 4096
ASKS_MAX = 4  # at one radio, which serves one after the other
_BOOT_SIZE = 8
_PACKETS_TOLD_MAX = 4  # of one name in one message: more say nothing more


class LanRadio:
    """ports.radio.Radio at another gateway, as the authority knows it."""

    def __init__(self, name: str, peers: RadioPeers, clock: Clock) -> None:
        self._name = name
        self._peers = peers
        self._clock = clock
        self._queue: deque[Sighting] = deque(maxlen=QUEUE_MAX)
        self._told: HeardNames | None = None
        self._told_ms = -AWAY_MS
        self._dropped = 0

    @property
    def name(self) -> str:
        return self._name

    @property
    def zone(self) -> str:
        return "" if self._told is None else self._told.zone

    @property
    def is_here(self) -> bool:
        return self._clock.monotonic_ms() - self._told_ms < AWAY_MS

    def status(self) -> RadioState:
        told = self._told
        if told is None or not self.is_here:
            return RadioState(self._name, self.zone, "away", 0, self._dropped)
        return RadioState(self._name, told.zone, told.state, told.heard, told.dropped + self._dropped)

    def take(self) -> Sequence[Sighting]:
        taken, self._queue = self._queue, deque(maxlen=QUEUE_MAX)
        return taken

    async def ask(self, address: str, passkey: int, kind: int, data: bytes) -> tuple[int, bytes]:
        return await self._peers.ask(self._name, address, passkey, kind, data)

    def hear(self, told: HeardNames) -> None:
        now_ms = self._clock.monotonic_ms()
        self._told, self._told_ms = told, now_ms
        for each in told.names:
            for _ in range(min(each.packets, _PACKETS_TOLD_MAX)):
                self._dropped += len(self._queue) == QUEUE_MAX
                self._queue.append(Sighting(each.name, each.rssi, each.address, now_ms - each.age_ms))


class RadioPeers:
    """At the authority. Hand `receive` every message under `topic`."""

    def __init__(
        self, ship: str, gateways: Iterable[str], clock: Clock, entropy: Entropy, keyring: KeyRing, pipe: Pipe
    ) -> None:
        self._ship = ship
        self._clock = clock
        self._keyring = keyring
        self._pipe = pipe
        self._boot = entropy.token_bytes(_BOOT_SIZE)
        self._number = 0
        self._waiting: dict[tuple[str, int], asyncio.Future[RadioAnswer]] = {}
        self._rate = Rate(clock, burst=20, per_s=5.0)
        self.radios = {name: LanRadio(name, self, clock) for name in gateways}
        self.topic = f"{ROOT}/{ship}/lan/+/heard"

    async def receive(self, message: PipeMessage) -> None:
        gateway = message.topic.removeprefix(f"{ROOT}/{self._ship}/lan/").removesuffix("/heard")
        radio = self.radios.get(gateway)
        if radio is None or not self._rate.take(gateway):
            return
        try:
            told = decode_heard(message.payload, self._ship, gateway)
        except BadLan as error:
            _LOG.warning("lan.refused code=%s gateway=%s bytes=%d", error.code, gateway, len(message.payload))
            return
        radio.hear(told)
        for answer in told.answers:
            waiting = self._waiting.get((gateway, answer.number))
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)

    async def ask(self, gateway: str, address: str, passkey: int, kind: int, data: bytes) -> tuple[int, bytes]:
        """Raises BandAway."""
        self._number += 1
        now_s, number = self._clock.now().unix_s, self._number
        ask = RadioAsk(self._ship, gateway, self._boot, number, now_s, address, passkey, kind, data)
        answered: asyncio.Future[RadioAnswer] = asyncio.get_running_loop().create_future()
        self._waiting[gateway, number] = answered
        try:
            await self._pipe.publish(radio_topic(self._ship, gateway), seal_ask(ask, self._keyring.sign_lan))
            async with asyncio.timeout(ANSWER_S):
                answer = await answered
        except (LinkDown, TimeoutError) as error:
            raise BandAway(f"gateway {gateway} did not answer for the band") from error
        finally:
            del self._waiting[gateway, number]
        if answer.status < 0:
            raise BandAway("the band did not answer")
        return answer.status, answer.data


class RadioForwarder:
    """At a gateway that follows: tells what its radio hears, and asks bands for the authority. Run `run`."""

    def __init__(self, ship: str, gateway: str, radio: Radio, clock: Clock, keyring: KeyRing, pipe: Pipe) -> None:
        self._ship = ship
        self._gateway = gateway
        self._radio = radio
        self._clock = clock
        self._keyring = keyring
        self._pipe = pipe
        self._answers: deque[RadioAnswer] = deque(maxlen=ANSWERS_MAX)
        self._asking: set[asyncio.Task[None]] = set()
        self._last: tuple[bytes, int] = (b"", 0)
        self.topic = radio_topic(ship, gateway)

    async def run(self) -> None:
        while True:
            await self.tell()
            await asyncio.sleep(TELL_EVERY_S)

    async def tell(self) -> None:
        """What was heard since the last time. While nobody can be told, it is let go."""
        state, now_ms = self._radio.status(), self._clock.monotonic_ms()
        names = summed(self._radio.take(), now_ms)
        answers = tuple(self._answers)
        head = (self._ship, self._gateway, self._radio.zone, state.state, state.heard, state.dropped)
        try:
            payload = encode_heard(HeardNames(*head, names, answers))
            await self._pipe.publish(heard_topic(self._ship, self._gateway), payload)
        except LinkDown:
            return
        for _ in answers:
            self._answers.popleft()

    async def receive(self, message: PipeMessage) -> None:
        """A question of the authority: each is obeyed once, and none that is old."""
        try:
            ask = open_ask(message.payload, self._ship, self._gateway, self._keyring.verify_lan)
        except BadLan as error:
            _LOG.warning("lan.refused code=%s bytes=%d", error.code, len(message.payload))
            return
        boot, number = self._last
        if (ask.boot == boot and ask.number <= number) or abs(self._clock.now().unix_s - ask.sent_s) > LATE_S:
            return
        self._last = (ask.boot, ask.number)
        if len(self._asking) >= ASKS_MAX:
            self._answers.append(RadioAnswer(ask.number, -1, b""))
            return
        task = asyncio.create_task(self._ask(ask))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask(self, ask: RadioAsk) -> None:
        try:
            status, data = await self._radio.ask(ask.address, ask.passkey, ask.kind, ask.data)
        except BandAway:
            status, data = -1, b""
        self._answers.append(RadioAnswer(ask.number, status, data))
        await self.tell()


def summed(sightings: Iterable[Sighting], now_ms: float) -> tuple[HeardName, ...]:
    """Name by name and address by address; of very many, those heard strongest."""
    heard: dict[tuple[bytes, str], list[Sighting]] = {}
    for each in sightings:
        heard.setdefault((each.name, each.address), []).append(each)
    names = [
        HeardName(
            name,
            address,
            round(sum(each.rssi for each in packets) / len(packets)),
            len(packets),
            max(int(now_ms - packets[-1].at_ms), 0),
        )
        for (name, address), packets in heard.items()
    ]
    return tuple(sorted(names, key=lambda each: (-each.rssi, each.name, each.address))[:NAMES_MAX])
