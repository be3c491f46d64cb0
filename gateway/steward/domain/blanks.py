"""The stock of blank bands: keyed by a workshop's station, worn by nobody yet. Which may come into it, and which is
ready to be a guest's with nothing but its token. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from steward.domain.ids import Uid
from steward.domain.signedrecord import is_named
from steward.domain.stationreport import Outcome, ReportedBand


@dataclass(frozen=True, slots=True)
class BlankBand:
    """station: fingerprint of the key that signed for it, 64 hex digits. taken: put on somebody once, or withdrawn."""

    uid: Uid
    station: str
    active: bool
    key_version: int
    keyed_s: int
    taken: bool = False


class Left(StrEnum):
    """Why a band of a report does not come into the stock. It can still be encoded, as a band from nowhere."""

    NOT_DONE = "not_done"  # faulty, or cut off
    OTHER_VERSION = "other_version"  # keyed for another voyage
    OTHER_STATION = "other_station"  # another station says that it keyed this band
    WORN = "worn"  # it is, or was, a guest's, and not out of this stock
    DENIED = "denied"  # on the deny list


def why_left(
    band: ReportedBand, known: BlankBand | None, station: str, live: Collection[int], *, worn: bool, denied: bool
) -> Left | None:
    """None: it comes into the stock, or is there already. worn: the ship has it as somebody's band."""
    if band.outcome is not Outcome.DONE:
        return Left.NOT_DONE
    if known is not None and known.station != station:
        return Left.OTHER_STATION
    if band.key_version not in live:
        return Left.OTHER_VERSION
    if known is None and worn:
        return Left.WORN
    return Left.DENIED if known is None and denied else None


def withdrawn(band: ReportedBand, known: BlankBand | None, station: str) -> BlankBand | None:
    """What becomes of a band in the stock whose own station finds later that it is faulty: out of it, for good."""
    if known is None or known.station != station or known.taken or band.outcome is not Outcome.FAULTY:
        return None
    return replace(known, taken=True)


def is_ready(blank: BlankBand | None, version: int, stations: Iterable[str], *, worn: bool, denied: bool) -> bool:
    """Whether only the token is missing: in the stock, keyed with the version that bands are issued with now.

    stations: fingerprints of those that are trusted now: only they locked a band's files as they should be.
    """
    if blank is None or blank.taken or worn or denied:
        return False
    return blank.key_version == version and any(is_named(blank.station, each) for each in stations)
