"""The status page's words and figures about bands: how many, their batteries, who has not been seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from steward.domain.condition import BATTERIES, BandCondition, battery_name
from steward.domain.guests import BandState
from steward.domain.ids import Uid
from steward.services.board import AGES
from steward.web.facts import StoreFacts
from steward.web.machine_view import BAR_MAX, span
from steward.web.pages.language import Translator

_SHORT_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Bar:
    """One row with a bar: `width` of BAR_MAX. name: what it counts, for its colour."""

    name: str
    words: str
    count: int
    width: int


@dataclass(frozen=True, slots=True)
class BandRow:
    """One band. battery: with its sign, empty if it told none."""

    uid: str
    battery: str
    charging: bool
    last_tap: str


@dataclass(frozen=True, slots=True)
class Bands:
    """readable False: the store did not answer, the counts are old."""

    issued: int
    frozen: int
    ages: tuple[Bar, ...]
    batteries: tuple[Bar, ...]
    low: tuple[BandRow, ...]
    low_count: int
    unseen: tuple[BandRow, ...]
    unseen_count: int
    readable: bool


def band_rows(facts: StoreFacts, ages: Mapping[str, int], now_s: int, t: Translator) -> Bands:
    issued = sum(count for (state, _), count in facts.bands.items() if state is BandState.ISSUED)
    frozen = sum(count for (state, _), count in facts.bands.items() if state is BandState.FROZEN)
    counts = [(name, ages[name]) for name, _ in AGES]
    counts.append(("never", max(issued - sum(ages.values()), 0)))
    return Bands(
        issued,
        frozen,
        _bars(counts, "status.age.", t),
        _bars(battery_counts(facts).items(), "status.battery.", t),
        tuple(_row(each, now_s, t) for each in facts.low),
        facts.low_count,
        tuple(_row(each, now_s, t) for each in facts.unseen),
        facts.unseen_count,
        facts.readable,
    )


def battery_counts(facts: StoreFacts) -> Mapping[str, int]:
    """Issued bands by what they told of their battery, every one of BATTERIES in its order."""
    counts: Counter[str] = Counter()
    for (active, percent), count in facts.batteries.items():
        counts[battery_name(active, percent)] += count
    return {name: counts[name] for name in BATTERIES}


def short_uid(uid: Uid) -> str:
    """Its last digits: enough to find a band in the drawer, of which there are not many thousands."""
    return f"…{uid[-_SHORT_DIGITS:]}"


def _bars(counts: Iterable[tuple[str, int]], family: str, t: Translator) -> tuple[Bar, ...]:
    rows = list(counts)
    most = max(*(count for _, count in rows), 1)
    return tuple(Bar(name, t(f"{family}{name}"), count, round(count / most * BAR_MAX)) for name, count in rows)


def _row(each: BandCondition, now_s: int, t: Translator) -> BandRow:
    battery = "" if each.battery_percent is None else f"{each.battery_percent} %"
    ago = t("status.bands.ago", span=span(now_s - each.last_tap_s, t))
    return BandRow(short_uid(each.uid), battery, each.charging, ago)
