"""Retention's own time: no clock that is set back stops it, and none that jumps ahead drags it along."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from steward.domain.retention import DAY_S, HELD_DAYS_MAX, JUMP_MAX_S, Passage, confirmed, event_cutoff, passed

NOW_S = 1_800_000_000


def after(known: Passage | None, reading_s: int, *, trusted: bool = True, elapsed_s: int = 0) -> Passage:
    return passed(known, reading_s, trusted=trusted, elapsed_s=elapsed_s)


def test_the_first_believed_clock_begins_it_and_one_that_is_not_does_not() -> None:
    assert after(None, NOW_S) == Passage(NOW_S)
    assert after(None, NOW_S, trusted=False) == Passage(0)


def test_an_ordinary_day_goes_by_the_clock() -> None:
    known = Passage(NOW_S)
    for n in range(1, 480):
        known = after(known, NOW_S + 180 * n, elapsed_s=180)
    assert known == Passage(NOW_S + 180 * 479)


def test_a_clock_set_back_stops_nothing() -> None:
    known = Passage(NOW_S)
    for _ in range(480):
        known = after(known, NOW_S - 30 * DAY_S, trusted=False, elapsed_s=180)
    assert known == Passage(NOW_S + DAY_S)


def test_a_weekend_without_power_is_believed_and_a_week_waits_for_somebody() -> None:
    assert after(Passage(NOW_S), NOW_S + JUMP_MAX_S) == Passage(NOW_S + JUMP_MAX_S, JUMP_MAX_S)
    jumped = after(Passage(NOW_S), NOW_S + 7 * DAY_S)
    assert jumped == Passage(NOW_S, 0, NOW_S + 7 * DAY_S)
    assert after(jumped, NOW_S + 7 * DAY_S + 60, elapsed_s=60) == Passage(NOW_S + 60, 0, NOW_S + 7 * DAY_S + 60)
    assert after(jumped, NOW_S + 120, elapsed_s=60).waits_s is None
    assert confirmed(NOW_S + 7 * DAY_S) == Passage(NOW_S + 7 * DAY_S)


def test_jumps_that_are_small_one_by_one_fill_the_same_bucket() -> None:
    known = Passage(NOW_S)
    for n in range(1, 30):
        known = after(known, NOW_S + n * DAY_S, elapsed_s=0)
    assert known.mark_s == NOW_S + JUMP_MAX_S
    assert known.waits_s == NOW_S + 29 * DAY_S


@given(
    st.lists(st.tuples(st.integers(-(10**9), 10**9), st.booleans(), st.integers(0, 5 * DAY_S)), min_size=1, max_size=40)
)
def test_whatever_the_clock_says_the_time_never_goes_back_and_never_outruns_the_uptime(
    readings: list[tuple[int, bool, int]],
) -> None:
    known, up_s = Passage(NOW_S), 0
    for off_s, trusted, elapsed_s in readings:
        up_s += elapsed_s
        now = after(known, NOW_S + off_s, trusted=trusted, elapsed_s=elapsed_s)
        assert now.mark_s >= known.mark_s + elapsed_s
        # What the uptime does not account for is a bucket that leaks no faster than the gateway runs.
        assert now.mark_s <= NOW_S + 2 * up_s + JUMP_MAX_S
        assert 0 <= now.ahead_s <= JUMP_MAX_S
        known = now


def test_what_a_peer_has_not_acknowledged_is_kept_longer_but_not_for_ever() -> None:
    due_s = NOW_S - 10 * DAY_S
    assert event_cutoff(NOW_S, 10, None) == (due_s, False)
    assert event_cutoff(NOW_S, 10, due_s) == (due_s, False)
    assert event_cutoff(NOW_S, 10, due_s - 5) == (due_s - 5, True)
    assert event_cutoff(NOW_S, 10, 0) == (due_s - HELD_DAYS_MAX * DAY_S, True)
