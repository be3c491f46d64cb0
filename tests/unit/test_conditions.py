"""What is kept of a band's battery and last tap, and when it is worth a write."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.moneykit import NOON_S

from bandwire.condition import Condition
from steward.adapters.memory import MemoryStore
from steward.domain.condition import (
    BATTERIES,
    BATTERY_BOUNDS,
    KEPT_S,
    REFRESH_S,
    BandCondition,
    battery_name,
    worth_writing,
)
from steward.domain.ids import GuestRef, Uid
from steward.services.conditions import note_condition
from steward.services.taps import Tap

GUEST = GuestRef("00000000000000aa")
UID, OTHER = Uid("04000000000001"), Uid("04000000000002")
KNOWN = BandCondition(UID, True, 57, False, NOON_S)


def tap(at_s: int, *, trusted: bool = True) -> Tap:
    return Tap(cast("Any", None), cast("Any", None), "gangway", "door", 0.0, at_s, trusted)


async def note(store: MemoryStore, at: Tap, told: Condition | None, uid: Uid = UID, *, active: bool = True) -> None:
    await store.write(lambda tx: note_condition(tx, at, told, uid, GUEST, active=active))


async def kept(store: MemoryStore, uid: Uid = UID) -> BandCondition | None:
    return await store.read(lambda tx: tx.condition(uid))


@pytest.mark.parametrize(
    ("percent", "name"),
    [(0, "under_20"), (19, "under_20"), (20, "20_39"), (39, "20_39"), (40, "40_59"), (79, "60_79"), (80, "80_100"),
     (100, "80_100"), (None, "unknown")],
)  # fmt: skip
def test_the_bounds_of_the_bars(percent: int | None, name: str) -> None:
    assert battery_name(True, percent) == name
    assert battery_name(False, percent) == "passive"


@given(st.booleans(), st.none() | st.integers(0, 100))
def test_every_band_has_one_bar(active: bool, percent: int | None) -> None:
    assert battery_name(active, percent) in BATTERIES
    assert list(BATTERY_BOUNDS.values()) == sorted(BATTERY_BOUNDS.values())


def test_what_is_worth_writing() -> None:
    assert worth_writing(None, KNOWN)
    assert not worth_writing(KNOWN, KNOWN)
    assert not worth_writing(KNOWN, replace(KNOWN, last_tap_s=NOON_S + REFRESH_S - 1))
    assert worth_writing(KNOWN, replace(KNOWN, last_tap_s=NOON_S + REFRESH_S))
    assert worth_writing(KNOWN, replace(KNOWN, last_tap_s=NOON_S - REFRESH_S)), "the clock was put right"
    for other in ({"battery_percent": 56}, {"battery_percent": None}, {"charging": True}, {"active": False}):
        assert worth_writing(KNOWN, replace(KNOWN, **other))  # type: ignore[arg-type]


async def test_a_tap_is_noted_and_the_next_one_only_if_it_says_more() -> None:
    store = MemoryStore()
    await note(store, tap(NOON_S), Condition(57, False))
    assert await kept(store) == KNOWN
    await note(store, tap(NOON_S + 60), Condition(57, False))
    assert await kept(store) == KNOWN
    await note(store, tap(NOON_S + 61), Condition(56, True))
    assert await kept(store) == BandCondition(UID, True, 56, True, NOON_S + 61)


async def test_a_band_that_tells_nothing_has_a_last_tap_all_the_same() -> None:
    store = MemoryStore()
    await note(store, tap(NOON_S), None, active=False)
    assert await kept(store) == BandCondition(UID, False, None, False, NOON_S)


async def test_a_clock_that_is_not_believed_notes_nothing() -> None:
    store = MemoryStore()
    await note(store, tap(NOON_S, trusted=False), Condition(57, False))
    assert await kept(store) is None


async def test_a_new_band_sweeps_out_what_is_long_gone() -> None:
    store = MemoryStore()
    await note(store, tap(NOON_S), Condition(57, False))
    await note(store, tap(NOON_S + KEPT_S), Condition(9, False), OTHER)
    assert await kept(store) is not None, "not a second too early"
    await note(store, tap(NOON_S + KEPT_S + 1), None, Uid("04000000000003"))
    assert await kept(store) is None
    assert await kept(store, OTHER) is not None
    await store.close()
