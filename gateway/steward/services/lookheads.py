"""Signs the look-up log's heads: from time to time, after many looks, and when a proof asks for one.

A head is signed only if the tree extends the last one that was signed here; else somebody has bent the log, and that
is said in place of it. Each head travels to shore as an event with the proof that it extends the one before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from steward.domain.events import EventType, fact
from steward.domain.lookleaf import origin
from steward.domain.lookwords import HeadSaid, decode_words
from steward.domain.merkle import consistency_proof, is_consistent, peaks, root
from steward.domain.records import LOOK_HEAD
from steward.domain.signednote import Checkpoint
from steward.errors import KeyNotHeld
from steward.ports import Clock, KeyRing, Store, Tx
from steward.ports.looktree import LookHead

_LOG = logging.getLogger(__name__)

LOOK_S = 60.0
HEAD_EVERY_S = 3600
HEAD_EVERY_LOOKS = 500
GROW_AT_ONCE = 200  # leaves of older rows in one transaction: taps wait no longer than that
BENT = "look_log_bent"
REFUSED = "look_log_refused"  # shore has seen another log before


class HeadSigner(Protocol):
    """Who signs heads: each key's public half and its signature, the newest key first; none if it holds no key."""

    def sign_head(self, text: bytes) -> list[tuple[bytes, bytes]]: ...


class RingSigner:
    """The ship's own keys. All live ones sign, so that a new voyage's key is vouched for by the one before."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring

    def sign_head(self, text: bytes) -> list[tuple[bytes, bytes]]:
        keys = self._keyring.verify_keys()
        try:
            return [
                (keys[version], self._keyring.sign_record(LOOK_HEAD, text, version)[1])
                for version in self._keyring.versions()
            ]
        except KeyNotHeld:
            return []


@dataclass(frozen=True, slots=True)
class LookLogState:
    """For the privacy officer. behind: rows without a leaf yet.

    problem: empty, or what must be looked into: BENT, the log does not extend its last head; REFUSED, shore says so.
    """

    size: int
    behind: int
    head_size: int
    head_s: int
    witnessed_size: int
    witnessed_s: int
    problem: str


class LookHeads:
    """`run` is a task for a supervisor. on_alert: shows an alert on the status page."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        signer: HeadSigner,
        ship: str,
        gateway: str,
        on_alert: Callable[[str], None] = lambda _kind: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._signer = signer
        self._ship = ship
        self._gateway = gateway
        self._on_alert = on_alert
        self._bent = False
        self._told = ""

    async def run(self) -> None:
        grown = GROW_AT_ONCE
        while grown:
            grown = await self._store.write(lambda tx: tx.grow_look_tree(GROW_AT_ONCE))
        while True:
            now_s = self._clock.now().unix_s
            if await self._store.read(lambda tx, at_s=now_s: is_due(tx, at_s)):  # type: ignore[misc]
                await self.sign()
            await self._tell()
            await asyncio.sleep(LOOK_S)

    async def sign(self) -> LookHead | None:
        """A head of the tree as it is; the last one if it has not grown. None: no key here, or the log is bent."""
        now_s = self._clock.now().unix_s
        return await self._store.write(lambda tx: self.sign_in(tx, now_s))

    def sign_in(self, tx: Tx, now_s: int) -> LookHead | None:
        """The same in a transaction that writes."""
        size, last, epoch = tx.look_tree_size(), tx.last_look_head(), tx.epoch()
        if not size or tx.look_tree_behind():
            return None
        if last is not None and (last.epoch, last.checkpoint.size) == (epoch, size):
            return last
        point = Checkpoint(origin(self._ship, self._gateway, epoch), size, root(size, tx.look_tree_nodes))
        proof = _extends(tx, last, point)
        if proof is None:
            self._tell_bent(tx, now_s)
            return None
        signed = self._signer.sign_head(point.text.encode())
        if not signed:
            return None
        (key, signature), older = signed[0], signed[1] if len(signed) > 1 else (b"", b"")
        head = LookHead(epoch, point, now_s, key, signature)
        tx.put_look_head(head)
        old_epoch, old = (0, 0) if last is None else (last.epoch, last.checkpoint.size)
        tops = tuple(tx.look_tree_nodes(peaks(size)))
        said = HeadSaid(size, point.root, key, signature, old_epoch, old, tuple(proof), *older, peaks=tops)
        tx.append_event(fact(EventType.LOOK_HEAD_SIGNED, now_s, **said.payload))
        self._bent = False
        return head

    async def state(self) -> LookLogState:
        def work(tx: Tx) -> LookLogState:
            head, over = tx.last_look_head(), tx.look_head_over(1)
            witnessed = None if over is None else over[1]
            return LookLogState(
                size=tx.look_tree_size(),
                behind=tx.look_tree_behind(),
                head_size=0 if head is None else head.checkpoint.size,
                head_s=0 if head is None else head.at_s,
                witnessed_size=0 if witnessed is None else witnessed.size,
                witnessed_s=0 if witnessed is None else witnessed.at_s,
                problem=BENT if self._bent else REFUSED if self._refused(tx) else "",
            )

        return await self._store.read(work)

    async def _tell(self) -> None:
        problem = (await self.state()).problem
        if problem and problem != self._told:
            self._on_alert(problem)
        self._told = problem

    def _refused(self, tx: Tx) -> bool:
        record = tx.down("witness")
        words = () if record is None else decode_words(record.body)
        return any(word.refused for word in words if word.gateway == self._gateway)

    def _tell_bent(self, tx: Tx, now_s: int) -> None:
        """Once until a head can be signed again."""
        if not self._bent:
            self._bent = True
            _LOG.error("look_log.bent size=%d", tx.look_tree_size())
            tx.append_event(fact(EventType.STAFF_ALERT, now_s, alert=BENT, gateway=self._gateway))


def is_due(tx: Tx, now_s: int) -> bool:
    """Whether a head should be signed now: enough looks since the last, or one and enough time."""
    size, last = tx.look_tree_size(), tx.last_look_head()
    if last is None or last.epoch != tx.epoch():
        return size > 0
    grown = size - last.checkpoint.size
    waited_s = now_s - last.at_s
    return grown >= HEAD_EVERY_LOOKS or (grown != 0 and not 0 <= waited_s < HEAD_EVERY_S)


def _extends(tx: Tx, last: LookHead | None, point: Checkpoint) -> list[bytes] | None:
    """The proof that the tree extends the last head; None if it does not."""
    if last is None:
        return []
    old = last.checkpoint
    if old.size > point.size:
        return None
    proof = consistency_proof(old.size, point.size, tx.look_tree_nodes)
    return proof if is_consistent(old.size, old.root, point.size, point.root, proof) else None
