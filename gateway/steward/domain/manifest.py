"""A manifest: a CSV file of guests, read whole, with every problem named by the row a spreadsheet shows.

Bytes in, rows and problems out. Real files have a byte order mark or none, commas, semicolons or tabs, line ends of
any kind, line breaks within quotes, and blank rows at the end; all of that is read. What cannot be read is told, and
one bad row never hides the next.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import cbor2

from steward.domain.consent import ConsentPurpose
from steward.domain.features import Company
from steward.domain.guests import Limits
from steward.domain.ids import GuestRef, OutletId
from steward.domain.manifest_cells import BY_NAME, COLUMNS, BadCell, Column, clean_cell, nearest
from steward.domain.profiles import AgeGroup, Allergen, Diet
from steward.domain.viewing import CrewRole

FILE_BYTES_MAX = 8 * 1024 * 1024
ROWS_MAX = 10_000
CELL_MAX = 1000  # characters
COLUMNS_MAX = 64
STAY_DAYS_MAX = 400
_DELIMITERS = ",;\t"
_HEADER_ROW = 1
_FORM = 1  # of the lists that are digested
_WIDE = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong where. row: as a spreadsheet counts, the header is 1; column: empty for the whole row."""

    row: int
    column: str
    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Person:
    """What a row says for the guest's profile. Nothing of it is ever in a repr."""

    preferred_name: str = field(repr=False)
    full_name: str = field(repr=False)
    language: str = field(repr=False)
    allergies: tuple[Allergen, ...] = field(repr=False)
    diet: tuple[Diet, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Row:
    """One guest of the file. first and last: days on board, both whole."""

    number: int
    booking: str
    guest: str  # its key within the booking
    cabins: tuple[int, ...]
    zones: tuple[str, ...]
    child: bool
    crew_role: CrewRole | None
    crew_outlets: tuple[OutletId, ...]
    first: date
    last: date
    currency: str
    limits: Limits
    person: Person
    photo: str  # file name; empty: none
    consents: tuple[ConsentPurpose, ...]  # given when the guest comes; later words are said at the desk
    company: Company | None = None  # as the booking says

    def validity(self, utc_offset_s: int) -> tuple[int, int]:
        """(not before, not after) in unix seconds: from midnight to midnight, ship's time."""
        return _midnight(self.first, utc_offset_s), _midnight(self.last + timedelta(days=1), utc_offset_s)

    def stay_digest(self, zones: int, utc_offset_s: int) -> bytes:
        """Equal for rows that mean the same stay, so that a file that comes again changes nothing."""
        limits = self.limits
        return _digest(
            *(self.cabins, zones, self.child, str(self.crew_role or ""), sorted(self.crew_outlets)),
            *(self.validity(utc_offset_s), self.currency),
            *(limits.stay_minor, limits.day_minor, limits.verify_above_minor),
            *(() if self.company is None else (str(self.company),)),
        )

    def person_digest(self) -> bytes:
        """The same for the profile."""
        person = self.person
        return _digest(
            *(person.preferred_name, person.full_name, person.language),
            *([str(code) for code in person.allergies], [str(code) for code in person.diet]),
        )


@dataclass(frozen=True, slots=True)
class Imported:
    """Which guest a row became, and what it said when it was last taken up. Digests are not for showing."""

    booking: str
    guest: str
    ref: GuestRef
    stay: bytes = field(repr=False)  # SHA-256
    person: bytes = field(repr=False)
    photo: str = field(repr=False)  # SHA-256 of the file in hex; empty: none came


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a file holds: the rows that could be read, and the problems of those that could not, both in order."""

    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]


def read_manifest(raw: bytes) -> Manifest:
    """Never raises: whatever the bytes are, what is wrong with them is in `problems`."""
    if len(raw) > FILE_BYTES_MAX:
        return _unreadable(f"has {len(raw)} bytes, at most {FILE_BYTES_MAX} are read", "split it")
    if raw[:2] in _WIDE:
        return _unreadable(f"is {_WIDE[raw[:2]]} text", "save it as CSV UTF-8")
    text = raw.decode("utf-8-sig", errors="surrogateescape")
    if not text.strip():
        return _unreadable("is empty", "`steward import example` prints a file to begin with")
    delimiter = _delimiter(text)
    problems: list[Problem] = []
    records = _records(text, delimiter, problems)
    header = next(records, None)
    columns = _columns(header[1] if header else [], problems)
    if problems or not columns:
        return Manifest((), tuple(sorted(problems)))
    rows: list[Row] = []
    for count, (number, cells) in enumerate(records, 1):
        if count > ROWS_MAX:
            problems.append(
                Problem(number, "", f"is one more than the {ROWS_MAX} rows of one import", "split the file")
            )
            break
        row = _row(number, cells, columns, problems)
        if row is not None:
            rows.append(row)
    if not rows and not problems:
        return _unreadable("has a header and no guests", "write a row for each guest below it")
    problems += _clashes(rows)
    return Manifest(tuple(rows), tuple(sorted(problems)))


def example() -> str:
    """A small file that reads without a problem: a family, and one of the crew."""
    family = {"cabin": "5012", "photo": ""}
    people = [
        family
        | {"guest": "1", "preferred_name": "Adult One", "full_name": "Adult One Example", "allergies": "nuts milk"},
        family | {"guest": "2", "preferred_name": "Child Two", "full_name": "Child Two Example", "age_group": "child"},
        {"booking": "CREW-7", "cabin": "1204", "preferred_name": "Crew Seven", "full_name": "Crew Seven Example"}
        | {"crew_role": "service", "crew_outlets": "bar", "zones": "gangway", "allergies": "", "photo": ""},
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.name for column in COLUMNS])
    for person in people:
        person.setdefault("allergies", "")
        writer.writerow([person.get(column.name, column.example) for column in COLUMNS])
    return out.getvalue()


def _unreadable(what: str, remedy: str) -> Manifest:
    return Manifest((), (Problem(_HEADER_ROW, "", f"the file {what}", remedy),))


def _delimiter(text: str) -> str:
    """The one that makes most known columns of the first line."""
    line = text.lstrip("\r\n").splitlines()[0]
    return max(_DELIMITERS, key=lambda mark: sum(_column_name(cell.strip('"')) in BY_NAME for cell in line.split(mark)))


def _records(text: str, delimiter: str, problems: list[Problem]) -> Iterator[tuple[int, list[str]]]:
    """(row as a spreadsheet counts, cells) of all rows that are not blank. Broken quotes end it with a problem."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 0
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            what = "has a quotation mark that is not closed, or stands within a cell; the rows below were not read"
            problems.append(
                Problem(number, "", what, 'put the cell in "quotes" and write a quotation mark in it twice')
            )
            return
        if any(cell.strip() for cell in cells):
            yield number, cells


def _columns(header: Sequence[str], problems: list[Problem]) -> list[Column]:
    """The file's columns in its order. Unknown, doubled and missing ones are problems of the header."""
    found: list[Column] = []
    if len(header) > COLUMNS_MAX:
        what = f"has {len(header)} columns, at most {COLUMNS_MAX} are read"
        problems.append(Problem(_HEADER_ROW, "", what, f"keep these: {', '.join(BY_NAME)}"))
        return found
    for place, cell in enumerate(header, 1):
        name = _column_name(cell)
        column = BY_NAME.get(name)
        if column is None:
            said = f"column {place} has no name" if not name else f"{_printable(name)} is no column{_guess(name)}"
            problems.append(Problem(_HEADER_ROW, _printable(name), said, f"leave it out; known: {', '.join(BY_NAME)}"))
        elif column in found:
            problems.append(Problem(_HEADER_ROW, name, "is there twice", "leave one out"))
        else:
            found.append(column)
    for column in COLUMNS:
        if column.needed and column not in found:
            problems.append(Problem(_HEADER_ROW, column.name, "is missing", f"add the column: {column.says}"))
    return found


def _row(number: int, cells: Sequence[str], columns: Sequence[Column], problems: list[Problem]) -> Row | None:
    """The row's guest; None, with a problem for each bad cell, if it cannot be read."""
    filled = len(cells)
    while filled > len(columns) and not cells[filled - 1].strip():
        filled -= 1
    if filled != len(columns):
        what = f"has {filled} cells, the header has {len(columns)}"
        problems.append(Problem(number, "", what, "put cells that hold the delimiter or a line break in quotes"))
        return None
    values: dict[str, Any] = {}
    for column, cell in zip(columns, cells, strict=False):
        try:
            values[column.name] = column.read(_checked(cell))
        except BadCell as bad:
            problems.append(Problem(number, column.name, bad.what, bad.remedy))
    if len(values) != len(columns):
        return None
    wrong = _contradiction(number, values)
    if wrong is not None:
        problems.append(wrong)
        return None
    return _guest(number, values)


def _contradiction(number: int, values: Mapping[str, Any]) -> Problem | None:
    """Two cells of a row that cannot both be meant."""
    if values["from"] > values["to"]:
        return Problem(number, "to", "is before from", "write the last day on board, which may be the first one too")
    if (values["to"] - values["from"]).days > STAY_DAYS_MAX:
        return Problem(number, "to", f"is more than {STAY_DAYS_MAX} days after from", "look for a mistyped year")
    if values.get("cabin_2") == values["cabin"]:
        return Problem(number, "cabin_2", "is the first cabin again", "leave it empty for one cabin")
    if values.get("crew_outlets") and not values.get("crew_role"):
        return Problem(number, "crew_outlets", "is only for crew", "write the crew_role too, or leave it empty")
    if values.get("crew_role") and values["age_group"] is AgeGroup.CHILD:
        return Problem(number, "age_group", "is child for one of the crew", "write adult")
    return None


def _guest(number: int, values: Mapping[str, Any]) -> Row:
    second = values.get("cabin_2")
    return Row(
        number=number,
        booking=values["booking"],
        guest=values["guest"],
        cabins=(values["cabin"],) if second is None else (values["cabin"], second),
        zones=values["zones"],
        child=values["age_group"] is AgeGroup.CHILD,
        crew_role=values.get("crew_role"),
        crew_outlets=values.get("crew_outlets", ()),
        first=values["from"],
        last=values["to"],
        currency=values["currency"],
        limits=Limits(values["stay_minor"], values["day_minor"], values["verify_above_minor"]),
        person=Person(
            values["preferred_name"], values["full_name"], values["language"], values["allergies"], values["diet"]
        ),
        photo=values.get("photo", ""),
        consents=values.get("consents", ()),
        company=values.get("company"),
    )


def _clashes(rows: Sequence[Row]) -> list[Problem]:
    """Guests that are there twice, and cabins that two bookings hold on one day."""
    found: list[Problem] = []
    seen: dict[tuple[str, str], int] = {}
    by_cabin: dict[int, list[Row]] = {}
    for row in rows:
        first = seen.setdefault((row.booking, row.guest), row.number)
        if first != row.number:
            what = f"is the guest of row {first} again: same booking, same number"
            found.append(Problem(row.number, "guest", what, "remove the row, or give the guest the next number"))
        for cabin in row.cabins:
            by_cabin.setdefault(cabin, []).append(row)
    for cabin, held in by_cabin.items():
        found += _held_twice(cabin, sorted(held, key=lambda row: (row.first, row.number)))
    return found


def _held_twice(cabin: int, held: Sequence[Row]) -> Iterator[Problem]:
    """Each booking's bands would lock the other's out. One may leave on the day the other comes."""
    latest: Row | None = None  # who stays last of those before,
    other: Row | None = None  # and who does of all other bookings
    for row in held:
        rival = other if latest is not None and latest.booking == row.booking else latest
        if rival is not None and row.first < rival.last:
            what = f"is in cabin {cabin} on days that the booking of row {rival.number} has it"
            yield Problem(row.number, "cabin", what, "one party for a cabin: give both the same booking")
        if latest is None or row.last > latest.last:
            if latest is not None and latest.booking != row.booking:
                other = latest
            latest = row
        elif row.booking != latest.booking and (other is None or row.last > other.last):
            other = row


def _checked(cell: str) -> str:
    """The cell, trimmed. Raises BadCell for bytes that are not UTF-8, control characters and endless text."""
    for char in cell:
        if "\udc80" <= char <= "\udcff":
            what = f"has byte 0x{ord(char) - 0xDC00:02X}, which is not UTF-8"
            raise BadCell(what, "save the file as CSV UTF-8 (it may be Latin-1 or Windows-1252 now)")
    cleaned = clean_cell(cell)
    if len(cleaned) > CELL_MAX:
        raise BadCell(
            f"has {len(cleaned)} characters, at most {CELL_MAX} are possible", "look for a missing quotation mark"
        )
    if not all(char.isprintable() or char in "\r\n\t" for char in cleaned):
        raise BadCell("has a character that cannot be printed", "type the cell again")
    return cleaned


def _column_name(cell: str) -> str:
    """As people write it: Preferred Name is preferred_name."""
    return "_".join(cell.casefold().replace("-", " ").replace("_", " ").split())


def _guess(name: str) -> str:
    return nearest(name, tuple(BY_NAME))


def _printable(name: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in name[:32])


def _midnight(day: date, utc_offset_s: int) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) - utc_offset_s


def _digest(*meant: object) -> bytes:
    return hashlib.sha256(cbor2.dumps([_FORM, *meant])).digest()
