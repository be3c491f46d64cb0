"""What a guest lets choose for them, signal by signal: every signal is on until its guest switches it off. Pure.

The last word counts, by time, and off wins a tie. What is off is out of what a model is told (domain/features.py) and
out of what it learns from (domain/pastexport.py). Two things a switch does not reach, because they are not personal:
what is popular at the outlet around this hour, which counts everybody alike and names nobody, and the hours at which a
thing is to be had. A refusal or the day's limit also holds back what it did before: switches are about choosing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from steward.domain.features import Signal
from steward.domain.ids import GuestRef


@dataclass(frozen=True, slots=True)
class Switch:
    """The word of one guest on one signal. version: counts the changes of it, from 1."""

    guest: GuestRef
    signal: Signal
    on: bool
    at_s: int
    version: int


def switched(known: Switch | None, ref: GuestRef, signal: Signal, on: bool, now_s: int) -> Switch | None:
    """The guest's word now, dated after every earlier one whatever the clock says. None: it changes nothing."""
    if known is None:
        return None if on else Switch(ref, signal, False, now_s, 1)
    if known.on == on:
        return None
    return Switch(ref, signal, on, max(now_s, known.at_s + 1), known.version + 1)


def is_later(told: Switch, known: Switch | None) -> bool:
    """Whether `told` counts before `known`, of the same guest and signal."""
    return known is None or (told.at_s, not told.on) > (known.at_s, not known.on)


def off_of(switches: Iterable[Switch]) -> frozenset[Signal]:
    return frozenset(switch.signal for switch in switches if not switch.on)
