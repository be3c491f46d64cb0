"""The band's voltage curve."""

from __future__ import annotations

import pytest
from tests.sim import bands as _device_path  # noqa: F401 - puts the device's code on the path

from band.battery import percent_of  # type: ignore[import-not-found,unused-ignore]
from bandwire.condition import BATTERY_UNKNOWN


def test_the_ends_and_between_two_points() -> None:
    assert [percent_of(mv) for mv in (2500, 3300, 3400, 3780, 3815, 4160, 4500)] == [0, 0, 2, 40, 47, 100, 100]


def test_it_never_falls_while_the_voltage_rises() -> None:
    percents = [percent_of(mv) for mv in range(2500, 4501)]
    assert percents == sorted(percents)
    assert set(percents) == set(range(101))


@pytest.mark.parametrize("mv", [-1, 0, 2499, 4501, 8400])
def test_no_cell_shows_that(mv: int) -> None:
    assert percent_of(mv) == BATTERY_UNKNOWN
