"""Calls of the purser: charges after the fact, evidence, folios, the books, the event log."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from steward.domain.charges import Charge
from steward.domain.events import Scalar, StoredEvent
from steward.domain.evidence import EvidenceView
from steward.domain.ids import GuestRef, TapId
from steward.domain.ledger import guest_account, posted_to
from steward.domain.statement import Settlement, Statement
from steward.services.audit import LedgerCheck, check_ledger
from steward.services.payments import TapStatus
from steward.web.bundle import Services
from steward.web.endpoints import Caller, Endpoint
from steward.web.roles import Role
from steward.web.schemas import (
    ChargeView,
    DepositBody,
    DepositView,
    DisputeBody,
    EventsView,
    EventView,
    RefPath,
    RefundBody,
    ResolutionBody,
    SettlementBody,
    TapPath,
    VoidBody,
)

_PURSER = frozenset({Role.PURSER})
_CHARGE = "/v1/charges/{tap_id}"
_GUEST = "/v1/guests/{ref}"
EVENTS_MAX = 500


class PurserApi:
    def __init__(self, services: Services) -> None:
        self._store = services.store
        self._payments = services.payments
        self._folio = services.folio

    def endpoints(self) -> list[Endpoint]:
        said = {404: "No such charge or guest.", 409: "A rule forbids it; `code` and `detail` say which."}
        calls = (
            ("POST", _CHARGE + "/void", self.void_charge, "Undo a charge of the same day"),
            ("POST", _CHARGE + "/refund", self.refund_charge, "Give back a charge, or part of it"),
            ("POST", _CHARGE + "/dispute", self.dispute_charge, "Mark a charge as disputed"),
            ("POST", _CHARGE + "/dispute/resolution", self.resolve_dispute, "Resolve a dispute"),
            ("GET", _CHARGE + "/evidence", self.get_evidence, "What proves the tap"),
            ("POST", _GUEST + "/deposits", self.take_deposit, "Take a deposit"),
            ("GET", _GUEST + "/statement", self.get_statement, "A guest's statement"),
            ("POST", _GUEST + "/settlement", self.settle_folio, "Settle a folio to exactly zero"),
        )
        return [
            *(
                Endpoint(method, path, _PURSER, handler, summary, "purser", problems=said)
                for method, path, handler, summary in calls
            ),
            Endpoint("GET", "/v1/ledger/check", _PURSER, self.check_books, "Do the books agree?", "purser"),
            Endpoint("GET", "/v1/events", _PURSER, self.list_events, "The event log", "purser"),
        ]

    async def void_charge(self, tap_id: TapPath, body: VoidBody) -> ChargeView:
        """Takes the whole charge off the folio. Only on the ship's day of the tap and before settlement."""
        return _view(await self._payments.void(TapId(tap_id), body.reason, body.by))

    async def refund_charge(self, tap_id: TapPath, body: RefundBody) -> ChargeView:
        """`refund_id` names this refund for ever: sent again, it changes nothing. After settlement the money is paid
        out at once, so that the folio stays at zero.
        """
        charge = await self._payments.refund(TapId(tap_id), body.amount_minor, body.reason, body.by, body.refund_id)
        return _view(charge)

    async def dispute_charge(self, tap_id: TapPath, body: DisputeBody, caller: Caller) -> ChargeView:
        """The amount stays on the folio and is marked until the dispute is resolved."""
        return _view(await self._payments.dispute(TapId(tap_id), body.reason, body.by or caller.id))

    async def resolve_dispute(self, tap_id: TapPath, body: ResolutionBody) -> ChargeView:
        """Look at the evidence first. `uphold` pays the guest back, `reject` lets the charge stand."""
        return _view(await self._payments.resolve_dispute(TapId(tap_id), body.outcome == "uphold", body.by))

    async def get_evidence(self, tap_id: TapPath) -> EvidenceView:
        """Which band, its counter, what it signed, and whether the signature holds (null: not checkable here)."""
        return await self._payments.evidence(TapId(tap_id))

    async def take_deposit(self, ref: RefPath, body: DepositBody, caller: Caller) -> DepositView:
        """In the currency of the guest's folio. `deposit_id` names it for ever: sent again, it changes nothing."""
        guest = GuestRef(ref)
        taken = await self._folio.deposit(guest, body.amount_minor, body.deposit_id, body.by or caller.id)
        return DepositView(
            transaction=taken.id,
            ref=ref,
            deposit_id=body.deposit_id,
            amount_minor=-posted_to(guest_account(guest), (taken,)),
            currency=taken.currency,
            at_s=taken.at_s,
        )

    async def get_statement(self, ref: RefPath) -> Statement:
        """Every line, the balance after it, totals, and what is still held or disputed. Positive is owed."""
        return await self._folio.statement(GuestRef(ref))

    async def settle_folio(self, ref: RefPath, body: SettlementBody, caller: Caller) -> Settlement:
        """What is owed goes on the guest's card; what is left of a deposit goes back in full. Held charges must be
        verified or cancelled first. Settling again returns the same settlement.
        """
        return await self._folio.settle(GuestRef(ref), body.by or caller.id)

    async def check_books(self) -> LedgerCheck:
        """Goes through every folio: does the ledger sum to zero, is every charge on it exactly once, do settled
        folios stand at zero?
        """
        return await self._store.read(check_ledger)

    async def list_events(
        self,
        after: Annotated[int, Query(ge=0, le=2**53, description="Events with a higher seq.")] = 0,
        limit: Annotated[int, Query(ge=1, le=EVENTS_MAX)] = 100,
    ) -> EventsView:
        """Facts in the order they were recorded, of the current epoch."""
        epoch, events = await self._store.read(lambda tx: (tx.epoch(), tx.events(after, limit)))
        return EventsView(
            epoch=epoch,
            next_after=events[-1].seq if events else after,
            events=[_event(event) for event in events],
        )


def _view(charge: Charge) -> ChargeView:
    return ChargeView.of(TapStatus(charge.request.tap_id, charge.code, charge))


def _event(event: StoredEvent) -> EventView:
    payload = {key: _json(value) for key, value in event.payload.items()}
    return EventView(seq=event.seq, type=int(event.type), name=event.type.name, at_s=event.at_s, payload=payload)


def _json(value: Scalar) -> str | int | bool | None:
    return value.hex() if isinstance(value, bytes) else value
