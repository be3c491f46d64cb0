"""Looks that other gateways told of, in both stores: rows like all others, and leaves and heads beside the log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.contract.makers import ANNA, AT_S, BOB
from tests.contract.serviceparts import look

from steward.adapters.store_looks import look_up_event
from steward.domain.events import StoredEvent
from steward.domain.lookleaf import look_leaf
from steward.domain.merkle import Frontier, leaf_hash
from steward.domain.peercharge import BadPeerEvent
from steward.domain.replica import MemberRole
from steward.domain.viewing import Field, LookUp, Way
from steward.errors import Conflict
from steward.ports import Store
from steward.ports.peerlooks import PeerHead
from steward.ports.privacy import Finding, GlassReview, LookQuery
from steward.services.allowances import Member
from steward.services.lookpeers import take_peer_look

BAR = Member("bar", MemberRole.TILL)


@dataclass(frozen=True)
class Said:
    event: StoredEvent
    member: Member = BAR
    now_s: int = AT_S


LEAVES = [leaf_hash(bytes([n])) for n in range(6)]


def made_at(gateway: str, **changes: Any) -> LookUp:
    return replace(look({Field.LANGUAGE}), gateway=gateway, **changes)


def head_of(size: int, gateway: str = "bar", epoch: int = 1) -> PeerHead:
    tree = Frontier()
    for leaf in LEAVES[:size]:
        tree.add(leaf)
    return PeerHead(gateway, epoch, size, tree.root, tuple(tree.nodes))


async def test_it_is_a_row_like_all_others_and_says_where_it_was_made(store: Store) -> None:
    await store.write(lambda tx: tx.log_look_up(look({Field.LANGUAGE})))
    entered = await store.write(lambda tx: tx.enter_peer_look(made_at("bar", at_s=AT_S - 5000), AT_S + 7))
    assert (entered.seq, entered.gateway, entered.at_s) == (2, "bar", AT_S - 5000)
    (own,) = await store.read(lambda tx: tx.look_ups(0, 1))
    assert await store.read(lambda tx: tx.look_ups_of(ANNA, 9)) == [entered, own]
    assert (await store.read(lambda tx: tx.looks_before(99, 9, guest=ANNA)))[0] == entered
    (_, row) = await store.read(lambda tx: tx.look_rows(0, 9))
    assert row.look == entered
    assert row.salts is not None
    assert row.logged_s == AT_S + 7  # when it was told, whatever its own clock said
    assert row.leaf == look_leaf(entered, AT_S + 7, row.salts)
    assert row.leaf != look_leaf(replace(entered, gateway=""), AT_S + 7, row.salts)
    assert len(await store.read(lambda tx: tx.events(0, 9))) == 1  # its event is in the other gateway's log


async def test_it_is_found_by_where_it_was_made_and_counted_there(store: Store) -> None:
    await store.write(lambda tx: tx.log_look_up(look({Field.LANGUAGE})))
    for gateway in ("bar", "spa", "bar"):
        await store.write(lambda tx, g=gateway: tx.enter_peer_look(made_at(g), AT_S))  # type: ignore[misc]

    async def found(gateway: str | None) -> list[int]:
        query = LookQuery(gateway=gateway)
        return [each.seq for each in await store.read(lambda tx: tx.find_looks(query, 99, 9))]

    assert [await found(gateway) for gateway in (None, "", "bar", "spa", "x")] == [[4, 3, 2, 1], [1], [4, 2], [3], []]
    query = LookQuery(guest=ANNA, gateway="bar")
    assert len(await store.read(lambda tx: tx.find_looks(query, 99, 9))) == 2
    assert await store.read(lambda tx: dict(tx.look_up_counts())) == {"safety": 1}


async def test_a_forgotten_guest_takes_it_along_and_the_leaf_stays(store: Store) -> None:
    for ref in (ANNA, BOB):
        await store.write(lambda tx, r=ref: tx.enter_peer_look(made_at("bar", guest=r), AT_S))  # type: ignore[misc]
    before = await store.read(lambda tx: tx.look_rows(0, 9))
    assert await store.write(lambda tx: tx.drop_look_contents(ANNA)) == 1
    gone, kept = await store.read(lambda tx: tx.look_rows(0, 9))
    assert (gone.look, gone.blank, gone.salts, gone.leaf) == (None, True, None, before[0].leaf)
    assert kept == before[1]


async def test_an_emergency_there_is_reviewed_here(store: Store) -> None:
    made = await store.write(lambda tx: tx.enter_peer_look(made_at("bar", way=Way.BROKE_GLASS), AT_S))
    assert await store.read(lambda tx: tx.look_ups(0, 9)) == [made]  # its reason stays where it was given
    assert await store.read(lambda tx: tx.unreviewed_glass()) == 1
    await store.write(lambda tx: tx.put_review(GlassReview(1, "officer", AT_S, Finding.JUSTIFIED)))
    assert await store.read(lambda tx: tx.unreviewed_glass()) == 0


@pytest.mark.parametrize(
    "wrong", [{"gateway": ""}, {"guest": ""}, {"fields": frozenset()}, {"reason": "because"}], ids=str
)
async def test_what_is_no_look_of_another_gateway_is_not_entered(store: Store, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="another gateway"):
        await store.write(lambda tx: tx.enter_peer_look(replace(made_at("bar"), **wrong), AT_S))
    assert await store.read(lambda tx: (list(tx.look_ups(0, 9)), tx.look_tree_size())) == ([], 0)


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize("field", ["actor", "role", "outlet", "guest", "purpose", "fields", "kind", "leaf", ""])
async def test_whatever_another_gateway_tells_is_entered_or_set_aside(store: Store, way: Way, field: str) -> None:
    """Nothing that it says is refused by the store: that would hold up everybody else's messages."""
    told = look_up_event(made_at("bar", seq=1, way=way), LEAVES[0])
    payload = {**told.payload, **({field: ""} if field else {})}
    said = Said(StoredEvent(1, 1, told.type, told.at_s, payload))
    if field:
        with pytest.raises(BadPeerEvent):
            await store.write(lambda tx: list(take_peer_look(None, tx, said)))
    else:
        await store.write(lambda tx: list(take_peer_look(None, tx, said)))
    assert len(await store.read(lambda tx: tx.look_ups(0, 9))) == (0 if field else 1)


