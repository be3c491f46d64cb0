"""What a ranker is asked: an outlet's items, what is taken there and, with consent, the guest's history and moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from steward.domain.catalogue import Item, ItemId
from steward.domain.features import Past
from steward.domain.holdout import Arm
from steward.domain.ids import GuestRef, OutletId
from steward.domain.offers import OfferState, offers_by, pending_offer
from steward.domain.pasts import DEEDS_READ_MAX, ShipDay, Titles, done_by, moment_at, titles_of
from steward.domain.trial import Trial
from steward.domain.viewing import Viewer
from steward.ports import Store, Tx
from steward.ports.service import RankRequest
from steward.services.context import context_at, stay_of
from steward.services.decisions import DecisionLog
from steward.services.ranking import Ranking
from steward.services.situation import agrees

COUNT_DAYS = 28
COUNT_AGAIN_AFTER_S = 300
_AROUND_H = (-1, 0, 1)
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class _Shelf:
    """The catalogue as it was at `version`, and what was taken of one outlet's part of it, by item and hour."""

    counted_s: int
    version: int
    here: Sequence[Item]
    items: Mapping[ItemId, Item]
    titles: Titles
    by_hour: Mapping[tuple[ItemId, int], int]


class RankRequests:
    def __init__(self, store: Store, ranking: Ranking, day: ShipDay, decisions: DecisionLog) -> None:
        self._store = store
        self._ranking = ranking
        self._day = day
        self._decisions = decisions
        self._shelves: dict[OutletId, _Shelf] = {}

    async def make(
        self, viewer: Viewer, ref: GuestRef, now_s: int, *, before: bool = False, aside: bool = False
    ) -> tuple[RankRequest, Trial]:
        """And what is on trial. The guest's past is read only if a model is to see it and the guest agreed.

        before: as it was just before `now_s`, whatever was shown or said since. aside: as if the offer that waits had
        not been made; else nothing is decided while one does, and nothing personal is asked.
        """
        version, trial = await self._store.read(lambda tx: (tx.catalogue_version(), self._ranking.read(tx)))
        shelf = await self._shelf(viewer.outlet, version, now_s)
        plain = _plain(shelf, self._day.minute(now_s) // 60)
        if not trial.wants():
            return plain, trial
        return await self._store.read(partial(self._personal, plain, shelf, viewer, ref, now_s, before, aside)), trial

    def _personal(
        self,
        plain: RankRequest,
        shelf: _Shelf,
        viewer: Viewer,
        ref: GuestRef,
        now_s: int,
        before: bool,
        aside: bool,
        tx: Tx,
    ) -> RankRequest:
        """With history and moment, if the guest agreed and is not held out, and no offer waits already."""
        guest = tx.guest(ref)
        agreed = agrees(tx.consents_of(ref))
        if guest is None or self._decisions.arm(tx, ref, agreed=agreed) is not Arm.PERSONAL:
            return plain
        offers = offers_by(tx.offers_of(ref, 0), now_s) if before else tx.last_offers_of(ref, DEEDS_READ_MAX)
        waits = pending_offer(offers, viewer.outlet, now_s)
        if waits is not None and not aside:
            return plain
        offers = [offer for offer in offers if offer is not waits]
        here, charges = viewer.outlet, tx.last_charges_of(ref, DEEDS_READ_MAX)
        history = [
            Past(done.item, done.deed, done.at_s, self._day.minute(done.at_s), shelf.items[done.item].outlet == here)
            for done in done_by(offers, charges, shelf.titles)
            if done.deed is not None and done.item in shelf.items and done.at_s < now_s
        ]
        accepted = sum(offer.state is OfferState.ACCEPTED for offer in offers)
        off = tx.signals_off(ref)
        context = context_at(tx, guest, now_s, off)
        moment = moment_at(
            now_s,
            self._day,
            viewer.outlet_kind,
            stay_of(guest),
            shown=len(offers),
            accepted=accepted,
            in_port=context.in_port,
            company=context.company,
            weather=context.weather,
            off=off,
        )
        return replace(plain, moment=moment, history=history)

    async def _shelf(self, outlet: OutletId, version: int, now_s: int) -> _Shelf:
        """Counted anew every few minutes, and for a new catalogue."""
        known = self._shelves.get(outlet)
        if known is not None and known.version == version and 0 <= now_s - known.counted_s < COUNT_AGAIN_AFTER_S:
            return known
        same = known if known is not None and known.version == version else None
        counted = self._shelves[outlet] = await self._store.read(partial(self._count, outlet, now_s, same))
        return counted

    def _count(self, outlet: OutletId, now_s: int, known: _Shelf | None, tx: Tx) -> _Shelf:
        since_s = now_s - COUNT_DAYS * _DAY_S
        version = tx.catalogue_version()
        if known is None or known.version != version:
            items = {item.id: item for item in tx.catalogue().items}
            here = [item for item in items.values() if item.outlet == outlet]
            known = _Shelf(now_s, version, here, items, titles_of(items.values()), {})
        sold = tx.sold(outlet, since_s, self._day.utc_offset_s)
        by_hour = _by_hour(known.here, tx.taken(outlet, since_s), sold)
        return _Shelf(now_s, version, known.here, known.items, known.titles, by_hour)


def _plain(shelf: _Shelf, hour: int) -> RankRequest:
    now: Counter[ItemId] = Counter()
    ever: Counter[ItemId] = Counter()
    around = {(hour + step) % 24 for step in _AROUND_H}
    for (item_id, at), count in shelf.by_hour.items():
        ever[item_id] += count
        now[item_id] += count if at in around else 0
    return RankRequest(shelf.here, now, ever, shelf.items, shelf.version)


def _by_hour(
    items: Sequence[Item], taken: Sequence[tuple[ItemId, int, int]], sold: Sequence[tuple[str, int, int]]
) -> dict[tuple[ItemId, int], int]:
    """Accepted offers, and charges whose description is an item's title, by item and hour."""
    by_title = {title.casefold(): item.id for item in items for title in item.titles.values()}
    counts: Counter[tuple[ItemId, int]] = Counter()
    for item_id, hour, count in taken:
        counts[item_id, hour] += count
    for description, hour, count in sold:
        known = by_title.get(description.strip().casefold())
        if known is not None:
            counts[known, hour] += count
    return dict(counts)
