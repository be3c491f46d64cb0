"""A ship's export becomes windows that know nothing of what came later."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from preference.deeds import read_catalogue, ship_days
from preference.errors import BadData
from steward.domain.features import FEATURES_ID, PAST_NAMES, Company, Deed
from steward.domain.offers import OfferState
from steward.domain.outlets import OutletKind
from steward.domain.pastexport import DeedLine, Header, Shown, encode_deed, encode_end, encode_header
from steward.domain.pasts import ShipDay, moment_at

DAY = ShipDay()
NOON_S = 1_800_000_000 - 1_800_000_000 % 86_400 + 12 * 3600
ITEMS: list[dict[str, Any]] = [
    {
        "id": name,
        "outlet": outlet,
        "titles": {"en": name},
        "category": "drink",
        "tags": [],
        "allergens": [],
        "suits": [],
        "price_minor": 500,
        "currency": "EUR",
        "edible": True,
        **more,
    }
    for name, outlet, more in (
        ("tea", "bar", {}),
        ("beer", "bar", {}),
        ("show", "hall", {"hours": [[1200, 1320]]}),
    )
]


def _deed(
    guest: int, item: str, at_s: int, deed: Deed | None = Deed.TAKEN, offer: OfferState | None = None
) -> DeedLine:
    shown = None if offer is None else Shown(500_000, None, offer, "popularity")
    moment = moment_at(at_s, DAY, OutletKind.FOOD_AND_DRINK, company=Company.COUPLE)
    return DeedLine(f"{guest:016x}", item, deed, moment, shown)  # type: ignore[arg-type]


def _write(folder: Path, deeds: list[DeedLine]) -> tuple[Path, Path]:
    times = [deed.moment.now_s for deed in deeds] or [0]
    header = Header(
        ship="aurora",
        source="a test",
        day=DAY,
        from_s=min(times),
        to_s=max(times),
        guests=len({deed.guest for deed in deeds}),
        deeds=len(deeds),
        made_up=True,
    )
    body = encode_header(header) + b"".join(encode_deed(deed) for deed in deeds)
    path, catalogue = folder / "deeds.jsonl", folder / "catalogue.json"
    path.write_bytes(body + encode_end(len(deeds), hashlib.sha256(body).hexdigest()))
    catalogue.write_text(json.dumps(ITEMS))
    return path, catalogue


def _all(found: Any, name: str) -> list[Any]:
    return [row for part in ("train", "valid", "test") for row in getattr(found.parts[part], name).tolist()]


def _one_guest_last(folder: Path, deeds: list[DeedLine]) -> Any:
    """The windows of guest 9, who comes last and so is measured on."""
    earlier = [_deed(number, "tea", NOON_S - 86_400 * (20 - number)) for number in range(9)]
    return ship_days(*_write(folder, [*earlier, *deeds])).parts["test"]


def test_a_window_holds_what_was_before_and_only_that(tmp_path: Path) -> None:
    deeds = [
        _deed(9, "tea", NOON_S),
        _deed(9, "show", NOON_S + 3600),
        _deed(9, "beer", NOON_S + 3600),
        _deed(9, "tea", NOON_S + 7200),
    ]
    held = _one_guest_last(tmp_path, deeds)
    mine = held.take(held.guest == 9)
    assert [row[row > 0].tolist() for row in mine.index] == [[], [1], [1], [1, 3, 2]]  # the same second is not before
    assert mine.target[:, 0].tolist() == [1, 3, 2, 1]
    here, age = PAST_NAMES.index("here"), PAST_NAMES.index("log_age")
    assert mine.past[3, -3:, here].tolist() == [1, 0, 1]
    assert mine.past[3, -3, age] > mine.past[3, -1, age] > 0
    assert not mine.past[3, :-3].any()


def test_offers_are_forecast_and_what_was_only_liked_is_not_ranked(tmp_path: Path) -> None:
    deeds = [
        _deed(9, "tea", NOON_S, Deed.TAKEN, OfferState.ACCEPTED),
        _deed(9, "tea", NOON_S + 60, Deed.LIKED),
        _deed(9, "beer", NOON_S + 120, Deed.NOT_NOW, OfferState.DEFERRED),
        _deed(9, "beer", NOON_S + 180, None, OfferState.SHOWN),
        _deed(9, "beer", NOON_S + 240),
    ]
    held = _one_guest_last(tmp_path, deeds)
    mine = held.take(held.guest == 9)
    assert mine.target[:, 0].tolist() == [1, 0, 0, 2]
    assert mine.offered.tolist() == [1, 2, 2, 0]
    assert mine.took.tolist() == [1, 0, -1, -1]
    assert [row[row > 0].tolist() for row in mine.index] == [[], [1, 1], [1, 1, 2], [1, 1, 2]]


def test_what_is_closed_cannot_come_next_unless_it_did(tmp_path: Path) -> None:
    held = _one_guest_last(tmp_path, [_deed(9, "tea", NOON_S), _deed(9, "show", NOON_S + 60)])
    bars = held.take(held.guest == 9).bars(3)
    assert bars.tolist() == [[True, False, False, True], [True, False, False, False]]


def test_features_are_the_gateways_own(tmp_path: Path) -> None:
    found = ship_days(*_write(tmp_path, [_deed(number, "tea", NOON_S + number) for number in range(10)]))
    assert found.about.features_id == FEATURES_ID
    assert found.about.items == ("tea", "beer", "show")
    assert not found.item_features[0].any()
    assert set(_all(found, "group")) == {1 + list(Company).index(Company.COUPLE)}
    assert "about nobody" in found.about.licence


def test_a_cut_export_is_refused_at_its_line(tmp_path: Path) -> None:
    path, catalogue = _write(tmp_path, [_deed(number, "tea", NOON_S + number) for number in range(10)])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:5]))
    with pytest.raises(BadData) as caught:
        ship_days(path, catalogue)
    assert caught.value.line == 6
    assert "deeds.jsonl:6" in str(caught.value)


def test_an_export_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="no deeds"):
        ship_days(*_write(tmp_path, []))


def test_an_item_that_the_catalogue_has_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="rum"):
        ship_days(*_write(tmp_path, [_deed(1, "rum", NOON_S)]))


@pytest.mark.parametrize(
    "raw", ["", "{}", "[]", "[1]", json.dumps([ITEMS[0], ITEMS[0]]), json.dumps([{**ITEMS[0], "price_minor": -1}])]
)
def test_a_catalogue_that_is_none_is_refused(tmp_path: Path, raw: str) -> None:
    path = tmp_path / "catalogue.json"
    path.write_text(raw)
    with pytest.raises(BadData, match="catalogue.json"):
        read_catalogue(path)


def test_long_stays_keep_the_last_of_the_history(tmp_path: Path) -> None:
    deeds = [_deed(9, ("tea", "beer")[number % 2], NOON_S + 60 * number) for number in range(40)]
    held = _one_guest_last(tmp_path, deeds)
    last = held.take(held.guest == 9).index[-1]
    assert last.tolist() == [(1, 2)[number % 2] for number in range(15, 39)]
    assert np.count_nonzero(last) == 24
