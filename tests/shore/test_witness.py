"""The witness ashore, on every kind of store: what extends is signed, what does not is refused, told and remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.shore.kit import NOW_S, FixedClock, prepared, table, wire
from tests.shore.test_decisions import KEY, PUBLIC, opened

from steward.domain.batches import Batch
from steward.domain.events import EventType, StoredEvent
from steward.domain.lookleaf import origin
from steward.domain.lookwords import HeadSaid, WitnessWord, decode_words
from steward.domain.merkle import Place, consistency_proof, grow, leaf_hash, root
from steward.domain.signednote import Checkpoint, cosigned, verifies
from steward.domain.topics import TELEMETRY
from steward.shore.alarms import AlarmKind, alarms
from steward.shore.ingest import Ingest
from steward.shore.store import ShoreStore
from steward.shore.witness import Witness, witnessed

SHIP_KEY = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
NEW_KEY = Ed25519PrivateKey.from_private_bytes(b"n" * 32)
STRANGER = Ed25519PrivateKey.from_private_bytes(b"x" * 32)


@dataclass
class Log:
    """A gateway's look-up log: leaves, and the events of its heads."""

    gateway: str = "gw1"
    epoch: int = 7
    key: Ed25519PrivateKey = SHIP_KEY
    by: Ed25519PrivateKey | None = None
    leaves: list[bytes] = field(default_factory=list)
    events: list[StoredEvent] = field(default_factory=list)
    last: tuple[int, int] = (0, 0)  # epoch and size of the head before

    def tree(self) -> dict[Place, bytes]:
        nodes: dict[Place, bytes] = {}
        for size, leaf in enumerate(self.leaves):
            nodes.update(grow(size, leaf_hash(leaf), lambda places: [nodes[place] for place in places]))
        return nodes

    def look(self, *texts: str) -> None:
        self.leaves += [text.encode() for text in texts]

    def head(self, **changes: Any) -> HeadSaid:
        """The event of a head over all leaves."""
        nodes, size = self.tree(), len(self.leaves)

        def fetch(places: Sequence[Place]) -> list[bytes]:
            return [nodes[place] for place in places]

        top = root(size, fetch)
        text = Checkpoint(origin("aurora", self.gateway, self.epoch), size, top).text.encode()
        old_epoch, old = self.last
        proof = tuple(consistency_proof(min(old, size), size, fetch))
        public = self.key.public_key().public_bytes_raw()
        by = (b"", b"") if self.by is None else (self.by.public_key().public_bytes_raw(), self.by.sign(text))
        said = replace(HeadSaid(size, top, public, self.key.sign(text), old_epoch, old, proof, *by), **changes)
        seq = len(self.events) + 1
        event = StoredEvent(self.epoch, seq, EventType.LOOK_HEAD_SIGNED, NOW_S - 100, said.payload)
        self.events.append(event)
        self.last = (self.epoch, size)
        return said

    def batch(self, first: int, last: int) -> tuple[str, bytes]:
        """Events of these numbers."""
        events = tuple(self.events[first - 1 : last])
        batch = Batch("aurora", self.gateway, self.epoch, last, TELEMETRY, events, len(self.events), first - 1)
        return wire(batch)


class Shore:
    """Ingest and witness on one store."""

    def __init__(self, store: ShoreStore) -> None:
        self.store, self.clock = store, FixedClock()
        self.ingest = Ingest(store, self.clock)
        self.witness = Witness(store, self.clock, KEY)

    async def hear(self, log: Log, first: int = 1, last: int | None = None) -> int:
        await self.ingest.batch(*log.batch(first, len(log.events) if last is None else last))
        return await self.witness.look()

    async def word(self, gateway: str = "gw1") -> WitnessWord:
        words = decode_words((await opened(self.store, "aurora", "witness")).body)
        (word,) = [word for word in words if word.gateway == gateway]
        return word

    async def told(self) -> list[str]:
        found = await self.store.read(alarms())
        assert all(alarm.kind is AlarmKind.LOOK_LOG for alarm in found)
        codes: list[str] = []
        for alarm in sorted(found, key=lambda alarm: (alarm.epoch, alarm.seq)):
            sql = "SELECT code FROM look_witness WHERE gateway = ? AND epoch = ? AND seq = ?"
            codes += [str(row[0]) for row in await self.store.read(table(sql, alarm.gateway, alarm.epoch, alarm.seq))]
        return codes


@pytest.fixture
def shore(store: ShoreStore) -> Shore:
    return Shore(store)


