"""What a workshop's station says of the bands it keyed, signed by the station's own key. Pure.

The body of a signed record (domain/signedrecord.py) of kind STATION_REPORT: who made it, for which site and link, and
a line for each band. It holds no key and nobody's name: the bands have no wearer yet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from steward.domain.ids import Uid
from steward.domain.records import STATION_REPORT
from steward.domain.signedrecord import RecordFault, Signed, holds, read_signed

SCHEMA = "steward-station-report-1"
SIGNING_VERSION = 1  # a station has one key
BANDS_MAX = 20_000
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_LINK = re.compile(r"[!-~]{1,500}")
_UID = re.compile(r"04[0-9A-F]{12}")
_FIRMWARE = re.compile(r"[!-~]{0,64}")
_CODE = re.compile(r"[a-z][a-z0-9_]{0,31}")
_TIME_MAX = 1 << 40
_ACTIVE, _PASSIVE = "active", "passive"
_BODY = {"schema", "station", "site", "link", "made_at", "bands"}
_BAND = {"uid", "kind", "key_version", "firmware", "outcome", "reason", "begun_at", "ended_at", "tests"}


class Outcome(StrEnum):
    DONE = "done"
    FAULTY = "faulty"
    BEGUN = "begun"  # cut off, and not come back yet


@dataclass(frozen=True, slots=True)
class ReportedBand:
    """One band. reason: a code, of a faulty one. tests: "ok" or a code, by the test's name."""

    uid: Uid
    active: bool
    key_version: int
    firmware: str  # empty for a passive one
    outcome: Outcome
    reason: str
    begun_s: int
    ended_s: int  # 0: not yet
    tests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StationReport:
    """link: where a phone is sent that reads a band, with the places of its mirrors, as the bands have it."""

    station: str
    site: int
    link: str
    made_s: int
    bands: Sequence[ReportedBand]

    def body(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "station": self.station,
            "site": self.site,
            "link": self.link,
            "made_at": self.made_s,
            "bands": [_row(band) for band in self.bands],
        }


def read_report(content: bytes) -> tuple[Signed, StationReport]:
    """Of a file. Its signature holds; whose key that is, the caller knows. Raises RecordFault."""
    signed = read_signed(content, kinds=(STATION_REPORT,))
    if not holds(signed):
        raise RecordFault("it was changed after it was signed, or only a part of it is here")
    return signed, _report(signed.body)


def _row(band: ReportedBand) -> dict[str, Any]:
    return {
        "uid": band.uid,
        "kind": _ACTIVE if band.active else _PASSIVE,
        "key_version": band.key_version,
        "firmware": band.firmware,
        "outcome": band.outcome.value,
        "reason": band.reason,
        "begun_at": band.begun_s,
        "ended_at": band.ended_s,
        "tests": dict(band.tests),
    }


def _report(body: Mapping[str, Any]) -> StationReport:
    if set(body) != _BODY or body["schema"] != SCHEMA:
        raise RecordFault(f"it is no report of schema {SCHEMA}: the station's bandtool and this gateway differ")
    rows = body["bands"]
    if not isinstance(rows, list) or len(rows) > BANDS_MAX:
        raise RecordFault(f"its bands are no list of at most {BANDS_MAX}")
    bands = [_band(row, number) for number, row in enumerate(rows, 1)]
    if len({band.uid for band in bands}) != len(bands):
        raise RecordFault("it names a band twice")
    return StationReport(
        station=_text(body["station"], _NAME, "station"),
        site=_number(body["site"], 1, 65_535, "site"),
        link=_text(body["link"], _LINK, "link"),
        made_s=_number(body["made_at"], 0, _TIME_MAX, "made_at"),
        bands=bands,
    )


def _band(row: Any, number: int) -> ReportedBand:
    where = f"of band {number}"
    if not isinstance(row, dict) or set(row) != _BAND:
        raise RecordFault(f"what it says {where} has not exactly {', '.join(sorted(_BAND))}")
    if row["kind"] not in (_ACTIVE, _PASSIVE):
        raise RecordFault(f"the kind {where} is neither {_ACTIVE} nor {_PASSIVE}")
    if row["outcome"] not in list(Outcome):
        raise RecordFault(f"the outcome {where} is none of {', '.join(Outcome)}")
    tests = row["tests"]
    if not isinstance(tests, dict) or len(tests) > 64:
        raise RecordFault(f"the tests {where} are no set of names and outcomes")
    return ReportedBand(
        uid=Uid(_text(row["uid"], _UID, f"uid {where}")),
        active=row["kind"] == _ACTIVE,
        key_version=_number(row["key_version"], 1, 255, f"key_version {where}"),
        firmware=_text(row["firmware"], _FIRMWARE, f"firmware {where}"),
        outcome=Outcome(row["outcome"]),
        reason=_text(row["reason"], _CODE, f"reason {where}") if row["reason"] != "" else "",
        begun_s=_number(row["begun_at"], 0, _TIME_MAX, f"begun_at {where}"),
        ended_s=_number(row["ended_at"], 0, _TIME_MAX, f"ended_at {where}"),
        tests={
            _text(name, _CODE, f"test {where}"): _text(said, _CODE, f"test {where}") for name, said in tests.items()
        },
    )


def _text(value: Any, shape: re.Pattern[str], what: str) -> str:
    if not isinstance(value, str) or not shape.fullmatch(value):
        raise RecordFault(f"the {what} is not in the form it has in a station's report")
    return value


def _number(value: Any, low: int, high: int, what: str) -> int:
    if type(value) is not int or not low <= value <= high:
        raise RecordFault(f"the {what} is no number from {low} to {high}")
    return value
