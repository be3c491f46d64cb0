"""A FastAPI application with what every one of ours has: the gate, roles, errors of one shape, nothing from outside."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import Depends, FastAPI
from starlette.middleware import Middleware

from steward import __version__
from steward.web import errors
from steward.web.bundle import Front
from steward.web.endpoints import ProblemView, authorise
from steward.web.gate import Gate
from steward.web.roles import Principal


def bare_app(
    title: str,
    summary: str,
    description: str,
    tags: Sequence[Mapping[str, Any]],
    find_token: Callable[[str], Principal | None],
    front: Front,
) -> FastAPI:
    """No routes yet. `/docs` is off: it would load its page from the internet."""
    app = FastAPI(
        title=title,
        version=__version__,
        summary=summary,
        description=description,
        openapi_tags=[dict(tag) for tag in tags],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(authorise)],
        middleware=[Middleware(Gate, find=find_token, front=front)],
        **_no_telemetry(),
    )
    errors.install(app)
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
