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
from steward.domain.condition import BandCondition
from steward.domain.ids import Uid
from steward.ports import Tx
from steward.services.board import SUCCESSES, TapRecord
from steward.web import words
from steward.web.facts import LISTED_MAX
from steward.web.pages.language import LANGUAGES, Catalogue

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
    shown = re.compile(r'<time>.*?</time>|<section data-live="machine".*?</section>', re.DOTALL)  # what moves by itself
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
    assert {re.sub(r"\?v=[0-9a-f]{12}$", "", str(address)) for address in addresses} == {
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


async def test_the_page_speaks_the_viewers_language(ship: Aboard) -> None:
    busy_morning(ship)
    asked = {"Accept-Language": "nb-NO,nb;q=0.9,en;q=0.5"}
    page = Page((await ship.client.get("/", headers=asked)).text)
    assert page.find("html")[0]["lang"] == "nb"
    assert page.text("figures") == "Tall Lesinger 5 Åpnede dører 2 Belastede kjøp 1 Avvist 1".removeprefix("Tall ")
    assert "Ikke denne gjestens lugar. wrong_cabin Se på nummeret på døren. 1" in page.text("refusals")
    assert page.text("alerts").startswith("Varsler En forfalsket nøkkel ble vist.")
    assert "gangway sone gangway port" in page.text("readers")
    assert "desk koder" in page.text("readers")
    live = Page((await ship.client.get("/live", headers=asked)).text)
    assert live.text("speed") == page.text("speed")
    assert "30,0" in page.text("speed")


async def test_the_viewer_can_choose_the_language(ship: Aboard) -> None:
    page = Page((await ship.client.get("/")).text)
    token = next(str(attrs["value"]) for attrs in page.find("input") if attrs["name"] == "csrf")
    form = {"csrf": token, "language": "nb", "back": "/"}
    own = {"Origin": str(ship.client.base_url).rstrip("/")}
    answer = await ship.client.post("/language", data=form, headers=own)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert Page((await ship.client.get("/")).text).find("html")[0]["lang"] == "nb"
    assert "set-cookie" not in (await ship.client.get("/live")).headers, "whoever polls is given nothing to keep"
    assert "Lesere" in (await ship.client.get("/live")).text


async def told(ship: Aboard, *conditions: BandCondition) -> None:
    def work(tx: Tx) -> None:
        for each in conditions:
            tx.put_condition(each)

    await ship.gateway.parts.services.store.write(work)


async def test_batteries_and_bands_long_unseen_are_listed(ship: Aboard) -> None:
    now_s = ship.gateway.parts.services.clock.now().unix_s
    await told(
        ship,
        BandCondition(Uid("04AAAAAA000001"), True, 95, False, now_s - 60),
        BandCondition(Uid("04AAAAAA000002"), True, 7, True, now_s - 7200),
        BandCondition(Uid("04AAAAAA000003"), True, None, False, now_s - 60),
        BandCondition(Uid("04AAAAAA000004"), False, None, False, now_s - 3 * 86_400),
    )
    html = (await ship.client.get("/")).text
    shown = Page(html).text("bands")
    bars = "below 20 % 1 20 to 39 % 0 40 to 59 % 0 60 to 79 % 0 80 to 100 % 1 not known 1 passive, has none 1"
    assert bars in shown
    assert "Charge these: below 20 % Band Battery Last tap here …000002 7 % charging 2 h ago" in shown
    assert "1 band not seen here for 48 hours Band Battery Last tap here …000004 – 3 d ago" in shown
    assert "at this gateway’s own readers" in shown
    assert "04AAAAAA" not in html, "short ids only"


async def test_a_long_list_is_cut_and_says_so(ship: Aboard) -> None:
    now_s = ship.gateway.parts.services.clock.now().unix_s
    await told(ship, *(BandCondition(Uid(f"04{n:012X}"), True, n % 20, False, now_s) for n in range(45)))
    page = Page((await ship.client.get("/")).text)
    assert page.text("bands").count("…0000") == LISTED_MAX
    assert f"The first {LISTED_MAX} are shown." in page.text("bands")


async def test_the_page_is_shown_when_the_store_does_not_answer(ship: Aboard) -> None:
    await ship.gateway.parts.store.close()
    ship.client.cookies.set("steward_crew", "x" * 43, domain="127.0.0.1")
    answer = await ship.client.get("/")
    assert answer.status_code == 200
    assert "The store does not answer: these counts are old." in Page(answer.text).text("bands")


async def test_nothing_on_the_page_is_inline(ship: Aboard) -> None:
    busy_morning(ship)
    html = (await ship.client.get("/")).text
    page = Page(html)
    assert not [attrs for _, attrs in page.tags if "style" in attrs]
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert [str(attrs["src"]).partition("?")[0] for attrs in page.find("script")] == ["/static/steward.js"]
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
    for language in LANGUAGES:
        said = {code: words.plain(code, Catalogue().translator(language, "")) for code in codes}
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
