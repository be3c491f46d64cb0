"""What the handheld's pages say and do, as a browser without scripts gets them."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from tests.e2e.test_status_page import Page
from tests.pages.pagekit import BAR, DESK, PIN, STATION, Browser, PageShip, png

from steward.domain.consent import ConsentPurpose
from steward.domain.events import EventType
from steward.domain.ids import GuestRef, Uid
from steward.domain.offers import OfferState
from steward.domain.profiles import Allergen, Diet
from steward.domain.viewing import CrewRole, Field, LookUp, Purpose
from steward.services.logins import BEGINS_BURST
from steward.web.pages import sse


async def looks(ship: PageShip) -> list[LookUp]:
    """Those of people; the desk's checking in leaves its own."""
    return [look for look in await ship.services.lookups.log_page(0) if not look.actor.startswith("token:")]


async def at_work(ship: PageShip, browser: Browser, role: CrewRole = CrewRole.SERVICE, shift: str = "") -> GuestRef:
    crew = await ship.crew(role)
    answer = await ship.sign_in(browser, crew, shift=shift or "lagoon food_and_drink")
    assert answer.headers["location"] == "/crew"
    return crew


# signing in


async def test_each_step_of_signing_in_leads_to_the_next(ship: PageShip, browser: Browser) -> None:
    crew = await ship.crew(CrewRole.SERVICE)
    assert (await browser.get("/crew")).headers["location"] == "/crew/login"
    page = await browser.get("/crew/login")
    assert "Lagoon Bar" in page.text
    assert "Reception" in page.text
    answer = await browser.post("/crew/login", station=STATION)
    assert answer.headers["location"] == "/crew/login/tap"
    assert "Hold your crew band to the reader" in (await browser.get("/crew/login/tap")).text
    assert (await browser.get("/crew/login/pin")).headers["location"] == "/crew/login/tap"
    assert ship.tap_crew(crew)
    assert (await browser.get("/crew/login/tap")).headers["location"] == "/crew/login/pin"
    await browser.get("/crew/login/pin")
    answer = await browser.post("/crew/login/pin", pin=PIN)
    assert answer.headers["location"] == "/crew/shift"
    page = await browser.get("/crew/shift")
    assert "Your role is Service." in page.text
    answer = await browser.post("/crew/shift", shift="lagoon food_and_drink")
    assert (await browser.follow(answer)).headers["location"] == "/crew/live"
    assert (await browser.get("/crew/login")).headers["location"] == "/crew"


async def test_the_script_of_the_login_hears_of_the_tap(ship: PageShip, browser: Browser) -> None:
    crew = await ship.crew(CrewRole.SERVICE)
    assert (await browser.client.get("/crew/login/wait")).json() == {"state": "expired"}
    await browser.get("/crew/login")
    await browser.post("/crew/login", station=STATION)
    waiting = asyncio.ensure_future(browser.client.get("/crew/login/wait"))
    await asyncio.sleep(0.05)
    assert ship.tap_crew(crew)
    assert (await waiting).json() == {"state": "tapped"}


async def test_a_wrong_pin_is_said_and_the_fifth_locks(ship: PageShip, browser: Browser) -> None:
    crew = await ship.crew(CrewRole.SERVICE)
    for attempt in range(5):
        answer = await ship.sign_in(browser, crew, pin="0000")
        locked = attempt == 4
        assert answer.status_code == 409
        assert ("Your PIN is locked" in answer.text) is locked
        assert ("Wrong PIN" in answer.text) is not locked
    answer = await ship.sign_in(browser, crew)  # the right one, too late
    assert "Your PIN is locked" in answer.text
    assert "steward_crew" not in browser.client.cookies
    await ship.services.crew.unlock(crew, "desk")
    assert (await ship.sign_in(browser, crew)).headers["location"] == "/crew"


async def test_what_is_no_pin_is_no_guess(ship: PageShip, browser: Browser) -> None:
    crew = await ship.crew(CrewRole.SERVICE)
    for pin in ("", "1", "123456789", "12 34", "abcd", "１２３４"):
        answer = await ship.sign_in(browser, crew, pin=pin)
        assert "A PIN is 4 to 8 digits." in answer.text, pin
    assert (await ship.services.crew.member(crew)).pin_failures == 0


