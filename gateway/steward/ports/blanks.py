"""What the store keeps of the stock of blank bands: one row a band, and it stays when the band is taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from steward.domain.blanks import BlankBand
from steward.domain.ids import Uid


class BlanksTx(Protocol):
    """Part of ports.Tx. Whose a band became is not told here."""

    def put_blank(self, blank: BlankBand) -> None:
        """Insert or replace by uid."""
        ...

    def blank(self, uid: Uid) -> BlankBand | None: ...
    def blank_counts(self) -> Mapping[tuple[str, bool, int, bool], int]:
        """How many, by station, whether they are active ones, key version, and whether they are taken."""
        ...
