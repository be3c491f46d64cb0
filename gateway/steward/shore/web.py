"""The shore's FastAPI application."""

from __future__ import annotations

from fastapi import FastAPI

from steward.shore.api import ShoreApi
from steward.shore.bundle import Shore
from steward.shore.page import FleetPage
from steward.web.bare import bare_app
from steward.web.endpoints import install

_DESCRIPTION = """
What every ship's gateways have sent ashore, and decisions for them.

Every call under `/v1` needs `Authorization: Bearer TOKEN`: role monitor reads, role purser decides too. Times are
unix seconds. A decision is a signed, versioned list; what is on it already makes no new version, so the same call can
be sent again after a lost answer. Errors are `application/problem+json` with a stable `code`.
"""
_TAGS = [
    {"name": "fleet", "description": "Ships and gateways, what is stored and what is missing."},
    {"name": "decisions", "description": "What ships are told: bands to refuse, freezes, consents, models."},
]


def create_app(shore: Shore) -> FastAPI:
    """The whole application."""
    app = bare_app("Steward shore", "The fleet's end of the link.", _DESCRIPTION, _TAGS, shore.find_token, shore.front)
    install(app, ShoreApi(shore).endpoints())
    FleetPage(shore).install(app)
    return app
