"""What the tills have asked for and no band has answered yet. In memory only: nothing is owed before a tap."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from steward.domain.charges import ChargeRefusal, ChargeRequest
from steward.domain.ids import TapId, TillId
from steward.errors import Busy, Conflict, StoreUnavailable
from steward.ports import Clock

Bell = asyncio.Future[None]
V = TypeVar("V")
_KEPT_MAX = 4096
CANNOT_WRITE = "gateway_cannot_write"  # told to the till, which shows it: nobody else stands there


@dataclass(slots=True)
class _Pending:
    request: ChargeRequest
    expires_ms: float
    bookings: int = 0  # a tap is being written down: too late to cancel or to expire
    trouble: str = ""  # why the last tap could not be written down


class PendingTaps:
    """One request a till at most. Used from the event loop only, so it needs no lock.

    A request that was cancelled or expired is remembered for a while (the last 4096), so that a tap which was on
    its way meanwhile is refused and not charged behind the till's back.
    """

    def __init__(self, clock: Clock, expires_s: int, tills_max: int, listeners_max: int) -> None:
        self._clock = clock
        self._expires_ms = expires_s * 1000
        self._tills_max = tills_max
        self._listeners_max = listeners_max
        self._by_till: dict[TillId, _Pending] = {}
        self._till_of: dict[TapId, TillId] = {}
        self._closed: OrderedDict[TapId, str] = OrderedDict()
        self._booked: OrderedDict[TapId, None] = OrderedDict()
        self._bells: dict[str, set[Bell]] = {}
        self._listener_count = 0

    def open(self, request: ChargeRequest) -> None:
        """Keep a request for its till. The same one again changes nothing, not even when it expires.

        Raises Conflict if the tap id stands for something else or another tap is pending there; Busy if too many
        tills wait.
        """
        known = self.find(request.tap_id)
        if known is not None:
            check_same(known, request)
            return
        if (code := self.closed_code(request.tap_id)) is not None:
            raise Conflict(f"tap {request.tap_id} was closed ({code}): make a new tap id for a new attempt")
        if (other := self._live(request.till)) is not None:
            raise Conflict(f"till {request.till} waits for tap {other.request.tap_id}: cancel that one first")
        self._drop_expired()
        if len(self._by_till) >= self._tills_max:
            raise Busy(f"{self._tills_max} tills wait for a tap already: try again")
        self._by_till[request.till] = _Pending(request, self._clock.monotonic_ms() + self._expires_ms)
        self._till_of[request.tap_id] = request.till
        self._notify(_till_key(request.till))

    def find(self, tap_id: TapId) -> ChargeRequest | None:
        """The request of this tap, while it is pending or being booked."""
        till = self._till_of.get(tap_id)
        pending = self._live(till) if till is not None else None
        return pending.request if pending is not None else None

    def at_till(self, till: TillId) -> ChargeRequest | None:
        """What this till wants a tap for; None if nothing, or if that tap is being booked already."""
        pending = self._live(till)
        return pending.request if pending is not None and not pending.bookings else None

    def is_booking(self, tap_id: TapId) -> bool:
        till = self._till_of.get(tap_id)
        return till is not None and self._by_till[till].bookings > 0

    def trouble(self, tap_id: TapId) -> str:
        """CANNOT_WRITE if a tap came for this request and the gateway could not write it down; else empty."""
        till = self._till_of.get(tap_id)
        return self._by_till[till].trouble if till is not None else ""

    def was_booked(self, tap_id: TapId) -> bool:
        """Whether it was written down lately (the last 4096): who looked at the store before that looks again."""
        return tap_id in self._booked

    def closed_code(self, tap_id: TapId) -> str | None:
        """Why this tap id can never be charged: "cancelled" or "request_expired"; None if it still may."""
        self.find(tap_id)  # lets it expire
        return self._closed.get(tap_id)

    def close(self, tap_id: TapId, code: ChargeRefusal) -> None:
        """Give a tap up before it happens. One that was never asked for is closed too: its request may be late."""
        self._forget(tap_id)
        _keep(self._closed, tap_id, code.value)
        self._notify(tap_id)

    @contextmanager
    def booking(self, request: ChargeRequest) -> Iterator[str | None]:
        """Around writing a tap down; yields why it must be refused, or None.

        If the block ends well the request is done with. If it raises, nothing was recorded and the guest may tap
        again for the same request.
        """
        known = self.find(request.tap_id)
        if known is not None:
            check_same(known, request)
        pending = self._by_till[request.till] if known is not None else None
        code = self.closed_code(request.tap_id)
        if pending is not None:
            pending.bookings += 1
        try:
            yield code
            self._forget(request.tap_id)
            _keep(self._booked, request.tap_id, None)
        except StoreUnavailable:
            if pending is not None:
                pending.trouble = CANNOT_WRITE
            raise
        finally:
            if pending is not None:
                pending.bookings -= 1
            self._notify(request.tap_id)
            self._notify(_till_key(request.till))

    @contextmanager
    def listening(self, tap_id: TapId) -> Iterator[Bell]:
        """A bell that rings when something happens to this tap. Raises Busy if too many listen."""
        if self._listener_count >= self._listeners_max:
            raise Busy(f"{self._listeners_max} requests wait for a tap already: try again")
        self._listener_count += 1
        try:
            with self._bell(tap_id) as bell:
                yield bell
        finally:
            self._listener_count -= 1

    async def heard(self, bell: Bell, tap_id: TapId, timeout_s: float) -> bool:
        """Whether the bell rang within `timeout_s`. False as well when the request of this tap expired first."""
        till = self._till_of.get(tap_id)
        if till is not None:
            left_ms = self._by_till[till].expires_ms - self._clock.monotonic_ms()
            timeout_s = min(timeout_s, max(left_ms, 0) / 1000)
        await asyncio.wait((bell,), timeout=timeout_s)
        return bell.done()

    async def booked(self, tap_id: TapId) -> None:
        """Return once no tap for this request is being written down."""
        while self.is_booking(tap_id):
            with self._bell(tap_id) as bell:
                await bell

    async def wanted(self, till: TillId) -> ChargeRequest:
        """Wait, however long, until this till wants a tap. For its readers: as many callers as there are readers."""
        while (request := self.at_till(till)) is None:
            with self._bell(_till_key(till)) as bell:
                await bell
        return request

    def touch(self, tap_id: TapId) -> None:
        """Tell who waits for this tap that its recorded charge changed."""
        self._notify(tap_id)

    def _live(self, till: TillId) -> _Pending | None:
        pending = self._by_till.get(till)
        if pending is None:
            return None
        if pending.bookings or self._clock.monotonic_ms() < pending.expires_ms:
            return pending
        self.close(pending.request.tap_id, ChargeRefusal.REQUEST_EXPIRED)
        return None

    def _drop_expired(self) -> None:
        for till in list(self._by_till):
            self._live(till)

    def _forget(self, tap_id: TapId) -> None:
        till = self._till_of.pop(tap_id, None)
        if till is not None:
            del self._by_till[till]

    @contextmanager
    def _bell(self, key: str) -> Iterator[Bell]:
        bell: Bell = asyncio.get_running_loop().create_future()
        bells = self._bells.setdefault(key, set())
        bells.add(bell)
        try:
            yield bell
        finally:
            bells.discard(bell)
            if not bells and self._bells.get(key) is bells:
                del self._bells[key]

    def _notify(self, key: str) -> None:
        for bell in self._bells.get(key, ()):
            if not bell.done():
                bell.set_result(None)


def _keep(memory: OrderedDict[TapId, V], tap_id: TapId, value: V) -> None:
    """Remember the newest _KEPT_MAX."""
    memory[tap_id] = value
    memory.move_to_end(tap_id)
    if len(memory) > _KEPT_MAX:
        memory.popitem(last=False)


def check_same(known: ChargeRequest, request: ChargeRequest) -> None:
    """Raises Conflict if one tap id is used for two different charges."""
    if known != request:
        raise Conflict(f"tap {request.tap_id} stands for another charge: make a new tap id for a new attempt")


def _till_key(till: TillId) -> str:
    return f"till:{till}"
