"""Manifests as spreadsheets write them: what is read, and how each thing that cannot be is told."""

from __future__ import annotations

import csv
import io
from datetime import date

import pytest
from tests.unit.manifestkit import HEADER, guest, manifest, party

from steward.domain.guests import Limits
from steward.domain.manifest import (
    CELL_MAX,
    COLUMNS_MAX,
    FILE_BYTES_MAX,
    ROWS_MAX,
    Manifest,
    Problem,
    example,
    read_manifest,
)
from steward.domain.manifest_cells import COLUMNS
from steward.domain.profiles import AgeGroup, Allergen, Diet
from steward.domain.viewing import CrewRole


def only(found: Manifest) -> Problem:
    assert len(found.problems) == 1, found.problems
    assert found.problems[0].remedy
    return found.problems[0]


def test_a_row_is_read_as_it_is_meant() -> None:
    found = read_manifest(
        manifest(guest(cabin_2="5014", zones="gangway pool", diet="vegan;no_gluten", photo="a b.JPG"))
    )
    assert found.problems == ()
    (row,) = found.rows
    assert (row.number, row.booking, row.guest, row.cabins, row.zones) == (
        2,
        "R-1",
        "1",
        (5012, 5014),
        ("gangway", "pool"),
    )
    assert (row.first, row.last, row.currency) == (date(2026, 7, 25), date(2026, 8, 1), "EUR")
    assert (row.limits, row.child, row.crew_role, row.photo) == (
        Limits(150_000, 50_000, 20_000),
        False,
        None,
        "a b.JPG",
    )
    person = row.person
    assert (person.preferred_name, person.full_name, person.language) == ("Mia", "Mia Example", "nb")
    assert person.allergies == (Allergen.MILK, Allergen.NUTS)
    assert person.diet == (Diet.NO_GLUTEN, Diet.VEGAN)


def test_days_are_whole_and_the_ships() -> None:
    (row,) = read_manifest(manifest(guest(from_="2026-07-25", to="2026-07-25"))).rows
    assert row.validity(0) == (1_784_937_600, 1_784_937_600 + 86_400)
    assert row.validity(2 * 3600) == (1_784_937_600 - 7200, 1_784_937_600 + 86_400 - 7200)


def test_the_example_reads_without_a_problem() -> None:
    found = read_manifest(example().encode())
    assert found.problems == ()
    assert [row.child for row in found.rows] == [False, True, False]
    assert found.rows[2].crew_role is CrewRole.SERVICE
    assert tuple(next(csv.reader(io.StringIO(example())))) == tuple(column.name for column in COLUMNS)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
def test_files_of_any_spreadsheet_say_the_same(delimiter: str, end: str, mark: bytes) -> None:
    rows = [
        guest(),
        guest(guest="2", preferred_name="Åse", zones="gangway, pool"),
        guest(guest="3", full_name='"Bo" B'),
    ]
    plain = read_manifest(manifest(*rows))
    assert plain.problems == ()
    assert read_manifest(mark + manifest(*rows, delimiter=delimiter, end=end)) == plain


def test_letters_are_composed_and_blanks_are_one() -> None:
    (row,) = read_manifest(
        manifest(guest(full_name="  A\u030ase \u00a0 Example\u2003", preferred_name="\ufeffMia"[1:]))
    ).rows
    assert row.person.full_name == "Åse Example"


def test_a_line_break_in_quotes_does_not_move_the_rows() -> None:
    rows = [
        guest(full_name="Mia\nAnna\r\nExample"),
        guest(guest="2", allergies="nuts\nmilk"),
        guest(guest="3", cabin="x"),
    ]
    found = read_manifest(manifest(*rows))
    assert only(found) == Problem(4, "cabin", "is no cabin number", "write a whole number from 1 to 65535")
    assert [row.person.full_name for row in found.rows] == ["Mia Anna Example", "Mia Example"]
    assert found.rows[1].person.allergies == (Allergen.MILK, Allergen.NUTS)


def test_blank_rows_are_counted_and_left_out() -> None:
    lines = manifest(guest(), guest(guest="2"), guest(guest="0 0")).split(b"\n")
    text = b"\n".join((lines[0], b"", lines[1], b",,,,", b"  ", lines[2], lines[3], b"", b",,,"))
    found = read_manifest(text)
    assert [row.number for row in found.rows] == [3, 6]
    assert (only(found).row, only(found).column) == (7, "guest")


def test_a_beginning_that_a_spreadsheet_would_run_is_text() -> None:
    names = ['=HYPERLINK("http://x")', "+47 Mia", "-Mia", "@Mia", "=cmd|' /C calc'!A0"]
    found = read_manifest(manifest(*(guest(guest=str(n), preferred_name=name) for n, name in enumerate(names, 1))))
    assert found.problems == ()
    assert [row.person.preferred_name for row in found.rows] == names


def test_columns_may_be_named_as_people_do_and_in_any_order() -> None:
    titles = {"preferred_name": "Preferred Name", "cabin_2": "CABIN-2", "from": " From "}
    header = list(reversed(HEADER))
    text = manifest(guest(), header=header).decode().split("\n")
    text[0] = ",".join(titles.get(name, name) for name in header)
    assert read_manifest("\n".join(text).encode()) == read_manifest(manifest(guest()))


