"""What guests did, read from the store to learn from: of those who agreed to suggestions, and of nobody else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from steward.domain.catalogue import ItemId
from steward.domain.consent import ConsentPurpose
from steward.domain.features import Moment, Signal, signal_of
from steward.domain.guests import Guest
from steward.domain.ids import OutletId
from steward.domain.offers import Offer, OfferState
from steward.domain.outlets import Outlet
from steward.domain.pastexport import KEY_BYTES, DeedLine, Shown, blanked, pseudonym
from steward.domain.pasts import Done, ShipDay, Titles, done_by, moment_at, titles_of
from steward.ports import Entropy, Tx
from steward.services.context import context_at, stay_of


@dataclass(slots=True)
class ExportCounts:
    """What was met so far. left_out: deeds about what the catalogue or the settings no longer have.

    switched_off: deeds that their guests do not let be learnt from.
    """

    guests_asked: int = 0
    guests_agreed: int = 0
    left_out: int = 0
    switched_off: int = 0


@dataclass(slots=True)
class DeedExport:
    """The deeds in one snapshot of the store, guest by guest in the order of pseudonyms, which says nothing of them.

    One guest's deeds are held at a time. The pseudonyms' key is made here and goes with this object.
    """

    tx: Tx
    entropy: Entropy
    outlets: Mapping[OutletId, Outlet]
    day: ShipDay
    counts: ExportCounts = field(default_factory=ExportCounts)

    def guests(self) -> list[tuple[str, Guest]]:
        """Who agreed, by pseudonym. Crew are not guests, whatever they agreed to."""
        key = self.entropy.token_bytes(KEY_BYTES)
        asked = [guest for guest in self.tx.guests() if not guest.crew]
        agreed = [guest for guest in asked if self._agreed(guest)]
        self.counts.guests_asked, self.counts.guests_agreed = len(asked), len(agreed)
        return sorted(((pseudonym(key, guest.ref), guest) for guest in agreed), key=lambda pair: pair[0])

    def deeds(self, guests: list[tuple[str, Guest]]) -> Iterator[list[DeedLine]]:
        """Those of each of `guests`, oldest first."""
        items = self.tx.catalogue().items
        known, titles = {item.id for item in items}, titles_of(items)
        for name, guest in guests:
            yield list(self._deeds_of(name, guest, titles, known))

    def _agreed(self, guest: Guest) -> bool:
        said = self.tx.consent(guest.ref, ConsentPurpose.SUGGESTIONS)
        return said is not None and said.given

    def _deeds_of(self, name: str, guest: Guest, titles: Titles, known: set[ItemId]) -> Iterator[DeedLine]:
        shown = accepted = 0
        off = self.tx.signals_off(guest.ref)
        for done in done_by(self.tx.offers_of(guest.ref, 0), self.tx.charges_of(guest.ref), titles):
            outlet = self.outlets.get(done.outlet)
            if outlet is None or done.item not in known:
                self.counts.left_out += 1
            elif done.deed is not None and signal_of(done.deed) in off:
                self.counts.switched_off += 1
            else:
                yield _line(name, done, self._moment(done, guest, outlet, off, shown, accepted))
            if done.offer is not None:
                shown += 1
                accepted += done.offer.state is OfferState.ACCEPTED

    def _moment(
        self, done: Done, guest: Guest, outlet: Outlet, off: frozenset[Signal], shown: int, accepted: int
    ) -> Moment:
        context = context_at(self.tx, guest, done.at_s, off)
        moment = moment_at(
            done.at_s,
            self.day,
            outlet.kind,
            stay_of(guest),
            shown=shown,
            accepted=accepted,
            in_port=context.in_port,
            company=context.company,
            weather=context.weather,
            off=off,
        )
        return blanked(moment, self.day)


def _line(name: str, done: Done, moment: Moment) -> DeedLine:
    return DeedLine(name, done.item, done.deed, moment, None if done.offer is None else _shown(done.offer))


def _shown(offer: Offer) -> Shown:
    """The log of offers does not hold what an offer was chosen from."""
    return Shown(offer.propensity_ppm, None, offer.state, offer.ranker)
