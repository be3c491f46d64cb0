"""`steward lift report` on a database as a gateway leaves it: tables, JSON, the picture, and the exit status."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.vaultkit import DATA_KEY
from typer.testing import CliRunner, Result

from steward.__main__ import app
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.system import SystemClock
from steward.domain.catalogue import ItemId
from steward.domain.exploring import Chances
from steward.domain.holdout import Arm
from steward.domain.ids import GuestRef, OutletId
from steward.domain.offers import PPM, Offer, OfferId, OfferState, Reason
from steward.ports import Tx
from steward.services.decisions import DecisionLog, HoldoutSettings

SETTINGS = '[gateway]\nship = "north"\nsite = 7\n'
ALONE = Chances(((ItemId("tea"), PPM),), (), 0)
LOG = DecisionLog(b"k" * 16, HoldoutSettings("2026-11", 25))


@pytest.fixture
def ship(tmp_path: Path) -> Path:
    """Settings, and a store without a decision."""
    (tmp_path / "data").mkdir()
    file = tmp_path / "steward.toml"
    file.write_text(SETTINGS)
    fill(file, 0)
    return file


def database(file: Path) -> Path:
    return file.parent / "data" / "steward.db"


def fill(file: Path, guests: int, each: int = 4) -> None:
    """Offers as the service makes them: held out, one in five is accepted, and one in two of the others."""
    at_s = SystemClock().now().unix_s - 86_400
    draw = random.Random(3).random

    def work(tx: Tx) -> None:
        for number in range(guests * each):
            ref = GuestRef(f"{number % guests:016x}")
            arm = LOG.arm(tx, ref, agreed=True)
            yes = draw() < (0.2 if arm is Arm.HOLDOUT else 0.5)
            offer = Offer(
                id=OfferId(f"{number:032x}"),
                guest=ref,
                outlet=OutletId("bar"),
                item=ItemId("tea"),
                category="drink",
                at_s=at_s,
                hour=12,
                propensity_ppm=PPM,
                ranker="gru-3",
                reasons=(Reason("popular_now", 1),),
                state=OfferState.ACCEPTED if yes else OfferState.SHOWN,
            )
            tx.put_offer(offer)
            LOG.note(tx, offer, agreed=True, chances=ALONE, popular_ppm=PPM, features="f", clock_trusted=True)

    async def live() -> None:
        store = SqliteStore.open(database(file), DATA_KEY)
        try:
            await store.write(work)
        finally:
            await store.close()

    asyncio.run(live())


def report(file: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["lift", "report", "--config", str(file), *more])


def test_an_empty_log_claims_nothing_and_says_what_it_takes(ship: Path) -> None:
    found = report(ship)
    assert (found.exit_code, found.exception.__class__) == (3, SystemExit)
    assert "Nothing is claimed" in found.output
    assert "more in the arm holdout" in found.output
    told = json.loads(report(ship, "--json").output)
    assert (told["verdict"], told["difference"], told["from_s"]) == ("refused", None, 0)
    assert {problem["code"] for problem in told["problems"]} == {"guests", "offers"}


def test_a_difference_that_is_there_is_told_in_a_table_as_json_and_as_a_picture(ship: Path, tmp_path: Path) -> None:
    fill(ship, 600)
    picture = tmp_path / "lift.svg"
    found = report(ship, "--smallest", "10", "--svg", str(picture))
    assert found.exit_code == 0, found.output
    assert "Personal suggestions are accepted more often: +" in found.output
    assert "hold-out" in found.output
    told = json.loads(report(ship, "--smallest", "10", "--json").output)
    assert (told["verdict"], told["voyages"], told["rankers"], told["problems"]) == (
        "better",
        ["2026-11"],
        ["gru-3"],
        [],
    )
    assert told["difference"]["low"] > 0.2
    assert sum(arm["decisions"] for arm in told["arms"]) == 2400
    title = ElementTree.parse(picture).getroot().find("{http://www.w3.org/2000/svg}title")
    assert title is not None
    assert str(title.text).startswith("Personal suggestions are accepted more often")
    whole = found.output + picture.read_text()
    assert not any(f"{number:016x}" in whole for number in range(600))  # no guest


def test_another_voyage_and_a_finer_difference_are_not_claimed(ship: Path) -> None:
    fill(ship, 600)
    assert report(ship, "--smallest", "10", "--voyage", "2026-11").exit_code == 0
    assert report(ship, "--smallest", "10", "--voyage", "2026-12").exit_code == 3
    finer = report(ship, "--smallest", "0.5")
    assert finer.exit_code == 3
    assert "too few offers to see a difference of 0.5 points" in finer.output


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE decision SET propensity_ppm = 0 WHERE seq = 5", "propensity that cannot be"),
        ("UPDATE decision SET popular_ppm = NULL WHERE seq = 5", "do not say what popularity"),
        (
            "UPDATE decision SET arm = CASE arm WHEN 'holdout' THEN 'personal' ELSE 'holdout' END WHERE seq = 5",
            "both arms",
        ),
        ("DELETE FROM offer WHERE id = '00000000000000000000000000000005'", "no longer in the database"),
    ],
)
def test_a_database_changed_behind_its_back_claims_nothing(ship: Path, change: str, said: str) -> None:
    fill(ship, 600)
    connection = sqlite3.connect(database(ship))
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute("DROP TRIGGER decision_never_changes")
    connection.execute(change)
    connection.commit()
    connection.close()
    found = report(ship, "--smallest", "10")
    assert found.exit_code == 3
    assert said in " ".join(found.output.split())


def test_what_cannot_be_read_or_written_says_so(ship: Path, tmp_path: Path) -> None:
    gone = report(ship, "--svg", str(tmp_path / "none" / "lift.svg"))
    assert (gone.exit_code, "cannot be written" in gone.output) == (2, True)
    database(ship).unlink()
    never = report(ship)
    assert (never.exit_code, "does not exist" in never.output) == (1, True)


def test_the_log_is_written_for_whoever_wants_to_value_another_way(ship: Path) -> None:
    fill(ship, 3)
    out = ship.parent / "decisions.jsonl"
    found = CliRunner().invoke(app, ["lift", "decisions", "--out", str(out), "--config", str(ship)])
    assert (found.exit_code, found.output) == (0, f"{out}: 0 decisions\n")  # nobody has said yes
    assert [json.loads(line)["format"] for line in out.read_text().splitlines()] == ["steward-decisions"]
    again = CliRunner().invoke(app, ["lift", "decisions", "--out", str(out), "--config", str(ship)])
    assert (again.exit_code == 0, "never overwritten" in again.output) == (False, True)
