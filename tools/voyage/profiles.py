"""Made-up guests on paper: names of plants as first names, `Example` as surname, and the manifest that holds them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from voyage.cast import CURRENCY, Person
from voyage.portraits import portrait

_PLANTS = (
    *("Alder", "Aster", "Basil", "Briony", "Clover", "Fern", "Flora", "Hazel", "Heather", "Iris"),
    *("Ivy", "Jasmine", "Juniper", "Laurel", "Linden", "Olive", "Poppy", "Rowan", "Sage", "Willow"),
)
SURNAME = "Example"  # what everybody on board is called: nobody can take them for people
_LANGUAGES = ("en", "nb", "de", "en", "es", "fr")
_ALLERGIES = ("", "nuts", "", "milk gluten", "", "", "fish")
_DIETS = ("", "", "vegan", "", "no_alcohol")
_COMPANY = ("", "", "business", "", "couple", "", "friends")  # as bookings say it; most say nothing
_AGREEING = (0, 1, 3, 4, 6, 7, 9)  # of ten, those who let their own history choose; the rest were not asked
COLUMNS = (
    *("booking", "guest", "cabin", "cabin_2", "zones", "preferred_name", "full_name", "language", "age_group"),
    *("crew_role", "crew_outlets", "from", "to", "currency", "stay_minor", "day_minor", "verify_above_minor"),
    *("allergies", "diet", "photo", "consents", "company"),
)


@dataclass(frozen=True, slots=True)
class MadeUp:
    """What the manifest says of one person."""

    preferred_name: str = field(repr=False)
    language: str = field(repr=False)
    allergies: tuple[str, ...] = field(repr=False)
    diet: tuple[str, ...] = field(repr=False)
    consents: tuple[str, ...]
    company: str = ""

    @property
    def full_name(self) -> str:
        return f"{self.preferred_name} {SURNAME}"


def make_up(people: Iterable[Person]) -> dict[str, MadeUp]:
    """A profile for everybody, by key; the same for the same party."""
    return {person.key: _profile(number) for number, person in enumerate(people)}


def _profile(number: int) -> MadeUp:
    name, times = _PLANTS[number % len(_PLANTS)], number // len(_PLANTS)
    initial = f" {'ABCDEFGH'[times - 1]}" if times else ""
    return MadeUp(
        f"{name}{initial}",
        _LANGUAGES[number % len(_LANGUAGES)],
        tuple(_ALLERGIES[number % len(_ALLERGIES)].split()),
        tuple(_DIETS[number % len(_DIETS)].split()),
        ("personal_service", "photo", "suggestions") if number % 10 in _AGREEING else ("personal_service", "photo"),
        _COMPANY[number % len(_COMPANY)],
    )


def write_manifest(folder: Path, people: Sequence[Person], profiles: dict[str, MadeUp], today: date) -> Path:
    """`guests.csv` and the photos it names in `photos`; the row of people[n] is n + 2, as a spreadsheet counts."""
    photos = folder / "photos"
    photos.mkdir(parents=True)
    path = folder / "guests.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number, person in enumerate(people):
            (photos / f"{person.key}.png").write_bytes(portrait(number))
            writer.writerow(_row(person, profiles[person.key], today))
    return path


def _row(person: Person, profile: MadeUp, today: date) -> tuple[object, ...]:
    first, last = (today - timedelta(5), today - timedelta(2)) if person.stay_over else (today - timedelta(1), today)
    purse, cabins = person.purse, (*person.cabins, "")
    return (
        *(person.booking, person.key, cabins[0], cabins[1], " ".join(person.zones)),
        *(profile.preferred_name, profile.full_name, profile.language, "child" if person.child else "adult"),
        *(person.duty.role if person.duty else "", "", first, last if person.stay_over else last + timedelta(2)),
        *(CURRENCY, purse.stay_minor, purse.day_minor, purse.verify_above_minor),
        *(" ".join(profile.allergies), " ".join(profile.diet), f"{person.key}.png"),
        *(" ".join(profile.consents), "" if person.child or person.crew else profile.company),
    )
