"""The purser's folios: find one, look at it live, correct its charges, settle it, print its statement.

Whatever shows a guest is a look-up made by services/desk.py. A POST leads back to the page it came from, so sending it
twice is harmless: a refund carries the id that its form was made with.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from steward.domain.charges import REASON_MAX
from steward.domain.ids import GuestRef, TapId
from steward.domain.viewing import CrewRole, Field, Viewer, allowed
from steward.errors import NotFound, Refused
from steward.services.lookups import NOT_PERMITTED
from steward.web.bundle import Services
from steward.web.pages.amounts import read_amount
from steward.web.pages.base import NavItem, PageCall, PageError, PageRoute
from steward.web.pages.cards import hit_facts
from steward.web.pages.purser_facts import charge_facts, charge_row, folio_facts, person_facts, statement_facts

HOME, FOLIOS, CHARGE = "/purser", "/purser/folios", "/purser/charges/{tap}"
FOLIO = FOLIOS + "/{ref}"
PURSERS = frozenset({CrewRole.PURSER})
_REF, _TAP, _PAGE = re.compile(r"[0-9a-f]{16}"), re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9]{1,5}")
_REFUND_ID_BYTES = 8


class PurserPages:
    def __init__(self, services: Services) -> None:
        self._desk = services.desk
        self._payments = services.payments
        self._lookups = services.lookups

    def routes(self) -> list[PageRoute]:
        table = (
            ("GET", HOME, self.show_home),
            ("POST", HOME + "/search", self.search),
            ("GET", FOLIOS, self.list_folios),
            ("GET", FOLIO, self.show_folio),
            ("GET", FOLIO + "/mark", self.tell_mark),
            ("GET", FOLIO + "/statement", self.show_statement),
            ("GET", CHARGE, self.show_charge),
            ("POST", CHARGE + "/void", self.void),
            ("POST", CHARGE + "/refund", self.refund),
            ("POST", CHARGE + "/dispute", self.dispute),
            ("POST", CHARGE + "/resolve", self.resolve),
            ("GET", HOME + "/disputes", self.list_disputes),
        )
        return [PageRoute(method, path, PURSERS, handler, shift=True) for method, path, handler in table]

    def nav(self) -> list[NavItem]:
        return [NavItem(HOME, "purser.nav.folios", "folio", PURSERS)]

    # finding a folio

    async def show_home(self, call: PageCall) -> Response:
        """Totals and what waits to be done; no guest before one is looked for."""
        billing(call)
        return call.page("purser_home.html", overview=await self._desk.overview(), query="", hits=None, problem="")

    async def search(self, call: PageCall) -> Response:
        """Shown as the answer itself: the words stay out of addresses."""
        viewer, query = billing(call), call.form.get("query", "")
        facts: dict[str, Any] = {"overview": await self._desk.overview(), "query": query}
        try:
            found = await self._lookups.search(viewer, query)
        except Refused as refused:
            if refused.code != "query_invalid":
                raise
            return call.page("purser_home.html", 409, **facts, hits=None, problem=refused.code)
        return call.page("purser_home.html", **facts, hits=[hit_facts(hit, call) for hit in found], problem="")

    async def list_folios(self, call: PageCall) -> Response:
        settled, page = call.request.query_params.get("state") == "settled", _page(call)
        rows, pages = await self._desk.list_folios(billing(call), page, settled=settled)
        return call.page("purser_folios.html", rows=rows, page=page, pages=pages, settled=settled)

    async def list_disputes(self, call: PageCall) -> Response:
        found = await self._desk.disputes(billing(call))
        rows = [{"person": person_facts(call, person), "charge": charge_row(call, charge)} for person, charge in found]
        return call.page("purser_disputes.html", disputes=rows)

    # one folio

    async def show_folio(self, call: PageCall) -> Response:
        found = await self._desk.folio(billing(call), ref_of(call))
        return call.page("purser_folio.html", **folio_facts(call, found))

    async def tell_mark(self, call: PageCall) -> Response:
        """Whether the page has become old; a script asks, and fetches the page itself only then."""
        billing(call)
        return JSONResponse({"mark": await self._desk.mark(ref_of(call))}, headers={"Cache-Control": "no-store"})

    async def show_statement(self, call: PageCall) -> Response:
        found = await self._desk.folio(billing(call), ref_of(call))
        return call.page("purser_statement.html", **statement_facts(call, found))

    # one charge

    async def show_charge(self, call: PageCall) -> Response:
        found = await self._desk.charge(billing(call), tap_of(call))
        refund_id = secrets.token_hex(_REFUND_ID_BYTES)
        numbers = await self._desk.crew_numbers([who for c in found.corrections for who in (c.by, c.second)])
        return call.page("purser_charge.html", **charge_facts(call, found, numbers), refund_id=refund_id, problem="")

    async def void(self, call: PageCall) -> Response:
        billing(call)
        tap = tap_of(call)
        await self._payments.void(tap, reason_of(call.form), call.signed_in.crew)
        return _back(call, tap)

    async def refund(self, call: PageCall) -> Response:
        billing(call)
        tap, reason = tap_of(call), reason_of(call.form)
        charge = (await self._payments.status(tap)).charge
        if charge is None:
            raise NotFound("charge", tap)
        amount_minor = read_amount(call.form.get("amount", ""), charge.request.currency)
        if amount_minor is None:
            raise Refused("amount_invalid")
        await self._payments.refund(tap, amount_minor, reason, call.signed_in.crew, call.form.get("refund_id", ""))
        return _back(call, tap)

    async def dispute(self, call: PageCall) -> Response:
        billing(call)
        tap = tap_of(call)
        await self._payments.dispute(tap, reason_of(call.form), call.signed_in.crew)
        return _back(call, tap)

    async def resolve(self, call: PageCall) -> Response:
        billing(call)
        tap, outcome = tap_of(call), call.form.get("outcome", "")
        if outcome not in ("uphold", "reject"):
            raise PageError(400, "form_unreadable")
        await self._payments.resolve_dispute(tap, outcome == "uphold", call.signed_in.crew)
        return _back(call, tap)


def billing(call: PageCall) -> Viewer:
    """Who looks, on a shift that is about money. Raises Refused not_permitted on any other, also for what changes."""
    viewer = call.viewer()
    if Field.FOLIO not in allowed(viewer):
        raise Refused(NOT_PERMITTED, "folios are for billing: choose that shift")
    return viewer


def ref_of(call: PageCall) -> GuestRef:
    ref = call.path["ref"]
    if not _REF.fullmatch(ref):
        raise NotFound("guest", "of this address")
    return GuestRef(ref)


def reason_of(form: Mapping[str, str]) -> str:
    """Why, as one line. A person must give one; programs may leave it to their own records."""
    reason = " ".join(form.get("reason", "").split())
    if not 0 < len(reason) <= REASON_MAX:
        raise Refused("reason_invalid")
    return reason


def tap_of(call: PageCall) -> TapId:
    tap = call.path["tap"]
    if not _TAP.fullmatch(tap):
        raise NotFound("charge", "of this address")
    return TapId(tap)


def _page(call: PageCall) -> int:
    """From 0; an address that has been played with shows the first page."""
    text = call.request.query_params.get("page", "")
    return max(int(text) - 1, 0) if _PAGE.fullmatch(text) else 0


def _back(call: PageCall, tap: TapId) -> Response:
    return call.go(f"/purser/charges/{tap}")
