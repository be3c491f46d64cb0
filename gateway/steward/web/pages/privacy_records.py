"""The privacy officer's other records: the start page, consent of a guest, retention, the register, incidents."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from steward.domain.incident import IncidentId
from steward.domain.usecases import REGISTER
from steward.errors import NotFound, Refused
from steward.services.officer import IncidentPage
from steward.web.bundle import Services
from steward.web.pages.base import NavItem, PageCall, PageRoute
from steward.web.pages.privacy import OFFICERS, REF, ref_of, watching

DESK, CONSENTS, RETENTION = "/privacy/desk", "/privacy/consents", "/privacy/retention"
RULES, INCIDENTS = "/privacy/register", "/privacy/incidents"
_INCIDENT = re.compile(r"[0-9a-f]{12}")


class PrivacyRecordPages:
    def __init__(self, services: Services) -> None:
        self._officer = services.officer
        self._retention = services.retention

    def routes(self) -> list[PageRoute]:
        table = (
            ("GET", DESK, self.show_desk),
            ("POST", CONSENTS, self.find_consents),
            ("GET", CONSENTS + "/{ref}", self.show_consents),
            ("GET", RETENTION, self.show_retention),
            ("POST", RETENTION + "/confirm", self.confirm_clock),
            ("GET", RULES, self.show_register),
            ("GET", INCIDENTS, self.list_incidents),
            ("GET", INCIDENTS + "/{incident}", self.show_incident),
        )
        return [PageRoute(method, path, OFFICERS, handler, shift=True) for method, path, handler in table]

    def nav(self) -> list[NavItem]:
        return [NavItem(DESK, "privacy.nav.desk", "list", OFFICERS)]

    async def show_desk(self, call: PageCall) -> Response:
        """What waits for the officer."""
        watching(call)
        passage = await self._retention.passage()
        waits = passage is not None and passage.waits_s is not None
        return call.page("privacy_desk.html", overview=await self._officer.overview(), clock_waits=waits)

    async def find_consents(self, call: PageCall) -> Response:
        watching(call)
        ref = call.form.get("guest", "").strip()
        if not REF.fullmatch(ref):
            raise Refused("search_invalid")
        return call.go(f"{CONSENTS}/{ref}")

    async def show_consents(self, call: PageCall) -> Response:
        """How a guest's consent stands and every word of it: a look-up."""
        watching(call)
        guest, now, history = await self._officer.consents(call.viewer(), ref_of(call))
        return call.page(
            "privacy_consents.html",
            guest=guest.ref,
            child=guest.child,
            now=[{"purpose": each.purpose.value, "given": each.given} for each in now],
            history=[
                {
                    "at": _at(call, each.at_s),
                    "purpose": each.purpose.value,
                    "given": each.given,
                    "source": each.source.value,
                }
                for each in history
            ],
        )

    async def show_retention(self, call: PageCall) -> Response:
        watching(call)
        passage, due = await self._retention.due()
        runs = await self._officer.runs()
        return call.page(
            "privacy_retention.html",
            mark=_at(call, passage.mark_s),
            waits=None if passage.waits_s is None else _at(call, passage.waits_s),
            due=[{"rule": each.rule, "count": each.count, "before": _at(call, each.before_s)} for each in due],
            runs=[
                {
                    "at": _at(call, run.at_s),
                    "rule": run.rule,
                    "count": run.deleted,
                    "before": _at(call, run.before_s),
                    "held": run.held,
                }
                for run in runs
            ],
        )

    async def confirm_clock(self, call: PageCall) -> Response:
        """The officer has looked at a clock of their own: the gateway's is right."""
        watching(call)
        await self._retention.confirm()
        return call.go(RETENTION)

    async def show_register(self, call: PageCall) -> Response:
        """Who receives what, and the register itself."""
        watching(call)
        pick = call.t.pick
        cases = [
            {
                "id": case.id,
                "title": pick(case.title),
                "why": pick(case.why),
                "basis": case.basis,
                "special": case.special_basis or "",
                "consent": case.consent is not None,
                "recipients": [pick(each.title) for each in case.recipients],
                "groups": [
                    {
                        "title": pick(group.title),
                        "category": pick(group.category.title),
                        "special": group.category.special,
                        "days": group.keep.wording[1],
                        "since": group.keep.wording[0],
                        "law": "" if group.keep.law is None else pick(group.keep.law),
                    }
                    for group in case.groups
                ],
            }
            for case in REGISTER.use_cases.values()
        ]
        recipients = [
            {
                "title": pick(each.title),
                "third": each.third,
                "place": each.place.value,
                "cases": [pick(case.title) for case in REGISTER.use_cases.values() if each in case.recipients],
            }
            for each in REGISTER.recipients.values()
        ]
        return call.page("privacy_register.html", cases=cases, recipients=recipients)

    async def list_incidents(self, call: PageCall) -> Response:
        watching(call)
        return call.page(
            "privacy_incidents.html", rows=[_incident(call, each) for each in await self._officer.incidents()]
        )

    async def show_incident(self, call: PageCall) -> Response:
        watching(call)
        id_ = call.path["incident"]
        if not _INCIDENT.fullmatch(id_):
            raise NotFound("incident", "of this address")
        found = await self._officer.incident(IncidentId(id_))
        steps = [
            {"step": step.step, "state": step.state.value, "at": _at(call, step.at_s), "detail": step.detail}
            for step in found.steps
        ]
        return call.page("privacy_incident.html", row=_incident(call, found), steps=steps)


def _incident(call: PageCall, page: IncidentPage) -> dict[str, Any]:
    incident = page.incident
    hours = (incident.notice_due_s - call.now_s()) // 3600
    return {
        "id": incident.id,
        "kind": incident.kind.value,
        "device": incident.device,
        "from": _at(call, incident.from_s),
        "to": _at(call, incident.to_s),
        "declared": _at(call, incident.declared_s),
        "notice_due": _at(call, incident.notice_due_s),
        "hours": max(hours, 0),
        "guests": incident.guests,
        "left": sum(step.state.value != "done" for step in page.steps),
    }


def _at(call: PageCall, unix_s: int) -> str:
    return call.t.day_time(unix_s, call.services.identity.utc_offset_min)
