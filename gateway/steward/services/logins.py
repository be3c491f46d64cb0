"""Logins that have begun and not ended: a handheld waits for a band, then for the PIN. Bounded, short-lived, in memory.

Anybody on the crew's network can begin a login, so several may wait at one station, and none can hold it: they take
turns. A tap goes to the handheld whose turn it is, which says so on its screen; between two turns it goes to nobody,
so a band that comes a moment late logs in no stranger. With one handheld waiting its turn has no end. Next is who
has had the fewest turns, then whose address waits fewest times here: whoever sits and waits comes after who has come.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field

from steward.domain.crew import LoginId, LoginState
from steward.domain.ids import GuestRef, Uid
from steward.errors import Busy, Refused
from steward.ports import Clock, Entropy

TAPPED_MAX = 128  # that wait for a PIN, at all stations
WAITING_MAX = 6  # at one station; one more takes the place of the least deserving
TAP_WITHIN_MS = 60_000  # longer than all turns of a full station
PIN_WITHIN_MS = 120_000
TURN_MS = 6_000
PAUSE_MS = 1_500  # between turns
WAIT_MAX_S = 30.0
BEGINS_BURST, BEGINS_PER_S = 30, 0.5  # of one address
PEERS_MAX = 512


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
    peer: str
    ends_ms: float
    turns: int = 0
    tap: CrewTap | None = None
    bell: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Turn:
    """At a station: a tap from opens_ms until before shuts_ms is this login's."""

    id: LoginId
    opens_ms: float
    shuts_ms: float

    @property
    def ends_ms(self) -> float:
        return self.shuts_ms + PAUSE_MS


