"""The columns of a manifest: what each is for, and how a cell of it is read. The help text is made from this table."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TypeVar

from steward.domain.consent import ConsentPurpose
from steward.domain.features import Company
from steward.domain.ids import OutletId
from steward.domain.ledger import AMOUNT_MAX_MINOR, is_currency
from steward.domain.profiles import NAME_MAX, AgeGroup, Allergen, Diet, is_language, is_name
from steward.domain.viewing import CrewRole

ZONES_MAX = 32
OUTLETS_MAX = 32
_SHOWN_MAX = 32
_YEARS = (2000, 2100)
_BOOKING = re.compile(r"[A-Za-z0-9._-]{1,32}")
_KEY = re.compile(r"[A-Za-z0-9._-]{1,16}")
_ZONE = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_OUTLET = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER = re.compile(r"[0-9]{1,10}")
_FILE = re.compile(r"[^/\\\x00-\x1f\x7f]{1,120}\.(jpe?g|png)", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s,;|]+")
S = TypeVar("S", bound=StrEnum)


class BadCell(Exception):
    """A cell that cannot be read: what it is, and what to write. Values of people are not repeated."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Column:
    """One column. needed: the file must have it, though its cells may be empty where `read` takes an empty one."""

    name: str
    needed: bool
    says: str
    example: str
    read: Callable[[str], object]


def _booking(cell: str) -> str:
    if not _BOOKING.fullmatch(cell):
        raise BadCell("is no booking number", "write 1 to 32 letters, digits, dots, dashes or underscores")
    return cell


def _key(cell: str) -> str:
    if not _KEY.fullmatch(cell):
        raise BadCell("is no guest's number", "write 1, 2, ... within the booking, and keep it from file to file")
    return cell


def _cabin(cell: str) -> int:
    number = int(cell) if _NUMBER.fullmatch(cell) else 0
    if not 1 <= number <= 0xFFFF:
        raise BadCell("is no cabin number", "write a whole number from 1 to 65535")
    return number


def _second_cabin(cell: str) -> int | None:
    return _cabin(cell) if cell else None


def _zones(cell: str) -> tuple[str, ...]:
    zones = _words(cell, ZONES_MAX)
    for zone in zones:
        if not _ZONE.fullmatch(zone):
            raise BadCell(f"has {_shown(zone)}, which is no zone's name", "write names of [zones], with blanks between")
    return zones


def _name(cell: str) -> str:
    if not is_name(cell):
        raise BadCell("is no name", f"write 1 to {NAME_MAX} printable characters")
    return cell


def _language(cell: str) -> str:
    if not is_language(cell or "en"):
        raise BadCell("is no language", "write a tag such as en, nb or pt-BR, or nothing for en")
    return cell or "en"


def _age_group(cell: str) -> AgeGroup:
    return _one_of(AgeGroup, cell, "age group")


def _crew_role(cell: str) -> CrewRole | None:
    return _one_of(CrewRole, cell, "crew role") if cell else None


def _outlets(cell: str) -> tuple[OutletId, ...]:
    outlets = _words(cell, OUTLETS_MAX)
    for outlet in outlets:
        if not _OUTLET.fullmatch(outlet):
            raise BadCell(f"has {_shown(outlet)}, which is no outlet's name", "write names of outlets, or nothing: all")
    return tuple(OutletId(outlet) for outlet in outlets)


def _day(cell: str) -> date:
    try:
        day = date.fromisoformat(cell) if _DATE.fullmatch(cell) else None
    except ValueError:
        day = None
    if day is None or not _YEARS[0] <= day.year < _YEARS[1]:
        raise BadCell(
            "is no date", "write it as 2026-07-31: format the column as text before the spreadsheet changes it"
        )
    return day


def _currency(cell: str) -> str:
    if not is_currency(cell):
        raise BadCell("is no currency", "write three capital letters, such as EUR or NOK")
    return cell


def _minor(cell: str) -> int:
    number = int(cell) if _NUMBER.fullmatch(cell) else -1
    if not 0 <= number <= AMOUNT_MAX_MINOR:
        raise BadCell(
            "is no amount", f"write whole minor units without a point, 0 to {AMOUNT_MAX_MINOR}: 1500.00 is 150000"
        )
    return number


def _allergies(cell: str) -> tuple[Allergen, ...]:
    return tuple(sorted(_one_of(Allergen, word.lower(), "allergen") for word in _words(cell, len(Allergen))))


