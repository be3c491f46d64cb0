"""Charges: what a till asks, what the tap proves, and what may become of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum

from steward.domain.guests import Guest
from steward.domain.ids import GuestRef, OutletId, TapId, TillId, Uid
from steward.domain.ledger import AMOUNT_MAX_MINOR, Sale, is_amount, is_currency

DUPLICATE_WINDOW_S = 20
HOLD_S = 120
DESCRIPTION_MAX = 80
REASON_MAX = 200
_COUNTER_MAX = 2**32 - 1
_PROOF_BYTES_MAX = 64


class ChargeState(StrEnum):
    HELD = "held"  # tapped and within limits; waits for a PIN or a look at the photo
    POSTED = "posted"
    VOIDED = "voided"
    REFUNDED = "refunded"  # the whole of it; a part of it back leaves it posted
    DISPUTED = "disputed"
    REFUSED = "refused"


class Verification(StrEnum):
    NONE = "none"
    PIN = "pin"
    PHOTO = "photo"


class ChargeRefusal(StrEnum):
    """Stable codes of charges, in the order they are looked for. Codes of the token itself are domain/access.py's."""

    # the band's signature
    NO_CHARGE_SIGNATURE = "no_charge_signature"  # this band must sign and did not
    BAD_CHARGE_SIGNATURE = "bad_charge_signature"  # signed something else, or not with this band's key
    COUNTER_REPLAYED = "counter_replayed"  # not above the last counter: a replay or a cloned band
    # the charge
    GUEST_UNKNOWN = "guest_unknown"  # a sound token of a guest this gateway does not know
    AMOUNT_INVALID = "amount_invalid"
    CURRENCY_MISMATCH = "currency_mismatch"
    FOLIO_SETTLED = "folio_settled"
    AGE_RESTRICTED = "age_restricted"
    DUPLICATE_TAP = "duplicate_tap"  # ask the guest whether a second round is meant
    CHILD_LIMIT = "child_limit"  # a child's day or stay limit, so that a parent can be told plainly
    DAY_LIMIT = "day_limit"
    STAY_LIMIT = "stay_limit"
    ALLOWANCE_EXCEEDED = "allowance_exceeded"  # more than this gateway may spend without asking, and nobody answers
    # after the tap
    VERIFICATION_REQUIRED = "verification_required"  # held, not refused
    PIN_WRONG = "pin_wrong"  # still held
    PIN_LOCKED = "pin_locked"  # still held: a photo can release it
    PHOTO_MISMATCH = "photo_mismatch"
    HOLD_EXPIRED = "hold_expired"
    CANCELLED = "cancelled"
    REQUEST_EXPIRED = "request_expired"


class CorrectionRefusal(StrEnum):
    """Why a charge cannot be voided, refunded or disputed. Raised to the desk, not recorded."""

    NOT_POSTED = "not_posted"
    PARTLY_REFUNDED = "partly_refunded"  # refund the rest instead of a void
    VOID_TOO_LATE = "void_too_late"  # another ship's day: refund it
    FOLIO_SETTLED = "folio_settled"
    DISPUTE_OPEN = "dispute_open"  # resolve the dispute first
    REFUND_EXCEEDS = "refund_exceeds"
    NOT_DISPUTED = "not_disputed"
    OWN_FOLIO = "own_folio"  # nobody gives money back to himself


@dataclass(frozen=True, slots=True)
class ChargeRequest:
    """What the till asks before the tap. `tap_id` names this one attempt for ever: a repeat is the same charge."""

    tap_id: TapId
    till: TillId
    outlet: OutletId
    amount_minor: int  # 1..2**31-1
    currency: str  # ISO 4217
    description: str = ""
    age_restricted: bool = False
    allow_duplicate: bool = False  # the waiter confirmed that the second round is meant


@dataclass(frozen=True, slots=True)
class TapEvidence:
    """What is kept of the tap, so that a dispute can be settled later by whoever holds K3."""

    uid: Uid
    guest: GuestRef
    serial: int
    key_version: int
    active: bool
    counter: int | None  # the band's charge counter, or a passive band's SDM read counter
    signed: bytes = field(repr=False)  # the 31 bytes signed; for a passive band the encrypted PICC data
    mac: bytes = field(repr=False)  # 8 bytes; empty if the band gave none
    verified: bool | None  # True/False by a gateway that holds K3; None: not checked here
    reader: str = ""


