"""Heads of the look-up log: when they are signed, what travels, and what the witness's word does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from tests.contract.makers import ANNA, AT_S
from tests.unit.lookkit import GATEWAY, SHIP, LookLog
from tests.unit.moneykit import AES, KEYS, NOON_S, CountingEntropy, ring

from steward.adapters import keyfile
from steward.adapters.keyfile import Role
from steward.adapters.keyring import FileKeyRing
from steward.adapters.memory_looktree import LookTreeState
from steward.domain.lookleaf import origin
from steward.domain.lookwords import WitnessWord, decode_words, encode_words, head_said
from steward.domain.merkle import is_consistent
from steward.domain.records import LOOK_HEAD, record_input
from steward.domain.signednote import verifies
from steward.errors import KeyNotHeld, Refused
from steward.ports import Tx
from steward.services.lookheads import HEAD_EVERY_LOOKS, HEAD_EVERY_S, LookHeads, RingSigner, is_due


async def test_a_head_is_signed_over_the_tree_as_it_is() -> None:
    log = LookLog()
    assert await log.heads.sign() is None  # nothing to sign yet
    await log.look(3)
    head = await log.heads.sign()
    assert head is not None
    text = head.checkpoint.text.encode()
    assert text.startswith(b"steward/aurora/main/look-ups/1\n3\n")
    assert ring().verify_record(LOOK_HEAD, ring().versions()[0], text, head.signature)
    assert head.key == ring().verify_keys()[ring().versions()[0]]
    assert await log.heads.sign() == head
    (said,) = await log.said()
    assert (said.size, said.root, said.old, said.proof) == (3, head.checkpoint.root, 0, ())


async def test_every_head_says_how_it_extends_the_one_before() -> None:
    log = LookLog()
    for count in (1, 2, 5, 8, 13):
        await log.look(count)
        await log.heads.sign()
    said = await log.said()
    assert [head.size for head in said] == [1, 3, 8, 16, 29]
    for before, head in pairwise(said):
        assert (head.old_epoch, head.old) == (1, before.size)
        assert is_consistent(before.size, before.root, head.size, head.root, head.proof)


async def test_no_event_of_a_head_names_anybody() -> None:
    log = LookLog()
    await log.look(5)
    await log.heads.sign()
    (event,) = [event for event in await log.store.read(lambda tx: tx.events(0, 99)) if event.type == 409]
    assert set(event.payload) == {
        "size",
        "root",
        "key",
        "signature",
        "old_epoch",
        "old",
        "proof",
        "by_key",
        "by_signature",
        "peaks",
    }
    assert ANNA.encode() not in b"".join(part for part in event.payload.values() if isinstance(part, bytes))


async def test_when_a_head_is_due() -> None:
    log = LookLog()

    async def due(after_s: int = 0) -> bool:
        return await log.store.read(lambda tx: is_due(tx, log.clock.now_s + after_s))

    assert not await due()
    await log.look()
    assert await due()
    await log.heads.sign()
    assert not await due(HEAD_EVERY_S * 9)  # nothing new
    await log.look()
    assert not await due(HEAD_EVERY_S - 1)
    assert await due(HEAD_EVERY_S)
    assert await due(-5)  # a clock that was set back must not keep it waiting for years
    await log.look(HEAD_EVERY_LOOKS - 2)
    assert not await due()
    await log.look()
    assert await due()


async def test_the_task_signs_what_is_there_and_shows_what_is_wrong() -> None:
    log, shown = LookLog(), list[str]()
    await log.look(1)
    await log.heads.sign()
    await log.witness(refused="fork")
    await log.look(1)
    log.clock.now_s += HEAD_EVERY_S
    log.heads = LookHeads(log.store, log.clock, RingSigner(ring()), SHIP, GATEWAY, shown.append)
    task = asyncio.create_task(log.heads.run())
    while not shown:  # noqa: ASYNC110 any condition
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [head.size for head in await log.said()] == [1, 2]
    assert shown == ["look_log_refused"]


@pytest.mark.parametrize("role", [Role.DOOR, Role.TILL])
async def test_a_gateway_without_a_signing_key_signs_no_head(role: Role) -> None:
    log = LookLog(role)
    await log.look(3)
    assert await log.heads.sign() is None
    assert await log.said() == []
    with pytest.raises(KeyNotHeld):
        ring(role).sign_record(LOOK_HEAD, b"steward/x")
    with pytest.raises(Refused) as refused:
        await log.proofs.proof_of(1)
    assert refused.value.code == "look_not_signed"


async def test_a_new_voyages_key_is_vouched_for_by_the_one_before() -> None:
    keys = keyfile.rotate(KEYS, CountingEntropy(), NOON_S)
    log = LookLog()
    log.heads = LookHeads(log.store, log.clock, RingSigner(FileKeyRing(keys, AES)), SHIP, GATEWAY)
    await log.look()
    await log.heads.sign()
    (said,) = await log.said()
    text = f"{origin(SHIP, GATEWAY, 1)}\n1\n".encode()
    assert said.by_key == KEYS.versions[-1].verify
    assert said.key == keys.versions[-1].verify
    head = await log.heads.sign()
    assert head is not None
    assert head.checkpoint.text.encode().startswith(text)
    assert verifies(said.by_key, said.by_signature, head.checkpoint.text.encode())


async def test_a_tree_that_does_not_extend_the_last_head_is_never_signed() -> None:
    log = LookLog()
    await log.look(4)
    await log.heads.sign()
    await log.look(2)

    def bend(tx: Tx) -> None:
        state = tx._part(LookTreeState)  # type: ignore[attr-defined]
        state.nodes[2, 0] = bytes(32)
        state.nodes[0, 4] = bytes(32)

    await log.store.read(bend)
    assert await log.heads.sign() is None
    assert await log.heads.sign() is None
    assert await log.alerts() == ["look_log_bent"]  # told once
    assert (await log.heads.state()).problem == "look_log_bent"
    assert len(await log.said()) == 1


# the witness


async def test_the_witnesss_word_is_kept_beside_the_head() -> None:
    log = LookLog()
    await log.look(3)
    await log.heads.sign()
    log.clock.now_s += 100
    await log.witness()
    state = await log.heads.state()
    assert (state.size, state.head_size, state.witnessed_size, state.witnessed_s) == (3, 3, 3, AT_S + 100)
    assert await log.alerts() == []


@pytest.mark.parametrize(
    "changes", [{"signature": bytes(64)}, {"at_s": 5}, {"gateway": "other"}], ids=["signature", "time", "other"]
)
async def test_a_word_that_is_not_the_witnesss_is_not_kept(changes: dict[str, Any]) -> None:
    log = LookLog()
    await log.look(3)
    await log.heads.sign()
    await log.witness(**changes)
    assert (await log.heads.state()).witnessed_size == 0
    assert await log.alerts() == []


async def test_a_refusal_is_told_once() -> None:
    log = LookLog()
    await log.look(3)
    await log.heads.sign()
    word = await log.witness(refused="fork")
    await log.down([replace(word, at_s=word.at_s + 1)])
    assert await log.alerts() == ["look_log_refused"]
    await log.down([replace(word, refused="")])
    await log.down([replace(word, refused="fork")])
    assert await log.alerts() == ["look_log_refused", "look_log_refused"]
    assert (await log.heads.state()).problem == "look_log_refused"


@pytest.mark.parametrize("changes", [{"root": bytes(32)}, {"size": 2}, {"size": 9}])
async def test_a_witnessed_head_that_is_not_ours_is_told(changes: dict[str, Any]) -> None:
    log = LookLog()
    await log.look(3)
    await log.heads.sign()
    await log.witness(**changes)
    assert await log.alerts() == ["look_log_differs"]
    assert (await log.heads.state()).witnessed_size == 0


async def test_a_word_from_before_a_restore_is_passed_over() -> None:
    log = LookLog()
    await log.look(3)
    await log.heads.sign()
    await log.witness(epoch=0, size=99)
    assert await log.alerts() == []


def test_words_that_are_none() -> None:
    word = WitnessWord("main", 1, 2, bytes(32), 3, bytes(64))
    assert decode_words(encode_words([word])) == [word]
    for bad in (
        replace(word, gateway="Main"),
        replace(word, epoch=-1),
        replace(word, root=bytes(31)),
        replace(word, signature=b""),
        replace(word, refused="NO"),
        replace(word, refused="a" * 33),
    ):
        with pytest.raises(ValueError, match="needed|lengths|code"):
            encode_words([bad])
    with pytest.raises(ValueError, match="list of up to"):
        encode_words([word] * 65)


def test_an_event_that_is_no_head() -> None:
    for payload in ({}, {"erased": True}, {"size": True, "old": 0, "old_epoch": 0}, {"size": 0}):
        assert head_said(payload) is None


def test_a_record_of_one_kind_passes_for_no_other() -> None:
    keyring = ring()
    message = b"steward/aurora/main/look-ups/1\n1\nx\n"
    version, head = keyring.sign_record(LOOK_HEAD, message)
    assert keyring.verify_record(LOOK_HEAD, version, message, head)
    for kind in ("receipt", "erasure", "incident"):
        assert not keyring.verify_record(kind, version, message, head)
        _, signature = keyring.sign_record(kind, message)
        assert keyring.verify_record(kind, version, message, signature)
        assert not keyring.verify_record(LOOK_HEAD, version, message, signature)
        assert not keyring.verify_lan(version, message, signature)
    assert not keyring.verify_record("receipt", 99, message, head)
    with pytest.raises(ValueError, match="begins with"):
        record_input(LOOK_HEAD, b"steward-lan-v1\0")
    with pytest.raises(ValueError, match="no kind"):
        record_input("letter", b"")
