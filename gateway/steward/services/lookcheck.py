"""Walks the whole look-up log against its tree, its heads and what the witness signed, and says what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from steward.domain.events import EventType, StoredEvent
from steward.domain.ids import GuestRef
from steward.domain.lookleaf import SWEPT, look_leaf
from steward.domain.lookwords import decode_words
from steward.domain.merkle import SIZE_MAX, Place, grow, root
from steward.domain.retention import Part
from steward.domain.signednote import cosigned, verifies
from steward.errors import NotFound
from steward.ports import Tx
from steward.ports.looktree import LookHead, LookRow, LookWitnessed
from steward.ports.peerlooks import PeerHead
from steward.services.lookpeers import is_as_told

PAGE = 500
HEADS_AT_ONCE = 1000
LATE_S = 900  # a row dated this much before it was entered was dated back, or a clock was wrong
SKEW_S = 900  # between the clocks of ship and shore
NOTES_MAX = 20

Head = tuple[LookHead, LookWitnessed | None]


@dataclass(frozen=True, slots=True)
class Bent:
    """What does not fit: the first row it can be, and in words. last: the last row it can be."""

    first: int
    last: int
    problem: str


@dataclass(slots=True)
class LookCheck:
    """What the walk found. bent: None if all of it fits. late: rows dated before they can have been entered."""

    rows: int = 0
    blank: int = 0
    behind: int = 0
    heads: int = 0
    witnessed: int = 0  # the size of the largest tree that a witness signed
    late_count: int = 0
    late: list[int] = field(default_factory=list)
    bent: Bent | None = None
    unexplained: int = 0  # blank rows beyond what erasures and retention say that they blanked
    told: int = 0  # rows that other gateways told of
    peer_heads: int = 0  # heads of theirs that are over the rows as they told them
    peer_open: int = 0  # heads of theirs over rows of which some were never told
    peer_bent: list[PeerHead] = field(default_factory=list)  # the first of those over other rows than were told

    @property
    def fits(self) -> bool:
        return self.bent is None and not self.late_count and not self.unexplained and not self.peer_bent


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """Public keys: who may sign heads here, and shore's. Empty: any key will do, so only the tree is checked."""

    log: Collection[bytes]
    witness: Collection[bytes]


