"""The stock of blank bands: signed reports of the workshop's stations come in, bands go out at the encoders.

A report is believed if a key signed it that the settings name. What it says of a band only saves time: whoever hands
a band out proves its keys again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from steward.domain.blanks import BlankBand, Left, why_left, withdrawn
from steward.domain.ids import Uid
from steward.domain.signedrecord import RecordFault, is_named
from steward.domain.stationreport import ReportedBand, StationReport, read_report
from steward.errors import Refused
from steward.ports import KeyRing, Store, Tx

REPORT_TORN, STATION_UNKNOWN, OTHER_SITE, OTHER_LINK = "report_torn", "station_unknown", "other_site", "other_link"


@dataclass(frozen=True, slots=True)
class TrustedStation:
    """fingerprint: of its key, as `bandtool init` shows it; its first half is enough."""

    name: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose key signed a report: what the station calls itself, its key, 64 hex digits, and when it signed."""

    station: str
    fingerprint: str
    made_s: int


class UnfitReport(Refused):
    """signer: None: nothing in it can be believed."""

    def __init__(self, code: str, detail: str, signer: Signer | None = None) -> None:
        super().__init__(code, detail)
        self.signer = signer


@dataclass(frozen=True, slots=True)
class StockTaken:
    """What a report did. known: bands that were in the stock already, whether they wait or were taken."""

    signer: Signer
    taken: int
    known: int
    left: Sequence[tuple[Uid, Left]]

    @property
    def station(self) -> str:
        return self.signer.station


@dataclass(frozen=True, slots=True)
class BlankCount:
    """station: its name; empty if the settings do not name it any more."""

    station: str
    fingerprint: str
    active: bool
    key_version: int
    waiting: int
    taken: int


LOW = 20  # ready bands, of which a busy hour at the desk may take most


def ready_count(counts: Iterable[BlankCount], version: int) -> int:
    """Bands that lack only their token. version: of the keys that bands are issued with now."""
    return sum(each.waiting for each in counts if each.station and each.key_version == version)


class BlankService:
    """site, sun_template: of this ship's bands."""

    def __init__(
        self, store: Store, keyring: KeyRing, stations: Sequence[TrustedStation], site: int, sun_template: str
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._stations = tuple(stations)
        self._site = site
        self._template = sun_template

    async def take(self, content: bytes) -> StockTaken:
        """Bring in a report's bands. Brought again, it changes nothing; nor does an older one after a newer.

        Raises UnfitReport report_torn, station_unknown, other_site or other_link: then nothing was taken.
        """
        report, signer = await asyncio.to_thread(self._believed, content)  # thousands of bands: doors go on meanwhile
        station = signer.fingerprint
        live = self._keyring.versions()

        def work(tx: Tx) -> StockTaken:
            left: list[tuple[Uid, Left]] = []
            taken = known = 0
            for band in report.bands:
                blank = tx.blank(band.uid)
                worn, denied = tx.band(band.uid) is not None, tx.denied_at(band.uid) is not None
                if (why := why_left(band, blank, station, live, worn=worn, denied=denied)) is not None:
                    left.append((band.uid, why))
                    if (out := withdrawn(band, blank, station)) is not None:
                        tx.put_blank(out)
                elif blank is not None and (blank.taken or blank.keyed_s >= band.ended_s):
                    known += 1
                else:
                    tx.put_blank(_blank(band, station))
                    taken += 1
            return StockTaken(signer, taken, known, left)

        return await self._store.write(work)

    async def count(self) -> list[BlankCount]:
        """By station, kind and version."""
        counts = await self._store.read(lambda tx: tx.blank_counts())
        kinds = sorted({key[:3] for key in counts})
        return [
            BlankCount(self._name(kind[0]), *kind, counts.get((*kind, False), 0), counts.get((*kind, True), 0))
            for kind in kinds
        ]

    def _believed(self, content: bytes) -> tuple[StationReport, Signer]:
        try:
            signed, report = read_report(content)
        except RecordFault as fault:
            raise UnfitReport(REPORT_TORN, f"this is no whole report of a station: {fault}") from None
        signer = Signer(report.station, signed.fingerprint.replace(" ", ""), report.made_s)
        if self._name(signer.fingerprint) != report.station:
            raise UnfitReport(
                STATION_UNKNOWN,
                f"no [[station]] of the settings is {report.station} with the key {signed.fingerprint}: compare it "
                "with what the station itself shows, and name it there if it is the same",
                signer,
            )
        if report.site != self._site:
            raise UnfitReport(
                OTHER_SITE, f"these bands are of site {report.site} and this is site {self._site}", signer
            )
        if report.link != self._template:
            raise UnfitReport(
                OTHER_LINK, f"these bands send phones to {report.link}, and this ship's to {self._template}", signer
            )
        return report, signer

    def _name(self, fingerprint: str) -> str:
        return next((each.name for each in self._stations if is_named(fingerprint, each.fingerprint)), "")


def _blank(band: ReportedBand, station: str) -> BlankBand:
    return BlankBand(band.uid, station, band.active, band.key_version, band.ended_s)
