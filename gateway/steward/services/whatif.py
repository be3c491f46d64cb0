"""What would be offered in other company, in other weather, at another hour: for one guest, side by side. A look-up.

The same guest, the same past, the same model and rules; only the moment is another. Nothing is offered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from steward.domain.catalogue import Item, ItemId
from steward.domain.consent import no_offers
from steward.domain.features import Company, Weather
from steward.domain.ids import GuestRef
from steward.domain.offers import pending_offer
from steward.domain.reasons import Change, Kind
from steward.domain.rules import decide
from steward.domain.viewing import Viewer
from steward.domain.why import changed
from steward.errors import Refused
from steward.ports import Clock, Store, Tx
from steward.ports.service import Weigh
from steward.services.lookups import NO_CONSENT, check_look, guest_in
from steward.services.offers import OfferService
from steward.services.situation import disclose_for_offer, known_now, offer_look
from steward.services.why import Case, scored_in

PLACES = 3
HOURS = (9, 13, 17, 21)

Places = tuple[ItemId, ...]  # the first PLACES of what could be offered


@dataclass(frozen=True, slots=True)
class Compared:
    """now: what would be offered as things are. others: by what is otherwise; empty where nothing personal is asked,
    or where a model ranks and could not be asked in time. items: those that are named.
    """

    personal: bool
    now: Places
    others: Mapping[Change, Places]
    items: Mapping[ItemId, Item]


class WhatIfService:
    def __init__(self, store: Store, clock: Clock, offers: OfferService) -> None:
        self._store = store
        self._clock = clock
        self._offers = offers

    async def compare(self, viewer: Viewer, ref: GuestRef) -> Compared:
        """As if an offer that waits had not been made. Raises NotFound, Refused (not_permitted, no_consent)."""
        now_s = self._clock.now().unix_s
        look = offer_look(viewer, ref, now_s)
        check_look(look)
        orders = await self._offers.orders(viewer, ref, now_s, aside=True)

        def work(tx: Tx) -> Case:
            guest = guest_in(tx, ref)
            if no_offers(tx.consents_of(ref), child=guest.child):
                raise Refused(NO_CONSENT, "the guest objects to suggestions: nothing is read and nothing compared")
            shown = disclose_for_offer(tx, look)
            known = known_now(tx, shown)
            waits = pending_offer(known.offers, viewer.outlet, now_s)
            known = replace(known, offers=[offer for offer in known.offers if offer is not waits])
            return Case(orders, self._offers.decided_in(tx, shown, known, orders, now_s), known.off)

        case = await self._store.write(work)
        now = tuple(one.item for one in case.decided.decision.ordered[:PLACES])
        others: Mapping[Change, Places] | None = None
        if case.by_model and case.decided.here:
            others = await self._offers.ranking.compare(orders, True, lambda weigh: self._others(case, weigh))
        others = others or {}
        named = {*now, *(item for places in others.values() for item in places)}
        return Compared(
            orders.request.moment is not None, now, others, {item: case.decided.here[item] for item in named}
        )

    def _others(self, case: Case, weigh: Weigh) -> Mapping[Change, Places]:
        here = list(case.decided.here.values())
        view = case.view(here[0].id)
        found: dict[Change, Places] = {}
        for change in changes_of(case.decided.situation.minute):
            other = changed(view, (change,))
            assert other is not None, "whoever ranks by the moment knows it"
            ordered = decide(here, scored_in(case, other, weigh), other.situation, self._offers.rules).ordered
            found[change] = tuple(one.item for one in ordered[:PLACES])
        return found


def changes_of(minute: int) -> Iterator[Change]:
    """Everything that is compared, in order. minute: of the ship's day now; other hours are whole hours later."""
    yield from (Change(Kind.COMPANY, company) for company in Company)
    yield from (Change(Kind.WEATHER, weather) for weather in Weather)
    for hour in HOURS:
        yield Change(Kind.HOUR, f"{hour:02d}:{minute % 60:02d}", (hour - minute // 60) % 24)
