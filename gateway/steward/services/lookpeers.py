"""The folio authority and its followers' look-up logs: every look they tell of is entered here as well, and no log of
theirs may say otherwise later.

A follower keeps its own log, and tells of each look at once, with the leaf of its row. The look goes into the
authority's log under the follower's name, so its guest sees it among all others, with the ship's proof. Followers sign
heads of their logs, which come here too: each must extend the one before, and its root must be that of the leaves as
they were told. So who holds a follower, even its key, cannot take back or change what it has told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from steward.domain.events import EventType, fact, is_erased
from steward.domain.lookwords import HeadSaid, head_said
from steward.domain.merkle import Frontier, is_consistent
from steward.domain.peercharge import BadPeerEvent
from steward.domain.peerlook import told_look
from steward.domain.replica import MemberRole
from steward.domain.viewing import LookUp
from steward.ports import Tx
from steward.ports.peerlooks import PeerHead
from steward.services.forgetting import is_forgotten
from steward.services.stock import SaidByPeer

FORKED = "look_log_forked"
LEAVES_AT_ONCE = 500
SPAN_MAX = 5000  # leaves between two heads that are compared as they come in; the walk of the whole log compares more
_LAST = "look.peer.{}"


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


def take_peer_look(_books: object, tx: Tx, said: SaidByPeer) -> Iterable[str]:
    """Enter a follower's look in this log, and remember its leaf; the alert if it was told otherwise before.

    Of a look from before its guest was forgotten the leaf alone is kept. Raises BadPeerEvent for what is no look, or at
    a door: there nobody is told of any guest.
    """
    name, epoch = said.member.name, said.event.epoch
    if is_erased(said.event):  # before it could be told
        return ()
    if said.member.role is MemberRole.DOOR:
        raise BadPeerEvent("a look where no guest is known")
    told = told_look(said.event, name)
    if not _is_forgotten(tx, told.look):
        tx.enter_peer_look(told.look, said.now_s)
    if told.leaf is None:
        return ()
    if any(seq == told.seq for seq, _ in tx.peer_looks(name, epoch, told.seq - 1, 1)):
        return _alarm(tx, said)  # two looks of one number: one of them is in no log of its own
    tx.put_peer_look(name, epoch, told.seq, told.leaf)
    head = tx.peer_head(name, epoch, told.seq)
    return _alarm(tx, said) if head is not None and is_as_told(tx, head, SPAN_MAX) is False else ()


def take_peer_head(_books: object, tx: Tx, said: SaidByPeer) -> Iterable[str]:
    """Remember a follower's head if it extends the last one; the alert if it does not, or if it is over other rows than
    those that were told.

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
        fits = _keep(tx, said, head) and fits
    return () if fits else _alarm(tx, said)


def is_as_told(tx: Tx, head: PeerHead, span_max: int) -> bool | None:
    """Whether a head is over the leaves that its gateway told since its head before. None: some were not told (yet), or
    there are more than `span_max`.
    """
    before = tx.peer_head_before(head.gateway, head.epoch, head.size)
    tree = Frontier() if before is None else Frontier(before.size, before.peaks)
    if head.size - tree.size > span_max:
        return None
    while tree.size < head.size:
        some = min(LEAVES_AT_ONCE, head.size - tree.size)
        found = tx.peer_looks(head.gateway, head.epoch, tree.size, some)
        if [seq for seq, _ in found] != list(range(tree.size + 1, tree.size + some + 1)):
            return None
        for _, leaf in found:
            tree.add(leaf)
    return tree.root == head.root


def _is_forgotten(tx: Tx, look: LookUp) -> bool:
    """Who goes on with the stay after an erasure is looked at anew; what was before stays forgotten."""
    erasure = tx.erasure(look.guest)
    done = () if erasure is None else erasure.done
    return is_forgotten(tx, look.guest) or any(look.at_s <= each.at_s for each in done)


def _keep(tx: Tx, said: SaidByPeer, head: HeadSaid) -> bool:
    """Remember a head that says what it is made of; False if it is over other rows than those that were told."""
    if not head.peaks:  # of an older program
        return True
    kept = PeerHead(said.member.name, said.event.epoch, head.size, head.root, head.peaks)
    known = tx.peer_head(kept.gateway, kept.epoch, kept.size)
    if known is not None:
        return known == kept
    tx.put_peer_head(kept)
    return is_as_told(tx, kept, SPAN_MAX) is not False


def _alarm(tx: Tx, said: SaidByPeer) -> Iterable[str]:
    place = {"place": said.member.name, "gateway": said.member.name}
    tx.append_event(fact(EventType.STAFF_ALERT, said.now_s, alert=FORKED, **place))
    return (FORKED,)


def _extends(last: _Last, head: HeadSaid) -> bool:
    if (head.old_epoch, head.old) != (last.epoch, last.size):
        return False
    return is_consistent(last.size, last.root, head.size, head.root, head.proof)
