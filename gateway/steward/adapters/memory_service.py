"""Profiles, look-ups, notes, recovery cases, consent, crew, catalogue, offers: ports.service in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from steward.adapters.memory_consent import MemoryConsentTx
from steward.adapters.memory_lookups import MemoryLookUpTx
from steward.adapters.memory_tables import Tables
from steward.adapters.store_looks import check_catalogue, check_offer
from steward.domain.catalogue import Catalogue, Item, ItemId
from steward.domain.charges import Charge, ChargeState
from steward.domain.crew import CrewMember, CrewSession, SessionId
from steward.domain.ids import GuestRef, OutletId
from steward.domain.offers import Offer, OfferId, OfferState
from steward.errors import Conflict


class ServiceState:
    """What this part of the store keeps, beyond adapters/memory_lookups.py."""

    def __init__(self) -> None:
        self.crew: dict[GuestRef, CrewMember] = {}
        self.sessions: dict[SessionId, CrewSession] = {}
        self.catalogue: dict[int, Catalogue] = {}  # under 0: the one there is
        self.offers: dict[OfferId, Offer] = {}  # in the order they were shown


class MemoryServiceTx(MemoryLookUpTx, MemoryConsentTx, Tables):
    """Part of MemoryTx."""

    if TYPE_CHECKING:

        def charges_at(self, outlet: OutletId) -> Sequence[Charge]:
            """Of MemoryTx."""
            ...

    @property
    def _service(self) -> ServiceState:
        return self._part(ServiceState)

    # crew

    def put_crew(self, member: CrewMember) -> None:
        self._put(self._service.crew, member.ref, member)

    def crew(self, ref: GuestRef) -> CrewMember | None:
        return self._service.crew.get(ref)

    def crew_members(self) -> Sequence[CrewMember]:
        return sorted(self._service.crew.values(), key=lambda member: member.ref)

    def drop_crew(self, ref: GuestRef) -> None:
        self._drop(self._service.crew, ref)

    def put_session(self, session: CrewSession) -> None:
        self._put(self._service.sessions, session.id, session)

    def session(self, session: SessionId) -> CrewSession | None:
        return self._service.sessions.get(session)

    def sessions_of(self, ref: GuestRef) -> Sequence[CrewSession]:
        own = [session for session in self._service.sessions.values() if session.crew == ref]
        return sorted(own, key=lambda session: (session.created_s, session.id))

    def drop_session(self, session: SessionId) -> None:
        self._drop(self._service.sessions, session)

    def sweep_sessions(self, seen_before_s: int, created_before_s: int) -> int:
        over = [
            session.id
            for session in self._service.sessions.values()
            if session.seen_s <= seen_before_s or session.created_s <= created_before_s
        ]
        for session in over:
            self._drop(self._service.sessions, session)
        return len(over)

    # catalogue and offers

    def put_catalogue(self, catalogue: Catalogue) -> None:
        check_catalogue(catalogue)
        if catalogue.version < self.catalogue_version():
            raise Conflict("catalogue: the version never goes back")
        self._put(self._service.catalogue, 0, catalogue)

    def catalogue(self) -> Catalogue:
        return self._service.catalogue.get(0, Catalogue())

    def catalogue_version(self) -> int:
        return self.catalogue().version

    def items_at(self, outlet: OutletId) -> Sequence[Item]:
        return [item for item in self.catalogue().items if item.outlet == outlet]

    def put_offer(self, offer: Offer) -> None:
        check_offer(offer)
        self._put(self._service.offers, offer.id, offer)

    def offer(self, offer: OfferId) -> Offer | None:
        return self._service.offers.get(offer)

    def offers_of(self, ref: GuestRef, since_s: int) -> Sequence[Offer]:
        own = [offer for offer in self._service.offers.values() if offer.guest == ref and offer.at_s >= since_s]
        return sorted(own, key=lambda offer: offer.at_s)  # stable: ties stay in the order they came

    def last_offers_of(self, ref: GuestRef, limit: int) -> Sequence[Offer]:
        own = list(self.offers_of(ref, 0))
        older = len(own) - max(limit, 0)
        return [one for place, one in enumerate(own) if place >= older or one.state is OfferState.WRONG]

    def drop_offers(self, ref: GuestRef) -> None:
        for offer in [offer.id for offer in self._service.offers.values() if offer.guest == ref]:
            self._drop(self._service.offers, offer)

    def taken(self, outlet: OutletId, since_s: int) -> Sequence[tuple[ItemId, int, int]]:
        counts = Counter(
            (offer.item, offer.hour)
            for offer in self._service.offers.values()
            if offer.outlet == outlet and offer.at_s >= since_s and offer.state is OfferState.ACCEPTED
        )
        return [(item, hour, count) for (item, hour), count in sorted(counts.items())]

    def sold(self, outlet: OutletId, since_s: int, utc_offset_s: int) -> Sequence[tuple[str, int, int]]:
        counts = Counter(
            (charge.request.description, (charge.at_s + utc_offset_s) // 3600 % 24)
            for charge in self.charges_at(outlet)
            if charge.at_s >= since_s and charge.state is ChargeState.POSTED and charge.request.description
        )
        return [(text, hour, count) for (text, hour), count in sorted(counts.items())]

    def sales(self, outlet: OutletId, since_s: int) -> int:
        return sum(charge.at_s >= since_s and charge.state is ChargeState.POSTED for charge in self.charges_at(outlet))