async def test_leaves_are_kept_by_gateway_and_store_and_told_once(store: Store) -> None:
    for gateway, epoch, seq in (("bar", 1, 1), ("bar", 1, 3), ("bar", 2, 1), ("spa", 1, 1)):
        await store.write(lambda tx, k=(gateway, epoch, seq): tx.put_peer_look(*k, LEAVES[k[2]]))  # type: ignore[misc]
    assert await store.read(lambda tx: tx.peer_looks("bar", 1, 0, 9)) == [(1, LEAVES[1]), (3, LEAVES[3])]
    assert await store.read(lambda tx: tx.peer_looks("bar", 1, 1, 1)) == [(3, LEAVES[3])]
    assert await store.read(lambda tx: tx.peer_looks("deck", 1, 0, 9)) == []
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_peer_look("bar", 1, 3, LEAVES[4]))
    assert await store.read(lambda tx: tx.peer_looks("bar", 1, 1, 9)) == [(3, LEAVES[3])]


async def test_heads_are_in_order_and_told_once(store: Store) -> None:
    heads = [head_of(2), head_of(5), head_of(3, epoch=2), head_of(1, "spa")]
    for one in reversed(heads):
        await store.write(lambda tx, h=one: tx.put_peer_head(h))  # type: ignore[misc]
    assert await store.read(lambda tx: tx.peer_heads(("", 0, 0), 9)) == heads
    assert await store.read(lambda tx: tx.peer_heads(("bar", 1, 2), 2)) == heads[1:3]
    assert await store.read(lambda tx: (tx.peer_head("bar", 1, 5), tx.peer_head("bar", 1, 4))) == (heads[1], None)
    before = [await store.read(lambda tx, s=size: tx.peer_head_before("bar", 1, s)) for size in (2, 3, 5, 6)]  # type: ignore[misc]
    assert before == [None, heads[0], heads[0], heads[1]]
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_peer_head(heads[1]))
