"""Whoever wants to be on a guest's page and is not that guest: links, cookies, forms, levels, addresses."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests.attack.thief import Skimmer
from tests.e2e.gatewaykit import aboard, prepare
from tests.pages.chromekit import wrist
from tests.pages.guestkit import RING, Wearer, events, phone, sun_link, wearer, worn
from tests.pages.pagekit import BAR, SETTINGS, Browser, PageShip, page_ship
from tests.pages.purserkit import Desk

from steward.domain.events import EventType
from steward.domain.guests import BandState
from steward.domain.guestsession import (
    Level,
)
from steward.domain.presence import Presence
from steward.domain.profiles import Profile
from steward.domain.viewing import CrewRole
from steward.web.api import create_app
from steward.web.pages.guestbase import GUEST_TABLE, GuestRoute
from voyage.bandproc import BandProcess


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[PageShip]:
    async with page_ship(tmp_path) as running:
        yield running


@pytest.fixture
async def browser(ship: PageShip) -> AsyncIterator[Browser]:
    async with ship.browser() as plain:
        yield plain


@pytest.fixture
async def alma(ship: PageShip) -> Wearer:
    return await wearer(ship)


def table_of(ship: PageShip) -> dict[tuple[str, str], GuestRoute]:
    table = getattr(create_app(ship.services).state, GUEST_TABLE)
    assert isinstance(table, dict)
    return table


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", "0" * 16, path)


def shape(answer: httpx.Response) -> tuple[int, str]:
    """What a stranger can tell one answer from another by: form tokens differ with every browser."""
    return answer.status_code, re.sub(r"[0-9a-f]{64}", "", answer.text)


# links


async def test_whatever_is_wrong_with_a_link_the_answer_is_the_same(ship: PageShip, alma: Wearer) -> None:
    bo = await wearer(ship, "Bo Sample", cabin=5014)
    used = alma.link()
    async with phone(ship) as browser:
        assert (await browser.get(used)).status_code == 303
    back = sun_link(alma.uid, 0)
    stranger = b"\x04" + os.urandom(6)
    frozen = await worn(ship, await ship.guest("Cy Model", cabin=5016))
    await frozen.put_band(state=BandState.FROZEN)
    other_key = sun_link(alma.uid, 50, of=bo.uid)
    swapped = sun_link(alma.uid, 51)[0], sun_link(bo.uid, 51)[1]
    links = {
        "used before": used,
        "counter back": "/t?e={}&c={}".format(*back),
        "a band nobody knows": "/t?e={}&c={}".format(*sun_link(stranger, 9)),
        "frozen": frozen.link(),
        "another band's key": "/t?e={}&c={}".format(*other_key),
        "two links mixed": "/t?e={}&c={}".format(*swapped),
        "nothing": "/t",
        "cut": alma.link()[:-1],
        "longer": alma.link() + "0",
        "no hex": alma.link()[:-2] + "zz",
        "other digits": alma.link()[:-1] + "٣",
        "only e": alma.link().partition("&")[0],
    }
    seen = set()
    for name, link in links.items():
        async with phone(ship) as browser:
            answer = await browser.get(link)
            assert "steward_guest" not in browser.client.cookies, name
            seen.add(shape(answer))
            assert answer.status_code == 403, name
    assert len(seen) == 1
    assert "Hold the band to your phone again" in seen.pop()[1]


async def test_a_link_from_when_the_band_was_frozen_opens_nothing_later(ship: PageShip, alma: Wearer) -> None:
    """A band is made anew for somebody else: what its former wearer has kept is worth nothing then."""
    await alma.put_band(state=BandState.FROZEN)
    kept = alma.link()
    async with phone(ship) as browser:
        assert (await browser.get(kept)).status_code == 403
        bo = await ship.guest("Bo Sample", cabin=5014)
        await alma.put_band(state=BandState.ISSUED, guest=bo)
        assert (await browser.get(kept)).status_code == 403


async def read_with_a_phone(band: BandProcess) -> str:
    """The link that a real band shows whoever reads it."""
    async with Skimmer(RING) as reader:
        talk = await reader.talk(band)
        assert talk.sun is not None
        link = f"/t?e={talk.sun.picc.hex().upper()}&c={talk.sun.mac.hex().upper()}"
        await reader.release(band)
    return link


async def test_a_real_band_opens_its_wearers_page_and_never_its_former_wearers(ship: PageShip, tmp_path: Path) -> None:
    """A link that was read and not opened is kept until somebody else wears the band."""
    alma, bo = await ship.guest(), await ship.guest("Bo Sample", cabin=5014)
    async with wrist(ship, tmp_path, alma) as band:
        async with phone(ship) as browser:
            assert (await browser.get(await read_with_a_phone(band._band))).status_code == 303
        kept = await read_with_a_phone(band._band)
        [worn_] = await ship.services.store.read(lambda tx: tx.bands_of(alma))
        await ship.services.checkin.give_back(worn_.uid)
        await band.issue(bo)
        async with phone(ship) as browser:
            assert (await browser.get(kept)).status_code == 403
            assert (await browser.get(await read_with_a_phone(band._band))).status_code == 303
    assert [e.payload["guest"] for e in await events(ship, EventType.GUEST_SIGNED_IN)] == [alma, bo]


async def test_two_at_once_with_one_link(ship: PageShip, alma: Wearer) -> None:
    link = alma.link()
    async with phone(ship) as one, phone(ship) as other:
        answers = await asyncio.gather(one.get(link), other.get(link))
    assert sorted(answer.status_code for answer in answers) == [303, 403]
    assert len(await events(ship, EventType.GUEST_SIGNED_IN)) == 1


async def test_a_link_pays_nothing_at_a_till_afterwards(ship: PageShip, alma: Wearer) -> None:
    """Its counter is used up for charges too, also for one that comes in from another gateway."""
    async with phone(ship, alma):
        pass
    taken = await ship.services.store.write(lambda tx: tx.use_counter(alma.uid_text, "sdm", 1, "a" * 32))  # type: ignore[arg-type]
    assert taken == "phone"
    assert await ship.services.store.read(lambda tx: tx.charge_counter(alma.uid_text, "sdm")) == 1


async def test_the_links_address_is_in_no_log(ship: PageShip, alma: Wearer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="steward")
    link = alma.link()
    async with phone(ship) as browser:
        await browser.get(link)
        await browser.get(link)
    e, c = re.findall(r"[0-9A-F]{16,32}", link)
    said = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("steward"))
    assert e not in said
    assert c not in said


async def test_a_flood_keeps_nobody_out_who_shares_its_address(ship: PageShip, alma: Wearer) -> None:
    """Guests' phones may all come from one address: a neighbour's junk, or an old link played again and again."""
    used = alma.link()
    async with phone(ship) as browser:
        assert (await browser.get(used)).status_code == 303
        answers = [(await browser.get(f"/t?e={os.urandom(16).hex()}&c={'0' * 16}")).status_code for _ in range(60)]
        assert set(answers) == {403, 429}
        assert {(await browser.get(used)).status_code for _ in range(60)} == {429}
        assert len(await events(ship, EventType.GUEST_SIGNED_IN)) == 1
        assert (await browser.get(alma.link())).status_code == 303


async def test_who_copied_a_link_cannot_wait_for_its_guest_to_be_served_or_to_pay(ship: PageShip, alma: Wearer) -> None:
    async with phone(ship, alma) as thief:
        await thief.get("/me/prove")
        assert (await thief.post("/me/prove/ask", place=BAR, next="/me")).status_code == 303
        alma.tap()  # greeted,
        for till in ("bar-1", "bar-1", "spa-1"):  # and charged, more than once
            alma.tap(till)
        await thief.get("/me/prove")
        assert (await thief.post("/me/prove/tapped", next="/me")).status_code == 409
        session = await ship.services.guest_access.session(thief.client.cookies["steward_guest"])
        assert session.level is Level.BAND


@pytest.mark.parametrize("version", [0, 2])
async def test_a_link_made_with_another_voyages_keys_opens_nothing(ship: PageShip, alma: Wearer, version: int) -> None:
    """Of a band that is known by this voyage's keys: who has last voyage's is nobody here."""
    band = await alma.band()
    await alma.put_band(key_version=version)
    async with phone(ship) as browser:
        assert (await browser.get(alma.link())).status_code == 403
        await alma.put_band(key_version=band.key_version)
        assert (await browser.get(alma.link())).status_code == 303


async def test_a_newer_band_that_a_door_has_seen_ends_the_older_ones_page(ship: PageShip, alma: Wearer) -> None:
    """The replacement was made elsewhere: no gateway has written the older band off, but its serial is over."""
    async with phone(ship, alma) as browser:
        assert (await browser.get("/me/band")).status_code == 200
        await ship.services.store.write(lambda tx: tx.adopt_serial(alma.ref, 2))
        assert (await browser.get("/me/band")).headers["location"] == "/me/in"
        assert (await browser.get(alma.link())).status_code == 403


# cookies and forms


async def test_the_cookie_of_another_ship_is_worth_nothing(ship: PageShip, alma: Wearer, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    async with phone(ship, alma) as browser, aboard(other, prepare(other, SETTINGS)) as far:
        secret = browser.client.cookies["steward_guest"]
        async with httpx.AsyncClient(base_url=far.client.base_url, cookies={"steward_guest": secret}) as there:
            answer = await there.get("/me/band", headers={"Accept": "text/html"})
        assert answer.headers["location"] == "/me/in"


async def test_a_cookie_that_somebody_planted_is_never_taken_over(ship: PageShip, alma: Wearer) -> None:
    planted = "11" * 32
    async with phone(ship) as browser:
        browser.client.cookies.set("steward_guest", planted)
        answer = await alma.open(browser)
        fresh = re.search(r"steward_guest=([0-9a-f]{64})", answer.headers["set-cookie"])
        assert fresh is not None
        assert fresh[1] != planted
    async with phone(ship) as thief:
        thief.client.cookies.set("steward_guest", planted)
        assert (await thief.get("/me/band")).headers["location"] == "/me/in"


async def test_a_cookie_of_the_crews_is_no_guests_and_the_other_way_round(ship: PageShip, alma: Wearer) -> None:
    async with phone(ship, alma) as browser, ship.browser() as crew:
        await ship.sign_in(crew, await ship.crew(CrewRole.SERVICE))
        secret = browser.client.cookies["steward_guest"]
        crew_secret = crew.client.cookies["steward_crew"]
        async with phone(ship) as mixed:
            mixed.client.cookies.set("steward_crew", secret)
            mixed.client.cookies.set("steward_guest", crew_secret)
            assert (await mixed.get("/me/band")).headers["location"] == "/me/in"
            assert (await mixed.get("/crew")).headers["location"] == "/crew/login"


async def test_a_form_without_the_pages_token_or_from_elsewhere_changes_nothing(ship: PageShip, alma: Wearer) -> None:
    async with phone(ship, alma) as browser, phone(ship, alma) as other:
        await alma.prove(browser)
        await browser.get("/me/band")
        await other.get("/me/band")
        posts = [route for route in table_of(ship).values() if route.method == "POST"]
        assert len(posts) >= 12
        before = await ship.services.store.read(lambda tx: tx.events(0, 10_000))
        for route in posts:
            path, own = filled(route.path), {"Origin": browser.origin, "Sec-Fetch-Site": "same-origin"}
            foreign = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
            for data, headers in (
                ({"x": "1"}, own),
                ({"csrf": "0" * 64}, own),
                ({"csrf": other.csrf}, own),
                ({"csrf": browser.csrf}, foreign),
                ({"csrf": browser.csrf}, {}),
                ({"csrf": browser.csrf}, {"Origin": "null"}),
            ):
                assert (await browser.raw(path, data, headers)).status_code == 403, (path, headers)
        after = await ship.services.store.read(lambda tx: tx.events(0, 10_000))
        assert len(after) == len(before)
        assert (await browser.get("/me/band")).status_code == 200


async def test_a_phone_that_sends_forms_without_end_is_held_up_and_no_other(ship: PageShip, alma: Wearer) -> None:
    """Each word of consent is a row that stays. Who floods from one phone keeps no other from freezing the band."""
    async with phone(ship, alma) as browser, phone(ship, alma) as hers:
        await browser.get("/me/consents")
        words = [await browser.post("/me/consents", purpose="photo", given=("yes", "no")[n % 2]) for n in range(120)]
        assert {answer.status_code for answer in words} == {303, 503}
        assert (await browser.get("/me/consents")).status_code == 200
        said = await ship.services.store.read(lambda tx: tx.consent_history(alma.ref, 999))
        assert len(said) < 90
        await hers.get("/me/band")
        assert (await hers.post(f"/me/band/freeze/{alma.uid_text}")).headers["location"] == "/me/frozen"


async def test_who_found_a_band_switches_no_radio_on_and_learns_no_place(ship: PageShip, alma: Wearer) -> None:
    """The band's link alone makes it quiet, and no more; another guest's band does not exist, proven or not."""
    other, now_s = await wearer(ship, "Bo Stranger", cabin=5014), ship.services.clock.now().unix_s
    await ship.services.store.write(lambda tx: tx.put_presence(Presence(alma.ref, "sun-deck", now_s, now_s)))
    own, theirs = (f"/me/band/radio/{one.uid_text}/" for one in (alma, other))
    async with phone(ship, alma) as browser:
        for path in ("/me/band", "/me/data"):
            assert "sun-deck" not in (await browser.get(path)).text
        for act in ("on", "find"):
            await browser.get("/me/band")
            assert (await browser.post(own + act)).headers["location"] == "/me/prove?next=/me/band"
        assert await ship.services.store.read(lambda tx: tx.radio(alma.uid_text)) is None
        await browser.get("/me/band")
        assert (await browser.post(own + "off")).status_code == 303
        await alma.prove(browser)
        assert "sun-deck" in (await browser.get("/me/band")).text
        for act in ("on", "off", "find"):
            await browser.get("/me/band")
            assert (await browser.post(theirs + act)).status_code == 404, act
    assert await ship.services.store.read(lambda tx: tx.radio(other.uid_text)) is None


# levels, walked over every route there is


# By hand, so that no route slips from one into the other. What is in neither needs the band's link.
PROVEN_ROUTES = {
    ("GET", "/me/correct"),
    ("GET", "/me/photo"),
    ("POST", "/me/band/radio/{uid}/find"),
    ("POST", "/me/band/radio/{uid}/on"),
    ("POST", "/me/band/tracked"),
    ("POST", "/me/band/tracked/{ref}"),
    ("POST", "/me/correct"),
    ("POST", "/me/correct/note"),
    ("POST", "/me/correct/photo"),
    ("POST", "/me/erase/now"),
    ("POST", "/me/folio/charge/{tap}/dispute"),
    ("POST", "/me/folio/limits"),
    ("POST", "/me/take/file"),
    ("POST", "/me/take/read"),
    ("POST", "/me/take/table"),
}
PUBLIC_ROUTES = {
    ("GET", "/me/frozen"),
    ("GET", "/me/in"),
    ("GET", "/me/paper/{certificate}"),
    ("GET", "/me/paper/{certificate}/file"),
    ("GET", "/t"),
    ("GET", "/verify"),
    ("POST", "/me/language"),
}


async def test_what_needs_proof_and_what_is_for_everybody_stands_here_as_well(ship: PageShip) -> None:
    table = table_of(ship)
    assert {key for key, route in table.items() if route.level is Level.PROVEN} == PROVEN_ROUTES
    assert {key for key, route in table.items() if route.level is None} == PUBLIC_ROUTES


async def test_who_came_by_the_link_learns_no_childs_name(ship: PageShip, alma: Wearer) -> None:
    booking = await ship.services.store.read(lambda tx: tx.guest(alma.ref))
    assert booking is not None
    child = await ship.aboard.guest(cabins=[5012], booking=booking.booking, child=True)
    await ship.services.store.write(lambda tx: tx.put_profile(Profile(child, "Zenobia", "Zenobia Example", "nb")))
    pages = ("/me", "/me/folio", "/me/band", "/me/consents", f"/me/consents/children/{child}", "/me/take", "/me/erase")
    async with phone(ship, alma) as browser:
        for path in pages:
            answer = await browser.get(path)
            assert (answer.status_code, "Zenobia" in answer.text) == (200, False), path
        await alma.prove(browser)
        shown = {path for path in pages if "Zenobia" in (await browser.get(path)).text}
    assert shown == set(pages) - {"/me"}


async def test_every_form_that_needs_proof_refuses_whoever_only_came_by_the_link(ship: PageShip, alma: Wearer) -> None:
    async with phone(ship, alma) as browser:
        strong = [route for route in table_of(ship).values() if route.level is Level.PROVEN]
        assert {"/me/folio/limits", "/me/band/tracked"} <= {route.path for route in strong}
        before = await ship.services.store.read(lambda tx: tx.events(0, 10_000))
        for route in strong:
            await browser.get("/me/band")
            path = filled(route.path)
            answer = await (browser.post(path) if route.method == "POST" else browser.get(path))
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/me/prove?next=/me"), path
        after = await ship.services.store.read(lambda tx: tx.events(0, 10_000))
        assert len(after) == len(before)


async def test_no_route_but_the_public_ones_answers_without_a_session(ship: PageShip, browser: Browser) -> None:
    public = {path for (_, path), route in table_of(ship).items() if route.level is None}
    assert {"/t", "/me/in", "/me/language", "/me/frozen"} <= public
    assert all(path.startswith(("/me", "/t", "/verify")) for path in public)
    for (method, path), route in table_of(ship).items():
        if route.level is None:
            continue
        await browser.get("/me/in")
        answer = await (browser.post(filled(path)) if method == "POST" else browser.get(filled(path)))
        assert (answer.status_code, answer.headers.get("location")) == (303, "/me/in"), path


async def test_no_route_answers_another_method(ship: PageShip, alma: Wearer) -> None:
    table = table_of(ship)
    async with phone(ship, alma) as browser:
        for path in {route.path for route in table.values()}:
            taken = {method for method, other in table if other == path}
            for method in {"HEAD", "PUT", "DELETE", "PATCH", "GET", "POST"} - taken:
                assert (await browser.client.request(method, filled(path))).status_code == 405, (method, path)


# other people's things


async def test_another_guests_band_charge_and_child_do_not_exist(ship: PageShip, alma: Wearer) -> None:
    bo = await wearer(ship, "Bo Sample", cabin=5014)
    child = await ship.guest("Cy Junior", cabin=5014, child=True)
    tap = await Desk(ship).charge(bo.ref, 450)
    async with phone(ship, alma) as browser:
        await alma.prove(browser)
        for path in (f"/me/folio/charge/{tap}", f"/me/folio/charge/{'0' * 32}", "/me/folio/charge/x"):
            answer = await browser.get(path)
            assert answer.status_code == 404
            assert "There is nothing here" in answer.text
        for path in (
            f"/me/band/freeze/{bo.uid_text}",
            "/me/band/freeze/04000000000000",
            f"/me/folio/charge/{tap}/dispute",
        ):
            await browser.get("/me/band")
            assert (await browser.post(path, reason="not mine")).status_code == 404, path
        for path in (f"/me/band/untracked/{child}", f"/me/band/tracked/{child}", f"/me/band/tracked/{bo.ref}"):
            await browser.get("/me/band")
            assert (await browser.post(path)).status_code == 409, path
    assert (await bo.band()).state is BandState.ISSUED
    assert await events(ship, EventType.CHARGE_DISPUTED, EventType.BAND_FROZEN, EventType.PROFILE_SET) == []
