"""The second person over plain HTTP: nobody alone, by no form, token or handheld."""

from __future__ import annotations

import asyncio
import re

from tests.pages.pagekit import Browser, PageShip
from tests.pages.purserkit import BILLING, Desk, refund

from steward.domain.approvals import Approval, ApprovalState
from steward.domain.ids import GuestRef, Uid


async def test_nobody_approves_his_own_not_even_from_two_handhelds(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, purser = eva
    guest = await desk.ship.guest()
    tap = await desk.charge(guest, 18_000)
    await refund(browser, tap, "180,00")
    (asked,) = await desk.ship.services.store.read(lambda tx: tx.pending_approvals())
    async with desk.ship.browser() as second:
        await desk.ship.sign_in(second, purser, shift=BILLING)
        for own in (browser, second):
            await own.get(f"/approvals/{asked.id}")
            answer = await own.post(f"/approvals/{asked.id}/approve")
            assert answer.status_code == 409
            assert "own_approval" in answer.text
    assert await desk.balance(guest) == 18_000


async def test_another_pursers_form_token_is_worth_nothing(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    """A page that the first purser prepared cannot make the second one approve."""
    browser, _ = eva
    guest = await desk.ship.guest()
    tap = await desk.charge(guest, 18_000)
    await refund(browser, tap, "180")
    (asked,) = await desk.ship.services.store.read(lambda tx: tx.pending_approvals())
    async with desk.ship.browser() as victim:
        await desk.ship.sign_in(victim, await desk.purser("P-007"), shift=BILLING)
        path = f"/approvals/{asked.id}/approve"
        own = {"Origin": victim.origin, "Sec-Fetch-Site": "same-origin"}
        assert (await victim.raw(path, {"csrf": browser.csrf}, own)).status_code == 403
        await victim.get("/approvals")
        good = {"csrf": victim.csrf}
        for headers in ({}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert (await victim.raw(path, good, headers)).status_code == 403
        assert await desk.balance(guest) == 18_000
        assert (await victim.raw(path, good, own)).status_code == 303
    assert await desk.balance(guest) == 0


async def test_a_token_cannot_be_the_second_person_whatever_it_says(
    desk: Desk, eva: tuple[Browser, GuestRef], ship: PageShip
) -> None:
    browser, _ = eva
    guest = await ship.guest()
    tap = await desk.charge(guest, 18_000)
    body = {"refund_id": "r1", "amount_minor": 18_000, "reason": "cold", "by": "someone"}
    office = ship.aboard.bind(await desk.purser("P-007"))
    answers = [await ship.aboard.call(office, "POST", f"/v1/charges/{tap}/refund", body | {"by": by}) for by in "abc"]
    assert [answer.status_code for answer in answers] == [202] * 3
    assert len({answer.json()["approval"] for answer in answers}) == 1
    approval = answers[0].json()["approval"]
    for method, path in (
        ("POST", f"/v1/approvals/{approval}/approve"),
        ("POST", f"/v1/approvals/{approval}"),
        ("PUT", f"/v1/approvals/{approval}"),
        ("POST", f"/approvals/{approval}/approve"),
    ):
        for who in (office, "purser"):
            assert (await ship.aboard.call(who, method, path, {})).status_code in (401, 403, 404, 405)
    seen = await ship.aboard.call("purser", "GET", f"/v1/approvals/{approval}")
    assert (seen.json()["state"], seen.json()["amount_minor"]) == ("pending", 18_000)
    assert (await ship.aboard.call("monitor", "GET", f"/v1/approvals/{approval}")).status_code == 403
    assert await desk.balance(guest) == 18_000
    await browser.get(f"/approvals/{approval}")
    assert "crew P-007" in browser.text
    assert (await browser.post(f"/approvals/{approval}/approve")).status_code == 303
    seen = await ship.aboard.call("purser", "GET", f"/v1/approvals/{approval}")
    assert seen.json()["state"] == "done"
    again = await ship.aboard.call(office, "POST", f"/v1/charges/{tap}/refund", body)
    assert (again.status_code, again.json()["state"]) == (200, "refunded")


async def test_naming_a_real_purser_makes_her_part_of_the_question(
    desk: Desk, eva: tuple[Browser, GuestRef], ship: PageShip
) -> None:
    """A program that acts for a purser who then approves it would be one person after all."""
    browser, purser = eva
    tap = await desk.charge(await ship.guest(), 18_000)
    body = {"refund_id": "r1", "amount_minor": 18_000, "reason": "cold", "by": purser}
    office = ship.aboard.bind(await desk.purser("P-007"))
    approval = (await ship.aboard.call(office, "POST", f"/v1/charges/{tap}/refund", body)).json()["approval"]
    await browser.get(f"/approvals/{approval}")
    assert "/approve" not in browser.text
    answer = await browser.post(f"/approvals/{approval}/approve")
    assert (answer.status_code, "own_approval" in answer.text) == (409, True)


async def test_small_refunds_in_many_requests_do_not_slip_through(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, _ = eva
    guest = await desk.ship.guest()
    tap = await desk.charge(guest, 18_000)
    await browser.get(f"/purser/charges/{tap}")
    path, send = f"/purser/charges/{tap}/refund", browser.post
    await asyncio.gather(*(send(path, amount="9", reason="x", refund_id=f"f{n}") for n in range(20)))
    assert await desk.balance(guest) == 18_000 - 11 * 900
    taps = [await desk.charge(guest, 900) for _ in range(2)]
    for small in taps:
        await browser.post(f"/purser/charges/{small}/void", reason="x")
    assert await desk.balance(guest) == 18_000 - 11 * 900 + 1800, "the same guest, another charge"


async def test_sending_a_form_twice_gives_back_once(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, _ = eva
    guest = await desk.ship.guest()
    tap = await desk.charge(guest, 5000)
    await browser.get(f"/purser/charges/{tap}")
    made = re.search(r'name="refund_id" value="([0-9a-f]{16})"', browser.text)
    assert made is not None
    fields = {"amount": "10.00", "reason": "cold", "refund_id": made[1]}
    answers = await asyncio.gather(*(browser.post(f"/purser/charges/{tap}/refund", **fields) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {303}
    assert await desk.balance(guest) == 4000


async def test_nobody_corrects_his_own_folio(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, purser = eva
    tap = await desk.charge(purser, 450)
    await browser.get(f"/purser/charges/{tap}")
    assert "/void" not in browser.text
    for deed, fields in (
        ("void", {"reason": "x"}),
        ("refund", {"reason": "x", "amount": "1", "refund_id": "r"}),
    ):
        answer = await browser.post(f"/purser/charges/{tap}/{deed}", **fields)
        assert (answer.status_code, "own_folio" in answer.text) == (409, True)
    await browser.post(f"/purser/charges/{tap}/dispute", reason="not me")
    answer = await browser.post(f"/purser/charges/{tap}/resolve", outcome="uphold")
    assert "own_folio" in answer.text
    assert await desk.balance(purser) == 450


async def test_a_purser_cannot_approve_money_to_herself(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, purser = eva
    other = await desk.purser("P-007")
    tap = await desk.charge(purser, 18_000)
    asked = await desk.ship.services.payments.refund(tap, 18_000, "x", other, "r1")
    assert isinstance(asked, Approval)
    await browser.get(f"/approvals/{asked.id}")
    assert "/approve" not in browser.text
    answer = await browser.post(f"/approvals/{asked.id}/approve")
    assert (answer.status_code, "own_folio" in answer.text) == (409, True)
    assert await desk.balance(purser) == 18_000


async def test_a_frozen_band_ends_the_session_that_would_approve(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, purser = eva
    tap = await desk.charge(await desk.ship.guest(), 18_000)
    asked = await desk.ship.services.payments.refund(tap, 18_000, "x", await desk.purser("P-007"), "r1")
    assert isinstance(asked, Approval)
    await browser.get(f"/approvals/{asked.id}")
    uid = Uid("04" + purser[:12].upper())  # the band of pagekit's sign-in
    await desk.ship.services.store.write(lambda tx: tx.deny(uid, tx.deny_epoch() + 1, "lost"))
    answer = await browser.post(f"/approvals/{asked.id}/approve")
    assert answer.status_code == 403, "no session, no form"
    assert (await browser.get(f"/approvals/{asked.id}")).headers["location"] == "/crew/login"
    found = await desk.ship.services.store.read(lambda tx: tx.approval(asked.id))
    assert found is not None
    assert found.state is ApprovalState.PENDING
