"""What two pursers do together, and what is done once: the inbox of approvals, and the end of the voyage."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from steward.domain.ids import ApprovalId
from steward.errors import NotFound
from steward.web.bundle import Services
from steward.web.pages.base import NavItem, PageCall, PageRoute
from steward.web.pages.purser import HOME, PURSERS, billing
from steward.web.pages.purser_facts import approval_row, charge_facts
from steward.web.pages.purser_late import away_rows, heard_of

APPROVALS, SETTLEMENT = "/approvals", HOME + "/settlement"
APPROVAL = APPROVALS + "/{approval}"
_ID = re.compile(r"[0-9a-f]{32}")


class DeskPages:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._desk = services.desk
        self._payments = services.payments
        self._settling = services.settling

    def routes(self) -> list[PageRoute]:
        table = (
            ("GET", APPROVALS, self.list_approvals),
            ("GET", APPROVAL, self.show_approval),
            ("POST", APPROVAL + "/approve", self.approve),
            ("POST", APPROVAL + "/refuse", self.refuse),
            ("GET", SETTLEMENT, self.show_settlement),
            ("POST", SETTLEMENT, self.settle_all),
            ("GET", SETTLEMENT + "/progress", self.show_progress),
        )
        return [PageRoute(method, path, PURSERS, handler, shift=True) for method, path, handler in table]

    def nav(self) -> list[NavItem]:
        return [NavItem(APPROVALS, "purser.nav.approvals", "scales", PURSERS)]

    # approvals

    async def list_approvals(self, call: PageCall) -> Response:
        """What, how much and who asked; the guest only on the page of each question."""
        billing(call)
        pending, decided = await self._desk.approvals()
        actors = [who for a in (*pending, *decided) for who in (a.asked_by, a.decided_by) if who]
        numbers = await self._desk.crew_numbers(actors)
        return call.page(
            "purser_approvals.html",
            pending=[approval_row(call, a, numbers) for a in pending],
            decided=[approval_row(call, a, numbers) for a in decided],
        )

    async def show_approval(self, call: PageCall) -> Response:
        found = await self._desk.approval(billing(call), _id(call))
        corrections = [who for c in found.page.corrections for who in (c.by, c.second)]
        numbers = await self._desk.crew_numbers([found.approval.asked_by, found.approval.decided_by, *corrections])
        facts = charge_facts(call, found.page, numbers)
        return call.page("purser_approval.html", **facts, approval=approval_row(call, found.approval, numbers))

    async def approve(self, call: PageCall) -> Response:
        """The person signed in here is the second one: never the one who asked."""
        billing(call)
        id_ = _id(call)
        await self._payments.approve(id_, call.signed_in.crew)
        return call.go(f"{APPROVALS}/{id_}")

    async def refuse(self, call: PageCall) -> Response:
        billing(call)
        id_ = _id(call)
        await self._payments.refuse(id_, call.signed_in.crew)
        return call.go(f"{APPROVALS}/{id_}")

    # the end of the voyage

    async def show_settlement(self, call: PageCall) -> Response:
        """Totals of both choices, then the guests page by page, each of them a look-up."""
        viewer = billing(call)
        everybody = call.request.query_params.get("who") == "everybody"
        text = call.request.query_params.get("page", "")
        page = max(int(text) - 1, 0) if text.isascii() and text.isdigit() and len(text) < 6 else 0
        rows, pages = await self._desk.list_leaving(viewer, page, everybody=everybody)
        preview = await self._settling.preview(everybody=everybody)
        out = away_rows(call, await heard_of(self._services.ship), preview.out_minor)
        return call.page(
            "purser_settlement.html",
            **self._progress(),
            preview=preview,
            away=[row for row in out if not row["here"]],
            everybody=everybody,
            rows=rows,
            page=page,
            pages=pages,
        )

    async def settle_all(self, call: PageCall) -> Response:
        billing(call)
        everybody, despite_away = call.form.get("who") == "everybody", call.form.get("despite_away") == "on"
        await self._settling.start(call.signed_in.crew, everybody=everybody, despite_away=despite_away)
        return call.go(SETTLEMENT)

    async def show_progress(self, call: PageCall) -> Response:
        """The part of the page that moves."""
        billing(call)
        return call.page("purser_progress.html", **self._progress())

    def _progress(self) -> dict[str, Any]:
        return {"progress": self._settling.progress}


def _id(call: PageCall) -> ApprovalId:
    id_ = call.path["approval"]
    if not _ID.fullmatch(id_):
        raise NotFound("approval", "of this address")
    return ApprovalId(id_)
