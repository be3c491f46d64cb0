"""`steward verify lookup` on files as guests have them, and `steward verify log` on a gateway's own folder."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.contract.makers import ANNA, AT_S, BOB
from tests.contract.serviceparts import look
from tests.unit.lookkit import SHORE, LookClock, LookLog
from tests.unit.moneykit import KEYS
from typer.testing import CliRunner, Result

from steward import config
from steward.__main__ import app
from steward.adapters import keyfile
from steward.adapters.sqlite.store import SqliteStore
from steward.domain.erasure import Done, Erasure, Part, carried_out, certificate_id
from steward.domain.merkle import Frontier, leaf_hash
from steward.domain.records import key_fingerprint
from steward.domain.viewing import Field, Way
from steward.ports import Tx
from steward.services.lookheads import LookHeads, RingSigner
from steward.services.lookproof import LookProofs
from steward.wiring import open_data_key, open_key_ring

PRINT = keyfile.fingerprint(KEYS.versions[-1].verify)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["verify", *arguments])


async def made(seq: int = 2, *, witnessed: bool = False, **changes: Any) -> dict[str, Any]:
    """The proof of one of three rows."""
    log = LookLog()
    await log.look(3, **changes)
    await log.heads.sign()
    if witnessed:
        log.clock.now_s += 60
        await log.witness()
    return await log.proofs.proof_of(seq)


def save(path: Path, proof: dict[str, Any]) -> str:
    path.write_text(json.dumps(proof), encoding="utf-8")
    return str(path)


@pytest.fixture
def good(tmp_path: Path) -> str:
    return save(tmp_path / "look.json", asyncio.run(made()))


def test_a_proof_that_holds_says_what_it_proves_and_what_it_does_not(good: str) -> None:
    result = run("lookup", good)
    assert result.exit_code == 0
    said = result.output
    assert "The proof holds." in said
    assert "2027-01-15 08:00:00 UTC" in said
    assert f"role safety looked at guest {ANNA}" in said
    assert "shown: language, preferred_name" in said
    assert "row 2 of 3 in the log steward/aurora/main/look-ups/1" in said
    assert "compare it with the one that the ship shows" in said
    assert "Not witnessed ashore yet" in said
    assert "Not proven: that nobody looked without a row" in said
    assert "c9" not in said  # the crew member


def test_a_proof_with_a_witness_says_since_when(tmp_path: Path) -> None:
    file = save(tmp_path / "look.json", asyncio.run(made(witnessed=True)))
    result = run("lookup", file, "--key", PRINT, "--witness", key_fingerprint(SHORE))
    assert result.exit_code == 0
    assert "Witnessed on 2027-01-15 08:01:00 UTC" in result.output
    assert result.output.count("as you gave it") == 2
    assert run("lookup", file, "--witness", SHORE.hex()).exit_code == 0
    assert run("lookup", file, "--witness", SHORE.hex()[:40]).exit_code == 1


def test_a_broken_glass_is_marked_and_its_reason_kept(tmp_path: Path) -> None:
    proof = asyncio.run(made(way=Way.BROKE_GLASS, reason="guest overboard"))
    result = run("lookup", save(tmp_path / "look.json", proof))
    assert "emergency look" in result.output
    assert "overboard" not in json.dumps(proof) + result.output


def test_a_row_that_was_dated_back_is_told(tmp_path: Path) -> None:
    async def dated_back() -> dict[str, Any]:
        log = LookLog()
        await log.look(1)
        log.clock.now_s -= 86_400
        await log.look(1)
        return await log.proofs.proof_of(2)

    result = run("lookup", save(tmp_path / "look.json", asyncio.run(dated_back())))
    assert result.exit_code == 0
    assert "entered on 2027-01-15 08:00:00 UTC or later: dated back" in result.output


@pytest.mark.parametrize(
    ("bend", "code"),
    [
        (lambda proof: proof["row"].update(guest=BOB), "not_in_log"),
        (lambda proof: proof["row"].update(at_s=AT_S + 1), "not_in_log"),
        (lambda proof: proof["row"].update(role="purser"), "not_in_log"),
        (lambda proof: proof["row"].update(fields=["photo"]), "not_in_log"),
        (lambda proof: proof.update(path=[]), "not_in_log"),
        (lambda proof: proof["keys"].clear(), "not_signed"),
        (lambda proof: proof["keys"][0].update(public="A" * 43 + "="), "bent"),
        (
            lambda proof: proof["keys"][0].update(public="A" * 43 + "=", fingerprint=key_fingerprint(bytes(32))),
            "not_signed",
        ),
        (lambda proof: proof.update(salt="x"), "bent"),
        (lambda proof: proof.pop("salt"), "bent"),
        (lambda proof: proof.update(schema="other"), "not_a_proof"),
    ],
)
def test_a_proof_that_was_changed(tmp_path: Path, bend: Callable[[dict[str, Any]], None], code: str) -> None:
    proof = asyncio.run(made())
    bend(proof)
    result = run("lookup", save(tmp_path / "look.json", proof))
    assert result.exit_code == 1
    assert f"steward: {code}: {tmp_path / 'look.json'} " in result.output
    assert "Traceback" not in result.output


def test_another_ships_key_is_told(good: str) -> None:
    other = "0000 " * 7 + "0000"
    result = run("lookup", good, "--key", other)
    assert result.exit_code == 1
    assert "other_key" in result.output
    assert PRINT[:9] in result.output
    assert run("lookup", good, "--key", PRINT).exit_code == 0
    assert run("lookup", good, "--key", PRINT, "--key", other).exit_code == 1
    assert run("lookup", good, "--key", PRINT[:4]).exit_code == 1  # too short to compare by


def test_a_witness_that_is_asked_for_must_be_there(good: str, tmp_path: Path) -> None:
    result = run("lookup", good, "--witness", key_fingerprint(SHORE))
    assert result.exit_code == 1
    assert "not been witnessed by anybody yet" in result.output
    file = save(tmp_path / "other.json", asyncio.run(made(witnessed=True)))
    assert run("lookup", file, "--witness", PRINT).exit_code == 1


@pytest.mark.parametrize("content", [b"", b"\x00\xff", b"[1, 2]", b"{" * 50_000, b"x" * 200_000])
def test_a_file_that_is_no_proof(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "look.json").write_bytes(content)
    result = run("lookup", str(tmp_path / "look.json"))
    assert result.exit_code == 1
    assert "not_a_proof" in result.output


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = run("lookup", str(tmp_path / "none.json"))
    assert result.exit_code == 1
    assert "no_file" in result.output
    assert run("lookup", str(tmp_path)).exit_code == 1


# the log


@pytest.fixture
def ship(tmp_path: Path) -> Path:
    """A gateway's folder as `steward init` makes it, with six look-ups under two heads; its settings file."""
    made = CliRunner().invoke(app, ["init", str(tmp_path / "ship")])
    assert made.exit_code == 0, made.output
    file = tmp_path / "ship" / "steward.toml"

    async def fill() -> None:
        settings = config.load(file)
        settings.gateway.data_dir.mkdir(exist_ok=True)
        store = SqliteStore.open(settings.gateway.database, open_data_key(settings, make=True))
        signer = RingSigner(open_key_ring(settings))
        heads = LookHeads(store, LookClock(), signer, settings.gateway.ship, settings.gateway.name)
        for number in range(6):
            asked = replace(look({Field.PREFERRED_NAME}), at_s=AT_S + number, guest=BOB if number == 1 else ANNA)
            await store.write(lambda tx, a=asked: tx.log_look_up(a))  # type: ignore[misc]
            if number in (2, 4):
                await heads.sign()
        await LookProofs(store, LookClock(), heads).proof_of(1)
        await store.close()

    asyncio.run(fill())
    return file