def test_columns_that_may_be_left_out_may() -> None:
    header = [column.name for column in COLUMNS if column.needed]
    found = read_manifest(manifest(guest(), header=header))
    assert (found.problems, found.rows) == ((), read_manifest(manifest(guest())).rows)
    for missing in header:
        problem = only(read_manifest(manifest(guest(), header=[name for name in header if name != missing])))
        assert (problem.row, problem.column, problem.what) == (1, missing, "is missing")


CELLS = {
    "booking": ["", "R 1", "=R1", "x" * 33, "R/1"],
    "guest": ["", "1/2", "x" * 17],
    "cabin": ["", "0", "65536", "50 12", "5012.0", "-1", "²", "٣"],
    "cabin_2": ["0", "A", "5012"],
    "zones": ["Gangway", "gang_way", "../x", " ".join(f"z{n}" for n in range(33))],
    "preferred_name": ["", "   ", "x" * 81, "Mi\x00a", "Mi\x1ba", "Mi\u202ea"],
    "full_name": ["", "x" * 81],
    "language": ["english", "EN", "e", "en_GB"],
    "age_group": ["", "teen", "Adult"],
    "crew_role": ["captain", "Service"],
    "crew_outlets": ["bar", "b/r"],
    "from": ["", "25.07.2026", "2026-7-25", "2026-02-30", "20260725", "1999-12-31", "2026-08-02", "0001-01-01"],
    "to": ["", "01/08/2026", "2026-07-24", "2028-08-01", "2100-01-01", "9999-12-31"],
    "currency": ["", "eur", "EURO", "€"],
    "stay_minor": ["", "1500.00", "-1", "1e5", "2147483648", "1 500", "99999999999999999999"],
    "day_minor": ["x"],
    "verify_above_minor": ["0x10"],
    "allergies": ["shellfish", "nut", "milk/eggs", "none"],
    "diet": ["keto"],
    "company": ["busyness", "couple friends"],
    "photo": ["a.gif", "../a.jpg", "b/a.jpg", "b\\a.jpg", ".jpg", "a.jpg.exe", "x" * 121 + ".jpg"],
}


@pytest.mark.parametrize(("column", "cell"), [(column, cell) for column, cells in CELLS.items() for cell in cells])
def test_a_cell_that_cannot_be_is_named_by_row_and_column(column: str, cell: str) -> None:
    raw = manifest(guest(), guest(**({"guest": "2"} | {column: cell})))
    problem = only(read_manifest(raw))
    assert problem.row == 3
    assert problem.column == column or (column, problem.column) == ("from", "to")
    assert [row.number for row in read_manifest(raw).rows] == [2]


def test_all_problems_of_a_row_are_told_at_once() -> None:
    found = read_manifest(manifest(guest(cabin="0", currency="x", from_="?"), guest(guest="2", diet="keto")))
    assert [(problem.row, problem.column) for problem in found.problems] == [
        (2, "cabin"),
        (2, "currency"),
        (2, "from"),
        (3, "diet"),
    ]


def test_a_misspelt_word_is_guessed() -> None:
    assert (
        "has penuts, which is no allergen (did you mean peanuts?)"
        in only(read_manifest(manifest(guest(allergies="penuts")))).what
    )
    text = manifest(guest()).replace(b"booking", b"bookin", 1)
    assert "did you mean booking?" in read_manifest(text).problems[0].what


def test_bytes_of_another_code_are_named() -> None:
    rows = manifest(guest(preferred_name="Ase"), guest(guest="2", full_name="Bjorn")).replace(b"Ase", b"\xc5se")
    found = read_manifest(rows.replace(b"Bjorn", b"Bj\xf8rn"))
    assert [(p.row, p.column, p.what) for p in found.problems] == [
        (2, "preferred_name", "has byte 0xC5, which is not UTF-8"),
        (3, "full_name", "has byte 0xF8, which is not UTF-8"),
    ]
    assert "save the file as CSV UTF-8" in found.problems[0].remedy
    assert only(read_manifest("booking,guest".encode("utf-16"))).what == "the file is UTF-16 text"


def test_values_of_people_are_not_repeated() -> None:
    secret = "Zaphod\x1b"
    found = read_manifest(manifest(guest(preferred_name=secret, full_name=secret * 90, photo="../" + secret)))
    assert len(found.problems) == 3
    assert "Zaphod" not in repr(found)
    assert "Mia" not in repr(read_manifest(manifest(guest())))


