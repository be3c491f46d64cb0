"""One zone for a band: no jumping, nothing from what is weak or old, the same every time; and names said twice."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.domain.ids import GuestRef
from steward.domain.presence import (
    ADDRESSES_MAX,
    CLOSE_DB,
    KEPT_S,
    REFRESH_S,
    Contest,
    Presence,
    moved,
)
from steward.domain.smoothing import DEFAULT, ZoneFilter

ANNA = GuestRef("00000000000000aa")
STEP_MS = 1000.0


def stay(zone: ZoneFilter, name: str, rssi: int, begin_ms: float, count: int) -> float:
    for n in range(count):
        zone.hear(f"radio-{name}", name, rssi, begin_ms + n * STEP_MS)
    return begin_ms + count * STEP_MS


def test_a_zone_is_known_after_a_while_and_not_at_once() -> None:
    zone = ZoneFilter()
    for n in range(DEFAULT.packets_min):
        assert zone.hear("a", "pool", -60, float(n)) is None
    begun_ms = float(DEFAULT.packets_min - 1)
    assert zone.hear("a", "pool", -60, begun_ms + DEFAULT.dwell_ms - 1) is None
    assert zone.hear("a", "pool", -60, begun_ms + DEFAULT.dwell_ms) == "pool"


def test_a_single_strong_packet_moves_nobody() -> None:
    zone = ZoneFilter()
    at_ms = stay(zone, "pool", -65, 0.0, 20)
    assert zone.hear("radio-spa", "spa", -30, at_ms) == "pool"
    stay(zone, "pool", -65, at_ms + STEP_MS, 20)
    assert zone.zone == "pool"


def test_who_walks_over_is_there_soon() -> None:
    zone = ZoneFilter()
    at_ms = stay(zone, "pool", -60, 0.0, 20)
    for n in range(40):
        zone.hear("radio-pool", "pool", -85, at_ms + n * STEP_MS)
        zone.hear("radio-spa", "spa", -60, at_ms + n * STEP_MS + 1)
        if zone.zone == "spa":
            break
    assert zone.zone == "spa"
    assert n < 25


def test_two_that_hear_equally_well_do_not_make_it_jump() -> None:
    zone, rng, jumps, last = ZoneFilter(), random.Random(7), 0, None
    for n in range(2000):
        name = ("pool", "spa")[n % 2]
        now = zone.hear(f"radio-{name}", name, -70 + rng.randint(-6, 6), n * 500.0)
        jumps += last is not None and now != last
        last = now
    assert jumps <= 2


@pytest.mark.parametrize("rssi", [-127, -100, -93])
def test_what_is_weak_is_nowhere(rssi: int) -> None:
    zone = ZoneFilter()
    stay(zone, "pool", rssi, 0.0, 60)
    assert zone.zone is None


def test_what_was_not_heard_for_a_while_is_nowhere() -> None:
    zone = ZoneFilter()
    at_ms = stay(zone, "pool", -60, 0.0, 20)
    assert zone.look(at_ms) == "pool"
    assert zone.look(at_ms + DEFAULT.silent_ms + STEP_MS) is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-140, 60), st.floats(0, 10_000)), max_size=80))
def test_any_input_gives_a_zone_that_was_heard_and_the_same_again(heard: list[tuple[str, int, float]]) -> None:
    def run() -> list[str | None]:
        zone, at_ms, found = ZoneFilter(), 0.0, []
        for name, rssi, later_ms in heard:
            at_ms += later_ms - 500  # some come late
            found.append(zone.hear(f"r{name}", name, rssi, at_ms))
        return found

    found = run()
    assert found == run()
    assert set(found) <= {None, *(name for name, _, _ in heard)}


# what is kept


def test_only_what_says_something_new_is_written() -> None:
    first = moved(None, ANNA, "pool", 1000)
    assert first == Presence(ANNA, "pool", 1000, 1000)
    assert moved(first, ANNA, "pool", 1000 + REFRESH_S - 1) is None
    assert moved(first, ANNA, "pool", 1000 + REFRESH_S) == Presence(ANNA, "pool", 1000, 1000 + REFRESH_S)
    assert moved(first, ANNA, "spa", 1001) == Presence(ANNA, "spa", 1001, 1001)
    assert moved(first, ANNA, "pool", 1001 + KEPT_S) == Presence(ANNA, "pool", 1001 + KEPT_S, 1001 + KEPT_S)
    assert KEPT_S == 2 * 3600


# said twice


def test_one_device_is_believed_also_with_a_new_address() -> None:
    contest = Contest(7, "A")
    assert contest.hear("A", "pool", -60, 0.0)
    assert contest.hear("B", "pool", -60, 1.0)
    assert contest.hear("B", "spa", -70, 2.0)


def test_two_addresses_in_turn_are_two_devices() -> None:
    contest = Contest(7, "A")
    assert contest.hear("A", "pool", -60, 0.0)
    assert contest.hear("B", "spa", -40, 1.0)
    assert not contest.hear("A", "pool", -60, 2.0)
    assert not contest.hear("B", "spa", -40, 3.0)
    assert contest.is_contested


def test_nor_is_one_with_very_many_addresses() -> None:
    contest = Contest(7, "0")
    heard = [contest.hear(str(n), "pool", -60, float(n)) for n in range(ADDRESSES_MAX + 2)]
    assert heard == [True] * (ADDRESSES_MAX + 1) + [False]


def test_nobody_is_within_arm_s_length_of_two_places() -> None:
    contest = Contest(7, "A")
    assert contest.hear("A", "pool", CLOSE_DB, 0.0)
    assert contest.hear("A", "pool", CLOSE_DB, 1.0)
    assert not contest.hear("A", "spa", CLOSE_DB, 2.0)
    walking = Contest(7, "A")
    assert walking.hear("A", "pool", CLOSE_DB, 0.0)
    assert walking.hear("A", "spa", CLOSE_DB, 60_000.0)
    assert walking.hear("A", "pool", CLOSE_DB - 1, 60_001.0)
