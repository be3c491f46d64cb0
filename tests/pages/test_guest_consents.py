"""What a guest agrees to: one tap each way, effective at the next read, a receipt of every word; children; Sec-GPC."""

from __future__ import annotations

import json
import re

import pytest
from tests.pages.guestkit import PIN, Wearer, events, phone, wearer, worn
from tests.pages.pagekit import BAR, Browser, PageShip, png

from steward.domain.consent import ConsentPurpose, Said
from steward.domain.events import EventType
from steward.domain.ids import GuestRef
from steward.domain.outlets import OutletKind
from steward.domain.receiptread import read_receipt
from steward.domain.signedrecord import holds, read_signed
from steward.domain.usecases import REGISTER
from steward.domain.viewing import CrewRole, Purpose, Viewer
from steward.errors import Refused
from steward.web.pages.language import LANGUAGES

PHOTO, ASHORE = ConsentPurpose.PHOTO, ConsentPurpose.ANALYTICS_ASHORE
WAITER = Viewer("c" * 16, CrewRole.SERVICE, BAR, OutletKind.FOOD_AND_DRINK, Purpose.FOOD_AND_DRINK)
RECEIPTS = re.compile(r'href="(/me/consents(?:/children/[0-9a-f]{16})?/receipts/[0-9a-f-]{36}\.json)"')


async def given(ship: PageShip, ref: GuestRef, purpose: ConsentPurpose) -> bool | None:
    known = await ship.services.store.read(lambda tx: tx.consent(ref, purpose))
    return None if known is None else known.given


async def say(browser: Browser, purpose: str, word: str, path: str = "/me/consents") -> int:
    await browser.get(path)
    return (await browser.post(path, purpose=purpose, given=word)).status_code


@pytest.mark.parametrize("language", LANGUAGES)
async def test_each_purpose_says_why_what_i_get_how_long_and_who_has_it(ship: PageShip, language: str) -> None:
    who = await wearer(ship)
    async with phone(ship, who, **{"Accept-Language": language}) as browser:
        page = (await browser.get("/me/consents")).text
    for purpose in ConsentPurpose:
        for case in REGISTER.asked_for(purpose):
            for text in (case.why[language], case.gives[language], *(each.title[language] for each in case.recipients)):
                assert text.split("'")[0] in page, (case.id, text)
        assert page.count(f'name="purpose" value="{purpose.value}"') == 2  # a yes and a no, alike
    buttons = re.findall(r'<button class="([^"]+)" name="given"', page)
    assert set(buttons) == {"second"}


async def test_one_tap_takes_it_back_and_one_gives_it_again(ship: PageShip) -> None:
    ref = await ship.guest("Alma Example", photo=png())
    who = await worn(ship, ref)
    async with phone(ship, who) as browser:
        for word, seen in (("no", False), ("yes", True)):
            assert await say(browser, "photo", word) == 303
            card = await ship.services.lookups.card(WAITER, ref, tapped=False)
            assert card.has_photo is seen  # at the very next read
            page = (await browser.get("/me/consents")).text
            assert ("You do not agree" in page) is (word == "no")
    said = await events(ship, EventType.CONSENT_GIVEN, EventType.CONSENT_WITHDRAWN)
    assert [(event.payload["by"], event.payload["purpose"]) for event in said[-2:]] == [("guest", "photo")] * 2


async def test_what_is_taken_back_between_the_card_and_the_photo_is_not_shown(ship: PageShip) -> None:
    """A waiter holds the card that says there is a photo; the guest says no; the photo asked for then is refused."""
    ref = await ship.guest("Alma Example", photo=png())
    who = await worn(ship, ref)
    card = await ship.services.lookups.card(WAITER, ref, tapped=False)
    assert card.has_photo
    async with phone(ship, who) as browser:
        assert await say(browser, "photo", "no") == 303
    looks = await ship.services.store.read(lambda tx: tx.look_ups_of(ref, 99))
    with pytest.raises(Refused, match="no_consent"):
        await ship.services.lookups.photo(WAITER, ref)
    assert await ship.services.store.read(lambda tx: tx.look_ups_of(ref, 99)) == looks


async def test_said_twice_it_changes_nothing(ship: PageShip) -> None:
    who = await wearer(ship)
    async with phone(ship, who) as browser:
        for _ in range(2):
            assert await say(browser, "presence", "no") == 303
    history = await ship.services.store.read(lambda tx: tx.consent_history(who.ref, 99))
    assert [word.given for word in history if word.purpose is ConsentPurpose.PRESENCE] == [False, True]