async def test_heads_that_extend_are_signed_and_go_down_to_the_ship(shore: Shore) -> None:
    log = Log()
    for count in (1, 4, 2, 9):
        log.look(*(f"row {n}" for n in range(count)))
        said = log.head()
        seq = len(log.events)
        assert await shore.hear(log, seq) == 1
        shore.clock.now_s += 60
        word = await shore.word()
        assert (word.epoch, word.size, word.root, word.refused) == (7, len(log.leaves), said.root, "")
        text = Checkpoint("steward/aurora/gw1/look-ups/7", word.size, word.root).text
        assert word.at_s == shore.clock.now_s - 60
        assert verifies(PUBLIC, word.signature, cosigned(text, word.at_s))
    assert await shore.told() == []
    (line,) = await shore.store.read(witnessed())
    assert (line.ship, line.gateway, line.size, line.refused, len(line.fingerprints)) == ("aurora", "gw1", 16, "", 1)


async def test_several_heads_at_once_make_one_decision(shore: Shore) -> None:
    log = Log()
    for n in range(5):
        log.look(f"row {n}")
        log.head()
    assert await shore.hear(log) == 5
    assert await shore.witness.look() == 0
    versions = await shore.store.read(table("SELECT version FROM down WHERE kind = 'witness'"))
    assert len(versions) == 1
    assert (await shore.word()).size == 5


async def test_the_same_events_again_change_nothing(shore: Shore) -> None:
    log = Log()
    log.look("a")
    log.head()
    assert await shore.hear(log) == 1
    before = await shore.word()
    shore.clock.now_s += 5
    assert await shore.hear(log) == 0
    assert await shore.word() == before


@pytest.mark.parametrize("bend", ["removed", "changed", "inserted", "anew", "shorter"])
async def test_a_log_that_was_bent_and_signed_again_is_found(shore: Shore, bend: str) -> None:
    """By somebody who holds the ship's key, and may send what they like."""
    log = Log()
    log.look(*"abcdefgh")
    log.head()
    assert await shore.hear(log) == 1
    good = await shore.word()
    if bend == "removed":
        del log.leaves[3]
        log.look("i", "j")
    elif bend == "changed":
        log.leaves[3] = b"other"
        log.look("i")
    elif bend == "inserted":
        log.leaves.insert(3, b"other")
    elif bend == "anew":
        log.leaves = [b"%d" % n for n in range(12)]
    else:
        del log.leaves[6:]
    log.head()
    shore.clock.now_s += 60
    assert await shore.hear(log, 2) == 1
    assert await shore.told() == ["fork"]
    word = await shore.word()
    assert (word.size, word.root, word.at_s, word.refused) == (good.size, good.root, good.at_s, "fork")
    log.look("more")
    log.head()  # it goes on as if nothing were
    await shore.hear(log, 3)
    assert await shore.told() == ["fork", "fork"]
    assert (await shore.word()).size == 8


async def test_a_head_that_hides_which_one_it_extends_is_found(shore: Shore) -> None:
    log = Log()
    log.look(*"abcd")
    log.head()
    await shore.hear(log)
    log.leaves = [b"x"] * 9
    log.head(old=0, old_epoch=0, proof=())
    await shore.hear(log, 2)
    log.look("y")
    log.head(old=10, old_epoch=7, proof=())
    await shore.hear(log, 3)
    assert await shore.told() == ["fork", "fork"]


async def test_a_head_whose_forerunner_is_still_on_its_way_waits(shore: Shore) -> None:
    log = Log()
    for text in "abc":
        log.look(text)
        log.head()
    assert await shore.hear(log, 1, 1) == 1
    assert await shore.hear(log, 3, 3) == 0
    assert await shore.witness.look() == 0
    assert (await shore.word()).size == 1
    assert await shore.hear(log, 2, 2) == 2
    assert (await shore.word()).size == 3
    assert await shore.told() == []


async def test_a_head_whose_forerunner_never_was_is_refused(shore: Shore) -> None:
    log = Log()
    log.look("a")
    log.head()
    log.look("b")
    log.last = (7, 2)  # of a head that was not sent
    log.look("c")
    log.head()
    assert await shore.hear(log) == 2
    assert await shore.told() == ["gap"]
    assert (await shore.word()).refused == "gap"


async def test_a_strangers_signature_is_refused(shore: Shore) -> None:
    log = Log()
    log.look("a")
    log.head()
    await shore.hear(log)
    log.look("b")
    log.key = STRANGER
    log.head()
    await shore.hear(log, 2)
    assert await shore.told() == ["key"]


