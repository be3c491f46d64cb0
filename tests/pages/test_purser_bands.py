"""Bands and the end of the voyage at the purser's pages."""

from __future__ import annotations

import asyncio

from tests.pages.pagekit import Browser
from tests.pages.purserkit import Desk

from steward.domain.ids import GuestRef


async def test_a_band_is_frozen_with_a_reason_and_by_whom(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, purser = eva
    guest = await desk.ship.guest()
    uid = await desk.band(guest)
    await browser.get(f"/purser/folios/{guest}")
    bad = await browser.post(f"/purser/bands/{uid}/freeze", why="<lost>")
    assert bad.status_code == 400
    assert (await browser.post(f"/purser/bands/{uid}/freeze", why="stolen")).status_code == 303
    events = await desk.ship.services.store.read(lambda tx: tx.events(0, 1000))
    told = [e.payload for e in events if e.type.name == "BAND_FROZEN"]
    assert [(p["uid"], p["reason"], p["by"]) for p in told] == [(uid, "stolen", purser)]


async def test_a_replacement_needs_an_encoder_of_ours(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, _ = eva
    guest = await desk.ship.guest()
    uid = await desk.band(guest)
    await browser.get(f"/purser/folios/{guest}")
    answer = await browser.post(f"/purser/bands/{uid}/replace", why="lost", encoder="gangway")
    assert (answer.status_code, "no_encoder" in answer.text) == (409, True)


async def test_settling_twice_at_once_is_one_run(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, purser = eva
    guests = [await desk.ship.guest(f"G {n}", cabin=5000 + n) for n in range(5)]
    for guest in guests:
        await desk.charge(guest, 1000)
    await desk.charge(purser, 700)
    await browser.get("/purser/settlement?who=everybody")
    answers = await asyncio.gather(*(browser.post("/purser/settlement", who="everybody") for _ in range(4)))
    assert sorted(a.status_code for a in answers)[0] == 303
    settling = desk.ship.services.settling
    for _ in range(1500):
        if settling.progress.state != "running":
            break
        await asyncio.sleep(0.02)
    assert (settling.progress.state, settling.progress.by) == ("done", purser)
    assert [await desk.balance(guest) for guest in guests] == [0] * 5
    assert await desk.balance(purser) == 700, "the crew's folios are left alone"
    events = await desk.ship.services.store.read(lambda tx: tx.events(0, 1000))
    assert sum(e.type.name == "FOLIO_SETTLED" for e in events) == 5


async def test_only_those_who_leave_are_settled_unless_told(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, _ = eva
    await desk.ship.guest()  # stays for years
    page = await browser.get("/purser/settlement")
    assert "No open folio" in page.text
    assert (await desk.ship.services.settling.preview(everybody=True)).guests == 1
