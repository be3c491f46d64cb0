"""What the API takes and gives, checked strictly: unknown fields, wrong types and odd characters are refused."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from steward.domain.approvals import Approval
from steward.domain.charges import DESCRIPTION_MAX, REASON_MAX
from steward.domain.guests import Band
from steward.domain.ledger import AMOUNT_MAX_MINOR
from steward.services.encoder import EncodeJob
from steward.services.payments import TapStatus
from steward.web.waits import WAIT_MAX_S
from steward.web.words import plain

_HEX_TAP = "a3f1c2d4e5b60718293a4b5c6d7e8f90"
_REF = "9f86d081884c7d65"
_UID = "04A1B2C3D4E5F6"

TapPath = Annotated[
    str,
    Path(pattern=r"^[0-9a-f]{32}$", description="Made by the till, random, one for each attempt.", examples=[_HEX_TAP]),
]
RefPath = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="The guest's reference.", examples=[_REF])]
UidPath = Annotated[str, Path(pattern=r"^04[0-9A-F]{12}$", description="The band's UID.", examples=[_UID])]
ApprovalPath = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="The approval.", examples=[_HEX_TAP])]
JobPath = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="The encoding job.", examples=[_REF])]
WaitQuery = Annotated[
    float,
    Query(
        ge=0,
        le=WAIT_MAX_S,
        allow_inf_nan=False,
        description="How many seconds to wait for news before answering with things as they are.",
    ),
]

Amount = Annotated[int, Field(ge=1, le=AMOUNT_MAX_MINOR, description="In minor units, such as cents.", examples=[1250])]
LimitAmount = Annotated[int, Field(ge=0, le=AMOUNT_MAX_MINOR, description="In minor units; 0 allows nothing.")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217.", examples=["EUR"])]
Till = Annotated[str, Field(pattern=r"^[!-~]{1,8}$", examples=["bar-1"])]
Outlet = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,32}$", examples=["bar"])]
By = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_.-]{1,32}$", description="The crew member's number, never a name.", examples=["c117"]),
]
Reason = Annotated[str, Field(min_length=1, max_length=REASON_MAX, examples=["wrong drink"])]
ReasonCode = Annotated[str, Field(pattern=r"^[a-z_]{1,32}$", description="lost, stolen, other", examples=["lost"])]
OperationId = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$", description="Names it for ever: a repeat is the same.", examples=["r-17"]),
]
Pin = Annotated[str, Field(pattern=r"^[0-9]{4,8}$", description="4 to 8 digits.", examples=["4711"])]
UnixTime = Annotated[int, Field(ge=0, le=0xFFFFFFFF, description="Unix seconds.", examples=[1_780_000_000])]
Zone = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$", examples=["gangway"])]


class Body(BaseModel):
    """A request's body."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class ChargeBody(Body):
    """What a till asks before the tap."""

    till: Till
    outlet: Outlet
    amount_minor: Amount
    currency: Currency
    description: str = Field("", max_length=DESCRIPTION_MAX, examples=["2 x coffee"])
    age_restricted: bool = Field(False, description="Refused to children.")
    allow_duplicate: bool = Field(False, description="The guest confirmed that a second round is meant.")


class VerificationBody(Body):
    """How a held charge is released: the guest's PIN, or a crew member who compared the photo."""

    method: Literal["pin", "photo"]
    pin: Pin | None = Field(None, repr=False)
    by: By | None = None
    matches: bool = Field(True, description="Photo: whether guest and photo are the same person.")


class VoidBody(Body):
    reason: Reason
    by: By


class RefundBody(Body):
    refund_id: OperationId
    amount_minor: Amount
    reason: Reason
    by: By


class DisputeBody(Body):
    reason: Reason
    by: By | None = None


class ResolutionBody(Body):
    outcome: Literal["uphold", "reject"] = Field(description="uphold: the guest was right, and is paid back.")
    by: By


class DepositBody(Body):
    deposit_id: OperationId
    amount_minor: Amount
    by: By | None = None


class SettlementBody(Body):
    by: By | None = None
    despite_away: bool = Field(
        default=False, description="Settle although another gateway did not answer; its charges may come in late."
    )


class LimitsBody(Body):
    stay_minor: LimitAmount
    day_minor: LimitAmount
    verify_above_minor: LimitAmount


class NewLimitsBody(LimitsBody):
    by: By


class CollectionBody(Body):
    by: By | None = None


class CheckinBody(Body):
    """A guest for one stay. No name: the property system keeps that, under `booking`."""

    booking: str = Field(pattern=r"^[A-Za-z0-9._-]{1,32}$", examples=["R-20417"])
    cabins: list[Annotated[int, Field(ge=1, le=65535)]] = Field(max_length=2, examples=[[5012]])
    zones: list[Zone] = Field(max_length=32, examples=[["gangway", "pool"]])
    child: bool = False
    crew: bool = False
    not_before_s: UnixTime
    not_after_s: UnixTime
    currency: Currency
    limits: LimitsBody
    pin: Pin | None = Field(None, repr=False)


class BandBody(Body):
    encoder: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$", examples=["desk"])
    replaces: str | None = Field(None, pattern=r"^04[0-9A-F]{12}$", description="A lost band: frozen at once.")


class FreezeBody(Body):
    reason: ReasonCode
    by: By


class PinBody(Body):
    pin: Pin = Field(repr=False)


