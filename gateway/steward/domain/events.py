"""Events: one per fact, written in the fact's own transaction. The event log is the outbox that sync reads.

A payload holds printable scalars only (str, int, bool, None, bytes) and pseudonymous ids; never a name, a PAN or a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

Scalar = str | int | bool | bytes | None

# What is left of an event's payload once its guest was erased, or its time was over.
ERASED_PAYLOAD: Mapping[str, Scalar] = MappingProxyType({"erased": True})


class EventType(IntEnum):
    """Stable codes. The hundreds are the sync class: 1 identity, 2 safety, 3 money, 4 telemetry, 5 insight.

    So an event's class is fixed when it is written: what is to travel otherwise gets another code, and logs that hold
    the old one keep it, with its class, its place in the chain and its hash.
    """

    GUEST_CHECKED_IN = 101
    BAND_ENCODING = 102  # a card is being keyed: journalled before the first ChangeKey
    BAND_ISSUED = 103
    BAND_RETIRED = 104
    BAND_RETURNED = 105
    PIN_SET = 106
    LIMITS_SET = 107
    PROFILE_SET = 108  # which fields, never what is in them
    CREW_ADDED = 109
    CREW_LOGGED_IN = 110
    CREW_LOCKED = 111
    MANIFEST_IMPORTED = 112
    CREW_REMOVED = 113
    CREW_UNLOCKED = 114
    CONSENT_GIVEN = 115  # by a guest, to one purpose
    CONSENT_WITHDRAWN = 116
    SIGNAL_SET = 117  # a guest switched a signal of their suggestions off, or on again
    GUEST_ERASED = 118  # key destroyed, rows deleted; what the law keeps is apart
    GUEST_SIGNED_IN = 119  # to their own page, by the band and a phone, or with the PIN besides
    REQUEST_OPENED = 120  # a guest asks for a right of theirs: the statutory clock runs
    REQUEST_CLOSED = 121
    DATA_EXPORTED = 122  # a guest took their data with them
    BAND_RADIO = 123  # a band told at a reader that its radio was switched, and what its clock says
    BAND_FROZEN = 201
    OLD_DOOR_OPENED = 202  # DOOR_OPENED and DOOR_REFUSED, in logs from when a freeze had to queue behind them
    OLD_DOOR_REFUSED = 203
    STAFF_ALERT = 204
    CLOCK_CONFIRMED = 205
    BREAK_GLASS = 206  # a safety look-up beyond what the purpose allows: the privacy officer is told
    DOWN_REFUSED = 207  # something came down the link that is not shore's, or goes backwards
    PEER_DIVERGED = 208  # the same event number with other content
    RECOVERY_OPENED = 209  # service recovery: a guest to be helped, not sold to
    RECOVERY_CLOSED = 210
    INCIDENT_DECLARED = 211  # something was lost or stolen: whose data and which keys were on it
    CHARGE_POSTED = 301
    CHARGE_HELD = 302
    CHARGE_REFUSED = 303
    CHARGE_VOIDED = 304
    CHARGE_REFUNDED = 305
    CHARGE_DISPUTED = 306
    DISPUTE_RESOLVED = 307
    DEPOSIT_TAKEN = 308
    FOLIO_SETTLED = 309
    PIN_LOCKED = 310
    APPROVAL_ASKED = 311  # a correction above the limit waits for a second person
    APPROVAL_GIVEN = 312
    APPROVAL_REFUSED = 313
    ALLOWANCE_GRANTED = 314
    ALLOWANCE_RETURNED = 315
    GATEWAY_STARTED = 401
    STORE_RESTORED = 402
    DOWN_APPLIED = 403
    WEATHER_SAID = 404
    ITINERARY_SET = 405
    ITEM_GONE = 406  # sold out or full, until some time
    ITEM_BACK = 407  # to be had again
    RETENTION_RUN = 408  # what had expired was deleted
    LOOK_HEAD_SIGNED = 409  # the look-up log's tree so far: size and root, for the witness ashore
    AGGREGATE_ANSWERED = 410  # a question over many guests: its noisy answer, and what it cost of the voyage's budget
    LOOKED_UP = 501  # who read what of a guest, for what
    NOTE_ADDED = 502
    NOTE_REMOVED = 503
    OFFER_SHOWN = 504
    OFFER_ACCEPTED = 505
    OFFER_DEFERRED = 506  # not now
    OFFER_WRONG = 507  # not for this guest
    DOOR_OPENED = 508
    DOOR_REFUSED = 509  # what staff should act on is a STAFF_ALERT beside it
    OFFER_LIKED = 510  # what was accepted
    OFFER_TAKEN_BACK = 511  # its answer: nothing was said


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A fact about to be recorded. `at_s` is unix seconds as the gateway believed them."""

    type: EventType
    at_s: int
    payload: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A recorded fact. (`epoch`, `seq`) is unique on this gateway; within an epoch `seq` has no holes."""

    epoch: int
    seq: int
    type: EventType
    at_s: int
    payload: Mapping[str, Scalar]


def fact(type_: EventType, at_s: int, **payload: Scalar) -> NewEvent:
    """A new event, its payload by keyword."""
    return NewEvent(type_, at_s, payload)


def is_erased(event: NewEvent | StoredEvent) -> bool:
    """Whether nothing is left of this event but that there was one."""
    return dict(event.payload) == ERASED_PAYLOAD


def guest_of(payload: Mapping[str, Scalar]) -> str | None:
    """The guest whom an event's payload names, with whose key it is sealed."""
    guest = payload.get("guest")
    return guest if isinstance(guest, str) and guest else None
