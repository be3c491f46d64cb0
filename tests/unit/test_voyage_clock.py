"""The demo's clock: a day in seconds, then the night in real time."""

from __future__ import annotations

import time

import pytest

from voyage.day import ShipClock
from voyage.plan import DAY_ENDS, DAY_STARTS


@pytest.mark.parametrize(
    ("gone_s", "minute"),
    [(0, DAY_STARTS), (30, (DAY_STARTS + DAY_ENDS) // 2), (60, DAY_ENDS), (119, DAY_ENDS), (1560, DAY_ENDS + 25)],
)
def test_a_day_passes_fast_and_the_night_does_not(monkeypatch: pytest.MonkeyPatch, gone_s: int, minute: int) -> None:
    at = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: at)
    clock = ShipClock(60)
    assert clock.now() == DAY_STARTS
    clock.start()
    at += gone_s
    assert clock.now() == minute
