"""`steward events export` against who should not be in it, what should not be lost, and a kill at the worst moment.

This file is also the program that is killed: it writes deeds, and stops where it is told until it is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sqlite3
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.consentkit import agree, word
from tests.e2e.gatewaykit import SETTINGS, prepare
from tests.e2e.killkit import READY, run_and_kill
from tests.stewardkit import steward
from tests.unit.moneykit import NOON_S
from tests.unit.servicekit import ASE, KIRA, guest, item, profile
from tests.unit.test_pastexport import deed
from tests.unit.test_pasts import bought, offer
from tests.vaultkit import DATA_KEY

from steward.adapters import deedfiles
from steward.adapters.deedfiles import write_deeds
from steward.adapters.sqlite.migrations import SCHEMA_VERSION
from steward.adapters.sqlite.snapshot import snapshot
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.store_rules import ReadOnlyError, TransactionOverError
from steward.domain.catalogue import Catalogue
from steward.domain.consent import ConsentPurpose
from steward.domain.guests import Guest
from steward.domain.pastexport import DeedLine, read_export
from steward.domain.pasts import ShipDay
from steward.domain.shorebodies import read_item
from steward.errors import ConfigError, StoreUnavailable
from steward.ports import Tx

LIMIT_S = 60
OUTLETS = """
[[outlet]]
name = "bar"
kind = "food_and_drink"
title = "Bar"
[[outlet]]
name = "spa"
kind = "wellness"
"""
ITEMS = (item("tonic"), item("crisps"))
SPOOLING, LINKING, FULL = 0, 1, 2
ROOM_BYTES = 100_000
DAY = ShipDay(4, 3600)


def _live(tx: Tx, each: Guest, number: int) -> None:
    tx.put_guest(each)
    tx.put_profile(profile(each.ref))
    tx.put_offer(replace(offer(number), guest=each.ref))
    made = bought("Crisps", NOON_S + 600, number=number)
    assert made.evidence is not None
    tx.put_charge(replace(made, evidence=replace(made.evidence, guest=each.ref)))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A ship with two guests: Kira agreed, Åse took it back."""
    prepare(tmp_path, SETTINGS + OUTLETS)
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)

    def fill(tx: Tx) -> None:
        tx.put_catalogue(Catalogue(1, ITEMS))
        _live(tx, guest(KIRA, 8104), 1)
        _live(tx, guest(ASE, 8106), 2)
        agree(tx, KIRA)
        agree(tx, ASE)
        tx.put_consent(word(ASE, ConsentPurpose.SUGGESTIONS, False, NOON_S, 2))

    asyncio.run(_write(folder / "steward.db", fill))
    return tmp_path / "steward.toml"


async def _write(database: Path, work: object) -> None:
    store = SqliteStore.open(database, DATA_KEY)
    try:
        await store.write(work)  # type: ignore[arg-type]
    finally:
        await store.close()


def export(config: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return steward("events", "export", "--config", config, *words, CREDENTIALS_DIRECTORY=str(config.parent))


def test_only_who_agrees_is_there_and_nothing_says_who(config: Path, tmp_path: Path) -> None:
    deeds, catalogue = tmp_path / "deeds.jsonl", tmp_path / "catalogue.json"
    done = export(config, "--deeds", deeds, "--catalogue", catalogue)
    assert done.returncode == 0, done.stderr
    assert "2 deeds of 1 guests" in done.stdout
    assert "1 of 2 guests agree" in done.stdout
    with deeds.open("rb") as file:
        header, lines = read_export(file, {"tonic", "crisps"})
        found = list(lines)
        pseudonym = json.loads(deeds.read_bytes().splitlines()[1])["guest"]
    assert (header.ship, header.guests, header.made_up, len(found)) == ("aurora", 1, False, 2)
    *deeds_lines, end = deeds.read_text().splitlines()
    text = "".join(deeds_lines).replace(pseudonym, "")  # drawn at random, so any three digits may be in it
    assert set(json.loads(end)) == {"end", "sha256"}, "and so they may be in this"
    for secret in (KIRA, ASE, "Kira", "Testesen", "8104", "8106", "B-1", "04000000000001", "450"):
        assert secret not in text
    assert tuple(read_item(fields) for fields in json.loads(catalogue.read_text())) == ITEMS
    assert {stat.S_IMODE(path.stat().st_mode) for path in (deeds, catalogue)} == {0o600}


def test_who_takes_it_back_is_in_no_later_file_and_no_two_files_name_a_guest_alike(
    config: Path, tmp_path: Path
) -> None:
    first, second, third = (tmp_path / f"{number}.jsonl" for number in range(3))
    assert export(config, "--deeds", first).returncode == 0
    assert export(config, "--deeds", second).returncode == 0
    names = [json.loads(path.read_bytes().splitlines()[1])["guest"] for path in (first, second)]
    assert names[0] != names[1]
    withdrawn = word(KIRA, ConsentPurpose.SUGGESTIONS, False, NOON_S, 2)
    asyncio.run(_write(tmp_path / "data" / "steward.db", lambda tx: tx.put_consent(withdrawn)))
    done = export(config, "--deeds", third)
    assert "0 deeds of 0 guests" in done.stdout
    assert len(third.read_bytes().splitlines()) == 2


def test_it_reads_while_the_gateway_has_the_database(config: Path, tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "data" / "steward.db", DATA_KEY)
    try:
        assert export(config, "--deeds", tmp_path / "deeds.jsonl").returncode == 0
    finally:
        asyncio.run(store.close())


@pytest.mark.parametrize("there", ["deeds.jsonl", "catalogue.json", "link"])
def test_what_is_there_is_never_overwritten(config: Path, tmp_path: Path, there: str) -> None:
    deeds, catalogue = tmp_path / "deeds.jsonl", tmp_path / "catalogue.json"
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    if there == "link":
        deeds.symlink_to(precious)
    else:
        (tmp_path / there).write_text("keep me")
    done = export(config, "--deeds", deeds, "--catalogue", catalogue)
    assert done.returncode == 2
    assert "never overwritten" in done.stderr
    kept = precious if there == "link" else tmp_path / there
    assert kept.read_text() == "keep me"
    assert deeds.exists() is (there != "catalogue.json")


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "deeds.jsonl"

    def slow() -> Iterator[DeedLine]:
        yield deed()
        path.write_text("mine")

    with pytest.raises(ConfigError, match="never overwritten"):
        write_deeds(path, "aurora", "test", DAY, slow())
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[DeedLine]:
        yield deed()
        raise ConfigError("the store", "went away")

    with pytest.raises(ConfigError, match="went away"):
        write_deeds(tmp_path / "deeds.jsonl", "aurora", "test", DAY, broken())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "says"), [("nowhere/deeds.jsonl", "no folder"), ("/proc/deeds.jsonl", "cannot be written")]
)
def test_a_place_that_takes_no_file_is_named(config: Path, tmp_path: Path, path: str, says: str) -> None:
    done = export(config, "--deeds", tmp_path / path)
    assert done.returncode == 2
    assert says in done.stderr


