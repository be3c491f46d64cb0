"""What every request passes before any route sees it, in this order: host, token, body.

Host: only the names the settings give (without TLS, loopback's), so that a web page elsewhere cannot reach the gateway
through a rebound DNS name.
Token: anything under /v1 needs a valid one, whether the path exists or not. Body: read whole, within a size and a
time, so that no route ever waits for a slow sender.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from steward.web.bundle import Front
from steward.web.errors import Problem
from steward.web.roles import Principal, Role

BODY_BYTES_MAX = 16_384
BODY_WAIT_MAX_S = 10.0
API_PREFIX = "/v1"
PRINCIPAL = "steward.principal"  # in the scope: who called
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9.-]{1,253}))(?::[0-9]{1,5})?")
_LOCAL = frozenset({"", "localhost", "127.0.0.1", "::1"})
HSTS = "max-age=31536000"  # never for names of this machine: a browser would apply it to every port of them

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action {forms}; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": _POLICY.format(forms="'none'"),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# Pages have forms. A browser that may not tell its own page's origin would send them with "Origin: null".
PAGE_HEADERS = SECURITY_HEADERS | {
    "Content-Security-Policy": _POLICY.format(forms="'self'"),
    "Referrer-Policy": "same-origin",
}
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="steward"'}
VIEWERS = frozenset({Role.MONITOR, Role.PURSER})


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """What a caller of `role` may send to a path. Nobody else may send so much there."""

    method: str
    path: re.Pattern[str]
    role: Role
    bytes_max: int
    wait_max_s: float


_PLAIN = BodyLimit("", re.compile(""), Role.MONITOR, BODY_BYTES_MAX, BODY_WAIT_MAX_S)
LARGE_BODIES = (
    BodyLimit("POST", re.compile(r"/v1/manifest(/check)?"), Role.DESK, 14 * 1024 * 1024, 60.0),
    BodyLimit("POST", re.compile(r"/v1/blanks"), Role.DESK, 14 * 1024 * 1024, 60.0),
    BodyLimit("PUT", re.compile(r"/v1/photos/[0-9a-f]{64}"), Role.DESK, 512 * 1024, 30.0),
)
# A page's form with a file in it. The gate leaves its body alone: the page reads it, once it knows who sends it.
UPLOAD = replace(_PLAIN, method="POST", path=re.compile(r"/purser/stock"), bytes_max=10 * 1024 * 1024, wait_max_s=60.0)


class ClientGone(Exception):
    """The caller hung up in the middle of its own request."""


class Gate:
    """ASGI middleware. find: whose token this is, or None."""

    def __init__(self, app: ASGIApp, find: Callable[[str], Principal | None], front: Front) -> None:
        self._app = app
        self._find = find
        self._front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        host = _host(scope)
        rules = SECURITY_HEADERS if _is_api(scope["path"]) else PAGE_HEADERS
        guarded = _with_security_headers(send, rules, strict_transport=self._front.https and host not in _LOCAL)
        try:
            if host not in self._front.names:
                names = ", ".join(sorted(self._front.names))
                raise Problem(421, "host_not_allowed", f"this gateway answers to these names only: {names}")
            scope[PRINCIPAL] = principal = self._principal(scope)
            if _fits(UPLOAD, scope):
                await self._app(scope, receive, guarded)
                return
            body = await read_body(scope, receive, _limit(scope, principal))
        except Problem as problem:
            await problem.response()(scope, receive, guarded)
        except ClientGone:
            return
        else:
            await self._app(scope, replay(body, receive), guarded)

    def _principal(self, scope: Scope) -> Principal | None:
        """Who calls. Outside the API nobody is asked."""
        return bearer(scope, self._find) if _is_api(scope["path"]) else None


def bearer(scope: Scope, find: Callable[[str], Principal | None]) -> Principal:
    """Whose token the request carries. Raises Problem 401."""
    values = _headers(scope, b"authorization")
    if not values:
        raise Problem(401, "token_missing", "send Authorization: Bearer TOKEN", headers=_CHALLENGE)
    scheme, _, token = values[0].partition(" ")
    principal = find(token.strip()) if len(values) == 1 and scheme.lower() == "bearer" else None
    if principal is None:
        detail = "this token is not known here: make one with `steward tokens add`"
        raise Problem(401, "token_unknown", detail, headers=_CHALLENGE)
    return principal


def viewer(scope: Scope, find: Callable[[str], Principal | None], realm: str) -> Principal:
    """Who looks at figures with a browser: any name, and as the password a token of role monitor or purser.

    So a browser needs no session, and who is revoked is out at once. Raises Problem 401.
    """
    values = _headers(scope, b"authorization")
    scheme, _, encoded = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    try:
        text = base64.b64decode(encoded, validate=True).decode() if scheme.lower() == "basic" else ""
    except ValueError:
        text = ""
    principal = find(text.partition(":")[2])
    if principal is None or principal.role not in VIEWERS:
        detail = "give any name, and an API token of role monitor as the password"
        challenge = {"WWW-Authenticate": f'Basic realm="{realm}", charset="UTF-8"'}
        raise Problem(401, "token_missing", detail, headers=challenge)
    return principal


def _is_api(path: str) -> bool:
    return path == API_PREFIX or path.startswith(API_PREFIX + "/")


def _host(scope: Scope) -> str:
    """The name that the caller used, in small letters and without port; empty if it is none."""
    values = _headers(scope, b"host")
    found = _HOST.fullmatch(values[0]) if len(values) == 1 else None
    return (found[1] or found[2]).lower() if found else ""


def _limit(scope: Scope, principal: Principal | None) -> BodyLimit:
    for limit in LARGE_BODIES:
        if _fits(limit, scope) and principal is not None and principal.role is limit.role:
            return limit
    return _PLAIN


def _fits(limit: BodyLimit, scope: Scope) -> bool:
    return scope["method"] == limit.method and limit.path.fullmatch(scope["path"]) is not None


async def read_body(scope: Scope, receive: Receive, limit: BodyLimit) -> bytes:
    """Raises Problem 413 or 408, ClientGone."""
    declared = _headers(scope, b"content-length")
    if declared and (len(declared) > 1 or not declared[0].isdigit() or int(declared[0][:12]) > limit.bytes_max):
        raise _too_large(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(limit.wait_max_s):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise ClientGone
                body += message.get("body", b"")
                if len(body) > limit.bytes_max:
                    raise _too_large(limit)
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        detail = f"the body did not arrive within {limit.wait_max_s:g} s"
        raise Problem(408, "body_late", detail, headers={"Connection": "close"}) from None


def _too_large(limit: BodyLimit) -> Problem:
    detail = f"a body is at most {limit.bytes_max} bytes here"
    return Problem(413, "body_too_large", detail, headers={"Connection": "close"})


def replay(body: bytes, receive: Receive) -> Receive:
    """The body once, then whatever the server says next: that the caller has gone."""
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replay


def _with_security_headers(send: Send, rules: Mapping[str, str], *, strict_transport: bool) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in rules.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
            if strict_transport:
                headers["Strict-Transport-Security"] = HSTS
        await send(message)

    return guarded


def _headers(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
