"""The pages under hostile hands: other sites, other sessions, planted cookies, odd paths, odd forms, odd names."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from html.parser import HTMLParser

import pytest
from markupsafe import escape
from tests.consentkit import agree
from tests.pages.pagekit import DESK, PIN, STATION, Browser, PageShip

from steward.domain.profiles import Profile
from steward.domain.viewing import CrewRole
from steward.ports import Tx
from steward.services.crew import session_id
from steward.web.gate import BODY_BYTES_MAX
from steward.web.pages import csrf

EVIL = "https://evil.example"
SHOUT = "<script>alert(1)</script>"


async def at_work(ship: PageShip, browser: Browser, role: CrewRole = CrewRole.SERVICE) -> None:
    shift = {CrewRole.SERVICE: "lagoon food_and_drink", CrewRole.GUEST_SERVICES: "reception guest_services"}[role]
    answer = await ship.sign_in(browser, await ship.crew(role), shift=shift)
    assert answer.headers["location"] == "/crew"
    await browser.get("/crew/shift")


async def is_out(browser: Browser) -> bool:
    return (await browser.get("/crew/live")).headers.get("location") == "/crew/login"


async def notes_of(ship: PageShip, ref: str) -> int:
    return await ship.services.store.read(lambda tx: tx.note_count(ref))  # type: ignore[arg-type]


# forms from elsewhere


async def test_another_sites_form_changes_nothing_even_with_the_token(ship: PageShip, browser: Browser) -> None:
    guest = await ship.guest()
    await at_work(ship, browser)
    form = {"csrf": browser.csrf, "text": "planted", "lasts": "days"}
    foreign: tuple[dict[str, str], ...] = (
        {},
        {"Origin": "null"},
        {"Origin": EVIL},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": EVIL, "Sec-Fetch-Site": "same-origin"},
        {"Referer": browser.origin},
    )
    for headers in foreign:
        answer = await browser.raw(f"/crew/guests/{guest}/notes", form, headers)
        assert answer.status_code == 403, headers
        assert "This form did not come from here" in answer.text
    assert await notes_of(ship, guest) == 0


async def test_a_form_needs_the_token_of_its_own_session(ship: PageShip, browser: Browser) -> None:
    guest = await ship.guest()
    await at_work(ship, browser)
    own = {"Origin": browser.origin}
    async with ship.browser() as other, ship.browser() as stranger:
        await at_work(ship, other, CrewRole.GUEST_SERVICES)
        await stranger.get("/crew/login")
        visit = browser.client.cookies.get("steward_visit", "")
        wrong = ("", "0" * 64, other.csrf, stranger.csrf, csrf.form_token(visit), browser.csrf.upper(), "å" * 32)
        for token in wrong:
            form = {"csrf": token, "text": "planted", "lasts": "days"}
            assert (await browser.raw(f"/crew/guests/{guest}/notes", form, own)).status_code == 403, token
        missing = await browser.raw(f"/crew/guests/{guest}/notes", {"text": "planted", "lasts": "days"}, own)
        in_address = await browser.raw(
            f"/crew/guests/{guest}/notes?csrf={browser.csrf}", {"text": "planted", "lasts": "days"}, own
        )
        assert (missing.status_code, in_address.status_code) == (403, 403)
    assert await notes_of(ship, guest) == 0


async def test_another_sites_link_is_nobodys_look(ship: PageShip, browser: Browser) -> None:
    """A page elsewhere on this machine shares our cookies; what it makes the browser fetch does not count as ours."""
    guest = await ship.guest()
    await at_work(ship, browser)
    for site in ("cross-site", "same-site"):
        for path in (f"/crew/guests/{guest}", f"/crew/guests/{guest}/photo", "/crew/live/events"):
            answer = await browser.get(path, **{"Sec-Fetch-Site": site})
            assert answer.headers.get("location") == "/crew/login", (site, path)
    looks = await ship.services.lookups.log_page(0)
    assert [look for look in looks if not look.actor.startswith("token:")] == []
    assert not await is_out(browser)


async def test_the_login_cannot_be_sent_from_elsewhere(ship: PageShip, browser: Browser) -> None:
    """Else an attacker could sign a crew member in as somebody else, and have them work under that name."""
    await browser.get("/crew/login")
    form = {"csrf": browser.csrf, "station": STATION}
    assert (await browser.raw("/crew/login", form, {"Origin": EVIL})).status_code == 403
    assert "steward_login" not in browser.client.cookies


# sessions


async def test_a_session_is_worth_nothing_changed_hashed_or_doubled(ship: PageShip, browser: Browser) -> None:
    await at_work(ship, browser)
    secret = browser.client.cookies["steward_crew"]
    assert re.fullmatch(r"[0-9a-f]{64}", secret)
    for wrong in (
        secret[:-1] + ("0" if secret[-1] != "0" else "1"),
        session_id(secret),  # what the database holds
        secret.upper(),
        secret + "0",
        "",
        "' OR 1=1 --",
        f"{secret}; steward_crew={secret}",
        f"x; steward_crew={secret}",
    ):
        async with ship.browser(Cookie=f"steward_crew={wrong}") as thief:
            assert await is_out(thief), wrong
    assert not await is_out(browser)


async def test_a_cookie_planted_before_the_login_is_not_the_session_after_it(ship: PageShip, browser: Browser) -> None:
    planted = {"steward_crew": "a" * 64, "steward_visit": "b" * 43}
    for name, value in planted.items():
        browser.client.cookies.set(name, value, domain=browser.client.base_url.host)
    await ship.sign_in(browser, await ship.crew(CrewRole.SERVICE))
    secrets = [cookie.value for cookie in browser.client.cookies.jar if cookie.name == "steward_crew"]
    assert set(planted.values()).isdisjoint(secrets)
    async with ship.browser() as attacker:
        for name, value in planted.items():
            attacker.client.cookies.set(name, value)
        assert await is_out(attacker)


async def test_two_logins_have_two_secrets_and_the_first_is_not_extended(ship: PageShip, browser: Browser) -> None:
    crew = await ship.crew(CrewRole.SERVICE)
    await ship.sign_in(browser, crew)
    first = browser.client.cookies["steward_crew"]
    async with ship.browser() as second:
        await ship.sign_in(second, crew)
        assert second.client.cookies["steward_crew"] != first


async def test_a_stolen_login_is_worth_nothing_without_the_pin_and_only_once(ship: PageShip, browser: Browser) -> None:
    crew = await ship.crew(CrewRole.SERVICE)
    await browser.get("/crew/login")
    await browser.post("/crew/login", station=STATION)
    login = browser.client.cookies["steward_login"]
    assert ship.tap_crew(crew)
    await browser.get("/crew/login/pin")
    async with ship.browser() as thief:
        thief.client.cookies.set("steward_login", login)
        await thief.get("/crew/login/pin")
        assert (await thief.post("/crew/login/pin", pin="0000")).status_code == 409
        assert (await browser.post("/crew/login/pin", pin=PIN)).status_code == 303
        await thief.get("/crew/login")
        late = await thief.post("/crew/login/pin", pin=PIN)
        assert (late.status_code, "That took too long." in late.text) == (409, True)
        assert "steward_crew" not in thief.client.cookies


async def test_right_pins_at_once_make_one_session(ship: PageShip, browser: Browser) -> None:
    crew = await ship.crew(CrewRole.SERVICE)
    await browser.get("/crew/login")
    await browser.post("/crew/login", station=STATION)
    assert ship.tap_crew(crew)
    await browser.get("/crew/login/pin")
    answers = await asyncio.gather(*(browser.post("/crew/login/pin", pin=PIN) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [303, 409, 409]


async def test_five_guesses_side_by_side_are_five(ship: PageShip, browser: Browser) -> None:
    crew = await ship.crew(CrewRole.SERVICE)
    await browser.get("/crew/login")
    await browser.post("/crew/login", station=STATION)
    assert ship.tap_crew(crew)
    await browser.get("/crew/login/pin")
    guesses = [browser.post("/crew/login/pin", pin=f"{number:04d}") for number in range(12)]
    answers = await asyncio.gather(*guesses)
    assert sum("Wrong PIN" in answer.text for answer in answers) == 4
    assert sum("Your PIN is locked" in answer.text for answer in answers) == 8
    assert (await ship.services.crew.member(crew)).locked


async def test_a_session_cookie_opens_no_api_and_a_token_no_page(ship: PageShip, browser: Browser) -> None:
    await at_work(ship, browser)
    assert (await browser.get("/v1/board")).status_code == 401
    bearer = {"Authorization": f"Bearer {ship.aboard.tokens['purser']}", "Accept": "text/html"}
    assert (await ship.aboard.client.get("/crew/live", headers=bearer)).headers["location"] == "/crew/login"


async def test_a_note_of_another_purpose_and_an_offer_of_another_outlet_cannot_be_reached(
    ship: PageShip, browser: Browser
) -> None:
    guest = await ship.guest()
    await at_work(ship, browser)
    text = (await browser.get(f"/crew/guests/{guest}")).text
    offer = re.findall(r'action="(/crew/offers/[0-9a-f]+)"', text)[0]
    await browser.post(f"/crew/guests/{guest}/notes", text="For the bar", lasts="days")
    text = (await browser.get(f"/crew/guests/{guest}")).text
    note = re.findall(r'action="(/crew/guests/[0-9a-f]+/notes/[0-9a-f]+/remove)"', text)[0]
    async with ship.browser() as desk:
        await at_work(ship, desk, CrewRole.GUEST_SERVICES)
        assert "For the bar" not in (await desk.get(f"/crew/guests/{guest}")).text
        for path, fields in ((note, {}), (offer, {"answer": "accept"})):
            await desk.get("/crew/live")
            assert (await desk.post(path, **fields)).status_code == 404, path
    assert await notes_of(ship, guest) == 1


# paths


ODD_PATHS = (
    "/crew/",
    "/crew/live/",
    "//crew/live",
    "/crew//live",
    "/CREW/LIVE",
    "/crew/live;x=1",
    "/crew/login/../live",
    "/crew/login/%2e%2e/live",
    "/crew/login%2f..%2flive",
    "/crew/live%00",
    "/crew/live%0d%0aX-Evil:1",
    "/static/../crew/live",
    "/static/%2e%2e%2fapi.py",
    "/static/..%5capi.py",
    "/static/",
    "/crew/guests/",
    "/crew/guests/%00",
    "/crew/guests/..%2f..%2fetc%2fpasswd",
    "/crew/guests/" + "A" * 16,
    "/crew/guests/" + "0" * 17,
    "/crew/guests/%D8%A7/photo",
    "/crew/guests/" + "a" * 5000,
    "/crew/guests/{ref}",
)


async def test_an_odd_path_is_nowhere(ship: PageShip, browser: Browser) -> None:
    await ship.guest()
    await at_work(ship, browser)
    cookie = f"steward_crew={browser.client.cookies['steward_crew']}"
    for path in ODD_PATHS:  # on a line of our own: a client library would tidy them up
        reader, writer = await asyncio.open_connection("127.0.0.1", browser.client.base_url.port)
        lines = (f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", "Accept: text/html")
        writer.write("\r\n".join((*lines, f"Cookie: {cookie}", "", "")).encode())
        answer = (await reader.read()).decode()
        writer.close()
        assert answer.startswith("HTTP/1.1 404 "), path
        assert "import" not in answer
        assert "\r\nx-evil" not in answer.lower()


# forms


ODD_FORMS = (
    (b"csrf=TOKEN&text=x&lasts=days&text=y", "form", 400),
    (b"csrf=TOKEN&csrf=TOKEN&text=x&lasts=days", "form", 400),
    (b"csrf=TOKEN&text=%00&lasts=days", "form", 400),
    (b"csrf=TOKEN&text=%1b[31m&lasts=days", "form", 400),
    (b"csrf=TOKEN&text=%ff%fe&lasts=days", "form", 400),
    (b"csrf=TOKEN&text=\xc3\xa6&lasts=days", "form", 400),
    (b"csrf=TOKEN&" + b"&".join(b"f%d=1" % n for n in range(100)), "form", 400),
    (b"csrf=TOKEN;text=x;lasts=days", "form", 403),
    (b"", "form", 403),
    (b"csrf=TOKEN&text=x&lasts=days", "text/plain", 415),
    (b"csrf=TOKEN&text=x&lasts=days", "", 415),
    (b'{"csrf":"TOKEN","text":"x","lasts":"days"}', "application/json", 415),
    (b"csrf=TOKEN&text=x&lasts=days", "multipart/form-data; boundary=x", 415),
    (b"csrf=TOKEN&lasts=days&text=" + b"x" * (BODY_BYTES_MAX - 120), "form", 409),
    (b"csrf=TOKEN&lasts=days&text=" + b"x" * BODY_BYTES_MAX, "form", 413),
)


async def test_an_odd_form_is_refused_in_words(ship: PageShip, browser: Browser) -> None:
    guest = await ship.guest()
    await at_work(ship, browser)
    token = browser.csrf.encode()
    for number, (body, kind, status) in enumerate(ODD_FORMS):
        headers = {"Origin": browser.origin, "Accept": "text/html"}
        if kind:
            headers["Content-Type"] = "application/x-www-form-urlencoded" if kind == "form" else kind
        sent = body.replace(b"TOKEN", token)
        answer = await browser.client.post(f"/crew/guests/{guest}/notes", content=sent, headers=headers)
        assert answer.status_code == status, number
        assert "Traceback" not in answer.text
    assert await notes_of(ship, guest) == 0
    assert not await is_out(browser)


ODD_WAYS_BACK = (
    "//evil.example",
    "https://evil.example/",
    "/\\evil.example",
    "/%2f/evil.example",
    "javascript:alert(1)",
    "/crew/live?x=1",
    "/crew/../x",
    "/crew\r\nSet-Cookie: x=1",
    "/crew/live\n",
    "",
    "crew",
)


async def test_the_language_form_leads_nowhere_else(browser: Browser) -> None:
    for back in ODD_WAYS_BACK:
        await browser.get("/crew/login")
        answer = await browser.post("/language", language="nb", back=back)
        assert answer.status_code == 400, back
        assert "location" not in answer.headers
        assert "steward_lang" not in browser.client.cookies


async def test_a_language_that_is_none(browser: Browser) -> None:
    for language in ("", "xx", "../en", "EN", "nb\n"):
        await browser.get("/crew/login")
        assert (await browser.post("/language", language=language, back="/crew/login")).status_code == 400


# texts


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.scripts: list[str | None] = []
        self.handlers: list[str] = []
        self.addresses: list[str | None] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "object", "style", "base", "embed"):
            self.scripts.append(dict(attrs).get("src"))
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "style"]
        self.addresses += [value for name, value in attrs if name in ("href", "src", "action")]


EVIL_TEXTS = (
    SHOUT,
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7*7191 }}{% raw %}",
    "javascript:alert(1)",
    "</title></textarea><script>alert(1)</script>",
    "&lt;script&gt;",
    "{t.__class__}",
    "%(name)s {name} {0}",
)


async def test_a_name_or_a_note_cannot_become_a_tag(ship: PageShip, browser: Browser) -> None:
    await at_work(ship, browser, CrewRole.GUEST_SERVICES)
    for evil in EVIL_TEXTS:
        guest = await ship.aboard.guest()
        profile = Profile(guest, evil, evil + " Example", "en")
        await ship.services.store.write(partial(put_profile, profile=profile))
        await browser.get("/crew/live")
        assert (await browser.post(f"/crew/guests/{guest}/notes", text=evil, lasts="days")).status_code == 303
        await browser.get("/crew/live")
        assert (await browser.post(f"/crew/guests/{guest}/cases", what=evil)).status_code == 303
        await browser.get("/crew/live")
        await browser.post("/crew/search", query=evil[:40])
        for path in (f"/crew/guests/{guest}", "/crew/cases", "/crew/search/found"):
            check_harmless((await browser.get(path)).text, path)
        assert str(escape(evil)) in (await browser.get(f"/crew/guests/{guest}")).text


def put_profile(tx: Tx, profile: Profile) -> None:
    tx.put_profile(profile)
    agree(tx, profile.ref)


def check_harmless(text: str, where: str) -> None:
    tags = Tags(text)
    assert None not in tags.scripts, where
    assert {str(source).partition("?")[0] for source in tags.scripts} <= {"/static/crew.js"}, where
    assert tags.handlers == [], where
    assert all(address is not None and re.match(r"[/#][^/]", address) for address in tags.addresses), where
    assert "50337" not in text
    assert "<class" not in text


async def test_no_name_and_no_secret_in_the_log(
    ship: PageShip, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    guest = await ship.guest("Zebedee Example")
    caplog.set_level("DEBUG", "steward")
    await at_work(ship, browser)
    secret = browser.client.cookies["steward_crew"]
    await browser.post("/crew/search", query="zebedee")
    await browser.get("/crew/search/found")
    await browser.get(f"/crew/guests/{guest}")
    await browser.post(f"/crew/guests/{guest}/notes", text="Zebedee likes tea", lasts="days")
    ship.tap_guest(guest, DESK)
    for told in ("zebedee", secret, PIN, "likes tea"):
        assert told not in caplog.text.lower()


async def test_a_page_carries_the_rules_for_its_browser(ship: PageShip, browser: Browser) -> None:
    await at_work(ship, browser)
    for path in ("/crew/live", "/crew/login", "/crew/guests/" + "0" * 16, "/crew/nowhere"):
        headers = (await browser.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "form-action 'self'" in policy
        assert "unsafe" not in policy
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cross-origin-resource-policy"] == "same-origin"


async def test_a_file_is_kept_by_its_content(browser: Browser) -> None:
    text = (await browser.get("/crew/login")).text
    addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', text)
    assert len(addresses) >= 3
    for address in addresses:
        answer = await browser.get(address)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        bare = await browser.get(address.partition("?")[0] + "?v=" + "0" * 12)
        assert bare.headers["cache-control"] == "no-cache"
        assert not re.search(r"https?://(?!www\.w3\.org)", answer.text)
