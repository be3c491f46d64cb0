"""`steward aggregates` as a purser types it, against a running gateway."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

from tests.e2e.gatewaykit import SETTINGS, Aboard, aboard, prepare
from tests.stewardkit import steward as command
from tests.unit.servicekit import guest
from tests.unit.test_aggregates import agrees, charge, ref_of

from steward.adapters.keyseal import write_private
from steward.domain.events import EventType
from steward.ports import Tx

LIMIT_S = 60
GUESTS = 400
SMALL = '\n[[outlet]]\nname = "bar"\nkind = "food_and_drink"\n[aggregates]\nbudget_milli = 1200\n'


async def steward(ship: Aboard, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    more = ("--url", str(ship.client.base_url), "--token-file", folder / "purser.token")
    return await asyncio.to_thread(command, "aggregates", *words, *more)


def fill(tx: Tx) -> None:
    for n in range(1, GUESTS + 1):
        tx.put_guest(guest(ref_of(n)))
        tx.put_charge(charge(ref_of(n), "bar"))
        if n % 2:
            agrees(tx, ref_of(n))


async def test_a_purser_asks_until_the_budget_is_spent(tmp_path: Path) -> None:
    tokens = prepare(tmp_path, SETTINGS.partition("[[reader]]")[0] + SMALL)
    write_private(tmp_path / "purser.token", f"{tokens['purser']}\n".encode(), replace=False)
    async with aboard(tmp_path, tokens) as ship:
        await ship.gateway.parts.store.write(fill)
        listed = await steward(ship, tmp_path, "list")
        assert "guests_by_outlet" in listed.stdout
        asked = await steward(ship, tmp_path, "ask", "guests_by_outlet", "--json")
        answer = json.loads(asked.stdout)
        (line,) = answer["lines"]
        assert line["group"] == "bar"
        assert abs(line["guests"] - GUESTS // 2) < 100  # the scale is 4
        assert (line["total"], answer["cost_milli"]) == (None, 500)
        again = await steward(ship, tmp_path, "ask", "guests_by_outlet")
        assert "bar" in again.stdout
        assert "groups withheld: 0" in again.stdout
        spent = await steward(ship, tmp_path, "ask", "guests_by_hour")
        assert spent.returncode == 1
        assert "budget_spent" in spent.stderr
        assert "200 of 1200 are left" in spent.stderr
        budget = json.loads((await steward(ship, tmp_path, "budget", "--json")).stdout)
        assert (budget["spent_milli"], budget["left_milli"], len(budget["asked"])) == (1000, 200, 2)
        assert "1000 of 1200 spent, 200 left" in (await steward(ship, tmp_path, "budget")).stdout
        unknown = await steward(ship, tmp_path, "ask", "everything")
        assert unknown.returncode == 1
        assert "not_found" in unknown.stderr
        told = [
            e
            for e in await ship.gateway.parts.store.read(lambda tx: tx.events(0, 999))
            if e.type is EventType.AGGREGATE_ANSWERED
        ]
        assert [event.payload["question"] for event in told] == ["guests_by_outlet", "guests_by_outlet"]
