"""The witness of the ships' look-up logs: each head must extend the last one seen, then it is signed and sent back.

A gateway that takes rows out, changes or inserts some, or writes its log anew, can sign a new head; it cannot make it
extend the head that is kept here. Only hashes come ashore: what was looked at, and of whom, the witness cannot tell.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from steward.domain.batches import Batch
from steward.domain.cborwire import plain_loads
from steward.domain.events import EventType, StoredEvent
from steward.domain.intake import decode_stream
from steward.domain.lookleaf import origin
from steward.domain.lookwords import HeadSaid, WitnessWord, encode_words, head_said
from steward.domain.merkle import is_consistent
from steward.domain.records import key_fingerprint
from steward.domain.signednote import Checkpoint, cosigned, verifies
from steward.ports import Clock
from steward.shore.alarms import AlarmKind, raise_alarm
from steward.shore.decisions import Signer
from steward.shore.downs import issue, lock
from steward.shore.script import Script, change, change_many, first, rows
from steward.shore.store import ShoreStore

_LOG = logging.getLogger(__name__)

EVERY_S = 5.0
AT_ONCE = 64  # heads of a ship in one transaction
ANEW = "anew"
KIND = "witness"

_ADD_WAITING = "INSERT INTO look_waiting (ship, gateway, epoch, seq) VALUES (?, ?, ?, ?)"
_SHIPS = "SELECT DISTINCT ship FROM look_waiting ORDER BY ship"
_WAITING = (
    "SELECT w.gateway, w.epoch, w.seq, e.at_s, e.payload FROM look_waiting AS w JOIN event AS e ON e.ship = w.ship "
    "AND e.gateway = w.gateway AND e.epoch = w.epoch AND e.seq = w.seq WHERE w.ship = ? "
    "ORDER BY w.gateway, w.epoch, w.seq LIMIT ?"
)
_DONE = "DELETE FROM look_waiting WHERE ship = ? AND gateway = ? AND epoch = ? AND seq = ?"
_STREAM = "SELECT stream FROM log WHERE ship = ? AND gateway = ? AND epoch = ?"
_KEYS = "SELECT key FROM look_key WHERE ship = ? AND gateway = ?"
_ADD_KEY = "INSERT INTO look_key (ship, gateway, key, since_s) VALUES (?, ?, ?, ?)"
_ADD = (
    "INSERT INTO look_witness (ship, gateway, epoch, seq, size, root, at_s, seen_s, code, signature) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_SIGNED = (
    "SELECT epoch, size, root, seen_s, signature FROM look_witness WHERE ship = ? AND gateway = ? "
    "AND length(signature) > 0 ORDER BY epoch DESC, seq DESC LIMIT 1"
)
_NEWEST = (
    "SELECT code, signature FROM look_witness WHERE ship = ? AND gateway = ? ORDER BY epoch DESC, seq DESC LIMIT 1"
)
_GATEWAYS = "SELECT DISTINCT gateway FROM look_witness WHERE ship = ? ORDER BY gateway"
_ALL = "SELECT DISTINCT ship, gateway FROM look_witness ORDER BY ship, gateway"
_NO_ROOT = b""
_WORDS = {
    "bad": "the event holds no head",
    "key": "signed by a key that is not known and that no known one vouches for",
    "signature": "a wrong signature",
    "fork": "it does not extend the log that was witnessed before: rows were removed, changed or put in",
    "gap": "a head before it never came, though nothing is missing",
    "late": "of a log that has begun anew meanwhile",
    ANEW: "after a restore the log does not go on from the last head that was witnessed: rows are lost",
}


@dataclass(frozen=True, slots=True)
class _Head:
    """An event that waits to be looked at. said: None if it holds no head."""

    ship: str
    gateway: str
    epoch: int
    seq: int
    at_s: int
    said: HeadSaid | None

    def point(self, said: HeadSaid) -> Checkpoint:
        return Checkpoint(origin(self.ship, self.gateway, self.epoch), said.size, said.root)


@dataclass(frozen=True, slots=True)
class _Signed:
    """The last head of a gateway that was signed here."""

    epoch: int
    size: int
    root: bytes
    seen_s: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class WitnessLine:
    """For people: a gateway's newest witnessed head. refused: in words, empty if all is well."""

    ship: str
    gateway: str
    size: int
    seen_s: int
    refused: str
    fingerprints: tuple[str, ...]


def note_heads(batch: Batch, events: Iterable[StoredEvent]) -> Script[None]:
    """Of a batch's new events: those that the witness is to look at. Part of the script that stores them."""
    key = (batch.ship, batch.gateway, batch.epoch)
    found = [(*key, event.seq) for event in events if event.type is EventType.LOOK_HEAD_SIGNED]
    yield from change_many(_ADD_WAITING, found)


def ships_waiting() -> Script[list[str]]:
    return [row[0] for row in (yield from rows(_SHIPS))]


