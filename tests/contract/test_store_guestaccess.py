"""Guests' phones and no-tracking in both stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.contract.makers import ANNA, BOB, guest, uid

from steward.adapters.store_rules import ReadOnlyError
from steward.domain.guestsession import Phone, PhoneId
from steward.domain.replica import Change, Kind
from steward.domain.untracked import Untracked
from steward.errors import Conflict, Refused
from steward.ports import Store, Tx
from steward.ports.guestaccess import GuestAccessTx

AT_S = 1_700_000_000


def phone(n: int, ref: str = ANNA, created_s: int = AT_S) -> Phone:
    return Phone(PhoneId(f"{n:064x}"), ref, uid(n), 1, created_s, created_s + n)  # type: ignore[arg-type]


async def test_a_phone_comes_back_whole_and_in_the_order_of_signing_in(store: Store) -> None:
    phones = [phone(3, created_s=AT_S), phone(1, created_s=AT_S + 1), phone(2, created_s=AT_S + 1)]
    for each in (*phones[::-1], phone(9, BOB)):
        await store.write(lambda tx, each=each: tx.put_phone(each))  # type: ignore[misc]
    assert list(await store.read(lambda tx: tx.phones_of(ANNA))) == phones
    assert await store.read(lambda tx: tx.phone(phones[0].id)) == phones[0]
    assert await store.read(lambda tx: tx.phone(PhoneId("f" * 64))) is None
    proven = replace(phones[0], proven_s=AT_S + 5, seen_s=AT_S + 6)
    await store.write(lambda tx: tx.put_phone(proven))
    assert await store.read(lambda tx: tx.phone(proven.id)) == proven


@pytest.mark.parametrize(
    "changed",
    [{"guest": BOB}, {"uid": uid(7)}, {"serial": 2}, {"created_s": AT_S + 9}, {"id": PhoneId("ab")}, {"guest": ""}],
)
async def test_a_phone_stays_its_guests(store: Store, changed: dict[str, object]) -> None:
    await store.write(lambda tx: tx.put_phone(phone(1)))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_phone(replace(phone(1), **changed)))  # type: ignore[arg-type]
    assert await store.read(lambda tx: tx.phone(phone(1).id)) == phone(1)


async def test_what_is_idle_or_old_is_swept(store: Store) -> None:
    idle, old, live = phone(1), replace(phone(2), seen_s=AT_S + 500), replace(phone(3, created_s=AT_S + 100))
    live = replace(live, seen_s=AT_S + 500)

    def fill(tx: Tx) -> int:
        for each in (idle, old, live):
            tx.put_phone(each)
        return tx.sweep_phones(AT_S + 400, AT_S)

    assert await store.write(fill) == 2
    assert list(await store.read(lambda tx: tx.phones_of(ANNA))) == [live]
    await store.write(lambda tx: (tx.drop_phone(live.id), tx.drop_phone(live.id)))
    assert list(await store.read(lambda tx: tx.phones_of(ANNA))) == []


async def test_the_last_word_counts_and_the_ship_is_told(store: Store) -> None:
    before = await store.read(lambda tx: tx.revision())
    await store.write(lambda tx: tx.put_untracked(Untracked(ANNA, True, AT_S, 1)))
    await store.write(lambda tx: tx.put_untracked(Untracked(ANNA, False, AT_S + 1, 2)))
    assert await store.read(lambda tx: tx.untracked(ANNA)) == Untracked(ANNA, False, AT_S + 1, 2)
    assert await store.read(lambda tx: tx.untracked(BOB)) is None
    told = await store.read(lambda tx: list(tx.changes(before, 9)))
    assert told == [Change(before + 2, Kind.UNTRACKED, ANNA)]


@pytest.mark.parametrize("on", [True, False])
async def test_an_earlier_word_is_refused_and_a_tie_is_on(store: Store, on: bool) -> None:
    await store.write(lambda tx: tx.put_untracked(Untracked(ANNA, True, AT_S, 1)))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_untracked(Untracked(ANNA, on, AT_S - 1, 2)))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_untracked(Untracked(ANNA, False, AT_S, 2)))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_untracked(Untracked(ANNA, True, AT_S + 1, 0)))
    assert await store.read(lambda tx: tx.untracked(ANNA)) == Untracked(ANNA, True, AT_S, 1)


async def test_everything_goes_with_the_guest_and_nothing_of_anybody_else(store: Store) -> None:
    def fill(tx: Tx) -> None:
        for ref in (ANNA, BOB):
            tx.put_guest(guest(ref))
            tx.put_untracked(Untracked(ref, True, AT_S, 1))
        tx.put_phone(phone(1))
        tx.put_phone(phone(2, BOB))
        tx.drop_guest_access(ANNA)

    await store.write(fill)
    assert await store.read(lambda tx: (list(tx.phones_of(ANNA)), tx.untracked(ANNA))) == ([], None)
    assert await store.read(lambda tx: (list(tx.phones_of(BOB)), tx.untracked(BOB) is None)) == ([phone(2, BOB)], False)


WRITES: dict[str, Callable[[Tx], object]] = {
    "put_phone": lambda tx: tx.put_phone(phone(5)),
    "drop_phone": lambda tx: tx.drop_phone(phone(1).id),
    "sweep_phones": lambda tx: tx.sweep_phones(AT_S + 400, AT_S),
    "put_untracked": lambda tx: tx.put_untracked(Untracked(ANNA, False, AT_S + 1, 2)),
    "drop_guest_access": lambda tx: tx.drop_guest_access(ANNA),
}


def everything(tx: Tx) -> tuple[object, ...]:
    return list(tx.phones_of(ANNA)), tx.phone(phone(1).id), tx.untracked(ANNA), tx.revision()


@pytest.mark.parametrize("name", WRITES)
async def test_a_failed_closure_leaves_nothing_and_a_read_changes_nothing(store: Store, name: str) -> None:
    await store.write(lambda tx: (tx.put_phone(phone(1)), tx.put_untracked(Untracked(ANNA, True, AT_S, 1))))
    before = await store.read(everything)

    def fail(tx: Tx) -> None:
        WRITES[name](tx)
        assert everything(tx) != before  # it sees its own writes
        raise Refused("late")

    with pytest.raises(Refused):
        await store.write(fail)
    with pytest.raises(ReadOnlyError):
        await store.read(WRITES[name])
    assert await store.read(everything) == before


def test_every_method_of_the_part_is_asked() -> None:
    methods = {name for name in vars(GuestAccessTx) if not name.startswith("_")}
    assert methods == {*WRITES, "phone", "phones_of", "untracked"}
