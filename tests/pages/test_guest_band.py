"""A guest's own bands: what is on them, freezing one, no-tracking and what it changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.pages.guestkit import Wearer, events, phone, wearer, worn
from tests.pages.pagekit import BAR, PageShip
from tests.pages.test_guest_folio import guest_of

from steward.domain.condition import BandCondition
from steward.domain.consent import ConsentPurpose, purposes_given
from steward.domain.events import EventType
from steward.domain.guests import BandState
from steward.domain.ids import GuestRef, Uid
from steward.domain.viewing import CrewRole


async def given(ship: PageShip, ref: GuestRef) -> frozenset[ConsentPurpose]:
    return purposes_given(await ship.services.store.read(lambda tx: tx.consents_of(ref)))


async def family(ship: PageShip) -> tuple[Wearer, GuestRef]:
    """An adult with a band, and a child of the same booking."""
    alma = await wearer(ship)
    booking = (await guest_of(ship, alma.ref)).booking
    return alma, await ship.aboard.guest(cabins=[5012], booking=booking, child=True)


async def test_what_is_on_the_band_in_words(ship: PageShip) -> None:
    alma = await wearer(ship)
    told = BandCondition(alma.uid_text, True, 83, False, ship.services.clock.now().unix_s)
    await ship.services.store.write(lambda tx: tx.put_condition(told))
    async with phone(ship, alma) as browser:
        finders = (await browser.get("/me/band")).text.partition("<main")[2]
        await alma.prove(browser)
        page = (await browser.get("/me/band")).text
    for hidden in ("5012", alma.ref, "gangway", "Alma"):  # whoever finds a band must not learn which door it opens
        assert hidden not in finders, hidden
    for said in (
        "Band no. 1",
        "Works",
        "With a battery",
        "83 %",
        alma.ref,
        "5012",
        "gangway",
        "The radio is off.",
    ):
        assert said in page, said
    assert "Alma" not in page.partition("<main")[2].partition("What is stored")[2]


@pytest.mark.parametrize("language", ["en", "nb"])
async def test_bands_of_every_kind_and_state_have_their_words(ship: PageShip, language: str) -> None:
    alma = await wearer(ship)
    now_s = ship.services.clock.now().unix_s
    for serial, state in enumerate(BandState, start=2):
        uid = Uid(f"04{serial:012X}")
        other = replace(await alma.band(), uid=uid, serial=serial, state=state, active=serial % 2 == 0)
        told = BandCondition(uid, other.active, 7 if other.active else None, True, now_s - 90_000)
        await ship.services.store.write(lambda tx, b=other, c=told: (tx.put_band(b), tx.put_condition(c)))  # type: ignore[misc]
    await ship.services.folio.settle(alma.ref)
    async with phone(ship, alma, **{"Accept-Language": language}) as browser:
        for path in ("/me/band", "/me/folio", "/me/folio/statement"):
            assert (await browser.get(path)).status_code == 200, path


async def test_freezing_needs_no_proof_and_closes_the_page(ship: PageShip) -> None:
    alma = await wearer(ship)
    async with phone(ship, alma) as browser:
        await browser.get("/me/band")
        answer = await browser.post(f"/me/band/freeze/{alma.uid_text}", new="1")
        assert "The band is frozen" in (await browser.follow(answer)).text
        assert (await browser.get("/me/band")).headers["location"] == "/me/in"
        assert (await alma.open(browser)).status_code == 403
    assert (await alma.band()).state is BandState.FROZEN
    assert await ship.services.store.read(lambda tx: tx.denied_at(alma.uid_text)) is not None
    [frozen] = await events(ship, EventType.BAND_FROZEN)
    assert (frozen.payload["by"], frozen.payload["reason"]) == ("guest", "lost")


async def test_the_desk_sees_who_needs_a_new_band_and_only_if_asked(ship: PageShip) -> None:
    alma, bo = await wearer(ship), await wearer(ship, "Bo Sample", cabin=5014)
    for who, fields in ((alma, {"new": "1"}), (bo, {})):
        async with phone(ship, who) as browser:
            await browser.get("/me/band")
            await browser.post(f"/me/band/freeze/{who.uid_text}", None, **fields)
    async with ship.browser() as desk:
        await ship.sign_in(desk, await ship.crew(CrewRole.GUEST_SERVICES), shift="reception guest_services")
        page = (await desk.get("/crew/cases")).text
    assert page.count("needs a new one") == 1
    assert len(await events(ship, EventType.RECOVERY_OPENED)) == 1


async def test_one_switch_says_no_to_everything_that_is_optional(ship: PageShip) -> None:
    alma = await wearer(ship)
    await ship.services.consents.say(alma.ref, dict.fromkeys(ConsentPurpose, True), "desk")
    async with phone(ship, alma) as browser:
        assert "Off: doors write down" in (await browser.get("/me/band")).text
        assert (await browser.post("/me/band/untracked")).headers["location"] == "/me/band"
        assert "On: movements are kept nowhere" in (await browser.get("/me/band")).text
        assert await given(ship, alma.ref) == frozenset()
        assert (await browser.post("/me/band/tracked")).headers["location"] == "/me/prove?next=/me/band"
        assert await ship.services.no_tracking.is_on(alma.ref)
        await alma.prove(browser)
        await browser.get("/me/band")
        await browser.post("/me/band/tracked")
        assert not await ship.services.no_tracking.is_on(alma.ref)
        assert await given(ship, alma.ref) == frozenset()  # nothing comes back by itself


async def test_a_yes_that_is_said_afterwards_counts(ship: PageShip) -> None:
    alma = await wearer(ship)
    await ship.services.no_tracking.say(alma.ref, True, "guest")
    await ship.services.consents.say(alma.ref, {ConsentPurpose.PHOTO: True}, "guest")
    assert await given(ship, alma.ref) == {ConsentPurpose.PHOTO}
    await ship.services.no_tracking.say(alma.ref, True, "guest")
    assert await given(ship, alma.ref) == frozenset()
    assert await ship.services.no_tracking.is_on(alma.ref)


async def test_children_are_not_tracked_unless_an_adult_of_the_booking_says_so(ship: PageShip) -> None:
    alma, child = await family(ship)
    assert await ship.services.no_tracking.is_on(child)
    junior = await worn(ship, child)
    await ship.services.checkin.set_pin(child, "2580")
    async with phone(ship, junior) as browser:
        await junior.prove(browser)
        assert "An adult of your booking decides" in (await browser.get("/me/band")).text
        assert (await browser.post("/me/band/tracked")).status_code == 409
    assert await ship.services.no_tracking.is_on(child)
    async with phone(ship, alma) as browser:
        await alma.prove(browser)
        await browser.get("/me/band")
        await browser.post(f"/me/band/tracked/{child}")
        assert not await ship.services.no_tracking.is_on(child)
        await browser.get("/me/band")
        await browser.post(f"/me/band/untracked/{child}")
        assert await ship.services.no_tracking.is_on(child)


async def test_nothing_is_suggested_and_no_decision_logged(ship: PageShip) -> None:
    """The same card, looked at before and after."""
    alma = await wearer(ship)
    async with phone(ship, alma) as guest, ship.browser() as crew:
        await ship.sign_in(crew, await ship.crew(CrewRole.SERVICE))
        ship.tap_guest(alma.ref, BAR)
        shown = (await crew.get(f"/crew/guests/{alma.ref}")).text
        assert "/crew/offers/" in shown
        decided = len(await ship.services.store.read(lambda tx: tx.decisions_of(alma.ref, 99)))
        offered = len(await events(ship, EventType.OFFER_SHOWN))
        assert decided
        assert offered
        await guest.get("/me/band")
        await guest.post("/me/band/untracked")
        ship.tap_guest(alma.ref, BAR)
        card = (await crew.get(f"/crew/guests/{alma.ref}")).text
        assert "/crew/offers/" not in card
        assert len(await ship.services.store.read(lambda tx: tx.decisions_of(alma.ref, 99))) == decided
        assert len(await events(ship, EventType.OFFER_SHOWN)) == offered
