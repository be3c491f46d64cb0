"""What must hold: safety at every moment, and all of it together once faults have stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.sim.nodes import DAY_START_HOUR, SHIP, Gateway

from steward.adapters.keyfile import Role
from steward.domain.charges import Charge, ChargeState, ship_day_start
from steward.domain.consent import ConsentPurpose
from steward.domain.events import EventType
from steward.domain.ids import GuestRef, OutletId, TapId
from steward.domain.ledger import guest_account
from steward.domain.outlets import OutletKind
from steward.domain.viewing import CrewRole, Field, LookUp, Purpose, Viewer
from steward.ports import Tx
from steward.shore.arrivals import events_in

if TYPE_CHECKING:
    from tests.sim.world import World

VIEWER = Viewer(
    "00000000000000aa", CrewRole.SERVICE.value, OutletId("bar"), OutletKind.FOOD_AND_DRINK, Purpose.FOOD_AND_DRINK
)
CASHIER = Viewer("00000000000000ab", CrewRole.PURSER.value, OutletId("front"), OutletKind.SERVICE, Purpose.BILLING)
_ALL = 1_000_000
_GOVERNED = {"photo": "photo", "notes": "personal_service"}  # written out, not asked of the code that is checked
_OWED = (ChargeState.POSTED, ChargeState.DISPUTED, ChargeState.REFUNDED, ChargeState.HELD)


class Broken(AssertionError):
    """A run that broke a promise. Replay it with its seed."""

    def __init__(self, problems: Iterable[str], seed: int = -1, faults: tuple[str, ...] = ()) -> None:
        self.problems = tuple(problems)
        self.seed = seed
        self.faults = faults
        super().__init__(self.problems)

    def __str__(self) -> str:
        lines = [f"seed {self.seed}:", *(f"  {problem}" for problem in self.problems[:20])]
        return "\n".join([*lines, "faults:", *(f"  {fault}" for fault in self.faults)])


def limits(world: World) -> list[str]:
    """Nobody has spent more than their limits over all gateways together, whoever could talk to whom."""
    problems = []
    for wearer in world.wearers:
        ref, allowed = wearer.guest.ref, wearer.guest.limits
        charges: dict[TapId, Charge] = {}
        for gateway in world.gateways.values():
            for charge in gateway.disk.look(lambda tx, ref=ref: list(tx.charges_of(ref))):
                known = charges.get(charge.request.tap_id)
                if known is None or gateway.is_authority:
                    charges[charge.request.tap_id] = charge
        spent = Counter[int]()
        for charge in charges.values():
            if charge.state in _OWED:
                spent[ship_day_start(charge.at_s, DAY_START_HOUR, 0)] += charge.left_minor
        for day, day_minor in spent.items():
            if day_minor > allowed.day_minor:
                problems.append(f"guest {ref} has spent {day_minor} of {allowed.day_minor} on the day of {day}")
        if spent.total() > allowed.stay_minor:
            problems.append(f"guest {ref} has spent {spent.total()} of {allowed.stay_minor} in all")
    return problems


def ledgers(world: World) -> list[str]:
    """Every ledger sums to zero at every moment."""
    sums = {name: gateway.disk.look(lambda tx: tx.ledger_sum()) for name, gateway in world.gateways.items()}
    return [f"the ledger of {name} sums to {total}" for name, total in sums.items() if total]


async def apart(world: World) -> list[str]:
    """What has not come together yet: events ashore, charges at the authority, what doors and tills follow."""
    problems = await _events_ashore(world)
    problems += _charges_at_the_authority(world)
    problems += _followers(world)
    problems += _consents_told(world)
    problems += _looks_told(world)
    for uid in await world.shore.frozen():
        if world.authority.disk.look(lambda tx, uid=uid: tx.denied_at(uid)) is None:
            problems.append(f"the authority does not know that {uid} was frozen ashore")
    return problems


async def _events_ashore(world: World) -> list[str]:
    problems = []
    assert world.shore.store is not None
    for name, gateway in world.gateways.items():
        epoch, newest = gateway.disk.look(lambda tx: tx.epochs()[-1])
        if not newest:
            continue
        if not await world.shore.store.read(events_in(SHIP, name, epoch, newest, newest)):
            problems.append(f"{name}: event {newest}, its last, is not ashore")
            continue  # all of them are read only when that is worth while
        mine = gateway.disk.look(lambda tx: tx.events(0, _ALL))
        there = await world.shore.store.read(events_in(SHIP, name, epoch, 1, mine[-1].seq))
        if len(there) != len(mine):
            problems.append(f"{name}: {len(there)} of {len(mine)} events are ashore")
        elif any(a != b for a, b in zip(mine, there, strict=True)):
            problems.append(f"{name}: shore has other events than the gateway")
    return problems


def _charges_at_the_authority(world: World) -> list[str]:
    problems = []
    for name, gateway in world.gateways.items():
        if gateway.is_authority:
            continue
        for wearer in world.wearers:
            ref = wearer.guest.ref
            for charge in gateway.disk.look(lambda tx, ref=ref: list(tx.charges_of(ref))):
                if charge.state is not ChargeState.POSTED:
                    continue
                tap_id = charge.request.tap_id
                booked = world.authority.disk.look(lambda tx, tap_id=tap_id: tx.charge(tap_id))
                if booked is None:
                    problems.append(f"{name}: charge {tap_id} is not on the folio")
                elif _told(booked) != _told(charge):
                    problems.append(f"{name}: charge {tap_id} is on the folio as something else")
    return problems


def _told(charge: Charge) -> tuple[object, ...]:
    """What the folio must say of a charge. That a second round was meant is the till's own affair."""
    request, evidence = charge.request, charge.evidence
    assert evidence is not None
    return request.till, request.outlet, request.amount_minor, request.currency, request.description, evidence.guest


