"""Records to put into a store, all fields given a value that a mix-up would show."""

from __future__ import annotations

from dataclasses import replace

from steward.domain.charges import Charge, ChargeRequest, ChargeState, TapEvidence
from steward.domain.events import EventType, NewEvent, Scalar
from steward.domain.guests import Band, BandState, CabinStay, Guest, Limits, PinHash
from steward.domain.ids import AccountId, GuestRef, OutletId, TapId, TillId, TransactionId, Uid
from steward.domain.ledger import LedgerTransaction, Posting, TransactionKind

AT_S = 1_800_000_000
ANNA = GuestRef("00000000000000aa")
BOB = GuestRef("00000000000000bb")
ANNAS_ACCOUNT = AccountId(f"guest:{ANNA}")
BOBS_ACCOUNT = AccountId(f"guest:{BOB}")
BAR = OutletId("pool-bar")
BARS_ACCOUNT = AccountId(f"revenue:{BAR}")
TILL = TillId("BAR00001")


def guest(ref: GuestRef = ANNA, *, currency: str = "EUR") -> Guest:
    return Guest(
        ref=ref,
        booking="B-1234",
        cabins=(CabinStay(8104, 3), CabinStay(8106, 9)),
        zones=0xC0000005,
        child=False,
        crew=True,
        not_before_s=AT_S - 100,
        not_after_s=AT_S + 600_000,
        currency=currency,
        limits=Limits(stay_minor=200_000, day_minor=50_000, verify_above_minor=10_000),
        serial=4,
        pin=PinHash(salt=b"salt\x00", digest=b"digest\xff"),
        pin_failures=2,
        settled=True,
    )


def uid(number: int) -> Uid:
    return Uid(f"04{number:012X}")


def band(number: int = 1, ref: GuestRef = ANNA, serial: int = 1) -> Band:
    return Band(
        uid=uid(number),
        guest=ref,
        serial=serial,
        active=True,
        key_version=7,
        random_id=False,
        state=BandState.ISSUED,
    )


def tap_id(number: int) -> TapId:
    return TapId(f"{number:032x}")


def charge(
    number: int = 1,
    ref: GuestRef = ANNA,
    *,
    amount_minor: int = 450,
    at_s: int = AT_S,
    state: ChargeState = ChargeState.POSTED,
    refunded_minor: int = 0,
    till: TillId = TILL,
) -> Charge:
    request = ChargeRequest(
        tap_id=tap_id(number),
        till=till,
        outlet=BAR,
        amount_minor=amount_minor,
        currency="EUR",
        description="two coffees",
        age_restricted=True,
        allow_duplicate=True,
    )
    evidence = TapEvidence(
        uid=uid(number),
        guest=ref,
        serial=3,
        key_version=7,
        active=False,
        counter=41,
        signed=b"\x01" * 31,
        mac=b"\x02" * 8,
        verified=None,
        reader="reader 2",
    )
    return Charge(
        request=request,
        at_s=at_s,
        state=state,
        code=str(state),
        evidence=evidence,
        verification="pin",
        refunded_minor=refunded_minor,
        reason="spilt",
    )


def without_tap(made: Charge) -> Charge:
    return replace(made, evidence=None)


def transaction(
    number: int = 1,
    amount_minor: int = 450,
    *,
    debit: AccountId = ANNAS_ACCOUNT,
    credit: AccountId = BARS_ACCOUNT,
    currency: str = "EUR",
) -> LedgerTransaction:
    return LedgerTransaction(
        id=TransactionId(f"{number:032x}"),
        kind=TransactionKind.CHARGE,
        at_s=AT_S + number,
        currency=currency,
        postings=(Posting(debit, amount_minor), Posting(credit, -amount_minor)),
        tap_id=tap_id(number),
        memo="coffee",
    )


def event(number: int = 1) -> NewEvent:
    payload: dict[str, Scalar] = {"serial": number, "place": "blåbær", "code": True, "stays": b"\x00\xff", "uid": None}
    return NewEvent(EventType.DOOR_OPENED, AT_S + number, payload)
