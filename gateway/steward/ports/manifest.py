"""What the manifest import keeps: which guest a row of a file became, and photos on their way to a guest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from steward.domain.ids import GuestRef
from steward.domain.manifest import Imported
from steward.domain.profiles import Photo


class ManifestTx(Protocol):
    """Part of ports.Tx. A staged photo can be given to a guest, and never be read back."""

    def imported(self, booking: str) -> Sequence[Imported]:
        """The guests of this booking that came by import, by key."""
        ...

    def put_imported(self, record: Imported) -> None:
        """Insert or replace by booking and key."""
        ...

    def stage_photo(self, photo: Photo, at_s: int) -> None:
        """Keep a photo that no guest has yet; its ref is not looked at. One that is there is only kept for longer.

        Raises ValueError if it is too large, or neither JPEG nor PNG.
        """
        ...

    def is_staged(self, sha256: str) -> bool:
        """Whether `use_photo` would find it."""
        ...

    def staged_count(self) -> int: ...
    def use_photo(self, ref: GuestRef, sha256: str) -> None:
        """Make a staged photo this guest's. Raises NotFound if there is none of that hash."""
        ...

    def sweep_photos(self, before_s: int, limit: int) -> int:
        """Delete photos staged before this time that no guest has; how many, `limit` at most."""
        ...
