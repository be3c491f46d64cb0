"""The stock of blank bands: ports.blanks on the table blank_band."""

from __future__ import annotations

from collections.abc import Mapping

from steward.adapters.sqlite.statements import Statements, select, upsert
from steward.domain.blanks import BlankBand
from steward.domain.ids import Uid

_BLANK = ("uid", "station", "active", "key_version", "keyed_s", "taken")
_KIND = ("station", "active", "key_version", "taken")
PUT_BLANK = upsert("blank_band", ("uid",), _BLANK[1:])
BLANK = select(_BLANK, "FROM blank_band WHERE uid = ?")
BLANK_COUNTS = select((*_KIND, "count(*)"), f"FROM blank_band GROUP BY {', '.join(_KIND)}")


class BlanksTx(Statements):
    """Part of SqliteTx."""

    def put_blank(self, blank: BlankBand) -> None:
        told = (blank.station, int(blank.active), blank.key_version, blank.keyed_s, int(blank.taken))
        self._change(PUT_BLANK, (blank.uid, *told))

    def blank(self, uid: Uid) -> BlankBand | None:
        row = self._one(BLANK, (uid,))
        if row is None:
            return None
        station, active, version, keyed_s, taken = row[1:]
        return BlankBand(uid, station, bool(active), version, keyed_s, bool(taken))

    def blank_counts(self) -> Mapping[tuple[str, bool, int, bool], int]:
        rows = self._all(BLANK_COUNTS)
        return {(station, bool(active), version, bool(taken)): count for station, active, version, taken, count in rows}
