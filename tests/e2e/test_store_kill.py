"""A gateway's store killed with -9 at work: what was acknowledged is there, and nothing is half there.

This file is also the program that is killed: it pays from 24 tills at once and prints each payment's number once the
store has acknowledged it.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

from tests.e2e.killkit import READY, run_and_kill
from tests.vaultkit import DATA_KEY

from steward.adapters.sqlite.migrations import SCHEMA_VERSION
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.sqlite.verify import find_damage
from steward.domain import ledger
from steward.domain.charges import Charge, ChargeRequest, ChargeState, TapEvidence
from steward.domain.events import EventType, NewEvent
from steward.domain.ids import GuestRef, OutletId, TapId, TillId, Uid
from steward.errors import Refused
from steward.ports import Tx

SEED = 20_260_701
ROUNDS = 20
TILLS = 24
ROOM_PER_ROUND = 1_000_000
OUTLET = OutletId("pool-bar")


def amount_of(number: int) -> int:
    return 100 + number % 900


def tap_of(number: int) -> TapId:
    return TapId(f"{number:032x}")


def pay(number: int) -> Callable[[Tx], None]:
    """Ledger, charge, event and counter of one payment. Every seventh is refused after all of it was written."""
    guest, uid = GuestRef(f"{number % 50:016x}"), Uid(f"04{number % 50:012X}")
    request = ChargeRequest(tap_of(number), TillId("BAR00001"), OUTLET, amount_of(number), "EUR")
    evidence = TapEvidence(uid, guest, 1, 1, True, number, bytes(31), bytes(8), True)
    sale = ledger.Sale(request.tap_id, guest, OUTLET, "EUR")

    def work(tx: Tx) -> None:
        tx.put_charge(Charge(request, number, ChargeState.POSTED, "posted", evidence))
        tx.post(ledger.charge(sale, amount_of(number), number))
        tx.append_event(NewEvent(EventType.CHARGE_POSTED, number, {"counter": number}))
        tx.set_charge_counter(uid, "charge", number)
        if number % 7 == 0:
            raise Refused("planned")

    return work


async def child(path: Path, first: int) -> None:
    store = SqliteStore.open(path, DATA_KEY)
    os.write(1, READY)

    async def till(number: int) -> None:
        for mine in range(first + number, first + ROOM_PER_ROUND, TILLS):
            try:
                await store.write(pay(mine))
            except Refused:
                continue
            os.write(1, b"%d\n" % mine)

    await asyncio.gather(*(till(number) for number in range(TILLS)))


def numbers(connection: sqlite3.Connection, query: str) -> list[int]:
    return [int(row[0]) for row in connection.execute(query)]


def check_whole(path: Path, acknowledged: set[int]) -> int:
    """Reopen as a gateway would, then look at the tables themselves. Returns how many payments there are."""

    async def reopen() -> tuple[int, int, int]:
        store = SqliteStore.open(path, DATA_KEY)
        try:
            return await store.read(
                lambda tx: (tx.ledger_sum(), tx.balance(ledger.revenue_account(OUTLET)), len(tx.events(0, 10**9)))
            )
        finally:
            await store.close()

    total, sold, event_count = asyncio.run(reopen())
    connection = sqlite3.connect(path)
    try:
        charged = numbers(connection, "SELECT at_s FROM charge ORDER BY at_s")
        assert acknowledged <= set(charged)
        assert [n for n in charged if n % 7 == 0] == []
        assert charged == numbers(connection, "SELECT at_s FROM ledger_transaction ORDER BY at_s")
        assert charged == numbers(connection, "SELECT at_s FROM event ORDER BY at_s")
        assert [tap_of(n) for n in charged] == [
            row[0] for row in connection.execute("SELECT tap_id FROM charge ORDER BY at_s")
        ]
        assert numbers(connection, "SELECT count(*) FROM posting") == [2 * len(charged)]
        order = numbers(connection, "SELECT at_s FROM event ORDER BY epoch, seq")
        newest = {n % 50: n for n in order}  # the last one committed wins
        counters = connection.execute("SELECT uid, counter FROM charge_counter").fetchall()
        assert {int(uid[2:], 16): counter for uid, counter in counters} == newest
        assert (total, event_count) == (0, len(charged))
        assert sold == -sum(map(amount_of, charged))
        assert find_damage(connection, SCHEMA_VERSION) == []
    finally:
        connection.close()
    return len(charged)


def test_acknowledged_payments_survive_kill_9(tmp_path: Path) -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    path = tmp_path / "steward.db"
    acknowledged: set[int] = set()
    killed_at_work = 0
    for round_ in range(ROUNDS):
        first = round_ * ROOM_PER_ROUND + 1
        told = {int(line) for line in run_and_kill(__file__, path, first, rng.uniform(0.0, 0.25))}
        killed_at_work += bool(told)
        acknowledged |= told
        check_whole(path, acknowledged)
    assert killed_at_work > ROUNDS // 2
    assert len(acknowledged) > 100 * ROUNDS // 2


if __name__ == "__main__":
    asyncio.run(child(Path(sys.argv[1]), int(sys.argv[2])))