class ChargeView(BaseModel):
    """Where a charge stands. `code` says why, for programs; `message` says it for the cashier.

    state: waiting (for a tap), held (for a PIN or a photo), posted, refused, voided, refunded, disputed, cancelled
    or request_expired. While there was no tap, the fields from `till` on are null.

    trouble: gateway_cannot_write if the guest has tapped and the gateway could not write it down. Nothing is charged:
    call the desk. The tap is waited for again.
    """

    tap_id: str = Field(examples=[_HEX_TAP])
    state: str = Field(examples=["posted"])
    code: str = Field(examples=["posted"])
    message: str = Field(examples=["Charged."])
    till: str | None = None
    outlet: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
    description: str | None = None
    at_s: int | None = None
    verification: str | None = None
    refunded_minor: int | None = None
    trouble: str | None = None

    @classmethod
    def of(cls, status: TapStatus) -> ChargeView:
        charge = status.charge
        if charge is None:
            said, trouble = plain(status.trouble or status.code).said, status.trouble or None
            return cls(tap_id=status.tap_id, state=status.code, code=status.code, message=said, trouble=trouble)
        request = charge.request
        return cls(
            tap_id=request.tap_id,
            state=charge.state.value,
            code=charge.code,
            message=plain(charge.code).said,
            till=request.till,
            outlet=request.outlet,
            amount_minor=request.amount_minor,
            currency=request.currency,
            description=request.description,
            at_s=charge.at_s,
            verification=charge.verification,
            refunded_minor=charge.refunded_minor,
        )


class ApprovalView(BaseModel):
    """A correction that waits for a second person, or did. It is decided on the purser's pages, never by a token.

    state: pending, done (approved and carried out), refused or expired.
    """

    approval: str = Field(examples=[_HEX_TAP])
    state: str = Field(examples=["pending"])
    kind: str = Field(examples=["refund"], description="void, refund or uphold")
    tap_id: str = Field(examples=[_HEX_TAP])
    amount_minor: int
    currency: str
    asked_at_s: int
    expires_at_s: int
    decided_at_s: int | None

    @classmethod
    def of(cls, approval: Approval) -> ApprovalView:
        return cls(
            approval=approval.id,
            state=approval.state.value,
            kind=approval.kind.value,
            tap_id=approval.tap_id,
            amount_minor=approval.amount_minor,
            currency=approval.currency,
            asked_at_s=approval.asked_at_s,
            expires_at_s=approval.expires_at_s,
            decided_at_s=approval.decided_at_s,
        )


class LateChargeView(BaseModel):
    """A charge that another gateway sent after its folio was settled, and what of it is not collected."""

    ref: str = Field(examples=[_REF])
    open_minor: int
    charge: ChargeView


class LateChargesView(BaseModel):
    total: int = Field(description="How many there are; `charges` are the oldest of them.")
    charges: list[LateChargeView]


class CollectedView(BaseModel):
    tap_id: str = Field(examples=[_HEX_TAP])
    collected_minor: int = Field(description="Put on the card by this call; 0 if nothing was open.")


class DepositView(BaseModel):
    transaction: str
    ref: str
    deposit_id: str
    amount_minor: int
    currency: str
    at_s: int


class CabinView(BaseModel):
    cabin: int
    stay: int


class GuestView(BaseModel):
    """A guest who was checked in."""

    ref: str = Field(examples=[_REF])
    booking: str
    cabins: list[CabinView]


class JobRef(BaseModel):
    job: str = Field(examples=[_REF])


class JobView(BaseModel):
    """A band being made. waiting: put a band on the encoder, or the same one again if `code` says it was torn."""

    job: str = Field(examples=[_REF])
    state: str = Field(examples=["done"], description="waiting, encoding, done or failed")
    code: str = Field(description="What went wrong last, empty if nothing did.")
    message: str
    ref: str
    encoder: str
    replaces: str | None
    uid: str | None = Field(examples=[_UID])
    serial: int
    active: bool
    step: int
    steps: int

    @classmethod
    def of(cls, job: EncodeJob) -> JobView:
        return cls(
            job=job.id,
            state=job.state.value,
            code=job.code,
            message=plain(job.code).said if job.code else "",
            ref=job.guest,
            encoder=job.encoder,
            replaces=job.replaces,
            uid=job.uid,
            serial=job.serial,
            active=job.active,
            step=job.step,
            steps=job.steps,
        )


class BandsView(BaseModel):
    bands: list[Band]


class EventView(BaseModel):
    """One fact. Bytes are hex. `class`, the hundreds of `type`: 1 identity, 2 safety, 3 money, 4 telemetry."""

    seq: int
    type: int
    name: str
    at_s: int
    payload: dict[str, str | int | bool | None]


class EventsView(BaseModel):
    epoch: int
    next_after: int = Field(description="Give this as `after` to go on.")
    events: list[EventView]


class PercentilesView(BaseModel):
    """Milliseconds: half, and 99 of 100, of the last taps were at least as fast."""

    p50: float
    p99: float


class FlowView(BaseModel):
    """What a tap that ended well takes over the air, in the middle."""

    count_p50: int
    bytes_p50: int


class RecentTapView(BaseModel):
    at_s: int
    reader: str
    place: str
    purpose: str
    code: str
    ms: float


class BoardView(BaseModel):
    """Counts since the gateway started; times over its last 4096 taps."""

    taps: int
    doors_opened: int
    charges_posted: int
    refusals: dict[str, int]
    alerts: dict[str, int]
    tap_ms: PercentilesView
    split_ms: dict[str, PercentilesView]
    apdus: dict[str, FlowView]
    recent: list[RecentTapView]


class HealthView(BaseModel):
    status: Literal["ok"]
    gateway: str
