"""Calls of a till. Its token is bound to one till id: it asks for that one, and sees and ends only its own charges."""

from __future__ import annotations

from collections import OrderedDict

from fastapi import Request, Response

from steward.domain.charges import ChargeRequest, ChargeState, Verification
from steward.domain.ids import OutletId, TapId, TillId
from steward.domain.viewing import Field
from steward.errors import NotFound, Refused
from steward.services.payments import WAITING, TapStatus
from steward.web.bundle import Services
from steward.web.endpoints import Caller, Endpoint
from steward.web.errors import Problem
from steward.web.looking import Looking, who_tapped
from steward.web.roles import Principal, Role
from steward.web.schemas import ChargeBody, ChargeView, TapPath, VerificationBody, WaitQuery
from steward.web.waits import LongPolls

_TILL = frozenset({Role.TILL})
_TAPS_KEPT = 4096
_CHARGE = "/v1/charges/{tap_id}"


class TillApi:
    """A tap id that was asked for and not tapped yet has no charge: its till is remembered here, the last 4096."""

    def __init__(self, services: Services, polls: LongPolls) -> None:
        self._services = services
        self._payments = services.payments
        self._polls = polls
        self._looking = Looking(services.lookups)
        self._till_of: OrderedDict[TapId, TillId] = OrderedDict()

    def endpoints(self) -> list[Endpoint]:
        missing = {404: "No such charge at this till."}
        conflict = {409: "The tap id stands for another charge, the till waits for another, or it is too late."}
        return [
            Endpoint(
                "PUT",
                _CHARGE,
                _TILL,
                self.ask_charge,
                "Ask for a charge",
                "till",
                problems={404: "No reader serves this till.", **conflict},
                responses={202: {"model": ChargeView, "description": "Waiting for the tap."}},
            ),
            Endpoint(
                "GET",
                _CHARGE,
                _TILL | {Role.PURSER},
                self.get_charge,
                "Where a charge stands",
                "till",
                problems={**missing, 429: "Too many requests wait already."},
            ),
            Endpoint(
                "DELETE", _CHARGE, _TILL, self.cancel_charge, "Give up a charge", "till", problems=missing | conflict
            ),
            Endpoint(
                "POST",
                _CHARGE + "/verification",
                _TILL,
                self.verify_charge,
                "Release a held charge by PIN or photo",
                "till",
                problems={**missing, 409: "No PIN is set, or it is not 4 to 8 digits."},
            ),
        ]

    async def ask_charge(self, tap_id: TapPath, body: ChargeBody, caller: Caller, response: Response) -> ChargeView:
        """Ask this till's reader for a tap. The same tap id with the same body is the same attempt, however often
        it is sent: after a lost answer simply send it again. 202 while the tap is awaited, 200 once there is one.
        """
        if body.till != caller.till:
            raise Problem(403, "wrong_till", f"this token is of till {caller.till}: ask for that one")
        till = TillId(body.till)
        outlet = self._services.tills.get(till)
        if outlet is None:
            raise NotFound("reader for till", till)
        if outlet != body.outlet:
            raise Refused("wrong_outlet", f"till {till} sells for {outlet}: see its reader in the gateway's settings")
        request = ChargeRequest(
            TapId(tap_id),
            till,
            OutletId(body.outlet),
            body.amount_minor,
            body.currency,
            body.description,
            body.age_restricted,
            body.allow_duplicate,
        )
        status = await self._payments.request(request)
        self._remember(request.tap_id, till)
        response.status_code = 202 if status.code == WAITING else 200
        return ChargeView.of(status)

    async def get_charge(
        self, tap_id: TapPath, caller: Caller, request: Request, wait_s: WaitQuery = 0, seen: str = WAITING
    ) -> ChargeView:
        """With `wait_s`, answers as soon as `code` is another than `seen`, or after that time with things as they are.
        To wait for what becomes of a held charge, give its code as `seen`.
        """
        tap = TapId(tap_id)
        status = await self._own(tap, caller)
        if wait_s and status.code == seen:
            news = await self._polls.run(request, caller.id, lambda: self._payments.wait(tap, wait_s, seen))
            status = news or await self._payments.status(tap)
        if caller.role is Role.PURSER:  # a till sees what it sold, not to whom: there is no guest in this answer
            return await self._looking.show(caller, who_tapped(tap), Field.CHARGES, ChargeView.of(status))
        return ChargeView.of(status)

    async def cancel_charge(self, tap_id: TapPath, caller: Caller) -> ChargeView:
        """Whether or not the till's request ever arrived, this tap id is not charged afterwards, unless the gateway
        is restarted and asked for it again: never re-use the id. Repeating this is harmless. A charge that is on the
        folio already can only be voided or refunded.
        """
        tap = TapId(tap_id)
        try:
            status = await self._payments.status(tap)
        except NotFound:  # its request never came, or may still be on its way: closed before it is asked for
            self._remember(tap, TillId(str(caller.till)))
        else:
            self._check_own(status, caller)
        return ChargeView.of(await self._payments.cancel(tap))

    async def verify_charge(self, tap_id: TapPath, body: VerificationBody, caller: Caller) -> ChargeView:
        """`method` pin wants `pin`, photo wants `by` and `matches`. A wrong PIN leaves the charge held (pin_wrong); the
        third locks the PIN (pin_locked) and leaves the photo. The guest's limits are decided again at this moment.
        """
        before = await self._own(TapId(tap_id), caller)
        charge = await self._payments.verify(
            TapId(tap_id), Verification(body.method), pin=body.pin or "", by=body.by or "", matches=body.matches
        )
        was_held = before.charge is not None and before.charge.state is ChargeState.HELD
        if was_held and charge.state is ChargeState.POSTED:
            self._services.board.charge_posted()
        return ChargeView.of(TapStatus(charge.request.tap_id, charge.code, charge))

    async def _own(self, tap: TapId, caller: Principal) -> TapStatus:
        """The status of a tap the caller may see. Another till's looks as if it did not exist."""
        status = await self._payments.status(tap)
        self._check_own(status, caller)
        return status

    def _check_own(self, status: TapStatus, caller: Principal) -> None:
        tap = status.tap_id
        till = status.charge.request.till if status.charge is not None else self._till_of.get(tap)
        if caller.role is Role.TILL and till != caller.till:
            raise NotFound("tap", tap)

    def _remember(self, tap: TapId, till: TillId) -> None:
        self._till_of[tap] = till
        if len(self._till_of) > _TAPS_KEPT:
            self._till_of.popitem(last=False)
