"""Proofs of single look-ups, for the guest they are about: each stands for itself and can be checked by anybody."""

from __future__ import annotations

from typing import Any

from steward.domain.lookleaf import closed_hash, open_row
from steward.domain.lookproof import LookProof, ProofKey, proof_json
from steward.domain.lookwords import WITNESS
from steward.domain.merkle import inclusion_proof
from steward.domain.signednote import Note, cosignature_line, log_line
from steward.errors import NotFound, Refused
from steward.ports import Clock, Store, Tx
from steward.ports.looktree import LookHead, LookRow, LookWitnessed
from steward.services.lookheads import LookHeads

NOT_SIGNED = "look_not_signed"


class LookProofs:
    def __init__(self, store: Store, clock: Clock, heads: LookHeads) -> None:
        self._store = store
        self._clock = clock
        self._heads = heads

    async def proof_of(self, seq: int) -> dict[str, Any]:
        """JSON-ready, for the guest whose look it is: the caller sees to that. Signs a head if none has the row yet.

        Raises NotFound for a row there is not or that was erased, Refused look_not_signed while it cannot be proven.
        """
        found = await self._store.read(lambda tx: proof_in(tx, seq))
        if found is None:
            now_s = self._clock.now().unix_s

            def work(tx: Tx) -> LookProof | None:
                self._heads.sign_in(tx, now_s)
                return proof_in(tx, seq)

            found = await self._store.write(work)
        if found is None:
            raise Refused(NOT_SIGNED, "this look cannot be proven yet: no head of the log has it. Ask again later")
        return proof_json(found)


def proof_in(tx: Tx, seq: int) -> LookProof | None:
    """None if no signed head has the row. Raises NotFound."""
    rows = tx.look_rows(seq - 1, 1) if seq > 0 else ()
    if not rows or rows[0].look is None:
        raise NotFound("look-up", str(seq))
    row, over = rows[0], tx.look_head_over(seq)
    return None if over is None or row.salts is None else _proof(tx, row, *over)


def _proof(tx: Tx, row: LookRow, head: LookHead, said: LookWitnessed | None) -> LookProof:
    assert row.look is not None
    assert row.salts is not None
    look, point = row.look, head.checkpoint
    note = Note(point.text, (log_line(point.origin, head.key, head.signature),))
    if said is not None:
        note = note.with_line(cosignature_line(WITNESS, said.key, said.at_s, said.signature))
    return LookProof(
        row=open_row(look, row.logged_s),
        closed=closed_hash(look.actor, look.reason, row.salts.closed),
        salt=row.salts.row,
        path=tuple(inclusion_proof(row.seq - 1, point.size, tx.look_tree_nodes)),
        note=note,
        keys=(ProofKey(point.origin, head.key),),
        witness=None if said is None else ProofKey(WITNESS, said.key),
    )
