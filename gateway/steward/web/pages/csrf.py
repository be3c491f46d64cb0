"""Forms only from our own pages: a token bound to the session, and what the browser says of where a form came from.

The token is an HMAC keyed with the session's own secret (before the PIN: the visit's), which the page's scripts and
other sites cannot read. It needs no store, lives as long as its session, and is worth nothing in any other.
"""

from __future__ import annotations

import hashlib
import hmac

from starlette.requests import Request

FIELD = "csrf"
_LABEL = b"steward form token 1"


def form_token(secret: str) -> str:
    """64 hex digits."""
    return hmac.new(secret.encode(), _LABEL, hashlib.sha256).hexdigest()


def token_fits(sent: str, secret: str) -> bool:
    return hmac.compare_digest(sent.encode(), form_token(secret).encode())


def from_own_page(request: Request) -> bool:
    """Whether a form was sent by a page of this very origin. A request that does not say is not believed."""
    site, origin = request.headers.getlist("sec-fetch-site"), request.headers.getlist("origin")
    if len(site) > 1 or len(origin) > 1 or not (site or origin):
        return False
    own = f"{request.scope['scheme']}://{request.headers['host']}"
    return (not site or site[0] == "same-origin") and (not origin or origin[0] == own)


def read_by_own_page(request: Request) -> bool:
    """Whether a reading request was typed in, or made by our own page. Browsers too old to say are believed:
    their cookies are SameSite=Strict.
    """
    site = request.headers.getlist("sec-fetch-site")
    return not site or site in (["same-origin"], ["none"])