def _diet(cell: str) -> tuple[Diet, ...]:
    return tuple(sorted(_one_of(Diet, word.lower(), "diet") for word in _words(cell, len(Diet))))


def _consents(cell: str) -> tuple[ConsentPurpose, ...]:
    words = _words(cell, len(ConsentPurpose))
    return tuple(sorted(_one_of(ConsentPurpose, word.lower(), "purpose of consent") for word in words))


def _company(cell: str) -> Company | None:
    return _one_of(Company, cell.lower(), "company") if cell else None


def _photo(cell: str) -> str:
    if cell and not _FILE.fullmatch(cell):
        raise BadCell("is no photo's file name", "write the name of a .jpg or .png file without its folder, or nothing")
    return cell


COLUMNS: tuple[Column, ...] = (
    Column("booking", True, "the reservation's number; guests of one booking share their cabins", "R-20417", _booking),
    Column(
        "guest", True, "which guest of the booking: 1, 2, ...; with it a later file finds the guest again", "1", _key
    ),
    Column("cabin", True, "cabin number", "5012", _cabin),
    Column("cabin_2", False, "a second cabin, or empty", "", _second_cabin),
    Column("zones", True, "doors besides the cabin: names of [zones], with blanks between", "gangway pool", _zones),
    Column("preferred_name", True, "what crew call the guest", "Mia", _name),
    Column("full_name", True, "as in the travel document", "Mia Example", _name),
    Column("language", True, "such as en, nb, pt-BR; empty is en", "en", _language),
    Column("age_group", True, "adult or child", "adult", _age_group),
    Column("crew_role", False, f"empty for guests; else {', '.join(CrewRole)}", "", _crew_role),
    Column("crew_outlets", False, "where a crew member works, with blanks between; empty is everywhere", "", _outlets),
    Column("from", True, "first day on board, as 2026-07-31", "2026-07-25", _day),
    Column("to", True, "last day on board; bands end with it, at midnight ship's time", "2026-08-01", _day),
    Column("currency", True, "three letters of ISO 4217", "EUR", _currency),
    Column("stay_minor", True, "limit for the stay in minor units: 150000 is 1500.00 EUR", "150000", _minor),
    Column("day_minor", True, "limit for a day, in minor units", "50000", _minor),
    Column(
        "verify_above_minor", True, "above this a PIN or a look at the photo is asked, in minor units", "20000", _minor
    ),
    Column("allergies", True, f"any of {', '.join(Allergen)}; with blanks between, or empty", "nuts", _allergies),
    Column("diet", True, f"any of {', '.join(Diet)}; with blanks between, or empty", "", _diet),
    Column("photo", False, "a .jpg or .png file in the folder of --photos; empty keeps the photo there is", "", _photo),
    Column(
        "consents",
        False,
        f"what the guest has said yes to: any of {', '.join(ConsentPurpose)}; counts when the guest is new",
        "",
        _consents,
    ),
    Column(
        "company", False, f"with whom, or what for, as the booking says: {', '.join(Company)}; or empty", "", _company
    ),
)
BY_NAME = {column.name: column for column in COLUMNS}


def clean_cell(cell: str) -> str:
    """Composed letters, and one blank for any run of blanks and line breaks. A = at the beginning is text like any."""
    return unicodedata.normalize("NFC", " ".join(cell.split()))


def nearest(word: str, known: Sequence[str]) -> str:
    """A guess at what was meant, as the end of a sentence."""
    close = difflib.get_close_matches(word[:_SHOWN_MAX], known, 1)
    return f" (did you mean {close[0]}?)" if close else ""


def _one_of(kind: type[S], word: str, label: str) -> S:
    try:
        return kind(word)
    except ValueError:
        known = [str(value) for value in kind]
        said = f"has {_shown(word)}, which is no {label}" if word else f"is empty: it needs an {label}"
        raise BadCell(said + nearest(word, known), f"write one of: {', '.join(known)}") from None


def _words(cell: str, count_max: int) -> tuple[str, ...]:
    """In their order, each once."""
    found = tuple(dict.fromkeys(word for word in _BETWEEN.split(cell) if word))
    if len(found) > count_max:
        raise BadCell(
            f"has {len(found)} words, at most {count_max} are possible", "write each once, with blanks between"
        )
    return found


def _shown(word: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in word[:_SHOWN_MAX])