async def test_handhelds_at_one_station_are_told_whose_turn_it_is(ship: PageShip, browser: Browser) -> None:
    """Also without scripts; and the tap is of the one that was told to hold the band there."""
    hold, wait = "waiting", "queued"
    await browser.get("/crew/login")
    await browser.follow(await browser.post("/crew/login", station=STATION))
    async with ship.browser() as second:
        await second.get("/crew/login")
        page = await second.follow(await second.post("/crew/login", station=STATION))
        assert f'data-state="{wait}"' in page.text
        assert "Wait: another handheld is being served here" in page.text
        assert f'data-state="{hold}"' in (await browser.get("/crew/login/tap")).text
        told = await second.client.get("/crew/login/wait", params={"seen": hold})
        assert told.json() == {"state": wait}, "at once: the page shows something else"
        assert (await second.get("/crew/login/pin")).headers["location"] == "/crew/login/tap"
        assert ship.tap_crew(await ship.crew(CrewRole.SERVICE))
        assert (await browser.client.get("/crew/login/wait")).json() == {"state": "tapped"}
        told = await second.client.get("/crew/login/wait", params={"seen": wait})
        assert told.json() == {"state": hold}, "its turn has come"
        for odd in ("", "tapped", "x" * 500):
            assert (await browser.client.get("/crew/login/wait", params={"seen": odd})).json() == {"state": "tapped"}


async def test_beginning_too_often_is_told_in_words(ship: PageShip, browser: Browser) -> None:
    for _ in range(BEGINS_BURST):
        await browser.get("/crew/login")
        await browser.post("/crew/login", station=STATION)
    await browser.get("/crew/login")
    answer = await browser.post("/crew/login", station=STATION)
    assert (answer.status_code, "began too often" in answer.text) == (409, True)


async def test_a_station_that_is_none(ship: PageShip, browser: Browser) -> None:
    for station in ("", "bar-1", "lagoon-crew ", "../x", "x" * 4000):
        await browser.get("/crew/login")
        assert (await browser.post("/crew/login", station=station)).status_code == 404


async def test_a_guests_band_signs_nobody_in(ship: PageShip, browser: Browser) -> None:
    await browser.get("/crew/login")
    await browser.post("/crew/login", station=STATION)
    assert ship.tap_crew(await ship.guest())  # as if a station took it for crew
    await browser.get("/crew/login/pin")
    answer = await browser.post("/crew/login/pin", pin=PIN)
    assert "This band has no role for the handheld." in answer.text


async def test_signing_out_ends_the_session_at_the_gateway(ship: PageShip, browser: Browser) -> None:
    await at_work(ship, browser)
    secret = browser.client.cookies["steward_crew"]
    await browser.get("/crew/shift")
    answer = await browser.post("/crew/logout")
    assert answer.headers["location"] == "/crew/login"
    assert "steward_crew" not in browser.client.cookies
    browser.client.cookies.set("steward_crew", secret)
    assert (await browser.get("/crew/live")).headers["location"] == "/crew/login"


async def test_a_frozen_band_and_a_lost_role_end_the_session(ship: PageShip, browser: Browser) -> None:
    crew = await at_work(ship, browser)
    assert (await browser.get("/crew/live")).status_code == 200
    uid = Uid("04" + crew[:12].upper())
    await ship.services.store.write(lambda tx: tx.deny(uid, 1, "lost"))
    assert (await browser.get("/crew/live")).headers["location"] == "/crew/login"


# the card


async def test_a_bar_sees_what_serving_needs_and_no_more(ship: PageShip, browser: Browser) -> None:
    guest = await ship.guest(allergies=[Allergen.NUTS, Allergen.MILK], diet=[Diet.VEGAN], photo=png(), child=True)
    await at_work(ship, browser)
    text = (await browser.get(f"/crew/guests/{guest}")).text
    Page(text)
    for shown in ("Alma", "German", "Nuts", "Milk", "Vegan", "Child", f"/crew/guests/{guest}/photo"):
        assert shown in text, shown
    for hidden in ("Example", "5012", "Emergency"):
        assert hidden not in text, hidden
    assert re.findall(r'data-news="([^"]*)"', text) == ["Alma is here. Allergies: Milk, Nuts."]


