"""Every error the API answers with is one shape, RFC 9457 problem+json, with a stable code and what to do next."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from steward.errors import (
    Busy,
    CardRefused,
    CardRemoved,
    Conflict,
    KeyNotHeld,
    NotFound,
    ReaderFault,
    Refused,
    StewardError,
    StoreUnavailable,
)
from steward.services.supervise import describe

_LOG = logging.getLogger(__name__)

PROBLEM_TYPE = "application/problem+json"
FIELDS_SHOWN_MAX = 8
_TEXT_SHOWN_MAX = 300
_RETRY_S = 1

# The first class that fits decides. Only these texts go out: they are written for the caller.
_STATUS: tuple[tuple[type[StewardError], int], ...] = (
    (NotFound, HTTPStatus.NOT_FOUND),
    (Conflict, HTTPStatus.CONFLICT),
    (Refused, HTTPStatus.CONFLICT),
    (KeyNotHeld, HTTPStatus.CONFLICT),
    (Busy, HTTPStatus.SERVICE_UNAVAILABLE),
    (CardRefused, HTTPStatus.BAD_GATEWAY),
    (CardRemoved, HTTPStatus.BAD_GATEWAY),
    (ReaderFault, HTTPStatus.BAD_GATEWAY),
)


class Problem(Exception):
    """An answer that is an error, raised by the web layer itself."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(code)
        self.status = int(status)
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = list(errors)

    def response(self) -> Response:
        """The answer. `title` is the status in words, `code` is for programs, `detail` for people."""
        body: dict[str, Any] = {
            "type": f"urn:steward:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = self.errors
        return Response(json.dumps(body), self.status, media_type=PROBLEM_TYPE, headers=self.headers)


def problem_of(error: StewardError) -> Problem:
    """Our errors by class. The text of a storage error names files, so it stays in the log."""
    if isinstance(error, StoreUnavailable):
        _LOG.error("store.unavailable detail=%s", error)
        detail = "the gateway cannot write to its disk: nothing was recorded, try again once it is mended"
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, error.code, detail, headers={"Retry-After": "5"})
    for kind, status in _STATUS:
        if isinstance(error, kind):
            headers = {"Retry-After": str(_RETRY_S)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
            detail = error.detail if isinstance(error, Refused) and error.detail else str(error)
            return Problem(status, error.code, _shown(detail), headers=headers)
    return _internal(error)


def install(app: FastAPI) -> None:
    """Make every error of the application one of ours."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(StewardError, _on_steward)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_other)


async def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _on_steward(_request: Request, error: Exception) -> Response:
    assert isinstance(error, StewardError)
    return problem_of(error).response()


async def _on_invalid(_request: Request, error: Exception) -> Response:
    """What was wrong and where; never what was sent, which may be a PIN."""
    assert isinstance(error, RequestValidationError)
    problems = [
        {"where": _where(item["loc"]), "problem": _shown(str(item["msg"]))}
        for item in error.errors()[:FIELDS_SHOWN_MAX]
    ]
    first = problems[0]
    detail = f"{first['where']}: {first['problem']}. See /openapi.json for what this call takes"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "request_invalid", detail, errors=problems).response()


async def _on_http(_request: Request, error: Exception) -> Response:
    """Answers of the framework itself: no such path, wrong method, a body that cannot be read."""
    assert isinstance(error, HTTPException)
    code, detail = {
        HTTPStatus.NOT_FOUND: ("no_such_path", "there is nothing at this path: see /openapi.json"),
        HTTPStatus.METHOD_NOT_ALLOWED: ("method_not_allowed", "this path takes another method: see the Allow header"),
        HTTPStatus.BAD_REQUEST: ("body_unreadable", "the body is not JSON that can be read"),
    }.get(HTTPStatus(error.status_code), ("http", HTTPStatus(error.status_code).phrase))
    return Problem(error.status_code, code, detail, headers=error.headers).response()


async def _on_other(request: Request, error: Exception) -> Response:
    # Only the class and the line: a message or a traceback could repeat what the caller sent.
    route = getattr(request.scope.get("route"), "path", "?")
    _LOG.error("http.failed route=%s error=%s", route, describe(error))
    return _internal(error).response()


def _internal(error: Exception) -> Problem:
    code = error.code if isinstance(error, StewardError) else "internal"
    detail = "the gateway failed at this request: look for http.failed in its log"
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, code, detail)


def _where(location: Sequence[object]) -> str:
    return _shown(".".join(str(part) for part in location if part != "body") or "body")


def _shown(text: str) -> str:
    """Cleaned and capped: parts of it may come from the caller."""
    return "".join(char if char.isprintable() else "?" for char in text[:_TEXT_SHOWN_MAX])
