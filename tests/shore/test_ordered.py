"""Whose orders to forget a guest are obeyed ashore, what becomes of the others, and when they are looked at again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.shore.conftest import Reopen
from tests.shore.kit import NOW_S, FixedClock, Sender, deliver, prepared, stored, wire
from tests.shore.orderkit import GONE, named, order, proof, public, reasons

from steward.domain.erasure import Part
from steward.domain.erasureorder import SIGNERS_MAX, OrderSaid, order_said
from steward.domain.events import ERASED_PAYLOAD, EventType, Scalar, StoredEvent, is_erased
from steward.domain.ids import GuestRef
from steward.errors import NotFound, Refused
from steward.shore.alarms import AlarmKind, alarms
from steward.shore.erasedfile import ErasedFile
from steward.shore.erasure import Forgetting, erasures
from steward.shore.fleet import fleet
from steward.shore.ingest import Ingest
from steward.shore.ordered import WORD_MAX_S, WORDS, Authority, Why, authorities, judge, name_authority, print_of
from steward.shore.store import ShoreStore
from steward.shore.view import page_facts

OTHER = GuestRef("ffeeddccbbaa9988")
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
SAID = OrderSaid(GONE, Part.ALL, "cert-1", NOW_S + 1)


def about(ref: str, count: int = 6) -> list[StoredEvent]:
    """What a gateway of before the upgrade said of a guest."""
    return [
        StoredEvent(50, seq, EventType.CHARGE_POSTED, NOW_S, {"guest": ref, "amount_minor": seq})
        for seq in range(1, count + 1)
    ]


async def say(store: ShoreStore, *events: StoredEvent, gateway: str = "gw1", ship: str = "aurora") -> None:
    await deliver(Ingest(store, FixedClock()), Sender(events, ship=ship, gateway=gateway))


async def work(store: ShoreStore, folder: Path, now_s: int = NOW_S) -> int:
    return await Forgetting(store, FixedClock(now_s), KEY, ErasedFile(folder / "erased"), lambda: None).work()


async def emptied(store: ShoreStore, ref: str = GONE, gateway: str = "gw2") -> bool:
    """Whether what was sent of the guest is; some of it and not all would be wrong."""
    kept = await stored(store, Sender(about(ref), gateway=gateway))
    found = {is_erased(event) for event in kept if event.type is EventType.CHARGE_POSTED}
    assert len(found) == 1
    return found.pop()


async def obeyed(store: ShoreStore) -> list[tuple[str, int]]:
    return sorted((one.ref, one.part) for one in await store.read(erasures(99)))


async def shown(store: ShoreStore) -> list[str]:
    found = await store.read(alarms())
    assert all(alarm.kind is AlarmKind.ERASURE and alarm.ship == "aurora" for alarm in found)
    return [alarm.detail for alarm in found]


async def test_the_authoritys_signed_order_is_obeyed(store: ShoreStore, tmp_path: Path) -> None:
    await say(store, *about(GONE), gateway="gw2")
    assert await named(store) == 0
    await say(store, order(1))
    assert await work(store, tmp_path) == 1
    assert await emptied(store)
    assert (await reasons(store), await shown(store)) == ([], [])


async def test_what_came_before_anybody_had_named_the_authority_waits_and_is_obeyed_then(
    store: ShoreStore, tmp_path: Path
) -> None:
    await say(store, *about(GONE), gateway="gw2")
    await say(store, *(order(seq, part=part) for seq, part in ((1, 1), (2, 2))), order(3, OTHER))
    assert await work(store, tmp_path) == 0
    assert not await emptied(store)
    assert await reasons(store) == [Why.NOBODY] * 3
    digits = print_of(public(1))
    assert all(WORDS[Why.NOBODY] in line and digits[:4] in line for line in await shown(store))
    assert await named(store) == 3
    assert await work(store, tmp_path) == 3
    assert await emptied(store)
    assert await obeyed(store) == [(GONE, 1), (GONE, 2), (OTHER, 2)]
    assert (await reasons(store), await shown(store)) == ([], [])
    assert await named(store) == 0


async def test_the_fleet_page_says_what_to_do(store: ShoreStore) -> None:
    await say(store, order(1))
    node = type("Node", (), {"started_s": NOW_S})()
    facts = page_facts(node, await store.read(fleet(NOW_S)), {}, [], NOW_S)
    (alarm,) = facts["alarms"]
    assert "not carried out" in alarm["said"]
    assert "steward shore ship authority" in alarm["todo"]
    assert GONE not in str(facts)


# words of other gateways


async def test_another_gateways_word_moves_nothing_and_is_shown_after_a_day(store: ShoreStore, tmp_path: Path) -> None:
    await named(store)
    await say(store, *about(GONE), order(7, epoch=50, keys=()), gateway="gw2")
    assert await work(store, tmp_path, NOW_S + WORD_MAX_S) == 0
    assert (await reasons(store), await shown(store)) == ([Why.WORD], [])
    assert await work(store, tmp_path, NOW_S + WORD_MAX_S + 1) == 0
    assert await work(store, tmp_path, NOW_S + WORD_MAX_S + 9) == 0
    assert (await reasons(store), await shown(store)) == ([Why.UNSIGNED], [WORDS[Why.UNSIGNED]])
    assert (await store.read(alarms()))[0].count == 1
    assert not await emptied(store)
    await say(store, order(1))  # it was true, and the authority was away
    assert (await reasons(store), await shown(store)) == ([], [])


@pytest.mark.parametrize("first", ["word", "order"])
async def test_a_word_is_settled_by_the_order_whichever_comes_first(store: ShoreStore, first: str) -> None:
    await named(store)
    told = [("gw2", order(1, keys=(), gateway="gw2")), ("gw1", order(1))]
    for gateway, event in told if first == "word" else reversed(told):
        await say(store, event, gateway=gateway)
    assert (await reasons(store), await shown(store)) == ([], [])
    assert await obeyed(store) == [(GONE, 2)]


async def test_a_word_on_everything_is_not_settled_by_an_order_for_a_part_nor_by_one_for_another(
    store: ShoreStore,
) -> None:
    await named(store)
    await say(store, order(1, keys=()), gateway="gw2")
    await say(store, order(1, part=1), order(2, OTHER))
    assert await reasons(store) == [Why.WORD]
    await say(store, order(1, part=1), order(2, OTHER), order(3))
    assert await reasons(store) == []


# another gateway takes over


async def test_who_took_the_authority_over_is_obeyed_and_who_had_it_is_not(store: ShoreStore, tmp_path: Path) -> None:
    await named(store)
    await say(store, *about(GONE), order(7, epoch=50, gateway="gw2"), gateway="gw2")
    assert await reasons(store) == [Why.GATEWAY]
    assert await named(store, gateway="gw2") == 1
    assert await work(store, tmp_path) == 1
    assert await emptied(store)
    await say(store, order(1, OTHER))  # the old one was put back from a backup, with its keys
    assert await obeyed(store) == [(GONE, 2)]
    assert await reasons(store) == [Why.GATEWAY]
    assert len(await shown(store)) == 1
    assert await named(store, gateway="gw1") == 1  # it had ordered it before: an operator may say so
    assert await obeyed(store) == [(GONE, 2), (OTHER, 2)]


# new voyages


async def test_a_new_voyages_key_is_vouched_for_by_the_one_before_and_an_old_one_ends(store: ShoreStore) -> None:
    await named(store)
    await say(store, order(1, keys=(2, 1)), order(2, keys=(3, 2, 1)), order(3, OTHER, keys=(2, 1)))
    assert await obeyed(store) == [(GONE, 2), (OTHER, 2)]
    assert (await store.read(authorities()))["aurora"].keys == (print_of(public(3)), print_of(public(2)))
    await say(store, order(4, "1" * 16, keys=(1,)), order(5, "2" * 16, keys=(9, 1)))
    assert await reasons(store) == [Why.KEY, Why.KEY]
    assert len(await obeyed(store)) == 2


async def test_voyages_without_an_order_break_the_chain_only_beyond_the_last_eight(store: ShoreStore) -> None:
    await named(store)
    await say(store, order(1, keys=range(SIGNERS_MAX, 0, -1)))
    assert await obeyed(store) == [(GONE, 2)]
    await say(store, order(2, OTHER, keys=range(30, 30 - SIGNERS_MAX, -1)))
    assert await reasons(store) == [Why.KEY]
    assert await named(store, key=30) == 1
    assert await reasons(store) == []


async def test_what_waited_for_a_key_is_obeyed_when_an_order_brings_it(store: ShoreStore) -> None:
    """The classes of a log overtake each other, and so do batches."""
    await named(store)
    await say(store, order(5, keys=(3,)))
    assert await reasons(store) == [Why.KEY]
    await say(store, order(1, OTHER, keys=(3, 2, 1), epoch=101))
    assert await reasons(store) == []
    assert await obeyed(store) == [(GONE, 2), (OTHER, 2)]


# forged


def bent(**changes: Scalar) -> StoredEvent:
    event = order(1)
    return replace(event, payload={**event.payload, **changes})


FORGED = {
    "another guest": bent(ref=OTHER),
    "another part": replace(order(1, part=1), payload={**order(1, part=1).payload, "part": 2}),
    "another paper": bent(certificate="cert-2"),
    "another time": replace(order(1), at_s=NOW_S + 2),
    "another ship": order(1, ship="borealis"),
    "another gateway": order(1, gateway="gw2"),
    "half of the keys": bent(keys=public(1) + public(2), signatures=bytes(order(1).payload["signatures"]) + bytes(64)),  # type: ignore[arg-type]
    "no signature": bent(signatures=bytes(64)),
    "a vouching key of its own": bent(
        **{
            name: bytes(proof(SAID, keys=(9,))[name]) + bytes(proof(SAID)[name])  # type: ignore[arg-type]
            for name in ("keys", "signatures")
        }
    ),
}


@pytest.mark.parametrize("event", FORGED.values(), ids=FORGED)
async def test_a_forged_order_is_kept_and_shown_and_not_obeyed(
    store: ShoreStore, tmp_path: Path, event: StoredEvent
) -> None:
    await named(store)
    await say(store, *about(GONE), gateway="gw2")
    await say(store, event)
    assert await work(store, tmp_path) == 0
    assert (await obeyed(store), await reasons(store)) == ([], [Why.SIGNATURE])
    assert WORDS[Why.SIGNATURE] in (await shown(store))[0]
    assert not await emptied(store)
    assert await named(store) == 0  # saying it again makes it no better
    assert await reasons(store) == [Why.SIGNATURE]
    assert not ErasedFile(tmp_path / "erased").read()


async def test_an_order_copied_from_another_ship_or_gateway_is_not_obeyed(empty: ShoreStore) -> None:
    """Sister ships that were set up with one key, by mistake."""
    store = await prepared(empty, aurora=("gw1", "gw2"), borealis=("gw1",))
    await named(store)
    await named(store, "borealis")
    await say(store, order(1), ship="borealis")
    await say(store, order(1), gateway="gw2")
    assert await obeyed(store) == []
    assert await reasons(store) == [Why.GATEWAY, Why.SIGNATURE]


SHAPES = {
    "a date before all": replace(order(1), at_s=-1),
    "a date after all": replace(order(1), at_s=10**11 + 1),
    "a date no file can hold": replace(order(1), at_s=10**16),
    "true is no part": bent(part=True),
    "half a key": bent(keys=bytes(31)),
    "more signatures than keys": bent(signatures=bytes(128)),
    "more keys than there may be": bent(keys=bytes(32 * 9), signatures=bytes(64 * 9)),
    "text for keys": bent(keys="a" * 32),
}


@pytest.mark.parametrize("event", SHAPES.values(), ids=SHAPES)
async def test_what_is_no_order_is_kept_and_shown_and_harms_nothing(
    store: ShoreStore, tmp_path: Path, event: StoredEvent
) -> None:
    await named(store)
    assert order_said(event) is None
    await say(store, event)
    assert (await obeyed(store), await reasons(store)) == ([], [Why.SHAPE])
    assert await shown(store) == [WORDS[Why.SHAPE]]
    await say(store, order(2, OTHER, epoch=101))
    assert await work(store, tmp_path) == 1
    assert [one.ref for one in ErasedFile(tmp_path / "erased").read()] == [OTHER]
    assert await reasons(store) == [Why.SHAPE]


async def test_an_order_whose_time_was_over_aboard_says_nothing(store: ShoreStore) -> None:
    await named(store)
    await say(store, replace(order(1), payload=ERASED_PAYLOAD))
    assert (await obeyed(store), await reasons(store), await shown(store)) == ([], [], [])


async def test_a_flood_is_kept_and_lists_few_alarms_and_hides_no_true_order(store: ShoreStore, tmp_path: Path) -> None:
    await named(store)
    await say(store, *(order(seq, f"{seq:016x}", gateway="gw2", keys=(7,)) for seq in range(1, 301)), gateway="gw2")
    await say(store, order(1))
    assert await work(store, tmp_path) == 1
    assert await obeyed(store) == [(GONE, 2)]
    assert await reasons(store) == [Why.GATEWAY] * 300
    assert len(await shown(store)) == 12  # 4 of each batch of 100
    assert await named(store, gateway="gw2") == 0  # named by mistake, with the true key: none of theirs is obeyed
    assert set(await reasons(store)) == {Why.KEY}


# two at once


async def test_naming_the_authority_while_its_orders_come_leaves_none_waiting(reopen: Reopen) -> None:
    first, second = await reopen(), await reopen()
    await prepared(first)
    sender = Sender([order(seq, f"{seq:016x}") for seq in range(1, 41)])
    batches = list(sender.batches(2))

    async def send(store: ShoreStore, part: Sequence[object]) -> None:
        for batch in part:
            assert await Ingest(store, FixedClock()).batch(*wire(batch)) is not None  # type: ignore[arg-type]
            await asyncio.sleep(0)

    await asyncio.gather(send(first, batches[:10]), send(second, batches[10:]), _later(named(second)))
    assert await reasons(first) == []
    assert len(await obeyed(first)) == 40
    assert await shown(first) == []


async def _later(doing: object) -> None:
    for _ in range(5):
        await asyncio.sleep(0)
    await doing  # type: ignore[misc]


async def test_the_same_order_by_two_workers_at_once_is_one(reopen: Reopen, tmp_path: Path) -> None:
    first, second = await reopen(), await reopen()
    await prepared(first)
    await named(first)
    await asyncio.gather(say(first, order(1)), say(second, order(1)))
    assert await obeyed(first) == [(GONE, 2)]
    assert await work(first, tmp_path) == 1


# naming


async def test_only_a_known_gateway_and_a_whole_fingerprint_name_an_authority(store: ShoreStore) -> None:
    digits = print_of(public(1))
    for bad in ("", digits[:31], digits + "0", "g" * 32, "steward"):
        with pytest.raises(Refused):
            await store.write(name_authority("aurora", "gw1", bad, NOW_S))
    for ship, gateway in (("aurora", "gw9"), ("elsewhere", "gw1")):
        with pytest.raises(NotFound):
            await store.write(name_authority(ship, gateway, digits, NOW_S))
    assert await store.read(authorities()) == {}
    shouted = " ".join(digits[at : at + 4] for at in range(0, 32, 4)).upper()
    await store.write(name_authority("aurora", "gw1", shouted, NOW_S))
    assert await store.read(authorities()) == {"aurora": Authority("gw1", (digits,))}


def test_a_signature_costs_only_who_claims_to_be_the_authority(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> bool:
        raise AssertionError("checked a signature")

    monkeypatch.setattr(OrderSaid, "holds", never)
    authority, said = Authority("gw1", (print_of(public(2)),)), order_said(order(1))
    assert judge(authority, "aurora", "gw2", said) == (Why.GATEWAY, authority)
    assert judge(authority, "aurora", "gw1", said) == (Why.KEY, authority)
    assert judge(None, "aurora", "gw1", said) == (Why.NOBODY, None)
