"""The privacy officer's requests: what is due, each with its words and its clock, extended or answered here."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from steward.domain.ids import GuestRef
from steward.domain.requests import Request, RequestId, RequestState, Right, lateness
from steward.errors import NotFound, Refused
from steward.services.requests import RequestView
from steward.web.bundle import Services
from steward.web.pages.base import PageCall, PageRoute
from steward.web.pages.privacy import OFFICERS, REF, watching
from steward.web.pages.purser_facts import who

REQUESTS = "/privacy/requests"
REQUEST = REQUESTS + "/{request}"
_ID = re.compile(r"[0-9a-f]{16}")
_LINKED = re.compile(r"[ -~]{0,80}")
_ANSWERS = {"done": RequestState.DONE, "refused": RequestState.REFUSED}


class PrivacyRequestPages:
    def __init__(self, services: Services) -> None:
        self._requests = services.requests
        self._desk = services.desk

    def routes(self) -> list[PageRoute]:
        table = (
            ("GET", REQUESTS, self.show_list),
            ("POST", REQUESTS, self.open),
            ("GET", REQUEST, self.show),
            ("POST", REQUEST + "/extend", self.extend),
            ("POST", REQUEST + "/answer", self.answer),
        )
        return [PageRoute(method, path, OFFICERS, handler, shift=True) for method, path, handler in table]

    async def show_list(self, call: PageCall) -> Response:
        """What waits, the one due first first; rights and references, no words and no names."""
        watching(call)
        return call.page(
            "privacy_requests.html",
            waiting=[_row(call, each) for each in await self._requests.waiting()],
            answered=[_row(call, each) for each in await self._requests.answered()],
            rights=[right.value for right in Right],
            guest=call.request.query_params.get("guest", "")[:16],
        )

    async def open(self, call: PageCall) -> Response:
        """A request that came by letter or by word of mouth."""
        watching(call)
        ref, right = call.form.get("guest", "").strip(), call.form.get("right", "")
        if not REF.fullmatch(ref) or right not in set(Right):
            raise Refused("search_invalid")
        words, by = call.form.get("words", ""), call.signed_in.crew
        request = await self._requests.open(GuestRef(ref), Right(right), words, by)
        return call.go(f"{REQUESTS}/{request.id}")

    async def show(self, call: PageCall) -> Response:
        watching(call)
        found = await self._requests.view(call.viewer(), _id(call))
        numbers = await self._desk.crew_numbers([said.step.by for said in found.steps])
        return call.page("privacy_request.html", **_facts(call, found, numbers))

    async def extend(self, call: PageCall) -> Response:
        watching(call)
        id_ = _id(call)
        await self._requests.extend(id_, call.form.get("words", ""), call.signed_in.crew)
        return call.go(f"{REQUESTS}/{id_}")

    async def answer(self, call: PageCall) -> Response:
        watching(call)
        id_, state = _id(call), _ANSWERS.get(call.form.get("state", ""))
        linked = call.form.get("linked", "").strip()
        if state is None or not _LINKED.fullmatch(linked):
            raise Refused("answer_missing")
        await self._requests.answer(id_, state, call.form.get("words", ""), call.signed_in.crew, linked)
        return call.go(f"{REQUESTS}/{id_}")


def _facts(call: PageCall, found: RequestView, numbers: dict[str, str]) -> dict[str, Any]:
    request = found.request
    steps = [
        {
            "at": _at(call, said.step.at_s),
            "who": call.t("privacy.request.guest")
            if said.step.by == request.guest
            else who(call, said.step.by, numbers),
            "state": said.step.state.value,
            "words": said.words,
        }
        for said in found.steps
    ]
    may_extend = request.state is RequestState.OPEN and call.now_s() < request.due_s
    return {"row": _row(call, request), "steps": steps, "may_extend": may_extend, "answers": list(_ANSWERS)}


def _row(call: PageCall, request: Request) -> dict[str, Any]:
    days = (request.due_s - call.now_s()) // 86_400
    return {
        "id": request.id,
        "guest": request.guest,
        "right": request.right.value,
        "state": request.state.value,
        "opened": _at(call, request.opened_s),
        "due": _at(call, request.due_s - 1),
        "days": abs(days if days >= 0 else days + 1),
        "lateness": lateness(request, call.now_s()).value,
        "waits": request.waits,
        "closed": "" if request.closed_s is None else _at(call, request.closed_s),
        "linked": request.linked,
    }


def _at(call: PageCall, unix_s: int) -> str:
    return call.t.day_time(unix_s, call.services.identity.utc_offset_min)


def _id(call: PageCall) -> RequestId:
    id_ = call.path["request"]
    if not _ID.fullmatch(id_):
        raise NotFound("request", "of this address")
    return RequestId(id_)
