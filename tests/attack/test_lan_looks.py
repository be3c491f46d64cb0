"""Looks as gateways tell of them on the ship's network: resent, late, after restarts, and by ones that lie."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.attack.lanattacks import aboard
from tests.contract.makers import AT_S
from tests.contract.serviceparts import look
from tests.unit.lankit import SHIP, Fleet, up
from tests.unit.test_erasure_ship import forget, is_clean, leave, obey, wait_out

from steward.domain.batches import Batch, encode_batch
from steward.domain.erasure import Done, Erasure, Part
from steward.domain.events import EventType, StoredEvent
from steward.domain.ids import GuestRef
from steward.domain.viewing import Field, LookUp

INSIGHT = 5


async def looked(fleet: Fleet, name: str, ref: GuestRef, count: int = 1) -> list[StoredEvent]:
    """Crew at this gateway look at the guest; the events of it."""
    for n in range(count):
        made = look({Field.CABIN}, ref, at_s=AT_S + n)
        await fleet[name].store.write(lambda tx, m=made: tx.log_look_up(m))  # type: ignore[misc]
    events = await fleet[name].store.read(lambda tx: tx.events(0, 999))
    return [event for event in events if event.type is EventType.LOOKED_UP][-count:]


async def at_authority(fleet: Fleet) -> list[LookUp]:
    return list(await fleet.authority.store.read(lambda tx: tx.look_ups(0, 999)))


async def tell(fleet: Fleet, name: str, *events: StoredEvent, topic: str = "", prev: int = 0) -> None:
    batch = Batch(SHIP, name, events[0].epoch, 1, INSIGHT, events, events[-1].seq, prev)
    await fleet.authority.peers.hear(up(topic or name, INSIGHT), encode_batch(batch))
    fleet.lan.flight.clear()


async def test_each_look_is_entered_once_whatever_is_sent_again_and_whoever_starts_again() -> None:
    fleet, ref, _ = await aboard()
    events = await looked(fleet, "bar", ref, 5)
    await tell(fleet, "bar", *events[2:], prev=events[1].seq)  # early: it waits for what is in front
    assert await at_authority(fleet) == []
    await tell(fleet, "bar", *events[:3])
    await tell(fleet, "bar", *events[:3])
    fleet.authority.restart()
    fleet["bar"].restart()
    await tell(fleet, "bar", *events)
    await tell(fleet, "bar", events[1])
    await fleet.sync()
    found = await at_authority(fleet)
    assert [(each.gateway, each.at_s, each.guest) for each in found] == [("bar", AT_S + n, ref) for n in range(5)]
    assert await fleet.alerts() == []


async def test_what_was_looked_at_while_the_line_was_cut_comes_when_it_is_mended() -> None:
    fleet, ref, _ = await aboard()
    fleet.lan.cut.add("bar")
    await looked(fleet, "bar", ref, 3)
    await looked(fleet, "spa", ref)
    await fleet.sync()
    assert [each.gateway for each in await at_authority(fleet)] == ["spa"]
    fleet.lan.cut.clear()
    await fleet.sync()
    assert [each.gateway for each in await at_authority(fleet)] == ["spa", "bar", "bar", "bar"]


async def test_a_look_in_another_gateways_name_is_not_entered() -> None:
    fleet, ref, _ = await aboard()
    events = await looked(fleet, "bar", ref)
    await tell(fleet, "bar", *events, topic="spa")
    await tell(fleet, "nobody", *events)
    assert await at_authority(fleet) == []
    assert await fleet.alerts() == ["lan_foreign"] * 2


async def test_a_stolen_door_writes_no_looks_onto_anybodys_page() -> None:
    fleet, ref, _ = await aboard()
    events = await looked(fleet, "bar", ref)
    await tell(fleet, "deck", *events)
    assert await at_authority(fleet) == []
    assert await fleet.alerts() == ["peer_unreadable"]


async def test_a_look_that_is_told_after_its_guest_was_forgotten_leaves_only_its_leaf() -> None:
    fleet, ref, _ = await aboard()
    await looked(fleet, "spa", ref)
    await fleet.sync()
    fleet.lan.cut.add("bar")
    await looked(fleet, "bar", ref, 2)
    await leave(fleet, ref, despite_away=True)
    wait_out(fleet)
    await forget(fleet, ref)
    assert await at_authority(fleet) == []
    await fleet.settle_down()
    assert await at_authority(fleet) == []
    assert len(await fleet.authority.store.read(lambda tx: tx.peer_looks("bar", tx.epoch(), 0, 9))) == 2
    for name in ("bar", "spa"):
        assert await obey(fleet[name]) == 1
        assert await is_clean(fleet[name], ref)
        assert await fleet[name].store.read(lambda tx: tx.look_ups(0, 9)) == []
    assert await fleet.authority.store.read(lambda tx: tx.look_tree_size()) == 1


@pytest.mark.parametrize("part_s", [-1, 0, 1])
async def test_who_stays_aboard_after_an_erasure_is_rid_of_what_was_before(part_s: int) -> None:
    fleet, ref, _ = await aboard()
    events = await looked(fleet, "bar", ref)
    done = Erasure(ref, "c" * 32, AT_S, "guest", done=(Done(Part.OPTIONAL, AT_S + part_s, {}),))
    await fleet.authority.store.write(lambda tx: tx.put_erasure(done))
    await tell(fleet, "bar", *events)
    assert len(await at_authority(fleet)) == (1 if part_s < 0 else 0)


@pytest.mark.parametrize("wrong", [{"outlet": ""}, {"fields": "wallet"}, {"look": -1}, {"leaf": b""}, {"way": "x"}])
async def test_what_is_no_look_is_told_and_holds_up_nothing(wrong: dict[str, str]) -> None:
    fleet, ref, _ = await aboard()
    bad, good = await looked(fleet, "bar", ref, 2)
    await tell(fleet, "bar", replace(bad, payload={**bad.payload, **wrong}), good)
    assert [each.at_s for each in await at_authority(fleet)] == [good.at_s]
    assert await fleet.alerts() == ["peer_unreadable"]
