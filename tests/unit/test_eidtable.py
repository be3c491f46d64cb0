"""Names to bands: the published form, what counts now, what does not any more, and what a spoofer can do with it."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandwire import eid
from steward.adapters.aes import HostAes
from steward.adapters.eidaes import encrypt_blocks
from steward.domain.eidtable import (
    BEHIND_AFTER,
    LATE_NAMES_MAX,
    LATE_PERIODS_MAX,
    PERIOD_S,
    SLACK_S,
    ClockWord,
    Named,
    Tagged,
    follows,
    is_now,
    lost_periods,
    make_table,
    names_of,
)
from steward.domain.ids import Uid

AES = HostAes()
KEY = bytes(range(16))
TAP_S = 1_800_000_000
UID = Uid("04000000000001")
BAND = Tagged(UID, KEY, ClockWord(100, TAP_S))


def name(period: int, key: bytes = KEY) -> bytes:
    clock_s = period * PERIOD_S
    return eid.eid(AES, eid.temporary_key(AES, key, clock_s), clock_s, 10)


@given(st.binary(min_size=16, max_size=16), st.lists(st.integers(0, 65_535), unique=True, max_size=12))
def test_many_names_at_once_are_the_names_one_by_one(key: bytes, periods: list[int]) -> None:
    assert sorted(names_of(key, periods, encrypt_blocks)) == sorted((period, name(period, key)) for period in periods)


@given(st.integers(0, 30 * 86_400), st.integers(0, PERIOD_S - 1), st.integers(-SLACK_S, SLACK_S))
def test_the_period_it_is_in_is_always_among_those_it_can_be_in(passed_s: int, into_s: int, drift_s: int) -> None:
    """into_s: how far into its period the band was when it told it."""
    true = (100 * PERIOD_S + into_s + max(passed_s + drift_s, 0)) // PERIOD_S
    assert true in BAND.periods(TAP_S + passed_s)
    assert len(BAND.periods(TAP_S + passed_s)) <= 3


@given(st.integers(0, 20 * 86_400), st.integers(0, PERIOD_S))
def test_a_table_lasts_for_a_period(passed_s: int, later_s: int) -> None:
    made_s = TAP_S + passed_s
    table = make_table([BAND], made_s, encrypt_blocks)
    for period in BAND.periods(made_s + later_s):
        assert table.names[name(period)] == Named(UID, period)
        assert is_now(BAND, period, made_s + later_s)


def test_what_is_over_is_no_presence() -> None:
    now_s = TAP_S + 10 * PERIOD_S
    table = make_table([BAND], now_s, encrypt_blocks)
    assert name(100) not in table.names
    assert name(108) not in table.names
    heard = replace(BAND, heard=111)
    assert name(110) not in make_table([heard], now_s, encrypt_blocks).names
    assert not is_now(heard, 110, now_s)  # also by a table that was made before it was heard
    assert is_now(heard, 111, now_s)


def test_nobody_else_s_name_is_in_it() -> None:
    table = make_table([BAND], TAP_S, encrypt_blocks)
    for _ in range(500):
        assert os.urandom(8) not in table.names
    assert name(100, bytes(16)) not in table.names


# without power


def test_a_band_that_lay_without_power_is_found_among_late_names() -> None:
    now_s = TAP_S + 50 * PERIOD_S
    heard = replace(BAND, heard=110)
    table = make_table([heard], now_s, encrypt_blocks)
    assert table.late[name(131)] == Named(UID, 131)
    assert name(131) not in table.names
    assert name(109) not in table.late  # before it was heard last
    behind = replace(heard, behind=lost_periods(heard, 131, now_s), heard=131)
    assert behind.behind == 19
    later = make_table([behind], now_s, encrypt_blocks)
    assert later.names[name(131)] == Named(UID, 131)
    assert later.names[name(150)] == Named(UID, 150)  # in case somebody only repeated its names: it still counts
    assert is_now(behind, 132, now_s + PERIOD_S)
    assert not is_now(behind, 130, now_s)


def test_a_band_that_is_heard_has_no_late_names() -> None:
    heard = replace(BAND, heard=105)
    assert len(make_table([heard], TAP_S + 5 * PERIOD_S, encrypt_blocks).late) == 0
    quiet = make_table([heard], TAP_S + (5 + BEHIND_AFTER + 1) * PERIOD_S, encrypt_blocks)
    assert len(quiet.late) > 0


def test_late_names_are_bounded_for_each_band_and_for_all() -> None:
    now_s = TAP_S + 1000 * PERIOD_S
    assert len(make_table([BAND], now_s, encrypt_blocks).late) == LATE_PERIODS_MAX
    many = [replace(BAND, uid=Uid(f"04{n:012X}"), key=n.to_bytes(16, "big")) for n in range(2200)]
    table = make_table(many, now_s, encrypt_blocks)
    assert len(table.late) == LATE_NAMES_MAX
    assert len(table.names) >= 3 * len(many)


@pytest.mark.parametrize(
    ("period", "after_s", "expected"),
    [
        (8, 900, True),
        (8, 2 * PERIOD_S, True),
        (8, 0, False),
        (8, 3 * PERIOD_S, False),
        (9, 900, False),
        (7, 900, False),
    ],
)
def test_two_late_names_in_a_row_are_a_clock_that_runs(period: int, after_s: int, expected: bool) -> None:
    assert follows(Named(UID, 7), TAP_S, Named(UID, period), TAP_S + after_s) is expected


def test_no_key_is_shown() -> None:
    assert KEY.hex() not in repr(BAND)
    assert str(KEY) not in repr(BAND)
