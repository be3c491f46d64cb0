"""[[station]]: whose reports are believed; a slip in it keeps the gateway from starting."""

from __future__ import annotations

import pytest

from steward.config_stations import read_stations
from steward.errors import ConfigError
from steward.services.blanks import TrustedStation
from steward.settings_table import Table

KEY = "3475 0f98 bd59 fcfc 946d a45a aabe 933b 0123 4567 89ab cdef 0123 4567 89ab cdef"
DIGITS = KEY.replace(" ", "")


def read(*tables: dict[str, object]) -> tuple[TrustedStation, ...]:
    return read_stations([Table("steward.toml", f"station {number}", table) for number, table in enumerate(tables, 1)])


def test_a_fingerprint_is_taken_as_it_is_printed_and_by_its_half() -> None:
    assert read() == ()
    found = read({"name": "bench-1", "fingerprint": KEY}, {"name": "bench-2", "fingerprint": "AB" * 16})
    assert found == (TrustedStation("bench-1", DIGITS), TrustedStation("bench-2", "ab" * 16))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"fingerprint": KEY}, "name"),
        ({"name": "bench-1"}, "fingerprint"),
        ({"name": "Bench 1", "fingerprint": KEY}, "name"),
        ({"name": "bench-1", "fingerprint": DIGITS[:31]}, "fingerprint"),
        ({"name": "bench-1", "fingerprint": DIGITS + "0"}, "fingerprint"),
        ({"name": "bench-1", "fingerprint": "g" * 32}, "fingerprint"),
        ({"name": "bench-1", "fingerprint": KEY, "key": "x"}, "key"),
    ],
)
def test_a_slip_is_named(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(wrong)
    assert said in caught.value.where


def test_two_stations_are_two() -> None:
    one = {"name": "bench-1", "fingerprint": KEY}
    for other in ({"name": "bench-1", "fingerprint": "ab" * 16}, {"name": "bench-2", "fingerprint": DIGITS[:32]}):
        with pytest.raises(ConfigError, match="another"):
            read(one, other)
