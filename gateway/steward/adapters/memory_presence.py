"""Bands' radios, and where bands were heard: ports.presence in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from steward.adapters.memory_consent import ConsentState
from steward.adapters.memory_guestaccess import GuestAccessState
from steward.adapters.memory_tables import Tables
from steward.domain.consent import ConsentPurpose
from steward.domain.guests import Band, BandState, Guest
from steward.domain.ids import GuestRef, Uid
from steward.domain.presence import BandRadio, Presence, Wanted
from steward.domain.replica import Kind
from steward.domain.untracked import is_untracked

_STAMP = "presence"


class PresenceState:
    """What this part of the store keeps."""

    def __init__(self) -> None:
        self.radios: dict[Uid, BandRadio] = {}
        self.presences: dict[GuestRef, Presence] = {}


class MemoryPresenceTx(Tables):
    """Part of MemoryTx."""

    if TYPE_CHECKING:

        def band(self, uid: Uid) -> Band | None: ...
        def guest(self, ref: GuestRef) -> Guest | None: ...
        def _told(self, kind: Kind, name: str) -> None:
            """Of MemoryShipTx."""
            ...

    @property
    def _kept(self) -> PresenceState:
        return self._part(PresenceState)

    def put_radio(self, radio: BandRadio) -> None:
        known = self.radio(radio.uid)
        self._put(self._kept.radios, radio.uid, radio)
        if (None if known is None else known.wish) != radio.wish:
            self._told(Kind.RADIO, radio.uid)

    def radio(self, uid: Uid) -> BandRadio | None:
        return self._kept.radios.get(uid)

    def wishes(self) -> Sequence[BandRadio]:
        return [radio for _, radio in sorted(self._kept.radios.items()) if radio.wish is not None]

    def bands_to_hear(self, now_s: int) -> Sequence[Wanted]:
        found = []
        for uid, radio in sorted(self._kept.radios.items()):
            band = self.band(uid)
            if band is None or radio.period is None or radio.wish is False or band.state is not BandState.ISSUED:
                continue
            if self._may_be_heard(band.guest, now_s):
                found.append(Wanted(uid, band.guest, band.key_version, radio.period, radio.told_s))
        return found

    def _may_be_heard(self, ref: GuestRef, now_s: int) -> bool:
        guest = self.guest(ref)
        word = self._part(ConsentState).consents.get((ref, ConsentPurpose.PRESENCE))
        if guest is None or guest.not_after_s < now_s or word is None or not word.given:
            return False
        return not is_untracked(self._part(GuestAccessState).untracked.get(ref), child=guest.child)

    def put_presence(self, presence: Presence) -> None:
        self._stamp(presence.guest, _STAMP, presence.guest)
        self._put(self._kept.presences, presence.guest, presence)

    def presence(self, ref: GuestRef) -> Presence | None:
        return self._kept.presences.get(ref) if self._holds(ref, _STAMP, ref) else None

    def drop_presence(self, ref: GuestRef) -> None:
        self._drop(self._kept.presences, ref)

    def sweep_presence(self, before_s: int) -> int:
        over = [each.guest for each in self._kept.presences.values() if each.seen_s < before_s]
        for ref in over:
            self._drop(self._kept.presences, ref)
        return len(over)

    def forget_radio(self, uid: Uid) -> None:
        """Of a band whose condition goes: not what it is still to be told."""
        known = self.radio(uid)
        if known is not None and known.wish is None:
            self._drop(self._kept.radios, uid)

    def drop_radio(self, uid: Uid) -> None:
        known = self.radio(uid)
        self._drop(self._kept.radios, uid)
        if known is not None and known.wish is not None:
            self._told(Kind.RADIO, uid)