async def test_every_word_has_a_receipt_that_holds(ship: PageShip) -> None:
    who = await wearer(ship)
    async with phone(ship, who) as browser:
        await say(browser, "photo", "no")
        await browser.get("/me/consents")
        paths = RECEIPTS.findall(browser.text)
        assert len(set(paths)) >= len(ConsentPurpose) + 1
        newest = paths[0] if "photo" in browser.text else ""
        answers = [await browser.get(path) for path in dict.fromkeys(paths)]
        assert newest
    for answer in answers:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        assert "attachment" in answer.headers["content-disposition"]
        signed = read_signed(answer.content)
        assert holds(signed)
        assert signed.key in ship.services.keys.verify_keys().values()
        assert read_receipt(signed).guest == who.ref
    facts = [read_receipt(read_signed(answer.content)) for answer in answers]
    assert ("photo", False, "page") in [(each.purpose, each.given, each.way) for each in facts]


async def test_the_receipt_of_another_is_not_there(ship: PageShip) -> None:
    who, other = await wearer(ship), await wearer(ship, "Bo Other", cabin=6001)
    async with phone(ship, who) as browser:
        await say(browser, "photo", "no")
        await browser.get("/me/consents")
        paths = RECEIPTS.findall(browser.text)
    async with phone(ship, other) as browser:
        for path in (*paths[:3], "/me/consents/receipts/" + "0" * 36 + ".json", "/me/consents/receipts/x.json"):
            assert (await browser.get(path)).status_code == 404, path


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"purpose": "photo"},
        {"purpose": "photo", "given": "maybe"},
        {"purpose": "everything", "given": "yes"},
        {"purpose": "", "given": "yes"},
    ],
)
async def test_a_form_that_is_not_ours_says_nothing(ship: PageShip, fields: dict[str, str]) -> None:
    who = await wearer(ship)
    async with phone(ship, who) as browser:
        await browser.get("/me/consents")
        assert (await browser.post("/me/consents", **fields)).status_code == 400
    assert await given(ship, who.ref, PHOTO) is True


# children


async def family(ship: PageShip) -> tuple[Wearer, Wearer, Wearer]:
    """An adult and a child of one booking, and somebody else's adult."""
    adult_ref = await ship.aboard.guest(cabins=[5012], booking="R-fam")
    await ship.services.checkin.set_pin(adult_ref, PIN)
    child_ref = await ship.aboard.guest(cabins=[5012], booking="R-fam", child=True)
    other = await wearer(ship, "Bo Other", cabin=6001)
    return await worn(ship, adult_ref), await worn(ship, child_ref), other


async def test_a_childs_page_says_that_an_adult_must_say_yes(ship: PageShip) -> None:
    _, child, _ = await family(ship)
    async with phone(ship, child) as browser:
        page = (await browser.get("/me/consents")).text
        assert "An adult of your booking must say yes for you" in page
        assert 'name="given" value="yes"' not in page
        assert await say(browser, "photo", "yes") == 409
        assert await given(ship, child.ref, PHOTO) is None
        assert await say(browser, "photo", "no") == 303
    assert await given(ship, child.ref, PHOTO) is False


async def test_an_adult_of_the_booking_says_it_for_the_child(ship: PageShip) -> None:
    adult, child, _ = await family(ship)
    path = f"/me/consents/children/{child.ref}"
    async with phone(ship, adult) as browser:
        assert path in (await browser.get("/me/consents")).text
        await adult.prove(browser)
        assert await say(browser, "photo", "yes", path) == 303
        await browser.get(path)
        receipts = [
            read_receipt(read_signed((await browser.get(each)).content)) for each in RECEIPTS.findall(browser.text)
        ]
    assert await given(ship, child.ref, PHOTO) is True
    assert await given(ship, adult.ref, PHOTO) is None  # their own is another matter
    assert {(each.guest, each.way) for each in receipts} == {(child.ref, "parent")}
    (event,) = await events(ship, EventType.CONSENT_GIVEN)
    assert (event.payload["guest"], event.payload["parent"]) == (child.ref, adult.ref)


