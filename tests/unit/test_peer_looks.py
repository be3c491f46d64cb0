"""Looks at other gateways: each is entered at the authority as it is told, once, and can be taken back by nobody."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest
from tests.contract.makers import ANNA, AT_S, BOB
from tests.unit.lookkit import LookLog
from tests.vaultkit import DATA_KEY as BAR_KEY

from steward.adapters.keyfile import Role
from steward.adapters.memory import MemoryStore
from steward.domain.erasure import Done, Erasure, Part
from steward.domain.events import ERASED_PAYLOAD, EventType, Scalar, StoredEvent
from steward.domain.lookproof import ProofFault, check_proof, read_proof
from steward.domain.outlets import OutletKind
from steward.domain.peercharge import BadPeerEvent
from steward.domain.replica import MemberRole
from steward.domain.viewing import LookUp, Way
from steward.ports import Store
from steward.services.allowances import Member
from steward.services.lookcheck import LookCheck, LookChecker, TrustedKeys
from steward.services.lookheads import LookHeads
from steward.services.lookpeers import FORKED, take_peer_head, take_peer_look

BAR = Member("bar", MemberRole.TILL, frozenset())
DAY_S = 24 * 3600


@dataclass(frozen=True)
class Said:
    event: StoredEvent
    member: Member = BAR
    now_s: int = AT_S


class Authority:
    """What the followers tell is handed over by hand. log: the authority's own."""

    def __init__(self, store: Store | None = None) -> None:
        self.log = LookLog(store=store or MemoryStore())

    @property
    def store(self) -> Store:
        return self.log.store

    async def hear(self, *events: StoredEvent, member: Member = BAR, now_s: int = AT_S) -> list[str]:
        alerts: list[str] = []
        for event in events:
            take = take_peer_head if event.type is EventType.LOOK_HEAD_SIGNED else take_peer_look
            alerts += await self.store.write(lambda tx, e=event, t=take: list(t(None, tx, Said(e, member, now_s))))  # type: ignore[misc]
        return alerts

    async def looks(self) -> list[LookUp]:
        return list(await self.store.read(lambda tx: tx.look_ups(0, 999)))

    async def check(self) -> LookCheck:
        return await self.store.read(lambda tx: LookChecker(tx, "main", TrustedKeys((), ())).check())


class Bar(LookLog):
    """A till gateway with a log of its own."""

    def __init__(self) -> None:
        super().__init__(Role.TILL)
        self.heads = LookHeads(self.store, self.clock, BAR_KEY, "aurora", "bar")

    async def told(self) -> list[StoredEvent]:
        return await self.events(EventType.LOOKED_UP)

    async def head(self) -> StoredEvent:
        assert await self.heads.sign() is not None
        return (await self.events(EventType.LOOK_HEAD_SIGNED))[-1]


def with_payload(event: StoredEvent, **changes: Scalar) -> StoredEvent:
    payload: Mapping[str, Scalar] = {**event.payload, **changes}
    return replace(event, payload={key: value for key, value in payload.items() if value is not None})


async def test_a_look_at_another_gateway_is_on_the_list_with_a_proof_that_names_it() -> None:
    authority, bar = Authority(), Bar()
    await authority.log.look()
    await bar.look()
    assert await authority.hear(*await bar.told(), now_s=AT_S + 60) == []
    own, told = await authority.looks()
    (origin,) = await bar.store.read(lambda tx: tx.look_ups(0, 9))
    assert (own.gateway, told) == ("", replace(origin, seq=2, gateway="bar"))
    authority.log.clock.now_s += 61
    proof = json.dumps(await authority.log.proofs.proof_of(2)).encode()
    row = check_proof(read_proof(proof)).row
    assert (row.gateway, row.at_s, row.logged_s, row.guest) == ("bar", AT_S, AT_S + 60, ANNA)
    for bent in (b'"gateway": "spa"', b'"gateway": ""', b'"gateway": 7'):
        with pytest.raises(ProofFault):
            check_proof(read_proof(proof.replace(b'"gateway": "bar"', bent)))
    without = json.loads(proof)
    del without["row"]["gateway"]
    with pytest.raises(ProofFault) as refused:
        check_proof(read_proof(json.dumps(without).encode()))
    assert refused.value.code == "not_in_log"
    assert (await authority.check()).fits


async def test_told_days_late_and_by_a_clock_that_is_ahead_it_still_fits() -> None:
    authority, bar = Authority(), Bar()
    await bar.look()
    bar.clock.now_s += 3 * DAY_S
    await bar.look()
    await authority.hear(*await bar.told(), now_s=AT_S + DAY_S)
    authority.log.clock.now_s += DAY_S
    await authority.log.look()
    found = await authority.check()
    assert (found.fits, found.rows, found.told) == (True, 3, 2)


async def test_a_look_is_entered_whatever_consent_and_policy_say_by_now() -> None:
    authority, bar = Authority(), Bar()
    await bar.look()
    (event,) = await bar.told()
    await authority.hear(with_payload(event, fields="allergies photo", role="service", way="broke_glass"))
    (look,) = await authority.looks()
    assert (look.way, look.reason) == (Way.BROKE_GLASS, "")