def tamper(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(config.load(file).gateway.database, isolation_level=None)) as connection:
        names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'look%'")
        for (name,) in names.fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)


def test_a_log_that_fits(ship: Path) -> None:
    result = run("log", "--config", str(ship))
    assert result.exit_code == 0, result.output
    assert "6 rows fit, 0 of them blank" in result.output
    assert "2 signed heads fit" in result.output
    assert "Witnessed ashore: none of them" in result.output


def test_the_first_row_that_does_not_fit_is_told(ship: Path) -> None:
    tamper(ship, "UPDATE look_up SET actor = 'c8' WHERE seq IN (4, 6)")
    result = run("log", "--config", str(ship))
    assert result.exit_code == 1
    assert "Row 4: the row was changed" in result.output
    assert "Rows before 4 fit" in result.output


@pytest.mark.parametrize("erased", [True, False])
def test_rows_of_a_guest_who_was_erased_are_counted_and_others_may_not_be_blank(ship: Path, erased: bool) -> None:
    settings = config.load(ship)

    async def erase() -> None:
        store = SqliteStore.open(settings.gateway.database, open_data_key(settings))

        def work(tx: Tx) -> None:
            assert tx.drop_look_contents(BOB) == 1
            done = Done(Part.ALL, AT_S, {"look_up": 1})
            if erased:
                tx.put_erasure(carried_out(Erasure(BOB, certificate_id(BOB), AT_S, "guest"), done, (), ()))

        await store.write(work)
        await store.close()

    asyncio.run(erase())
    result = run("log", "--config", str(ship))
    assert result.exit_code == (0 if erased else 1), result.output
    assert "6 rows fit, 1 of them blank" in result.output
    assert ("1 blank rows more than erasures and retention account for" in result.output) == (not erased)


