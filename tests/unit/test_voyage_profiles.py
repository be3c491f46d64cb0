"""The demo's guests on paper: made up, the same in every run, and a manifest that the gateway takes."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

from steward.domain.manifest import read_manifest
from steward.domain.photos import clean_photo
from steward.domain.profiles import Allergen, Diet
from voyage.cast import BANDS_MAX, BANDS_MIN, build_cast
from voyage.profiles import COLUMNS, SURNAME, make_up, write_manifest

TODAY = date(2026, 5, 17)


def rows(folder: Path, bands: int = BANDS_MIN) -> list[dict[str, str]]:
    people = build_cast(bands).people
    path = write_manifest(folder, people, make_up(people), TODAY)
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_same_party_has_the_same_names() -> None:
    people = build_cast(BANDS_MAX).people
    assert make_up(people) == make_up(list(people))
    some = make_up(people[:10])
    assert some == {key: profile for key, profile in make_up(people).items() if key in some}, (
        "more guests change nobody"
    )


def test_nobody_can_be_taken_for_a_person() -> None:
    people = build_cast(BANDS_MAX).people
    profiles = make_up(people)
    names = [profile.full_name for profile in profiles.values()]
    assert all(name.endswith(f" {SURNAME}") for name in names)
    assert len(set(names)) == len(names) == len(people)


def test_what_they_may_not_have_is_what_the_gateway_knows() -> None:
    for profile in make_up(build_cast(BANDS_MAX).people).values():
        assert {*profile.allergies} <= {allergen.value for allergen in Allergen}
        assert {*profile.diet} <= {diet.value for diet in Diet}


def test_names_are_in_no_repr() -> None:
    people = build_cast(BANDS_MIN).people
    for profile in make_up(people).values():
        assert profile.preferred_name not in repr(profile)
        assert SURNAME not in repr(profile)


def test_the_manifest_is_the_same_in_every_run_and_has_a_row_for_everybody(tmp_path: Path) -> None:
    first, second = rows(tmp_path / "a"), rows(tmp_path / "b")
    assert first == second
    people = build_cast(BANDS_MIN).people
    assert [row["guest"] for row in first] == [person.key for person in people]
    assert tuple(first[0]) == COLUMNS


def test_the_gateway_reads_it_without_a_question(tmp_path: Path) -> None:
    people = [person for person in build_cast(BANDS_MAX).people if not person.late]  # who come during the day
    path = write_manifest(tmp_path / "a", people, make_up(people), TODAY)
    manifest = read_manifest(path.read_bytes())
    assert (list(manifest.problems), len(manifest.rows)) == ([], len(people))


def test_each_photo_named_is_there_and_is_one(tmp_path: Path) -> None:
    found = rows(tmp_path / "a")
    pictures = [(tmp_path / "a" / "photos" / row["photo"]).read_bytes() for row in found]
    assert all(clean_photo(picture) for picture in pictures), "which raises for what is none"
    assert len(set(pictures)) > 1


def test_a_stay_that_is_over_is_over_and_the_others_are_not(tmp_path: Path) -> None:
    people = {person.key: person for person in build_cast(BANDS_MIN).people}
    for row in rows(tmp_path / "a"):
        begins, ends = date.fromisoformat(row["from"]), date.fromisoformat(row["to"])
        assert begins < ends
        assert (ends < TODAY) is people[row["guest"]].stay_over
        assert begins <= TODAY
        assert (row["age_group"] == "child") is people[row["guest"]].child
        assert bool(row["crew_role"]) is people[row["guest"]].crew
