"""`steward offers` as an operator types it: rules looked over, one decision explained and logged."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.consentkit import agree, word
from tests.e2e.gatewaykit import SETTINGS, Aboard, aboard, prepare
from tests.stewardkit import steward as command
from tests.unit.moneykit import NOON_S
from tests.unit.servicekit import ASE, KIRA, guest, item, profile
from tests.unit.test_pasts import offer
from tests.unit.test_ruleset import cap, nudge
from tests.vaultkit import DATA_KEY

from steward.adapters.keyseal import write_private
from steward.adapters.sqlite.store import SqliteStore
from steward.domain.catalogue import Catalogue
from steward.domain.consent import ConsentPurpose
from steward.domain.offers import OfferState
from steward.domain.profiles import AgeGroup
from steward.domain.viewing import Field, LookUp
from steward.ports import Tx

NO_READERS = SETTINGS.partition("[[reader]]")[0]
OUTLET = '\n[[outlet]]\nname = "bar"\nkind = "food_and_drink"\n'
SPA = '\n[[outlet]]\nname = "spa"\nkind = "wellness"\n'


def steward(config: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return command("offers", *words, CREDENTIALS_DIRECTORY=str(config.parent), STEWARD_CONFIG=str(config))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Kira agreed and never wants lager again, Åse objects."""
    for who, token in prepare(tmp_path, NO_READERS + OUTLET).items():
        write_private(tmp_path / f"{who}.token", f"{token}\n".encode(), replace=False)
    (tmp_path / "data").mkdir(mode=0o700)

    def fill(tx: Tx) -> None:
        tx.put_catalogue(Catalogue(1, (item("tonic"), item("lager"), item("wine", min_age_group=AgeGroup.ADULT))))
        for ref, cabin in ((KIRA, 8104), (ASE, 8106)):
            tx.put_guest(guest(ref, cabin, child=True))
            tx.put_profile(profile(ref))
        tx.put_offer(offer(1, OfferState.WRONG, what="lager"))
        agree(tx, KIRA)
        tx.put_consent(word(ASE, ConsentPurpose.SUGGESTIONS, False, NOON_S))

    asyncio.run(_write(tmp_path / "data" / "steward.db", fill))
    return tmp_path / "steward.toml"


async def _write(database: Path, work: object) -> object:
    store = SqliteStore.open(database, DATA_KEY)
    try:
        return await store.write(work)  # type: ignore[arg-type]
    finally:
        await store.close()


def looks(config: Path) -> list[LookUp]:
    found = asyncio.run(_write(config.parent / "data" / "steward.db", lambda tx: tx.look_ups(0, 100)))
    assert isinstance(found, list)
    return found


