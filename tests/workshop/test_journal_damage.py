"""A station's journal that was cut, or that holds rubbish: refused with a word, and never read as if it were whole."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bandtool import journal
from bandtool.__main__ import app
from bandtool.journal import BandStage, BenchBand, BenchJournal
from bandtool.report import report_of
from bandtool.setup import new_station
from steward.adapters.system import OsEntropy
from steward.domain.ids import Uid
from steward.errors import StoreUnavailable

BANDS = 120
CUTS, SPOILT = 40, 200


async def filled(path: Path) -> bytes:
    journal.create(path, bytes(32))
    book = await BenchJournal.open(path)
    for number in range(BANDS):
        uid = Uid(f"04{number:012X}")
        await book.put(BenchBand(uid, BandStage.DONE, True, 1, 1, 2, "", True, "f" * 16, '{"flash":"ok"}'))
    await book.close()
    return path.read_bytes()


async def read(path: Path, content: bytes) -> int | None:
    """How many bands a report of it has; None if it is refused. Nothing else may come of it."""
    for old in path.parent.glob(f"{path.name}*"):
        old.unlink()
    path.write_bytes(content)
    try:
        book = await BenchJournal.open(path)
    except StoreUnavailable:
        return None
    try:
        return len(report_of("bench-1", 1, "x/t", 1, await book.bands()).body()["bands"])
    except StoreUnavailable:
        return None
    finally:
        await book.close()


async def test_a_cut_journal_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    whole = await filled(tmp_path / "whole.db")
    for cut in range(CUTS):
        assert await read(tmp_path / "cut.db", whole[: len(whole) * cut // CUTS]) is None, cut
    assert await read(tmp_path / "cut.db", whole) == BANDS


async def test_rubbish_in_a_journal_is_refused_or_costs_no_band(tmp_path: Path) -> None:
    whole = await filled(tmp_path / "whole.db")
    chance = random.Random(6)
    found = []
    for _ in range(SPOILT):
        spoilt, at = bytearray(whole), chance.randrange(len(whole) - 20)
        spoilt[at : at + 20] = chance.randbytes(20)
        found.append(await read(tmp_path / "spoilt.db", bytes(spoilt)))
    assert set(found) <= {None, BANDS}
    assert None in found, "the check is not idle"


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", b"\0" * 8192, random.Random(6).randbytes(8192)])
def test_every_command_that_reads_it_says_so(tmp_path: Path, content: bytes) -> None:
    made = new_station(tmp_path / "bench", "bench-1", "ship.example/t", None, OsEntropy())
    made.journal.write_bytes(content)
    for words in (("journal",), ("label", "--out", str(tmp_path / "labels.html"))):
        said = CliRunner().invoke(app, [*words, "--dir", str(made.folder)])
        assert (said.exit_code, said.stdout) == (1, "")
        assert f"journal {made.journal} cannot be used" in said.stderr
        assert said.stderr.count("\n") == 1


def test_a_row_that_no_bandtool_wrote_is_refused(tmp_path: Path) -> None:
    async def with_row(sql: str) -> int | None:
        path = tmp_path / "whole.db"
        path.unlink(missing_ok=True)
        await filled(path)
        book = await BenchJournal.open(path)
        await book._do(lambda: book._connection.execute(sql))
        await book.close()
        return await read(tmp_path / "row.db", path.read_bytes())

    for change in ("tests = '{'", "tests = '[]'", "uid = 'not a UID at 1'", "what = CAST(x'ff' AS TEXT)"):
        sql = f"UPDATE band SET {change} WHERE uid = '04000000000001'"
        assert asyncio.run(with_row(sql)) is None, change
