"""No-tracking: a guest's movements go into no log. Keys, payment, identity and muster work the same. Pure.

A door still writes that it opened, for whoever looks after the door; not for whom. What staff must act on, a frozen or
forged band at a door, keeps its references: that is security, and no choice.

A child is not tracked unless an adult of the same booking has said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from steward.domain.ids import GuestRef


@dataclass(frozen=True, slots=True)
class Untracked:
    """The word of one guest. version: counts the changes of it, from 1."""

    guest: GuestRef
    on: bool
    at_s: int
    version: int


def said(known: Untracked | None, ref: GuestRef, on: bool, now_s: int) -> Untracked | None:
    """The guest's word now, dated after every earlier one whatever the clock says. None: it changes nothing."""
    if known is None:
        return Untracked(ref, on, now_s, 1)
    if known.on == on:
        return None
    return Untracked(ref, on, max(now_s, known.at_s + 1), known.version + 1)


def is_later(told: Untracked, known: Untracked | None) -> bool:
    """Whether `told` counts before `known`, of the same guest. In doubt it is on."""
    return known is None or (told.at_s, told.on) > (known.at_s, known.on)


def is_untracked(word: Untracked | None, *, child: bool) -> bool:
    return child if word is None else word.on
