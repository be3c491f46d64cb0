"""The name a band advertises under: published values, and what nobody without its key can tell."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandwire import eid
from bandwire.errors import BadArgument, BadFrame
from steward.adapters.aes import HostAes

AES = HostAes()
# Values published with another implementation: RadiusNetworks/ephemeral_calc, spec/encryptor_spec.rb.
KEY = bytes.fromhex("0102030405060708090A111213141516")
PUBLISHED = [(0, 10, "A9B76A71C5F89290"), (2000, 10, "4144413E45FEFA58")]
CLOCKS, EXPONENTS = st.integers(0, eid.CLOCK_MAX), st.integers(0, eid.EXPONENT_MAX)
DAY_S = 86_400


def name_at(key: bytes, clock_s: int, exponent: int) -> bytes:
    return eid.eid(AES, eid.temporary_key(AES, key, clock_s), clock_s, exponent)


@pytest.mark.parametrize(("clock_s", "exponent", "expected"), PUBLISHED)
def test_the_published_values(clock_s: int, exponent: int, expected: str) -> None:
    assert name_at(KEY, clock_s, exponent).hex().upper() == expected


@given(CLOCKS, EXPONENTS, st.integers(0, (1 << eid.EXPONENT_MAX) - 1))
def test_one_name_a_period_and_another_in_the_next(clock_s: int, exponent: int, later: int) -> None:
    first = eid.period_of(clock_s, exponent)
    last = first + (1 << exponent) - 1
    assert first <= clock_s <= last
    assert name_at(KEY, min(first + later, last), exponent) == name_at(KEY, first, exponent)
    if last < eid.CLOCK_MAX:
        assert name_at(KEY, last + 1, exponent) != name_at(KEY, last, exponent)


def bits(names: Iterable[bytes]) -> list[int]:
    """How often each of the 64 bits is set."""
    counts = [0] * 64
    for name in names:
        value = int.from_bytes(name, "big")
        for bit in range(64):
            counts[bit] += value >> bit & 1
    return counts


def test_a_day_of_names_is_like_noise_to_whoever_lacks_the_key() -> None:
    """Nothing within a day's names of two bands is nearer than names of strangers are, and no bit leans."""
    exponent = 9
    days = [[name_at(bytes([band] * 16), at, exponent) for at in range(0, DAY_S, 1 << exponent)] for band in range(40)]
    everything = [name for day in days for name in day]
    assert len(set(everything)) == len(everything)
    for count in bits(everything):
        assert abs(count - len(everything) / 2) < 6 * (len(everything) / 4) ** 0.5  # six standard deviations
    own = [_distance(a, b) for day in days for a, b in itertools.pairwise(day)]
    other = [_distance(a, b) for one, two in itertools.pairwise(days) for a, b in zip(one, two, strict=True)]
    for distances in (own, other):
        assert abs(sum(distances) / len(distances) - 32) < 6 * 4 / len(distances) ** 0.5


def _distance(a: bytes, b: bytes) -> int:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).bit_count()


@given(st.binary(min_size=8, max_size=8), st.integers(-100, 20))
def test_what_is_advertised_is_read_again(name: bytes, power: int) -> None:
    payload = eid.advertisement(name, power)
    assert len(payload) <= 31
    structures, at = {}, 0
    while at < len(payload):
        structures[payload[at + 1]] = payload[at + 2 : at + 1 + payload[at]]
        at += 1 + payload[at]
    assert structures[0x03] == bytes.fromhex("aafe")
    assert structures[0x16][:2] == bytes.fromhex("aafe")
    assert eid.read_service_data(structures[0x16][2:]) == (name, power)


@given(st.binary(max_size=40))
def test_other_frames_are_refused(data: bytes) -> None:
    if len(data) == 10 and data[0] == eid.FRAME_TYPE:
        return
    with pytest.raises(BadFrame):
        eid.read_service_data(data)


@pytest.mark.parametrize(("clock_s", "exponent"), [(-1, 0), (eid.CLOCK_MAX + 1, 0), (0, 16), (0, -1)])
def test_times_that_there_are_not(clock_s: int, exponent: int) -> None:
    with pytest.raises(BadArgument):
        eid.period_of(clock_s, exponent)


def test_keys_and_names_of_another_size() -> None:
    with pytest.raises(BadArgument):
        eid.temporary_key(AES, bytes(15), 0)
    with pytest.raises(BadArgument):
        eid.advertisement(bytes(7), 0)
    with pytest.raises(BadArgument):
        eid.advertisement(bytes(8), 21)