async def test_housekeeping_sees_no_allergies_photo_or_suggestion(ship: PageShip, browser: Browser) -> None:
    guest = await ship.guest(allergies=[Allergen.NUTS], photo=png())
    await at_work(ship, browser, CrewRole.HOUSEKEEPING, "reception housekeeping")
    text = (await browser.get(f"/crew/guests/{guest}")).text
    assert "Alma" in text
    assert "Cabin 5012" in text
    for hidden in ("Nuts", "llerg", "/photo", 'class="dock"'):
        assert hidden not in text, hidden
    assert (await browser.get(f"/crew/guests/{guest}/photo")).status_code == 403


async def test_nobody_asked_is_not_no_allergies(ship: PageShip, browser: Browser) -> None:
    told, unknown = await ship.guest(), await ship.aboard.guest(cabins=[5099], booking="R-99")
    await at_work(ship, browser)
    assert "No allergies told" in (await browser.get(f"/crew/guests/{told}")).text
    text = (await browser.get(f"/crew/guests/{unknown}")).text
    assert "Allergies not known" in text
    assert "ask before you serve" in text
    assert 'class="answers"' not in text  # nothing to eat is offered blindly


async def test_every_look_is_in_the_log_and_nothing_else_is(ship: PageShip, browser: Browser) -> None:
    guest = await ship.guest(photo=png())
    crew = await at_work(ship, browser)
    assert await looks(ship) == []
    await browser.get("/crew/live")
    await browser.get("/crew/search")
    assert await looks(ship) == []
    ship.tap_guest(guest)
    await browser.get(f"/crew/guests/{guest}")
    await browser.get(f"/crew/guests/{guest}/photo")
    card, suggestion, photo = await looks(ship)
    assert card.fields >= {Field.PREFERRED_NAME, Field.ALLERGIES}
    assert Field.SUGGESTIONS in suggestion.fields
    assert photo.fields == {Field.PHOTO}
    assert card.tapped
    for look in (card, suggestion, photo):
        assert (look.actor, look.guest, look.outlet) == (crew, guest, BAR)
        assert (look.role, look.purpose) == (CrewRole.SERVICE, Purpose.FOOD_AND_DRINK)


async def test_a_tap_is_claimed_only_for_who_did_tap(ship: PageShip, browser: Browser) -> None:
    guest = await ship.guest()
    await at_work(ship, browser)
    await browser.get(f"/crew/guests/{guest}?tapped=1")
    ship.tap_guest(guest, DESK)  # at another outlet
    await browser.get(f"/crew/guests/{guest}")
    assert [look.tapped for look in await looks(ship)] == [False] * 4


async def test_a_photo_is_not_kept_by_the_browser(ship: PageShip, browser: Browser) -> None:
    guest, plain = await ship.guest(photo=png()), await ship.guest("Bo Example", cabin=5014)
    await at_work(ship, browser)
    answer = await browser.get(f"/crew/guests/{guest}/photo")
    assert answer.content == png()
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await browser.get(f"/crew/guests/{plain}/photo")).status_code == 404


# suggestions


async def offer_of(ship: PageShip, guest: GuestRef) -> list[OfferState]:
    return [offer.state for offer in await ship.services.store.read(lambda tx: tx.offers_of(guest, 0))]


@pytest.mark.parametrize(
    ("answer", "state", "said"),
    [
        ("accept", OfferState.ACCEPTED, "Noted as accepted."),
        ("not_now", OfferState.DEFERRED, "Noted: not now."),
        ("wrong", OfferState.WRONG, "Noted: not for them."),
    ],
)
async def test_an_answer_is_recorded_and_nothing_else_is_pressed_on_the_guest(
    ship: PageShip, browser: Browser, answer: str, state: OfferState, said: str
) -> None:
    guest = await ship.guest(allergies=[Allergen.NUTS])
    await at_work(ship, browser)
    text = (await browser.get(f"/crew/guests/{guest}")).text
    assert "Almond cake" not in text
    action = re.findall(r'action="(/crew/offers/[0-9a-f]{32})"', text)[0]
    told = await browser.follow(await browser.post(action, answer=answer))
    assert said in told.text
    assert 'class="answers"' not in told.text
    assert await offer_of(ship, guest) == [state]
    await browser.get(f"/crew/guests/{guest}?said=<b>")
    again = await browser.post(action, answer=answer)  # the button pressed twice
    assert again.status_code == 303
    other = "wrong" if answer == "accept" else "accept"
    await browser.get("/crew/live")
    conflict = await browser.post(action, answer=other)
    assert (conflict.status_code, "Somebody was faster" in conflict.text) == (409, True)
    assert state in await offer_of(ship, guest)