@dataclass(frozen=True, slots=True)
class TapFacts:
    """What the conversation with the band gave.

    refusal: an access code already decided, or None. evidence: None only when no band of ours was read, and
    then there must be a refusal. ValueError for evidence that no card's answer could have been unpacked into.
    """

    evidence: TapEvidence | None
    refusal: str | None = None

    def __post_init__(self) -> None:
        if self.evidence is None and not self.refusal:
            raise ValueError("a tap without evidence must say why it is refused")
        if self.evidence is not None:
            counter = self.evidence.counter
            if counter is not None and not 0 <= counter <= _COUNTER_MAX:
                raise ValueError("a band's counter has four bytes at most")
            if len(self.evidence.signed) > _PROOF_BYTES_MAX or len(self.evidence.mac) > _PROOF_BYTES_MAX:
                raise ValueError(f"what a band signed and its MAC have at most {_PROOF_BYTES_MAX} bytes each")


@dataclass(frozen=True, slots=True)
class Charge:
    request: ChargeRequest
    at_s: int  # of the tap
    state: ChargeState
    code: str  # "posted", why it is held, the refusal code, or the last correction
    evidence: TapEvidence | None  # None only when no band of ours was read
    verification: str = "none"  # none | pin | photo
    refunded_minor: int = 0
    reason: str = ""  # of the last void, refund or dispute

    @property
    def left_minor(self) -> int:
        """What could still be refunded."""
        return self.request.amount_minor - self.refunded_minor


@dataclass(frozen=True, slots=True)
class Spending:
    """What a guest has spent already, read in the decision's own transaction; not counting the charge in question."""

    day_minor: int
    stay_minor: int
    similar: Charge | None = None  # the newest live charge of the same guest, till and amount within the window
    allowance_minor: int | None = None  # what this gateway may still spend for the guest; None: it is the authority


@dataclass(frozen=True, slots=True)
class ChargeDecision:
    state: ChargeState  # POSTED, HELD or REFUSED
    code: str


_TAP_ID = re.compile(r"[0-9a-f]{32}")
_TILL = re.compile(r"[!-~]{1,8}")  # what a band accepts as terminal
_OUTLET = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_OPERATION_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def request_problem(request: ChargeRequest) -> tuple[str, str] | None:
    """(code, what to do about it) if no band could sign this or no ledger could book it; None if it is sound."""
    if not is_amount(request.amount_minor):
        return ChargeRefusal.AMOUNT_INVALID.value, f"amount_minor is a whole number from 1 to {AMOUNT_MAX_MINOR}"
    if not is_currency(request.currency):
        return "request_invalid", "currency is three capital letters"
    if not _TAP_ID.fullmatch(request.tap_id):
        return "request_invalid", "tap_id is 32 lower-case hex digits"
    if not _TILL.fullmatch(request.till):
        return "request_invalid", "till is 1 to 8 printable ASCII characters without spaces"
    if not _OUTLET.fullmatch(request.outlet):
        return "request_invalid", "outlet is 1 to 32 of letters, digits, dot, dash, underscore"
    if len(request.description) > DESCRIPTION_MAX or not request.description.isprintable():
        return "request_invalid", f"description is at most {DESCRIPTION_MAX} printable characters"
    return None


def is_operation_id(text: str) -> bool:
    """Whether this can name a refund or a deposit for ever."""
    return _OPERATION_ID.fullmatch(text) is not None


def is_reason(text: str) -> bool:
    return len(text) <= REASON_MAX and text.isprintable()


def ship_day_start(now_s: int, start_hour: int, utc_offset_s: int) -> int:
    """Unix second at which the ship's day of `now_s` began: `start_hour` o'clock at `utc_offset_s` from UTC."""
    begin = start_hour * 3600 - utc_offset_s
    return (now_s - begin) // 86400 * 86400 + begin


def decide_charge(
    request: ChargeRequest, guest: Guest, spent: Spending, verification: Verification = Verification.NONE
) -> ChargeDecision:
    """Post, hold or refuse a charge whose tap is in order. `verification`: what the guest has shown already."""
    if (refusal := _refusal(request, guest, spent)) is not None:
        return ChargeDecision(ChargeState.REFUSED, refusal.value)
    if request.amount_minor > guest.limits.verify_above_minor and verification is Verification.NONE:
        return ChargeDecision(ChargeState.HELD, ChargeRefusal.VERIFICATION_REQUIRED.value)
    return ChargeDecision(ChargeState.POSTED, ChargeState.POSTED.value)


