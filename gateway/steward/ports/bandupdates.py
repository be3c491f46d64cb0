"""What the store keeps of the release that bands are given: how far it is, and one row a band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from steward.domain.bandstages import BandUpdate, Rollout, Tally
from steward.domain.ids import Uid


class BandUpdatesTx(Protocol):
    """Part of ports.Tx. The store itself drops a band's row at the moment when the band is returned or retired."""

    def put_rollout(self, rollout: Rollout) -> None:
        """In the place of the one there is."""
        ...

    def rollout(self) -> Rollout | None: ...
    def put_band_update(self, update: BandUpdate) -> None:
        """Insert or replace by uid."""
        ...

    def band_update(self, uid: Uid) -> BandUpdate | None: ...
    def bands_trying(self, number: int) -> Sequence[BandUpdate]:
        """Those that have begun this release and not told what became of it, by uid."""
        ...

    def band_tally(self, number: int) -> Tally:
        """How many bands kept this release, and how many failed it."""
        ...


class ReleaseFiles(Protocol):
    """Where files of releases have arrived."""

    async def read(self, sha256: str) -> bytes | None:
        """The file of this SHA-256; None if it is not here whole."""
        ...
