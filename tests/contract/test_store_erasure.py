"""Erasures in both stores: recorded for ever, told to other gateways, and nothing of the guest left in any table."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.makers import ANNA, AT_S, BOB, band
from tests.erasurekit import NAME, aboard, fill

from steward.adapters.sqlite.connect import connect
from steward.adapters.sqlite.erasure import GOING, KEPT_TABLES
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.store_rules import ReadOnlyError
from steward.domain.erasure import (
    Done,
    Erasure,
    Keeping,
    Kept,
    Obeyed,
    Part,
    Wait,
    carried_out,
    certificate_id,
)
from steward.domain.events import ERASED_PAYLOAD
from steward.domain.ids import GuestRef
from steward.domain.replica import Change, Kind
from steward.errors import Conflict, Erased
from steward.ports import Store, Tx
from steward.ports.erasure import Archived
from steward.services.forgetting import destroy

ASKED = Erasure(ANNA, certificate_id(ANNA), AT_S, "guest", "for good")
DONE = Done(Part.OPTIONAL, AT_S + 1, {"profile": 1, "event": 3})
FIRST = carried_out(ASKED, DONE, (Wait.ABOARD,), (Keeping(Kept.STAY, AT_S + 9), Keeping(Kept.PROOF)))
ALL = replace(
    carried_out(FIRST, Done(Part.ALL, AT_S + 2, {"guest": 1}), (), (Keeping(Kept.PROOF),)),
    ashore={Part.OPTIONAL: AT_S + 3},
    mark=(7, 41),
    again_s=AT_S + 5,
)
# What is not of one guest but of a gateway, a band or the ship, though a column has such a name.
OTHER_THINGS = {"event", "imported_guest", "band_condition"}


@pytest.mark.parametrize("erasure", [ASKED, FIRST, ALL])
async def test_an_erasure_comes_back_whole(store: Store, erasure: Erasure) -> None:
    await store.write(lambda tx: tx.put_erasure(erasure))
    assert await store.read(lambda tx: tx.erasure(ANNA)) == erasure
    assert await store.read(lambda tx: tx.erasure_of(erasure.certificate)) == erasure
    assert await store.read(lambda tx: (tx.erasure(BOB), tx.erasure_of("0" * 32))) == (None, None)


async def test_open_ones_are_listed_by_ref_and_in_pages(store: Store) -> None:
    refs = [GuestRef(f"{number:016x}") for number in range(1, 6)]

    def work(tx: Tx) -> None:
        for ref in reversed(refs):
            tx.put_erasure(replace(ASKED, ref=ref, certificate=certificate_id(ref)))
        tx.put_erasure(replace(ALL, ref=refs[2], certificate=certificate_id(refs[2])))

    await store.write(work)
    nobody = GuestRef("")
    assert [e.ref for e in await store.read(lambda tx: tx.open_erasures(nobody, 2))] == refs[:2]
    assert [e.ref for e in await store.read(lambda tx: tx.open_erasures(refs[1], 9))] == refs[3:]
    assert [e.ref for e in await store.read(lambda tx: tx.erasures(refs[0], 2))] == refs[1:3]
    assert list(await store.read(lambda tx: tx.erasures(nobody, 0))) == []


@pytest.mark.parametrize("back", [ASKED, replace(ALL, certificate="f" * 32)])
async def test_what_is_done_is_never_undone(store: Store, back: Erasure) -> None:
    await store.write(lambda tx: tx.put_erasure(FIRST))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_erasure(back))
    assert await store.read(lambda tx: tx.erasure(ANNA)) == FIRST


async def test_other_gateways_are_told_of_each_part_and_of_nothing_else(store: Store) -> None:
    async def told() -> list[Change]:
        return [change for change in await store.read(lambda tx: tx.changes(0, 99)) if change.kind is Kind.ERASED]

    await store.write(lambda tx: tx.put_erasure(FIRST))
    first = await told()
    assert [change.name for change in first] == [ANNA]
    await store.write(lambda tx: tx.put_erasure(replace(FIRST, waits=(Wait.FOLIO_OPEN,))))
    assert await told() == first
    await store.write(lambda tx: tx.put_erasure(ALL))
    assert (await told())[0].revision > first[0].revision


async def test_gateways_that_obeyed_are_kept_with_their_highest_part(store: Store) -> None:
    def work(tx: Tx) -> None:
        tx.put_erasure(ALL)
        tx.put_obeyed(ANNA, Obeyed("till", Part.ALL, AT_S))
        tx.put_obeyed(ANNA, Obeyed("till", Part.OPTIONAL, AT_S + 1))
        tx.put_obeyed(ANNA, Obeyed("door", Part.OPTIONAL, AT_S))
        tx.put_obeyed(ANNA, Obeyed("door", Part.ALL, AT_S + 2))

    await store.write(work)
    obeyed = await store.read(lambda tx: tx.obeyed(ANNA))
    assert list(obeyed) == [Obeyed("door", Part.ALL, AT_S + 2), Obeyed("till", Part.ALL, AT_S)]
    assert list(await store.read(lambda tx: tx.obeyed(BOB))) == []


async def test_every_table_is_counted(store: Store) -> None:
    await store.write(lambda tx: fill(tx, ANNA))
    counts = dict(await store.read(lambda tx: tx.rows_of(ANNA)))
    assert counts.pop("consent") == counts.pop("consent_change") == 2
    assert set(counts.values()) == {1}
    assert (
        set(counts)
        == {*GOING, "band_condition", "band_radio"} - {"consent", "consent_change", "consent_basis"} - _OPTIONAL_WORDS
    )


_OPTIONAL_WORDS = {"browser_objection", "own_words"}


@pytest.mark.parametrize("part", Part)
async def test_nothing_is_left_of_a_part_and_everything_of_others(store: Store, part: Part) -> None:
    def work(tx: Tx) -> Done:
        fill(tx, ANNA, 1)
        fill(tx, BOB, 2)
        return destroy(tx, ANNA, part, AT_S)

    done = await store.write(work)
    before = await store.read(lambda tx: tx.rows_of(BOB))
    left = await store.read(lambda tx: tx.rows_of(ANNA))
    assert done.counts["profile"] == done.counts["offer"] == 1
    assert done.counts["event"] == 2
    if part is Part.ALL:
        assert not left
        listed = await store.read(lambda tx: {record.ref: record for record in tx.imported("B-1234")})
        assert (listed[ANNA].stay, listed[ANNA].person, listed[ANNA].photo) == (bytes(32), b"", "")
        assert listed[BOB].person == b"p" * 32
        assert {table for table in done.counts if table not in ("event", "look_up")} == set(before)
    else:
        assert set(left) == {"guest", "band", "guest_serial", "allowance_escrow", "untracked"}
        assert await store.read(lambda tx: tx.charges_of(ANNA)[0].request.description) == "two coffees"
    assert await store.read(lambda tx: tx.charges_of(BOB)[0].request.description) == "two coffees"
    erased = [dict(event.payload) == ERASED_PAYLOAD for event in await store.read(lambda tx: tx.events(0, 99))]
    assert erased == [True, True, False, False]


async def test_at_the_end_a_charge_has_no_words_and_the_key_is_gone(store: Store) -> None:
    def work(tx: Tx) -> bytes:
        fill(tx, ANNA)
        sealed = tx.seal(ANNA, "test", b"secret")
        destroy(tx, ANNA, Part.ALL, AT_S)
        return sealed

    sealed = await store.write(work)
    charge = (await store.read(lambda tx: tx.charges_of(ANNA)))[0]
    assert (charge.request.description, charge.reason, charge.request.amount_minor) == ("", "", 450)
    with pytest.raises(Erased):
        await store.read(lambda tx: tx.unseal(ANNA, "test", sealed))
    with pytest.raises(Erased):
        await store.write(lambda tx: tx.seal(ANNA, "test", b"again"))
    assert await store.read(lambda tx: tx.destroyed_refs("", 9)) == [ANNA]


async def test_who_goes_on_with_the_stay_has_a_new_key_that_reads_nothing_older(store: Store) -> None:
    def work(tx: Tx) -> bytes:
        fill(tx, ANNA)
        sealed = tx.seal(ANNA, "test", b"secret")
        destroy(tx, ANNA, Part.OPTIONAL, AT_S)
        return sealed

    sealed = await store.write(work)
    with pytest.raises(Erased):
        await store.read(lambda tx: tx.unseal(ANNA, "test", sealed))
    fresh = await store.write(lambda tx: tx.seal(ANNA, "test", b"new"))
    assert await store.read(lambda tx: tx.unseal(ANNA, "test", fresh)) == b"new"


async def test_the_store_itself_takes_nobody_back(store: Store) -> None:
    await store.write(lambda tx: tx.put_erasure(ALL))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_guest(aboard(ANNA)))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_band(band(1, ANNA)))
    await store.write(lambda tx: (tx.put_guest(aboard(BOB)), tx.put_band(band(2, BOB))))
    assert await store.read(lambda tx: tx.guest(ANNA)) is None


async def test_other_gateways_are_told_of_no_record_that_is_gone(store: Store) -> None:
    def work(tx: Tx) -> None:
        fill(tx, ANNA, 1)
        fill(tx, BOB, 2)
        destroy(tx, ANNA, Part.ALL, AT_S)
        tx.put_erasure(ALL)

    await store.write(work)
    names = {change.name for change in await store.read(lambda tx: tx.changes(0, 999))}
    assert {name for name in names if ANNA in name} == {ANNA}
    assert band(1).uid not in names
    assert band(2).uid in names


async def test_papers_are_kept_by_their_key(store: Store) -> None:
    old, new = GuestRef("archive:2030"), GuestRef("archive:2031")
    kept = [Archived(ANNA, old, 100, b"a"), Archived(BOB, new, 200, b"b")]
    kept += [Archived(GuestRef("c"), old, 150, b"c"), Archived(GuestRef("d"), new, 50, b"d")]

    def work(tx: Tx) -> None:
        for archived in kept:
            tx.put_archived(archived)

    await store.write(work)
    assert await store.read(lambda tx: tx.archived(BOB)) == kept[1]
    assert [list(await store.read(lambda tx, at=at: tx.archive_keys_before(at))) for at in (149, 150, 200)] == [
        [],
        [old],
        [old, new],
    ]
    assert await store.write(lambda tx: tx.drop_archives(old)) == 2
    await store.write(lambda tx: tx.drop_archived(BOB))
    left = await store.read(lambda tx: [tx.archived(each.ref) is not None for each in kept])
    assert left == [False, False, False, True]


@pytest.mark.parametrize(
    "write",
    [
        lambda tx: tx.put_erasure(ASKED),
        lambda tx: tx.put_obeyed(ANNA, Obeyed("g", Part.ALL, 1)),
        lambda tx: tx.drop_guest(ANNA),
        lambda tx: tx.drop_stay_traces(ANNA),
        lambda tx: tx.put_archived(Archived(ANNA, BOB, 1, b"")),
    ],
)
async def test_a_read_erases_nothing(store: Store, write: object) -> None:
    await store.write(lambda tx: fill(tx, ANNA))
    with pytest.raises(ReadOnlyError):
        await store.read(write)  # type: ignore[arg-type]
    assert await store.read(lambda tx: tx.has_profile(ANNA))


async def test_what_fails_in_the_middle_erases_nothing(store: Store) -> None:
    await store.write(lambda tx: fill(tx, ANNA))
    before = await store.read(lambda tx: (tx.rows_of(ANNA), tx.events(0, 99), tx.changes(0, 99)))

    def work(tx: Tx) -> None:
        destroy(tx, ANNA, Part.ALL, AT_S)
        tx.put_erasure(ALL)
        raise Conflict("no")

    with pytest.raises(Conflict):
        await store.write(work)
    assert await store.read(lambda tx: (tx.rows_of(ANNA), tx.events(0, 99), tx.changes(0, 99))) == before
    assert await store.read(lambda tx: (tx.erasure(ANNA), tx.has_key(ANNA))) == (None, True)


# SQLite


async def test_every_table_that_names_a_guest_is_erased_or_kept_for_a_reason(
    sqlite_store: SqliteStore, tmp_path: Path
) -> None:
    database = connect(tmp_path / "steward.db", query_only=True)
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    naming = set()
    for table in tables:
        columns = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
        if columns & {"guest", "guest_ref", "ref", "parent", "holder"}:
            naming.add(table)
    database.close()
    crew_only = {"crew_member"}
    declared = {*GOING, *KEPT_TABLES, *OTHER_THINGS, *crew_only}
    assert naming - declared == set(), "say in adapters/sqlite/erasure.py whether these go with the guest"
    assert {*GOING, *KEPT_TABLES} - set(tables) == set()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM erasure",
        "UPDATE erasure SET part = 0",
        "UPDATE erasure SET certificate = 'ffffffffffffffffffffffffffffffff'",
        "UPDATE erasure SET ref = 'x'",
    ],
)
async def test_no_program_removes_the_proof(sqlite_store: SqliteStore, tmp_path: Path, statement: str) -> None:
    await sqlite_store.write(lambda tx: tx.put_erasure(ALL))
    database = connect(tmp_path / "steward.db")
    with pytest.raises(sqlite3.IntegrityError):
        database.execute(statement)
    database.close()
    assert await sqlite_store.read(lambda tx: tx.erasure(ANNA)) == ALL


async def test_no_name_is_left_in_the_files(sqlite_store: SqliteStore, tmp_path: Path) -> None:
    def work(tx: Tx) -> None:
        fill(tx, ANNA)
        destroy(tx, ANNA, Part.ALL, AT_S)

    await sqlite_store.write(work)
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert content
    assert not any(word.encode() in content for word in (NAME, "no ice", "soup was cold", "two coffees"))
