"""A guest's own folio: what was charged, what is left to spend, disputes with what the band proved, the statement."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from steward.domain.charges import Charge, ChargeState
from steward.domain.guests import Limits
from steward.domain.guestsession import Level
from steward.domain.ids import TapId
from steward.domain.ledger import TransactionKind
from steward.domain.statement import StatementLine
from steward.domain.statementcsv import statement_csv
from steward.errors import NotFound, Refused
from steward.services.ownfolio import ChildFolio, OwnFolio, Spent
from steward.web.bundle import Services
from steward.web.pages.amounts import read_amount, write_amount
from steward.web.pages.guestbase import GuestCall, GuestNav, GuestRoute
from steward.web.pages.purser_facts import verdict

FOLIO = "/me/folio"
SHOWN_MAX = 100  # charges on the page: the rest is on the statement
_TAP = re.compile(r"[0-9a-f]{32}")
_MARKS = {ChargeState.POSTED: "good", ChargeState.REFUSED: "bad"}


class GuestFolioPages:
    def __init__(self, services: Services) -> None:
        self._own = services.own_folio
        self._outlets = {str(id_): place.title for id_, place in services.outlets.items()}

    def routes(self) -> list[GuestRoute]:
        return [
            GuestRoute("GET", FOLIO, Level.BAND, self.show),
            GuestRoute("GET", FOLIO + "/statement", Level.BAND, self.show_statement),
            GuestRoute("GET", FOLIO + "/statement.csv", Level.BAND, self.send_csv),
            GuestRoute("GET", FOLIO + "/limits", Level.BAND, self.show_limits),
            GuestRoute("POST", FOLIO + "/limits", Level.PROVEN, self.lower_limits),
            GuestRoute("GET", FOLIO + "/charge/{tap}", Level.BAND, self.show_charge),
            GuestRoute("POST", FOLIO + "/charge/{tap}/dispute", Level.PROVEN, self.dispute),
        ]

    def nav(self) -> list[GuestNav]:
        return [GuestNav(FOLIO, "guest_frame.nav.folio", "folio")]

    async def show(self, call: GuestCall) -> Response:
        found = await self._own.folio(call.session.ref)
        return call.page("guest_folio.html", **self._folio(call, found))

    async def show_statement(self, call: GuestCall) -> Response:
        found = await self._own.folio(call.session.ref)
        currency = found.guest.currency
        lines = [self._line(call, line, currency) for line in found.statement.lines]
        now, offset_min = call.now_s(), call.services.identity.utc_offset_min
        printed = call.t.date_time(now, offset_min)
        return call.page("guest_statement.html", lines=lines, printed=printed, **self._sums(call, found))

    async def send_csv(self, call: GuestCall) -> Response:
        found = await self._own.folio(call.session.ref)
        named = {"Content-Disposition": 'attachment; filename="statement.csv"'}
        return Response(statement_csv(found.statement), media_type="text/csv; charset=utf-8", headers=named)

    async def show_limits(self, call: GuestCall) -> Response:
        found = await self._own.folio(call.session.ref)
        return self._limits_page(call, found, "")

    async def lower_limits(self, call: GuestCall) -> Response:
        found = await self._own.folio(call.session.ref)
        wanted = [_read_limit(call.form.get(name, ""), found.guest.currency) for name in ("day", "stay", "above")]
        if None in wanted:
            return self._limits_page(call, found, "amount_invalid")
        day_minor, stay_minor, above_minor = (minor or 0 for minor in wanted)
        try:
            await self._own.lower_limits(call.session.ref, Limits(stay_minor, day_minor, above_minor))
        except Refused as refused:
            if refused.code != "limits_only_lower":
                raise
            return self._limits_page(call, found, refused.code)
        return call.go(FOLIO)

    async def show_charge(self, call: GuestCall) -> Response:
        return await self._charge_page(call)

    async def dispute(self, call: GuestCall) -> Response:
        tap = _tap(call)
        try:
            await self._own.dispute(call.session.ref, tap, call.form.get("reason", ""))
        except Refused as refused:
            if refused.code != "reason_invalid":
                raise
            return await self._charge_page(call, refused.code)
        return call.go(f"{FOLIO}/charge/{tap}")

    # in the words of the pages

    async def _charge_page(self, call: GuestCall, problem: str = "") -> Response:
        tap = _tap(call)
        found = await self._own.charge(call.session.ref, tap)
        proof, money = found.evidence, call.t.money
        signed_minor = proof.signed_amount_minor
        return call.page(
            "guest_charge.html",
            409 if problem else 200,
            problem=problem,
            here_path=f"{FOLIO}/charge/{tap}",
            charge=self._row(call, found.charge),
            of_child=found.of_child,
            may_dispute=found.charge.state is ChargeState.POSTED,
            verdict=verdict(proof),
            band=proof.serial,
            counter="" if proof.counter is None else str(proof.counter),
            signed="" if signed_minor is None else money(signed_minor, proof.currency),
            verification=proof.verification,
            at=call.t.day_time(found.charge.at_s, call.services.identity.utc_offset_min),
        )

    def _limits_page(self, call: GuestCall, found: OwnFolio, problem: str) -> Response:
        limits, currency = found.guest.limits, found.guest.currency
        known = (("day", limits.day_minor), ("stay", limits.stay_minor), ("above", limits.verify_above_minor))
        return call.page(
            "guest_limits.html",
            409 if problem else 200,
            problem=problem,
            currency=currency,
            limits=[(name, call.t.money(minor, currency), write_amount(minor, currency)) for name, minor in known],
        )

    def _folio(self, call: GuestCall, found: OwnFolio) -> dict[str, Any]:
        guest = found.guest
        return self._sums(call, found) | {
            "spent": _spent(call, found.spent, guest.limits, guest.currency),
            "above": call.t.money(guest.limits.verify_above_minor, guest.currency),
            "charges": [self._row(call, charge) for charge in found.charges[:SHOWN_MAX]],
            "more": len(found.charges) > SHOWN_MAX,
            "children": [self._child(call, child) for child in found.children],
        }

    def _sums(self, call: GuestCall, found: OwnFolio) -> dict[str, Any]:
        totals, currency = found.statement.totals, found.guest.currency
        sums = (
            ("charged", totals.charged_minor),
            ("credited", -totals.credited_minor),
            ("deposits", -totals.deposits_minor),
            ("returned", totals.returned_minor),
            ("settled", -totals.settled_minor),
        )
        return {
            "balance": call.t.money(abs(totals.balance_minor), currency),
            "in_credit": totals.balance_minor < 0,
            "settled": found.guest.settled,
            "sums": [(name, call.t.money(minor, currency)) for name, minor in sums if minor],
            "held": call.t.money(totals.held_minor, currency) if totals.held_minor else "",
            "disputed": call.t.money(totals.disputed_minor, currency) if totals.disputed_minor else "",
        }

    def _child(self, call: GuestCall, child: ChildFolio) -> dict[str, Any]:
        return {
            "name": (child.name if call.session.level is Level.PROVEN else "") or call.t("guest_folio.a_child"),
            "spent": _spent(call, child.spent, child.guest.limits, child.guest.currency),
            "charges": [self._row(call, charge) for charge in child.charges[:SHOWN_MAX]],
        }

    def _row(self, call: GuestCall, charge: Charge) -> dict[str, Any]:
        request = charge.request
        outlet = self._outlets.get(request.outlet, request.outlet)
        return {
            "path": f"{FOLIO}/charge/{request.tap_id}",
            "at": call.time(charge.at_s),
            "what": request.description or outlet,
            "outlet": outlet,
            "amount": call.t.money(request.amount_minor, request.currency),
            "refunded": call.t.money(charge.refunded_minor, request.currency) if charge.refunded_minor else "",
            "state": charge.state.value,
            "mark": _MARKS.get(charge.state, ""),
        }

    def _line(self, call: GuestCall, line: StatementLine, currency: str) -> dict[str, Any]:
        is_sale = line.kind is TransactionKind.CHARGE
        outlet = self._outlets.get(line.outlet, line.outlet)
        return {
            "at": call.t.day_time(line.at_s, call.services.identity.utc_offset_min),
            "what": (line.text or outlet) if is_sale else call.t(f"guest_folio.kind.{line.kind.value}"),
            "more": (outlet if line.text else "") if is_sale else line.text,
            "amount": call.t.money(line.amount_minor, currency),
            "balance": call.t.money(line.balance_minor, currency),
            "disputed": line.disputed,
        }


def _spent(call: GuestCall, spent: Spent, limits: Limits, currency: str) -> list[tuple[str, str, str]]:
    """(day or stay, what was spent, of how much)."""
    pairs = (("day", spent.today_minor, limits.day_minor), ("stay", spent.stay_minor, limits.stay_minor))
    return [(name, call.t.money(minor, currency), call.t.money(limit, currency)) for name, minor, limit in pairs]


def _read_limit(text: str, currency: str) -> int | None:
    """An amount, or nothing at all: 0 stops spending."""
    return 0 if re.fullmatch(r"\s*0+([.,]0{1,2})?\s*", text) else read_amount(text, currency)


def _tap(call: GuestCall) -> TapId:
    tap = call.path["tap"]
    if not _TAP.fullmatch(tap):
        raise NotFound("charge", "of this address")
    return TapId(tap)
