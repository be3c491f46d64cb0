"""What a guest has switched off is in nothing that a network learns from, whatever was true at the time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.models.test_deeds import DAY, NOON_S, _deed, _write

from preference.deeds import ship_days
from steward.domain.features import MOMENT_SLICES, PAST_NAMES, Signal, Weather
from steward.domain.offers import OfferState
from steward.domain.pastexport import DeedLine, blanked

PARTS = ("train", "valid", "test")


def _days(off: frozenset[Signal], weather: Weather, hours: int) -> list[DeedLine]:
    """Of thirty guests: tea, beer an hour later, and an offer put off; all in this weather and so much later."""
    found = []
    for guest in range(1, 31):
        at_s = NOON_S + guest * 86_400 + hours * 3600
        for line in (
            _deed(guest, "tea", at_s),
            _deed(guest, "beer", at_s + 3600),
            _deed(guest, "tea", at_s + 7200, None, OfferState.SHOWN),
        ):
            found.append(replace(line, moment=blanked(replace(line.moment, weather=weather, off=off), DAY)))
    return found


def _learnt(folder: Path, off: frozenset[Signal], weather: Weather, hours: int) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    folder.mkdir()
    made = ship_days(*_write(folder, _days(off, weather, hours)))
    return {
        name: np.concatenate([getattr(made.parts[part], name) for part in PARTS])
        for name in ("moment", "past", "index")
    }


def test_what_is_on_is_there(tmp_path: Path) -> None:
    learnt = _learnt(tmp_path / "a", frozenset(), Weather.RAIN, 0)
    assert learnt["moment"][:, MOMENT_SLICES[Signal.WEATHER]].any()
    assert learnt["past"][..., PAST_NAMES.index("hour_sin")].any()


@pytest.mark.parametrize("signal", [Signal.WEATHER, Signal.HOUR])
def test_what_is_off_is_learnt_from_by_nobody(tmp_path: Path, signal: Signal) -> None:
    off = frozenset({signal})
    one = _learnt(tmp_path / "a", off, Weather.RAIN, 0)
    hidden = (Weather.RAIN, 5) if signal is Signal.HOUR else (Weather.SUNNY, 0)
    other = _learnt(tmp_path / "b", off, *hidden)
    for name, values in one.items():
        assert (values == other[name]).all(), name
    assert not one["moment"][:, MOMENT_SLICES[signal]].any()
    if signal is Signal.HOUR:
        columns = [PAST_NAMES.index(name) for name in ("hour_sin", "hour_cos")]
        assert not one["past"][..., columns].any()
