"""The demo's search for who was forgotten, and its forger, must be able to find and to bend."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from voyage.process import ShipError
from voyage.trust import bend, search, undeclared


@pytest.mark.parametrize("before", [0, 5, (1 << 20) - 3, 1 << 20, (2 << 20) - 7])
def test_a_name_is_found_wherever_it_stands(tmp_path: Path, before: int) -> None:
    """Also across two pieces of a large file."""
    file = tmp_path / "steward.db"
    file.write_bytes(b"x" * before + b"Fern Example" + b"y" * 9)
    assert search([file], ["Rowan Example", "Fern Example"]) == ("steward.db: Fern Example",)
    assert search([file], ["Fern  Example"]) == ()


def test_a_column_and_a_key_that_the_register_does_not_name(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "steward.db")) as made:
        made.execute("CREATE TABLE guest (ref TEXT, shoe_size INTEGER)")
    found = list(undeclared(tmp_path / "steward.db", [("BAND_ISSUED", "uid"), ("BAND_ISSUED", "shoe_size")]))
    assert found == ["column guest.shoe_size", "event BAND_ISSUED shoe_size"]


def test_one_digit_of_a_time_is_changed_and_nothing_else() -> None:
    proof = '{"row": {"seq": 7, "at_s": 1700000003, "role": "service"}}'
    assert bend(proof) == proof.replace("1700000003", "1700000004")
    receipt = '{"version": 9, "issued": "2026-11-23T09:08:09Z"}'
    assert bend(receipt) == receipt.replace("09Z", "00Z")
    with pytest.raises(ShipError):
        bend("{}")
