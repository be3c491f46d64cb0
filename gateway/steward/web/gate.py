"""What every request passes before any route sees it, in this order: host, token, body.

Host: only loopback names, so that a web page elsewhere cannot reach the gateway through a rebound DNS name.
Token: anything under /v1 needs a valid one, whether the path exists or not. Body: read whole, within a size and a
time, so that no route ever waits for a slow sender.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from steward.web.errors import Problem
from steward.web.roles import Principal

BODY_BYTES_MAX = 16_384
BODY_WAIT_MAX_S = 10.0
API_PREFIX = "/v1"
PRINCIPAL = "steward.principal"  # in the scope: who called
_LOOPBACK_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="steward"'}


class ClientGone(Exception):
    """The caller hung up in the middle of its own request."""


class Gate:
    """ASGI middleware. find: whose token this is, or None."""

    def __init__(self, app: ASGIApp, find: Callable[[str], Principal | None]) -> None:
        self._app = app
        self._find = find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        guarded = _with_security_headers(send)
        try:
            _check_host(scope)
            scope[PRINCIPAL] = self._principal(scope)
            body = await _read_body(scope, receive)
        except Problem as problem:
            await problem.response()(scope, receive, guarded)
        except ClientGone:
            return
        else:
            await self._app(scope, _replay(body, receive), guarded)

    def _principal(self, scope: Scope) -> Principal | None:
        """Who calls. Outside the API nobody is asked."""
        path = scope["path"]
        if path != API_PREFIX and not path.startswith(API_PREFIX + "/"):
            return None
        values = _headers(scope, b"authorization")
        if not values:
            raise Problem(401, "token_missing", "send Authorization: Bearer TOKEN", headers=_CHALLENGE)
        scheme, _, token = values[0].partition(" ")
        principal = self._find(token.strip()) if len(values) == 1 and scheme.lower() == "bearer" else None
        if principal is None:
            detail = "this token is not known here: make one with `steward tokens add`"
            raise Problem(401, "token_unknown", detail, headers=_CHALLENGE)
        return principal


def _check_host(scope: Scope) -> None:
    values = _headers(scope, b"host")
    if len(values) != 1 or not _LOOPBACK_HOST.fullmatch(values[0]):
        raise Problem(421, "host_not_allowed", "this gateway answers to 127.0.0.1 and localhost only")


async def _read_body(scope: Scope, receive: Receive) -> bytes:
    declared = _headers(scope, b"content-length")
    if declared and (len(declared) > 1 or not declared[0].isdigit() or int(declared[0][:12]) > BODY_BYTES_MAX):
        raise _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WAIT_MAX_S):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise ClientGone
                body += message.get("body", b"")
                if len(body) > BODY_BYTES_MAX:
                    raise _too_large()
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        detail = f"the body did not arrive within {BODY_WAIT_MAX_S:g} s"
        raise Problem(408, "body_late", detail, headers={"Connection": "close"}) from None


def _too_large() -> Problem:
    detail = f"a body is at most {BODY_BYTES_MAX} bytes here"
    return Problem(413, "body_too_large", detail, headers={"Connection": "close"})


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once, then whatever the server says next: that the caller has gone."""
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replay


def _with_security_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return guarded


def _headers(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
