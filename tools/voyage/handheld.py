"""A crew member's handheld: the gateway's pages as a browser without scripts gets them, and taps as they come.

It counts the look-ups it makes, answer by answer, so that the gateway's log can be held against it.
"""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import httpx

from voyage.cast import Duty
from voyage.client import Refused, Unreachable

ANSWER_LIMIT_S = 40.0  # longer than the gateway keeps a waiting login
STATION_LIMIT_S = 90.0  # another handheld that waits there gives up within a minute
TAP_LIMIT_S = 15.0
LOG_PAGES_MAX = 400
HOME = "/crew"
_AGAIN_S = 1.0
_CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')
_OFFER = re.compile(r"/crew/offers/([0-9a-f]{32})")
_EARLIER = 'class="earlier"'  # what was answered before, shown below what is suggested
_THING = re.compile(r'<p class="thing">([^<]+) <span')
_WHY = re.compile(r'<ul class="why"><li>([^<]+)</li>')
_CASE = re.compile(r"/crew/cases/([0-9a-f]+)/close")
_HIT = re.compile(r"/crew/guests/([0-9a-f]{16})")
_APPROVAL = re.compile(r"/approvals/([0-9a-f]{32})")
_ROW = re.compile(r'<tr class="(glass)?">')
_OLDER = re.compile(r'href="[^"]*\bbefore=([0-9]+)"')

