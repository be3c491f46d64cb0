"""Calls of the purser: charges after the fact, evidence, folios, the books, the event log.

What gives money back above the limit waits for a second person (202). A token is one person, whoever `by` names.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from steward.domain.approvals import TOKEN, Approval
from steward.domain.charges import Charge
from steward.domain.events import Scalar, StoredEvent
from steward.domain.evidence import EvidenceView
from steward.domain.ids import ApprovalId, GuestRef, TapId
from steward.domain.ledger import guest_account, posted_to
from steward.domain.statement import Settlement, Statement
from steward.domain.viewing import CrewRole, Field
from steward.ports import Tx
from steward.services.approvals import find
from steward.services.audit import LedgerCheck, check_ledger
from steward.services.corrections import Outcome
from steward.services.desk import LATE_MAX
from steward.services.folio import late_in, statement_in
from steward.services.payments import TapStatus
from steward.web.bundle import Services
from steward.web.endpoints import Caller, Endpoint
from steward.web.looking import Looking, token_viewer, who_tapped
from steward.web.roles import Principal, Role
from steward.web.schemas import (
    ApprovalPath,
    ApprovalView,
    ChargeView,
    CollectedView,
    CollectionBody,
    DepositBody,
    DepositView,
    DisputeBody,
    EventsView,
    EventView,
    LateChargesView,
    LateChargeView,
    RefPath,
    RefundBody,
    ResolutionBody,
    SettlementBody,
    TapPath,
    VoidBody,
)

_PURSER = frozenset({Role.PURSER})
_AUDITOR = frozenset({Role.AUDITOR})
_CHARGE = "/v1/charges/{tap_id}"
_GUEST = "/v1/guests/{ref}"
EVENTS_MAX = 500


class PurserApi:
    def __init__(self, services: Services) -> None:
        self._store = services.store
        self._clock = services.clock
        self._payments = services.payments
        self._folio = services.folio
        self._lookups = services.lookups
        self._crew = services.crew
        self._looking = Looking(services.lookups)

    def endpoints(self) -> list[Endpoint]:
        said = {404: "No such charge or guest.", 409: "A rule forbids it; `code` and `detail` say which."}
        waits = {202: {"model": ApprovalView, "description": "Waits for a second person; nothing is changed yet."}}
        gives_back = (
            ("POST", _CHARGE + "/void", self.void_charge, "Undo a charge of the same day"),
            ("POST", _CHARGE + "/refund", self.refund_charge, "Give back a charge, or part of it"),
            ("POST", _CHARGE + "/dispute/resolution", self.resolve_dispute, "Resolve a dispute"),
        )
        calls = (
            ("GET", "/v1/approvals/{approval}", self.get_approval, "What became of a correction that waits"),
            ("POST", _CHARGE + "/dispute", self.dispute_charge, "Mark a charge as disputed"),
            ("GET", _CHARGE + "/evidence", self.get_evidence, "What proves the tap"),
            ("POST", _GUEST + "/deposits", self.take_deposit, "Take a deposit"),
            ("GET", _GUEST + "/statement", self.get_statement, "A guest's statement"),
            ("POST", _GUEST + "/settlement", self.settle_folio, "Settle a folio to exactly zero"),
            ("POST", _CHARGE + "/collection", self.collect_late, "Collect a late charge"),
        )
        return [
            *(
                Endpoint(method, path, _PURSER, handler, summary, "purser", problems=said, responses=waits)
                for method, path, handler, summary in gives_back
            ),
            *(
                Endpoint(method, path, _PURSER, handler, summary, "purser", problems=said)
                for method, path, handler, summary in calls
            ),
            Endpoint("GET", "/v1/ledger/late", _PURSER, self.list_late, "Charges after settlement", "purser"),
            Endpoint("GET", "/v1/ledger/check", _PURSER, self.check_books, "Do the books agree?", "purser"),
            Endpoint("GET", "/v1/events", _AUDITOR, self.list_events, "The event log", "purser"),
        ]

    async def void_charge(
        self, tap_id: TapPath, body: VoidBody, caller: Caller, response: Response
    ) -> ChargeView | ApprovalView:
        """Takes the whole charge off the folio. Only on the ship's day of the tap and before settlement."""
        outcome = await self._payments.void(TapId(tap_id), body.reason, await self._who(caller), body.by)
        return await self._answer(caller, response, outcome)

    async def refund_charge(
        self, tap_id: TapPath, body: RefundBody, caller: Caller, response: Response
    ) -> ChargeView | ApprovalView:
        """`refund_id` names this refund for ever: sent again, it changes nothing. After settlement the money is paid
        out at once, so that the folio stays at zero.
        """
        outcome = await self._payments.refund(
            TapId(tap_id), body.amount_minor, body.reason, await self._who(caller), body.refund_id, body.by
        )
        return await self._answer(caller, response, outcome)

    async def dispute_charge(self, tap_id: TapPath, body: DisputeBody, caller: Caller) -> ChargeView:
        """The amount stays on the folio and is marked until the dispute is resolved."""
        charge = await self._payments.dispute(TapId(tap_id), body.reason, body.by or caller.id)
        return await self._looking.show(caller, who_tapped(TapId(tap_id)), Field.CHARGES, _view(charge))

    async def resolve_dispute(
        self, tap_id: TapPath, body: ResolutionBody, caller: Caller, response: Response
    ) -> ChargeView | ApprovalView:
        """Look at the evidence first. `uphold` pays the guest back, `reject` lets the charge stand."""
        uphold = body.outcome == "uphold"
        outcome = await self._payments.resolve_dispute(TapId(tap_id), uphold, await self._who(caller), body.by)
        return await self._answer(caller, response, outcome)

    async def get_approval(self, approval: ApprovalPath, caller: Caller) -> ApprovalView:
        """Another purser approves or refuses on the pages; ask here until `state` is no longer pending."""
        id_, now_s = ApprovalId(approval), self._clock.now().unix_s
        found = await self._store.write(lambda tx: find(tx, id_, now_s))
        return await self._looking.show(caller, found.guest, Field.CHARGES, ApprovalView.of(found))

    async def get_evidence(self, tap_id: TapPath, caller: Caller) -> EvidenceView:
        """Which band, its counter, what it signed, and whether the signature holds (null: not checkable here)."""
        tap = TapId(tap_id)
        return await self._looking.read(
            caller, who_tapped(tap), Field.EVIDENCE, lambda tx: self._payments.evidence_in(tx, tap)
        )

    async def take_deposit(self, ref: RefPath, body: DepositBody, caller: Caller) -> DepositView:
        """In the currency of the guest's folio. `deposit_id` names it for ever: sent again, it changes nothing."""
        guest = GuestRef(ref)
        taken = await self._folio.deposit(guest, body.amount_minor, body.deposit_id, body.by or caller.id)
        view = DepositView(
            transaction=taken.id,
            ref=ref,
            deposit_id=body.deposit_id,
            amount_minor=-posted_to(guest_account(guest), (taken,)),
            currency=taken.currency,
            at_s=taken.at_s,
        )
        return await self._looking.show(caller, guest, Field.FOLIO, view)

    async def get_statement(self, ref: RefPath, caller: Caller) -> Statement:
        """Every line, the balance after it, totals, and what is still held or disputed. Positive is owed."""
        guest = GuestRef(ref)
        return await self._looking.read(caller, guest, Field.FOLIO, lambda tx: statement_in(tx, guest))

    async def settle_folio(self, ref: RefPath, body: SettlementBody, caller: Caller) -> Settlement:
        """What is owed goes on the guest's card; what is left of a deposit goes back in full. Held charges must be
        verified or cancelled first. Settling again returns the same settlement. On a ship of several gateways, what
        the others may still spend is recalled first; `allowances_out` names those that did not answer.
        """
        settled = await self._folio.settle(GuestRef(ref), body.by or caller.id, despite_away=body.despite_away)
        return await self._looking.show(caller, GuestRef(ref), Field.FOLIO, settled)

    async def list_late(self, caller: Caller) -> LateChargesView:
        """What other gateways sent after its folio was settled, oldest first, until it is collected or refunded. The
        folio stays at zero meanwhile. Each guest in it is a look-up.
        """

        def work(tx: Tx) -> tuple[LateChargesView, set[GuestRef]]:
            late = late_in(tx)
            owed = [(each.charge.evidence.guest, each) for each in late[:LATE_MAX] if each.charge.evidence is not None]
            views = [LateChargeView(ref=ref, open_minor=x.open_minor, charge=_view(x.charge)) for ref, x in owed]
            return LateChargesView(total=len(late), charges=views), {ref for ref, _ in owed}

        return await self._lookups.read_each(token_viewer(caller), {Field.CHARGES}, work)

    async def collect_late(self, tap_id: TapPath, body: CollectionBody, caller: Caller) -> CollectedView:
        """Puts what is open of a late charge on the guest's card after all. Sent again it collects nothing more. To
        give it up, refund the charge: nothing is paid out then.
        """
        tap = TapId(tap_id)
        collected = CollectedView(tap_id=tap, collected_minor=await self._folio.collect_late(tap, body.by or caller.id))
        return await self._looking.show(caller, who_tapped(tap), Field.CHARGES, collected)

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
        """Facts in the order they were recorded, of the current epoch: pseudonyms, as they go ashore.

        Not logged as a look at anyone: the log of looks is in it, and each page would add to the next. So no role of
        a person has it.
        """
        epoch, events = await self._store.read(lambda tx: (tx.epoch(), tx.events(after, limit)))
        return EventsView(
            epoch=epoch,
            next_after=events[-1].seq if events else after,
            events=[_event(event) for event in events],
        )

    async def _who(self, caller: Principal) -> str:
        """Who gives money back: the purser whose token it is, the same person as at a handheld; else a token that
        names nobody, which does it only below the limit.
        """
        if caller.crew is None:
            return f"{TOKEN}{caller.id}"
        return await self._crew.acting(caller.crew, CrewRole.PURSER)

    async def _answer(self, caller: Principal, response: Response, outcome: Outcome) -> ChargeView | ApprovalView:
        """The charge as it is now, or the question that waits for a second person."""
        if isinstance(outcome, Approval):
            response.status_code = 202
            return await self._looking.show(caller, outcome.guest, Field.CHARGES, ApprovalView.of(outcome))
        tap_id = outcome.request.tap_id
        return await self._looking.show(caller, who_tapped(tap_id), Field.CHARGES, _view(outcome))


def _view(charge: Charge) -> ChargeView:
    return ChargeView.of(TapStatus(charge.request.tap_id, charge.code, charge))


def _event(event: StoredEvent) -> EventView:
    payload = {key: _json(value) for key, value in event.payload.items()}
    return EventView(seq=event.seq, type=int(event.type), name=event.type.name, at_s=event.at_s, payload=payload)


def _json(value: Scalar) -> str | int | bool | None:
    return value.hex() if isinstance(value, bytes) else value
