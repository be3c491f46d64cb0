"""Manifests of every kind of damage: read without a fault, told by row, and never half imported."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.manifestkit import HEADER, guest, manifest, party
from tests.unit.moneykit import CountingEntropy, HandClock

from steward.adapters.memory import MemoryStore
from steward.domain.ids import OutletId
from steward.domain.manifest import COLUMNS_MAX, read_manifest
from steward.domain.manifest_cells import BY_NAME
from steward.services.manifest import ManifestService

ODD = [
    b'"',
    b"\n",
    b"\r",
    b",",
    b";",
    b"\x00",
    b"\xff",
    b"\xc3",
    b"=",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"'",
    b"\t",
    b"0",
]
WORDS = st.sampled_from(
    ["", "1", "R-1", "x", "nuts", "vegan", "gangway", "2026-07-25", "bar", "service", "a.jpg", "EUR"]
)
CELLS = st.one_of(WORDS, st.text(max_size=12))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good file with a few bytes put in, taken out or changed."""
    raw = bytearray(manifest(*party(3), guest(booking="C", cabin="9", crew_role="service")))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 30))] = draw(st.one_of(st.sampled_from(ODD), st.binary(max_size=8)))
    return bytes(raw)


@st.composite
def shuffled(draw: st.DrawFn) -> bytes:
    """Rows of cells that were never meant to be together."""
    header = draw(st.permutations(HEADER))[: draw(st.integers(0, len(HEADER)))]
    rows = draw(st.lists(st.lists(CELLS, max_size=len(HEADER) + 2), max_size=4))
    delimiter = draw(st.sampled_from([",", ";", "\t"]))
    lines = [delimiter.join(header), *(delimiter.join(row) for row in rows)]
    return draw(st.sampled_from(["\n", "\r\n", "\r"])).join(lines).encode("utf-8", "surrogatepass")


@given(st.one_of(damaged(), shuffled(), st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
@settings(max_examples=400, deadline=None)
def test_every_problem_names_a_row_of_the_file(raw: bytes) -> None:
    found = read_manifest(raw)
    rows_max = raw.count(b"\n") + raw.count(b"\r") + 1
    assert found.rows or found.problems
    for problem in found.problems:
        assert 1 <= problem.row <= rows_max
        assert problem.what
        assert problem.remedy
        assert problem.column in BY_NAME or problem.column == "" or problem.row == 1
    assert list(found.problems) == sorted(found.problems)
    numbers = [row.number for row in found.rows]
    assert numbers == sorted(set(numbers))
    assert all(1 < number <= rows_max for number in numbers)
    assert read_manifest(raw) == found


@given(st.one_of(damaged(), shuffled()))
@settings(max_examples=150, deadline=None)
def test_nothing_is_ever_half_imported(raw: bytes) -> None:
    async def work() -> None:
        store = MemoryStore()
        desk = ManifestService(store, HandClock(), CountingEntropy(), {"gangway": 0}, [OutletId("bar")], 0)
        report = await desk.commit(raw, {}, "token:desk")
        guests = await store.read(lambda tx: tx.guests())
        events = await store.read(lambda tx: tx.events(0, 1000))
        if report.problems or report.photos_wanted:
            assert (report.committed, list(guests), list(events)) == (False, [], [])
            return
        assert report.committed
        assert len(guests) == report.rows == len(report.changes)
        again = await desk.commit(raw, {}, "token:desk")
        assert (again.committed, again.changes, again.unchanged) == (True, (), report.rows)
        assert await store.read(lambda tx: tx.events(0, 1000)) == events

    asyncio.run(work())


@given(st.integers(0, 3), st.integers(0, len(HEADER) - 1), CELLS)
@settings(max_examples=150, deadline=None)
def test_one_changed_cell_is_told_in_its_row_or_read(row: int, column: int, cell: str) -> None:
    rows = party(4)
    rows[row] = rows[row] | {HEADER[column]: cell}
    found = read_manifest(manifest(*rows))
    assert {problem.row for problem in found.problems} <= {2, 3, 4, 5}
    assert len(found.rows) >= 3
    assert len(HEADER) < COLUMNS_MAX
    others = [r for r in found.rows if r.number != row + 2]
    assert others == [r for r in read_manifest(manifest(*party(4))).rows if r.number != row + 2]
