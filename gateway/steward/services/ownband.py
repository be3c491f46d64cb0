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
from steward.domain.viewing import own_actor
from steward.errors import NotFound
from steward.ports import Clock, Entropy, Store, Tx
from steward.services.checkin import freeze_band
from steward.services.lookups import guest_in
from steward.services.recovery import OPEN_EACH_MAX

BY_GUEST = "guest"


@dataclass(frozen=True, slots=True)
class OwnBand:
    """condition: what it told of its battery, if it has one."""

    band: Band
    condition: BandCondition | None


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
            bands = [OwnBand(band, tx.condition(band.uid)) for band in reversed(tx.bands_of(ref))]
            return guest_in(tx, ref), bands

        return await self._store.read(work)

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
