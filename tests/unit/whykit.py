"""A day aboard as made-up guests live it, with suggestions by a real model; and a ship like it, but for one thing."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tests.consentkit import agree
from tests.contract.makers import charge
from tests.unit.modelkit import catalogue
from tests.unit.moneykit import HandClock
from tests.unit.ruleskit import rule
from tests.unit.servicekit import Deck, guest, profile

from steward.adapters.memory import MemoryStore
from steward.config_offers import packaged_rules
from steward.domain.catalogue import Item, ItemId
from steward.domain.charges import Charge, ChargeState
from steward.domain.consent import ConsentPurpose
from steward.domain.context import StayCompany
from steward.domain.features import Company, Signal, Weather
from steward.domain.ids import GuestRef
from steward.domain.offers import Answer, Offer, OfferId, OfferState
from steward.domain.outlets import Outlet
from steward.domain.pastexport import DeedLine
from steward.domain.pasts import ONE_DEED_S
from steward.domain.reasons import Change, Kind, Why
from steward.domain.rulekinds import Nudge, Of, Reach, Rules
from steward.domain.trial import Trial
from steward.domain.viewing import Viewer
from steward.ports import Tx
from steward.services.context import ContextService
from steward.services.offers import OfferService, Suggestion
from steward.services.ranking import Ranking
from steward.services.signals import SignalService
from steward.services.situation import disclose_for_offer, known_now, offer_look
from steward.services.why import Case, WhyService
from steward.web.explaining import served_by
from voyage.taste_days import DAY_S, FIRST_DAY, Stay, make_stays
from voyage.taste_world import KINDS, make_world

SEED, DAYS = 5, 3
MODEL = "ab" * 32
_ANSWERS = (Answer.ACCEPT, Answer.ACCEPT, Answer.NOT_NOW, Answer.WRONG, None)


class SeededEntropy:
    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)

    def token_bytes(self, n: int) -> bytes:
        return self._draw.randbytes(n)


@dataclass(frozen=True, slots=True)
class Made:
    """One suggestion, by whom it was seen, the ship as it was just before, and the decision as it was explained."""

    ref: GuestRef
    viewer: Viewer
    suggestion: Suggestion
    offer: Offer
    before: Ship
    case: Case


class Remembering(WhyService):
    """The last decision that was explained."""

    last: Case

    async def of(self, case: Case, item: ItemId) -> Why:
        self.last = case
        return await super().of(case, item)


class Ship:
    """Guests, catalogue and a clock; suggestions by `ranking`."""

    def __init__(self, ranking: Ranking, rules: Rules, store: MemoryStore | None = None, unix_s: int = 0) -> None:
        self.rules = rules
        self.clock = HandClock(unix_s or FIRST_DAY * DAY_S)
        self.deck = Deck(store, self.clock, ranking)
        self.offers = OfferService(self.deck.store, self.clock, SeededEntropy(SEED), ranking, rules)
        self.explained = self.offers.why = Remembering(ranking, rules)
        self.context = ContextService(self.deck.store, self.clock)

    @property
    def store(self) -> MemoryStore:
        assert isinstance(self.deck.store, MemoryStore)
        return self.deck.store

    def copy(self) -> Ship:
        """The same again, which goes its own way."""
        return Ship(self.deck.ranking, self.rules, _copied(self.store), self.clock.unix_s)

    async def board(self, stays: list[Stay]) -> None:
        """Three of four agree to personal suggestions. With whom they travel is known of those of whom it is told."""

        def work(tx: Tx) -> None:
            for number, stay in enumerate(stays):
                ref = ref_of(stay.guest)
                ends_s = (FIRST_DAY + 20) * DAY_S
                tx.put_guest(guest(ref, 8100 + 2 * number, not_before_s=FIRST_DAY * DAY_S, not_after_s=ends_s))
                tx.put_profile(profile(ref, allergies=(), diet=()))
                if number % 4:
                    agree(tx, ref, ConsentPurpose.SUGGESTIONS)
                tx.put_company(StayCompany(ref, stay.deeds[0].moment.company))
            self.deck.ranking.write(tx, Trial(base=MODEL, shown=MODEL))

        await self.store.write(work)
        await self.deck.stock(*catalogue())

    async def place_of(self, viewer: Viewer, ref: GuestRef, item: ItemId) -> tuple[str | None, int]:
        """What would come first now, and the place of this item; 0 if it would not be offered."""
        now_s = self.clock.unix_s
        orders = await self.offers.orders(viewer, ref, now_s)

        def decide(tx: Tx) -> list[ItemId]:
            shown = disclose_for_offer(tx, offer_look(viewer, ref, now_s))
            decided = self.offers.decided_in(tx, shown, known_now(tx, shown), orders, now_s)
            return [one.item for one in decided.decision.ordered]

        ordered = await self.store.write(decide)
        return next(iter(ordered), None), ordered.index(item) + 1 if item in ordered else 0

    # what could have been otherwise

    async def change(self, ref: GuestRef, item: ItemId, change: Change) -> None:
        """Make it so, by the way that it would have come about."""
        match change.kind:
            case Kind.OFF:
                service = SignalService(self.store, self.clock)
                await service.say(ref, {Signal(change.what): False}, "desk")
            case Kind.UNDONE:
                await self._undo(ref, change)
            case Kind.HOUR:
                weather = await self.context.weather()
                self.clock.tick(change.number * 3600)
                if weather is not None:
                    await self.context.say_weather(weather.weather, "crew")
            case Kind.WEATHER:
                await self.context.say_weather(Weather(change.what), "crew")
            case Kind.COMPANY:
                await self.store.write(lambda tx: tx.put_company(StayCompany(ref, Company(change.what))))
            case Kind.FEWER:
                await self.store.write(lambda tx: _take_less(tx, ITEMS[item], change.number, self.clock.unix_s))

    async def _undo(self, ref: GuestRef, change: Change) -> None:
        title, until_s = ITEMS[ItemId(change.what)].title("en"), change.number

        if change.outlet:
            until_s += ONE_DEED_S
            offers = self.store.look(lambda tx: tx.offers_of(ref, 0))
            (offer,) = (o for o in offers if (o.item, o.at_s, o.outlet) == (change.what, change.number, change.outlet))
            await self.offers.answer(viewer_at(offer.item), offer.id, Answer.TAKE_BACK)

        def void(tx: Tx) -> None:
            for one in tx.charges_of(ref):
                if one.request.description == title and change.number <= one.at_s <= until_s:
                    tx.put_charge(replace(one, state=ChargeState.VOIDED))
                    if change.outlet:
                        return

        await self.store.write(void)


ITEMS: Mapping[ItemId, Item] = {item.id: item for item in catalogue()}


async def live(ship: Ship, guests: int) -> AsyncIterator[Made]:
    """Days of so many guests: what they take is charged, and where they take it something is suggested."""
    stays = list(make_stays(make_world(SEED, catalogue()), SEED, guests))
    await ship.board(stays)
    draw, number = random.Random(SEED), 0
    last_s = (FIRST_DAY + DAYS) * DAY_S
    lines = [line for stay in stays for line in stay.deeds if line.offer is None and line.moment.now_s < last_s]
    for line in sorted(lines, key=lambda line: (line.moment.now_s, line.guest)):
        ref, viewer = ref_of(line.guest), viewer_at(line.item)
        number += 1
        await _taken(ship, line, number)
        before = ship.copy()
        for shown in await ship.offers.suggest(viewer, ref):
            offer = ship.store.look(partial(_offer, shown.offer))
            assert offer is not None
            if offer.at_s != ship.clock.unix_s:
                continue  # one that waits, shown again
            yield Made(ref, viewer, shown, offer, before, ship.explained.last)
            said = draw.choice(_ANSWERS)
            ship.clock.tick(20)
            if said is not None:
                await ship.offers.answer(viewer, shown.offer, said)


async def _taken(ship: Ship, line: DeedLine, number: int) -> None:
    ship.clock.tick(max(0, line.moment.now_s - ship.clock.unix_s))
    if line.moment.weather is not None:
        await ship.context.say_weather(line.moment.weather, "crew")
    made = charge(number, ref_of(line.guest), at_s=ship.clock.unix_s)
    title, outlet = ITEMS[line.item].title("en"), ITEMS[line.item].outlet
    made = replace(made, request=replace(made.request, description=title, outlet=outlet))
    await ship.store.write(lambda tx: tx.put_charge(made))
    ship.clock.tick(60)


def _offer(id_: OfferId, tx: Tx) -> Offer | None:
    return tx.offer(id_)


def viewer_at(item: ItemId) -> Viewer:
    outlet = ITEMS[item].outlet
    return served_by("c" * 16, Outlet(outlet, KINDS[outlet], outlet))


def ref_of(name: str) -> GuestRef:
    return GuestRef(f"{random.Random(name).getrandbits(64):016x}")


def _take_less(tx: Tx, item: Item, count: int, now_s: int) -> None:
    """Undo so many of the takings, those around this hour first, as the counts have them."""
    hour = now_s // 3600 % 24
    title = item.title("en")
    charges = [
        one
        for ref in (each.ref for each in tx.guests())
        for one in tx.charges_of(ref)
        if one.request.description == title and one.state is ChargeState.POSTED
    ]
    offers = [
        one
        for ref in (each.ref for each in tx.guests())
        for one in tx.offers_of(ref, 0)
        if one.item == item.id and one.state is OfferState.ACCEPTED
    ]
    taken: list[Charge | Offer] = [*charges, *offers]
    for one in sorted(taken, key=lambda each: (each.at_s // 3600 - hour + 1) % 24 > 2)[:count]:
        if isinstance(one, Offer):
            tx.put_offer(replace(one, state=OfferState.SHOWN, answered_s=None))
        else:
            tx.put_charge(replace(one, state=ChargeState.VOIDED))


def _copied(store: MemoryStore) -> MemoryStore:
    """Its tables are copied, its records are not: those never change. It has the same keys: nobody is erased."""
    made = MemoryStore()
    made._chest = store._chest
    for kind, part in store._parts._parts.items():
        fresh: Any = made._parts.part(kind)
        for name, value in vars(part).items():
            setattr(fresh, name, _table(value))
    return made


def _table(value: Any) -> Any:
    if isinstance(value, dict):
        return type(value)({key: _table(each) for key, each in value.items()})
    return list(value) if isinstance(value, list) else value


RULES = (
    *packaged_rules(),
    rule(Nudge(Of(Reach.CATEGORY, "dessert"), 10), "sweet"),
    rule(Nudge(Of(Reach.CATEGORY, "cocktail"), 6), "mixed"),
    rule(Nudge(Of(Reach.ITEM, "lemonade"), 8), "sour"),
)
