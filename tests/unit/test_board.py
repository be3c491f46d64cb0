"""The status page's figures: counts, bounds, and percentiles against a second way to compute them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.services.board import CODES_MAX, OTHER, RECENT_MAX, SAMPLES_MAX, TapBoard, TapRecord, percentile

MS = st.floats(0, 10_000, allow_nan=False)


def tap(code: str = "granted", purpose: str = "door", *, at_s: int = 0, ms: float = 10.0, apdus: int = 5) -> TapRecord:
    return TapRecord(at_s, "r", purpose, "place", code, ms, 0.0, 0.0, apdus, 100, 200)


@given(st.lists(MS, min_size=1, max_size=300), st.sampled_from([1, 50, 90, 99, 100]))
def test_a_percentile_is_the_least_value_with_enough_at_or_below_it(values: list[float], percent: int) -> None:
    found = percentile(sorted(values), percent)
    needed = math.ceil(len(values) * percent / 100)
    assert found in values
    assert sum(value <= found for value in values) >= needed
    assert sum(value < found for value in values) < needed


@given(st.lists(st.tuples(MS, MS, MS), min_size=1, max_size=60))
def test_the_split_and_the_total_are_of_the_same_taps(parts: list[tuple[float, float, float]]) -> None:
    board = TapBoard()
    for exchange, compute, commit in parts:
        board.record(TapRecord(0, "r", "door", "p", "granted", exchange, compute, commit, 5, 1, 1))
    shown = board.snapshot()
    for at, name in enumerate(("exchange", "compute", "commit")):
        ordered = sorted(part[at] for part in parts)
        assert shown["split_ms"][name]["p50"] == round(ordered[math.ceil(len(parts) / 2) - 1], 3)
    totals = sorted(TapRecord(0, "r", "door", "p", "x", *part, 5, 1, 1).total_ms for part in parts)
    assert shown["tap_ms"]["p99"] == round(totals[math.ceil(len(parts) * 99 / 100) - 1], 3)


def test_making_bands_does_not_hide_how_long_a_tap_takes() -> None:
    board = TapBoard()
    board.record(tap(ms=5.0))
    board.record(tap("encoded", "encoder", ms=900.0))
    assert board.snapshot()["tap_ms"] == {"p50": 5.0, "p99": 5.0}


def test_an_empty_board_shows_zeros() -> None:
    shown = TapBoard().snapshot()
    assert shown["taps"] == 0
    assert shown["tap_ms"] == {"p50": 0.0, "p99": 0.0}
    assert (shown["refusals"], shown["alerts"], shown["apdus"], shown["recent"]) == ({}, {}, {}, [])


def test_taps_are_counted_by_what_came_of_them() -> None:
    board = TapBoard()
    for code, purpose in (
        ("granted", "door"),
        ("wrong_cabin", "door"),
        ("wrong_cabin", "door"),
        ("posted", "till"),
        ("verification_required", "till"),
        ("day_limit", "till"),
        ("encoded", "encoder"),
        ("idle", "encoder"),
    ):
        board.record(tap(code, purpose))
    board.charge_posted()
    shown = board.snapshot()
    assert (shown["taps"], shown["doors_opened"], shown["charges_posted"]) == (8, 1, 2)
    assert shown["refusals"] == {"wrong_cabin": 2, "day_limit": 1}


def test_alerts_are_counted_by_kind() -> None:
    board = TapBoard()
    for kind in ("forged_token", "clock_lost", "forged_token"):
        board.alert(kind)
    assert board.snapshot()["alerts"] == {"forged_token": 2, "clock_lost": 1}


def test_a_flow_is_measured_on_taps_that_ended_well() -> None:
    board = TapBoard()
    board.record(tap(apdus=5))
    board.record(tap("card_removed", apdus=1))
    board.record(tap("card_removed", apdus=1))
    assert board.snapshot()["apdus"] == {"door": {"count_p50": 5, "bytes_p50": 300}}


def test_only_the_last_taps_are_kept() -> None:
    board = TapBoard()
    for number in range(SAMPLES_MAX + 100):
        board.record(tap(at_s=number, ms=1.0 if number < 100 else 2.0))
    shown = board.snapshot()
    assert shown["taps"] == SAMPLES_MAX + 100
    assert shown["tap_ms"] == {"p50": 2.0, "p99": 2.0}
    assert [recent["at_s"] for recent in shown["recent"]] == list(
        range(SAMPLES_MAX + 99, SAMPLES_MAX + 99 - RECENT_MAX, -1)
    )


def test_made_up_codes_cannot_fill_the_memory() -> None:
    board = TapBoard()
    for number in range(CODES_MAX * 3):
        board.record(tap(f"code_{number}"))
        board.alert(f"kind_{number}")
    shown = board.snapshot()
    assert len(shown["refusals"]) == len(shown["alerts"]) == CODES_MAX + 1
    assert shown["refusals"][OTHER] == shown["alerts"][OTHER] == CODES_MAX * 2


@pytest.mark.parametrize("change", ["record", "alert", "charge_posted"])
def test_a_snapshot_is_computed_again_after_any_change_and_only_then(change: str) -> None:
    board = TapBoard()
    before = board.snapshot()
    assert board.snapshot() is before
    {"record": lambda: board.record(tap()), "alert": lambda: board.alert("x"), "charge_posted": board.charge_posted}[
        change
    ]()
    assert board.snapshot() != before
