"""Bands that took a release and are silent since: when that holds the release up, and when it is a failure. Pure.

A band that a release has killed tells nobody so; all there is to see is that it is heard of no more. But bands of
guests who are ashore, have switched the radio off or let the battery run down are silent too, so silence counts twice:

- After STILL_S it is a doubt. A sound band says its name again seconds after its restart, and it lay beside a radio a
  moment ago. While doubts and failures together would halt the release, no band is given it and no stage begins. That
  needs no hand and costs only time: the next word of the band ends it, so it may be quick and it may be wrong.
- After LOST_S it has failed, and may halt the release until somebody has looked. That must not be wrong: two days are
  more than a night ashore, and who lives with a dead key comes to the desk before. It takes LISTENED_S of listening
  without a break as well: after a time without power, or a clock that was put right by days, everybody seems silent.
- A silent band that the desk freezes or replaces has failed at once: its wearer has told what it could not tell.

Only bands that are listened for can be silent: not after a stay, a no, or once a band was told to turn its radio off.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from steward.domain.bandstages import BandUpdate

STILL_S = 15 * 60  # a talk may take ten minutes (adapters/bleclient.py), and its band says no name meanwhile
LOST_S = 48 * 3600
LISTENED_S = 12 * 3600
REFRESH_S = 4 * 60  # the time of the last word is kept this exactly: well below STILL_S
BREAK_S = 5 * 60  # between two looks: nobody says what was heard meanwhile
JUMP_S = 60  # by which the clock was put right


@dataclass(frozen=True, slots=True)
class Listening:
    """Since when bands are listened for without a break, at the last look. Times of two clocks: wall and monotonic."""

    since_ms: float
    last_ms: float
    last_s: int

    def seconds(self) -> float:
        return (self.last_ms - self.since_ms) / 1000


def listened(known: Listening | None, now_s: int, now_ms: float) -> Listening:
    """Once more, while a radio hears and the clock is believed. known: None after a time when that was not so."""
    if known is not None:
        passed_s = (now_ms - known.last_ms) / 1000
        if 0 <= passed_s <= BREAK_S and abs(now_s - known.last_s - passed_s) <= JUMP_S:
            return replace(known, last_ms=now_ms, last_s=now_s)
    return Listening(now_ms, now_ms, now_s)


def heard_of(update: BandUpdate, times_s: Iterable[int], now_s: int) -> BandUpdate:
    """With the last time at which the band gave a sign of life, worth a write if it differs.

    A time to come is of a clock that was wrong: of the band's own it is now, of others it is none.
    """
    last_s = max((at_s for at_s in times_s if at_s <= now_s), default=update.at_s)
    if update.at_s > now_s:
        return replace(update, at_s=now_s)
    return replace(update, at_s=last_s) if last_s - update.at_s >= REFRESH_S else update


def is_still(update: BandUpdate, now_s: int) -> bool:
    return now_s - update.at_s >= STILL_S


def is_lost(update: BandUpdate, now_s: int, listening: Listening | None) -> bool:
    return now_s - update.at_s >= LOST_S and listening is not None and listening.seconds() >= LISTENED_S
