"""Proofs of look-ups: each stands for itself, and nothing in it can be changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.contract.makers import ANNA, AT_S, BOB
from tests.unit.lookkit import GATEWAY, SHIP, SHORE, LookLog
from tests.unit.moneykit import AES, NOON_S, ring

from steward.adapters import keyfile
from steward.adapters.keyring import FileKeyRing
from steward.adapters.system import OsEntropy
from steward.domain.lookproof import (
    LookProof,
    ProofFault,
    check_proof,
    keys_named,
    proof_of_json,
    read_proof,
)
from steward.domain.lookwords import WITNESS
from steward.domain.records import key_fingerprint
from steward.domain.viewing import Way
from steward.errors import NotFound
from steward.services.lookheads import LookHeads, RingSigner
from steward.services.lookproof import LookProofs


async def proof(log: LookLog, seq: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(await log.proofs.proof_of(seq)))
    return found


async def test_a_proof_of_each_row_stands_for_itself() -> None:
    log = LookLog()
    await log.look(5)
    await log.heads.sign()
    log.clock.now_s += 60
    await log.witness()
    await log.look(2, BOB, way=Way.TAPPED)
    for seq in range(1, 8):
        found = await proof(log, seq)
        proven = check_proof(proof_of_json(found))
        assert proven.row.seq == seq
        assert proven.row.guest == (ANNA if seq < 6 else BOB)
        assert proven.row.way == ("opened" if seq < 6 else "tapped")
        assert proven.witnessed_s == (AT_S + 60 if seq < 6 else None)
        assert proven.checkpoint.size == (5 if seq < 6 else 7)
        assert "c9" not in json.dumps(found["row"])
        assert set(found["row"]) >= {"role", "outlet", "purpose", "at_s", "fields"}


async def test_a_proof_says_under_which_keys() -> None:
    log = LookLog()
    await log.look()
    await log.heads.sign()
    await log.witness()
    found = await proof(log)
    (key,) = found["keys"]
    public = ring().verify_keys()[1]
    assert key["fingerprint"] == key_fingerprint(public)
    assert key["fingerprint"].startswith(keyfile.fingerprint(public))
    assert found["witness"]["name"] == WITNESS
    assert found["witness"]["fingerprint"] == key_fingerprint(SHORE)
    proven = check_proof(proof_of_json(found))
    assert keys_named(proven, keyfile.fingerprint(public).upper())
    assert not keys_named(proven, keyfile.fingerprint(SHORE))
    assert not keys_named(proven, key["fingerprint"][:4])


async def test_a_proof_is_of_a_row_there_is() -> None:
    log = LookLog()
    await log.look(2)
    for seq in (0, -1, 3, 10**9):
        with pytest.raises(NotFound):
            await log.proofs.proof_of(seq)
    await log.store.write(lambda tx: tx.drop_look_contents(ANNA))
    with pytest.raises(NotFound):
        await log.proofs.proof_of(1)


async def test_a_proof_that_was_kept_still_holds_after_an_erasure() -> None:
    log = LookLog()
    await log.look(2, BOB)
    kept = await proof(log)
    await log.store.write(lambda tx: tx.drop_look_contents(BOB))
    await log.look(4)
    await log.heads.sign()
    assert check_proof(proof_of_json(kept)).row.guest == BOB
    assert await log.alerts() == []


async def test_asking_again_signs_nothing_new() -> None:
    log = LookLog()
    await log.look()
    for _ in range(5):
        await log.proofs.proof_of(1)
    assert len(await log.said()) == 1


ROW_CHANGES: dict[str, Any] = {
    "seq": 2,
    "at_s": AT_S + 1,
    "role": "service",
    "outlet": "other",
    "outlet_kind": "retail",
    "purpose": "billing",
    "guest": BOB,
    "fields": ["language"],
    "way": "tapped",
    "logged_s": AT_S + 1,
}


@pytest.mark.parametrize("name", ROW_CHANGES)
async def test_any_word_of_the_row_that_was_changed(name: str) -> None:
    log = LookLog()
    await log.look(3)
    found = await proof(log)
    found["row"][name] = ROW_CHANGES[name]
    with pytest.raises(ProofFault, match="not in the log") as fault:
        check_proof(proof_of_json(found))
    assert fault.value.code == "not_in_log"


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told["keys"][0].update(fingerprint=told["witness"]["fingerprint"]),
        lambda told: told["witness"].update(fingerprint=told["keys"][0]["fingerprint"]),
        lambda told: told["witness"].update(at_s=told["witness"]["at_s"] - 86_400),
        lambda told: told["witness"].update(at_s=None),
    ],
    ids=["key", "witness", "time", "no time"],
)
async def test_what_people_read_of_a_key_and_its_witness_is_what_was_signed(change: Callable[[Any], object]) -> None:
    log = LookLog()
    await log.look(3)
    await log.heads.sign()
    await log.witness()
    found = await proof(log)
    assert found["witness"] is not None
    change(found)
    with pytest.raises(ProofFault, match="another") as fault:
        check_proof(proof_of_json(found))
    assert fault.value.code == "bent"


@pytest.mark.parametrize("name", ["closed", "salt"])
async def test_a_salt_or_the_closed_part_that_was_changed(name: str) -> None:
    log = LookLog()
    await log.look(3)
    found = await proof(log)
    found[name] = "A" * 43 + "="
    with pytest.raises(ProofFault, match="not in the log"):
        check_proof(proof_of_json(found))


async def test_a_checkpoint_that_was_changed() -> None:
    log = LookLog()
    await log.look(3)
    found = await proof(log)
    for old, new, code in (
        ("\n3\n", "\n9\n", "not_in_log"),
        ("\n3\n", "\n4\n", "not_signed"),  # the path of this row is alike in both
        ("aurora", "aurorb", "not_signed"),
        ("/1\n", "/2\n", "not_signed"),
    ):
        bent = {**found, "checkpoint": found["checkpoint"].replace(old, new, 1)}
        with pytest.raises(ProofFault) as fault:
            check_proof(proof_of_json(bent))
        assert fault.value.code == code, (old, new)


async def test_another_ships_key() -> None:
    log, other = LookLog(), LookLog()
    strange = keyfile.new_key_file(9, OsEntropy(), NOON_S)
    other.heads = LookHeads(other.store, other.clock, RingSigner(FileKeyRing(strange, AES)), SHIP, GATEWAY)
    other.proofs = LookProofs(other.store, other.clock, other.heads)
    for one in (log, other):
        await one.look()
    ours, theirs = await proof(log), await proof(other)
    with pytest.raises(ProofFault) as fault:
        check_proof(proof_of_json({**theirs, "keys": ours["keys"]}))
    assert fault.value.code == "not_signed"
    proven = check_proof(proof_of_json(theirs))  # it holds, for their key
    assert not keys_named(proven, ours["keys"][0]["fingerprint"])
    with pytest.raises(ProofFault):
        check_proof(proof_of_json({**ours, "keys": []}))


async def test_a_witness_that_did_not_sign() -> None:
    log = LookLog()
    await log.look()
    await log.heads.sign()
    bare = await proof(log)
    await log.witness()
    found = await proof(log)
    with pytest.raises(ProofFault) as fault:
        check_proof(proof_of_json({**bare, "witness": found["witness"]}))
    assert fault.value.code == "not_witnessed"
    unsaid = check_proof(proof_of_json({**found, "witness": None}))
    assert unsaid.witnessed_s is None


async def test_what_is_no_proof() -> None:
    log = LookLog()
    await log.look()
    found = await proof(log)
    for data in (b"", b"{", b"[]", b"null", b'{"schema": "x"}', b"[" * 100_000, b"\xff", b"x" * 100_000):
        with pytest.raises(ProofFault) as fault:
            read_proof(data)
        assert fault.value.code == "not_a_proof"
    bends: list[dict[str, Any]] = [
        {"row": {}},
        {"row": {**found["row"], "more": 1}},
        {"row": {**found["row"], "seq": True}},
        {"row": {**found["row"], "seq": -1}},
        {"row": {**found["row"], "seq": 2**70}},
        {"row": {**found["row"], "role": "a\nb"}},
        {"row": {**found["row"], "role": ""}},
        {"row": {**found["row"], "fields": []}},
        {"row": {**found["row"], "fields": "language"}},
        {"path": ["A"]},
        {"path": [None]},
        {"path": ["A" * 43 + "="] * 63},
        {"salt": "A" * 44},
        {"salt": 5},
        {"closed": None},
        {"checkpoint": 5},
        {"checkpoint": "text"},
        {"keys": {}},
        {"keys": [found["keys"][0]] * 5},
        {"keys": [{"name": "x"}]},
        {"witness": {"name": "x"}},
        {"more": 1},
    ]
    for bend in bends:
        with pytest.raises(ProofFault) as fault:
            proof_of_json({**found, **bend})
        assert fault.value.code == "bent", bend
    with pytest.raises(ProofFault):
        check_proof(replace(proof_of_json(found), note=replace(proof_of_json(found).note, text="a\nb\n")))


async def test_a_proof_is_small() -> None:
    log = LookLog()
    await log.look(300)
    assert len(json.dumps(await log.proofs.proof_of(7))) < 2500
    assert isinstance(proof_of_json(await log.proofs.proof_of(300)), LookProof)
