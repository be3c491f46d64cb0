"""What a store promises of its transactions: all or nothing, in order, apart, bounded, and over when they are over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.contract.conftest import OpenStore
from tests.contract.makers import (
    ANNA,
    ANNAS_ACCOUNT,
    AT_S,
    BOB,
    TILL,
    band,
    charge,
    event,
    guest,
    tap_id,
    transaction,
    uid,
)
from tests.contract.test_store_approvals import P1, approval, done, posted
from tests.contract.test_store_manifest import ONE, TWO, record
from tests.contract.test_store_ship import ESCROW, GRANT
from tests.contract.test_store_sync import RECORD
from tests.unit.manifestkit import jpeg

from steward.adapters.store_rules import ReadOnlyError, TransactionOverError
from steward.domain.condition import BandCondition
from steward.domain.guests import CabinStay, KeyChange
from steward.domain.photos import clean_photo
from steward.domain.profiles import Photo
from steward.errors import Busy, Refused, StoreUnavailable
from steward.ports import Store, Tx
from steward.ports.bandupdates import BandUpdatesTx
from steward.ports.basis import BasisTx
from steward.ports.blanks import BlanksTx
from steward.ports.condition import ConditionTx
from steward.ports.context import ContextTx
from steward.ports.decisions import DecisionTx
from steward.ports.desk import DeskTx
from steward.ports.erasure import ErasureTx
from steward.ports.guestaccess import GuestAccessTx
from steward.ports.looktree import LookTreeTx
from steward.ports.manifest import ManifestTx
from steward.ports.peerlooks import PeerHead, PeerLookTx
from steward.ports.presence import PresenceTx
from steward.ports.privacy import PrivacyTx
from steward.ports.service import ConsentTx, CrewTx, LookUpTx, OfferTx, ServiceTx
from steward.ports.ship import ShipTx
from steward.ports.stock import StockTx
from steward.ports.sync import SyncTx
from steward.ports.vault import VaultTx

TOLD, OLD = BandCondition(uid(1), True, 57, False, AT_S), BandCondition(uid(2), True, 9, False, AT_S - 1)
THREE = Photo(BOB, clean_photo(jpeg(64, 64)))
PEER_HEAD = PeerHead("bar", 7, 1, b"l" * 32, (b"l" * 32,))
WRITES: dict[str, Callable[[Tx], object]] = {
    "append_event": lambda tx: tx.append_event(event()),
    "put_guest": lambda tx: tx.put_guest(guest()),
    "put_band": lambda tx: tx.put_band(band()),
    "journal_key_change": lambda tx: tx.journal_key_change(KeyChange(uid(1), 0, 0, 7, False)),
    "adopt_stay": lambda tx: tx.adopt_stay(8104, 3),
    "adopt_serial": lambda tx: tx.adopt_serial(ANNA, 3),
    "deny": lambda tx: tx.deny(uid(1), 1, "lost"),
    "put_charge": lambda tx: tx.put_charge(charge()),
    "set_charge_counter": lambda tx: tx.set_charge_counter(uid(1), "charge", 9),
    "post": lambda tx: tx.post(transaction()),
    "set_meta": lambda tx: tx.set_meta("k", "v"),
    # the desk
    "put_approval": lambda tx: tx.put_approval(approval()),
    "put_correction": lambda tx: tx.put_correction(posted(tx, 10, 100)),
    # the import
    "put_imported": lambda tx: tx.put_imported(record()),
    "stage_photo": lambda tx: tx.stage_photo(ONE, 100),
    "use_photo": lambda tx: (tx.stage_photo(TWO, 100), tx.use_photo(BOB, TWO.sha256)),
    "sweep_photos": lambda tx: (tx.stage_photo(ONE, 100), tx.stage_photo(THREE, 300), tx.sweep_photos(200, 9)),
    # the link
    "set_covered": lambda tx: tx.set_covered("shore", tx.epoch(), 3, 7),
    "set_compared": lambda tx: tx.set_compared("shore", tx.epoch(), 7),
    "spend_bytes": lambda tx: tx.spend_bytes("shore", 20_000, 3, 450),
    "put_down": lambda tx: tx.put_down(RECORD),
    # several gateways
    "put_grant": lambda tx: tx.put_grant(GRANT),
    "put_escrow": lambda tx: tx.put_escrow(ESCROW),
    "put_peer_stream": lambda tx: tx.put_peer_stream("bar", 7, b"stream"),
    "put_peer_event": lambda tx: tx.put_peer_event("bar", 7, 1, b"d" * 32),
    "use_counter": lambda tx: tx.set_meta("k", tx.use_counter(uid(1), "charge", 9, tap_id(1))),
    "put_peer_look": lambda tx: tx.put_peer_look("bar", 7, 1, b"l" * 32),
    "put_peer_head": lambda tx: tx.put_peer_head(PEER_HEAD),
    "put_words": lambda tx: tx.put_words(tap_id(1), "two coffees"),
    "drop_words": lambda tx: (tx.put_words(tap_id(2), "tea"), tx.drop_words(tap_id(1))),
    # the bands
    "put_condition": lambda tx: tx.put_condition(TOLD),
    "forget_conditions": lambda tx: (tx.put_condition(TOLD), tx.put_condition(OLD), tx.forget_conditions(AT_S)),
}
# Profiles, crew and offers: test_store_service.py asks the same of them, and for each other part there is such a file.
SERVICE = (
    *(ServiceTx, LookUpTx, LookTreeTx, ConsentTx, BasisTx, CrewTx, OfferTx, DecisionTx, ContextTx, StockTx, PrivacyTx),
    *(ErasureTx, GuestAccessTx, VaultTx, BlanksTx, PresenceTx, BandUpdatesTx),
)
PARTS = (Tx, DeskTx, ManifestTx, SyncTx, ShipTx, PeerLookTx, ConditionTx)


def everything(tx: Tx) -> tuple[object, ...]:
    return (*of_the_core(tx), *of_the_desk(tx), *of_the_link(tx), *of_the_ship(tx), *of_the_bands(tx))


def of_the_bands(tx: Tx) -> tuple[object, ...]:
    return (
        *(tx.condition(uid(1)), tx.condition(uid(2)), dict(tx.battery_counts())),
        *(list(tx.low_batteries(20, AT_S, 9)), tx.low_count(20, AT_S), list(tx.unseen(AT_S, AT_S, 9))),
        tx.unseen_count(AT_S, AT_S),
    )


def of_the_desk(tx: Tx) -> tuple[object, ...]:
    """And of the import."""
    asked, corrections = approval(), list(tx.corrections_of(tap_id(1)))
    return (
        *(tx.approval(asked.id), tx.newest_approval(asked.kind, asked.tap_id, asked.refund_id), corrections),
        *(list(tx.pending_approvals()), list(tx.decided_approvals(9)), tx.given_alone(tap_id(1), ANNA, P1)),
        *(list(tx.looks_before(99, 9)), dict(tx.look_up_counts()), list(tx.imported("R-1"))),
        *(tx.is_staged(ONE.sha256), tx.is_staged(TWO.sha256), tx.is_staged(THREE.sha256)),
        *(tx.staged_count(), tx.photo_hash(ANNA), tx.photo_hash(BOB)),
    )


def of_the_link(tx: Tx) -> tuple[object, ...]:
    epoch = tx.epoch()
    return (
        *(list(tx.epochs()), tx.newest_seq(epoch), tx.newest_of_class(epoch, 2)),
        *(list(tx.events_of(2, epoch, 0, 9)), list(tx.events_in(epoch, 0, 9)), dict(tx.covered("shore"))),
        *(
            tx.count_of(2, epoch, 0, 9),
            tx.sizes_of(2, epoch, 0, 9),
            tx.compared("shore", epoch),
            dict(tx.bytes_spent("shore", 20_000)),
        ),
        *(tx.down("deny"), list(tx.downs("deny", 9))),
    )


def of_the_ship(tx: Tx) -> tuple[object, ...]:
    return (
        *(tx.revision(), list(tx.changes(0, 99)), tx.grant("bar", 7, ANNA), list(tx.grants_of(ANNA))),
        *(tx.outstanding(ANNA), tx.escrow(ANNA), list(tx.escrows_to_report(9)), dict(tx.peer_streams("bar"))),
        *(tx.peer_event("bar", 7, 1), list(tx.words(9)), tx.words_of(tap_id(1))),
        *(list(tx.peer_looks("bar", 7, 0, 9)), list(tx.peer_heads(("", 0, 0), 9)), tx.peer_head("bar", 7, 1)),
        tx.peer_head_before("bar", 7, 2),
    )


def of_the_core(tx: Tx) -> tuple[object, ...]:
    return (
        *(list(tx.events(0, 99)), tx.epoch(), list(tx.guests()), tx.guest(ANNA), tx.band(uid(1))),
        *(list(tx.bands_of(ANNA)), list(tx.key_changes(uid(1))), tx.stay_of(8104), tx.serial_of(ANNA)),
        *(tx.deny_epoch(), tx.denied_at(uid(1)), tx.charge(tap_id(1)), list(tx.charges_of(ANNA))),
        *(
            list(tx.held_of(ANNA)),
            tx.spent_since(ANNA, 0),
            tx.similar_charge(ANNA, TILL, 450, AT_S),
            tx.charge_counter(uid(1), "charge"),
        ),
        *(tx.balance(ANNAS_ACCOUNT), list(tx.ledger_of(ANNAS_ACCOUNT)), tx.ledger_sum(), tx.meta("k")),
        *(dict(tx.band_counts()), list(tx.folio_totals()), list(tx.disputed_charges(9))),
        *(list(tx.last_charges_of(ANNA, 9)), list(tx.guests_in(CabinStay(8104, 1))), list(tx.party("B-1"))),
    )


READS = (of_the_core, of_the_desk, of_the_link, of_the_ship, of_the_bands)


def test_every_method_of_the_port_is_in_one_of_the_lists() -> None:
    assert {part for part in Tx.__mro__ if part.__module__.startswith("steward.ports")} == {*PARTS, *SERVICE}
    methods = {name for part in PARTS for name in vars(part) if not name.startswith("_")}
    read = {name for part in READS for name in part.__code__.co_names}
    assert methods - set(WRITES) == read & methods - set(WRITES)
    assert set(WRITES) <= methods


@pytest.mark.parametrize("name", WRITES)
async def test_a_failed_closure_leaves_nothing(store: Store, name: str) -> None:
    before = await store.read(everything)

    def fail(tx: Tx) -> None:
        WRITES[name](tx)
        assert everything(tx) != before  # it sees its own writes
        raise Refused("late")

    with pytest.raises(Refused, match="late"):
        await store.write(fail)
    assert await store.read(everything) == before
    await store.write(WRITES[name])
    assert await store.read(everything) != before


async def test_a_failed_closure_restores_what_it_had_replaced(store: Store) -> None:
    def all_of_them(tx: Tx) -> None:
        for write in WRITES.values():
            write(tx)

    def change_it_all(tx: Tx) -> None:
        tx.put_guest(guest(currency="EUR"))
        tx.put_band(band(serial=9))
        tx.journal_key_change(KeyChange(uid(1), 0, 7, 8, True))
        tx.adopt_stay(8104, 4)
        tx.adopt_serial(ANNA, 4)
        tx.deny(uid(1), 2, "again")
        tx.put_charge(charge(amount_minor=1))
        tx.set_charge_counter(uid(1), "charge", 10)
        tx.post(transaction(2))
        tx.set_meta("k", "w")
        tx.append_event(event(2))
        tx.put_approval(done(approval()))
        tx.put_imported(record(photo=""))
        tx.use_photo(ANNA, THREE.sha256)
        tx.sweep_photos(9999, 9)
        tx.set_covered("shore", tx.epoch(), 3, 6)
        tx.set_compared("shore", tx.epoch(), 8)
        tx.spend_bytes("shore", 20_000, 3, 1)
        tx.put_down(replace(RECORD, version=4))
        tx.put_grant(replace(GRANT, granted_minor=1000))
        tx.put_escrow(replace(ESCROW, granted_minor=1000))
        tx.put_peer_stream("bar", 7, b"longer")
        tx.drop_words(tap_id(2))
        tx.put_condition(replace(TOLD, battery_percent=3))
        raise Refused("all of it")

    await store.write(all_of_them)
    before = await store.read(everything)
    with pytest.raises(Refused):
        await store.write(change_it_all)
    assert await store.read(everything) == before


@pytest.mark.parametrize("name", WRITES)
async def test_a_read_must_not_write(store: Store, name: str) -> None:
    before = await store.read(everything)
    with pytest.raises(ReadOnlyError):
        await store.read(WRITES[name])
    assert await store.read(everything) == before


async def test_the_closures_own_error_comes_back(store: Store) -> None:
    problem = KeyError("mine")

    def fail(tx: Tx) -> None:
        raise problem

    for run in (store.write, store.read):
        with pytest.raises(KeyError) as caught:
            await run(fail)
        assert caught.value is problem


async def test_a_closure_that_runs_out_of_an_iterator_is_heard_of(store: Store) -> None:
    for run in (store.write, store.read):
        with pytest.raises(RuntimeError, match="StopIteration"):
            await run(lambda tx: next(iter(tx.bands_of(ANNA))))
    assert await store.write(lambda tx: tx.append_event(event())) == 1


async def test_an_exit_asked_for_in_a_closure_ends_that_closure_only(store: Store) -> None:
    def leave(tx: Tx) -> None:
        tx.append_event(event())
        raise asyncio.CancelledError("from inside")

    with pytest.raises(asyncio.CancelledError):
        await store.write(leave)
    assert await store.write(lambda tx: tx.append_event(event())) == 1


async def test_failures_among_others_fail_alone(store: Store) -> None:
    def work(number: int) -> Callable[[Tx], int]:
        def run(tx: Tx) -> int:
            seq = tx.append_event(event(number))
            tx.post(transaction(number))
            if number % 3 == 0:
                raise Refused("third", str(number))
            return seq

        return run

    outcomes = await asyncio.gather(*(store.write(work(n)) for n in range(1, 61)), return_exceptions=True)
    kept = [n for n in range(1, 61) if n % 3]
    assert [type(o) for o in outcomes] == [Refused if n % 3 == 0 else int for n in range(1, 61)]
    assert [o for o in outcomes if isinstance(o, int)] == list(range(1, 41))
    assert [e.payload["serial"] for e in await store.read(lambda tx: tx.events(0, 99))] == kept
    assert await store.read(lambda tx: (tx.balance(ANNAS_ACCOUNT), tx.ledger_sum())) == (450 * 40, 0)


async def test_writes_run_one_after_the_other_in_the_order_asked(store: Store) -> None:
    def add_one(tx: Tx) -> int:
        total = int(tx.meta("n") or "0") + 1
        tx.set_meta("n", str(total))
        return total

    assert await asyncio.gather(*(store.write(add_one) for _ in range(200))) == list(range(1, 201))


async def test_a_reader_never_sees_half_a_transaction(store: Store) -> None:
    def pair(tx: Tx) -> None:
        tx.append_event(event(1))
        tx.append_event(event(2))

    async def look() -> list[int]:
        counts = []
        for _ in range(50):
            first, second = await store.read(lambda tx: (len(tx.events(0, 999)), len(tx.events(0, 999))))
            assert first == second  # one snapshot for the whole closure
            counts.append(first)
        return counts

    looking = asyncio.create_task(look())
    await asyncio.gather(*(store.write(pair) for _ in range(100)))
    counts = await looking
    assert [n for n in counts if n % 2] == []
    assert await store.read(lambda tx: len(tx.events(0, 999))) == 200


async def test_too_many_waiting_writes_are_refused_and_the_others_stand(open_store: OpenStore) -> None:
    store = open_store(8)
    tasks = [asyncio.create_task(store.write(lambda tx: tx.append_event(event()))) for _ in range(500)]
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [o for o in outcomes if isinstance(o, Busy)]
    accepted = sorted(o for o in outcomes if isinstance(o, int))
    assert len(refused) + len(accepted) == 500
    assert accepted == list(range(1, len(accepted) + 1))
    assert len(accepted) >= 8
    assert await store.write(lambda tx: tx.append_event(event())) == len(accepted) + 1


async def test_a_cancelled_waiter_does_not_stop_the_write_or_the_others(store: Store) -> None:
    tasks = [asyncio.create_task(store.write(lambda tx: tx.append_event(event()))) for _ in range(20)]
    await asyncio.sleep(0)  # all are accepted now
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(o) for o in outcomes] == [asyncio.CancelledError, int] * 10
    assert await store.write(lambda tx: tx.append_event(event())) == 21


async def test_a_transaction_kept_beyond_its_closure_is_of_no_use(store: Store) -> None:
    kept: list[Tx] = []
    await store.write(kept.append)
    await store.read(kept.append)
    for tx in kept:
        with pytest.raises(TransactionOverError):
            tx.meta("k")
        with pytest.raises(TransactionOverError):
            tx.epoch()


async def test_a_closed_store_refuses_and_closes_again(store: Store) -> None:
    accepted = [asyncio.create_task(store.write(lambda tx: tx.append_event(event()))) for _ in range(5)]
    await asyncio.sleep(0)
    await store.close()
    await store.close()
    assert await asyncio.gather(*accepted) == [1, 2, 3, 4, 5]
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.write(lambda tx: tx.append_event(event()))
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.read(lambda tx: tx.epoch())