def agreed(gateway: Gateway, ref: GuestRef) -> bool:
    """Whether this gateway has heard that crew may keep and read notes of the guest."""
    consent = gateway.disk.look(lambda tx: tx.consent(ref, ConsentPurpose.PERSONAL_SERVICE))
    return consent is not None and consent.given


def newest_look(gateway: Gateway, ref: GuestRef) -> frozenset[Field]:
    """What the newest look at this guest by the cashier showed, by the log."""
    looks = gateway.disk.look(lambda tx: [look for look in tx.look_ups_of(ref, 99) if not look.gateway])
    return next((look.fields for look in looks if look.actor == CASHIER.actor), frozenset())


def consents(world: World) -> list[str]:
    """In the log of each store no look shows what needs consent while the consent was not there.

    Its own events say so at the authority, where words and looks are written in one order.
    """
    problems, given = [], set[tuple[object, object]]()
    for event in world.authority.disk.look(lambda tx: tx.events(0, _ALL)):
        said = event.payload
        if event.type is EventType.CONSENT_GIVEN:
            given.add((said["guest"], said["purpose"]))
        elif event.type is EventType.CONSENT_WITHDRAWN:
            given.discard((said["guest"], said["purpose"]))
        elif event.type is EventType.LOOKED_UP:
            for field, purpose in _GOVERNED.items():
                if field in str(said["fields"]).split() and (said["guest"], purpose) not in given:
                    problems.append(f"look {said['look']} shows {field} of {said['guest']} without consent")
    return problems


def _looks_told(world: World) -> list[str]:
    """Every look at a follower is in the authority's log once, under that follower's name."""
    problems = []
    there = Counter(_seen(look) for look in world.authority.disk.look(lambda tx: tx.look_ups(0, _ALL)) if look.gateway)
    for name, gateway in world.gateways.items():
        if gateway.is_authority:
            continue
        made = Counter(
            _seen(replace(look, gateway=name)) for look in gateway.disk.look(lambda tx: tx.look_ups(0, _ALL))
        )
        for look in made - there:
            problems.append(f"{name}: its look {look} is not in the authority's log")
        for look, count in there.items():
            if look[0] == name and count > made[look] > 0:
                problems.append(f"{name}: its look {look} is in the authority's log {count} times, not {made[look]}")
    return problems


def _seen(look: LookUp) -> tuple[object, ...]:
    return look.gateway, look.at_s, look.actor, look.guest, tuple(sorted(look.fields)), look.way


def _consents_told(world: World) -> list[str]:
    def said(gateway: Gateway, ref: GuestRef) -> object:
        return gateway.disk.look(lambda tx: (list(tx.consents_of(ref)), tx.signals_off(ref), tx.weather()))

    problems = []
    for wearer in world.wearers:
        ref = wearer.guest.ref
        told = said(world.authority, ref)
        for name, gateway in world.gateways.items():
            if gateway.plan.role is not Role.DOOR and said(gateway, ref) != told:
                problems.append(f"{name} has not heard what {ref} agreed to or switched off, or the weather")
    return problems


def _followers(world: World) -> list[str]:
    problems = []
    for wearer in world.wearers:
        told = world.authority.disk.look(lambda tx, uid=wearer.uid: tx.denied_at(uid))
        for name, gateway in world.gateways.items():
            known = gateway.disk.look(lambda tx, uid=wearer.uid: tx.denied_at(uid))
            if told is not None and (known is None or known < told):
                problems.append(f"{name} does not know that {wearer.uid} is frozen")
    return problems


async def final(world: World) -> list[str]:
    """What must be true at the end, besides having come together."""
    problems = limits(world) + ledgers(world) + consents(world)
    look = world.authority.disk.look
    for tap_id, amount_minor in world.seen.posted.items():
        charge = look(lambda tx, tap_id=tap_id: tx.charge(tap_id))
        if charge is None or charge.request.amount_minor != amount_minor:
            problems.append(f"a till was told that {tap_id} is posted, and the folio does not have it so")
    for wearer in world.wearers:
        problems += look(lambda tx, ref=wearer.guest.ref: _folio(tx, ref))
    logged = look(lambda tx: _logged(tx))
    if logged < world.seen.looked:
        problems.append(f"{world.seen.looked} cards were shown, {logged} look-ups are in the log")
    return problems


def _folio(tx: Tx, ref: str) -> list[str]:
    """A guest owes exactly what their charges come to."""
    charges = tx.charges_of(ref)  # type: ignore[arg-type]
    owed = sum(
        c.request.amount_minor - c.refunded_minor
        for c in charges
        if c.state in (ChargeState.POSTED, ChargeState.DISPUTED, ChargeState.REFUNDED)
    )
    balance = tx.balance(guest_account(ref))  # type: ignore[arg-type]
    return [] if abs(balance) == owed else [f"guest {ref} owes {owed} by charges and {balance} by the ledger"]


def _logged(tx: Tx) -> int:
    return len(tx.look_ups(0, _ALL))