HEADERS = {
    "unknown": (manifest(guest()).replace(b",photo", b",picture", 1), (1, "picture"), "picture is no column"),
    "twice": (manifest(guest()).replace(b",photo", b",diet", 1), (1, "diet"), "is there twice"),
    "nameless": (manifest(guest()).replace(b",photo", b",", 1), (1, ""), "column 20 has no name"),
    "empty": (b"", (1, ""), "the file is empty"),
    "blank": (b"\xef\xbb\xbf \r\n\r\n", (1, ""), "the file is empty"),
    "no guests": (manifest(), (1, ""), "no guests"),
    "wide": (b"a," * (COLUMNS_MAX + 1), (1, ""), "has 66 columns, at most 64"),
    "large": (b"x" * (FILE_BYTES_MAX + 1), (1, ""), "at most 8388608"),
    "wide text": (b"\xff\xfeb\x00", (1, ""), "UTF-16"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_file_that_is_no_manifest_says_so(name: str) -> None:
    raw, (row, column), told = HEADERS[name]
    problem = only(read_manifest(raw))
    assert (problem.row, problem.column) == (row, column)
    assert told in problem.what
    assert read_manifest(raw).rows == ()


def test_quotes_that_do_not_match_are_told_where_they_open() -> None:
    raw = manifest(guest(), guest(guest="2"), guest(guest="3"))
    for broken in (raw.replace(b"\nR-1,2", b'\n"R-1,2'), raw.replace(b"\nR-1,2", b'\n"R-1"x,2')):
        found = read_manifest(broken)
        assert (only(found).row, len(found.rows)) == (3, 1)
        assert "the rows below were not read" in only(found).what


def test_rows_of_another_width_are_told() -> None:
    lines = manifest(guest(), guest(guest="2"), guest(guest="3")).split(b"\n")
    found = read_manifest(b"\n".join((lines[0], lines[1] + b",,", lines[2] + b",x", lines[3][:-1])))
    assert [(p.row, p.what) for p in found.problems] == [
        (3, "has 23 cells, the header has 22"),
        (4, "has 21 cells, the header has 22"),
    ]
    assert [row.number for row in found.rows] == [2]  # empty cells at the end are a spreadsheet's habit


def test_a_cell_without_end_is_told() -> None:
    assert f"at most {CELL_MAX}" in only(read_manifest(manifest(guest(diet="x" * 5000)))).what


def test_the_same_guest_twice_is_told_with_the_first_row() -> None:
    found = read_manifest(manifest(guest(), guest(guest="2"), guest(preferred_name="Bo")))
    assert (only(found).row, only(found).column) == (4, "guest")
    assert "the guest of row 2 again" in only(found).what


def test_a_cabin_has_one_booking_at_a_time() -> None:
    first = guest(booking="A", from_="2026-07-01", to="2026-07-08")
    after = guest(booking="B", from_="2026-07-08", to="2026-07-15")  # comes on the day the others leave
    assert (
        read_manifest(
            manifest(after, first, guest(booking="A", guest="2", from_="2026-07-02", to="2026-07-05"))
        ).problems
        == ()
    )
    long = guest(booking="C", from_="2026-07-01", to="2026-07-09", cabin="1", cabin_2="5012")
    found = read_manifest(manifest(first, after, long))
    assert {problem.row for problem in found.problems} == {3, 4}
    assert all("cabin 5012" in problem.what for problem in found.problems)
    hidden = [
        first,
        guest(booking="A", guest="2", from_="2026-07-03", to="2026-07-04"),
        guest(booking="B", from_="2026-07-05"),
    ]
    assert only(read_manifest(manifest(*hidden))).row == 4  # the party's last to leave counts, not the last to come


def test_ten_thousand_rows_and_not_one_more() -> None:
    found = read_manifest(manifest(*party(ROWS_MAX)))
    assert (len(found.rows), found.problems) == (ROWS_MAX, ())
    more = manifest(*party(ROWS_MAX), guest(booking="X", cabin="60001"))
    assert (only(read_manifest(more)).row, len(read_manifest(more).rows)) == (ROWS_MAX + 2, ROWS_MAX)


def test_digests_follow_the_meaning() -> None:
    def digests(**changes: str) -> tuple[bytes, bytes]:
        (row,) = read_manifest(manifest(guest(**changes))).rows
        return row.stay_digest(1, 0), row.person_digest()

    stay, person = digests()
    assert digests(allergies="milk  nuts milk", photo="x.jpg", full_name=" Mia  Example") == (stay, person)
    for changes in (
        {"cabin": "1"},
        {"to": "2026-08-02"},
        {"currency": "NOK"},
        {"day_minor": "1"},
        {"age_group": "child"},
    ):
        other = digests(**changes)
        assert other[0] != stay
        assert other[1] == person
    for changes in ({"preferred_name": "Bo"}, {"allergies": ""}, {"diet": "vegan"}, {"language": "en"}):
        other = digests(**changes)
        assert other[0] == stay
        assert other[1] != person
    (row,) = read_manifest(manifest(guest())).rows
    assert len({row.stay_digest(1, 0), row.stay_digest(2, 0), row.stay_digest(1, 3600)}) == 3


def test_children_and_crew_are_told_apart() -> None:
    (child,) = read_manifest(manifest(guest(age_group=AgeGroup.CHILD.value))).rows
    assert child.child
    found = read_manifest(manifest(guest(age_group="child", crew_role="service")))
    assert (only(found).column, only(found).what) == ("age_group", "is child for one of the crew")
