"""What the handheld's pages show and do once somebody is at work, as a browser without scripts gets them."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from tests.e2e.test_status_page import Page
from tests.pages.crewkit import at_work, events, looks
from tests.pages.pagekit import BAR, DESK, Browser, PageShip, png

from steward.domain.consent import ConsentPurpose
from steward.domain.events import EventType
from steward.domain.ids import GuestRef
from steward.domain.offers import OfferState
from steward.domain.profiles import Allergen, Diet
from steward.domain.viewing import CrewRole, Field, Purpose

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


EVENT_OF = {
    "accept": EventType.OFFER_ACCEPTED,
    "not_now": EventType.OFFER_DEFERRED,
    "wrong": EventType.OFFER_WRONG,
}


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
    assert 'class="idea"' not in told.text
    assert await offer_of(ship, guest) == [state]
    await browser.get(f"/crew/guests/{guest}?said=<b>")
    again = await browser.post(action, answer=answer)  # the button pressed twice
    assert again.status_code == 303
    assert (await offer_of(ship, guest))[0] is state
    assert await said_of(ship) == [EVENT_OF[answer]]


async def test_what_was_accepted_may_be_liked_and_an_answer_taken_back(ship: PageShip, browser: Browser) -> None:
    guest = await ship.guest()
    await at_work(ship, browser)
    text = (await browser.get(f"/crew/guests/{guest}")).text
    action = re.findall(r'action="(/crew/offers/[0-9a-f]{32})"', text)[0]
    await browser.get("/crew/live")
    early = await browser.post(action, answer="liked")
    assert early.status_code == 409  # nobody has accepted it
    await browser.get(f"/crew/guests/{guest}")
    told = await browser.follow(await browser.post(action, answer="accept"))
    assert re.findall(r'name="answer" value="([a-z_]+)"', told.text) == ["liked", "take_back"]
    assert action in told.text
    liked = await browser.follow(await browser.post(action, answer="liked"))
    assert "Noted as liked" in liked.text
    (offer,) = await ship.services.store.read(lambda tx: tx.offers_of(guest, 0))
    assert (offer.state, offer.liked_s is not None) == (OfferState.ACCEPTED, True)
    back = await browser.follow(await browser.post(action, answer="take_back"))
    assert f'action="{action}"' in back.text  # it waits for an answer again
    assert 'class="earlier"' not in back.text
    assert await offer_of(ship, guest) == [OfferState.SHOWN]
    await browser.post(action, answer="accept")
    before = len(await looks(ship))
    later = (await browser.get(f"/crew/guests/{guest}")).text
    assert 'class="earlier"' in later
    assert re.findall(r'<span class="hint">([^<]+)</span>', later) == ["Accepted"]
    _, suggestion, answers = (await looks(ship))[before:]
    assert Field.SUGGESTIONS in suggestion.fields
    assert answers.fields == {Field.SUGGESTIONS}  # they were read, so it is told
    assert await said_of(ship) == [
        EventType.OFFER_ACCEPTED,
        EventType.OFFER_LIKED,
        EventType.OFFER_TAKEN_BACK,
        EventType.OFFER_ACCEPTED,
    ]


async def test_a_made_up_address_offers_no_buttons_and_opens_nobodys_offer(ship: PageShip, browser: Browser) -> None:
    guest = await ship.guest()
    await at_work(ship, browser)
    for offer in ("", "0" * 31, "<b>", "/../x"):
        text = (await browser.get(f"/crew/guests/{guest}?said=accept&offer={quote(offer)}")).text
        assert "/crew/offers/" not in text
    await browser.get(f"/crew/guests/{guest}?said=accept&offer={'0' * 32}")
    assert (await browser.post("/crew/offers/" + "0" * 32, answer="take_back")).status_code == 404


async def said_of(ship: PageShip) -> list[EventType]:
    wanted = {*EVENT_OF.values(), EventType.OFFER_LIKED, EventType.OFFER_TAKEN_BACK}
    return [type_ for type_, _ in await events(ship) if type_ in wanted]


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
