"""Pursers, guests with charges on their folios, and the purser's desk in a browser."""

from __future__ import annotations

import os
from dataclasses import dataclass

import httpx
from tests.e2e.gatewaykit import band_of
from tests.pages.chromekit import Handheld
from tests.pages.pagekit import DESK, PIN, STATION, Browser, PageShip
from tests.unit.moneykit import FakeBand

from steward.domain.charges import Charge, ChargeRequest
from steward.domain.guests import Band, BandState
from steward.domain.ids import GuestRef, OutletId, TapId, TillId, Uid
from steward.domain.viewing import CrewRole

BILLING = "reception billing"
PRIVACY = "reception privacy"


@dataclass
class Desk:
    """A ship seen from the purser's office."""

    ship: PageShip

    async def purser(self, number: str, role: CrewRole = CrewRole.PURSER) -> GuestRef:
        """Somebody of the crew with a PIN; `number` is what colleagues call them."""
        ref = await self.ship.aboard.guest(crew=True, cabins=[7001], booking=number)
        await self.ship.services.crew.add(ref, role, [DESK], PIN, "admin", may_appoint=True)
        return ref

    async def charge(
        self, ref: GuestRef, amount_minor: int, what: str = "", *, band: FakeBand | None = None, shop: bool = False
    ) -> TapId:
        """From the till's question to the folio."""
        tap = TapId(os.urandom(16).hex())
        till, outlet = ("spa-1", "shop") if shop else ("bar-1", "lagoon")
        request = ChargeRequest(tap, TillId(till), OutletId(outlet), amount_minor, "EUR", what, allow_duplicate=True)
        await self.book(request, band or band_of(ref))
        return tap

    async def book(self, request: ChargeRequest, band: FakeBand) -> Charge:
        await self.ship.services.payments.request(request)
        return await self.ship.services.payments.book(request, band.tap(request))

    async def band(self, ref: GuestRef, serial: int = 1, *, active: bool = True) -> Uid:
        """A band that the ship knows as this guest's."""
        uid = Uid("04" + os.urandom(6).hex().upper())
        made = Band(uid, ref, serial, active, 1, True, BandState.ISSUED)
        await self.ship.services.store.write(lambda tx: tx.put_band(made))
        return uid

    async def balance(self, ref: GuestRef) -> int:
        return (await self.ship.services.folio.statement(ref)).totals.balance_minor


async def at_desk(hand: Handheld, crew: GuestRef, shift: str = BILLING) -> None:
    """Signed in, on a shift at the reception."""
    await hand.go("/crew/login")
    await hand.page.locator(f"button[value={STATION}]").click()
    await hand.at("/crew/login/tap")
    assert hand.ship.tap_crew(crew)
    await hand.at("/crew/login/pin")
    await hand.enter_pin()
    await hand.at("/crew/shift")
    await hand.page.locator(f"input[value='{shift}']").check()
    await hand.page.locator("main form.stack button").click()
    await hand.at("/purser" if shift == BILLING else "/privacy/log")


async def refund(browser: Browser, tap: TapId, amount: str, refund_id: str = "f1") -> httpx.Response:
    await browser.get(f"/purser/charges/{tap}")
    return await browser.post(f"/purser/charges/{tap}/refund", amount=amount, reason="cold", refund_id=refund_id)
