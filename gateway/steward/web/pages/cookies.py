"""The pages' cookies: HttpOnly, SameSite=Strict, for this host; over TLS also Secure and with the __Host- prefix.
A guest's is SameSite=Lax, and so is the language of a page: guestbase.py says why.

The prefix makes the browser itself refuse a cookie that another host or an unencrypted page has planted.
"""

from __future__ import annotations

import re
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

SESSION = "steward_crew"  # the secret of a session after its PIN
VISIT = "steward_visit"  # a secret of the browser before that: what its forms and its login are bound to
LOGIN = "steward_login"  # which login this browser has begun
LANGUAGE = "steward_lang"  # what the viewer chose on a page
SPOKEN = "steward_spoken"  # what the guest's profile says, if nothing was chosen
GUEST = "steward_guest"  # the secret of a guest's phone that is signed in
_HOST_PREFIX = "__Host-"
_VALUE = re.compile(r"[A-Za-z0-9_-]{1,128}")
_LANGUAGE_AGE_S = 400 * 86_400
_LAX = frozenset({GUEST, LANGUAGE, SPOKEN})


def read_cookie(request: Request, name: str) -> str | None:
    """Its value. None if it is missing, misshapen or sent twice: then one of the two is not ours."""
    wanted = cookie_name(request, name)
    values = []
    for header in request.headers.getlist("cookie"):
        for part in header.split(";"):
            key, _, value = part.strip().partition("=")
            if key == wanted:
                values.append(value)
    return values[0] if len(values) == 1 and _VALUE.fullmatch(values[0]) else None


def set_cookie(request: Request, response: Response, name: str, value: str) -> None:
    """For as long as the browser runs; a chosen language for as long as browsers allow."""
    assert _VALUE.fullmatch(value)
    response.set_cookie(
        cookie_name(request, name),
        value,
        max_age=_LANGUAGE_AGE_S if name == LANGUAGE else None,
        path="/",
        secure=is_secure(request),
        httponly=True,
        samesite=_same_site(name),
    )


def clear_cookie(request: Request, response: Response, name: str) -> None:
    response.delete_cookie(
        cookie_name(request, name), path="/", secure=is_secure(request), httponly=True, samesite=_same_site(name)
    )


def _same_site(name: str) -> Literal["lax", "strict"]:
    return "lax" if name in _LAX else "strict"


def cookie_name(request: Request, name: str) -> str:
    return _HOST_PREFIX + name if is_secure(request) else name


def is_secure(request: Request) -> bool:
    """Whether this gateway itself took the request over TLS."""
    return bool(request.scope["scheme"] == "https")