class LookChecker:
    """One walk in one transaction, which may be that of a snapshot while the gateway goes on."""

    def __init__(self, tx: Tx, gateway: str, keys: TrustedKeys) -> None:
        self._tx = tx
        self._gateway = gateway
        self._keys = keys
        self._found = LookCheck()
        self._latest: dict[int, tuple[int, bytes]] = {}  # the last complete node of each level, and its index
        self._heads: dict[int, list[Head]] = {}  # by size
        self._good = 0  # rows that a head has confirmed
        self._logged_s = 0

    def check(self, progress: Callable[[int, int], None] = lambda _done, _all: None) -> LookCheck:
        """progress: told how many rows are done, of how many."""
        found, size = self._found, self._tx.look_tree_size()
        found.behind = self._tx.look_tree_behind()
        self._load_heads()
        while found.bent is None and found.rows < size:
            found.bent = self._page(min(PAGE, size - found.rows))
            progress(found.rows, size)
        if found.bent is None:
            found.bent = self._end()
        if found.blank:
            found.unexplained = max(found.blank - _accounted(self._tx), 0)
        self._check_peers()
        return found

    def _check_peers(self) -> None:
        """Other gateways' logs, as far as they have told of them here."""
        found, after = self._found, ("", 0, 0)
        while page := self._tx.peer_heads(after, HEADS_AT_ONCE):
            for head in page:
                fits = is_as_told(self._tx, head, SIZE_MAX)
                found.peer_heads += fits is True
                found.peer_open += fits is None
                if fits is False and len(found.peer_bent) < NOTES_MAX:
                    found.peer_bent.append(head)
            after = (page[-1].gateway, page[-1].epoch, page[-1].size)

    def _load_heads(self) -> None:
        after = (0, 0)
        while page := self._tx.look_heads(after, HEADS_AT_ONCE):
            for head, said in page:
                self._heads.setdefault(head.checkpoint.size, []).append((head, said))
                self._found.heads += 1
            last = page[-1][0]
            after = (last.epoch, last.checkpoint.size)

    def _page(self, count: int) -> Bent | None:
        for row in self._tx.look_rows(self._found.rows, count):
            problem = self._row(row)
            if problem is not None:
                return Bent(row.seq, row.seq, problem)
            self._found.rows = row.seq
            for head, said in self._heads.pop(row.seq, ()):
                problem = self._head(head, said)
                if problem is not None:
                    return Bent(self._good + 1, row.seq, problem)
                self._good = row.seq
        return None

    def _row(self, row: LookRow) -> str | None:
        """Why this row does not fit; else it is added to the tree that is built beside the stored one."""
        if row.leaf is None:
            return "its leaf was removed"
        leaf = row.leaf
        if row.blank:
            self._found.blank += 1
        elif row.look is None:
            return "the row was removed, or changed into what no look can be"
        elif row.salts is None:
            return "its salts were removed, but it is not the row of a guest who was erased"
        else:
            leaf = look_leaf(row.look, row.logged_s, row.salts)
            if leaf != row.leaf:
                return "the row was changed, or another one was put in its place"
            if row.look.gateway:  # dated by its own clock, and entered when it was told
                self._found.told += 1
            elif row.look.at_s > row.logged_s:
                return "it is dated after it was entered"
            elif row.look.at_s < row.logged_s - LATE_S:
                self._note_late(row.seq)
        if row.logged_s < self._logged_s and not _clock_was_set(self._tx, self._logged_s, row.logged_s):
            return "it was entered before the row in front of it, and no clock was set right in between"
        self._logged_s = row.logged_s
        return self._grow(row.seq, leaf)

    def _grow(self, seq: int, leaf: bytes) -> str | None:
        made = grow(seq - 1, leaf, self._fetch)
        for (level, at), node in made:
            self._latest[level] = (at, node)
        try:
            kept = self._tx.look_tree_nodes([place for place, _ in made])
        except NotFound:
            return "a node above it was removed from the tree"
        return None if list(kept) == [node for _, node in made] else "a node above it was changed in the tree"

    def _fetch(self, places: Sequence[Place]) -> list[bytes]:
        """All that growing and a root need: of each level the last complete node."""
        assert all(self._latest[level][0] == at for level, at in places)
        return [self._latest[level][1] for level, _ in places]

    def _head(self, head: LookHead, said: LookWitnessed | None) -> str | None:
        """Why the rows up to a head's size are not those that were signed."""
        point = head.checkpoint
        if point.root != root(point.size, self._fetch):
            return f"the head of {point.size} rows was signed over other rows: some of these were changed with the tree"
        if self._keys.log and head.key not in self._keys.log:
            return f"the head of {point.size} rows was signed by a key that is not this ship's"
        if not verifies(head.key, head.signature, point.text.encode()):
            return f"the head of {point.size} rows has a wrong signature"
        if said is None:
            return None
        if self._keys.witness and said.key not in self._keys.witness:
            return f"the head of {point.size} rows was witnessed by a key that is not shore's"
        if not verifies(said.key, said.signature, cosigned(point.text, said.at_s)):
            return f"the head of {point.size} rows has a wrong signature of its witness"
        if self._logged_s > said.at_s + SKEW_S:
            return f"the head of {point.size} rows was witnessed before the last of them was entered"
        self._found.witnessed = max(self._found.witnessed, point.size)
        return None

    def _note_late(self, seq: int) -> None:
        self._found.late_count += 1
        if len(self._found.late) < NOTES_MAX:
            self._found.late.append(seq)

    def _end(self) -> Bent | None:
        """What was signed or witnessed beyond the rows there are, or otherwise than they are."""
        size = self._found.rows
        if self._found.behind < 0:
            return Bent(size + self._found.behind + 1, size, "rows at the end were removed: there are leaves for them")
        if self._heads:
            return Bent(size + 1, max(self._heads), "rows at the end were removed: a head was signed over more")
        record = self._tx.down("witness")
        for word in () if record is None else decode_words(record.body):
            if word.gateway == self._gateway and word.epoch == self._tx.epoch() and word.root:
                return self._against(word.size, word.root)
        return None

    def _against(self, size: int, top: bytes) -> Bent | None:
        """The newest word of the witness, as it came down the link."""
        if size > self._found.rows:
            return Bent(self._found.rows + 1, size, "rows at the end were removed: shore has witnessed more")
        if root(size, self._tx.look_tree_nodes) != top:
            return Bent(1, size, "shore has witnessed other rows: the log was written anew")
        self._found.witnessed = max(self._found.witnessed, size)
        return None


def _accounted(tx: Tx) -> int:
    """How many rows were blanked, by the word of who did it: erasures, retention, the sweep of a restored store."""
    count, after = int(tx.meta(SWEPT) or 0), GuestRef("")
    while page := tx.erasures(after, PAGE):
        count += sum(done.counts.get(Part.LOOK_UP, 0) for erasure in page for done in erasure.done)
        after = page[-1].ref
    for epoch, _ in tx.epochs():
        seq = 0
        while events := tx.events_in(epoch, seq, PAGE):
            count += sum(_blanked(event) for event in events)
            seq = events[-1].seq
    return count


def _blanked(event: StoredEvent) -> int:
    deleted = event.payload.get("deleted")
    of_looks = event.type is EventType.RETENTION_RUN and event.payload.get("rule") == Part.LOOK_UP
    return deleted if of_looks and isinstance(deleted, int) else 0


def _clock_was_set(tx: Tx, before_s: int, after_s: int) -> bool:
    """Whether somebody confirmed a clock that was ahead: then rows may go back from one time to the other."""
    seq = 0
    while page := tx.events(seq, PAGE):
        if any(_sets_back(event, before_s, after_s) for event in page):
            return True
        seq = page[-1].seq
    return False


def _sets_back(event: StoredEvent, before_s: int, after_s: int) -> bool:
    believed_s = event.payload.get("believed_before_s")
    confirmed = event.type is EventType.CLOCK_CONFIRMED and isinstance(believed_s, int)
    return confirmed and event.at_s <= after_s + LATE_S and int(str(believed_s)) >= before_s - LATE_S
