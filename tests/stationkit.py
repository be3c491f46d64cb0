"""A workshop's station for tests: its key, and reports that it signs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from steward.domain.ids import Uid
from steward.domain.records import STATION_REPORT, key_fingerprint, record_input
from steward.domain.signedrecord import canonical, envelope, file_of
from steward.domain.stationreport import SIGNING_VERSION, Outcome, ReportedBand, StationReport
from steward.services.blanks import TrustedStation

NAME, LINK = "bench-1", "ship.example/t?e={picc}&c={mac}"
MADE_S = 1_790_000_000


def uid(number: int) -> Uid:
    return Uid(f"04{number:012X}")


def reported(number: int, **changes: object) -> ReportedBand:
    band = ReportedBand(uid(number), True, 1, "7", Outcome.DONE, "", MADE_S - 60, MADE_S - 30, {"flash": "ok"})
    return replace(band, **changes)  # type: ignore[arg-type]


class ToyStation:
    def __init__(self, seed: int = 1, name: str = NAME, site: int = 7) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public = self.key.public_key().public_bytes_raw()
        self.name, self.site = name, site

    @property
    def fingerprint(self) -> str:
        return key_fingerprint(self.public).replace(" ", "")

    def trusted(self) -> TrustedStation:
        return TrustedStation(self.name, self.fingerprint)

    def report(self, bands: Sequence[ReportedBand], **changes: object) -> StationReport:
        made = StationReport(self.name, self.site, LINK, MADE_S, list(bands))
        return replace(made, **changes)  # type: ignore[arg-type]

    def sign(self, report: StationReport, kind: str = STATION_REPORT) -> bytes:
        body = report.body()
        value = self.key.sign(record_input(kind, canonical(body)))
        return file_of(envelope(STATION_REPORT, body, SIGNING_VERSION, self.public, value))

    def file(self, *bands: ReportedBand, **changes: object) -> bytes:
        return self.sign(self.report(bands, **changes))