InField = Callable[[], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Card:
    """A guest's card as it was shown. offer: empty if nothing was suggested. why: the first reason that is given."""

    text: str
    offer: str = ""
    title: str = ""
    why: str = ""
    case: str = ""


class Handheld:
    """One browser. Its pages are asked for one after the other; taps are heard meanwhile."""

    def __init__(self, base_url: str, duty: Duty) -> None:
        timeout = httpx.Timeout(ANSWER_LIMIT_S)
        self._http = httpx.AsyncClient(base_url=base_url, timeout=timeout, trust_env=False)
        self._from_here = {"Origin": base_url, "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
        self.duty = duty
        self._csrf = ""
        self._listening: asyncio.Task[None] | None = None
        self._expected: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self._connected = asyncio.Event()
        self.lock = asyncio.Lock()  # one thing at a time, as a person does
        self.ready = asyncio.Event()  # signing in has ended, well or not
        self.signed_in = False
        self.looks = 0  # look-ups made so far
        self.taps = 0  # heard so far

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait((self._listening,))
        await self._http.aclose()

    # signing in

    async def sign_in(self, in_field: InField) -> None:
        """in_field: holds this crew member's band to the station. Raises Refused, Unreachable, TimeoutError."""
        try:
            await self._sign_in(in_field)
            self.signed_in = True
        finally:
            self.ready.set()

    async def _sign_in(self, in_field: InField) -> None:
        async with asyncio.timeout(STATION_LIMIT_S):
            while True:
                await self._get("/crew/login")
                began = await self._post("/crew/login", station=self.duty.station)
                if began.status_code == 303:
                    break
                await asyncio.sleep(_AGAIN_S)  # somebody else waits at this station
        await self._until("waiting")  # for its turn, if somebody else waits at this station
        async with in_field():
            await self._until("tapped")
        await self._get("/crew/login/pin")
        await self._done(await self._post("/crew/login/pin", pin=self.duty.pin))
        await self._done(await self._post("/crew/shift", shift=self.duty.shift))
        if self.duty.sells:
            self._listening = asyncio.create_task(self._listen())
            async with asyncio.timeout(TAP_LIMIT_S):
                await self._connected.wait()

    async def _until(self, wanted: str) -> None:
        async with asyncio.timeout(STATION_LIMIT_S):
            state = ""
            while True:
                answer = await self._ask("GET", f"/crew/login/wait?seen={state or 'queued'}")
                state = answer.json()["state"]
                if state == wanted:
                    return
                if state == "expired":
                    raise Refused(409, "login_over", "the login ended before the band was read")

    # taps

    def expect(self, ref: str) -> asyncio.Future[None]:
        """Done when this guest's tap has been heard."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._expected[ref].append(future)
        return future

    async def _listen(self) -> None:
        """The live page's stream; it comes back by itself, as a browser's does."""
        while True:
            try:
                headers = {"Accept": "text/event-stream", "Sec-Fetch-Site": "same-origin"}
                timeout = httpx.Timeout(ANSWER_LIMIT_S)
                async with self._http.stream("GET", "/crew/live/events", headers=headers, timeout=timeout) as answer:
                    kind = ""
                    async for line in answer.aiter_lines():
                        kind = self._heard(kind, line)
            except httpx.HTTPError:
                pass
            await asyncio.sleep(_AGAIN_S)

    def _heard(self, kind: str, line: str) -> str:
        """One line of the stream; which event it belongs to."""
        name, _, value = line.partition(": ")
        if name == "event":
            self._connected.set()
            return value
        if name == "data" and kind == "tap":
            self.taps += 1
            for future in self._expected.pop(json.loads(value)["ref"], []):
                if not future.done():
                    future.set_result(None)
        return kind

    # one guest

    async def card(self, ref: str, *, offering: bool) -> Card:
        """offering: nothing stops a suggestion for this guest, so asking for one is a look-up of its own."""
        return self._card(await self._page(f"/crew/guests/{ref}"), offering)

    async def photo(self, ref: str) -> bytes:
        answer = await self._ask("GET", f"/crew/guests/{ref}/photo")
        self._check(answer)
        self.looks += 1
        return answer.content

    async def answer(self, offer: str, says: str) -> Card:
        """The card that follows makes no suggestion."""
        answer = await self._post(f"/crew/offers/{offer}", answer=says)
        return self._card(await self._done(answer), False)

    async def add_note(self, ref: str, text: str, *, offering: bool) -> Card:
        answer = await self._post(f"/crew/guests/{ref}/notes", text=text, lasts="shift")
        return self._card(await self._done(answer), offering)

    async def open_case(self, ref: str, what: str) -> Card:
        answer = await self._post(f"/crew/guests/{ref}/cases", what=what)
        return self._card(await self._done(answer), False)

    async def close_case(self, case: str, outcome: str, *, offering: bool) -> Card:
        answer = await self._post(f"/crew/cases/{case}/close", outcome=outcome)
        return self._card(await self._done(answer), offering)

    async def break_glass(self, ref: str, reason: str) -> Card:
        answer = await self._post(f"/crew/guests/{ref}/glass", reason=reason)
        return self._card(self._check(answer), False)

    def _card(self, text: str, offering: bool) -> Card:
        self.looks += 1 + (offering and self.duty.sells) + (_EARLIER in text)
        thing, why, case = _THING.search(text), _WHY.search(text), _CASE.search(text)
        offer = _OFFER.search(text) if thing else None
        return Card(
            html.unescape(text),
            offer[1] if offer else "",
            html.unescape(thing[1]).strip() if thing else "",
            html.unescape(why[1]).strip() if why else "",
            case[1] if case else "",
        )

    # more than one

    async def find(self, query: str) -> set[str]:
        """References of those who are found, each of them looked at."""
        answer = await self._post("/crew/search", query=query)
        hits = set(_HIT.findall(await self._done(answer)))
        self.looks += len(hits)
        return hits

    async def approve_all(self) -> int:
        """Look at every question that waits for a second person, and agree; how many."""
        pending = list(dict.fromkeys(_APPROVAL.findall((await self._page("/approvals")).partition("<table")[0])))
        for approval in pending:
            await self._page(f"/approvals/{approval}")
            self.looks += 1
            await self._done(await self._post(f"/approvals/{approval}/approve"))
            self.looks += 1
        return len(pending)

    async def read_log(self) -> tuple[int, int]:
        """How many look-ups the privacy officer's page lists, and how many of them were emergencies."""
        rows: list[str] = []
        before = ""
        for _ in range(LOG_PAGES_MAX):
            text = await self._page(f"/privacy/log{before}")
            rows += _ROW.findall(text)
            older = _OLDER.search(text)
            if older is None:
                return len(rows), sum(bool(row) for row in rows)
            before = f"?before={older[1]}"
        raise TimeoutError(f"more than {LOG_PAGES_MAX} pages of look-ups")

    # the browser

    async def _get(self, path: str) -> httpx.Response:
        answer = await self._ask("GET", path)
        if found := _CSRF.search(answer.text):
            self._csrf = found[1]
        return answer

    async def _page(self, path: str) -> str:
        return self._check(await self._get(path))

    async def _post(self, path: str, **fields: str) -> httpx.Response:
        return await self._ask("POST", path, {"csrf": self._csrf, **fields})

    async def _done(self, answer: httpx.Response) -> str:
        """Where a form that was taken leads to."""
        if answer.status_code != 303:
            self._check(answer)
            raise Refused(answer.status_code, "form", f"{answer.request.url.path} did not take the form")
        return await self._page(answer.headers["location"])

    def _check(self, answer: httpx.Response) -> str:
        if answer.status_code == 303 and answer.request.url.path == HOME:
            return ""  # home is another page for each role; nobody needs it here
        if answer.status_code != 200:
            raise Refused(answer.status_code, "page", f"{answer.request.method} {_kind(answer.request.url.path)}")
        return answer.text

    async def _ask(self, method: str, path: str, data: dict[str, str] | None = None) -> httpx.Response:
        headers = self._from_here if method == "POST" else {"Accept": "text/html"}
        try:
            return await self._http.request(method, path, data=data, headers=headers)
        except httpx.HTTPError as error:
            raise Unreachable(f"{method} {_kind(path)}: {type(error).__name__}") from error


def _kind(path: str) -> str:
    """A path without whom it is about."""
    return re.sub(r"[0-9a-f]{16,}", "...", path.partition("?")[0])
