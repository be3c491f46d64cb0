"""kill -9 while guests come and are erased: no row without its key, and no erasure that was begun is forgotten."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import sys
from pathlib import Path

from tests.contract.serviceparts import profile
from tests.e2e.killkit import READY, run_and_kill
from tests.vaultkit import DATA_KEY, guest_keys

from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.sqlite.vault import ERASED_BYTES
from steward.adapters.vault import FOR_EVER
from steward.domain.events import EventType, fact
from steward.domain.ids import GuestRef
from steward.ports import Tx

SEED = 20_261_123
ROUNDS = 12
ROOM_PER_ROUND = 1_000_000


def ref_of(number: int) -> GuestRef:
    return GuestRef(f"{number:016x}")


async def child(path: Path, first: int) -> None:
    """Guest after guest: in, and every second one out again."""
    store = SqliteStore.open(path, DATA_KEY)
    os.write(1, READY)

    async def desk(offset: int) -> None:
        for number in range(first + offset, first + ROOM_PER_ROUND, 4):
            ref = ref_of(number)

            def come(tx: Tx, ref: GuestRef = ref) -> None:
                tx.put_profile(profile(ref))
                tx.append_event(fact(EventType.PIN_SET, 1, guest=ref))

            def go(tx: Tx, ref: GuestRef = ref) -> None:
                tx.drop_profile(ref)
                tx.redact_events(ref)
                tx.destroy_key(ref)

            await store.write(come)
            if number % 2:
                await store.write(go)
                os.write(1, b"%d\n" % number)

    await asyncio.gather(*(desk(offset) for offset in range(4)))


def check(path: Path, told: set[int]) -> None:
    async def reopen() -> None:
        store = SqliteStore.open(path, DATA_KEY)
        try:
            known = await store.read(lambda tx: [tx.has_key(ref_of(number)) for number in told])
            assert not any(known)
            events = await store.read(lambda tx: tx.events(0, 10**6))
            assert all(event.payload for event in events)
        finally:
            await store.close()

    asyncio.run(reopen())
    connection = sqlite3.connect(path)
    profiles = {ref for (ref,) in connection.execute("SELECT ref FROM profile")}
    noted = {ref for (ref,) in connection.execute("SELECT ref FROM key_destroyed WHERE upto = ?", (FOR_EVER,))}
    sealed = {ref for (ref,) in connection.execute("SELECT guest FROM event WHERE guest IS NOT NULL")}
    redacted = connection.execute("SELECT count(*) FROM event WHERE payload = ?", (ERASED_BYTES,)).fetchone()[0]
    connection.close()
    with guest_keys(path) as keys:
        assert all(keys.newest(GuestRef(ref)) == 1 for ref in profiles | sealed)
        assert all(keys.newest(GuestRef(ref)) == 0 and keys.destroyed(GuestRef(ref)) == FOR_EVER for ref in noted)
    assert {ref_of(number) for number in told} <= noted
    assert not noted & (profiles | sealed)
    assert redacted == len(noted)


def test_an_erasure_survives_kill_9_at_any_moment(tmp_path: Path) -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    path = tmp_path / "steward.db"
    told: set[int] = set()
    for round_ in range(ROUNDS):
        first = round_ * ROOM_PER_ROUND + 1
        told |= {int(line) for line in run_and_kill(__file__, path, first, rng.uniform(0.0, 0.3))}
        check(path, told)
    assert len(told) > ROUNDS


if __name__ == "__main__":
    asyncio.run(child(Path(sys.argv[1]), int(sys.argv[2])))