async def test_the_adults_band_alone_says_no_yes_for_the_child(ship: PageShip) -> None:
    """A child can hold an adult's band to a phone: that is not the adult's word. To say no, it is enough."""
    adult, child, _ = await family(ship)
    path = f"/me/consents/children/{child.ref}"
    async with phone(ship, adult) as browser:
        await browser.get(path)
        answer = await browser.post(path, purpose="photo", given="yes")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/me/prove?next={path}")
        assert await given(ship, child.ref, PHOTO) is None
        await browser.follow(answer)
        answer = await browser.post("/me/prove/pin", pin=PIN, next=path)
        assert answer.headers["location"] == path
        assert await say(browser, "photo", "yes", path) == 303
        assert await given(ship, child.ref, PHOTO) is True
    async with phone(ship, adult) as browser:
        assert await say(browser, "photo", "no", path) == 303
    assert await given(ship, child.ref, PHOTO) is False


async def test_the_receipt_of_a_child_is_its_own_adults(ship: PageShip) -> None:
    adult, child, other = await family(ship)
    path = f"/me/consents/children/{child.ref}"
    async with phone(ship, adult) as browser:
        assert await say(browser, "photo", "no", path) == 303
        await browser.get(path)
        (receipt,) = set(RECEIPTS.findall(browser.text))
        assert (await browser.get(receipt)).status_code == 200
    for stranger in (other, child):
        async with phone(ship, stranger) as browser:
            assert (await browser.get(receipt)).status_code == 404


async def test_nobody_else_gets_at_a_child(ship: PageShip) -> None:
    adult, child, other = await family(ship)
    paths = [f"/me/consents/children/{ref}" for ref in (child.ref, adult.ref, other.ref, "f" * 16, "x")]
    async with phone(ship, other) as browser:
        await browser.get("/me/consents")
        for path in paths:
            assert (await browser.get(path)).status_code == 404, path
            await browser.get("/me/consents")
            assert (await browser.post(path, purpose="photo", given="yes")).status_code == 404, path
            assert (await browser.post(path, purpose="photo", given="no")).status_code == 404, path
    async with phone(ship, adult) as browser:
        for path in paths[1:]:
            assert (await browser.get(path)).status_code == 404, path
    assert await given(ship, child.ref, PHOTO) is None


# Sec-GPC


async def test_a_browser_that_objects_is_taken_at_its_word_once(ship: PageShip) -> None:
    who = await wearer(ship)
    async with phone(ship, who, **{"Sec-GPC": "1"}) as browser:
        page = (await browser.get("/me/consents")).text
        assert await given(ship, who.ref, ASHORE) is False
        assert await given(ship, who.ref, PHOTO) is True
        assert "Global Privacy Control" in page
        assert await say(browser, "analytics_ashore", "yes") == 303
        await browser.get("/me")
        assert await given(ship, who.ref, ASHORE) is True  # said here, afterwards
    ways = await ship.services.store.read(lambda tx: [basis.way for _, basis in sorted(tx.bases_of(who.ref).items())])
    assert sorted(ways) == [Said.BROWSER, Said.PAGE]


@pytest.mark.parametrize("value", ["0", "", "1, 1", "true", "01"])
async def test_any_other_value_says_nothing(ship: PageShip, value: str) -> None:
    who = await wearer(ship)
    async with phone(ship, who, **{"Sec-GPC": value}) as browser:
        assert "Global Privacy Control" not in (await browser.get("/me/consents")).text
    assert await given(ship, who.ref, ASHORE) is True


async def test_a_header_that_comes_twice_says_nothing(ship: PageShip) -> None:
    """One of the two is not the browser's."""
    who = await wearer(ship)
    async with phone(ship, who) as browser:
        for second in ("0", "1"):
            twice = [("Accept", "text/html"), ("Sec-GPC", "1"), ("Sec-GPC", second)]
            assert (await browser.client.get("/me", headers=twice)).status_code == 200
        assert await ship.services.store.read(lambda tx: tx.browser_objection(who.ref)) is None
        await browser.get("/me", **{"Sec-GPC": "1"})
    assert await ship.services.store.read(lambda tx: tx.browser_objection(who.ref)) is not None


async def test_receipts_are_files_of_json_ld(ship: PageShip) -> None:
    who = await wearer(ship)
    async with phone(ship, who) as browser:
        await say(browser, "photo", "no")
        await browser.get("/me/consents")
        receipt = json.loads((await browser.get(RECEIPTS.findall(browser.text)[0])).content)
    body = receipt["body"]
    assert body["@context"][0] == "https://w3id.org/dpv"
    assert body["dpv:hasRecordOfActivity"]["dpv:hasDataController"]["dct:title"] == ship.services.identity.ship