def test_rows_from_before_there_was_a_tree_are_told(ship: Path) -> None:
    tamper(
        ship,
        "DELETE FROM look_witnessed",
        "DELETE FROM look_head",
        "DELETE FROM look_leaf WHERE seq > 2",
        "DELETE FROM look_node WHERE (at + 1) << level > 2",
    )
    result = run("log", "--config", str(ship))
    assert result.exit_code == 0, result.output
    assert "4 rows from before there was a tree have no leaf yet" in result.output
    assert "No head has been signed yet" in result.output


def test_a_gateway_that_never_ran(ship: Path) -> None:
    config.load(ship).gateway.database.unlink()
    result = run("log", "--config", str(ship))
    assert result.exit_code == 1
    assert "has never run" in result.output


def test_what_other_gateways_told_is_compared_with_what_they_signed_later(ship: Path) -> None:
    leaves = [leaf_hash(bytes([n])) for n in range(5)]
    tree = Frontier()
    statements = [
        f"INSERT INTO peer_look VALUES ('bar', 1, {n}, x'{leaf.hex()}')" for n, leaf in enumerate(leaves, 1) if n != 4
    ]
    for size, leaf in enumerate(leaves, 1):
        tree.add(leaf)
        row = f"'bar', 1, {size}, x'{tree.root.hex()}', x'{b''.join(tree.nodes).hex()}'"
        statements.append(f"INSERT INTO peer_look_head VALUES ({row})")
    tamper(ship, *statements)
    result = run("log", "--config", str(ship))
    assert result.exit_code == 0, result.output
    assert "4 heads of other gateways' logs are over the rows they told." in result.output
    assert "1 heads of other gateways' logs cannot be compared" in result.output
    with closing(sqlite3.connect(config.load(ship).gateway.database, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER peer_look_never_changes")
        connection.execute("UPDATE peer_look SET leaf = zeroblob(32) WHERE seq = 2")
    result = run("log", "--config", str(ship))
    assert result.exit_code == 1
    assert "Gateway bar: its head of 2 rows is over other rows than it told here." in result.output
