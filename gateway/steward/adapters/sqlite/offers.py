"""The catalogue and what became of offers: ports.service.OfferTx on catalogue, catalogue_item, offer and charge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from steward.adapters.sqlite.charges import charge_kind
from steward.adapters.sqlite.statements import Statements, select, upsert
from steward.adapters.store_items import decode_item, encode_item
from steward.adapters.store_looks import check_catalogue, check_offer
from steward.adapters.store_reasons import decode_reasons, encode_reasons
from steward.domain.catalogue import Catalogue, Item, ItemId
from steward.domain.ids import GuestRef, OutletId
from steward.domain.offers import Offer, OfferId, OfferState
from steward.errors import Conflict

_WHAT = ("guest", "outlet", "item", "category", "at_s", "hour", "propensity_ppm", "ranker", "reasons")
_OFFER = ("id", *_WHAT, "state", "answered_s", "liked_s")

VERSION = "SELECT version FROM catalogue"
SET_VERSION = "UPDATE catalogue SET version = ?"
DROP_ITEMS = "DELETE FROM catalogue_item"
PUT_ITEM = "INSERT INTO catalogue_item (place, id, outlet, body) VALUES (?, ?, ?, ?)"
ITEMS = "SELECT id, outlet, body FROM catalogue_item ORDER BY place"
ITEMS_AT = "SELECT id, outlet, body FROM catalogue_item WHERE outlet = ? ORDER BY place"
PUT_OFFER = upsert("offer", ("id",), _OFFER[1:])
OFFER = select(_OFFER, "FROM offer WHERE id = ?")
OFFERS_OF = select(_OFFER, "FROM offer WHERE guest = ? AND at_s >= ? ORDER BY at_s, seq")
# Each half by its own index, so that only what is asked for is read.
LAST_OFFERS_OF = select(
    _OFFER,
    """
    FROM offer WHERE seq IN (SELECT seq FROM offer WHERE guest = ? AND state = 'wrong')
        OR seq IN (SELECT seq FROM offer WHERE guest = ? ORDER BY at_s DESC, seq DESC LIMIT ?)
    ORDER BY at_s, seq
    """,
)
DROP_OFFERS = "DELETE FROM offer WHERE guest = ?"
TAKEN = """
SELECT item, hour, count(*) FROM offer WHERE outlet = ? AND at_s >= ? AND state = 'accepted'
GROUP BY item, hour ORDER BY item, hour
"""
SOLD = """
SELECT tap_id, guest, description, (at_s + ?) / 3600 % 24 FROM charge
WHERE outlet = ? AND at_s >= ? AND state = 'posted' AND description <> ''
"""
SALES = "SELECT count(*) FROM charge WHERE outlet = ? AND at_s >= ? AND state = 'posted'"


class OfferTx(Statements):
    def put_catalogue(self, catalogue: Catalogue) -> None:
        check_catalogue(catalogue)
        if catalogue.version < self.catalogue_version():
            raise Conflict("catalogue: the version never goes back")
        self._change(SET_VERSION, (catalogue.version,))
        self._change(DROP_ITEMS, ())
        for place, item in enumerate(catalogue.items, 1):
            self._change(PUT_ITEM, (place, item.id, item.outlet, encode_item(item)))

    def catalogue(self) -> Catalogue:
        return Catalogue(self.catalogue_version(), tuple(decode_item(*row) for row in self._all(ITEMS)))

    def catalogue_version(self) -> int:
        version: int = self._one(VERSION)[0]
        return version

    def items_at(self, outlet: OutletId) -> Sequence[Item]:
        return [decode_item(*row) for row in self._all(ITEMS_AT, (outlet,))]

    def put_offer(self, offer: Offer) -> None:
        check_offer(offer)
        what = (offer.guest, offer.outlet, offer.item, offer.category, offer.at_s, offer.hour, offer.propensity_ppm)
        told = self._seal_text(offer.guest, offer_kind(offer.id), encode_reasons(offer.reasons, offer.why))
        rest = (offer.ranker, told, offer.state, offer.answered_s, offer.liked_s)
        self._change(PUT_OFFER, (offer.id, *what, *rest))

    def _offer(self, row: Sequence[Any]) -> Offer:
        told = self._text(row[1], offer_kind(row[0]), row[9])
        return _offer((*row[:9], told or encode_reasons((), None), *row[10:]))

    def offer(self, offer: OfferId) -> Offer | None:
        row = self._one(OFFER, (offer,))
        return None if row is None else self._offer(row)

    def offers_of(self, ref: GuestRef, since_s: int) -> Sequence[Offer]:
        return [self._offer(row) for row in self._all(OFFERS_OF, (ref, since_s))]

    def last_offers_of(self, ref: GuestRef, limit: int) -> Sequence[Offer]:
        return [self._offer(row) for row in self._all(LAST_OFFERS_OF, (ref, ref, max(limit, 0)))]

    def drop_offers(self, ref: GuestRef) -> None:
        self._change(DROP_OFFERS, (ref,))

    def taken(self, outlet: OutletId, since_s: int) -> Sequence[tuple[ItemId, int, int]]:
        return [(ItemId(item), hour, count) for item, hour, count in self._all(TAKEN, (outlet, since_s))]

    def sold(self, outlet: OutletId, since_s: int, utc_offset_s: int) -> Sequence[tuple[str, int, int]]:
        counts: Counter[tuple[str, int]] = Counter()
        for tap_id, guest, said, hour in self._all(SOLD, (utc_offset_s, outlet, since_s)):
            text = said if guest is None else self._text(guest, charge_kind(tap_id), said)
            if text:
                counts[text, hour] += 1
        return [(text, hour, count) for (text, hour), count in sorted(counts.items())]

    def sales(self, outlet: OutletId, since_s: int) -> int:
        return int(self._one(SALES, (outlet, since_s))[0])


def offer_kind(id_: str) -> str:
    return f"offer {id_}"


def _offer(row: Sequence[Any]) -> Offer:
    id_, guest, outlet, item, category, at_s, hour, propensity_ppm, ranker, told, state, answered_s, liked_s = row
    reasons, why = decode_reasons(told)
    return Offer(
        id=OfferId(id_),
        guest=GuestRef(guest),
        outlet=OutletId(outlet),
        item=ItemId(item),
        category=category,
        at_s=at_s,
        hour=hour,
        propensity_ppm=propensity_ppm,
        ranker=ranker,
        reasons=reasons,
        state=OfferState(state),
        answered_s=answered_s,
        liked_s=liked_s,
        why=why,
    )
