"""What was offered to a guest and why, for the guest: with every reason that was found, and their own answers to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steward.domain.catalogue import Item, ItemId
from steward.domain.consent import no_offers
from steward.domain.features import Signal
from steward.domain.ids import GuestRef
from steward.domain.offers import Answer, Offer, OfferId
from steward.errors import NotFound
from steward.ports import Store, Tx
from steward.services.lookups import guest_in
from steward.services.offers import OfferService
from steward.services.ownlook import own_viewer
from steward.services.signals import signals_of

SHOWN_MAX = 30


@dataclass(frozen=True, slots=True)
class OwnOffers:
    """offers: newest first. items: what they and their reasons speak of, as far as the catalogue still has it.

    stopped: nothing is suggested to this guest, after a no or because nobody said yes for a child.
    """

    offers: Sequence[Offer]
    items: Mapping[ItemId, Item]
    off: frozenset[Signal]
    stopped: bool


class OwnOfferService:
    def __init__(self, store: Store, offers: OfferService) -> None:
        self._store = store
        self._offers = offers

    async def of(self, ref: GuestRef) -> OwnOffers:
        """Raises NotFound."""
        return await self._store.read(lambda tx: _own(tx, ref))

    async def answer(self, ref: GuestRef, offer_id: OfferId, answer: Answer) -> Offer:
        """The guest's own word; the last counts. Raises NotFound for anybody else's offer, Conflict."""
        offer = await self._store.read(lambda tx: tx.offer(offer_id))
        if offer is None or offer.guest != ref:
            raise NotFound("offer", offer_id)
        return await self._offers.answer(own_viewer(ref, offer.outlet), offer_id, answer)


def _own(tx: Tx, ref: GuestRef) -> OwnOffers:
    guest = guest_in(tx, ref)
    offers = sorted(tx.last_offers_of(ref, SHOWN_MAX), key=lambda offer: (-offer.at_s, offer.id))[:SHOWN_MAX]
    return OwnOffers(
        offers=offers,
        items={item.id: item for item in tx.catalogue().items} if offers else {},
        off=signals_of(tx, ref).off,
        stopped=no_offers(tx.consents_of(ref), child=guest.child),
    )