async def test_an_answer_that_is_none(ship: PageShip, browser: Browser) -> None:
    await at_work(ship, browser)
    await browser.get("/crew/live")
    assert (await browser.post("/crew/offers/" + "0" * 32, answer="maybe")).status_code == 400
    await browser.get("/crew/live")
    assert (await browser.post("/crew/offers/" + "0" * 32, answer="accept")).status_code == 404


# notes and cases


async def test_a_note_is_kept_shown_and_removed(ship: PageShip, browser: Browser) -> None:
    guest = await ship.guest()
    await at_work(ship, browser)
    await browser.get(f"/crew/guests/{guest}")
    answer = await browser.post(f"/crew/guests/{guest}/notes", text="Table by\r\nthe <window>", lasts="days")
    text = (await browser.follow(answer)).text
    assert "Table by the &lt;window&gt;" in text
    action = re.findall(rf'action="(/crew/guests/{guest}/notes/[0-9a-f]+/remove)"', text)[0]
    text = (await browser.follow(await browser.post(action))).text
    assert "Table by" not in text
    await browser.get("/crew/live")
    assert (await browser.post(action)).status_code == 404


async def test_a_note_ends_with_the_stay_at_the_latest(ship: PageShip, browser: Browser) -> None:
    now_s = ship.services.clock.now().unix_s
    guest = await ship.aboard.guest(not_after_s=now_s + 3600)
    await ship.services.consents.say(guest, {ConsentPurpose.PERSONAL_SERVICE: True}, "desk")
    await at_work(ship, browser)
    for lasts in ("shift", "days", "stay"):
        await browser.get("/crew/live")
        assert (await browser.post(f"/crew/guests/{guest}/notes", text="Soon gone", lasts=lasts)).status_code == 303
    added = [payload for kind, payload in await events(ship) if kind is EventType.NOTE_ADDED]
    assert [note["expires_s"] for note in added] == [now_s + 3600] * 3


async def test_a_guest_who_took_consent_back_is_shown_without_photo_notes_and_suggestions(
    ship: PageShip, browser: Browser
) -> None:
    guest = await ship.guest(photo=png())
    await at_work(ship, browser)
    note, picture = "likes the window", f"/crew/guests/{guest}/photo"
    assert (await browser.post(f"/crew/guests/{guest}/notes", text=note, lasts="shift")).status_code == 303
    before = (await browser.get(f"/crew/guests/{guest}")).text
    assert picture in before
    assert note in before
    assert "/crew/offers/" in before
    no = dict.fromkeys((ConsentPurpose.PHOTO, ConsentPurpose.PERSONAL_SERVICE, ConsentPurpose.SUGGESTIONS), False)
    await ship.services.consents.say(guest, no, "desk")
    after = (await browser.get(f"/crew/guests/{guest}")).text
    assert not [part for part in (picture, note, "/crew/offers/", 'name="lasts"') if part in after]
    assert "the guest has said no to them" in after
    assert "Alma" in after
    refused = await browser.get(picture)
    assert (refused.status_code, "has not agreed" in refused.text) == (409, True)
    await browser.get("/crew/live")
    assert (await browser.post(f"/crew/guests/{guest}/notes", text="again", lasts="shift")).status_code == 409


async def test_a_note_that_cannot_be_kept(ship: PageShip, browser: Browser) -> None:
    guest = await ship.guest()
    await at_work(ship, browser)
    for fields, status in (
        ({"text": "", "lasts": "days"}, 409),
        ({"text": "x" * 281, "lasts": "days"}, 409),
        ({"text": " \r\n ", "lasts": "days"}, 409),
        ({"text": "\u202eevil", "lasts": "days"}, 409),
        ({"text": "x", "lasts": "ever"}, 400),
        ({"text": "x"}, 400),
        ({"lasts": "days"}, 409),
    ):
        await browser.get("/crew/live")
        assert (await browser.post(f"/crew/guests/{guest}/notes", **fields)).status_code == status, fields
    assert EventType.NOTE_ADDED not in [kind for kind, _ in await events(ship)]


