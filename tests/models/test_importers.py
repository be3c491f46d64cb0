"""Public sets become windows as their protocols say; a file that is not what it should be is named with its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.models.publickit import COUPON as ROW
from tests.models.publickit import coupons

from preference import sets
from preference.coupon import FEATURES, GROUPS, KINDS, moment_of
from preference.errors import BadData
from preference.importers import coupon, ml1m, veronacard


def _cards(path: Path, cards: list[tuple[int, list[int]]]) -> Path:
    offsets = np.cumsum([0, *(len(taps) for _, taps in cards)])
    items = np.array([tap for _, taps in cards for tap in taps], np.int8)
    np.savez(path, items=items, offsets=offsets, year=np.array([year for year, _ in cards], np.int16))
    return path


def test_cards_are_split_by_year_and_windows_are_right_aligned(tmp_path: Path) -> None:
    cards = [(2015, [1, 2, 1, 3]), (2021, [2, 3]), (2020, [3, 1, 3, 2]), (2023, [1, 2, 3])]
    found = veronacard(_cards(tmp_path / "v.npz", cards))
    train, test = found.train, found.parts["test"]
    assert train.index.tolist() == [[0] * 21 + [1, 2, 1]]
    assert train.target.tolist() == [[0] * 21 + [2, 0, 3]]  # the second visit to 1 is no case
    assert [row[row > 0].tolist() for row in test.index] == [[3], [3, 1, 3]]
    assert test.target[:, 0].tolist() == [1, 2]
    assert np.flatnonzero(~test.bars(3)[1]).tolist() == [2]
    assert (len(found.parts["valid"]), test.guest.tolist()) == (1, [2, 2])


def test_cards_of_one_tap_are_nothing_to_learn_from(tmp_path: Path) -> None:
    found = veronacard(_cards(tmp_path / "v.npz", [(2015, [1]), (2016, [2, 1]), (2020, [1]), (2021, [2])]))
    assert [len(held) for held in found.parts.values()] == [1, 0, 0]


def test_leave_one_out_of_each_person_and_every_event_is_a_target_once(tmp_path: Path) -> None:
    people = [list(range(1, 20)), [5, 6, 7]]
    path = tmp_path / "m.npz"
    np.savez(path, items=np.concatenate(people).astype(np.int16), offsets=np.array([0, 19, 22]))
    found = ml1m(path, history=6)
    targets = found.train.target[found.train.guest == 0]
    assert sorted(targets[targets > 0].tolist()) == list(range(2, 18))
    for index, target in zip(found.train.index, found.train.target, strict=True):
        for place in np.flatnonzero(target):
            assert target[place] == index[place] + 1
    assert found.parts["valid"].target[:, 0].tolist() == [18, 6]
    assert found.parts["test"].target[:, 0].tolist() == [19, 7]
    assert found.parts["test"].index[0].tolist() == list(range(13, 19))
    assert np.flatnonzero(~found.parts["test"].bars(19)[0]).tolist() == [19]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_coupons_are_split_by_person(tmp_path: Path, suffix: str) -> None:
    rows = [{**ROW, "occupation": job, "Y": answer} for job in ("Student", "Legal", "Retired") for answer in "01"]
    found = coupon(coupons(tmp_path / f"c{suffix}", rows * 3))
    people = [set(held.guest.tolist()) for held in found.parts.values()]
    assert sum(len(part) for part in people) == len(set().union(*people)) == 3
    whole = np.concatenate([held.took for held in found.parts.values()])
    assert (len(whole), whole.sum()) == (18, 9)


def test_an_empty_answer_is_of_no_kind(tmp_path: Path) -> None:
    moment = dict(zip(FEATURES, moment_of(ROW), strict=True))
    assert [name for name, value in moment.items() if value and name.startswith("CoffeeHouse")] == []
    assert [name for name, value in moment.items() if value and name.startswith("Bar")] == ["Bar>=less1", "Bar>=1~3"]
    assert moment["destination=Home"] == moment["gender=Male"] == 1
    assert [name for name, value in moment.items() if value and name.startswith("visits")] == [
        *("visits known", "visits>=less1", "visits>=1~3")  # of bars, which is what is offered
    ]
    pairs = [name for name, value in moment.items() if value and " " in name and name.startswith("destination=Home ")]
    assert len(pairs) == 8
    assert "destination=Home passanger=Alone" in pairs
    assert "destination=Home toCoupon_GEQ25min=0" in pairs


def test_how_often_one_goes_there_is_of_the_kind_that_is_offered() -> None:
    kinds = ("never", "less1", "1~3", "4~8", "gt8")
    for kind, column in zip(
        KINDS, ("CoffeeHouse", "RestaurantLessThan20", "CarryAway", "Bar", "Restaurant20To50"), strict=True
    ):
        others = dict.fromkeys(("CoffeeHouse", "RestaurantLessThan20", "CarryAway", "Bar", "Restaurant20To50"), "never")
        for place, often in enumerate(kinds):
            moment = dict(zip(FEATURES, moment_of({**ROW, **others, "coupon": kind, column: often}), strict=True))
            assert sum(value for name, value in moment.items() if name.startswith("visits")) == 1 + place
    unknown = dict(zip(FEATURES, moment_of({**ROW, "Bar": ""}), strict=True))
    assert not any(value for name, value in unknown.items() if name.startswith("visits"))


def test_every_column_has_a_name_of_its_own() -> None:
    assert len(set(FEATURES)) == len(FEATURES) == len(moment_of(ROW))
    assert len(GROUPS) == 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"weather": "Foggy"}, "'Foggy' in column weather"),
        ({"Y": "2"}, "'2' in column Y"),
        ({"coupon": "Spa"}, "coupon"),
    ],
)
def test_a_value_that_is_not_known_is_named_with_its_line(tmp_path: Path, change: dict[str, str], told: str) -> None:
    with pytest.raises(BadData, match=told) as caught:
        coupon(coupons(tmp_path / "c.csv", [ROW, {**ROW, **change}]))
    assert caught.value.line == 3
    assert "c.csv:3: " in str(caught.value)


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("destination,Y\nHome,1\n")
    with pytest.raises(BadData, match="passanger"):
        coupon(path)


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04junk", b"\x93NUMPY\x01", b"hello"])
def test_a_file_that_is_no_npz_is_refused(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "v.npz"
    path.write_bytes(raw)
    for read in (veronacard, ml1m):
        with pytest.raises(BadData):
            read(path)


def test_a_torn_gzip_is_refused(tmp_path: Path) -> None:
    whole = coupons(tmp_path / "c.csv.gz", [ROW] * 500).read_bytes()
    (tmp_path / "torn.csv.gz").write_bytes(whole[:-20])
    with pytest.raises(BadData, match="torn"):
        coupon(tmp_path / "torn.csv.gz")


@pytest.mark.parametrize("offsets", [[0], [1, 4], [0, 3], [0, 5], [0, 3, 2, 4]])
def test_offsets_that_do_not_cut_the_events_are_refused(tmp_path: Path, offsets: list[int]) -> None:
    path = tmp_path / "v.npz"
    np.savez(path, items=np.array([1, 2, 3, 1]), offsets=np.array(offsets), year=np.full(len(offsets) - 1, 2015))
    with pytest.raises(BadData, match="offsets"):
        veronacard(path)


def test_an_npz_of_something_else_tells_what_it_has(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", items=np.array([1]))
    with pytest.raises(BadData, match="offsets.*it has items"):
        veronacard(tmp_path / "v.npz")


def test_a_set_is_read_back_as_it_was_and_its_digest_tells_a_change(tmp_path: Path) -> None:
    made = veronacard(_cards(tmp_path / "v.npz", [(2015, [1, 2]), (2020, [2, 1]), (2021, [1, 2])]))
    sets.save(made, tmp_path / "set")
    again = sets.load(tmp_path / "set")
    assert (again.about, again.digest()) == (made.about, made.digest())
    again.train.target[0, -1] = 1
    assert again.digest() != made.digest()


@pytest.mark.parametrize("name", ["set.json", "train.npz", "items.npz"])
@pytest.mark.parametrize("harm", ["gone", "cut", "junk"])
def test_a_damaged_set_is_refused_by_name(tmp_path: Path, name: str, harm: str) -> None:
    made = veronacard(_cards(tmp_path / "v.npz", [(2015, [1, 2]), (2020, [2, 1]), (2021, [1, 2])]))
    sets.save(made, tmp_path / "set")
    path = tmp_path / "set" / name
    raw = path.read_bytes()
    path.unlink()
    if harm != "gone":
        path.write_bytes(raw[: len(raw) // 2] if harm == "cut" else b"junk")
    with pytest.raises(BadData, match=name):
        sets.load(tmp_path / "set")


def test_windows_of_other_items_are_refused(tmp_path: Path) -> None:
    made = veronacard(_cards(tmp_path / "v.npz", [(2015, [1, 2]), (2020, [2, 1]), (2021, [1, 2])]))
    made.train.target[0, -1] = 9
    sets.save(made, tmp_path / "set")
    with pytest.raises(BadData, match="items that set.json has not"):
        sets.load(tmp_path / "set")
