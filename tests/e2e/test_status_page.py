"""The status page as a browser without scripts gets it, and what the script fetches."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.e2e.gatewaykit import Aboard, aboard

from steward.domain.access import Refusal
from steward.domain.charges import ChargeRefusal, CorrectionRefusal
from steward.services.board import SUCCESSES, TapRecord
from steward.web import words

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Tags, attributes and texts of a page; fails on tags that are not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.sections: dict[str, list[str]] = {}
        self._live = ""
        self.feed(html)
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if "data-live" in dict(attrs):
            self._live = str(dict(attrs)["data-live"])
            self.sections[self._live] = []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "section":
            self._live = ""

    def handle_data(self, data: str) -> None:
        if self._live and data.strip():
            self.sections[self._live].append(" ".join(data.split()))

    def text(self, section: str) -> str:
        return " ".join(self.sections[section])

    def find(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[Aboard]:
    async with aboard(tmp_path) as running:
        yield running


def busy_morning(ship: Aboard) -> None:
    board = ship.gateway.parts.services.board
    at_s = ship.gateway.parts.services.clock.now().unix_s
    for place, purpose, code in (
        ("gangway", "door", "granted"),
        ("gangway", "door", "granted"),
        ("cabin-5012", "door", "wrong_cabin"),
        ("bar-1", "till", "posted"),
        ("bar-1", "till", "verification_required"),
    ):
        board.record(TapRecord(at_s, place, purpose, place, code, 30.0, 4.0, 6.0, 5, 200, 400))
    board.alert("forged_token")


async def test_an_idle_gateway_says_so_in_words(ship: Aboard) -> None:
    answer = await ship.client.get("/")
    page = Page(answer.text)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert page.text("recent") == "Last taps No taps yet: hold a band to a reader."
    assert page.text("refusals") == "Refusals None so far."
    assert page.text("alerts") == "Alerts None."
    assert "All well." in answer.text


async def test_figures_refusals_alerts_and_readers_are_shown(ship: Aboard) -> None:
    busy_morning(ship)
    page = Page((await ship.client.get("/")).text)
    assert page.text("figures") == "Taps 5 Doors opened 2 Charges posted 1 Refused 1"
    assert page.text("alerts").startswith("Alerts A forged key was shown.")
    assert "40 ms half of all taps are faster" in page.text("speed")
    assert "with the band 30.0 30.0 deciding 4.0 4.0 writing it down 6.0 6.0" in page.text("speed")
    assert "door 5 600" in page.text("speed")
    assert "Not this guest's cabin. wrong_cabin Look at the number on the door. 1" in page.text("refusals")
    recent = page.text("recent")
    assert recent.index("Above the limit without a check.") < recent.index("Charged.") < recent.index("Open.")
    port = ship.gateway.parts.readers[1].port  # type: ignore[union-attr]
    assert f"gangway zone gangway port {port} ready" in page.text("readers")
    assert "desk encoder" in page.text("readers")


async def test_the_split_bar_fills_its_width(ship: Aboard) -> None:
    busy_morning(ship)
    bars = Page((await ship.client.get("/live")).text).find("rect")
    assert [(bar["class"], bar["x"], bar["width"]) for bar in bars] == [
        ("exchange", "0", "750"),
        ("compute", "750", "100"),
        ("commit", "850", "150"),
    ]


async def test_the_fragment_is_the_changing_part_of_the_page(ship: Aboard) -> None:
    busy_morning(ship)
    live = (await ship.client.get("/live")).text
    page = (await ship.client.get("/")).text
    shown = re.compile(r"<time>.*?</time>")
    assert shown.sub("", live).strip() in shown.sub("", page)
    assert set(Page(live).sections) == set(Page(page).sections)


async def test_a_reader_that_fails_is_told(ship: Aboard) -> None:
    services = ship.gateway.parts.services
    await ship.gateway.parts.supervisor.stop(5)
    page = Page((await ship.client.get("/")).text)
    assert page.text("readers").count("stopped") == len(services.readers())
    assert "5 readers not working." in (await ship.client.get("/")).text


async def test_everything_on_the_page_comes_from_the_gateway_itself(ship: Aboard) -> None:
    answer = await ship.client.get("/")
    page = Page(answer.text)
    addresses = [attrs.get(name) for _, attrs in page.tags for name in ("src", "href") if attrs.get(name)]
    assert set(addresses) == {
        "/static/steward.css",
        "/static/steward.js",
        "/static/steward.svg",
        "/openapi.json",
        "#main",
    }
    for address in addresses:
        assert (await ship.client.get(str(address))).status_code == 200
    for name in ("steward.css", "steward.js", "steward.svg"):
        text = (await ship.client.get(f"/static/{name}")).text
        assert set(re.findall(r"(?:https?:)?//[a-z][\w.-]*", text)) <= {"http://www.w3.org"}, name
        assert "@import" not in text
        assert "eval(" not in text


async def test_nothing_on_the_page_is_inline(ship: Aboard) -> None:
    busy_morning(ship)
    html = (await ship.client.get("/")).text
    page = Page(html)
    assert not [attrs for _, attrs in page.tags if "style" in attrs]
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert [attrs["src"] for attrs in page.find("script")] == ["/static/steward.js"]
    assert page.find("style") == []
    policy = (await ship.client.get("/")).headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy


async def test_the_page_can_be_read_aloud(ship: Aboard) -> None:
    busy_morning(ship)
    html = (await ship.client.get("/")).text
    page = Page(html)
    assert page.find("html")[0]["lang"] == "en"
    assert all(attrs.get("scope") in ("col", "row") for attrs in page.find("th"))
    assert len(page.find("caption")) == len(page.find("table"))
    assert all("alt" in attrs for attrs in page.find("img"))
    assert [attrs["aria-live"] for _, attrs in page.tags if "aria-live" in attrs] == ["polite"]
    named = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    for _, attrs in page.tags:
        assert attrs.get("aria-labelledby", next(iter(named))) in named
    assert ("meta", {"http-equiv": "refresh", "content": "5"}) in page.tags  # without scripts


async def test_a_name_from_the_settings_cannot_become_a_tag(ship: Aboard) -> None:
    board = ship.gateway.parts.services.board
    board.record(TapRecord(0, "r", "door", "<script>alert(1)</script>", "<b>", 1, 1, 1, 1, 1, 1))
    html = (await ship.client.get("/")).text
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "<b>" not in html


def test_every_code_has_words_of_its_own() -> None:
    codes = {*map(str, Refusal), *map(str, ChargeRefusal), *map(str, CorrectionRefusal), *SUCCESSES}
    said = {code: words.plain(code) for code in codes}
    for code, text in said.items():
        assert text.said.endswith("."), code
        assert text.said != words.Words(code.replace("_", " ").capitalize() + ".").said, code
    assert len({text.said for text in said.values()}) == len(said)
    assert words.plain("never_seen").said == "Never seen."
    assert words.alert("clock_lost").todo


async def test_health_needs_no_token_and_tells_of_a_dead_store(ship: Aboard) -> None:
    assert (await ship.client.get("/healthz")).json() == {"status": "ok", "gateway": "gw1"}
    await ship.gateway.parts.store.close()
    answer = await ship.client.get("/healthz")
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert str(ship.folder) not in answer.text
