"""My data: everything held in words, corrected in place, and nobody's look but the guest's."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tests.pages.guestkit import Wearer, events, phone, wearer, worn
from tests.pages.pagekit import BAR, Browser, PageShip, png

from steward.domain.care import Note, NoteId
from steward.domain.consent import ConsentPurpose
from steward.domain.events import EventType
from steward.domain.profiles import Allergen, Diet, Disclosed
from steward.domain.usecases import REGISTER
from steward.domain.viewing import Field, Purpose
from steward.services.ownlook import own_look
from steward.web.pages.guest_held import LANGUAGE_CODES, LINES, LINKS
from steward.web.pages.language import LANGUAGES, Catalogue

XSS = "<script>alert(1)</script>"


async def kept(ship: PageShip, who: Wearer) -> Disclosed:
    now_s = ship.services.clock.now().unix_s
    return await ship.services.store.write(lambda tx: tx.disclose(own_look(who.ref, frozenset(Field), now_s)))


async def alma(ship: PageShip, **more: object) -> Wearer:
    ref = await ship.guest("Alma Example", allergies=[Allergen.NUTS], diet=[Diet.VEGAN], photo=png(), **more)  # type: ignore[arg-type]
    await ship.services.checkin.set_pin(ref, "2580")
    return await worn(ship, ref)


FORM = {"preferred_name": "Alma", "language": "nb", "allergen-nuts": "1", "diet-vegan": "1"}


# Kept as lines of the ship's own records, or about guests only now and then: the page says that they are there, and the
# export has them.
RECORDS = {
    *("check_in.passenger_list", "keys.doors", "keys.told_aboard", "muster.broken_glass", "muster.reviewed_glass"),
    *("suggestions.past", "suggestions.moment", "measuring.decisions", "rights.erasures", "security.alerts"),
    *("security.incidents", "security.guest_keys"),
}


def test_every_group_that_the_register_names_is_shown_in_words_or_known_to_be_records() -> None:
    cases = [case for case in REGISTER.use_cases.values() if case.about == "guests"]
    groups = {f"{case.id}.{group.id}" for case in cases for group in case.groups}
    assert groups == set(LINES) | RECORDS
    assert set(LINKS) <= set(LINES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_a_guest_can_choose_has_a_name(language: str) -> None:
    t = Catalogue().translator(language, "")
    assert all(t.known(f"words.language.{code}", "") for code in LANGUAGE_CODES)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_everything_held_is_there_with_why_until_when_and_for_whom(ship: PageShip, language: str) -> None:
    who = await alma(ship)
    now_s = ship.services.clock.now().unix_s
    note = Note(
        NoteId("0" * 16), who.ref, Purpose.FOOD_AND_DRINK, "Likes the corner table", "c" * 16, BAR, now_s, now_s + 999
    )
    await ship.services.store.write(lambda tx: tx.put_note(note))
    async with phone(ship, who, **{"Accept-Language": language}) as browser:
        await who.prove(browser)
        page = (await browser.get("/me")).text
    for case in REGISTER.use_cases.values():
        if case.about == "guests":
            assert case.title[language] in page, case.id
            assert case.gives[language].split("'")[0] in page, case.id
    words = {"en": ("Nuts", "Vegan", "German"), "nb": ("Nøtter", "Vegan", "tysk")}[language]
    for held in ("Alma Example", "5012", note.text, who.ref, *words):
        assert held in page, held


async def test_a_guest_who_reads_leaves_no_row_and_is_not_seen_by_anybody(ship: PageShip) -> None:
    who = await alma(ship)
    before = await ship.services.store.read(lambda tx: tx.look_ups(0, 99))
    async with phone(ship, who) as browser:
        await who.prove(browser)
        for path in ("/me", "/me/photo", "/me/consents", "/me/looks", "/me/why"):
            assert (await browser.get(path)).status_code == 200, path
    assert await ship.services.store.read(lambda tx: tx.look_ups(0, 99)) == before
    assert await events(ship, EventType.LOOKED_UP) == []


async def test_a_finder_of_the_band_learns_neither_the_cabin_nor_who_lost_it(ship: PageShip) -> None:
    who = await alma(ship, cabin=5087)
    now_s = ship.services.clock.now().unix_s
    note = Note(NoteId("0" * 16), who.ref, Purpose.FOOD_AND_DRINK, "Corner table", "c" * 16, BAR, now_s, now_s + 999)
    await ship.services.store.write(lambda tx: tx.put_note(note))
    async with phone(ship, who) as browser:
        pages = [(await browser.get(path)).text for path in ("/me", "/me/consents", "/me/looks", "/me/why")]
        assert (await browser.get("/me/photo")).headers["location"] == "/me/prove?next=/me/photo"
        assert "Prove that it is you" in pages[0]
        assert pages[0].count("Shown once you have proven") >= 6
    for page in pages:
        for secret in ("Alma", "5087", "R-5087", "Nuts", "Vegan", "German", "Corner table", "/me/photo"):
            assert secret not in page, secret


async def test_the_photo_is_the_guests_own_and_only_theirs(ship: PageShip) -> None:
    who, other = await alma(ship), await wearer(ship, "Bo Other", cabin=6001)
    async with phone(ship, who) as browser:
        await who.prove(browser)
        answer = await browser.get("/me/photo")
        assert (answer.content, answer.headers["content-type"]) == (png(), "image/png")
    async with phone(ship, other) as browser:
        await other.prove(browser)
        assert (await browser.get("/me/photo")).status_code == 404
        assert "/me/photo" not in (await browser.get("/me")).text


async def test_correcting_asks_who_it_is_first(ship: PageShip) -> None:
    who = await alma(ship)
    async with phone(ship, who) as browser:
        answer = await browser.get("/me/correct")
        assert (answer.status_code, answer.headers["location"]) == (303, "/me/prove?next=/me/correct")
        await browser.get("/me")
        for path in ("/me/correct", "/me/correct/photo"):
            answer = await browser.post(path, **FORM)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/me/prove")
    assert (await kept(ship, who)).language == "de"


async def test_what_the_guest_corrects_is_written_down_as_their_word(ship: PageShip) -> None:
    who = await alma(ship)
    async with phone(ship, who) as browser:
        await who.prove(browser)
        page = (await browser.get("/me/correct")).text
        assert 'value="Alma"' in page
        answer = await browser.post(
            "/me/correct", **FORM | {"preferred_name": " Alma Mia ", "allergen-milk": "1", "explicit": "1"}
        )
        assert (answer.status_code, answer.headers["location"]) == (303, "/me")
    shown = await kept(ship, who)
    assert (shown.preferred_name, shown.full_name, shown.language) == ("Alma Mia", "Alma Example", "nb")
    assert (shown.allergies, shown.diet) == ((Allergen.MILK, Allergen.NUTS), (Diet.VEGAN,))
    (said,) = await events(ship, EventType.PROFILE_SET)
    assert said.payload == {
        "guest": who.ref,
        "fields": "allergies language preferred_name",
        "by": "guest",
        "explicit": True,
    }


async def test_a_child_corrects_its_name_and_an_adult_says_what_it_cannot_eat(ship: PageShip) -> None:
    ref = await ship.guest("Alma Example", allergies=[Allergen.NUTS], diet=[Diet.VEGAN])
    guest = await ship.services.store.read(lambda tx: tx.guest(ref))
    assert guest is not None
    await ship.services.store.write(lambda tx: tx.put_guest(replace(guest, child=True)))
    await ship.services.checkin.set_pin(ref, "2580")
    who = await worn(ship, ref)
    async with phone(ship, who) as browser:
        await who.prove(browser)
        page = (await browser.get("/me/correct")).text
        assert 'type="checkbox"' not in page
        shown = dict(re.findall(r'<input type="hidden" name="((?:allergen|diet)-[a-z]+)" value="(1)">', page))
        assert shown == {"allergen-nuts": "1", "diet-vegan": "1"}
        answer = await browser.post("/me/correct", preferred_name="Ally", language="nb", **shown)
        assert (answer.status_code, answer.headers["location"]) == (303, "/me")
        answer = await browser.post("/me/correct", preferred_name="Ally", language="nb", explicit="1")
        assert answer.status_code == 409
        assert "En voksen bestemmer dette" in answer.text
    kept_now = await kept(ship, who)
    assert (kept_now.preferred_name, kept_now.allergies, kept_now.diet) == ("Ally", (Allergen.NUTS,), (Diet.VEGAN,))


async def test_what_says_something_of_health_is_added_in_so_many_words_only(ship: PageShip) -> None:
    who = await alma(ship)
    async with phone(ship, who) as browser:
        await who.prove(browser)
        await browser.get("/me/correct")
        answer = await browser.post("/me/correct", **FORM | {"diet-kosher": "1"})
        assert answer.status_code == 422
        assert 'name="diet-kosher" value="1" checked' in answer.text  # what was ticked is still there
        assert (await kept(ship, who)).diet == (Diet.VEGAN,)
        answer = await browser.post("/me/correct", preferred_name="Alma", language="nb")  # taking away needs no words
        assert answer.status_code == 303
    shown = await kept(ship, who)
    assert (shown.allergies, shown.diet) == ((), ())


@pytest.mark.parametrize("name", ["", "   ", "x" * 81])
async def test_a_name_that_cannot_be_is_said_on_the_form(ship: PageShip, name: str) -> None:
    who = await alma(ship)
    async with phone(ship, who) as browser:
        await who.prove(browser)
        await browser.get("/me/correct")
        answer = await browser.post("/me/correct", **FORM | {"preferred_name": name})
        assert answer.status_code == 422
        assert 'aria-invalid="true"' in answer.text


@pytest.mark.parametrize("extra", [{"full_name": "Somebody Else"}, {"cabin": "1"}, {"allergen-none": "1"}])
async def test_a_form_with_more_in_it_is_not_ours(ship: PageShip, extra: dict[str, str]) -> None:
    who = await alma(ship)
    async with phone(ship, who) as browser:
        await who.prove(browser)
        await browser.get("/me/correct")
        assert (await browser.post("/me/correct", **FORM | extra)).status_code == 400
    assert (await kept(ship, who)).language == "de"


async def test_a_script_for_a_name_stays_a_name(ship: PageShip) -> None:
    who = await alma(ship)
    now_s = ship.services.clock.now().unix_s
    note = Note(NoteId("0" * 16), who.ref, Purpose.FOOD_AND_DRINK, XSS, "c" * 16, BAR, now_s, now_s + 999)
    await ship.services.store.write(lambda tx: tx.put_note(note))
    async with phone(ship, who) as browser:
        await who.prove(browser)
        await browser.get("/me/correct")
        await browser.post("/me/correct", **FORM | {"preferred_name": XSS})
        for path in ("/me", "/me/correct", "/me/consents"):
            page = (await browser.get(path)).text
            assert XSS not in page, path
        assert "&lt;script&gt;alert(1)" in (await browser.get("/me")).text


async def test_the_photo_goes_when_the_guest_says_so(ship: PageShip) -> None:
    who = await alma(ship)
    async with phone(ship, who) as browser:
        await who.prove(browser)
        await browser.get("/me/correct")
        for _ in range(2):  # twice: nothing more happens
            assert (await browser.post("/me/correct/photo")).status_code == 303
        assert (await browser.get("/me/photo")).status_code == 404
    assert [event.payload["fields"] for event in await events(ship, EventType.PROFILE_SET)] == ["photo"]


async def test_a_note_goes_when_the_guest_says_so_and_nobody_elses_does(ship: PageShip) -> None:
    who, other = await alma(ship), await worn(ship, await ship.guest("Bo Example", cabin=5090))
    now_s = ship.services.clock.now().unix_s
    refs = {NoteId("0" * 15 + "1"): who.ref, NoteId("0" * 15 + "2"): other.ref}
    for id_, ref in refs.items():
        note = Note(id_, ref, Purpose.FOOD_AND_DRINK, f"{XSS} corner table", "c" * 16, BAR, now_s, now_s + 999)
        await ship.services.store.write(lambda tx, note=note: tx.put_note(note))  # type: ignore[misc]
    async with phone(ship, who) as browser:
        await who.prove(browser)
        page = (await browser.get("/me/correct")).text
        assert page.count("corner table") == 2  # its text, and its button's name
        assert XSS not in page
        for id_, status in ((NoteId("0" * 15 + "2"), 404), ("x", 404), (NoteId("0" * 15 + "1"), 303)):
            assert (await browser.post("/me/correct/note", note=id_)).status_code == status
        assert "corner table" not in (await browser.get("/me/correct")).text
    left = await ship.services.store.read(lambda tx: [id_ for id_ in refs if tx.note_place(id_) is not None])
    assert left == [NoteId("0" * 15 + "2")]
    (gone,) = await events(ship, EventType.NOTE_REMOVED)
    assert (gone.payload["guest"], gone.payload["by"]) == (who.ref, "guest")


async def test_who_has_no_profile_is_sent_to_the_desk(ship: PageShip) -> None:
    ref = await ship.aboard.guest(cabins=[5099], booking="R-none")
    await ship.services.checkin.set_pin(ref, "2580")
    who = await worn(ship, ref)
    async with phone(ship, who) as browser:
        assert (await browser.get("/me")).status_code == 200
        await who.prove(browser)
        assert "The desk can do it" in (await browser.get("/me/correct")).text
        assert (await browser.post("/me/correct", **FORM)).status_code == 409


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/me/correct", FORM),
        ("/me/correct/photo", {}),
        ("/me/consents", {"purpose": "photo", "given": "no"}),
        ("/me/why/signals", {"signal": "history", "turn": "off"}),
        ("/me/why/answers", {"offer": "0" * 32, "answer": "accept"}),
    ],
)
async def test_no_form_from_elsewhere_or_without_its_token_is_obeyed(
    ship: PageShip, path: str, fields: dict[str, str]
) -> None:
    who = await alma(ship)
    async with phone(ship, who) as browser:
        await who.prove(browser)
        await browser.get("/me")
        foreign = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
        assert (await browser.post(path, foreign, **fields)).status_code == 403
        own = {"Origin": browser.origin, "Sec-Fetch-Site": "same-origin"}
        assert (await browser.raw(path, {**fields, "csrf": "0" * 64}, own)).status_code == 403
        assert (await browser.raw(path, {**fields, "other": "x"}, own)).status_code == 403
    shown = await kept(ship, who)
    assert (shown.language, shown.photo is not None) == ("de", True)
    given = await ship.services.store.read(lambda tx: tx.consent(who.ref, ConsentPurpose.PHOTO))
    assert given is not None
    assert given.given
    assert await ship.services.store.read(lambda tx: tx.signals_off(who.ref)) == frozenset()


async def test_nothing_is_shown_to_who_is_not_signed_in(ship: PageShip, browser: Browser) -> None:
    for path in ("/me", "/me/photo", "/me/correct", "/me/consents", "/me/looks", "/me/why", "/me/looks/1.json"):
        answer = await browser.get(path)
        assert (answer.status_code, answer.headers.get("location")) == (303, "/me/in"), path
