"""What people type and ask for at the purser's pages: amounts, reasons, addresses, page numbers."""

from __future__ import annotations

import pytest
from tests.pages.pagekit import Browser
from tests.pages.purserkit import Desk, refund

from steward.domain.approvals import Approval
from steward.domain.ids import GuestRef


@pytest.mark.parametrize(
    "amount",
    ["", "0", "0.00", "-1", "1.234", "1e3", "١٢", "12,5,0", "99999999999", "1.000,00", "NaN", "0x10", "12 EUR", " "],
)
async def test_what_is_no_amount_is_refused(desk: Desk, eva: tuple[Browser, GuestRef], amount: str) -> None:
    browser, _ = eva
    guest = await desk.ship.guest()
    tap = await desk.charge(guest, 5000)
    answer = await refund(browser, tap, amount)
    assert (answer.status_code, "amount_invalid" in answer.text) == (409, True)
    assert await desk.balance(guest) == 5000


@pytest.mark.parametrize(("typed", "minor"), [("12", 1200), ("12.5", 1250), ("12,50", 1250), (" 1 2 ", 1200)])
async def test_amounts_as_people_type_them(desk: Desk, eva: tuple[Browser, GuestRef], typed: str, minor: int) -> None:
    browser, _ = eva
    guest = await desk.ship.guest()
    tap = await desk.charge(guest, 5000)
    assert (await refund(browser, tap, typed)).status_code == 303
    assert await desk.balance(guest) == 5000 - minor


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201])
async def test_a_person_says_why(desk: Desk, eva: tuple[Browser, GuestRef], reason: str) -> None:
    browser, _ = eva
    guest = await desk.ship.guest()
    tap = await desk.charge(guest, 450)
    await browser.get(f"/purser/charges/{tap}")
    answer = await browser.post(f"/purser/charges/{tap}/void", reason=reason)
    assert (answer.status_code, "reason_invalid" in answer.text) == (409, True)
    assert await desk.balance(guest) == 450


async def test_what_people_wrote_cannot_become_a_tag(desk: Desk, eva: tuple[Browser, GuestRef]) -> None:
    browser, purser = eva
    guest = await desk.ship.guest("<b>Alma</b> & Co")
    tap = await desk.charge(guest, 15_000, '<script>alert(1)</script>"')
    asked = await desk.ship.services.payments.refund(tap, 15_000, "<img src=x onerror=alert(2)>", purser, "r1")
    assert isinstance(asked, Approval)
    await desk.ship.services.payments.dispute(tap, "<svg onload=alert(3)>")
    for path in (
        f"/purser/folios/{guest}",
        f"/purser/folios/{guest}/statement",
        f"/purser/charges/{tap}",
        f"/approvals/{asked.id}",
        "/purser/disputes",
        "/purser/folios",
    ):
        text = (await browser.get(path)).text
        for bad in ("<script>alert", "<img src=x", "<svg onload", "<b>Alma"):
            assert bad not in text, path
        policy = (await browser.get(path)).headers["content-security-policy"]
        assert "unsafe" not in policy


@pytest.mark.parametrize(
    "path",
    [
        "/purser/folios/ffffffffffffffff",
        "/purser/folios/..%2f..%2fetc",
        "/purser/folios/0000000000000000/statement",
        "/purser/charges/" + "f" * 32,
        "/purser/charges/" + "F" * 32,
        "/purser/charges/1",
        "/approvals/" + "f" * 32,
        "/approvals/x",
        "/purser/jobs/ffffffffffffffff",
        "/purser/jobs/x",
    ],
)
async def test_what_is_not_there_is_not_found_and_not_logged(
    desk: Desk, eva: tuple[Browser, GuestRef], path: str
) -> None:
    browser, _ = eva
    before = len(await desk.ship.services.lookups.log_page(0))
    assert (await browser.get(path)).status_code == 404
    assert len(await desk.ship.services.lookups.log_page(0)) == before


@pytest.mark.parametrize("page", ["0", "-1", "99999", "x", "1e9", "٣", "9" * 50, "1;2"])
async def test_page_numbers_are_taken_as_they_come(desk: Desk, eva: tuple[Browser, GuestRef], page: str) -> None:
    browser, _ = eva
    await desk.ship.guest()
    for path in (f"/purser/folios?page={page}", f"/purser/settlement?who=everybody&page={page}"):
        assert (await browser.get(path)).status_code == 200
