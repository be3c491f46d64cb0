"""Bringing back a guest who was forgotten, or getting half of it: backups, kills, full disks, haste, others' wishes.

This file is also the program that is killed: it forgets guests one after the other and prints each when it is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.makers import AT_S, BOB, uid
from tests.e2e.gatewaykit import Aboard, aboard, prepare
from tests.e2e.killkit import READY, run_and_kill
from tests.erasurekit import NAME, WORDS, fill, settle
from tests.stewardkit import steward
from tests.unit.moneykit import HandClock, Ship, ring
from tests.vaultkit import DATA_KEY

from steward.adapters.sqlite.connect import connect
from steward.adapters.sqlite.migrations import SCHEMA_VERSION
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.sqlite.verify import find_damage
from steward.domain.charges import ChargeState, Verification
from steward.domain.erasure import Part, Wait
from steward.domain.events import EventType, fact
from steward.domain.guests import BandState
from steward.domain.ids import GuestRef
from steward.errors import StoreUnavailable
from steward.ports import Store, Tx
from steward.services.erasure import BY_GUEST, ErasureService, Scene

OVER_S = AT_S + 600_001
LIMIT_S = 120
GUESTS = 60
ROUNDS = 6


def service(store: Store, now_s: int = OVER_S) -> ErasureService:
    return ErasureService(store, HandClock(now_s), ring(), Scene("aurora", "bridge"))


def ref_of(number: int) -> GuestRef:
    return GuestRef(f"{number:016x}")


def command(folder: Path, *words: str | Path) -> None:
    done = steward(*words, "--config", folder / "steward.toml", CREDENTIALS_DIRECTORY=str(folder))
    assert done.returncode == 0, done.stderr


def found_in(folder: Path, words: Iterable[str]) -> set[tuple[str, str]]:
    """Which of these words are in which file, as bytes."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {(path.name, word) for path in files for word in words if word.encode() in path.read_bytes()}


# a backup of before


async def leave(ship: Aboard, ref: GuestRef) -> None:
    store = ship.gateway.parts.services.store

    def work(tx: Tx) -> None:
        settle(tx, ref)
        for band in tx.bands_of(ref):
            tx.put_band(replace(band, state=BandState.RETURNED))

    await store.write(work)


async def all_of(ship: Aboard, ref: GuestRef) -> tuple[object, ...]:
    """What a program may still read of a guest."""
    store = ship.gateway.parts.services.store

    def work(tx: Tx) -> tuple[object, ...]:
        events = [event for event in tx.events_in(1, 0, 9999) if ref in event.payload.values()]
        return tx.guest(ref), dict(tx.rows_of(ref)), events, [c.request.description for c in tx.charges_of(ref)]

    return await store.read(work)


async def test_a_backup_of_before_brings_nothing_back(tmp_path: Path) -> None:
    """The real commands: back up, forget, restore, start. Then search every byte, and ask every way."""
    tokens, ref = prepare(tmp_path), ref_of(1)
    now_s = 0
    async with aboard(tmp_path, tokens) as ship:
        now_s = ship.gateway.parts.services.clock.now().unix_s
        await ship.gateway.parts.services.store.write(
            lambda tx: (fill(tx, ref, not_after_s=now_s + 9999), fill(tx, BOB, 2, not_after_s=now_s + 9999))
        )
    command(tmp_path, "backup", tmp_path / "copy.db")
    async with aboard(tmp_path, tokens) as ship:
        await leave(ship, ref)
        done = await ship.call("desk", "POST", f"/v1/guests/{ref}/erasure", {"sure": True})
        assert done.json()["body"]["state"] == "finished", done.text
    assert not found_in(tmp_path, (*WORDS, NAME, "B-1234"))
    command(tmp_path, "restore", tmp_path / "copy.db", "--yes")
    async with aboard(tmp_path, tokens) as ship:
        guest, rows, events, charges = await all_of(ship, ref)
        assert (guest, rows, charges) == (None, {}, [""])
        assert [event.type for event in events if event.type is not EventType.GUEST_ERASED] == []
        for method, path, who in (
            ("GET", f"/v1/guests/{ref}/consents", "desk"),
            ("GET", f"/v1/guests/{ref}/folio", "purser"),
            ("POST", f"/v1/guests/{ref}/bands", "desk"),
        ):
            answer = await ship.call(who, method, path, {"encoder": "desk"} if method == "POST" else None)
            assert answer.status_code in (404, 422), answer.text
        body = (await ship.call("desk", "POST", f"/v1/guests/{ref}/erasure", {"sure": True})).json()["body"]
        assert (body["state"], body["certificate"]) == ("finished", done.json()["body"]["certificate"])
        assert body["done_again_at"] is not None
        other = await ship.gateway.parts.services.store.read(lambda tx: (tx.has_profile(BOB), tx.has_key(BOB)))
        assert other == (True, True)
    assert not found_in(tmp_path, (*WORDS, NAME, "B-1234"))


