"""A guest's own folio: what is on it, whose it is, disputes, limits, the statement."""

from __future__ import annotations

import csv
import io

import pytest
from tests.pages.guestkit import events, phone, wearer, worn
from tests.pages.pagekit import PageShip
from tests.pages.purserkit import Desk
from tests.unit.moneykit import FakeBand

from steward.domain.charges import ChargeState
from steward.domain.events import EventType
from steward.domain.guests import Guest
from steward.domain.ids import GuestRef


async def guest_of(ship: PageShip, ref: GuestRef) -> Guest:
    guest = await ship.services.store.read(lambda tx: tx.guest(ref))
    assert guest is not None
    return guest


async def test_charges_balance_and_what_is_left(ship: PageShip, desk: Desk) -> None:
    alma = await wearer(ship)
    await desk.charge(alma.ref, 1250, "Two coffees")
    await desk.charge(alma.ref, 500, shop=True)
    async with phone(ship, alma) as browser:
        page = (await browser.get("/me/folio")).text
        for said in ("Two coffees", "Lagoon Bar", "Deck Shop", "12.50 EUR", "17.50 EUR", "17.50 EUR of 500.00 EUR"):
            assert said in page, said
        await ship.services.folio.deposit(alma.ref, 5000, "d1")
        page = (await browser.get("/me/folio")).text
        assert "In your favour" in page
        assert "32.50 EUR" in page


async def test_looking_at_it_is_in_nobodys_log(ship: PageShip, desk: Desk) -> None:
    alma = await wearer(ship)
    tap = await desk.charge(alma.ref, 450)
    async with phone(ship, alma) as browser:
        before = len(await ship.services.lookups.log_page(0))
        for path in ("/me/folio", f"/me/folio/charge/{tap}", "/me/folio/statement", "/me/folio/statement.csv"):
            assert (await browser.get(path)).status_code == 200, path
        assert len(await ship.services.lookups.log_page(0)) == before


async def test_a_dispute_rests_on_what_the_band_proved_and_reaches_the_purser(ship: PageShip, desk: Desk) -> None:
    alma = await wearer(ship)
    tap = await desk.charge(alma.ref, 980, "Champagne", band=FakeBand(alma.uid, alma.ref))
    path = f"/me/folio/charge/{tap}"
    async with phone(ship, alma) as browser:
        page = (await browser.get(path)).text
        assert "The band itself signed this very amount" in page
        assert "9.80 EUR" in page
        assert f"/me/prove?next={path}" in page
        await alma.prove(browser)
        await browser.get(path)
        for reason in ("", "   ", "x" * 201, "two\nlines"):
            answer = await browser.post(path + "/dispute", reason=reason)
            assert answer.status_code == 409, reason
            assert "Say on one line" in answer.text
        answer = await browser.post(path + "/dispute", reason="I was ashore")
        assert answer.headers["location"] == path
        assert "Disputed" in (await browser.get(path)).text
        assert "9.80 EUR of it is disputed" in (await browser.get("/me/folio")).text
    [disputed] = await ship.services.store.read(lambda tx: tx.disputed_charges(9))
    assert (disputed.state, disputed.reason) == (ChargeState.DISPUTED, "I was ashore")
    [said] = await events(ship, EventType.CHARGE_DISPUTED)
    assert said.payload["by"] == "guest"
    assert await desk.balance(alma.ref) == 980


async def test_an_adult_sees_what_children_spend_and_a_child_only_its_own(ship: PageShip, desk: Desk) -> None:
    alma = await wearer(ship)
    booking = (await guest_of(ship, alma.ref)).booking
    child = await ship.aboard.guest(cabins=[5012], booking=booking, child=True)
    junior = await worn(ship, child)
    mine, theirs = await desk.charge(alma.ref, 1000, "Wine"), await desk.charge(child, 350, "Ice cream")
    async with phone(ship, alma) as browser:
        page = (await browser.get("/me/folio")).text
        assert "Ice cream" in page
        assert "Child of your booking" in page
        assert "a child&#39;s of your booking" in (await browser.get(f"/me/folio/charge/{theirs}")).text
    async with phone(ship, junior) as browser:
        page = (await browser.get("/me/folio")).text
        assert "Ice cream" in page
        assert "Wine" not in page
        assert (await browser.get(f"/me/folio/charge/{mine}")).status_code == 404


async def test_another_adult_of_the_booking_sees_nothing_of_mine(ship: PageShip, desk: Desk) -> None:
    alma = await wearer(ship)
    other = await ship.aboard.guest(cabins=[5012], booking=(await guest_of(ship, alma.ref)).booking)
    tap = await desk.charge(other, 700, "A present")
    async with phone(ship, alma) as browser:
        assert "A present" not in (await browser.get("/me/folio")).text
        assert (await browser.get(f"/me/folio/charge/{tap}")).status_code == 404


async def test_limits_go_down_at_once_and_never_up(ship: PageShip) -> None:
    alma = await wearer(ship)
    async with phone(ship, alma) as browser:
        assert 'name="day"' not in (await browser.get("/me/folio/limits")).text
        await alma.prove(browser)
        await browser.get("/me/folio/limits")
        answer = await browser.post("/me/folio/limits", day="40.00", stay="1000.00", above="0")
        assert answer.headers["location"] == "/me/folio"
        limits = (await guest_of(ship, alma.ref)).limits
        assert (limits.day_minor, limits.stay_minor, limits.verify_above_minor) == (4000, 100_000, 0)
        for day, said in (("40.01", "only go down"), ("-1", "without the currency"), ("", "without the currency")):
            await browser.get("/me/folio/limits")
            answer = await browser.post("/me/folio/limits", day=day, stay="10", above="0")
            assert answer.status_code == 409
            assert said in answer.text
        assert (await guest_of(ship, alma.ref)).limits == limits
    [said_] = await events(ship, EventType.LIMITS_SET)
    assert (said_.payload["by"], said_.payload["day_minor"]) == ("guest", 4000)


async def test_the_statement_prints_and_saves(ship: PageShip, desk: Desk) -> None:
    alma = await wearer(ship)
    await desk.charge(alma.ref, 1250, '=HYPERLINK("x")')
    await desk.charge(alma.ref, 450, 'Tea, "green"')
    async with phone(ship, alma) as browser:
        page = (await browser.get("/me/folio/statement")).text
        assert "=HYPERLINK" in page
        answer = await browser.get("/me/folio/statement.csv")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == 'attachment; filename="statement.csv"'
        rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["text"], row["amount_minor"], row["balance_minor"]) for row in rows] == [
        ('\'=HYPERLINK("x")', "1250", "1250"),
        ('Tea, "green"', "450", "1700"),
    ]


@pytest.mark.parametrize("path", ["/me/folio", "/me/folio/limits", "/me/folio/statement"])
async def test_an_empty_folio_is_a_page_too(ship: PageShip, path: str) -> None:
    alma = await wearer(ship)
    async with phone(ship, alma, **{"Accept-Language": "nb"}) as browser:
        assert (await browser.get(path)).status_code == 200
