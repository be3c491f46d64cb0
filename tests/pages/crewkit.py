"""What tests of the handheld's pages share: a crew member at work, and what the log says of it."""

from __future__ import annotations

from tests.pages.pagekit import Browser, PageShip

from steward.domain.events import EventType
from steward.domain.ids import GuestRef
from steward.domain.viewing import CrewRole, LookUp


async def looks(ship: PageShip) -> list[LookUp]:
    """Those of people; the desk's checking in leaves its own."""
    return [look for look in await ship.services.lookups.log_page(0) if not look.actor.startswith("token:")]


async def at_work(ship: PageShip, browser: Browser, role: CrewRole = CrewRole.SERVICE, shift: str = "") -> GuestRef:
    crew = await ship.crew(role)
    answer = await ship.sign_in(browser, crew, shift=shift or "lagoon food_and_drink")
    assert answer.headers["location"] == "/crew"
    return crew


async def events(ship: PageShip) -> list[tuple[EventType, dict[str, object]]]:
    found = await ship.services.store.read(lambda tx: tx.events(0, 500))
    return [(event.type, dict(event.payload)) for event in found]
