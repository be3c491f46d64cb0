"""The demo's handheld: what it reads out of a page, and that it counts the look-ups it causes, no more and no fewer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from urllib.parse import parse_qs

import httpx
import pytest

from voyage.cast import PRIVACY, PURSER, SERVICE, Duty
from voyage.client import Refused, Unreachable
from voyage.handheld import Handheld

BASE = "http://127.0.0.1:1"
REF, OTHER = "00000000000000a1", "00000000000000a2"
OFFER, APPROVAL = "0123456789abcdef" * 2, "fedcba9876543210" * 2
TOKEN = "ab" * 32
CARD = f"""<h1>Fern</h1><p class="thing">Tea &amp; cake <span class="price">4.50 EUR</span></p>
<ul class="why"><li>Had twice &amp; liked</li><li>Popular</li></ul>
<form action="/crew/offers/{OFFER}"><input type="hidden" name="csrf" value="{TOKEN}"></form>
<form action="/crew/cases/77aa/close"></form>"""
Answers = Callable[[httpx.Request], httpx.Response]


class Pages:
    """A gateway that answers from a table and remembers what it was asked."""

    def __init__(self) -> None:
        self.table: dict[str, httpx.Response | Answers] = {}
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        found = self.table[f"{request.method} {request.url.raw_path.decode()}"]
        return found(request) if callable(found) else found

    def form(self, number: int) -> dict[str, list[str]]:
        return parse_qs(self.asked[number].content.decode())


@pytest.fixture
def pages() -> Pages:
    return Pages()


async def holding(pages: Pages, duty: Duty) -> Handheld:
    """A handheld whose wire ends in `pages`."""
    hand = Handheld(BASE, duty)
    await hand._http.aclose()
    hand._http = httpx.AsyncClient(base_url=BASE, transport=httpx.MockTransport(pages))
    return hand


@pytest.fixture
async def hand(pages: Pages) -> AsyncIterator[Handheld]:
    made = await holding(pages, SERVICE)
    yield made
    await made.close()


async def test_a_card_is_read_as_a_browser_shows_it(hand: Handheld, pages: Pages) -> None:
    pages.table[f"GET /crew/guests/{REF}"] = httpx.Response(200, text=CARD)
    card = await hand.card(REF, offering=True)
    assert (card.offer, card.title, card.case) == (OFFER, "Tea & cake", "77aa")
    assert card.why == "Had twice & liked"
    assert "Tea & cake" in card.text
    assert hand.looks == 2, "the guest, and what to suggest"
    await hand.card(REF, offering=False)
    assert hand.looks == 3


async def test_a_card_without_a_suggestion_has_none(hand: Handheld, pages: Pages) -> None:
    pages.table[f"GET /crew/guests/{REF}"] = httpx.Response(200, text="<h1>Fern</h1><p>/crew/offers/short</p>")
    card = await hand.card(REF, offering=False)
    assert (card.offer, card.title, card.case) == ("", "", "")


async def test_a_role_that_sells_nothing_asks_for_no_suggestion(pages: Pages) -> None:
    purser = await holding(pages, PURSER)
    pages.table[f"GET /crew/guests/{REF}"] = httpx.Response(200, text=CARD)
    await purser.card(REF, offering=True)
    assert purser.looks == 1
    await purser.close()


async def test_a_form_carries_the_token_of_the_last_page_and_says_where_it_comes_from(
    hand: Handheld, pages: Pages
) -> None:
    pages.table[f"GET /crew/guests/{REF}"] = httpx.Response(200, text=CARD)
    pages.table[f"POST /crew/offers/{OFFER}"] = httpx.Response(303, headers={"location": f"/crew/guests/{REF}"})
    await hand.card(REF, offering=True)
    await hand.answer(OFFER, "accepted")
    asked = pages.asked[1]
    assert pages.form(1) == {"csrf": [TOKEN], "answer": ["accepted"]}
    assert (asked.headers["origin"], asked.headers["sec-fetch-site"]) == (BASE, "same-origin")
    assert hand.looks == 3


async def test_a_form_that_is_not_taken_is_refused_in_words_without_the_guest(hand: Handheld, pages: Pages) -> None:
    path = f"/crew/guests/{REF}/notes"
    pages.table[f"POST {path}"] = httpx.Response(409)
    with pytest.raises(Refused, match=r"POST /crew/guests/\.\.\./notes"):
        await hand.add_note(REF, "hello", offering=False)
    pages.table[f"POST {path}"] = httpx.Response(200, text="shown again")
    with pytest.raises(Refused) as refused:
        await hand.add_note(REF, "hello", offering=False)
    assert refused.value.code == "form"
    assert hand.looks == 0


async def test_a_page_that_fails_counts_no_look(hand: Handheld, pages: Pages) -> None:
    pages.table[f"GET /crew/guests/{REF}"] = httpx.Response(503)
    with pytest.raises(Refused):
        await hand.card(REF, offering=True)

    def gone(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("gone")

    pages.table[f"GET /crew/guests/{REF}"] = gone
    with pytest.raises(Unreachable) as error:
        await hand.card(REF, offering=True)
    assert REF not in str(error.value)
    assert hand.looks == 0


async def test_each_guest_that_is_found_was_looked_at_once(hand: Handheld, pages: Pages) -> None:
    hits = f'<a href="/crew/guests/{REF}">a</a><img src="/crew/guests/{REF}/photo"><a href="/crew/guests/{OTHER}">b</a>'
    pages.table["POST /crew/search"] = httpx.Response(303, headers={"location": "/crew/search"})
    pages.table["GET /crew/search"] = httpx.Response(200, text=hits)
    assert await hand.find("Fern") == {REF, OTHER}
    assert hand.looks == 2


async def test_every_waiting_question_is_looked_at_and_approved(hand: Handheld, pages: Pages) -> None:
    listed = f'<a href="/approvals/{APPROVAL}">x</a><a href="/approvals/{APPROVAL}">x</a><table>/approvals/{"0" * 32}'
    pages.table["GET /approvals"] = httpx.Response(200, text=listed)
    pages.table[f"GET /approvals/{APPROVAL}"] = httpx.Response(200, text="")
    pages.table[f"POST /approvals/{APPROVAL}/approve"] = httpx.Response(303, headers={"location": "/approvals"})
    assert await hand.approve_all() == 1, "once each, and not those decided already"
    assert hand.looks == 2


async def test_the_log_is_read_page_by_page_to_its_end(pages: Pages) -> None:
    officer = await holding(pages, PRIVACY)
    row, glass = '<tr class="">', '<tr class="glass">'
    pages.table["GET /privacy/log"] = httpx.Response(200, text=f'{row}{glass}<a href="/privacy/log?before=40">x</a>')
    pages.table["GET /privacy/log?before=40"] = httpx.Response(200, text=row)
    assert await officer.read_log() == (3, 1)
    await officer.close()


async def test_a_log_without_end_is_given_up(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voyage.handheld.LOG_PAGES_MAX", 3)
    officer = await holding(pages, PRIVACY)
    pages.table["GET /privacy/log"] = httpx.Response(200, text='<a href="?before=1">x</a>')
    pages.table["GET /privacy/log?before=1"] = httpx.Response(200, text='<a href="?before=1">x</a>')
    with pytest.raises(TimeoutError, match="3 pages"):
        await officer.read_log()
    assert len(pages.asked) == 3
    await officer.close()


async def test_a_tap_that_is_heard_is_told_to_whoever_expects_it(hand: Handheld) -> None:
    mine, same, others = hand.expect(REF), hand.expect(REF), hand.expect(OTHER)
    kind = hand._heard("", "event: tap")
    assert hand._heard(kind, f'data: {{"ref": "{REF}"}}') == "tap"
    assert (mine.done(), same.done(), others.done(), hand.taps) == (True, True, False, 1)
    hand._heard(hand._heard(kind, "event: state"), f'data: {{"ref": "{OTHER}"}}')
    assert (others.done(), hand.taps) == (False, 1), "another kind of event is no tap"
    hand._heard("tap", f'data: {{"ref": "{REF}"}}')
    assert hand.taps == 2, "a tap nobody waits for is heard all the same"


async def test_the_stream_is_taken_up_again_when_it_ends(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voyage.handheld._AGAIN_S", 0.0)
    hand = await holding(pages, SERVICE)
    expected = hand.expect(OTHER)
    refs = iter((REF, OTHER))

    def stream(_request: httpx.Request) -> httpx.Response:
        ref = next(refs, None)
        return (
            httpx.Response(503)
            if ref is None
            else httpx.Response(200, text=f'event: tap\ndata: {{"ref": "{ref}"}}\n\n')
        )

    pages.table["GET /crew/live/events"] = stream
    hand._listening = asyncio.create_task(hand._listen())
    async with asyncio.timeout(20):
        await expected
    assert hand.taps == 2
    await hand.close()
