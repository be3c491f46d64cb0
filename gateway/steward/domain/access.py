"""May this band open this door? May it be used here at all? Pure; in exactly the order the design fixes.

signature, UID, site, zone or cabin, deny list, issue number, time. The first check that fails names the refusal.
A higher issue number is adopted only after every other check has passed, so that a forged, foreign or frozen
token can never retire a good one.

The issue number has two parts. `stay` belongs to the cabin: a higher one retires every band of older stays there.
`serial` belongs to the guest: a higher one retires only that guest's older bands, so replacing one lost band
does not lock out the room-mate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bandwire.token import FLAG_CHILD, FLAG_CREW, TokenBody


class Refusal(StrEnum):
    """Stable codes: logged, shown by the door's light and on pages. Never renumbered, never re-used."""

    # before a token could be judged
    CARD_REMOVED = "card_removed"  # left the field before the end
    NOT_OUR_CARD = "not_our_card"  # no Steward application on it
    AUTH_FAILED = "auth_failed"  # our key does not fit: blank, foreign, cloned without keys
    AUTH_DELAYED = "auth_delayed"  # the band slows down after wrong keys: hold still, tap again
    CARD_LOCKED = "card_locked"  # a passive band that has counted too many wrong keys
    TOKEN_UNREADABLE = "token_unreadable"  # noqa: S105 authenticated, but its token file is not a token
    READER_FAULT = "reader_fault"
    STORE_UNAVAILABLE = "store_unavailable"  # could not record the decision: fails closed
    # at the desk, while a band is being encoded
    FOREIGN_CARD = "foreign_card"  # keyed by another site, or by keys this gateway does not hold
    BAND_IN_USE = "band_in_use"  # still issued to another guest: have it returned or frozen first
    ENCODE_FAILED = "encode_failed"  # the band refused a step; tapping again goes on where it stopped
    ENCODE_MISMATCH = "encode_mismatch"  # what was read back is not what was written
    # the design's order
    BAD_SIGNATURE = "bad_signature"
    UID_MISMATCH = "uid_mismatch"
    WRONG_SITE = "wrong_site"
    WRONG_CABIN = "wrong_cabin"
    ZONE_NOT_ALLOWED = "zone_not_allowed"
    FROZEN = "frozen"
    SUPERSEDED = "superseded"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"


GRANTED = "granted"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a token is shown. A door asks for a cabin or a zone; a till asks for neither."""

    name: str
    site: int
    cabin: int | None = None
    zone: int | None = None  # bit number 0..31


@dataclass(frozen=True, slots=True)
class Shown:
    """What a reader got from a band inside the authenticated channel."""

    token: TokenBody
    signature_ok: bool
    uid: bytes  # 7 bytes: the UID whose diversified key authenticated


@dataclass(frozen=True, slots=True)
class AccessState:
    """What this gateway remembers, read in the decision's own transaction."""

    denied_at: int | None  # deny epoch of this UID, if it is on the list
    stays: Mapping[int, int]  # cabin -> highest stay adopted
    serial: int  # highest band serial adopted for this guest


@dataclass(frozen=True, slots=True)
class Adoption:
    """What to remember once access is granted."""

    stays: tuple[tuple[int, int], ...]  # (cabin, stay)
    serial: int


@dataclass(frozen=True, slots=True)
class Decision:
    granted: bool
    code: str
    adopt: Adoption | None = None
    alerts: tuple[str, ...] = ()

    @property
    def light(self) -> str:
        """Green: come in. Amber: hold still or tap again. Red: see the desk."""
        if self.granted:
            return "green"
        return "amber" if self.code in _TRY_AGAIN else "red"


_TRY_AGAIN = frozenset({Refusal.CARD_REMOVED, Refusal.AUTH_DELAYED, Refusal.READER_FAULT})
DRIFT_ALLOWANCE_S = 300
CLOCK_LOST = "clock_lost"


def refuse(code: Refusal, *alerts: str) -> Decision:
    return Decision(False, code.value, None, alerts)


def decide(
    place: Place,
    shown: Shown,
    state: AccessState,
    now_s: int,
    clock_trusted: bool,
    drift_s: int = DRIFT_ALLOWANCE_S,
) -> Decision:
    """Judge a token at a place. `now_s` is ignored when the clock is not trusted; staff are told instead."""
    token = shown.token
    if not shown.signature_ok:
        return refuse(Refusal.BAD_SIGNATURE, "forged_token")
    if bytes(token.uid) != shown.uid:
        return refuse(Refusal.UID_MISMATCH, "copied_token")
    if token.site != place.site:
        return refuse(Refusal.WRONG_SITE)
    if (code := _place_refusal(place, token)) is not None:
        return refuse(code)
    if state.denied_at is not None and token.deny_epoch < state.denied_at:
        return refuse(Refusal.FROZEN, "frozen_band_used")
    if _superseded(place, token, state):
        return refuse(Refusal.SUPERSEDED)
    alerts: tuple[str, ...] = ()
    if not clock_trusted:
        alerts = (CLOCK_LOST,)
    elif now_s + drift_s < token.not_before:
        return refuse(Refusal.NOT_YET_VALID)
    elif now_s - drift_s >= token.not_after:
        return refuse(Refusal.EXPIRED)
    return Decision(True, GRANTED, _adoption(token, state), alerts)


def is_child(token: TokenBody) -> bool:
    return bool(token.flags & FLAG_CHILD)


def is_crew(token: TokenBody) -> bool:
    return bool(token.flags & FLAG_CREW)


def _place_refusal(place: Place, token: TokenBody) -> Refusal | None:
    if place.cabin is not None and place.cabin not in (cabin for cabin, _ in token.cabins):
        return Refusal.WRONG_CABIN
    if place.zone is not None and not token.zones >> place.zone & 1:
        return Refusal.ZONE_NOT_ALLOWED
    return None


def _superseded(place: Place, token: TokenBody, state: AccessState) -> bool:
    """A band is retired by its guest's newer band anywhere, and by a newer stay at the cabin it asks for."""
    if token.serial < state.serial:
        return True
    return any(stay < state.stays.get(cabin, 0) for cabin, stay in token.cabins if place.cabin in (None, cabin))


def _adoption(token: TokenBody, state: AccessState) -> Adoption | None:
    newer = tuple((cabin, stay) for cabin, stay in token.cabins if stay > state.stays.get(cabin, 0))
    if not newer and token.serial <= state.serial:
        return None
    return Adoption(newer, max(token.serial, state.serial))
