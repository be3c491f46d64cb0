"""A guest's own requests: what they asked for by right, until when an answer is due, and what it was."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from steward.domain.guestsession import Level
from steward.domain.requests import TEXT_MAX, Right, lateness
from steward.errors import Refused
from steward.services.requests import RequestView
from steward.web.bundle import Services
from steward.web.pages.guestbase import GuestCall, GuestNav, GuestRoute

REQUESTS = "/me/requests"


class GuestRequestPages:
    def __init__(self, services: Services) -> None:
        self._requests = services.requests

    def routes(self) -> list[GuestRoute]:
        return [
            GuestRoute("GET", REQUESTS, Level.BAND, self.show),
            GuestRoute("POST", REQUESTS, Level.BAND, self.open),
        ]

    def nav(self) -> list[GuestNav]:
        return []

    async def show(self, call: GuestCall) -> Response:
        """Rights, dates and answers; the words only to whoever has proven to be the guest."""
        found = await self._requests.of_guest(call.session.ref)
        return call.page(
            "guest_requests.html",
            rows=[_row(call, view) for view in found],
            rights=[right.value for right in Right],
            text_max=TEXT_MAX,
        )

    async def open(self, call: GuestCall) -> Response:
        right, ref = call.form.get("right", ""), call.session.ref
        if right not in set(Right):
            raise Refused("right_missing")
        await self._requests.open(ref, Right(right), call.form.get("words", ""), ref)
        return call.go(REQUESTS)


def _row(call: GuestCall, view: RequestView) -> dict[str, Any]:
    request, proven = view.request, call.session.level is Level.PROVEN
    return {
        "right": request.right.value,
        "state": request.state.value,
        "opened": call.time(request.opened_s),
        "due": call.time(request.due_s - 1),
        "late": lateness(request, call.now_s()).value == "late",
        "waits": request.waits,
        "closed": "" if request.closed_s is None else call.time(request.closed_s),
        "has_words": any(said.words for said in view.steps),
        "steps": [
            {"at": call.time(said.step.at_s), "state": said.step.state.value, "words": said.words}
            for said in view.steps
            if said.words and proven
        ],
    }
