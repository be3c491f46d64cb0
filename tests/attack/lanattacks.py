"""A ship with one guest and one band, and what its gateways were told, for the attacks on its network."""

from __future__ import annotations

from tests.unit.lankit import SHIP, Fleet, up
from tests.unit.moneykit import FakeBand

from steward.domain.batches import Batch, encode_batch
from steward.domain.charges import Charge, ChargeState
from steward.domain.events import EventType, StoredEvent
from steward.domain.evidence import charge_payload
from steward.domain.ids import GuestRef, uid_from
from steward.domain.replica import ChangeSet, Deny


async def aboard() -> tuple[Fleet, GuestRef, FakeBand]:
    fleet = Fleet()
    ref = await fleet.authority.guest()
    await fleet.sync()
    return fleet, ref, fleet.band(ref)


async def heard_alerts(fleet: Fleet, name: str) -> list[str]:
    found = await fleet[name].store.read(lambda tx: tx.events(0, 1000))
    return [str(e.payload["alert"]) for e in found if e.type is EventType.STAFF_ALERT]


def denying(band: FakeBand, epoch: int = 1, to: str = "bar", rev_prev: int = 0, rev_to: int = 10**6) -> ChangeSet:
    return ChangeSet(SHIP, to, epoch, rev_prev, rev_to, 0, (Deny(uid_from(band.uid), 1),))


async def events_of(fleet: Fleet, *charges: Charge, name: str = "bar", after: int = 100) -> None:
    """Send made-up charge events as this gateway would."""
    events = tuple(
        StoredEvent(1, after + n, EventType.CHARGE_POSTED, c.at_s, charge_payload(c) | {"verification": "none"})
        for n, c in enumerate(charges, 1)
    )
    batch = Batch(SHIP, name, 1, 1, 3, events, events[-1].seq, 0)
    await fleet.authority.peers.hear(up(name), encode_batch(batch))
    fleet.lan.flight.clear()


async def true_charge(fleet: Fleet, band: FakeBand, amount_minor: int = 200, till: str = "bar-1") -> Charge:
    request = fleet.ask(till, amount_minor)
    return Charge(request, fleet.authority.clock.unix_s, ChargeState.POSTED, "posted", band.read(request))
