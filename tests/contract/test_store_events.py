"""The event log: in order, without holes, scalars only."""

from __future__ import annotations

import pytest
from tests.contract.makers import AT_S, event

from steward.domain.events import EventType, NewEvent, StoredEvent
from steward.errors import Refused
from steward.ports import Store, Tx


async def test_events_come_back_in_order_with_their_payload(store: Store) -> None:
    seqs = await store.write(lambda tx: [tx.append_event(event(n)) for n in range(1, 4)])
    epoch = await store.read(lambda tx: tx.epoch())
    found = await store.read(lambda tx: list(tx.events(0, 10)))
    assert seqs == [1, 2, 3]
    assert found == [StoredEvent(epoch, n, EventType.DOOR_OPENED, AT_S + n, event(n).payload) for n in range(1, 4)]
    assert found[0].payload["code"] is True
    assert isinstance(found[0].type, EventType)


async def test_events_are_read_in_pages(store: Store) -> None:
    await store.write(lambda tx: [tx.append_event(event(n)) for n in range(1, 8)])
    pages = await store.read(lambda tx: [[e.seq for e in tx.events(after, 3)] for after in (-5, 0, 3, 6, 7, 99)])
    assert pages == [[1, 2, 3], [1, 2, 3], [4, 5, 6], [7], [], []]
    assert await store.read(lambda tx: [list(tx.events(0, limit)) for limit in (0, -1)]) == [[], []]


async def test_a_transaction_that_failed_leaves_no_hole(store: Store) -> None:
    def refused(tx: Tx) -> None:
        assert tx.append_event(event(2)) == 2
        raise Refused("limit")

    await store.write(lambda tx: tx.append_event(event(1)))
    with pytest.raises(Refused):
        await store.write(refused)
    assert await store.write(lambda tx: tx.append_event(event(3))) == 2
    assert [e.payload["serial"] for e in await store.read(lambda tx: tx.events(0, 9))] == [1, 3]


@pytest.mark.parametrize("bad", [1.5, [1], {"a": 1}, (1,)])
async def test_only_scalars_go_into_a_payload(store: Store, bad: object) -> None:
    with pytest.raises(ValueError, match="scalar"):
        await store.write(lambda tx: tx.append_event(NewEvent(EventType.STAFF_ALERT, AT_S, {"place": bad})))  # type: ignore[dict-item]
    assert await store.read(lambda tx: list(tx.events(0, 9))) == []


async def test_a_payload_is_bounded(store: Store) -> None:
    with pytest.raises(ValueError, match="bytes"):
        await store.write(lambda tx: tx.append_event(NewEvent(EventType.STAFF_ALERT, AT_S, {"place": "y" * 5000})))
    assert await store.read(lambda tx: list(tx.events(0, 9))) == []


async def test_changing_what_was_read_changes_nothing_kept(store: Store) -> None:
    await store.write(lambda tx: tx.append_event(event(1)))
    (first,) = await store.read(lambda tx: tx.events(0, 1))
    first.payload.clear()  # type: ignore[attr-defined]
    (again,) = await store.read(lambda tx: tx.events(0, 1))
    assert again.payload == event(1).payload
