"""Where a guest's band was heard last: what is kept of it, for how long, and when it may be. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from steward.domain.eidtable import PERIOD_S
from steward.domain.ids import GuestRef, Uid
from steward.domain.usecases import REGISTER

KEPT_S = REGISTER.use_cases["presence"].group("last_seen").keep.hours * 3600  # long enough to find somebody
RETOLD_S = 6 * 3600
REFRESH_S = 60  # the time of the last hearing is kept this exactly
ZONE = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
CLOSE_DB = -50  # within arm's length of a scanner: nobody is at two of them
CLOSE_MS = 3_000.0
ADDRESSES_MAX = 8  # of a name: a band takes a new one after each connection


@dataclass(frozen=True, slots=True)
class Presence:
    """The zone in which the band of this guest was heard last. since_s: from when on it was there."""

    guest: GuestRef
    zone: str
    since_s: int
    seen_s: int

    @property
    def until_s(self) -> int:
        """Then the row goes."""
        return self.seen_s + KEPT_S


@dataclass(frozen=True, slots=True)
class BandRadio:
    """What is known of a band's radio. wish: what its guest wants it to be, until the band says that it is.

    has, is_on, period: what the band told last, under its key. period: of its clock at told_s; None while it is off.
    """

    uid: Uid
    has: bool = False
    is_on: bool = False
    period: int | None = None
    told_s: int = 0
    wish: bool | None = None


def told(known: BandRadio | None, uid: Uid, period: int | None, at_s: int) -> BandRadio:
    """What is known after a band with a radio told its state. period: None: it is off.

    A wish is over once the band says that it is so: its button counts from then on.
    """
    wish = None if known is None or known.wish == (period is not None) else known.wish
    return BandRadio(uid, True, period is not None, period, 0 if period is None else at_s, wish)


def says_more(known: BandRadio | None, fresh: BandRadio) -> bool:
    """Whether it is worth a write: a clock that runs as it was told to run is not told again for a while."""
    if known is None or (known.has, known.is_on, known.wish) != (fresh.has, fresh.is_on, fresh.wish):
        return True
    if known.period is None or fresh.period is None:
        return False
    passed_s = fresh.told_s - known.told_s
    expected = known.period + passed_s // PERIOD_S
    return passed_s >= RETOLD_S or passed_s < 0 or not expected <= fresh.period <= expected + 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """A band that may be resolved: its radio is on, its clock is known. agreed: its guest agreed to presence."""

    uid: Uid
    guest: GuestRef
    key_version: int
    period: int
    told_s: int
    agreed: bool = True


def moved(known: Presence | None, ref: GuestRef, zone: str, at_s: int) -> Presence | None:
    """What to keep now; None: what is kept says it well enough."""
    if known is None or known.zone != zone or at_s < known.seen_s or at_s > known.until_s:
        return Presence(ref, zone, at_s, at_s)
    return Presence(ref, zone, known.since_s, at_s) if at_s - known.seen_s >= REFRESH_S else None


class Contest:
    """One band in one period, over all scanners: notices a name that is said again somewhere else.

    A band says its name from one address at a time and never goes back to one it has left, and nobody is within arm's
    length of two scanners in different zones at once. Which of two is the band cannot be told, so neither counts until
    the next period.
    """

    __slots__ = ("_close", "_left", "address", "is_contested", "period")

    def __init__(self, period: int, address: str) -> None:
        self.period = period
        self.address = address
        self.is_contested = False
        self._left: set[str] = set()
        self._close: tuple[str, float] | None = None

    def hear(self, address: str, zone: str, rssi: int, at_ms: float) -> bool:
        """Whether it may be believed."""
        if self.is_contested:
            return False
        if address != self.address:
            self._left.add(self.address)
            self.address = address
            self.is_contested |= address in self._left or len(self._left) > ADDRESSES_MAX
        if rssi >= CLOSE_DB:
            if self._close is not None and self._close[0] != zone and at_ms - self._close[1] <= CLOSE_MS:
                self.is_contested = True
            self._close = (zone, at_ms)
        return not self.is_contested