async def test_while_a_case_is_open_nothing_is_suggested_anywhere(ship: PageShip, browser: Browser) -> None:
    guest = await ship.guest()
    await at_work(ship, browser)
    await browser.get(f"/crew/guests/{guest}")
    text = (await browser.follow(await browser.post(f"/crew/guests/{guest}/cases", what="Cold dinner"))).text
    assert "Cold dinner" in text
    assert "Being put right: do not sell" in text
    assert "Help first: ask how it goes" in text
    assert 'class="answers"' not in text
    assert "Cold dinner" in (await browser.get("/crew/cases")).text
    action = re.findall(r'action="(/crew/cases/[0-9a-f]+/close)"', text)[0]
    await browser.get("/crew/live")
    assert (await browser.post(action, outcome="")).status_code == 409
    await browser.get("/crew/live")
    text = (await browser.follow(await browser.post(action, outcome="New dinner"))).text
    assert 'class="answers"' in text
    assert "Nothing open." in (await browser.get("/crew/cases")).text


async def test_a_case_opened_at_the_desk_stops_the_bar(ship: PageShip, browser: Browser) -> None:
    guest = await ship.guest()
    await at_work(ship, browser, CrewRole.GUEST_SERVICES, "reception guest_services")
    await browser.get("/crew/live")
    await browser.post(f"/crew/guests/{guest}/cases", what="Noise at night")
    async with ship.browser() as bar:
        await at_work(ship, bar)
        text = (await bar.get(f"/crew/guests/{guest}")).text
        assert "Noise at night" in text
        assert 'class="answers"' not in text


# search


async def test_a_search_leaves_no_name_in_any_address(ship: PageShip, browser: Browser) -> None:
    guest = await ship.guest()
    await ship.guest("Bo Example", cabin=5014)
    await at_work(ship, browser)
    await browser.get("/crew/search")
    answer = await browser.post("/crew/search", query="alm")
    assert answer.headers["location"] == "/crew/search/found"
    page = await browser.follow(answer)
    assert "1 guest" in page.text
    assert f"/crew/guests/{guest}" in page.text
    assert ">Bo<" not in page.text
    assert "1 guest" in (await browser.get("/crew/search/found")).text  # coming back to it


async def test_a_search_for_nobody(ship: PageShip, browser: Browser) -> None:
    await ship.guest()
    await at_work(ship, browser)
    for query in ("", " ", "a", "x" * 41, "%%", "__", "' OR 1=1 --", "\U0001f6a2\U0001f6a2"):
        await browser.get("/crew/search")
        page = await browser.follow(await browser.post("/crew/search", query=query))
        said = "Give 2 to 40 characters." if page.status_code == 409 else "Nobody by that name or cabin"
        assert said in page.text, query
        assert "/crew/guests/" not in page.text
    assert await looks(ship) == []


async def test_what_one_handheld_searched_is_not_anothers(ship: PageShip, browser: Browser) -> None:
    await ship.guest()
    await at_work(ship, browser)
    await browser.get("/crew/search")
    await browser.post("/crew/search", query="alma")
    async with ship.browser() as other:
        await at_work(ship, other, CrewRole.GUEST_SERVICES, "reception guest_services")
        assert (await other.get("/crew/search/found")).headers["location"] == "/crew/search"


# break-glass


async def test_breaking_the_glass_needs_a_reason_and_is_flagged(ship: PageShip, browser: Browser) -> None:
    guest = await ship.guest(allergies=[Allergen.NUTS])
    crew = await at_work(ship, browser, CrewRole.SAFETY, "lagoon safety")
    for reason, status in (("", 409), ("x" * 201, 409), ("  ", 409)):
        await browser.get(f"/crew/guests/{guest}")
        assert (await browser.post(f"/crew/guests/{guest}/glass", reason=reason)).status_code == status
    await browser.get(f"/crew/guests/{guest}")
    answer = await browser.post(f"/crew/guests/{guest}/glass", reason="Unconscious\nat the pool")
    assert answer.status_code == 200
    assert "The privacy officer has been told." in answer.text
    assert [look.reason for look in await looks(ship) if look.broke_glass] == ["Unconscious at the pool"]
    (flag,) = [payload for kind, payload in await events(ship) if kind is EventType.BREAK_GLASS]
    assert (flag["actor"], flag["guest"]) == (crew, guest)


