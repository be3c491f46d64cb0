"""A gateway with pages for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.pages.pagekit import Browser, PageShip, page_ship
from tests.pages.purserkit import BILLING, Desk

from steward.domain.ids import GuestRef


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[PageShip]:
    async with page_ship(tmp_path) as running:
        yield running


@pytest.fixture
async def browser(ship: PageShip) -> AsyncIterator[Browser]:
    async with ship.browser() as plain:
        yield plain


@pytest.fixture
def desk(ship: PageShip) -> Desk:
    return Desk(ship)


@pytest.fixture
async def eva(desk: Desk, browser: Browser) -> tuple[Browser, GuestRef]:
    """A purser at the desk."""
    ref = await desk.purser("P-041")
    await desk.ship.sign_in(browser, ref, shift=BILLING)
    return browser, ref
