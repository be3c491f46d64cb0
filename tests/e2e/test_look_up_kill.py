"""A gateway killed with -9 while crew look guests up: whatever was shown to anybody is in the log.

This file is also the program that is killed: eight handhelds look at guests and print, once a card is in their hands,
the number of the look that showed it.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path

from tests.e2e.killkit import READY, run_and_kill
from tests.unit.moneykit import HandClock
from tests.unit.servicekit import BARKEEPER, JPEG, guest, profile
from tests.vaultkit import DATA_KEY

from steward.adapters.sqlite.migrations import SCHEMA_VERSION
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.sqlite.verify import find_damage
from steward.domain.events import EventType
from steward.domain.ids import GuestRef
from steward.domain.profiles import Photo
from steward.domain.viewing import LookUp
from steward.ports import Tx
from steward.services.feed import TapFeed
from steward.services.lookups import LookupService

SEED = 20_260_702
ROUNDS = 12
HANDHELDS, GUESTS = 8, 40


def ref_of(number: int) -> GuestRef:
    return GuestRef(f"{number:016x}")


def fill(tx: Tx) -> None:
    for number in range(GUESTS):
        ref = ref_of(number)
        tx.put_guest(guest(ref, 5000 + number))
        tx.put_profile(profile(ref, f"Guest{number:02}", f"Guest{number:02} Testesen"))
        tx.put_photo(Photo(ref, JPEG + bytes([number])))


async def child(path: Path, seed: int) -> None:
    store = SqliteStore.open(path, DATA_KEY)
    await store.write(fill)
    lookups = LookupService(store, HandClock(), TapFeed())
    os.write(1, READY)

    async def handheld(number: int) -> None:
        rng = random.Random(seed * HANDHELDS + number)
        viewer = replace(BARKEEPER, actor=f"c{number}")
        while True:
            who = rng.randrange(GUESTS)
            if rng.random() < 0.3:
                hits = await lookups.search(viewer, f"Guest{who:02}")
                os.write(1, b"".join(b"search %d %d\n" % (number, int(hit.ref, 16)) for hit in hits))
            else:
                card = await lookups.card(viewer, ref_of(who), tapped=False)
                assert card.preferred_name == f"Guest{who:02}"
                os.write(1, b"card %d %d %d\n" % (number, who, card.look.seq))

    await asyncio.gather(*(handheld(number) for number in range(HANDHELDS)))


def logged_after(path: Path, seq: int) -> list[LookUp]:
    """Reopen as a gateway would; the looks after this one. Every look has its one event, in the same order."""

    async def reopen() -> list[LookUp]:
        store = SqliteStore.open(path, DATA_KEY)
        try:
            looks, events = await store.read(lambda tx: (list(tx.look_ups(0, 10**9)), tx.events(0, 10**9)))
        finally:
            await store.close()
        told = [event.payload["look"] for event in events if event.type is EventType.LOOKED_UP]
        assert told == [look.seq for look in looks] == list(range(1, len(looks) + 1))
        return looks[seq:]

    looks = asyncio.run(reopen())
    connection = sqlite3.connect(path)
    try:
        assert find_damage(connection, SCHEMA_VERSION) == []
    finally:
        connection.close()
    return looks


def test_what_was_shown_before_kill_9_is_in_the_log(tmp_path: Path) -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    path = tmp_path / "steward.db"
    shown_in_all, last = 0, 0
    for round_ in range(ROUNDS):
        lines = [line.split() for line in run_and_kill(__file__, path, round_, rng.uniform(0.0, 0.25))]
        logged = logged_after(path, last)
        by_seq = {look.seq: look for look in logged}
        for line in (line for line in lines if line[0] == "card"):
            look = by_seq[int(line[3])]
            assert (look.actor, look.guest) == (f"c{line[1]}", ref_of(int(line[2])))
        searched = sorted((f"c{line[1]}", ref_of(int(line[2]))) for line in lines if line[0] == "search")
        found = sorted((look.actor, look.guest) for look in logged if look.way == "by_name")
        assert len(found) - len(searched) <= HANDHELDS  # logged, and cut off on its way to the screen
        for one in set(searched):
            assert found.count(one) >= searched.count(one)
        last += len(logged)
        shown_in_all += len(lines)
    assert shown_in_all > 20 * ROUNDS


if __name__ == "__main__":
    asyncio.run(child(Path(sys.argv[1]), int(sys.argv[2])))
