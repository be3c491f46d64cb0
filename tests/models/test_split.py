"""No guest is in two parts, and nothing is learnt from what came after what is measured."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from preference.split import by_guest, by_time_and_guest

EVENTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 100)), max_size=60)


@given(EVENTS)
def test_guests_are_apart_and_time_goes_forward(events: list[tuple[int, int]]) -> None:
    guest = np.array([who for who, _ in events], np.int32)
    at_s = np.array([when for _, when in events], np.int64)
    parts = by_time_and_guest(guest, at_s)
    chosen = [(set(guest[mask].tolist()), at_s[mask]) for mask in parts.values()]
    for place, (people, times) in enumerate(chosen):
        for others, later in chosen[place + 1 :]:
            assert not people & others
            assert not len(times) or not len(later) or times.max() < later.min()


def test_most_guests_are_learnt_from() -> None:
    guest = np.arange(100, dtype=np.int32)
    parts = by_time_and_guest(guest, guest.astype(np.int64))
    assert [int(mask.sum()) for mask in parts.values()] == [70, 10, 20]


def test_an_early_guest_who_comes_again_is_not_measured_on() -> None:
    guest = np.array([*range(10), 0], np.int32)
    parts = by_time_and_guest(guest, np.array([*range(10), 99], np.int64))
    assert not any(mask[10] for mask in parts.values())


def test_by_guest_is_stable_and_in_proportion() -> None:
    parts = [by_guest(f"guest {number}") for number in range(2000)]
    assert parts == [by_guest(f"guest {number}") for number in range(2000)]
    assert 1300 < parts.count("train") < 1500
    assert 130 < parts.count("valid") < 270
    assert [by_guest(f"guest {number}", "other") for number in range(2000)] != parts
