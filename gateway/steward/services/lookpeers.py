"""The folio authority as witness of its followers' look-up logs: each head they sign must extend the one before.

A follower keeps its own log, and its heads come here in order with its other events. So one that is never linked to
shore cannot write its log anew unnoticed either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from steward.domain.events import EventType, StoredEvent, fact
from steward.domain.lookwords import HeadSaid, head_said
from steward.domain.merkle import is_consistent
from steward.domain.peercharge import BadPeerEvent
from steward.ports import Tx
from steward.services.allowances import Member

FORKED = "look_log_forked"
_LAST = "look.peer.{}"


class SaidByPeer(Protocol):
    """An event on its way in, and who says it."""

    @property
    def member(self) -> Member: ...

    @property
    def event(self) -> StoredEvent: ...

    @property
    def now_s(self) -> int: ...


@dataclass(frozen=True, slots=True)
class _Last:
    """The newest head of a follower that was taken."""

    epoch: int
    size: int
    root: bytes

    def encode(self) -> str:
        return f"{self.epoch}:{self.size}:{self.root.hex()}"

    @classmethod
    def decode(cls, text: str) -> _Last:
        epoch, size, top = text.split(":")
        return cls(int(epoch), int(size), bytes.fromhex(top))


def take_peer_head(_books: object, tx: Tx, said: SaidByPeer) -> Iterable[str]:
    """Remember a follower's head if it extends the last one; the alert if it does not.

    After a restore the log that is left is taken as another one, and the alert says that rows are lost.
    Raises BadPeerEvent for what is no head.
    """
    head, name = head_said(said.event.payload), _LAST.format(said.member.name)
    if head is None:
        raise BadPeerEvent("no head of a look-up log")
    kept = tx.meta(name)
    last = None if kept is None else _Last.decode(kept)
    fits = last is None or _extends(last, head)
    if last is None or fits or said.event.epoch > last.epoch:
        tx.set_meta(name, _Last(said.event.epoch, head.size, head.root).encode())
    if fits:
        return ()
    place = {"place": said.member.name, "gateway": said.member.name}
    tx.append_event(fact(EventType.STAFF_ALERT, said.now_s, alert=FORKED, **place))
    return (FORKED,)


def _extends(last: _Last, head: HeadSaid) -> bool:
    if (head.old_epoch, head.old) != (last.epoch, last.size):
        return False
    return is_consistent(last.size, last.root, head.size, head.root, head.proof)