def test_no_database_is_an_error_and_makes_none(config: Path, tmp_path: Path) -> None:
    database = tmp_path / "data" / "steward.db"
    database.unlink()
    done = export(config, "--deeds", tmp_path / "deeds.jsonl")
    assert (done.returncode, "never run" in done.stderr) == (1, True)
    assert not database.exists()
    assert not (tmp_path / "deeds.jsonl").exists()


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = tmp_path / f"{count}.jsonl"
        tracemalloc.start()
        write_deeds(path, "aurora", "test", DAY, (deed(number) for number in range(count)))
        with path.open("rb") as file:
            assert sum(1 for _ in read_export(file)[1]) == count
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(10)  # what is made once
    assert peak(9000) < peak(3000) + 500_000


def test_a_snapshot_reads_no_profile_and_writes_nothing(config: Path, tmp_path: Path) -> None:
    with snapshot(tmp_path / "data" / "steward.db", DATA_KEY) as tx:
        with pytest.raises(ReadOnlyError):
            tx.put_guest(guest(KIRA))
        with pytest.raises(StoreUnavailable):
            tx._all("SELECT names FROM profile")
        kept = tx
    with pytest.raises(TransactionOverError):
        kept.guests()


def test_a_database_of_another_version_is_left_alone(config: Path, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "data" / "steward.db") as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION - 1}")
    connection.close()
    done = export(config, "--deeds", tmp_path / "deeds.jsonl")
    assert (done.returncode, "steward migrate" in done.stderr) == (1, True)


def test_a_restore_that_was_cut_short_comes_first(config: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "steward.db.restoring").touch()
    done = export(config, "--deeds", tmp_path / "deeds.jsonl")
    assert (done.returncode, "run the restore again" in done.stderr) == (1, True)
    assert not (tmp_path / "deeds.jsonl").exists()


@pytest.mark.parametrize("where", [SPOOLING, LINKING])
def test_killed_in_the_middle_it_leaves_no_half_file(tmp_path: Path, where: int) -> None:
    path = tmp_path / "deeds.jsonl"
    assert run_and_kill(__file__, path, where, 0) == []
    assert not path.exists()
    left = list(tmp_path.iterdir())
    assert [stat.S_IMODE(file.stat().st_mode) for file in left] == ([0o600] if where == LINKING else [])
    if where == LINKING:
        with pytest.raises(ConfigError, match="remove that"):
            write_deeds(path, "aurora", "test", DAY, [deed()])
        left[0].unlink()
    write_deeds(path, "aurora", "test", DAY, [deed()])
    with path.open("rb") as file:
        assert len(list(read_export(file)[1])) == 1


def test_a_full_disk_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "deeds.jsonl"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    done = subprocess.run(
        [sys.executable, "-W", "error", __file__, str(path), str(FULL)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env=environment,
    )
    assert "cannot be written" in done.stderr
    assert list(tmp_path.iterdir()) == []


def _stop_here() -> None:
    print(READY.decode(), end="", flush=True)
    while True:
        asyncio.run(asyncio.sleep(LIMIT_S))


def _many(where: int) -> Iterator[DeedLine]:
    for number in range(5000):
        yield deed(number)
    if where == SPOOLING:
        _stop_here()


if __name__ == "__main__":
    if int(sys.argv[2]) == FULL:
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES, ROOM_BYTES))
    deedfiles.os.link = lambda *_: _stop_here()  # type: ignore[attr-defined]
    write_deeds(Path(sys.argv[1]), "aurora", "test", DAY, _many(int(sys.argv[2])))
