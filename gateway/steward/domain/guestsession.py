"""A guest's own page on a phone: how sure we are of who holds it, and how long that lasts. Pure.

A band read by a phone shows that somebody had the band in hand: enough to look, to freeze, to say no. What cannot be
taken back, or gives something away, asks for more: the PIN, or the band shown at a reader since.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from steward.domain.ids import GuestRef, Uid

PhoneId = NewType("PhoneId", str)  # SHA-256 of the cookie's secret, in hex

IDLE_S = 30 * 60
PHONE_S = 12 * 3600
PROVEN_S = 10 * 60
CLOCK_BACK_S = 120  # seconds that a clock may go back: the last use is remembered that exactly, and no better
PHONES_EACH_MAX = 8


class Level(StrEnum):
    """Stable codes."""

    BAND = "band"  # came by the link that the band shows a phone
    PROVEN = "proven"  # and gave the PIN, or showed the band at a reader, a short time ago


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone that is signed in, as the store keeps it. proven_s: when it was last proven; None: never."""

    id: PhoneId = field(repr=False)
    guest: GuestRef
    uid: Uid  # the band that it read,
    serial: int  # and the serial of that band then: another one ends it
    created_s: int
    seen_s: int
    proven_s: int | None = None


@dataclass(frozen=True, slots=True)
class GuestSession:
    """Who a page is for. until_s: when this level ends, if nothing is done."""

    id: PhoneId = field(repr=False)
    ref: GuestRef
    level: Level
    since_s: int
    until_s: int


def is_alive(phone: Phone, now_s: int) -> bool:
    """Neither idle for too long nor too old, nor used by a clock that has gone back since: it would live longer."""
    idle_s = now_s - phone.seen_s
    return -CLOCK_BACK_S <= idle_s < IDLE_S and now_s - phone.created_s < PHONE_S


def is_proven(phone: Phone, now_s: int) -> bool:
    return phone.proven_s is not None and 0 <= now_s - phone.proven_s < PROVEN_S


def session_of(phone: Phone, now_s: int) -> GuestSession:
    """Of a phone that is alive."""
    ends_s = min(now_s + IDLE_S, phone.created_s + PHONE_S)
    if phone.proven_s is not None and is_proven(phone, now_s):
        return GuestSession(phone.id, phone.guest, Level.PROVEN, phone.proven_s, min(phone.proven_s + PROVEN_S, ends_s))
    return GuestSession(phone.id, phone.guest, Level.BAND, phone.created_s, ends_s)
