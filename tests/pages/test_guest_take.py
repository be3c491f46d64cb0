"""Taking one's data along: the whole of it, to its schema, for the guest alone."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from html import unescape
from importlib import resources

import pytest
from jsonschema import Draft202012Validator
from tests.consentkit import agree
from tests.pages.guestkit import Wearer, events, phone, wearer, worn
from tests.pages.pagekit import BAR, PageShip, png

from steward.domain.care import Case, CaseId, Note, NoteId
from steward.domain.consent import ConsentPurpose
from steward.domain.context import StayCompany
from steward.domain.events import EventType, fact
from steward.domain.export import EVENTS, SECTIONS
from steward.domain.features import Company, Signal
from steward.domain.outlets import OutletKind
from steward.domain.presence import Presence
from steward.domain.profiles import Allergen, Diet
from steward.domain.requests import Right
from steward.domain.signals import Switch
from steward.domain.usecases import REGISTER
from steward.domain.viewing import CrewRole, Field, Purpose, Viewer, look_at
from steward.ports import Tx
from steward.web.pages.guest_taken import ROWS_SHOWN

SCHEMA = json.loads(resources.files("steward").joinpath("export.schema.json").read_text(encoding="utf-8"))
XSS = "<script>alert(1)</script>"


async def alma(ship: PageShip) -> Wearer:
    """Somebody of whom there is something in every section."""
    ref = await ship.guest("Alma Example", allergies=[Allergen.NUTS], diet=[Diet.VEGAN], photo=png())
    await ship.services.checkin.set_pin(ref, "2580")
    who = await worn(ship, ref)
    now_s = ship.services.clock.now().unix_s
    waiter = Viewer("c1", CrewRole.SERVICE, BAR, OutletKind.FOOD_AND_DRINK, Purpose.FOOD_AND_DRINK)

    def fill(tx: Tx) -> None:
        agree(tx, ref, *[p for p in ConsentPurpose if tx.consent(ref, p) is None])
        said = f"no ice {XSS}"
        note = Note(NoteId("0a" * 8), ref, Purpose.FOOD_AND_DRINK, said, "crew-secret", BAR, now_s, now_s + 9)
        tx.put_note(note)
        tx.open_case(Case(CaseId("0b" * 8), ref, BAR, "soup was cold", "crew-secret", now_s))
        tx.put_switch(Switch(ref, next(iter(Signal)), False, now_s, 1))
        tx.put_company(StayCompany(ref, next(iter(Company))))
        tx.log_look_up(look_at(waiter, ref, {Field.PREFERRED_NAME}, now_s))
        tx.append_event(fact(EventType.LIMITS_SET, now_s, guest=ref, by="crew-secret", stay_minor=1, day_minor=1))
        tx.put_presence(Presence(ref, "spa", now_s - 60, now_s))

    await ship.services.store.write(fill)
    await ship.services.requests.open(ref, Right.ACCESS, "everything, please", ref)
    return who


async def document_of(ship: PageShip, who: Wearer) -> dict[str, object]:
    async with phone(ship, who) as browser:
        await who.prove(browser)
        await browser.get("/me/take")
        answer = await browser.post("/me/take/file")
        assert answer.status_code == 200, answer.text[:300]
        assert answer.headers["content-disposition"] == 'attachment; filename="steward-my-data.json"'
        assert answer.headers["cache-control"] == "no-store"
        found = json.loads(answer.content)
        assert isinstance(found, dict)
        return found


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


async def test_the_file_is_what_its_schema_says_and_has_something_of_everything(ship: PageShip) -> None:
    who = await alma(ship)
    found = await document_of(ship, who)
    Draft202012Validator(SCHEMA).validate(found)
    assert found["guest"] == who.ref
    assert found["profile"]["full_name"] == "Alma Example"  # type: ignore[index]
    assert found["notes"][0]["text"] == f"no ice {XSS}"  # type: ignore[index]
    assert found["cases"][0]["what"] == "soup was cold"  # type: ignore[index]
    assert found["requests"][0]["said"] == ["everything, please"]  # type: ignore[index]
    assert found["look_ups"][0]["role"] == "service"  # type: ignore[index]
    empty = {name for name in SECTIONS if not found[name]}
    assert found["presence"]["zone"] == "spa"  # type: ignore[index]
    assert empty == {"offers", "decisions"}
    assert len(found["consents"]["receipts"]) == len(found["consents"]["history"]) > 0  # type: ignore[index]


async def test_nothing_in_it_tells_of_somebody_else(ship: PageShip) -> None:
    who, other = await alma(ship), await wearer(ship, "Bo Stranger", cabin=5014)
    text = json.dumps(await document_of(ship, who))
    for foreign in ("crew-secret", "c1", other.ref, "Bo Stranger", other.uid_text):
        assert f'"{foreign}"' not in text, foreign
    for secret in ("pin_digest", "pin_salt", "mac"):
        assert f'"{secret}"' not in text


async def test_every_use_of_the_register_is_told_with_its_sections(ship: PageShip) -> None:
    found = await document_of(ship, await alma(ship))
    told = {case["id"] for case in found["use_cases"]}  # type: ignore[attr-defined]
    assert told == {case.id for case in REGISTER.use_cases.values() if case.about == "guests"}
    sections = {section for case in found["use_cases"] for section in case["sections"]}  # type: ignore[attr-defined]
    assert sections == {*SECTIONS, EVENTS}


async def test_that_it_was_taken_is_recorded(ship: PageShip) -> None:
    who = await alma(ship)
    await document_of(ship, who)
    assert [dict(e.payload) for e in await events(ship, EventType.DATA_EXPORTED)] == [{"guest": who.ref, "by": "guest"}]


async def test_the_same_can_be_read_here_and_nothing_in_it_is_markup(ship: PageShip) -> None:
    who = await alma(ship)
    async with phone(ship, who) as browser:
        await who.prove(browser)
        await browser.get("/me/take")
        page = await browser.post("/me/take/read")
    assert page.status_code == 200
    for word in ("Alma Example", "soup was cold", "Notes of the crew", "everything, please"):
        assert word in page.text
    assert XSS not in page.text
    assert "crew-secret" not in page.text


READ = {
    "en": {
        *(
            "Booking number",
            "Name on the booking",
            "Nuts",
            "Vegan",
            "1,000.00 EUR",
            "500.00 EUR",
            "Lagoon Bar",
            "gangway",
        ),
        *("You signed in to your page", "With the PIN", "You were checked in", "What you took and liked before"),
        *("To see what you hold about me", "Limits were set", "Deposit", "50.00 EUR", "Notes by crew"),
        *("Kept until", "Your allergies and diet", "How: From a list or a link", "State: Works", "Agreed: yes"),
        "By law: Bookkeeping law wants accounts kept for five years.",
    },
    "nb": {
        *("Bestillingsnummer", "Navn på bestillingen", "Nøtter", "1\u202f000,00 EUR", "Du logget inn på siden din"),
        *("Med PIN", "Du ble sjekket inn", "Grenser ble satt", "Oppbevares til", "Sagt ja: ja"),
    },
}


@pytest.mark.parametrize("language", ["en", "nb"])
async def test_what_is_read_here_is_in_words(ship: PageShip, language: str) -> None:
    who = await alma(ship)
    await ship.services.folio.deposit(who.ref, 5000, "dep-1")
    document = await document_of(ship, who)
    async with phone(ship, who) as browser:
        await who.prove(browser)
        browser.client.headers["Accept-Language"] = language
        await browser.get("/me/take")
        page = await browser.post("/me/take/read")
    text = unescape(re.sub(r"<[^>]+>", "", re.sub(r"</dt><dd>", ": ", page.text)))
    assert [word for word in READ[language] if word not in text] == []
    events = document["events"]
    assert isinstance(events, list)
    names = {*names_of(document), *(event["type"] for event in events)}
    raw = {name for name in names if "_" in name and re.search(rf"\b{name}\b", text)}
    assert raw == set()


def names_of(held: object) -> Iterator[str]:
    if isinstance(held, dict):
        for name, inner in held.items():
            yield name
            yield from names_of(inner)
    elif isinstance(held, list):
        for inner in held:
            yield from names_of(inner)


async def test_of_a_long_list_the_page_has_the_newest_and_says_so(ship: PageShip) -> None:
    who = await alma(ship)

    def fill(tx: Tx) -> None:
        for n in range(ROWS_SHOWN + 3):
            tx.append_event(fact(EventType.DOOR_OPENED, 1_700_000_000 + n, guest=who.ref, place=f"place-{n}-"))

    await ship.services.store.write(fill)
    async with phone(ship, who) as browser:
        await who.prove(browser)
        await browser.get("/me/take")
        page = await browser.post("/me/take/read")
    assert "3 older ones are only in the file." in page.text
    assert page.text.count("A door opened") == ROWS_SHOWN
    assert "place-2-" not in page.text
    assert f"place-{ROWS_SHOWN + 2}-" in page.text
    doors = page.text.partition("Which door was opened")[2].partition("<h2")[0]
    assert "place-3-" in doors


async def test_the_folio_is_a_table(ship: PageShip) -> None:
    who = await alma(ship)
    await ship.services.folio.deposit(who.ref, 5000, "dep-1")
    async with phone(ship, who) as browser:
        await who.prove(browser)
        await browser.get("/me/take")
        answer = await browser.post("/me/take/table")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["kind"], row["amount_minor"], row["balance_minor"]) for row in rows] == [("deposit", "-5000", "-5000")]


@pytest.mark.parametrize("path", ["file", "table", "read"])
async def test_the_bands_link_alone_gives_nothing_away(ship: PageShip, path: str) -> None:
    who = await alma(ship)
    async with phone(ship, who) as browser:
        page = await browser.get("/me/take")
        assert "/me/prove?next=/me/take" in page.text
        await browser.get("/me/band")
        answer = await browser.post(f"/me/take/{path}")
        assert answer.headers["location"] == "/me/prove?next=/me/take"
    assert not await events(ship, EventType.DATA_EXPORTED)


async def test_nobody_takes_anothers(ship: PageShip) -> None:
    who, other = await alma(ship), await wearer(ship, "Bo Stranger", cabin=5014)
    async with phone(ship, other) as browser:
        await other.prove(browser)
        await browser.get("/me/take")
        assert (await browser.post("/me/take/file", child=who.ref)).status_code == 409
        assert (await browser.post("/me/take/file", child="../../x")).status_code == 404
        assert (await browser.post("/me/take/file", child="f" * 16)).status_code == 404
    assert not await events(ship, EventType.DATA_EXPORTED)