def test_rules_are_looked_over(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(cap("a", most=2) + cap("b", most=3) + nudge("c", 5), encoding="utf-8")
    done = steward(config, "check-rules", file)
    assert (done.returncode, done.stderr) == (0, "")
    dead = f"{file}:9: dead: b: never reached: a (line 1) stops at 2 per day before"
    assert done.stdout.splitlines() == [dead, f"{file}: 3 rules, 0 conflicts, 1 dead"]
    with_catalogue = steward(config, "check-rules", file, "--config", config)
    assert f"{file}:17: dead: c: no item of the catalogue has the category spa" in with_catalogue.stdout
    file.write_text(cap("a", most=0), encoding="utf-8")
    assert steward(config, "check-rules", file).returncode == 1
    file.write_text(cap("a", most=-1), encoding="utf-8")
    done = steward(config, "check-rules", file)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{file}: line 6: [rule a] most: is -1" in done.stderr


def test_a_decision_is_explained_and_logged_under_the_name_of_who_asked(config: Path) -> None:
    done = steward(config, "explain", "--guest", KIRA)
    assert done.returncode == 0, done.stderr
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│" in line]
    steps = [row[1:] for row in cells if len(row) == 6]
    assert ["never", "Lager (lager)", "removed", "", "no file changes this"] in steps
    assert ["age", "Wine (wine)", "removed", "", "no file changes this"] in steps
    assert any(row[:2] == ["1", "Tonic (tonic)"] for row in cells)
    assert re.search(r"bar\. Ranked by popularity-1; own history may choose\.", done.stdout)
    assert re.search(r"^Why: \S.*\.$", done.stdout, re.MULTILINE)
    told, held = re.findall(r"each of (\d+) claims: (\d+) hold", done.stdout)[0]
    assert told == held != "0"
    (look,) = looks(config)
    assert (look.actor, look.guest, look.outlet) == (f"os:{pwd.getpwuid(os.getuid()).pw_name}", KIRA, "bar")
    earlier = steward(config, "explain", "--guest", KIRA, "--at", "2020-01-01T12:00:00", "--outlet", "bar")
    assert "2020-01-01 12:00:00 ship's time" in earlier.stdout
    assert "never" not in earlier.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--guest", ASE), 1, "no_consent: "),
        (("--guest", "f" * 16), 1, "not_found: no guest"),
        (("--guest", KIRA, "--at", "soon"), 2, "--at: is no time"),
        (("--guest", KIRA, "--at", "2999-01-01"), 1, "in_the_future"),
        (("--guest", KIRA, "--outlet", "pool"), 2, "--outlet: is not one of this gateway's outlets: bar"),
    ],
)
def test_what_cannot_be_explained_says_why_and_reads_nothing(
    config: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    done = steward(config, "explain", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert looks(config) == []


def test_of_several_outlets_one_is_named(config: Path) -> None:
    config.write_text(NO_READERS + OUTLET + SPA, encoding="utf-8")
    done = steward(config, "explain", "--guest", KIRA)
    assert done.returncode == 2
    assert "--outlet: is needed: give one of bar, spa" in done.stderr


def test_a_database_in_use_and_none_at_all_are_told(config: Path) -> None:
    database = config.parent / "data" / "steward.db"
    store = SqliteStore.open(database, DATA_KEY)
    try:
        done = steward(config, "explain", "--guest", KIRA)
    finally:
        asyncio.run(store.close())
    assert done.returncode == 1
    assert "is in use by process" in done.stderr
    database.unlink()
    done = steward(config, "explain", "--guest", KIRA)
    assert "the gateway has never run with these settings" in done.stderr
    assert not database.exists()


# a gateway that runs


@asynccontextmanager
async def running(config: Path) -> AsyncIterator[Aboard]:
    tokens = {file.stem: file.read_text().strip() for file in config.parent.glob("*.token")}
    async with aboard(config.parent, tokens) as ship:
        yield ship


async def ask(ship: Aboard, config: Path, *words: str, who: str = "desk") -> subprocess.CompletedProcess[str]:
    given = ("explain", *words, "--url", ship.gateway.url, "--token-file", config.parent / f"{who}.token")
    return await asyncio.to_thread(steward, config, *given)


async def test_a_running_gateway_explains_what_its_store_would(config: Path) -> None:
    at = ("--at", "2026-05-17T14:30:05")
    async with running(config) as ship:
        live = await ask(ship, config, "--guest", KIRA, *at)
        now = await ask(ship, config, "--guest", KIRA, "--outlet", "bar")
    assert (live.returncode, now.returncode) == (0, 0), live.stderr + now.stderr
    assert "Lager (lager)" in now.stdout
    seen = await asyncio.to_thread(looks, config)
    assert [(look.actor, look.guest, look.outlet, look.role) for look in seen] == [
        ("token:desk", KIRA, "bar", "service"),
        ("token:desk", KIRA, "bar", "service"),
    ]
    assert {Field.SUGGESTIONS, Field.ALLERGIES, Field.DIET} == seen[0].fields
    stopped = await asyncio.to_thread(steward, config, "explain", "--guest", KIRA, *at)
    assert live.stdout == stopped.stdout


async def test_a_running_gateway_says_why_it_explains_nothing(config: Path) -> None:
    async with running(config) as ship:
        for words, code, said in (
            (("--guest", ASE), 1, "409: no_consent: "),
            (("--guest", "f" * 16), 1, "404: not_found: no guest"),
            (("--guest", "../../etc"), 2, "--guest: is no reference"),
            (("--guest", KIRA, "--at", "soon"), 1, "422: time_invalid: "),
            (("--guest", KIRA, "--at", "0001-01-01T00:00:00+23:59"), 1, "422: time_invalid: "),
            (("--guest", KIRA, "--at", "2999-01-01"), 1, "409: in_the_future: "),
            (("--guest", KIRA, "--outlet", "pool"), 1, "404: not_found: no outlet pool"),
        ):
            done = await ask(ship, config, *words)
            assert (done.returncode, done.stdout) == (code, ""), words
            assert said in done.stderr, words
        for who in ("bar", "purser", "admin", "monitor", "auditor"):
            done = await ask(ship, config, "--guest", KIRA, who=who)
            assert (done.returncode, done.stdout) == (1, "")
            assert "403: role_not_allowed" in done.stderr
        assert (await ship.call(None, "GET", f"/v1/guests/{KIRA}/explanation")).status_code == 401
    gone = await asyncio.to_thread(
        steward,
        config,
        "explain",
        "--guest",
        KIRA,
        "--url",
        ship.gateway.url,
        "--token-file",
        config.parent / "desk.token",
    )
    assert (gone.returncode, gone.stdout) == (1, "")
    assert "cannot be reached" in gone.stderr
    assert await asyncio.to_thread(looks, config) == []


async def test_of_several_outlets_a_running_gateway_wants_one_named(config: Path) -> None:
    config.write_text(NO_READERS + OUTLET + SPA, encoding="utf-8")
    async with running(config) as ship:
        done = await ask(ship, config, "--guest", KIRA)
        assert "422: outlet_needed: give the outlet, one of bar, spa" in done.stderr
        spa = await ask(ship, config, "--guest", KIRA, "--outlet", "spa")
    assert "Nothing is offered." in spa.stdout
    (look,) = await asyncio.to_thread(looks, config)
    assert (look.outlet, look.fields) == ("spa", {Field.SUGGESTIONS})