class Logins:
    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy
        self._open: dict[LoginId, _Login] = {}
        self._turns: dict[str, _Turn] = {}  # by station
        self._begins: dict[str, tuple[float, float]] = {}  # by address: begins it may still make, and as of when

    def begin(self, station: str, client: str, peer: str) -> LoginId:
        """Begin anew: what the same handheld had begun is over. peer: the address it calls from.

        Raises Refused login_too_often, Busy.
        """
        now_ms = self._sweep()
        self._count(peer, now_ms)
        for id_ in [id_ for id_, login in self._open.items() if login.client == client]:
            self._end(id_)
        waiting = self._waiting(station)
        if len(waiting) >= WAITING_MAX:
            self._end(self._least(station, waiting))
        if sum(login.tap is not None for login in self._open.values()) >= TAPPED_MAX:
            raise Busy("too many handhelds are logging in: try again")
        id_ = LoginId(self._entropy.token_bytes(16).hex())
        self._open[id_] = _Login(station, client, peer, now_ms + TAP_WITHIN_MS)
        self._move_on(station, now_ms)
        return id_

    def tapped(self, station: str, tap: CrewTap) -> bool:
        """Hand the tap to the handheld whose turn it is at this station. False: it is nobody's."""
        now_ms = self._sweep()
        turn = self._turns.get(station)
        if turn is None or not turn.opens_ms <= now_ms < turn.shuts_ms:
            return False
        login = self._open[turn.id]
        login.tap, login.ends_ms = tap, now_ms + PIN_WITHIN_MS
        login.bell.set()
        self._move_on(station, now_ms)
        return True

    async def wait(self, id_: LoginId, timeout_s: float, seen: LoginState = LoginState.WAITING) -> LoginState:
        """How the login stands: as soon as it is not as it was `seen`, or after `timeout_s`."""
        end_ms = self._clock.monotonic_ms() + min(timeout_s, WAIT_MAX_S) * 1000
        while True:
            now_ms = self._sweep()
            login, state = self._open.get(id_), self._state(id_, now_ms)
            if login is None or state is not seen or now_ms >= end_ms:
                return state
            turn = self._turns.get(login.station)
            changes = (turn.opens_ms, turn.shuts_ms, turn.ends_ms) if turn is not None else ()
            next_ms = min(at_ms for at_ms in (end_ms, login.ends_ms, *changes) if at_ms > now_ms)
            bell = login.bell
            try:
                async with asyncio.timeout((next_ms - now_ms) / 1000):
                    await bell.wait()
            except TimeoutError:
                continue

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

    # whose turn it is

    def _state(self, id_: LoginId, now_ms: float) -> LoginState:
        login = self._open.get(id_)
        if login is None:
            return LoginState.EXPIRED
        if login.tap is not None:
            return LoginState.TAPPED
        turn = self._turns.get(login.station)
        own = turn is not None and turn.id == id_ and turn.opens_ms <= now_ms < turn.shuts_ms
        return LoginState.WAITING if own else LoginState.QUEUED

    def _waiting(self, station: str) -> list[LoginId]:
        """In the order in which they began."""
        return [id_ for id_, login in self._open.items() if login.station == station and login.tap is None]

    def _company(self, id_: LoginId, waiting: list[LoginId]) -> int:
        """How many of them wait from its address."""
        return sum(self._open[other].peer == self._open[id_].peer for other in waiting)

    def _least(self, station: str, waiting: list[LoginId]) -> LoginId:
        """Who loses its place: of the address that waits most often here, then who has had most turns, then longest.

        Never who is being served.
        """
        turn = self._turns[station]
        others = [id_ for id_ in waiting if id_ != turn.id]
        return max(others, key=lambda id_: (self._company(id_, waiting), self._open[id_].turns))

    def _move_on(self, station: str, now_ms: float) -> None:
        """See to it that it is somebody's turn there who still waits, and that it ends only if another waits too."""
        waiting, turn = self._waiting(station), self._turns.get(station)
        if not waiting:
            self._turns.pop(station, None)
            return
        if turn is None or turn.id not in waiting or now_ms >= turn.ends_ms:
            id_ = min(waiting, key=lambda id_: (self._open[id_].turns, self._company(id_, waiting)))
            left = turn is not None and turn.id not in waiting  # tapped, or given up: the band may still be there
            turn = self._turns[station] = _Turn(id_, now_ms + (PAUSE_MS if left else 0), math.inf)
            self._open[id_].turns += 1
        if len(waiting) == 1:
            turn.shuts_ms = math.inf
        elif turn.shuts_ms == math.inf:
            turn.shuts_ms = max(now_ms, turn.opens_ms) + TURN_MS
        for id_ in waiting:
            self._ring(self._open[id_])

    @staticmethod
    def _ring(login: _Login) -> None:
        """Whoever waits looks again."""
        login.bell.set()
        login.bell = asyncio.Event()

    def _count(self, peer: str, now_ms: float) -> None:
        """Raises Refused login_too_often. Addresses that may begin as often as any are not remembered."""
        left, since_ms = self._begins.pop(peer, (float(BEGINS_BURST), now_ms))
        left = min(BEGINS_BURST, left + (now_ms - since_ms) / 1000 * BEGINS_PER_S)
        if len(self._begins) >= PEERS_MAX:
            del self._begins[next(iter(self._begins))]
        self._begins[peer] = (max(0.0, left - 1), now_ms) if left >= 1 else (left, now_ms)
        if left < 1:
            raise Refused("login_too_often", "begun too often from this address: wait a minute")

    def _sweep(self) -> float:
        """What is too old ends, and turns move on; the time now."""
        now_ms = self._clock.monotonic_ms()
        for id_ in [id_ for id_, login in self._open.items() if login.ends_ms <= now_ms]:
            self._end(id_)
        for station in [station for station, turn in self._turns.items() if turn.ends_ms <= now_ms]:
            self._move_on(station, now_ms)
        return now_ms

    def _end(self, id_: LoginId) -> None:
        login = self._open.pop(id_)
        login.bell.set()
        if login.tap is None:
            self._move_on(login.station, self._clock.monotonic_ms())