async def test_a_backup_of_before_the_first_part_brings_nothing_back_either(tmp_path: Path) -> None:
    tokens, ref = prepare(tmp_path), ref_of(1)
    async with aboard(tmp_path, tokens) as ship:
        services = ship.gateway.parts.services
        end_s = services.clock.now().unix_s + 9999
        await services.store.write(lambda tx: fill(tx, ref, not_after_s=end_s))
    command(tmp_path, "backup", tmp_path / "copy.db")
    async with aboard(tmp_path, tokens) as ship:
        done = await ship.call("desk", "POST", f"/v1/guests/{ref}/erasure", {"sure": True})
        assert done.json()["body"]["waits_for"] == [Wait.ABOARD, Wait.FOLIO_OPEN]
    command(tmp_path, "restore", tmp_path / "copy.db", "--yes")
    async with aboard(tmp_path, tokens) as ship:
        store = ship.gateway.parts.services.store
        rows = await store.read(lambda tx: tx.rows_of(ref))
        assert {"profile", "photo", "note", "recovery_case", "offer", "decision", "stay_company"}.isdisjoint(rows)
        assert {"guest", "band"} <= set(rows)  # the stay goes on
        erasure = await store.read(lambda tx: tx.erasure(ref))
        assert erasure is not None
        assert (erasure.part, erasure.by) == (Part.OPTIONAL, "restore")
    assert not found_in(tmp_path, (*WORDS, NAME))


# the middle of it


async def test_two_at_once_are_one(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "steward.db", DATA_KEY)
    await store.write(lambda tx: (fill(tx, ref_of(1)), settle(tx, ref_of(1))))
    erasures = service(store)
    done = await asyncio.gather(*(erasures.erase(ref_of(1), BY_GUEST) for _ in range(8)), erasures.go_on())
    assert {getattr(one, "certificate", None) for one in done[:-1]} == {done[0].certificate}  # type: ignore[union-attr]
    events = await store.read(lambda tx: tx.events(0, 99))
    assert [event.type for event in events].count(EventType.GUEST_ERASED) == 1
    await store.close()


async def child(path: Path, seed: int) -> None:
    store = SqliteStore.open(path, DATA_KEY)
    known = await store.read(lambda tx: {guest.ref for guest in tx.guests()} | set(tx.destroyed_refs("", 999)))
    if not known:
        for number in range(1, GUESTS + 1):
            await store.write(lambda tx, n=number: (fill(tx, ref_of(n), n), settle(tx, ref_of(n))))
    erasures = service(store)
    await erasures.sweep()
    os.write(1, READY)
    for number in range(1 + seed * 10, GUESTS + 1):
        await erasures.erase(ref_of(number), BY_GUEST)
        os.write(1, b"%d\n" % number)
    await asyncio.sleep(LIMIT_S)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_killed_in_the_middle_it_is_all_or_nothing(tmp_path: Path, round_: int) -> None:
    path = tmp_path / "steward.db"
    said = [int(line) for line in run_and_kill(__file__, path, 0, 0.03 * (1 + round_))]

    async def after() -> tuple[dict[int, tuple[bool, ...]], list[str]]:
        store = SqliteStore.open(path, DATA_KEY)
        try:
            await service(store).sweep()

            def look(tx: Tx, ref: GuestRef) -> tuple[bool, ...]:
                erased = tx.erasure(ref) is not None
                return (bool(tx.rows_of(ref)), tx.has_profile(ref), tx.has_key(ref), not erased)

            found = {n: await store.read(lambda tx, n=n: look(tx, ref_of(n))) for n in range(1, GUESTS + 1)}
        finally:
            await store.close()
        with contextlib.closing(connect(path)) as database:
            return found, find_damage(database, SCHEMA_VERSION)

    found, damage = asyncio.run(after())
    assert not damage
    assert set(found.values()) <= {(True,) * 4, (False,) * 4}
    assert all(found[number] == (False,) * 4 for number in said)
    assert found[GUESTS] == (True,) * 4 or len(said) >= GUESTS - 1
    gone = [path.read_bytes() for path in tmp_path.iterdir() if path.is_file()]
    assert not any(NAME.encode() in content for content in gone)


