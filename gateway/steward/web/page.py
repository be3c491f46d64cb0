"""The status page: figures, readers and last taps for whoever stands before it. Nothing on it names a guest.

Without TLS that is somebody at this machine. With TLS it asks for an API token, as shore's page does: which cabin's
door opened a moment ago is nobody else's business.
Rendered here; a small script fetches the same fragment again every second, and without scripts the page reloads.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from steward.services.board import HELD, NEUTRAL, SUCCESSES, BoardSnapshot
from steward.web.bundle import ReaderStatus, Services
from steward.web.errors import Problem
from steward.web.facts import FactReader
from steward.web.gate import viewer
from steward.web.machine_view import band_rows, link_rows, machine_rows, ship_rows
from steward.web.schemas import HealthView
from steward.web.words import alert, plain

_FOLDER = Path(__file__).parent
_BAR_WIDTH = 1000  # units of the split bar's own scale
_SPLIT = (
    ("exchange", "with the band"),
    ("compute", "deciding"),
    ("commit", "writing it down"),
)
_STATE_WORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "waiting": ("ok", "ready"),
        "busy": ("ok", "tap in progress"),
        "idle": ("calm", "standing by"),
        "starting": ("calm", "starting"),
        "fault": ("bad", "not working"),
        "paused": ("bad", "not working, tried again soon"),
        "stopped": ("bad", "stopped"),
    }
)


class Page:
    def __init__(self, services: Services, facts: FactReader) -> None:
        self._facts_of_store = facts
        self._services = services
        loader = FileSystemLoader(_FOLDER / "templates")
        self._templates = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)

    def install(self, app: FastAPI) -> None:
        html = {"response_class": HTMLResponse, "include_in_schema": False}
        app.add_api_route("/", self.show, methods=["GET"], **html)  # type: ignore[arg-type]
        app.add_api_route("/live", self.show_live, methods=["GET"], **html)  # type: ignore[arg-type]
        app.add_api_route(
            "/healthz", self.healthz, methods=["GET"], tags=["monitor"], summary="Is the gateway working?"
        )

    async def show(self, request: Request) -> HTMLResponse:
        self._check(request)
        return HTMLResponse(self._templates.get_template("status.html").render(await self._facts()))

    async def show_live(self, request: Request) -> HTMLResponse:
        """The part of the page that changes."""
        self._check(request)
        return HTMLResponse(self._templates.get_template("live.html").render(await self._facts()))

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

    async def _facts(self) -> dict[str, Any]:
        services, identity = self._services, self._services.identity
        now = services.clock.now()
        board, board_ages = services.board.snapshot(), services.board.tap_ages(now.unix_s)
        facts = await self._facts_of_store.get()
        readers = [_reader(reader) for reader in services.readers()]
        refused, gateways = sum(board["refusals"].values()), ship_rows(facts.ship)
        away = sum(row.light == "bad" for row in gateways or ())
        down = sum(reader["light"] == "bad" for reader in readers)
        return {
            "identity": identity,
            "board": board,
            "now": self._time(now.unix_s),
            "clock_trusted": now.trusted,
            "up": _duration(now.unix_s - identity.started_s),
            "refused": refused,
            "refusals": [(plain(code), code, count) for code, count in board["refusals"].items()],
            "alerts": [(alert(kind), kind, count) for kind, count in board["alerts"].items()],
            "split": _split(board),
            "bar_width": _BAR_WIDTH,
            "readers": readers,
            "bands": band_rows(facts, board_ages),
            "link": link_rows(facts.link, now.unix_s),
            "gateways": gateways,
            "machine": machine_rows(services),
            "recent": [_tap(tap, self._time(tap["at_s"])) for tap in board["recent"]],
            "news": _news(sum(board["alerts"].values()), down, away),
        }

    def _time(self, unix_s: int) -> str:
        """Ship's time of day."""
        at = datetime.fromtimestamp(unix_s, UTC) + timedelta(minutes=self._services.identity.utc_offset_min)
        return at.strftime("%H:%M:%S")


def _reader(reader: ReaderStatus) -> dict[str, Any]:
    light, words = _STATE_WORDS.get(reader.state, ("bad", reader.state))
    error = plain(reader.error).said if reader.error and light == "bad" else ""
    return {"name": reader.name, "place": reader.place, "port": reader.port, "kind": reader.kind} | {
        "light": light,
        "words": words,
        "error": error,
    }


def _tap(tap: Mapping[str, Any], at: str) -> dict[str, Any]:
    code = tap["code"]
    light = "ok" if code in SUCCESSES - HELD else "calm" if code in HELD | NEUTRAL else "bad"
    return {**tap, "at": at, "light": light, "words": plain(code).said}


def _split(board: BoardSnapshot) -> list[dict[str, Any]]:
    """The median tap's parts, each with its place on a bar of `_BAR_WIDTH` units."""
    parts = [(name, words, board["split_ms"][name]) for name, words in _SPLIT]
    total = sum(times["p50"] for _, _, times in parts) or 1.0
    bars, start = [], 0.0
    for name, words, times in parts:
        width = times["p50"] / total * _BAR_WIDTH
        bars.append({"name": name, "words": words, "start": round(start), "width": round(width), **times})
        start += width
    return bars


def _news(alerts: int, readers_down: int, away: int) -> str:
    """One sentence that changes only when somebody should look; screen readers speak it."""
    said = []
    if alerts:
        said.append(f"{alerts} alert{'s' if alerts > 1 else ''} for the staff")
    if readers_down:
        said.append(f"{readers_down} reader{'s' if readers_down > 1 else ''} not working")
    if away:
        said.append("gateways of the ship not heard")
    return " and ".join(said) + "." if said else "All well."


def _duration(seconds: int) -> str:
    minutes = max(seconds, 0) // 60
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
