"""Payments: a till asks, a band is tapped, the charge is decided and written down once.

Nothing is on disk before the tap. Everything a tap decides happens in one transaction: the charge, its postings, the
band's counter and the event. Nothing here asks a band twice or repeats a charge by itself: whoever is not sure what
came of a tap asks again with the same tap id and gets the charge that is recorded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from bandwire.aes import Aes
from steward.domain.approvals import Approval
from steward.domain.charges import (
    Charge,
    ChargeRefusal,
    ChargeRequest,
    ChargeState,
    TapEvidence,
    TapFacts,
    Verification,
    request_problem,
)
from steward.domain.events import EventType, fact
from steward.domain.evidence import EvidenceView, counter_kind, evidence_view, is_alarming, signature_refusal
from steward.domain.ids import ApprovalId, TapId, TillId
from steward.errors import Conflict, NotFound, Refused, StewardError, StoreUnavailable
from steward.ports import Clock, Entropy, KeyRing, Store, Tx
from steward.services.allowances import Funds
from steward.services.approvals import SecondPerson
from steward.services.chargebook import ChargeBook, PaymentSettings, give_up, refusal
from steward.services.corrections import Corrections, Outcome
from steward.services.pending import CANNOT_WRITE, PendingTaps, check_same
from steward.services.pins import PinService
from steward.services.signatures import verify_evidence
from steward.services.verification import Verifier

__all__ = ["WAITING", "PaymentService", "PaymentSettings", "TapStatus"]

_LOG = logging.getLogger(__name__)

WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class TapStatus:
    """Where a tap stands. `code`: "waiting", "cancelled", "request_expired", or the recorded charge's.

    trouble: why a tap that came could not be written down; it is waited for again. Empty if there was none.
    """

    tap_id: TapId
    code: str
    charge: Charge | None = None
    trouble: str = ""


class PaymentService:
    """Tills' requests, taps, verification; voids, refunds and disputes by way of services/corrections.py."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        keyring: KeyRing,
        aes: Aes,
        settings: PaymentSettings | None = None,
        pins: PinService | None = None,
        funds: Funds | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._keyring = keyring
        self._aes = aes
        self._settings = chosen = settings or PaymentSettings()
        self._book = ChargeBook(chosen)
        self._missed = 0  # taps that the store could not take, and that no event tells of yet
        self._funds = funds  # one of several gateways: what others may have spent, or could grant
        self._pending = PendingTaps(clock, chosen.request_expires_s, chosen.tills_max, chosen.listeners_max)
        self._verifier = Verifier(store, clock, self._book, pins or PinService(entropy))
        second = SecondPerson(entropy, chosen.second_person_above_minor)
        self._corrections = Corrections(store, clock, self._book, second)

    # what a till asks

    async def request(self, request: ChargeRequest) -> TapStatus:
        """Ask for a tap at a till. The same tap id with the same body is the same attempt, at every stage.

        Raises Refused (amount_invalid, request_invalid), Conflict (the tap id stands for something else, or another
        tap is pending at this till), Busy.
        """
        _check_request(request)
        recorded = await self._recorded(request.tap_id)
        if recorded is None and self._pending.was_booked(request.tap_id):
            recorded = await self._recorded(request.tap_id)  # the tap came while we looked
        if recorded is not None:
            check_same(recorded.request, request)
            return _of(recorded)
        self._pending.open(request)
        return TapStatus(request.tap_id, WAITING, trouble=self._pending.trouble(request.tap_id))

    def pending_for(self, till: TillId) -> ChargeRequest | None:
        """What this till wants a tap for, for the tap handler; None if nothing, or if it is being booked."""
        return self._pending.at_till(till)

    async def wanted(self, till: TillId) -> ChargeRequest:
        """Wait until this till wants a tap; for the tap handler."""
        return await self._pending.wanted(till)

    async def status(self, tap_id: TapId) -> TapStatus:
        """Where this tap stands now. Raises NotFound if it was never asked for, or long ago and never tapped."""
        if self._pending.find(tap_id) is not None:
            return TapStatus(tap_id, WAITING, trouble=self._pending.trouble(tap_id))
        recorded = await self._recorded(tap_id)
        if recorded is not None:
            return _of(recorded)
        if (code := self._pending.closed_code(tap_id)) is not None:
            return TapStatus(tap_id, code)
        raise NotFound("tap", tap_id)

    async def wait(self, tap_id: TapId, timeout_s: float, seen: str = WAITING) -> TapStatus:
        """The status as soon as its code is no longer `seen`, or there is a new trouble, or after `timeout_s` (at most
        `wait_max_s`).

        Raises NotFound as status() does, Busy if too many wait.
        """
        end_ms = self._clock.monotonic_ms() + min(timeout_s, self._settings.wait_max_s) * 1000
        trouble = self._pending.trouble(tap_id)
        while True:
            with self._pending.listening(tap_id) as bell:  # before looking, so that no change falls in between
                status = await self.status(tap_id)
                left_s = (end_ms - self._clock.monotonic_ms()) / 1000
                if status.code != seen or status.trouble != trouble or left_s <= 0:
                    return status
                if not await self._pending.heard(bell, tap_id, left_s):
                    return await self.status(tap_id)

    async def cancel(self, tap_id: TapId) -> TapStatus:
        """Give up an attempt: it is not charged afterwards (while this process remembers). Idempotent; ends a hold too.

        Raises Conflict if it is on the folio already.
        """
        await self._pending.booked(tap_id)
        if self._pending.find(tap_id) is not None:
            self._pending.close(tap_id, ChargeRefusal.CANCELLED)
            return TapStatus(tap_id, ChargeRefusal.CANCELLED.value)
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Charge | None:
            charge = tx.charge(tap_id)
            if charge is None or charge.state is ChargeState.REFUSED:
                return charge
            if charge.state is not ChargeState.HELD:
                raise Conflict(f"tap {tap_id} is {charge.state.value} already: void or refund it")
            return give_up(tx, charge, ChargeRefusal.CANCELLED.value, now_s)

        charge = await self._store.write(work)
        if charge is not None:
            self._pending.touch(tap_id)
            return _of(charge)
        if self._pending.closed_code(tap_id) is None:
            self._pending.close(tap_id, ChargeRefusal.CANCELLED)
        return await self.status(tap_id)

    # the tap

    async def book(
        self, request: ChargeRequest, facts: TapFacts, access: Callable[[Tx], str | None] | None = None
    ) -> Charge:
        """Decide a tap and write it down, once: a tap id that is recorded already returns what is recorded.

        access: judges the token inside the same transaction, so that a freeze cannot slip in between; returns a
        refusal code or None. Callers with two readers at one till compare the charge's evidence with their own.
        Raises Refused for a request no band could have signed, Conflict for a tap id that stands for another charge,
        StoreUnavailable or Busy if nothing was recorded: the request then waits on and the guest may tap again.
        """
        _check_request(request)
        if facts.evidence is not None:
            checked = verify_evidence(self._keyring, self._aes, facts.evidence)
            facts = replace(facts, evidence=checked)
        now_s = self._clock.now().unix_s
        with self._pending.booking(request) as closed:
            short = None
            if self._funds is not None and facts.evidence is not None and facts.refusal is None and closed is None:
                short = await self._funds.ensure(facts.evidence.guest, request.amount_minor)
            charge = await self._write(lambda tx: self._decide(tx, request, facts, access, closed, now_s, short), now_s)
        _LOG.info("payment.booked till=%s state=%s code=%s", request.till, charge.state.value, charge.code)
        return charge

    async def _write(self, work: Callable[[Tx], Charge], now_s: int) -> Charge:
        """Write a tap down; with the first after taps that could not be, that there were such."""
        missed, self._missed = self._missed, 0

        def work_and_tell(tx: Tx) -> Charge:
            if missed:
                tx.append_event(fact(EventType.STAFF_ALERT, now_s, alert=CANNOT_WRITE, place="tills", taps=missed))
            return work(tx)

        try:
            return await self._store.write(work_and_tell)
        except StoreUnavailable:
            self._missed += missed + 1
            raise
        except StewardError:
            self._missed += missed
            raise

    def _decide(
        self,
        tx: Tx,
        request: ChargeRequest,
        facts: TapFacts,
        access: Callable[[Tx], str | None] | None,
        closed: str | None,
        now_s: int,
        short: str | None,
    ) -> Charge:
        known = tx.charge(request.tap_id)
        if known is not None:
            check_same(known.request, request)
            return known
        code, evidence = facts.refusal, facts.evidence
        if evidence is not None:
            if code is None and access is not None:
                code = access(tx)
            signature = self._take_counter(tx, request, evidence, now_s, granted=code is None)
            code = code or signature
        code = code or closed
        if code is None and evidence is not None:
            decision = self._book.decide(tx, request, evidence.guest, now_s)
            if decision.code == ChargeRefusal.ALLOWANCE_EXCEEDED and short is not None:
                decision = refusal(short)  # the authority has said why
        else:
            decision = refusal(str(code))
        charge = Charge(request, now_s, decision.state, decision.code, evidence)
        return self._book.keep(tx, charge, now_s)

    def _take_counter(
        self, tx: Tx, request: ChargeRequest, evidence: TapEvidence, now_s: int, granted: bool
    ) -> str | None:
        """Judge the signature. A good one uses up its counter, even if the charge is refused; a bad one does not.

        Without K3 nobody here can tell good from bad: there a refused token moves no counter, or whoever holds a till's
        keys could lift the counter of any band and lock its guest out.
        """
        kind = counter_kind(evidence)
        last = tx.charge_counter(evidence.uid, kind)
        wrong = signature_refusal(request, evidence, last, self._settings.sun_required)
        if wrong is None:
            if evidence.counter is not None and (granted or evidence.verified):
                tx.set_charge_counter(evidence.uid, kind, evidence.counter)
                if self._settings.has_peers:
                    tx.use_counter(evidence.uid, kind, evidence.counter, request.tap_id)
            return None
        if is_alarming(wrong):
            tx.append_event(
                fact(
                    EventType.STAFF_ALERT,
                    now_s,
                    alert=wrong.value,
                    reader=evidence.reader,
                    place=request.till,
                    uid=evidence.uid,
                    guest=evidence.guest,
                    tap_id=request.tap_id,
                    counter=evidence.counter,
                    last_counter=last,
                )
            )
        return wrong.value

    # after the tap

    async def verify(
        self, tap_id: TapId, method: Verification, *, pin: str = "", by: str = "", matches: bool = True
    ) -> Charge:
        """Turn a held charge into a posted or refused one; any other charge comes back unchanged.

        PIN: `pin`. Photo: `by` is the crew member's reference, `matches` what they saw. The guest's limits are
        decided again at this moment, for the ship's day of the tap.
        Raises Refused (pin_invalid, pin_not_set, verification_invalid), NotFound, Busy.
        """
        if method is Verification.PIN:
            return self._told(await self._verifier.by_pin(tap_id, pin))
        if method is Verification.PHOTO:
            return self._told(await self._verifier.by_photo(tap_id, by, matches))
        raise Refused("verification_invalid", "verify with pin or photo")

    async def void(self, tap_id: TapId, reason: str, by: str, said_by: str = "") -> Outcome:
        """See Corrections.void, and likewise those below."""
        return self._corrected(await self._corrections.void(tap_id, reason, by, said_by))

    async def refund(
        self, tap_id: TapId, amount_minor: int, reason: str, by: str, refund_id: str, said_by: str = ""
    ) -> Outcome:
        return self._corrected(await self._corrections.refund(tap_id, amount_minor, reason, by, refund_id, said_by))

    async def dispute(self, tap_id: TapId, reason: str, by: str = "") -> Charge:
        return self._told(await self._corrections.dispute(tap_id, reason, by))

    async def resolve_dispute(self, tap_id: TapId, uphold: bool, by: str, said_by: str = "") -> Outcome:
        return self._corrected(await self._corrections.resolve(tap_id, uphold, by, said_by))

    async def approve(self, id_: ApprovalId, by: str) -> Charge:
        return self._told(await self._corrections.approve(id_, by))

    async def refuse(self, id_: ApprovalId, by: str) -> Approval:
        return await self._corrections.refuse(id_, by)

    async def evidence(self, tap_id: TapId) -> EvidenceView:
        """The proof of a tap, its signature checked again if K3 is held here. Raises NotFound if there is none."""
        return await self._store.read(lambda tx: self.evidence_in(tx, tap_id))

    def evidence_in(self, tx: Tx, tap_id: TapId) -> EvidenceView:
        """For whoever shows it to a person: services/lookups.py logs that in the same transaction."""
        charge = tx.charge(tap_id)
        if charge is None or charge.evidence is None:
            raise NotFound("evidence of tap", tap_id)
        checked = verify_evidence(self._keyring, self._aes, charge.evidence)
        # A gateway without K3 repeats what was found at the tap, if anything was.
        view = evidence_view(charge, charge.evidence.verified if checked.verified is None else checked.verified)
        if view is None:
            raise NotFound("evidence of tap", tap_id)
        return view

    def _corrected(self, outcome: Outcome) -> Outcome:
        return self._told(outcome) if isinstance(outcome, Charge) else outcome

    def _told(self, charge: Charge) -> Charge:
        self._pending.touch(charge.request.tap_id)
        return charge

    async def _recorded(self, tap_id: TapId) -> Charge | None:
        """The charge on disk. A hold that has run out is ended by whoever looks first."""
        now_s = self._clock.now().unix_s
        charge = await self._store.read(lambda tx: tx.charge(tap_id))
        if charge is not None and self._book.is_stale(charge, now_s):
            return await self._store.write(lambda tx: self._book.look_up(tx, tap_id, now_s))
        return charge


def _of(charge: Charge) -> TapStatus:
    return TapStatus(charge.request.tap_id, charge.code, charge)


def _check_request(request: ChargeRequest) -> None:
    if (problem := request_problem(request)) is not None:
        raise Refused(*problem)
