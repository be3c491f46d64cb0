"""The fleet page, /answers, /healthz and /metrics. Machines, counts and times; nothing here is about a guest.

Without TLS the node is reached from its own machine only. With TLS the page asks for a name and password: any name,
and an API token as the password, so that a browser needs no session and who is revoked is out at once.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from steward.services.supervise import TaskState
from steward.shore.aggregates import answers
from steward.shore.bundle import Shore
from steward.shore.fleet import Fleet, fleet
from steward.shore.metrics import MetricsPage
from steward.shore.registry import boot
from steward.shore.view import answer_facts, page_facts
from steward.web import pages
from steward.web.errors import Problem
from steward.web.gate import VIEWERS, bearer, viewer
from steward.web.pages.assets import Assets
from steward.web.pages.language import Catalogue

FRESH_S = 1.0  # many may look at once
_TEMPLATES = Path(__file__).parent / "templates"
_FRAME = Path(pages.__file__).parents[1] / "templates"  # which every page of ours is in


class FleetReader:
    """The fleet's figures, read at most once a second however many ask."""

    def __init__(self, shore: Shore) -> None:
        self._shore = shore
        self._lock = asyncio.Lock()
        self._read_ms = float("-inf")
        self._fleet = Fleet((), ())

    async def get(self) -> Fleet:
        """Raises StoreUnavailable."""
        async with self._lock:
            now_ms = self._shore.clock.monotonic_ms()
            if now_ms - self._read_ms >= FRESH_S * 1000:
                self._fleet = await self._shore.store.read(fleet(self._shore.clock.now().unix_s))
                self._read_ms = now_ms
            return self._fleet


class FleetPage:
    def __init__(self, shore: Shore) -> None:
        self._shore = shore
        self._reader = FleetReader(shore)
        self._metrics = MetricsPage(shore)
        self._assets = Assets()
        loader = FileSystemLoader([_TEMPLATES, _FRAME])
        self._templates = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
        english = Catalogue().translator("en", "")
        self._templates.globals.update(asset=self._assets.address, t=english)

    def install(self, app: FastAPI) -> None:
        for path, handler in (
            ("/", self.show),
            ("/live", self.show_live),
            ("/answers", self.show_answers),
            ("/metrics", self.metrics),
            ("/healthz", self.healthz),
        ):
            app.add_api_route(path, handler, methods=["GET"], include_in_schema=False)
        app.add_route("/static/{name}", self._assets.serve, include_in_schema=False)

    async def show(self, request: Request) -> HTMLResponse:
        return await self._page(request, "fleet.html")

    async def show_live(self, request: Request) -> HTMLResponse:
        """The part of the page that changes."""
        return await self._page(request, "fleet_live.html")

    async def show_answers(self, request: Request) -> HTMLResponse:
        """What ships answered about many guests at once."""
        if self._shore.front.https:
            viewer(request.scope, self._shore.find_token, "steward shore")
        facts = {"node": self._shore.node, "news": "", "answers": answer_facts(await self._shore.store.read(answers()))}
        return HTMLResponse(self._templates.get_template("answers.html").render(facts))

    async def metrics(self, request: Request) -> Response:
        if self._shore.front.https and bearer(request.scope, self._shore.find_token).role not in VIEWERS:
            raise Problem(403, "role_not_allowed", "the figures are for monitor: use a token of that role")
        return self._metrics.answer(request, await self._reader.get())

    async def healthz(self) -> dict[str, str]:
        """ok if the store answers, the ships can be heard and every task runs; 503 with the reasons otherwise."""
        await self._shore.store.read(boot())
        troubles = [
            {"where": link.name, "problem": link.trouble or "not connected"}
            for link in self._shore.links()
            if not link.connected
        ]
        troubles += [
            {"where": name, "problem": status.error or "stopped"}
            for name, status in self._shore.supervisor.statuses().items()
            if status.state is not TaskState.RUNNING
        ]
        if troubles:
            first = troubles[0]
            raise Problem(503, "not_well", f"{first['where']}: {first['problem']}", errors=troubles)
        return {"status": "ok", "node": self._shore.node.name}

    async def _page(self, request: Request, template: str) -> HTMLResponse:
        if self._shore.front.https:
            viewer(request.scope, self._shore.find_token, "steward shore")
        facts: dict[str, Any] = page_facts(
            self._shore.node,
            await self._reader.get(),
            self._shore.presence.here,
            self._shore.links(),
            self._shore.clock.now().unix_s,
        )
        return HTMLResponse(self._templates.get_template(template).render(facts))
