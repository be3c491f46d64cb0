"""The authority as witness of its followers' look-up logs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from tests.contract.makers import AT_S
from tests.unit.lookkit import LookLog
from tests.unit.moneykit import ring
from tests.vaultkit import DATA_KEY

from steward.adapters.keyfile import Role
from steward.adapters.memory import MemoryStore
from steward.adapters.vault import DataKey
from steward.domain.events import EventType, Scalar, StoredEvent
from steward.domain.peercharge import BadPeerEvent
from steward.domain.replica import MemberRole
from steward.services.allowances import Member
from steward.services.lookheads import LookHeads
from steward.services.lookpeers import FORKED, take_peer_head
from steward.wiring import head_signer

BAR = Member("bar", MemberRole.TILL, frozenset())


@dataclass(frozen=True)
class Said:
    event: StoredEvent
    member: Member = BAR
    now_s: int = AT_S


class Authority:
    def __init__(self) -> None:
        self.store = MemoryStore()

    async def hear(self, event: StoredEvent, member: Member = BAR) -> list[str]:
        return list(await self.store.write(lambda tx: take_peer_head(None, tx, Said(event, member))))


async def heads_of(log: LookLog, *counts: int) -> list[StoredEvent]:
    """A till gateway's heads after so many looks each."""
    log.heads = LookHeads(log.store, log.clock, DATA_KEY, "aurora", "bar")
    for count in counts:
        await log.look(count)
        await log.heads.sign()
    return await log.events(EventType.LOOK_HEAD_SIGNED)


async def test_a_till_signs_its_own_log_with_a_key_of_its_own() -> None:
    log = LookLog(Role.TILL)
    await heads_of(log, 2)
    (said,) = await log.said()
    assert said.key == DATA_KEY.heads_key
    assert said.key not in ring().verify_keys().values()
    assert DataKey(bytes(32)).heads_key != said.key
    assert head_signer(ring(Role.TILL), DATA_KEY) is DATA_KEY
    assert head_signer(ring(Role.AUTHORITY), DATA_KEY) is not DATA_KEY
    with pytest.raises(ValueError, match="begins with"):
        DATA_KEY.sign_head(b"steward-token-v1\0")


async def test_heads_that_extend_each_other_are_taken_in_silence() -> None:
    authority = Authority()
    for event in await heads_of(LookLog(), 1, 5, 9, 2):
        assert await authority.hear(event) == []


async def test_a_log_that_was_written_anew_is_told_until_it_is_put_right() -> None:
    authority, log = Authority(), LookLog()
    events = await heads_of(log, 4, 3)
    await authority.hear(events[0])
    for event in await heads_of(LookLog(), 4, 2):
        assert await authority.hear(event) == [FORKED]
    assert await authority.hear(events[1]) == []
    alerts = await authority.store.read(lambda tx: tx.events(0, 99))
    assert [event.payload["gateway"] for event in alerts] == ["bar", "bar"]


async def test_each_follower_has_a_log_of_its_own() -> None:
    authority = Authority()
    one, two = await heads_of(LookLog(), 1, 1), await heads_of(LookLog(), 3, 1)
    spa = replace(BAR, name="spa")
    for first, second in zip(one, two, strict=True):
        assert await authority.hear(first) == []
        assert await authority.hear(second, spa) == []


async def test_a_restored_follower_that_lost_rows_is_told_once() -> None:
    authority, log = Authority(), LookLog()
    events = await heads_of(log, 4, 3)
    for event in events:
        await authority.hear(event)
    left = [replace(event, epoch=2) for event in await heads_of(LookLog(), 2, 5)]
    second = {**left[1].payload, "old_epoch": 2}
    assert await authority.hear(left[0]) == [FORKED]
    assert await authority.hear(replace(left[1], payload=second)) == []


async def test_an_event_that_is_no_head_is_set_aside() -> None:
    (event,) = await heads_of(LookLog(), 1)
    peaks = event.payload["peaks"]
    assert isinstance(peaks, bytes)
    wrong: list[dict[str, Scalar]] = [
        {"size": 0},
        {"peaks": peaks[:-1]},
        {"peaks": peaks * 2},
        {"peaks": bytes(32)},
        {"peaks": "x"},
    ]
    payloads: list[dict[str, Scalar]] = [{}, {"erased": True}, *({**event.payload, **one} for one in wrong)]
    for payload in payloads:
        with pytest.raises(BadPeerEvent):
            await Authority().hear(replace(event, payload=payload))
