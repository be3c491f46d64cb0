"""Sealing, erasure of keys and redaction: the same of both stores, which both forget."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.contract.makers import AT_S, guest
from tests.contract.serviceparts import HOST, JPEG, MEDIC, case, look, note, offer, profile

from steward.adapters.memory import MemoryStore
from steward.adapters.store_rules import ReadOnlyError
from steward.domain.events import ERASED_PAYLOAD, EventType, NewEvent, fact, is_erased
from steward.domain.ids import GuestRef
from steward.domain.offers import OfferId
from steward.domain.profiles import Photo
from steward.domain.viewing import Field, Way
from steward.errors import Conflict, Erased, StewardError, StoreUnavailable
from steward.ports import Store, Tx

KIRA, ASE = GuestRef("00000000000000c1"), GuestRef("00000000000000c2")

SEEN = {Field.FULL_NAME, Field.PREFERRED_NAME, Field.ALLERGIES, Field.PHOTO, Field.NOTES, Field.RECOVERY}
LOOK = look(SEEN, KIRA, MEDIC, way=Way.BROKE_GLASS, reason="fell on deck 5")


def pin_set(ref: GuestRef, at_s: int = AT_S) -> NewEvent:
    return fact(EventType.PIN_SET, at_s, guest=ref)


async def seal(store: Store, ref: GuestRef = KIRA, kind: str = "note", plain: bytes = b"no ice") -> bytes:
    return await store.write(lambda tx: tx.seal(ref, kind, plain))


async def test_what_was_sealed_opens_for_the_same_guest_and_kind_alone(store: Store) -> None:
    sealed = await seal(store)
    assert b"no ice" not in sealed
    assert await store.read(lambda tx: (tx.has_key(KIRA), tx.has_key(ASE))) == (True, False)
    assert await store.read(lambda tx: tx.unseal(KIRA, "note", sealed)) == b"no ice"
    await seal(store, ASE)
    for ref, kind in ((KIRA, "name"), (ASE, "note")):
        with pytest.raises(StoreUnavailable, match="sealed as something else"):
            await store.read(lambda tx, ref=ref, kind=kind: tx.unseal(ref, kind, sealed))  # type: ignore[misc]


@pytest.mark.parametrize("at", [1, 12, 13, -1])
async def test_a_changed_byte_is_damage(store: Store, at: int) -> None:
    sealed = bytearray(await seal(store))
    sealed[at] ^= 1
    with pytest.raises(StoreUnavailable, match="damaged"):
        await store.read(lambda tx: tx.unseal(KIRA, "note", bytes(sealed)))
    with pytest.raises(StoreUnavailable, match="damaged"):
        await store.read(lambda tx: tx.unseal(KIRA, "note", bytes(sealed[:20])))


async def test_equal_words_never_look_equal(store: Store) -> None:
    many = await store.write(lambda tx: [tx.seal(KIRA, "note", b"tea") for _ in range(2000)])
    assert len({one[1:13] for one in many}) == len(set(many)) == 2000


async def test_a_destroyed_key_is_gone_for_ever(store: Store) -> None:
    sealed = await seal(store)
    other = await seal(store, ASE)
    await store.write(lambda tx: tx.destroy_key(KIRA))
    assert await store.read(lambda tx: tx.has_key(KIRA)) is False
    with pytest.raises(Erased) as caught:
        await store.read(lambda tx: tx.unseal(KIRA, "note", sealed))
    assert (caught.value.ref, caught.value.code) == (KIRA, "erased")
    for work in (lambda tx: tx.seal(KIRA, "note", b"again"), lambda tx: tx.renew_key(KIRA)):
        with pytest.raises(Erased):
            await store.write(work)
    assert await store.read(lambda tx: tx.unseal(ASE, "note", other)) == b"no ice"
    assert await store.read(lambda tx: (tx.destroyed_refs("", 9), tx.destroyed_refs(KIRA, 9))) == ([KIRA], [])


async def test_a_ref_that_never_had_a_key_can_be_destroyed_and_gets_none(store: Store) -> None:
    await store.write(lambda tx: (tx.destroy_key(ASE), tx.destroy_key(ASE)))
    with pytest.raises(Erased):
        await seal(store, ASE)


async def test_destroyed_and_undone_is_not_destroyed(store: Store) -> None:
    sealed = await seal(store)

    def give_up(tx: Tx) -> None:
        tx.destroy_key(KIRA)
        with pytest.raises(Erased):
            tx.unseal(KIRA, "note", sealed)
        raise Conflict("no")

    with pytest.raises(Conflict, match="no"):
        await store.write(give_up)
    assert await store.read(lambda tx: tx.unseal(KIRA, "note", sealed)) == b"no ice"
    assert await store.read(lambda tx: tx.destroyed_refs("", 9)) == []


async def test_a_key_of_a_closure_that_failed_opens_nothing_later(store: Store) -> None:
    kept: list[bytes] = []

    def fails(tx: Tx) -> None:
        kept.append(tx.seal(KIRA, "note", b"lost"))
        raise Conflict("no")

    with pytest.raises(Conflict, match="no"):
        await store.write(fails)
    assert await store.read(lambda tx: tx.has_key(KIRA)) is False
    await seal(store)
    with pytest.raises(StewardError):
        await store.read(lambda tx: tx.unseal(KIRA, "note", kept[0]))


async def test_a_renewed_key_forgets_what_was_before_and_goes_on(store: Store) -> None:
    await store.write(lambda tx: tx.put_guest(replace(guest(KIRA), booking="R-77")))
    before = await seal(store)

    def renew(tx: Tx) -> bytes:
        tx.renew_key(KIRA)
        return tx.seal(KIRA, "note", b"new")

    after = await store.write(renew)
    with pytest.raises(Erased):
        await store.read(lambda tx: tx.unseal(KIRA, "note", before))
    assert await store.read(lambda tx: tx.unseal(KIRA, "note", after)) == b"new"
    assert await store.read(lambda tx: (tx.destroyed_refs("", 9), tx.renewed_refs("", 9))) == ([], [KIRA])
    known = await store.read(lambda tx: tx.guest(KIRA))
    assert known is not None
    assert known.booking == "R-77"
    assert [one.ref for one in await store.read(lambda tx: tx.party("R-77"))] == [KIRA]


async def test_a_key_can_be_renewed_only_so_often(store: Store) -> None:
    def often(tx: Tx) -> None:
        for _ in range(254):
            tx.seal(KIRA, "note", b"x")
            tx.renew_key(KIRA)

    with pytest.raises(Conflict, match="erase the guest instead"):
        await store.write(often)


async def test_reading_neither_seals_nor_destroys(store: Store) -> None:
    for work in (
        lambda tx: tx.seal(KIRA, "note", b"x"),
        lambda tx: tx.destroy_key(KIRA),
        lambda tx: tx.renew_key(KIRA),
        lambda tx: tx.redact_events(KIRA),
        lambda tx: tx.redact_events_before(EventType.PIN_SET, AT_S, 9),
    ):
        with pytest.raises(ReadOnlyError):
            await store.read(work)


@pytest.mark.parametrize("ref", ["", "x" * 129, "a\0b"])
async def test_what_is_no_ref_has_no_key(store: Store, ref: str) -> None:
    with pytest.raises(Conflict):
        await seal(store, GuestRef(ref))


# events


async def test_events_of_an_erased_guest_say_that_there_was_one(store: Store) -> None:
    await store.write(lambda tx: [tx.append_event(pin_set(ref)) for ref in (KIRA, ASE, KIRA)])
    assert await store.write(lambda tx: (tx.redact_events(KIRA), tx.redact_events(KIRA))) == (2, 0)
    found = await store.read(lambda tx: tx.events(0, 9))
    assert [is_erased(event) for event in found] == [True, False, True]
    assert [(event.seq, event.type, event.at_s) for event in found] == [(n, EventType.PIN_SET, AT_S) for n in (1, 2, 3)]
    assert found[1].payload == {"guest": ASE}


async def test_without_its_key_an_event_reads_as_erased_before_it_is_redacted(store: Store) -> None:
    await store.write(lambda tx: tx.append_event(pin_set(KIRA)))
    await store.write(lambda tx: tx.destroy_key(KIRA))
    (found,) = await store.read(lambda tx: tx.events(0, 9))
    assert found.payload == ERASED_PAYLOAD
    seq = await store.write(lambda tx: tx.append_event(pin_set(KIRA)))  # a door meanwhile saw the band
    (late,) = await store.read(lambda tx: tx.events(seq - 1, 9))
    assert late.payload == ERASED_PAYLOAD


async def test_events_are_redacted_by_age_the_oldest_first_and_no_others(store: Store) -> None:
    def fill(tx: Tx) -> None:
        for at_s in (AT_S + 5, AT_S, AT_S + 3, AT_S + 9):
            tx.append_event(pin_set(KIRA, at_s))
        tx.append_event(fact(EventType.GUEST_CHECKED_IN, AT_S, guest=KIRA))

    await store.write(fill)

    def redact(tx: Tx) -> list[int]:
        return [tx.redact_events_before(EventType.PIN_SET, AT_S + 9, limit) for limit in (2, 9, 9)]

    assert await store.write(redact) == [2, 1, 0]
    found = await store.read(lambda tx: tx.events(0, 9))
    assert [is_erased(event) for event in found] == [True, True, True, False, False]


async def test_what_a_queue_weighs_is_what_will_travel(store: Store) -> None:
    def both(tx: Tx) -> None:
        tx.append_event(fact(EventType.DOOR_OPENED, AT_S, guest=KIRA))
        tx.append_event(fact(EventType.DOOR_OPENED, AT_S, place=KIRA))

    await store.write(both)
    first, second = await store.read(lambda tx: (tx.sizes_of(5, tx.epoch(), 0, 1), tx.sizes_of(5, tx.epoch(), 1, 1)))
    assert first[1] == second[1] + len("guest") - len("place")


# what is kept of a guest


async def test_nothing_of_an_erased_guest_is_read(store: Store) -> None:
    def fill(tx: Tx) -> None:
        tx.put_guest(guest(KIRA))
        tx.put_profile(profile(KIRA))
        tx.put_photo(Photo(KIRA, JPEG))
        tx.put_note(note(guest=KIRA))
        tx.open_case(case(guest=KIRA))
        tx.put_offer(offer(OfferId("0f" * 16), guest=KIRA))

    await store.write(fill)
    seen = await store.write(lambda tx: tx.disclose(LOOK))
    assert (seen.full_name, len(seen.notes), len(seen.cases)) == ("Anna Bjørnstad-Müller", 1, 1)
    assert seen.photo is not None
    await store.write(lambda tx: tx.destroy_key(KIRA))
    seen = await store.write(lambda tx: tx.disclose(LOOK))
    assert (seen.preferred_name, seen.full_name, seen.allergies, seen.photo, seen.notes) == (None,) * 4 + ((),)
    assert [(case.what, case.outcome) for case in seen.cases] == [("", "")]
    assert await store.read(lambda tx: tx.photo_hash(KIRA)) is None
    found = await store.write(lambda tx: tx.search(HOST, "anna", AT_S, 9))
    assert found == []
    for work in (lambda tx: tx.put_profile(profile(KIRA)), lambda tx: tx.put_guest(guest(KIRA))):
        with pytest.raises((Erased, Conflict)):
            await store.write(work)


async def test_a_memory_store_restored_from_before_an_erasure_reads_nothing() -> None:
    """The SQLite store's is tests/attack/test_erased_copies.py."""
    store = MemoryStore()
    sealed = await seal(store)
    copy = store.restored(AT_S, AT_S)
    await store.write(lambda tx: tx.destroy_key(KIRA))
    with pytest.raises(Erased):
        await copy.read(lambda tx: tx.unseal(KIRA, "note", sealed))
    await copy.close()
    await store.close()
