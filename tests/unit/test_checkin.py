"""The desk's form, and what becomes of guests and bands without any card in sight."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from steward.adapters.memory import MemoryStore
from steward.domain.events import EventType
from steward.domain.guests import Band, BandState, CabinStay, Limits
from steward.domain.ids import GuestRef, Uid
from steward.errors import NotFound, Refused
from voyage.rig import LIMITS, Rig

UID = Uid("04112233445566")


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    store = MemoryStore()
    async with Rig(store) as rig:
        yield rig
    await store.close()


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("bad_booking", {"booking": ""}),
        ("bad_booking", {"booking": "Mr. and Mrs."}),
        ("bad_cabins", {"cabins": ()}),
        ("bad_cabins", {"cabins": (1, 2, 3)}),
        ("bad_cabins", {"cabins": (5012, 5012)}),
        ("bad_cabins", {"cabins": (0,)}),
        ("bad_cabins", {"cabins": (65536,)}),
        ("unknown_zone", {"zones": ("bridge",)}),
        ("bad_validity", {"not_before_s": 10, "not_after_s": 10}),
        ("bad_validity", {"not_after_s": 2**32}),
        ("bad_currency", {"currency": "eur"}),
        ("bad_limits", {"limits": Limits(-1, 0, 0)}),
        ("pin_invalid", {"pin": "12a4"}),
    ],
)
async def test_a_form_that_cannot_be_names_the_field(rig: Rig, code: str, wrong: dict[str, object]) -> None:
    with pytest.raises(Refused) as refused:
        await rig.check_in(**wrong)  # type: ignore[arg-type]
    assert refused.value.code == code
    assert await rig.store.read(lambda tx: (list(tx.guests()), list(tx.events(0, 10)))) == ([], [])


async def test_one_party_shares_a_stay_and_the_next_gets_another(rig: Rig) -> None:
    first = await rig.check_in("B1", (5012, 5014))
    mate = await rig.check_in("B1", (5012,))
    later = await rig.check_in("B2", (5012,))
    assert first.cabins == (CabinStay(5012, 1), CabinStay(5014, 1))
    assert mate.cabins == (CabinStay(5012, 1),)
    assert later.cabins == (CabinStay(5012, 2),)
    assert len({first.ref, mate.ref, later.ref}) == 3


async def test_nothing_of_the_form_but_what_keys_and_payment_use_is_in_the_event(rig: Rig) -> None:
    guest = await rig.check_in("SECRET-BOOKING", pin="4711")
    (event,) = await rig.store.read(lambda tx: tx.events(0, 10))
    assert event.type is EventType.GUEST_CHECKED_IN
    assert dict(event.payload) == {"guest": guest.ref, "child": False, "crew": False, "zones": 0b11}


async def test_freezing_is_counted_once_and_a_band_handed_in_is_denied(rig: Rig) -> None:
    guest = await rig.check_in()
    band = Band(UID, guest.ref, 1, True, 1, False, BandState.ISSUED)

    def known(tx: object) -> None:
        tx.put_band(band)  # type: ignore[attr-defined]

    await rig.store.write(known)
    await rig.desk.freeze(UID, "lost", "desk")
    await rig.desk.freeze(UID, "lost", "desk")
    assert await rig.store.read(lambda tx: (tx.denied_at(UID), tx.deny_epoch())) == (1, 1)
    await rig.desk.give_back(UID)
    assert await rig.store.read(lambda tx: tx.denied_at(UID)) == 2


async def test_what_is_not_there_is_said(rig: Rig) -> None:
    for attempt in (
        rig.desk.freeze(UID, "lost", "desk"),
        rig.desk.give_back(UID),
        rig.desk.freeze_guest(GuestRef("00" * 8), "lost", "desk"),
        rig.desk.set_pin(GuestRef("00" * 8), "4711"),
        rig.desk.set_limits(GuestRef("00" * 8), LIMITS, "desk"),
        rig.encoder.request(GuestRef("00" * 8), "desk"),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_a_new_pin_unlocks(rig: Rig) -> None:
    guest = await rig.check_in(limits=LIMITS, pin="4711")
    await rig.desk.set_pin(guest.ref, "0815")
    after = await rig.store.read(lambda tx: tx.guest(guest.ref))
    assert after is not None
    assert after.pin != guest.pin
    assert after.pin_failures == 0
    last = (await rig.store.read(lambda tx: tx.events(0, 10)))[-1]
    assert (last.type, dict(last.payload)) == (EventType.PIN_SET, {"guest": guest.ref, "unlocked": False})


async def test_limits_are_changed_with_a_name_to_it(rig: Rig) -> None:
    guest = await rig.check_in()
    raised = Limits(900_000, 90_000, 9_000)
    assert (await rig.desk.set_limits(guest.ref, raised, "desk-2")).limits == raised
    last = (await rig.store.read(lambda tx: tx.events(0, 10)))[-1]
    assert (last.type, last.payload["by"], last.payload["day_minor"]) == (EventType.LIMITS_SET, "desk-2", 90_000)
    with pytest.raises(Refused, match="bad_limits"):
        await rig.desk.set_limits(guest.ref, Limits(1, -1, 0), "desk-2")
