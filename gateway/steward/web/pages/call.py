"""One request for a page, whoever asks: what was asked, in which language, and the secret that forms are bound to."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from steward.web.bundle import Services
from steward.web.pages import cookies
from steward.web.pages.language import Translator

_SECRET_BYTES = 32
_DAY_S = 86_400


class Call(ABC):
    """What the calls of crew (base.PageCall) and of guests (guestbase.GuestCall) have in common."""

    def __init__(self, services: Services, request: Request, t: Translator) -> None:
        self._new_visit: str | None = None
        self.services = services
        self.request = request
        self.form: Mapping[str, str] = {}
        self.path: Mapping[str, str] = request.path_params
        self.t = t

    @property
    @abstractmethod
    def bound_secret(self) -> str | None:
        """What this browser's forms are bound to: its session, or before there is one its visit."""

    @abstractmethod
    def _render(self, template: str, facts: Mapping[str, Any]) -> str:
        """The template, with these facts and those that all pages share."""

    @property
    def secret(self) -> str:
        """What forms are bound to, made if there is none."""
        bound = self.bound_secret
        if bound is None:
            bound = self._new_visit = self._new_visit or new_secret()
        return bound

    def now_s(self) -> int:
        return self.services.clock.now().unix_s

    def time(self, unix_s: int) -> str:
        """Ship's time: of day if it is near, else with the date."""
        offset_min, now_s = self.services.identity.utc_offset_min, self.now_s()
        near = abs(now_s - unix_s) < _DAY_S // 2
        return (self.t.time if near else self.t.day_time)(unix_s, offset_min)

    def page(self, template: str, status: int = 200, **facts: Any) -> Response:
        """A whole page, or a part of one for a script."""
        return self._keep_visit(HTMLResponse(self._render(template, facts), status))

    def go(self, path: str) -> Response:
        """On to another page of ours."""
        assert path.startswith("/")
        assert not path.startswith("//")
        return self._keep_visit(RedirectResponse(path, 303))

    def _keep_visit(self, response: Response) -> Response:
        if self._new_visit is not None:
            cookies.set_cookie(self.request, response, cookies.VISIT, self._new_visit)
        return response


def new_secret() -> str:
    """For a browser that has none yet."""
    return secrets.token_urlsafe(_SECRET_BYTES)
