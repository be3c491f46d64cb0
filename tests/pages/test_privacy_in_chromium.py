"""The privacy officer's console in a real browser, at every size, scheme and language."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser as Chromium
from tests.pages.chromekit import LOOKS, PHONE, Look, handheld
from tests.pages.pagekit import DESK, PageShip
from tests.pages.purserkit import PRIVACY, Desk, at_desk

from steward.domain.consent import ConsentPurpose
from steward.domain.ids import GuestRef
from steward.domain.incident import DeviceKind, Incident, IncidentId, IncidentStep, StepState
from steward.domain.requests import Right
from steward.domain.retention import DAY_S, RetentionRun
from steward.domain.viewing import CrewRole, Field, OutletKind, Purpose, Viewer, look_at
from steward.ports import Tx

pytestmark = pytest.mark.chromium
IDS = [look.name for look in LOOKS]


async def filled(ship: PageShip) -> GuestRef:
    """A guest with requests, emergencies, a pattern, retention runs and an incident."""
    guest, services = await ship.guest("Alma Example"), ship.services
    now_s = services.clock.now().unix_s
    await services.requests.open(guest, Right.ACCESS, "What do you have about me?\nAnd why?", guest)
    longer = await services.requests.open(guest, Right.RECTIFICATION, "My cabin is another one.", guest)
    await services.requests.extend(longer.id, "The booking system is ashore.", "0" * 16)
    await services.consents.say(guest, {ConsentPurpose.PHOTO: False}, "desk")
    medic = Viewer(await ship.crew(CrewRole.SAFETY, [DESK]), CrewRole.SAFETY, DESK, OutletKind.SERVICE, Purpose.SAFETY)
    await services.lookups.break_glass(medic, guest, "fainted at the pool")
    waiter = Viewer(
        await ship.crew(CrewRole.SERVICE), CrewRole.SERVICE, DESK, OutletKind.SERVICE, Purpose.GUEST_SERVICES
    )
    incident = Incident(IncidentId("ab" * 6), DeviceKind.GATEWAY, "gw3", now_s - 7200, now_s, now_s, "x", 1_204)

    def fill(tx: Tx) -> None:
        for n in range(30):
            tx.log_look_up(look_at(waiter, GuestRef(f"{n:016x}"), {Field.LANGUAGE}, now_s))
        for n, rule in enumerate(("event:door_opened", "note", "profile")):
            tx.put_run(RetentionRun(now_s - n, rule, 12 + n, now_s - 30 * DAY_S, held=n == 0))
        tx.put_incident(incident)
        tx.put_incident_step(IncidentStep(incident.id, "rotate_keys", StepState.DONE, now_s, "2"))
        tx.put_incident_step(IncidentStep(incident.id, "export_keys", StepState.BY_HAND, now_s))
        tx.set_meta("retention.passage", f"[{now_s - 400 * DAY_S}, 0, {now_s}]")

    await services.store.write(fill)
    return guest


@pytest.mark.parametrize("look", LOOKS, ids=IDS)
async def test_an_officers_day(ship: PageShip, chromium: Chromium, look: Look) -> None:
    officer, guest = await Desk(ship).purser("D-001", CrewRole.PRIVACY_OFFICER), await filled(ship)
    async with handheld(ship, chromium, look) as hand:
        page = hand.page
        await at_desk(hand, officer, PRIVACY)
        await hand.check("60-look-ups")
        for number, path in enumerate(
            (
                "/privacy/desk",
                "/privacy/log?role=service",
                "/privacy/patterns",
                "/privacy/retention",
                "/privacy/register",
                "/privacy/incidents",
                f"/privacy/incidents/{'ab' * 6}",
                f"/privacy/consents/{guest}",
                "/privacy/requests",
            ),
            start=61,
        ):
            await hand.go(path)
            await hand.check(f"{number}-{path.split('?')[0].strip('/').replace('/', '-')[:24]}")
        await page.locator("section.panel tbody th a").first.click()
        await hand.check("70-request")
        await page.locator("input[value=done]").check()
        await page.locator("#words").fill("Handed over at the desk.")
        await page.locator("form[action$='/answer'] button").click()
        await page.wait_for_selector("h1 .mark.ok")
        await hand.check("71-answered")
        await hand.go("/privacy/log?only=emergencies")
        await page.locator("a[href^='/privacy/glass/']").first.click()
        await page.locator("input[value=justified]").check()
        await page.locator("#words").fill("She had fainted.")
        await hand.check("72-review")
        await page.locator("form[action^='/privacy/glass/'] button").click()
        await page.wait_for_selector("h1 .mark.ok")
        await hand.check("73-reviewed")
    assert hand.complaints == []


async def test_the_search_works_by_keyboard_alone(ship: PageShip, chromium: Chromium) -> None:
    officer = await Desk(ship).purser("D-001", CrewRole.PRIVACY_OFFICER)
    guest = await filled(ship)
    async with handheld(ship, chromium, PHONE) as hand:
        page = hand.page
        await at_desk(hand, officer, PRIVACY)
        await page.locator("summary").focus()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await page.keyboard.type(guest)
        await page.keyboard.press("Enter")
        await page.wait_for_url("**guest=*")
        assert await page.locator("table.log tbody tr").count() == 1