# the stream


async def frames(browser: Browser, count: int, **headers: str) -> list[tuple[str, object, str]]:
    """(event, data, id) of the first frames of a stream."""
    found: list[tuple[str, object, str]] = []
    async with asyncio.timeout(20), browser.client.stream("GET", "/crew/live/events", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream;")
        assert answer.headers["cache-control"] == "no-store"
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
                continue
            found.append((fields["event"], json.loads(fields["data"]), fields.get("id", "")))
            fields = {}
            if len(found) == count:
                break
    return found


async def test_a_tap_reaches_the_outlets_handheld(ship: PageShip, browser: Browser) -> None:
    guest = await ship.guest()
    await at_work(ship, browser)
    reading = asyncio.ensure_future(frames(browser, 2))
    await ship.until(lambda: ship.services.feed.subscriber_count == 1)
    ship.tap_guest(guest, DESK)
    ship.tap_guest(guest)
    first, second = await reading
    assert first[:2] == ("pulse", {})
    assert second[:2] == ("tap", {"ref": guest})
    await ship.until(lambda: ship.services.feed.subscriber_count == 0)  # the line is closed, the place is free
    assert await looks(ship) == []  # hearing of a tap shows nothing of the guest
    missed = await frames(browser, 1, **{"Last-Event-ID": second[2]})
    assert missed == [("pulse", {}, "")]
    ship.tap_guest(guest)
    again = await frames(browser, 2, **{"Last-Event-ID": second[2].replace(guest, "0" * 16)})
    assert again[1][:2] == ("tap", {"ref": guest})


@pytest.mark.parametrize("way", ["logout", "shift"])
async def test_a_stream_ends_with_its_session_or_its_shift(
    ship: PageShip, browser: Browser, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sse.TapStream.__init__.__kwdefaults__, "pulse_s", 600.0)  # at once, not at the next pulse
    await at_work(ship, browser)
    reading = asyncio.ensure_future(frames(browser, 2))
    await ship.until(lambda: ship.services.feed.subscriber_count == 1)
    await browser.get("/crew/shift")
    await browser.post(f"/crew/{way}", **({"shift": "shop guest_services"} if way == "shift" else {}))
    why = sse.Bye.SIGNED_OUT if way == "logout" else sse.Bye.SHIFT
    assert (await reading)[1] == ("bye", {"why": why}, "")


async def test_the_gateway_stops_although_handhelds_listen(ship: PageShip, browser: Browser) -> None:
    await at_work(ship, browser)
    reading = asyncio.ensure_future(frames(browser, 2))
    await ship.until(lambda: ship.services.feed.subscriber_count == 1)
    ship.services.closing.set()
    assert (await reading)[1] == ("bye", {"why": sse.Bye.CLOSING}, "")


async def test_a_full_house_is_told_so(ship: PageShip, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "STREAMS_MAX", 0)
    await at_work(ship, browser)
    answer = await browser.client.get("/crew/live/events")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


# the language


async def test_the_viewer_chooses_the_language_and_keeps_it(ship: PageShip) -> None:
    async with ship.browser(**{"Accept-Language": "nb-NO,en;q=0.5"}) as browser:
        page = await browser.get("/crew/login")
        assert '<html lang="nb">' in page.text
        assert "Logg inn" in page.text
        answer = await browser.post("/language", language="en", back="/crew/login")
        assert "Max-Age=" in answer.headers["set-cookie"]
        assert "Sign in" in (await browser.follow(answer)).text
        assert "Sign in" in (await browser.get("/crew/login")).text


async def test_an_error_is_in_the_viewers_language(ship: PageShip) -> None:
    async with ship.browser(**{"Accept-Language": "nb"}) as browser:
        await at_work(ship, browser)
        answer = await browser.get("/crew/guests/" + "0" * 16)
        assert answer.status_code == 404
        assert "Her er det ingenting" in answer.text


async def events(ship: PageShip) -> list[tuple[EventType, dict[str, object]]]:
    found = await ship.services.store.read(lambda tx: tx.events(0, 500))
    return [(event.type, dict(event.payload)) for event in found]
