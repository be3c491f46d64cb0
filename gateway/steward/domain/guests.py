"""Guests and their bands, as little of them as keys and payment need. No name, no birthday, no photo."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from steward.domain.ids import GuestRef, Uid


@dataclass(frozen=True, slots=True)
class CabinStay:
    """A cabin and the number of the stay in it. A higher stay number retires every band of older stays."""

    cabin: int  # 1..65535
    stay: int  # 1..65535


@dataclass(frozen=True, slots=True)
class Limits:
    """Spending limits in minor units of the guest's currency."""

    stay_minor: int
    day_minor: int
    verify_above_minor: int  # a charge above this needs a PIN or a look at the photo


@dataclass(frozen=True, slots=True)
class PinHash:
    """scrypt of the guest's PIN. Never logged: repr is masked."""

    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest for one stay."""

    ref: GuestRef
    booking: str  # the reservation number of the property system
    cabins: tuple[CabinStay, ...]  # one or two
    zones: int  # bit mask, bit i = zone i
    child: bool
    crew: bool
    not_before_s: int
    not_after_s: int
    currency: str  # ISO 4217
    limits: Limits
    serial: int  # of the newest band issued to this guest; 0 before the first
    pin: PinHash | None = None
    pin_failures: int = 0
    settled: bool = False


class BandState(StrEnum):
    ENCODING = "encoding"  # journalled; may be half-keyed
    ISSUED = "issued"
    FROZEN = "frozen"  # lost or stolen: refused everywhere
    RETIRED = "retired"  # replaced by a newer one
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Band:
    """A wristband as this gateway knows it."""

    uid: Uid
    guest: GuestRef
    serial: int
    active: bool  # True: our firmware (signs charges); False: a passive NTAG 424 DNA
    key_version: int
    random_id: bool
    state: BandState


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A ChangeKey that was about to be sent. Versions name keys of the key file; 0 is the factory key.

    The keys themselves are derived from the sealed key file and the UID, so the journal holds no secret.
    """

    uid: Uid
    key_no: int
    old_version: int
    new_version: int
    done: bool