async def test_a_wrong_signature_is_refused(shore: Shore) -> None:
    log = Log()
    log.look("a")
    log.head(signature=bytes(64))
    assert await shore.hear(log) == 1
    assert await shore.told() == ["signature"]
    word = await shore.word()
    assert (word.size, word.signature, word.refused) == (0, b"", "signature")


async def test_a_new_voyages_key_is_believed_if_the_old_one_vouches(shore: Shore) -> None:
    log = Log()
    log.look("a")
    log.head()
    await shore.hear(log)
    log.look("b")
    log.key, log.by = NEW_KEY, SHIP_KEY
    log.head()
    log.look("c")
    log.by = None
    log.head()
    assert await shore.hear(log, 2) == 2
    assert await shore.told() == []
    assert (await shore.word()).size == 3


async def test_a_stranger_who_vouches_for_a_stranger_is_refused(shore: Shore) -> None:
    log = Log()
    log.look("a")
    log.head()
    await shore.hear(log)
    log.look("b")
    log.key, log.by = NEW_KEY, STRANGER
    log.head()
    await shore.hear(log, 2)
    assert await shore.told() == ["key"]


async def test_a_restored_gateway_that_lost_no_row_goes_on(shore: Shore) -> None:
    log = Log()
    log.look(*"abc")
    log.head()
    await shore.hear(log)
    restored = Log(epoch=9, leaves=[*log.leaves, b"d"], last=log.last)
    restored.head()
    assert await shore.hear(restored) == 1
    word = await shore.word()
    assert (word.epoch, word.size, word.refused) == (9, 4, "")
    assert await shore.told() == []


async def test_a_restored_gateway_that_lost_rows_is_told_and_goes_on_as_another_log(shore: Shore) -> None:
    log = Log()
    log.look(*"ab")
    log.head()
    backup = (list(log.leaves), log.last)
    log.look(*"cde")
    log.head()
    await shore.hear(log)
    restored = Log(epoch=9, leaves=[*backup[0], b"x"], last=backup[1])
    restored.head()
    assert await shore.hear(restored) == 1
    assert await shore.told() == ["anew"]
    assert ((await shore.word()).epoch, (await shore.word()).size) == (9, 3)
    restored.look("y")
    restored.head()
    await shore.hear(restored, 2)
    assert (await shore.word()).size == 4
    log.look("late")  # what the lost disk had still to say
    log.head()
    await shore.hear(log, 3)
    assert await shore.told() == ["late", "anew"]
    assert (await shore.word()).epoch == 9


async def test_gateways_of_a_ship_have_logs_of_their_own(shore: Shore) -> None:
    one, two = Log("gw1"), Log("gw2", key=NEW_KEY)
    one.look("a")
    one.head()
    two.look("b", "c")
    two.head()
    await shore.hear(one)
    await shore.hear(two)
    assert ((await shore.word("gw1")).size, (await shore.word("gw2")).size) == (1, 2)
    stolen = Log("gw2", leaves=[*two.leaves, b"d"], events=list(two.events), last=two.last, key=SHIP_KEY)
    stolen.head()
    await shore.hear(stolen, 2)
    assert await shore.told() == ["key"]


async def test_an_event_that_holds_no_head_is_told(shore: Shore) -> None:
    log = Log()
    log.look("a")
    said = log.head()
    for bad in ({**said.payload, "size": -1}, {"erased": True}, {**said.payload, "proof": b"x"}, {}):
        seq = len(log.events) + 1
        log.events.append(StoredEvent(7, seq, EventType.LOOK_HEAD_SIGNED, NOW_S, bad))
    assert await shore.hear(log) == 5
    assert await shore.told() == ["bad"] * 4
    assert ((await shore.word()).size, (await shore.word()).refused) == (1, "bad")


async def test_two_nodes_do_each_head_once(shore: Shore) -> None:
    log = Log()
    for n in range(20):
        log.look(f"row {n}")
        log.head()
    await shore.ingest.batch(*log.batch(1, 20))
    other = Witness(shore.store, shore.clock, KEY)
    assert await shore.witness.look() + await other.look() == 20
    assert await shore.store.read(table("SELECT count(*) FROM look_witness")) == [(20,)]


async def test_a_store_that_forgot_the_heads_takes_them_again(empty: ShoreStore) -> None:
    """Put back from a backup made before: the gateway sends its events again."""
    shore = Shore(await prepared(empty))
    log = Log()
    log.look("a")
    log.head()
    log.look("b")
    log.head()
    await shore.hear(log)
    for name in ("look_witness", "look_key", "event", "log"):
        await shore.store.write(table(f"DELETE FROM {name} RETURNING 1"))
    assert await shore.hear(log) == 2
    assert (await shore.word()).size == 2
    assert await shore.told() == []