async def test_an_older_program_tells_no_leaf_and_no_kind() -> None:
    authority, bar = Authority(), Bar()
    await bar.look()
    (event,) = await bar.told()
    assert await authority.hear(with_payload(event, leaf=None, kind=None)) == []
    (look,) = await authority.looks()
    assert look.outlet_kind is OutletKind.SERVICE
    assert await authority.store.read(lambda tx: tx.peer_looks("bar", 1, 0, 9)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"look": 0},
        {"look": "1"},
        {"leaf": b"short"},
        {"leaf": "x" * 32},
        {"fields": ""},
        {"fields": "shoe_size"},
        {"fields": "x" * 2000},
        {"fields": " "},
        {"purpose": "curiosity"},
        {"way": "erased"},
        {"kind": "casino"},
        {"guest": ""},
        {"guest": "a\nb"},
        {"actor": ""},
        {"role": ""},
        {"role": "guest", "purpose": "own_data"},
        {"outlet": 7},
        {"outlet": ""},
    ],
    ids=str,
)
async def test_what_is_no_look_is_set_aside(wrong: dict[str, Scalar]) -> None:
    authority, bar = Authority(), Bar()
    await bar.look()
    (event,) = await bar.told()
    with pytest.raises(BadPeerEvent):
        await authority.hear(with_payload(event, **wrong))
    assert await authority.looks() == []


@pytest.mark.parametrize("at_s", [-1, 2**32, 2**60])
async def test_a_time_that_no_clock_shows_is_set_aside(at_s: int) -> None:
    """Or no page could show it."""
    authority, bar = Authority(), Bar()
    await bar.look()
    (event,) = await bar.told()
    with pytest.raises(BadPeerEvent):
        await authority.hear(replace(event, at_s=at_s))


async def test_a_gateway_speaks_only_of_itself() -> None:
    """The name is that of its topic; what it says inside makes no other of it."""
    authority, bar = Authority(), Bar()
    await bar.look()
    (event,) = await bar.told()
    spa = replace(BAR, name="spa")
    await authority.hear(with_payload(event, gateway="bar"), member=spa)
    (look,) = await authority.looks()
    assert look.gateway == "spa"
    assert await authority.store.read(lambda tx: tx.peer_looks("bar", 1, 0, 9)) == []


async def test_of_who_is_forgotten_only_the_leaf_is_kept() -> None:
    authority, bar = Authority(), Bar()
    await bar.look(ref=ANNA)
    await bar.look(ref=BOB)
    done = Erasure(ANNA, "c" * 32, AT_S, "guest", done=(Done(Part.ALL, AT_S, {}),))
    await authority.store.write(lambda tx: tx.put_erasure(done))
    first, second = await bar.told()
    assert await authority.hear(first, second, await bar.head()) == []
    assert [look.guest for look in await authority.looks()] == [BOB]
    found = await authority.check()
    assert (found.peer_heads, found.peer_open, found.fits) == (1, 0, True)


async def test_a_look_that_was_emptied_before_it_was_told_is_said_to_be_missing() -> None:
    authority, bar = Authority(), Bar()
    await bar.look(3)
    first, second, third = await bar.told()
    assert await authority.hear(first, replace(second, payload=ERASED_PAYLOAD), third, await bar.head()) == []
    found = await authority.check()
    assert (found.peer_heads, found.peer_open) == (0, 1)
    await bar.look(2)  # from the next head on all of it is compared again
    assert await authority.hear(*(await bar.told())[3:], await bar.head()) == []
    found = await authority.check()
    assert (found.peer_heads, found.peer_open, found.fits) == (1, 1, True)


@pytest.mark.parametrize("head_first", [False, True])
async def test_heads_and_looks_come_in_any_order(head_first: bool) -> None:
    authority, bar = Authority(), Bar()
    for count in (1, 4, 700):
        known = len(await bar.told())
        await bar.look(count)
        head, looks = await bar.head(), (await bar.told())[known:]
        assert await authority.hear(*([head, *looks] if head_first else [*looks, head])) == []
    found = await authority.check()
    assert (found.peer_heads, found.peer_open, found.told, found.fits) == (3, 0, 705, True)


@pytest.mark.parametrize("head_first", [False, True])
@pytest.mark.parametrize("told", [1, 4, 7])
async def test_a_row_changed_after_it_was_told_is_found_at_the_next_head(told: int, head_first: bool) -> None:
    """The follower's whole log is written anew with that row changed, and its own key signs it."""
    authority, bar = Authority(), Bar()
    await bar.look(7)
    events = await bar.told()
    bent = [with_payload(each, leaf=b"x" * 32) if n == told else each for n, each in enumerate(events, 1)]
    head = await bar.head()
    assert await authority.hear(*([head, *bent] if head_first else [*bent, head])) == [FORKED]
    found = await authority.check()
    assert [(each.gateway, each.size) for each in found.peer_bent] == [("bar", 7)]
    assert not found.fits


async def test_a_row_dropped_after_it_was_told_is_found_at_the_next_head() -> None:
    authority, bar, thief = Authority(), Bar(), Bar()
    await bar.look(5)
    await authority.hear(*await bar.told())
    await thief.look(4)  # the log without the row, signed with the same key
    assert await authority.hear(await thief.head()) == [FORKED]
    assert not (await authority.check()).fits


async def test_two_looks_of_one_number_are_both_entered_and_told() -> None:
    authority, bar = Authority(), Bar()
    await bar.look()
    (event,) = await bar.told()
    assert await authority.hear(event) == []
    assert await authority.hear(replace(event, seq=99, at_s=AT_S + 1)) == [FORKED]
    assert len(await authority.looks()) == 2


async def test_a_restored_follower_begins_a_log_of_its_own() -> None:
    authority, bar = Authority(), Bar()
    await bar.look(4)
    events = await bar.told()
    await authority.hear(*events, await bar.head())
    other = Bar()
    await other.look(4)
    again = [replace(event, epoch=2) for event in (await other.told())[2:]]
    head = replace(await other.head(), epoch=2)
    assert await authority.hear(*again, head) == [FORKED]  # rows are lost, and staff are told so
    found = await authority.check()
    assert (found.told, found.peer_heads, found.peer_open, found.fits) == (6, 1, 1, True)
