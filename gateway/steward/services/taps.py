"""From a card in the field to a decision shown: one loop a reader, whatever the reader is for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from bandwire.condition import WISH_NONE
from steward.domain.access import GRANTED, Decision, Place, Refusal, refuse
from steward.domain.ids import DoorId, Uid
from steward.errors import Busy, CardRefused, CardRemoved, KeyNotHeld, ReaderFault, StoreUnavailable
from steward.ports import Actuator, Card, CardReader, Clock, DoorSignal, Store, Tx
from steward.services.board import TapBoard, TapRecord

T = TypeVar("T")
WishOf = Callable[[bytes], bytes]  # what a band of this UID is to be told of its radio: bandwire.condition
_LOG = logging.getLogger(__name__)


def no_wish(_uid: bytes) -> bytes:
    return WISH_NONE


class MeteredCard:
    """A card that counts what goes over the air and how long it takes."""

    def __init__(self, card: Card, clock: Clock) -> None:
        self._card = card
        self._clock = clock
        self.exchange_ms = 0.0
        self.apdus = 0
        self.bytes_up = 0  # reader to card
        self.bytes_down = 0

    @property
    def anticollision_id(self) -> bytes:
        return self._card.anticollision_id

    async def exchange(self, capdu: bytes) -> bytes:
        start = self._clock.monotonic_ms()
        self.apdus += 1
        self.bytes_up += len(capdu)
        try:
            rapdu = await self._card.exchange(capdu)
        finally:
            self.exchange_ms += self._clock.monotonic_ms() - start
        self.bytes_down += len(rapdu)
        return rapdu


@dataclass(slots=True)
class Tap:
    """One card's visit to a reader, while it lasts."""

    card: MeteredCard
    place: Place
    reader: str
    purpose: str  # "door" | "till" | "encoder" | "crew"
    start_ms: float
    at_s: int
    clock_trusted: bool
    commit_ms: float = 0.0
    uid: Uid | None = None  # of the band, once it has proved itself
    notes: list[str] = field(default_factory=list)
    wish_of: WishOf = no_wish


@dataclass(frozen=True, slots=True)
class TapOutcome:
    """What came of a tap. `code` is "granted", "posted", "held", "encoded", "idle" or a refusal code."""

    code: str
    granted: bool
    light: str
    alerts: tuple[str, ...] = ()

    @classmethod
    def of(cls, decision: Decision) -> TapOutcome:
        return cls(decision.code, decision.granted, decision.light, decision.alerts)


async def timed_write(store: Store, clock: Clock, tap: Tap, work: Callable[[Tx], T]) -> T:
    """One transaction, its time counted as the tap's commit time."""
    start = clock.monotonic_ms()
    try:
        return await store.write(work)
    finally:
        tap.commit_ms += clock.monotonic_ms() - start


class TapHandler(Protocol):
    """What a reader is for."""

    @property
    def purpose(self) -> str: ...

    async def ready(self) -> None:
        """Return when a card could be served: at once for a door, when something was asked for a till."""
        ...

    async def tap(self, tap: Tap) -> TapOutcome: ...

    async def failed(self, tap: Tap, decision: Decision) -> TapOutcome:
        """Record a tap that ended before anything could be decided."""
        ...


class TapLoop:
    """Serves one reader for ever. Only ReaderFault leaves run(); the supervisor starts it again."""

    def __init__(
        self,
        reader: CardReader,
        place: Place,
        handler: TapHandler,
        clock: Clock,
        actuator: Actuator,
        board: TapBoard,
        wish_of: WishOf = no_wish,
    ) -> None:
        self._wish_of = wish_of
        self.reader = reader
        self._place = place
        self._handler = handler
        self._clock = clock
        self._actuator = actuator
        self._board = board
        self.state = "starting"

    async def run(self) -> None:
        while True:
            self.state = "idle"
            await self._handler.ready()
            self.state = "waiting"
            try:
                card = await self.reader.connect()
            except CardRemoved:
                continue  # gone before it was powered: nothing was asked of it
            except ReaderFault:
                self.state = "fault"
                raise
            self.state = "busy"
            await self._finish(card)

    async def _finish(self, card: Card) -> None:
        """Serve a card to the end even when the loop is being stopped: the door hears what was booked."""
        serving = asyncio.create_task(self._serve(card))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            await serving  # every exchange and every write in it has a limit
            raise

    async def _serve(self, card: Card) -> None:
        start = self._clock.monotonic_ms()
        now = self._clock.now()
        metered = MeteredCard(card, self._clock)
        tap = Tap(
            metered,
            self._place,
            self.reader.name,
            self._handler.purpose,
            start,
            now.unix_s,
            now.trusted,
            wish_of=self._wish_of,
        )
        try:
            outcome = await self._decide(tap)
            await self._show(tap, outcome)
        finally:
            await self.reader.disconnect(card)

    async def _decide(self, tap: Tap) -> TapOutcome:
        try:
            return await self._handler.tap(tap)
        except CardRemoved:
            decision = refuse(Refusal.CARD_REMOVED)
        except CardRefused as error:
            tap.notes.append(error.detail)
            decision = refuse(Refusal(error.code))
        except ReaderFault as error:
            tap.notes.append(str(error))
            decision = refuse(Refusal.READER_FAULT)
        except KeyNotHeld as error:  # set up for more than its key file allows: say so, and serve the next
            tap.notes.append(str(error))
            decision = refuse(Refusal.FOREIGN_CARD)
        except (StoreUnavailable, Busy) as error:
            _LOG.error("store.unavailable reader=%s detail=%s", tap.reader, error)
            return TapOutcome.of(refuse(Refusal.STORE_UNAVAILABLE, "store_unavailable"))
        try:
            return await self._handler.failed(tap, decision)
        except (StoreUnavailable, Busy) as error:
            _LOG.error("store.unavailable reader=%s detail=%s", tap.reader, error)
            return TapOutcome.of(refuse(Refusal.STORE_UNAVAILABLE, "store_unavailable"))

    async def _show(self, tap: Tap, outcome: TapOutcome) -> None:
        if tap.purpose == "door":
            signal = DoorSignal(DoorId(tap.place.name), outcome.granted, outcome.code, outcome.light)
            await self._actuator.show(signal)
        total = self._clock.monotonic_ms() - tap.start_ms
        card = tap.card
        record = TapRecord(
            at_s=tap.at_s,
            reader=tap.reader,
            purpose=tap.purpose,
            place=tap.place.name,
            code=outcome.code,
            exchange_ms=card.exchange_ms,
            compute_ms=max(0.0, total - card.exchange_ms - tap.commit_ms),
            commit_ms=tap.commit_ms,
            apdus=card.apdus,
            bytes_up=card.bytes_up,
            bytes_down=card.bytes_down,
        )
        self._board.record(record)
        if tap.uid is not None:
            self._board.seen(tap.uid, tap.at_s)
        for alert in outcome.alerts:
            self._board.alert(alert)
        level = logging.INFO if outcome.granted or outcome.code == GRANTED else logging.WARNING
        _LOG.log(
            level,
            "tap.done reader=%s purpose=%s place=%s code=%s ms=%.1f%s",
            tap.reader,
            tap.purpose,
            tap.place.name,
            outcome.code,
            total,
            f" notes={'; '.join(tap.notes)[:200]!r}" if tap.notes else "",
        )
