"""The FastAPI application over a bundle of services."""

from __future__ import annotations

import inspect
from typing import Any

from fastapi import Depends, FastAPI
from starlette.middleware import Middleware

from steward import __version__
from steward.web import errors
from steward.web.bundle import Services
from steward.web.desk import DeskApi
from steward.web.endpoints import ProblemView, authorise, install
from steward.web.gate import Gate
from steward.web.monitor import MonitorApi
from steward.web.page import Page
from steward.web.purser import PurserApi
from steward.web.till import TillApi
from steward.web.waits import LongPolls

_DESCRIPTION = """
Keys and payment for one ship, decided on this gateway.

Every call under `/v1` needs `Authorization: Bearer TOKEN`; a token has one role, and each call names the roles that
may make it. Amounts are whole minor units. Times are unix seconds. Errors are `application/problem+json` with a
stable `code`. What a till, a desk or a purser sends carries an id of its own making (`tap_id`, `refund_id`,
`deposit_id`), so after a lost answer the same call can simply be sent again.
"""
_TAGS = [
    {"name": "till", "description": "Ask for a charge, see what came of it."},
    {"name": "desk", "description": "Guests and their bands."},
    {"name": "purser", "description": "Charges after the fact, folios, the books."},
    {"name": "monitor", "description": "Figures and readers."},
]


def create_app(services: Services) -> FastAPI:
    """The whole application. `/docs` is off: it would load its page from the internet."""
    app = FastAPI(
        title="Steward gateway",
        version=__version__,
        summary="Wristband keys and onboard payment.",
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(authorise)],
        middleware=[Middleware(Gate, find=services.find_token)],
        **_no_telemetry(),
    )
    errors.install(app)
    polls = LongPolls(services.closing)
    for api in (TillApi(services, polls), DeskApi(services, polls), PurserApi(services), MonitorApi(services)):
        install(app, api.endpoints())
    Page(services).install(app)
    _complete_schema(app)
    return app


def _no_telemetry() -> dict[str, Any]:
    """Newer FastAPI traces requests, bodies included, to whatever its environment names. Not here."""
    if "telemetry" not in inspect.signature(FastAPI).parameters:
        return {}
    off = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False}
    return {"telemetry": off}


def _complete_schema(app: FastAPI) -> None:
    """Describe the shape of every error once. The framework's own error shape is never sent."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = original()
            shapes = schema["components"]["schemas"]
            shapes["ProblemView"] = ProblemView.model_json_schema()
            for unused in ("HTTPValidationError", "ValidationError"):
                shapes.pop(unused, None)
        return original()

    app.openapi = openapi  # type: ignore[method-assign]
