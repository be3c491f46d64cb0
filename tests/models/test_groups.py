"""Who is of which group: read as a whole or not at all, to measure by and for nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from preference import sets
from preference.__main__ import app
from preference.deeds import ship_days
from preference.errors import BadData
from preference.groups import GROUPS_MAX, read_people
from voyage.__main__ import app as voyage

HEAD = "guest,age,language,company\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("days")
    words = ["tastes", "--guests", "12", "--ships", "2", "--seed", "3", "--groups", str(path / "groups.csv")]
    words += ["--deeds", str(path / "deeds.jsonl"), "--catalogue", str(path / "catalogue.json")]
    assert CliRunner().invoke(voyage, words).exit_code == 0
    return path


def test_every_guest_of_the_days_is_in_a_group_of_each_way(folder: Path) -> None:
    people = read_people(folder / "groups.csv")
    assert len(people.of) == 24
    assert {name.partition(": ")[0] for name in people.names} == {"age", "language", "company"}
    assert all(len(numbers) == 3 for numbers in people.of.values())
    assert people.names[people.of["0000000000000000"][0]].startswith("age: ")


def test_groups_are_beside_the_windows_and_change_nothing_that_a_model_is_given(folder: Path) -> None:
    deeds, catalogue = folder / "deeds.jsonl", folder / "catalogue.json"
    plain, grouped = ship_days(deeds, catalogue), ship_days(deeds, catalogue, folder / "groups.csv")
    people = read_people(folder / "groups.csv")
    assert grouped.about.groups == people.names
    for part in sets.PARTS:
        one, other = plain.parts[part], grouped.parts[part]
        for name in ("index", "past", "moment", "target", "barred", "offered", "took", "guest", "at_s", "weight"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert {tuple(row) for row in other.group.tolist()} <= set(people.of.values())
    assert {name.partition(": ")[0] for name in plain.about.groups} == {"company"}


def test_the_second_ship_comes_after_the_first_and_is_what_is_measured_on(folder: Path) -> None:
    parts = ship_days(folder / "deeds.jsonl", folder / "catalogue.json").parts.values()
    first, second = (
        np.concatenate([held.at_s[(held.guest < 12) == on_first] for held in parts]) for on_first in (True, False)
    )
    assert first.max() < second.min()
    assert list(parts)[-1].guest.min() >= 12


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("who,age\na,b\n", 1),
        ("guest\na\n", 1),
        ("guest,age,age\na,b,c\n", 1),
        (HEAD + "a,18,en\n", 2),
        (HEAD + "a,18,en,\n", 2),
        (HEAD + "a,18,en,x\na,18,en,x\n", 3),
        ("guest,age\n" + "".join(f"{n},{n}\n" for n in range(GROUPS_MAX + 1)), GROUPS_MAX + 2),
        (HEAD + 'a,"18,en,x\n', 0),
    ],
)
def test_a_file_that_is_not_whole_is_refused_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "groups.csv").write_text(text)
    with pytest.raises(BadData) as told:
        read_people(tmp_path / "groups.csv")
    assert told.value.line == line


def test_files_of_other_days_or_no_text_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_bytes(b"guest,age\n\xff,1\n")
    with pytest.raises(BadData, match="UTF-8"):
        read_people(tmp_path / "groups.csv")
    with pytest.raises(BadData, match="cannot be read"):
        read_people(tmp_path / "none.csv")
    (tmp_path / "groups.csv").write_text(HEAD + "1,2,3,4\n")
    with pytest.raises(BadData, match="guest 0000000000000000 is not in it"):
        ship_days(folder / "deeds.jsonl", folder / "catalogue.json", tmp_path / "groups.csv")


def test_groups_are_of_deeds_only(tmp_path: Path) -> None:
    words = ["data", "coupon", "x.csv", "--out", str(tmp_path / "set"), "--groups", "groups.csv"]
    assert CliRunner().invoke(app, words).exit_code == 2
