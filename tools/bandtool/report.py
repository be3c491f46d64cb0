"""A station's report: what became of each band, signed by the station's key, and the same as a table for people."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from bandtool.journal import BenchBand
from bandtool.stationkeys import StationKey
from steward.domain.records import STATION_REPORT, record_input
from steward.domain.signedrecord import canonical, envelope, file_of
from steward.domain.stationreport import SIGNING_VERSION, Outcome, ReportedBand, StationReport

_COLUMNS = ("uid", "kind", "key_version", "firmware", "outcome", "reason", "begun_at", "ended_at", "tests")
NOT_TESTED = "not_tested"


def report_of(name: str, site: int, link: str, made_s: int, bands: Sequence[BenchBand]) -> StationReport:
    """link: with the places of its mirrors, as it is on the bands."""
    return StationReport(name, site, link, made_s, [reported(band) for band in bands])


def signed_file(report: StationReport, key: StationKey) -> bytes:
    """The JSON file, for `steward import bands`."""
    body = report.body()
    signature = key.sign(record_input(STATION_REPORT, canonical(body)))
    return file_of(envelope(STATION_REPORT, body, SIGNING_VERSION, key.public, signature))


def table(report: StationReport) -> bytes:
    """CSV with a header. Nobody signs it: it is to be read, not to be imported."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for row in report.body()["bands"]:
        tests = " ".join(f"{name}={said}" for name, said in sorted(row["tests"].items()))
        writer.writerow([*(row[column] for column in _COLUMNS[:-1]), tests])
    return out.getvalue().encode()


def reported(band: BenchBand) -> ReportedBand:
    """A band as the report has it: without its self-test it is not done."""
    outcome, reason = Outcome(band.stage.value), band.what
    tests = json.loads(band.tests) if band.tests else {}
    if outcome is Outcome.DONE and band.active and not tests:
        outcome, reason = Outcome.BEGUN, NOT_TESTED  # keyed, and cut off before its self-test was over
    return ReportedBand(
        uid=band.uid,
        active=band.active,
        key_version=band.key_version,
        firmware=band.firmware,
        outcome=outcome,
        reason=reason,
        begun_s=band.begun_s,
        ended_s=band.ended_s,
        tests=tests,
    )
