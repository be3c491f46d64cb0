"""The stock of blank bands: ports.blanks in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from steward.adapters.memory_tables import Tables
from steward.domain.blanks import BlankBand
from steward.domain.ids import Uid


class BlankState:
    """What this part of the store keeps."""

    def __init__(self) -> None:
        self.blanks: dict[Uid, BlankBand] = {}


class MemoryBlanksTx(Tables):
    """Part of MemoryTx."""

    def put_blank(self, blank: BlankBand) -> None:
        self._put(self._part(BlankState).blanks, blank.uid, blank)

    def blank(self, uid: Uid) -> BlankBand | None:
        return self._part(BlankState).blanks.get(uid)

    def blank_counts(self) -> Mapping[tuple[str, bool, int, bool], int]:
        blanks = self._part(BlankState).blanks.values()
        return Counter((blank.station, blank.active, blank.key_version, blank.taken) for blank in blanks)