def take_heads(signer: Signer, ship: str) -> Script[int]:
    """Look at the heads of a ship that wait, in order, and tell the ship; how many were done."""
    yield from lock(ship)
    held: set[str] = set()
    done = 0
    for gateway, epoch, seq, at_s, payload in (yield from rows(_WAITING, ship, AT_ONCE)):
        head = _Head(ship, gateway, epoch, seq, at_s, head_said(plain_loads(bytes(payload))))
        if gateway in held:
            continue
        code = yield from _judge(head, signer.now_s)
        if code is None:
            held.add(gateway)
            continue
        yield from _record(signer, head, code)
        done += 1
    if done:
        words = yield from _words_for(ship)
        yield from issue(signer.key, ship, KIND, encode_words(words), signer.now_s, signer.by)
    return done


def witnessed() -> Script[list[WitnessLine]]:
    """Every gateway whose heads have come."""
    found = []
    for ship, gateway in (yield from rows(_ALL)):
        word = yield from _word(ship, gateway)
        keys = yield from rows(_KEYS, ship, gateway)
        prints = tuple(key_fingerprint(bytes(key)) for (key,) in keys)
        refused = _WORDS.get(word.refused, word.refused)
        found.append(WitnessLine(ship, gateway, word.size, word.at_s, refused, prints))
    return found


class Witness:
    """`run` is a task for a supervisor, on each node: the ship's row is the lock. decided: told of new words."""

    def __init__(
        self, store: ShoreStore, clock: Clock, key: Ed25519PrivateKey, decided: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._clock = clock
        self._key = key
        self._decided = decided

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> int:
        """Once; how many heads were done."""
        total = 0
        for ship in await self._store.read(ships_waiting()):
            signer = Signer(self._key, "the witness", self._clock.now().unix_s)
            total += await self._store.write(take_heads(signer, ship))
        if total:
            self._decided()
        return total


def _judge(head: _Head, now_s: int) -> Script[str | None]:
    """Empty or `anew`: to be signed. A code: why not. None: what comes before it has not come yet."""
    said = head.said
    if said is None:
        return "bad"
    problem = yield from _key_problem(head, said, now_s)
    if problem:
        return problem
    last = yield from _last(head.ship, head.gateway)
    if last is None:
        return ""
    if last.epoch > head.epoch:
        return "late"
    if (said.old_epoch, said.old) == (last.epoch, last.size):
        good = is_consistent(last.size, last.root, said.size, said.root, said.proof)
        return "" if good else ANEW if head.epoch > last.epoch else "fork"
    if head.epoch > last.epoch:
        return ANEW
    if said.old < last.size:
        return "fork"
    return (yield from _gap(head))


def _gap(head: _Head) -> Script[str | None]:
    """A head between was refused, or has not come."""
    row = yield from first(_STREAM, head.ship, head.gateway, head.epoch)
    if row is not None and decode_stream(bytes(row[0])).behind:
        return None
    newest = yield from first(_NEWEST, head.ship, head.gateway)
    return "fork" if newest is not None and newest[0] == "fork" else "gap"


def _key_problem(head: _Head, said: HeadSaid, now_s: int) -> Script[str]:
    """Empty if a known key signed it, or one that a known key vouches for, or the first key there ever was."""
    text = head.point(said).text.encode()
    if not verifies(said.key, said.signature, text):
        return "signature"
    known = [bytes(row[0]) for row in (yield from rows(_KEYS, head.ship, head.gateway))]
    if said.key in known:
        return ""
    vouched = said.by_key in known and verifies(said.by_key, said.by_signature, text)
    if known and not vouched:
        return "key"
    yield from change(_ADD_KEY, head.ship, head.gateway, said.key, now_s)
    return ""


def _record(signer: Signer, head: _Head, code: str) -> Script[None]:
    said, signature = head.said, b""
    if said is not None and code in ("", ANEW):
        signature = signer.key.sign(cosigned(head.point(said).text, signer.now_s))
    size, top = (0, _NO_ROOT) if said is None else (said.size, said.root)
    key = (head.ship, head.gateway, head.epoch, head.seq)
    yield from change(_ADD, *key, size, top, head.at_s, signer.now_s, code, signature)
    yield from change(_DONE, *key)
    if code:
        _LOG.error("witness.alarm ship=%s gateway=%s code=%s size=%d", head.ship, head.gateway, code, size)
        yield from raise_alarm(
            AlarmKind.LOOK_LOG,
            signer.now_s,
            f"head of {size} look-ups: {_WORDS[code]}",
            ship=head.ship,
            gateway=head.gateway,
            epoch=head.epoch,
            seq=head.seq,
        )


def _last(ship: str, gateway: str) -> Script[_Signed | None]:
    row = yield from first(_SIGNED, ship, gateway)
    if row is None:
        return None
    epoch, size, top, seen_s, signature = row
    return _Signed(epoch, size, bytes(top), seen_s, bytes(signature))


def _words_for(ship: str) -> Script[list[WitnessWord]]:
    found = []
    for (gateway,) in (yield from rows(_GATEWAYS, ship)):
        found.append((yield from _word(ship, gateway)))
    return found


def _word(ship: str, gateway: str) -> Script[WitnessWord]:
    last = yield from _last(ship, gateway)
    newest = yield from first(_NEWEST, ship, gateway)
    refused = "" if newest is None or newest[1] else str(newest[0])
    if last is None:
        return WitnessWord(gateway, 0, 0, b"", 0, b"", refused)
    return WitnessWord(gateway, last.epoch, last.size, last.root, last.seen_s, last.signature, refused)
