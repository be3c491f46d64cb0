"""What belongs to no page in particular: the files of the pages, and the viewer's language."""

from __future__ import annotations

import re

from starlette.responses import Response

from steward.web.pages import cookies
from steward.web.pages.base import PageCall, PageError, PageRoute
from steward.web.pages.call import Call
from steward.web.pages.language import LANGUAGES

_OWN_PATH = re.compile(r"/(?:[a-z0-9_-]+(?:/[a-z0-9_-]+)*)?")


class CommonPages:
    def routes(self) -> list[PageRoute]:
        return [PageRoute("POST", "/language", frozenset(), self.set_language, public=True)]

    async def set_language(self, call: PageCall) -> Response:
        return in_language(call, _OWN_PATH)


def in_language(call: Call, own_path: re.Pattern[str]) -> Response:
    """Back to where the viewer was, in the language chosen on a page. Raises PageError for a form that is not ours."""
    language, back = call.form.get("language", ""), call.form.get("back", "")
    if language not in LANGUAGES or not own_path.fullmatch(back):
        raise PageError(400, "form_unreadable")
    response = call.go(back)
    cookies.set_cookie(call.request, response, cookies.LANGUAGE, language)
    return response
