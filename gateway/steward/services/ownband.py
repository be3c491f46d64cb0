"""A guest and their own bands: what is on them, freezing one, and asking the desk for another.

Freezing takes rights away and gives none, so whoever came by the band's link may do it; only the desk makes a new one.
"""

from __future__ import annotations

from dataclasses import dataclass

from steward.domain.care import Case, CaseId
from steward.domain.condition import BandCondition
from steward.domain.events import EventType, fact
from steward.domain.guests import Band, BandState, Guest
from steward.domain.ids import GuestRef, OutletId, Uid
from steward.domain.presence import BandRadio, Presence
from steward.domain.viewing import own_actor
from steward.errors import NotFound
from steward.ports import Clock, Entropy, Store, Tx
from steward.services.checkin import freeze_band
from steward.services.family import children_of
from steward.services.lookups import guest_in
from steward.services.recovery import OPEN_EACH_MAX

BY_GUEST = "guest"


@dataclass(frozen=True, slots=True)
class OwnBand:
    """condition: what it told of its battery, if it has one. radio: what it told of that, and what is wished."""

    band: Band
    condition: BandCondition | None
    radio: BandRadio | None


class OwnBandService:
    """desk: the outlet whose crew sees that a new band is wanted; None: there is none."""

    def __init__(self, store: Store, clock: Clock, entropy: Entropy, desk: OutletId | None) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self.desk = desk

    async def bands(self, ref: GuestRef) -> tuple[Guest, list[OwnBand]]:
        """Newest first. Raises NotFound."""

        def work(tx: Tx) -> tuple[Guest, list[OwnBand]]:
            bands = [OwnBand(band, tx.condition(band.uid), tx.radio(band.uid)) for band in reversed(tx.bands_of(ref))]
            return guest_in(tx, ref), bands

        return await self._store.read(work)

    async def childrens(self, ref: GuestRef) -> dict[GuestRef, list[OwnBand]]:
        """The bands in use of the children whom this guest speaks for. Raises NotFound."""

        def work(tx: Tx) -> dict[GuestRef, list[OwnBand]]:
            return {
                child.ref: [
                    OwnBand(band, tx.condition(band.uid), tx.radio(band.uid))
                    for band in tx.bands_of(child.ref)
                    if band.state is BandState.ISSUED
                ]
                for child in children_of(tx, guest_in(tx, ref))
            }

        return await self._store.read(work)

    async def last_heard(self, ref: GuestRef) -> Presence | None:
        """Where this guest's band was heard last, as far as that is kept."""
        now_s = self._clock.now().unix_s
        kept = await self._store.read(lambda tx: tx.presence(ref))
        return kept if kept is not None and now_s <= kept.until_s else None

    async def freeze(self, ref: GuestRef, uid: Uid, wanted: str) -> Band:
        """Refuse this band everywhere from now on. Idempotent. wanted: what the desk is asked for; empty: nothing.

        Raises NotFound, also for another guest's.
        """
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Band:
            band = tx.band(uid)
            if band is None or band.guest != ref:
                raise NotFound("band", "of this guest")
            if band.state in (BandState.ISSUED, BandState.ENCODING):
                band = freeze_band(tx, band, now_s, "lost", BY_GUEST)
                if wanted and self.desk is not None:
                    self._ask(tx, ref, self.desk, wanted, now_s)
            return band

        return await self._store.write(work)

    def _ask(self, tx: Tx, ref: GuestRef, desk: OutletId, wanted: str, now_s: int) -> None:
        """A case as crew open them. With so many open already, the desk knows this guest."""
        if tx.open_case_count(ref) >= OPEN_EACH_MAX:
            return
        id_ = CaseId(self._entropy.token_bytes(8).hex())
        tx.open_case(Case(id_, ref, desk, wanted, own_actor(ref), now_s))
        tx.append_event(fact(EventType.RECOVERY_OPENED, now_s, case=id_, guest=ref, outlet=desk, by=BY_GUEST))
