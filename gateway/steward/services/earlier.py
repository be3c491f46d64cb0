"""What a guest answered to an outlet's offers lately, so that it can be said to be liked, or answered otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from steward.domain.catalogue import Item
from steward.domain.consent import no_offers
from steward.domain.ids import GuestRef
from steward.domain.offers import Offer, OfferState
from steward.domain.viewing import Field, Viewer, look_at
from steward.ports import Tx
from steward.services.lookups import check_look, guest_in

EARLIER_S = 24 * 3600
EARLIER_MAX = 3


@dataclass(frozen=True, slots=True)
class Answered:
    offer: Offer
    item: Item


def earlier_in(tx: Tx, viewer: Viewer, ref: GuestRef, now_s: int) -> list[Answered]:
    """At the viewer's outlet, the newest first. A look-up where there is anything to show.

    Nothing of a guest who objects to suggestions. Raises NotFound, Refused not_permitted.
    """
    look = look_at(viewer, ref, {Field.SUGGESTIONS}, now_s)
    check_look(look)
    guest = guest_in(tx, ref)
    if no_offers(tx.consents_of(ref), child=guest.child):
        return []
    lately = tx.offers_of(ref, now_s - EARLIER_S)
    said = [offer for offer in lately if offer.outlet == viewer.outlet and offer.state is not OfferState.SHOWN]
    if not said:
        return []
    here = {item.id: item for item in tx.items_at(viewer.outlet)}
    found = [Answered(offer, here[offer.item]) for offer in reversed(said) if offer.item in here][:EARLIER_MAX]
    if found:
        tx.log_look_up(look)
    return found
