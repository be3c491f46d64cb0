"""The status page: figures, readers and last taps for whoever stands before it. Nothing on it names a guest.

Without TLS that is somebody at this machine. With TLS it asks for an API token, as shore's page does: which cabin's
door opened a moment ago is nobody else's business.
Rendered here; a small script fetches the same fragment again every second, and without scripts the page reloads.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, Response

from steward.domain.condition import LOW_PERCENT
from steward.services.board import HELD, NEUTRAL, SUCCESSES, BoardSnapshot
from steward.web.band_view import band_rows
from steward.web.bundle import ReaderStatus
from steward.web.errors import Problem
from steward.web.facts import FactReader
from steward.web.gate import viewer
from steward.web.machine_view import link_rows, machine_rows, ship_rows
from steward.web.pages.base import Pages
from steward.web.pages.language import Translator
from steward.web.schemas import HealthView
from steward.web.service_view import service_rows
from steward.web.words import alert, plain

_BAR_WIDTH = 1000  # units of the split bar's own scale
_SPLIT = ("exchange", "compute", "commit")
_STATE_LIGHTS: Mapping[str, str] = MappingProxyType(
    {
        "waiting": "ok",
        "busy": "ok",
        "idle": "calm",
        "starting": "calm",
        "fault": "bad",
        "paused": "bad",
        "stopped": "bad",
    }
)
_PLACES = MappingProxyType(
    {"cabin ": "cabin", "zone ": "zone", "till ": "till", "crew at ": "crew", "encoder": "encoder"}
)


class Page:
    def __init__(self, pages: Pages, facts: FactReader) -> None:
        self._pages = pages
        self._facts_of_store = facts
        self._services = pages.services

    def install(self, app: FastAPI) -> None:
        html = {"response_class": HTMLResponse, "include_in_schema": False}
        app.add_api_route("/", self.show, methods=["GET"], **html)  # type: ignore[arg-type]
        app.add_api_route("/live", self.show_live, methods=["GET"], **html)  # type: ignore[arg-type]
        app.add_api_route(
            "/healthz", self.healthz, methods=["GET"], tags=["monitor"], summary="Is the gateway working?"
        )

    async def show(self, request: Request) -> Response:
        self._check(request)
        call = await self._pages.visit(request)
        return call.page("status.html", **await self._facts(call.t))

    async def show_live(self, request: Request) -> Response:
        """The part of the page that changes. No use of a session: a page left open keeps nobody signed in."""
        self._check(request)
        t = self._pages.translator(request)
        return HTMLResponse(self._pages.part("live.html", t, await self._facts(t)))

    async def healthz(self) -> HealthView:
        """Answers ok if the store takes a write, the gateway's own tasks run, the disk has room and the clock is
        believed; 503 otherwise, with every reason in `errors`. Needs no token and tells nothing else.
        """
        troubles = await self._services.health.check()
        if troubles:
            errors = [{"where": trouble.where, "problem": trouble.code} for trouble in troubles]
            said = plain(troubles[0].code)
            raise Problem(503, troubles[0].code, f"{said.said} {said.todo}".strip(), errors=errors)
        return HealthView(status="ok", gateway=self._services.identity.gateway)

    def _check(self, request: Request) -> None:
        """Raises Problem 401."""
        if self._services.front.https:
            viewer(request.scope, self._services.find_token, "steward")

    async def _facts(self, t: Translator) -> dict[str, Any]:
        services, identity = self._services, self._services.identity
        now = services.clock.now()
        board, board_ages = services.board.snapshot(), services.board.tap_ages(now.unix_s)
        facts = await self._facts_of_store.get()
        readers = [_reader(reader, t) for reader in services.readers()]
        refused, gateways = sum(board["refusals"].values()), ship_rows(facts.ship, t)
        away = sum(row.light == "bad" for row in gateways or ())
        down = sum(reader["light"] == "bad" for reader in readers)
        return {
            "board": board,
            "now": self._time(now.unix_s),
            "clock_trusted": now.trusted,
            "up": _duration(now.unix_s - identity.started_s, t),
            "refused": refused,
            "refusals": [(plain(code, t), code, count) for code, count in board["refusals"].items()],
            "alerts": [(alert(kind, t), kind, count) for kind, count in board["alerts"].items()],
            "split": _split(board, t),
            "bar_width": _BAR_WIDTH,
            "readers": readers,
            "bands": band_rows(facts, board_ages, now.unix_s, t),
            "low_percent": LOW_PERCENT,
            "link": link_rows(facts.link, now.unix_s, t),
            "gateways": gateways,
            "service": service_rows(services, facts, now.unix_s, t),
            "machine": machine_rows(services, facts, t),
            "recent": [_tap(tap, self._time(tap["at_s"]), t) for tap in board["recent"]],
            "news": _news(sum(board["alerts"].values()), down, away, t),
        }

    def _time(self, unix_s: int) -> str:
        """Ship's time of day."""
        at = datetime.fromtimestamp(unix_s, UTC) + timedelta(minutes=self._services.identity.utc_offset_min)
        return at.strftime("%H:%M:%S")


def _reader(reader: ReaderStatus, t: Translator) -> dict[str, Any]:
    light, words = _STATE_LIGHTS.get(reader.state, "bad"), t.known(f"status.reader.{reader.state}", reader.state)
    error = plain(reader.error, t).said if reader.error and light == "bad" else ""
    return {"name": reader.name, "place": _place(reader.place, t), "port": reader.port, "kind": reader.kind} | {
        "light": light,
        "words": words,
        "error": error,
    }


def _place(place: str, t: Translator) -> str:
    """A reader's place in the viewer's language; its name in the settings stays as it is."""
    for start, kind in _PLACES.items():
        if place.startswith(start):
            return t(f"status.place.{kind}", name=place.removeprefix(start))
    return place


def _tap(tap: Mapping[str, Any], at: str, t: Translator) -> dict[str, Any]:
    code = tap["code"]
    light = "ok" if code in SUCCESSES - HELD else "calm" if code in HELD | NEUTRAL else "bad"
    return {**tap, "at": at, "light": light, "words": plain(code, t).said}


def _split(board: BoardSnapshot, t: Translator) -> list[dict[str, Any]]:
    """The median tap's parts, each with its place on a bar of `_BAR_WIDTH` units."""
    parts = [(name, board["split_ms"][name]) for name in _SPLIT]
    total = sum(times["p50"] for _, times in parts) or 1.0
    bars, start = [], 0.0
    for name, times in parts:
        width, words = times["p50"] / total * _BAR_WIDTH, t(f"status.split.{name}")
        bars.append({"name": name, "words": words, "start": round(start), "width": round(width), **times})
        start += width
    return bars


def _news(alerts: int, readers_down: int, away: int, t: Translator) -> str:
    """One sentence that changes only when somebody should look; screen readers speak it."""
    said = []
    if alerts:
        said.append(t.count("status.news.alerts", alerts))
    if readers_down:
        said.append(t.count("status.news.readers", readers_down))
    if away:
        said.append(t("status.news.away"))
    return t("status.news.and").join(said) + "." if said else t("status.news.well")


def _duration(seconds: int, t: Translator) -> str:
    minutes = max(seconds, 0) // 60
    days, hours = divmod(minutes // 60, 24)
    parts = (
        [("d", days), ("h", hours)] if days else [("h", hours), ("min", minutes % 60)] if hours else [("min", minutes)]
    )
    return " ".join(t(f"status.span.{unit}", n=n) for unit, n in parts)
