"""What the store keeps of bands' radios, and of where bands were heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from steward.domain.ids import GuestRef, Uid
from steward.domain.presence import BandRadio, Presence, Wanted


class PresenceTx(Protocol):
    """Part of ports.Tx.

    The store itself drops a band's radio when the band is returned or retired, and a guest's presence with the guest,
    with the consent, with the first word of no-tracking, and when a band of theirs stops being issued.
    """

    def put_radio(self, radio: BandRadio) -> None:
        """Insert or replace by uid."""
        ...

    def radio(self, uid: Uid) -> BandRadio | None: ...
    def wishes(self) -> Sequence[BandRadio]:
        """Those whose band is still to be told, by uid."""
        ...

    def bands_to_hear(self, now_s: int) -> Sequence[Wanted]:
        """Bands whose names may be resolved: issued, on and wanted on, of a guest aboard who agreed; by uid."""
        ...

    def put_presence(self, presence: Presence) -> None:
        """Insert or replace by guest. The zone is sealed with the guest's key. Raises Erased."""
        ...

    def presence(self, ref: GuestRef) -> Presence | None:
        """For who may see it: services/findme.py."""
        ...

    def drop_presence(self, ref: GuestRef) -> None: ...
    def sweep_presence(self, before_s: int) -> int:
        """Delete those last heard before that; how many."""
        ...