def _refusal(request: ChargeRequest, guest: Guest, spent: Spending) -> ChargeRefusal | None:
    if not is_amount(request.amount_minor):
        return ChargeRefusal.AMOUNT_INVALID
    if request.currency != guest.currency:
        return ChargeRefusal.CURRENCY_MISMATCH
    if guest.settled:
        return ChargeRefusal.FOLIO_SETTLED
    if guest.child and request.age_restricted:
        return ChargeRefusal.AGE_RESTRICTED
    similar = spent.similar
    if similar is not None and similar.request.tap_id != request.tap_id and not request.allow_duplicate:
        return ChargeRefusal.DUPLICATE_TAP
    over_day = spent.day_minor + request.amount_minor > guest.limits.day_minor
    over_stay = spent.stay_minor + request.amount_minor > guest.limits.stay_minor
    if guest.child and (over_day or over_stay):
        return ChargeRefusal.CHILD_LIMIT
    if over_day:
        return ChargeRefusal.DAY_LIMIT
    if over_stay:
        return ChargeRefusal.STAY_LIMIT
    allowed = spent.allowance_minor is None or request.amount_minor <= spent.allowance_minor
    return None if allowed else ChargeRefusal.ALLOWANCE_EXCEEDED


def hold_expired(charge: Charge, now_s: int, hold_s: int) -> bool:
    """Whether a held charge has waited too long. A clock far behind the tap cannot keep a hold alive either."""
    return charge.state is ChargeState.HELD and abs(now_s - charge.at_s) > hold_s


def sale_of(charge: Charge) -> Sale:
    """What the charge's ledger transactions have in common. Only refused charges may lack a guest."""
    if charge.evidence is None:
        raise ValueError(f"charge {charge.request.tap_id} has no guest to book it to")
    request = charge.request
    return Sale(request.tap_id, charge.evidence.guest, request.outlet, request.currency)


def decided(charge: Charge, decision: ChargeDecision, verification: Verification) -> Charge:
    """A held charge after its verification."""
    return replace(charge, state=decision.state, code=decision.code, verification=verification.value)


def refused(charge: Charge, code: str) -> Charge:
    """A held charge that is given up: nothing was posted, nothing is owed."""
    return replace(charge, state=ChargeState.REFUSED, code=code)


def void_problem(charge: Charge, guest: Guest, day_start_s: int) -> CorrectionRefusal | None:
    """Why this charge cannot be voided now. day_start_s: of the day at the desk."""
    if charge.state is ChargeState.DISPUTED:
        return CorrectionRefusal.DISPUTE_OPEN
    if charge.state is not ChargeState.POSTED:
        return CorrectionRefusal.NOT_POSTED
    if guest.settled:
        return CorrectionRefusal.FOLIO_SETTLED
    if charge.refunded_minor:
        return CorrectionRefusal.PARTLY_REFUNDED
    return CorrectionRefusal.VOID_TOO_LATE if charge.at_s < day_start_s else None


def voided(charge: Charge, reason: str) -> Charge:
    return replace(charge, state=ChargeState.VOIDED, code=ChargeState.VOIDED.value, reason=reason)


def refund_problem(charge: Charge, amount_minor: int) -> CorrectionRefusal | None:
    """Why this much cannot be given back. A settled folio is no reason: the money then goes back at once."""
    if charge.state is ChargeState.DISPUTED:
        return CorrectionRefusal.DISPUTE_OPEN
    if charge.state is ChargeState.REFUNDED:
        return CorrectionRefusal.REFUND_EXCEEDS
    if charge.state is not ChargeState.POSTED:
        return CorrectionRefusal.NOT_POSTED
    return CorrectionRefusal.REFUND_EXCEEDS if amount_minor > charge.left_minor else None


def refunded(charge: Charge, amount_minor: int, reason: str, code: str = "") -> Charge:
    """After a refund of part or all of what is left. Without `code`: "refunded" or "partly_refunded"."""
    back = charge.refunded_minor + amount_minor
    whole = back == charge.request.amount_minor
    state = ChargeState.REFUNDED if whole else ChargeState.POSTED
    said = code or (ChargeState.REFUNDED.value if whole else "partly_refunded")
    return replace(charge, state=state, code=said, refunded_minor=back, reason=reason)


def disputed(charge: Charge, reason: str) -> Charge:
    """The amount stays on the folio and is marked until the dispute is resolved."""
    return replace(charge, state=ChargeState.DISPUTED, code=ChargeState.DISPUTED.value, reason=reason)


DISPUTE_UPHELD = "dispute_upheld"
DISPUTE_REJECTED = "dispute_rejected"


def dispute_rejected(charge: Charge) -> Charge:
    return replace(charge, state=ChargeState.POSTED, code=DISPUTE_REJECTED)
