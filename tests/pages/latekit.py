"""The folio authority of two till gateways that are away, and charges that come in from them after settlement."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from tests.e2e.gatewaykit import aboard, prepare, prepare_store
from tests.pages.pagekit import SETTINGS, PageShip
from tests.pages.purserkit import Desk

from steward.domain import ledger
from steward.domain.allowance import Grant
from steward.domain.charges import sale_of
from steward.domain.ids import GuestRef, TapId
from steward.ports import Tx

FLEET = (
    SETTINGS
    + """\
[broker]
port = 0
gateways = ["pool", "deck9"]
[ship_link]
url = "embedded"
[[ship_link.gateway]]
name = "pool"
role = "till"
tills = ["pool-1"]
[[ship_link.gateway]]
name = "deck9"
role = "till"
tills = ["deck-1"]
"""
)


@asynccontextmanager
async def fleet_ship(folder: Path) -> AsyncIterator[PageShip]:
    """With its own broker, as in service; nobody ever connects to it."""
    tokens = prepare(folder, FLEET)
    prepare_store(folder)
    async with aboard(folder, tokens) as running:
        yield PageShip(running)


async def granted(desk: Desk, ref: GuestRef, gateway: str, minor: int) -> None:
    """What a gateway may still spend for a guest."""
    await desk.ship.services.store.write(lambda tx: tx.put_grant(Grant(gateway, 7, ref, granted_minor=minor)))


async def late(desk: Desk, ref: GuestRef, amount_minor: int, what: str) -> TapId:
    """Settle this guest if they are not, and have a charge come in late, in the records that the authority makes."""
    store, tap = desk.ship.services.store, TapId(os.urandom(16).hex())
    if not (await store.read(lambda tx: tx.guest(ref))).settled:  # type: ignore[union-attr]
        await desk.charge(ref, 100, "Water")
        await desk.ship.services.folio.settle(ref, despite_away=True)

    def work(tx: Tx) -> None:
        known = tx.charges_of(ref)[0]
        request = replace(known.request, tap_id=tap, amount_minor=amount_minor, description=what)
        charge = replace(known, request=request)
        tx.put_charge(charge)
        tx.post(ledger.charge(sale_of(charge), amount_minor, charge.at_s))
        tx.post(ledger.set_aside(sale_of(charge), amount_minor, charge.at_s))

    await store.write(work)
    return tap
