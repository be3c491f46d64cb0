"""A guest's own phone: reads the band as any phone does, follows its link, and uses the pages without scripts."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from urllib.parse import urlsplit

import httpx

from bandwire import apdu, ndef
from steward.adapters.linkreader import LinkReader
from voyage.client import Refused, Unreachable
from voyage.wrists import VirtualBand

READ_LIMIT_S = 10.0
ANSWER_LIMIT_S = 20.0
_NDEF_FILE, _CHUNK = 0xE104, 128
_CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


async def read_link(band: VirtualBand) -> str:
    """What a phone held to the band opens. Raises BandProcessError, ReaderFault, CardRemoved."""
    reader = LinkReader("phone", 0)
    await reader.start()
    try:
        await band.enter(reader.port)
        card = await reader.connect()
        try:
            for command in (apdu.select_df(), apdu.select_ef(_NDEF_FILE)):
                await _asked(card.exchange(command))
            parts = [
                await _asked(card.exchange(apdu.read_binary(at, _CHUNK)))
                for at in range(0, ndef.NDEF_FILE_SIZE, _CHUNK)
            ]
            return ndef.read_url(b"".join(parts))
        finally:
            await reader.disconnect(card)
            await band.leave()
    finally:
        await reader.close()


async def _asked(answer: Awaitable[bytes]) -> bytes:
    data, status = apdu.split(await answer)
    if status != apdu.ISO_OK:
        raise Refused(status, "band", apdu.describe(status))
    return data


class Phone:
    """One browser. Its cookies are its own."""

    def __init__(self, base_url: str) -> None:
        self._http = httpx.AsyncClient(base_url=base_url, timeout=httpx.Timeout(ANSWER_LIMIT_S), trust_env=False)
        self._from_here = {"Origin": base_url, "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}

    async def close(self) -> None:
        await self._http.aclose()

    async def open_link(self, link: str) -> bool:
        """Follow what the band showed; whether the guest is signed in afterwards. The demo's ship has no DNS name."""
        parts = urlsplit(link)
        answer = await self._ask("GET", f"{parts.path}?{parts.query}", {"Accept": "text/html"})
        return answer.status_code == 303

    async def page(self, path: str) -> str:
        """Raises Refused if it is not shown."""
        return (await self.file(path)).decode()

    async def file(self, path: str) -> bytes:
        answer = await self._ask("GET", path, self._from_here)
        if answer.status_code != 200:
            raise Refused(answer.status_code, "page", path)
        return answer.content

    async def send(self, page: str, path: str, **fields: str) -> httpx.Response:
        """Fill in a form of that page. Raises Refused."""
        found = _CSRF.search(await self.page(page))
        if found is None:
            raise Refused(200, "no_form", page)
        answer = await self._ask("POST", path, self._from_here, {"csrf": found[1], **fields})
        if answer.status_code not in (200, 303):
            raise Refused(answer.status_code, "form", path)
        return answer

    async def _ask(
        self, method: str, path: str, headers: dict[str, str], form: dict[str, str] | None = None
    ) -> httpx.Response:
        try:
            return await self._http.request(method, path, headers=headers, data=form)
        except httpx.HTTPError as error:
            raise Unreachable(f"{method} {path.partition('?')[0]}: {type(error).__name__}") from error
