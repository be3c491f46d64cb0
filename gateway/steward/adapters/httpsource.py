"""Parts of a file over HTTPS: one range a request, so that whatever breaks costs one part."""

from __future__ import annotations

import asyncio
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from steward.ports.fetching import Part, Source, SourceFailed

TIMEOUT_S = 30.0  # without a byte
PART_LIMIT_S = 300.0
HEADERS_BYTES = 1024  # of a question and its answer, about
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")


class HttpSource:
    def __init__(self, ca: Path | None = None) -> None:
        """ca: trusted beside the system's own. Raises OSError."""
        context = ssl.create_default_context()
        if ca is not None:
            context.load_verify_locations(cafile=ca)
        self._context = context
        self._http: httpx.AsyncClient | None = None  # kept from part to part: its connection too

    async def fetch(self, url: str, offset: int, limit: int, size: int) -> Part:
        asked = {"Range": f"bytes={offset}-{min(offset + limit, size) - 1}", "Accept-Encoding": "identity"}
        if self._http is None:
            # No redirects: shore signed this address and no other.
            self._http = httpx.AsyncClient(
                verify=self._context, timeout=TIMEOUT_S, trust_env=False, follow_redirects=False
            )
        try:
            async with asyncio.timeout(PART_LIMIT_S), self._http.stream("GET", url, headers=asked) as answer:
                begins = _begins(answer, offset, limit, size)
                return await _read(answer, begins, limit)
        except httpx.HTTPError as error:
            raise SourceFailed(f"nothing came: {type(error).__name__}") from None
        except TimeoutError:
            raise SourceFailed(f"a part took more than {PART_LIMIT_S:g} s") from None

    async def close(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()


def _begins(answer: httpx.Response, offset: int, limit: int, size: int) -> int:
    """Where in the file the answer's body begins. Raises SourceFailed."""
    if answer.status_code == httpx.codes.OK and offset == 0 and size <= limit:
        return 0
    if answer.status_code == httpx.codes.OK:
        raise SourceFailed("the source gives no parts of a file: it must answer ranges")
    if answer.status_code != httpx.codes.PARTIAL_CONTENT:
        raise SourceFailed(f"the source answers {answer.status_code}: see whether the release's address is right")
    found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
    if found is None or int(found[1]) != offset or int(found[3]) != size:
        raise SourceFailed("the source gives another part, or a file of another size, than was asked for")
    return offset


async def _read(answer: httpx.Response, begins: int, limit: int) -> Part:
    """What comes of the body, up to `limit`. A line that breaks in the middle has brought what it has brought."""
    data = bytearray()
    try:
        async for piece in answer.aiter_raw():
            data += piece[: limit - len(data)]
            if len(data) >= limit:
                break
    except httpx.HTTPError:
        if not data:
            raise
    return Part(begins, bytes(data), len(data) + HEADERS_BYTES)


if TYPE_CHECKING:

    def _is_a_source(source: HttpSource) -> Source:
        return source
