"""Logins that have begun and not ended: a handheld waits for a band, then for the PIN. Bounded, short-lived, in memory.

At each station one handheld waits at a time, so that a tap cannot log in a handheld that somebody else holds.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from steward.domain.crew import LoginId, LoginState
from steward.domain.ids import GuestRef, Uid
from steward.errors import Busy, Refused
from steward.ports import Clock, Entropy

LOGINS_MAX = 128
TAP_WITHIN_MS = 60_000
PIN_WITHIN_MS = 120_000
WAIT_MAX_S = 30.0


@dataclass(frozen=True, slots=True)
class CrewTap:
    """A crew band that proved itself at a station."""

    station: str
    ref: GuestRef
    uid: Uid
    serial: int
    deny_epoch: int


@dataclass(slots=True)
class _Login:
    station: str
    client: str
    ends_ms: float
    tap: CrewTap | None = None
    bell: asyncio.Event = field(default_factory=asyncio.Event)


class Logins:
    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy
        self._open: dict[LoginId, _Login] = {}

    def begin(self, station: str, client: str) -> LoginId:
        """Begin anew: what the same handheld had begun is over. Raises Refused station_taken, Busy."""
        self._sweep()
        for id_, login in list(self._open.items()):
            if login.client == client:
                self._end(id_)
            elif login.station == station and login.tap is None:
                raise Refused("station_taken", f"another handheld waits at {station}: try again in a minute")
        if len(self._open) >= LOGINS_MAX:
            raise Busy("too many handhelds are logging in: try again")
        id_ = LoginId(self._entropy.token_bytes(16).hex())
        self._open[id_] = _Login(station, client, self._clock.monotonic_ms() + TAP_WITHIN_MS)
        return id_

    def tapped(self, station: str, tap: CrewTap) -> bool:
        """Hand the tap to the handheld that waits at this station. False: none does."""
        self._sweep()
        for login in self._open.values():
            if login.station == station and login.tap is None:
                login.tap = tap
                login.ends_ms = self._clock.monotonic_ms() + PIN_WITHIN_MS
                login.bell.set()
                return True
        return False

    async def wait(self, id_: LoginId, timeout_s: float) -> LoginState:
        self._sweep()
        login = self._open.get(id_)
        if login is None:
            return LoginState.EXPIRED
        left_s = max(0.0, (login.ends_ms - self._clock.monotonic_ms()) / 1000)
        try:
            async with asyncio.timeout(min(timeout_s, WAIT_MAX_S, left_s)):
                await login.bell.wait()
        except TimeoutError:
            self._sweep()
        if self._open.get(id_) is not login:
            return LoginState.EXPIRED
        return LoginState.WAITING if login.tap is None else LoginState.TAPPED

    def tap_of(self, id_: LoginId) -> CrewTap:
        """Whose band was tapped for it. Raises Refused login_over, login_not_tapped."""
        self._sweep()
        login = self._open.get(id_)
        if login is None:
            raise Refused("login_over", "begin again: the band was tapped too long ago, or not at all")
        if login.tap is None:
            raise Refused("login_not_tapped", "tap the crew band first")
        return login.tap

    def use(self, id_: LoginId) -> bool:
        """End it, once: of two that try, one is told True."""
        return self._open.pop(id_, None) is not None

    def _sweep(self) -> None:
        now_ms = self._clock.monotonic_ms()
        for id_ in [id_ for id_, login in self._open.items() if login.ends_ms <= now_ms]:
            self._end(id_)

    def _end(self, id_: LoginId) -> None:
        self._open.pop(id_).bell.set()