def _full_disk(path: Path) -> None:
    """The disk refuses in the middle; afterwards there is room again."""

    async def main() -> None:
        store = SqliteStore.open(path, DATA_KEY)
        ref = ref_of(1)

        def many(tx: Tx) -> None:
            fill(tx, ref)
            settle(tx, ref)
            for number in range(2000):
                tx.append_event(fact(EventType.DOOR_OPENED, AT_S, guest=ref, place=f"d{number}", uid=uid(1)))

        await store.write(many)
        log = path.with_name(path.name + "-wal").stat().st_size
        size, most = resource.RLIMIT_FSIZE, resource.RLIM_INFINITY
        resource.setrlimit(size, (log + 20_000, most))
        refused = False
        try:
            await service(store).erase(ref, BY_GUEST)
        except StoreUnavailable:
            refused = True
        kept = await store.read(lambda tx: (tx.has_profile(ref), tx.has_key(ref), tx.count_events_naming(ref)))
        resource.setrlimit(size, (most, most))
        erasure = await service(store).erase(ref, BY_GUEST)
        left = await store.read(lambda tx: (dict(tx.rows_of(ref)), tx.has_key(ref), tx.count_events_naming(ref)))
        await store.close()
        print(json.dumps([refused, kept, erasure.part, erasure.done[0].counts["event"], left]))

    asyncio.run(main())


def test_a_disk_that_is_full_forgets_nothing_and_later_everything(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    done = subprocess.run(
        [sys.executable, "-W", "error", __file__, "full-disk", str(tmp_path / "steward.db")],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    refused, kept, part, events, left = json.loads(done.stdout)
    assert (refused, kept) == (True, [True, True, 2002])
    assert (part, events, left) == (Part.ALL, 2002, [{}, False, 0])


# money goes on


async def test_a_charge_that_is_held_can_still_be_paid_after_the_first_part() -> None:
    ship = Ship()
    ref = await ship.guest(pin="2580", verify_above_minor=500)
    asked = ship.ask(1000)
    held = await ship.payments.book(asked, ship.band(ref).tap(asked))
    assert held.state is ChargeState.HELD
    erasures = ErasureService(ship.store, ship.clock, ring(), Scene("aurora", "bridge"))
    erasure = await erasures.erase(ref, BY_GUEST)
    assert Wait.CHARGE_HELD in erasure.waits
    assert (await ship.payments.verify(asked.tap_id, Verification.PIN, pin="2580")).state is ChargeState.POSTED
    assert await ship.balance(ref) == 1000
    assert (await ship.charge(ship.band(ref), 100)).state is ChargeState.POSTED
    await ship.folio.settle(ref)
    stored = await ship.stored(asked.tap_id)
    assert stored is not None
    assert stored.request.description == asked.description
    assert await ship.ledger_sum() == 0


# somebody else's wish


@pytest.mark.parametrize("who", ["bar", "purser", "admin", "monitor", "auditor", None])
async def test_only_the_desk_and_the_guest_ask(tmp_path: Path, who: str | None) -> None:
    async with aboard(tmp_path) as ship:
        ref = await ship.guest()
        for path in ("erasure", "export"):
            answer = await ship.call(who, "POST", f"/v1/guests/{ref}/{path}", {"sure": True, "pin": "1234"})
            assert answer.status_code in (401, 403), answer.text
        assert await ship.gateway.parts.services.store.read(lambda tx: tx.erasure(ref)) is None


@pytest.mark.parametrize("body", [{}, {"sure": "yes"}, {"sure": True, "reason": "x" * 201}, {"sure": True, "more": 1}])
async def test_a_form_that_is_not_one_forgets_nobody(tmp_path: Path, body: dict[str, object]) -> None:
    async with aboard(tmp_path) as ship:
        ref = await ship.guest()
        assert (await ship.call("desk", "POST", f"/v1/guests/{ref}/erasure", body)).status_code == 422
        assert await ship.gateway.parts.services.store.read(lambda tx: tx.erasure(ref)) is None


if __name__ == "__main__":
    if sys.argv[1] == "full-disk":
        _full_disk(Path(sys.argv[2]))
    else:
        asyncio.run(child(Path(sys.argv[1]), int(sys.argv[2])))
