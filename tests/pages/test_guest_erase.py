"""Asking to be forgotten on one's own page, and the paper of it that everybody with its address may see."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from tests.pages.guestkit import Wearer, events, phone, wearer, worn
from tests.pages.pagekit import PageShip, png

from steward.domain.erasure import Part, Wait, certificate_id
from steward.domain.events import EventType
from steward.domain.guests import BandState
from steward.domain.ids import GuestRef
from steward.domain.signedrecord import holds, read_signed
from steward.domain.viewing import DESK, Field, Purpose

PAPER = re.compile(r"/me/paper/[0-9a-f]{32}")


async def family(ship: PageShip) -> tuple[Wearer, GuestRef]:
    """An adult and a child of one booking."""
    alma = await wearer(ship)
    child = await ship.guest("Kim Example", cabin=5012, child=True)
    booking = (await ship.services.store.read(lambda tx: tx.guest(alma.ref))).booking  # type: ignore[union-attr]

    def same(tx: object) -> None:
        known = tx.guest(child)  # type: ignore[attr-defined]
        tx.put_guest(replace(known, booking=booking))  # type: ignore[attr-defined]

    await ship.services.store.write(same)
    return alma, child


async def test_a_guest_who_is_aboard_is_told_what_goes_and_what_waits(ship: PageShip) -> None:
    alma = await wearer(ship)
    async with phone(ship, alma) as browser:
        page = await browser.get("/me/erase")
    assert "What goes at once" in page.text
    assert "The stay is not over" in page.text
    assert "/me/prove?next=/me/erase" in page.text
    assert 'name="sure"' not in page.text


async def test_forgetting_ends_the_session_and_leaves_a_paper(ship: PageShip) -> None:
    ref = await ship.guest("Alma Example", photo=png())
    await ship.services.checkin.set_pin(ref, "2580")
    alma = await worn(ship, ref)
    async with phone(ship, alma) as browser:
        await alma.prove(browser)
        await browser.get("/me/erase")
        answer = await browser.post("/me/erase/now", sure="1")
        paper = answer.headers["location"]
        assert PAPER.fullmatch(paper)
        page = await browser.follow(answer)
        assert page.status_code == 200
        assert "What could go at once is gone" in page.text
        assert "Alma" not in page.text
        assert (await browser.get("/me/take")).headers["location"] == "/me/in"
    async with ship.browser() as stranger:  # the address is all it takes, and it names nobody
        again = await stranger.get(paper)
        assert "Certificate of erasure" in again.text
        file = await stranger.get(f"{paper}/file")
        signed = read_signed(file.content)
        assert holds(signed)
        assert signed.body["guest"] == ref
        assert file.headers["content-disposition"].startswith("attachment")
        assert (await stranger.get("/me/paper/" + "0" * 32)).status_code == 404
        assert (await stranger.get("/me/paper/..%2F..%2Fx")).status_code == 404
    assert not await ship.services.store.read(lambda tx: tx.has_profile(ref))
    async with phone(ship, alma) as browser:
        page = await browser.get("/me/erase")
        assert "You have asked to be forgotten" in page.text
        assert paper in page.text


async def test_who_has_left_is_forgotten_altogether(ship: PageShip) -> None:
    alma = await wearer(ship)
    async with phone(ship, alma) as browser:
        await alma.prove(browser)
        await browser.get("/me/erase")
        await alma.put_band(state=BandState.RETURNED)
        await ship.services.folio.settle(alma.ref, "desk")
        erasure = await ship.services.erasures.erase(alma.ref, "desk")
        assert erasure.part is Part.ALL
        assert (await browser.post("/me/erase/now", sure="1")).headers["location"] == "/me/in"
        assert (await browser.get(f"/me/paper/{erasure.certificate}")).status_code == 200
        assert "You are forgotten" in (await browser.get(f"/me/paper/{erasure.certificate}")).text


async def test_without_the_tick_nothing_happens(ship: PageShip) -> None:
    alma = await wearer(ship)
    async with phone(ship, alma) as browser:
        await alma.prove(browser)
        await browser.get("/me/erase")
        for fields in ({}, {"sure": "no"}):
            answer = await browser.post("/me/erase/now", **fields)
            assert answer.status_code == 409
            assert "Tick the box first" in answer.text
    assert await ship.services.store.read(lambda tx: tx.erasure(alma.ref)) is None


async def test_the_bands_link_alone_forgets_nobody(ship: PageShip) -> None:
    alma = await wearer(ship)
    async with phone(ship, alma) as browser:
        await browser.get("/me/band")
        answer = await browser.post("/me/erase/now", sure="1")
        assert answer.headers["location"] == "/me/prove?next=/me/erase"
    assert await ship.services.store.read(lambda tx: tx.erasure(alma.ref)) is None


async def test_a_form_from_elsewhere_forgets_nobody(ship: PageShip) -> None:
    alma = await wearer(ship)
    async with phone(ship, alma) as browser:
        await alma.prove(browser)
        await browser.get("/me/erase")
        answer = await browser.post("/me/erase/now", {"Origin": "https://elsewhere.example"}, sure="1")
        assert answer.status_code == 403
        answer = await browser.post("/me/erase/now", sure="1", csrf="0" * 64)
        assert answer.status_code in (400, 403, 409)
    assert await ship.services.store.read(lambda tx: tx.erasure(alma.ref)) is None


async def test_an_adult_asks_for_a_child_and_a_child_cannot(ship: PageShip) -> None:
    alma, child = await family(ship)
    await ship.services.checkin.set_pin(child, "1357")
    kim = await worn(ship, child)
    async with phone(ship, kim) as browser:
        await kim.prove(browser, "1357")
        page = await browser.get("/me/erase")
        assert "an adult of the same booking asks" in page.text
        assert 'name="sure"' not in page.text
        await browser.get("/me/band")
        assert "An adult decides this" in (await browser.post("/me/erase/now", sure="1")).text
    assert await ship.services.store.read(lambda tx: tx.erasure(child)) is None
    async with phone(ship, alma) as browser:
        for path in ("/me/erase", "/me/take"):
            assert "Kim" not in (await browser.get(path)).text  # whoever found the band learns no child's name
        await alma.prove(browser)
        page = await browser.get("/me/erase")
        assert "Kim" in page.text
        answer = await browser.post("/me/erase/now", sure="1", child=child)
        assert answer.headers["location"] == f"/me/paper/{certificate_id(child)}"
        assert (await browser.get("/me/erase")).status_code == 200  # the adult stays signed in
    assert await ship.services.store.read(lambda tx: (tx.has_profile(child), tx.has_profile(alma.ref))) == (False, True)


async def test_nobody_forgets_somebody_else(ship: PageShip) -> None:
    alma, bo = await wearer(ship), await wearer(ship, "Bo Stranger", cabin=5014)
    async with phone(ship, bo) as browser:
        await bo.prove(browser)
        await browser.get("/me/erase")
        for other in (alma.ref, "f" * 16, "x"):
            assert (await browser.post("/me/erase/now", sure="1", child=other)).status_code in (404, 409)
    assert await ship.services.store.read(lambda tx: tx.erasure(alma.ref)) is None
    assert await ship.services.store.read(lambda tx: tx.has_profile(alma.ref))


@pytest.mark.parametrize(("language", "word"), [("en", "Be forgotten"), ("nb", "Bli glemt")])
async def test_both_languages(ship: PageShip, language: str, word: str) -> None:
    alma = await wearer(ship)
    async with phone(ship, alma, **{"Accept-Language": language}) as browser:
        assert word in (await browser.get("/me/erase")).text
        assert (await browser.get("/me/take")).status_code == 200


# the desk


async def test_the_desk_forgets_at_a_guests_word(ship: PageShip) -> None:
    alma = await wearer(ship)
    call, path = ship.aboard.call, f"/v1/guests/{alma.ref}/erasure"
    refused = await call("desk", "POST", path, {"sure": False})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_sure")
    done = await call("desk", "POST", path, {"sure": True, "reason": "by letter"})
    assert done.status_code == 200, done.text
    assert holds(read_signed(json.dumps(done.json()).encode()))
    assert done.json()["body"]["waits_for"] == [Wait.ABOARD.value]
    number = done.json()["body"]["certificate"]
    again = await call("purser", "GET", f"/v1/erasures/{number}")
    assert again.json()["body"]["certificate"] == number
    assert (await call("desk", "GET", f"/v1/erasures/{'0' * 32}")).status_code == 404
    assert [e.payload["part"] for e in await events(ship, EventType.GUEST_ERASED)] == [1]


async def test_the_desk_hands_out_data_only_with_the_guests_pin(ship: PageShip) -> None:
    alma = await wearer(ship)
    call, path = ship.aboard.call, f"/v1/guests/{alma.ref}/export"
    wrong = await call("desk", "POST", path, {"pin": "0000"})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "pin_wrong")
    right = await call("desk", "POST", path, {"pin": "2580"})
    assert right.json()["profile"]["full_name"] == "Alma Example"
    said = await events(ship, EventType.DATA_EXPORTED)
    assert [str(e.payload["by"]).startswith("token:") for e in said] == [True]
    (look,) = await ship.services.lookups.log_of(alma.ref)  # it went through the desk's hands: the guest sees that
    assert (look.role, look.purpose, look.actor) == (DESK, Purpose.CHECK_IN, said[0].payload["by"])
    assert Field.FULL_NAME in look.fields
    for pin in ("0000", "0000", "0000"):
        await call("desk", "POST", path, {"pin": pin})
    locked = await call("desk", "POST", path, {"pin": "2580"})
    assert locked.json()["code"] == "pin_locked"


async def test_the_desk_hands_a_childs_data_to_its_adult_alone(ship: PageShip) -> None:
    """Not to the child with its own PIN, nor to the adult of another booking."""
    call, set_pin = ship.aboard.call, ship.services.checkin.set_pin
    adult = await ship.aboard.guest(cabins=[5012], booking="R-fam")
    child = await ship.aboard.guest(cabins=[5012], booking="R-fam", child=True)
    stranger = await wearer(ship, "Bo Other", cabin=6001)
    for ref in (adult, child):
        await set_pin(ref, "2580")
    path = f"/v1/guests/{child}/export"
    for said_by in ({}, {"said_by": stranger.ref}, {"said_by": child}):
        refused = await call("desk", "POST", path, {"pin": "2580", **said_by})
        assert (refused.status_code, refused.json()["code"]) == (409, "parent_needed"), said_by
    assert await events(ship, EventType.DATA_EXPORTED) == []
    given = await call("desk", "POST", path, {"pin": "2580", "said_by": adult})
    assert (given.status_code, given.json()["guest"]) == (200, child)


async def test_the_desk_forgets_no_child_without_its_adult(ship: PageShip) -> None:
    alma, child = await family(ship)
    stranger = await wearer(ship, "Bo Other", cabin=6001)
    call, path = ship.aboard.call, f"/v1/guests/{child}/erasure"
    for said_by in ({}, {"said_by": stranger.ref}, {"said_by": child}):
        refused = await call("desk", "POST", path, {"sure": True, **said_by})
        assert (refused.status_code, refused.json()["code"]) == (409, "parent_needed"), said_by
    assert await ship.services.store.read(lambda tx: tx.erasure(child)) is None
    done = await call("desk", "POST", path, {"sure": True, "said_by": alma.ref})
    assert done.status_code == 200


async def test_who_takes_it_along_again_and_again_has_to_wait(ship: PageShip) -> None:
    alma, bo = await wearer(ship), await wearer(ship, "Bo Other", cabin=6001)
    call = ship.aboard.call
    answers = [await call("desk", "POST", f"/v1/guests/{alma.ref}/export", {"pin": "2580"}) for _ in range(10)]
    assert [answer.status_code for answer in answers] == [200] * 6 + [503] * 4
    assert len(await events(ship, EventType.DATA_EXPORTED)) == 6
    other = await call("desk", "POST", f"/v1/guests/{bo.ref}/export", {"pin": "2580"})
    assert other.status_code == 200


async def test_papers_of_a_folio_are_the_pursers_and_logged(ship: PageShip) -> None:
    alma = await wearer(ship)
    await ship.services.folio.deposit(alma.ref, 5000, "dep-1")
    await alma.put_band(state=BandState.RETURNED)
    await ship.services.folio.settle(alma.ref, "desk")
    assert (await ship.services.erasures.erase(alma.ref, "desk")).part is Part.ALL
    call, path = ship.aboard.call, f"/v1/guests/{alma.ref}/papers"
    assert (await call("desk", "GET", path)).status_code == 403
    papers = await call("purser", "GET", path)
    assert papers.json()["name"] == "Alma Example"
    looks = await ship.services.store.read(lambda tx: tx.look_ups_of(alma.ref, 9))
    assert [look.purpose.value for look in looks] == ["billing"]
    missing = await call("purser", "GET", "/v1/guests/ffffffffffffffff/papers")
    assert missing.status_code == 404
