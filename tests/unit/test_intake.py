"""The receiver's machine: what is new, what came early, what is known, what an older epoch lost."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import cbor2
import pytest

from steward.domain.batches import Batch
from steward.domain.digest import Digest
from steward.domain.events import EventType, StoredEvent
from steward.domain.intake import (
    ISLANDS_MAX,
    DamagedStream,
    Stream,
    acknowledge,
    decode_stream,
    encode_stream,
    end_older,
    lost_count,
    take,
)

EPOCH = 100
TYPES = (
    EventType.BAND_ISSUED,
    EventType.STAFF_ALERT,
    EventType.CHARGE_POSTED,
    EventType.DOWN_APPLIED,
    EventType.LOOKED_UP,
)


def batch(cls: int, prev: int, *seqs: int, head: int = 0, number: int = 1, epoch: int = EPOCH) -> Batch:
    events = tuple(StoredEvent(epoch, seq, TYPES[cls - 1], 5, {}) for seq in seqs)
    return Batch("aurora", "gw1", epoch, number, cls, events, head or max([prev, *seqs]), prev)


def seqs(events: Sequence[StoredEvent]) -> list[int]:
    return [event.seq for event in events]


def test_classes_are_chains_of_their_own() -> None:
    stream = Stream()
    for one in (batch(2, 0, 1, 4), batch(3, 0, 2, 3), batch(2, 4, 9, head=12)):
        taken = take(stream, one)
        assert (seqs(taken.fresh), taken.again, taken.refused) == (seqs(one.events), (), False)
        stream = taken.stream
    assert stream == Stream(covered=(0, 9, 3, 0, 0), islands=(), count=5, head=12)
    assert stream.behind == 7


def test_what_is_known_is_told_apart_event_by_event() -> None:
    stream = take(Stream(), batch(2, 0, 1, 4, 6)).stream
    taken = take(stream, batch(2, 1, 4, 6, 8, 9))
    assert (seqs(taken.fresh), seqs(taken.again)) == ([8, 9], [4, 6])
    assert taken.stream.covered[1] == 9
    assert taken.stream.count == 5
    again = take(taken.stream, batch(2, 0, 1, 4, 6))
    assert (again.stream, again.fresh, seqs(again.again)) == (taken.stream, (), [1, 4, 6])


def test_what_comes_early_is_held_until_the_gap_is_filled() -> None:
    stream = take(Stream(), batch(2, 10, 12, 15)).stream
    stream = take(stream, batch(2, 20, 22)).stream
    assert (stream.covered[1], stream.islands, stream.count) == (0, ((2, 10, 15), (2, 20, 22)), 3)
    ack = acknowledge(stream, batch(2, 20, 22, number=9), b"boot-id.", Digest(1, 2, bytes(32)))
    assert (ack.answers, ack.covered, ack.held, ack.digest) == (
        9,
        stream.covered,
        stream.islands,
        Digest(1, 2, bytes(32)),
    )
    taken = take(stream, batch(2, 15, 18, 20))
    assert (seqs(taken.fresh), taken.stream.islands) == ([18, 20], ((2, 10, 22),))
    taken = take(taken.stream, batch(2, 0, 5, 10, 12))
    assert (seqs(taken.fresh), seqs(taken.again)) == ([5, 10], [12])
    assert (taken.stream.covered[1], taken.stream.islands) == (22, ())


def test_who_needs_the_order_refuses_what_comes_early() -> None:
    stream = take(Stream(), batch(2, 0, 1), in_order=True).stream
    early = take(stream, batch(2, 3, 5, head=9), in_order=True)
    assert early.refused
    assert (early.fresh, early.again) == ((), ())
    assert early.stream == Stream((0, 1, 0, 0, 0), (), 1, 9)
    assert seqs(take(early.stream, batch(2, 1, 3), in_order=True).fresh) == [3]
    assert not take(early.stream, batch(2, 3), in_order=True).refused  # only a question


def test_islands_are_bounded_and_one_that_joins_another_is_always_taken() -> None:
    stream = Stream()
    for n in range(ISLANDS_MAX):
        stream = take(stream, batch(1 + n % 5, 10 * n + 1, 10 * n + 3)).stream
    assert len(stream.islands) == ISLANDS_MAX
    assert take(stream, batch(2, 900, 905)).refused
    joined = take(stream, batch(1, 3, 6))
    assert not joined.refused
    assert len(joined.stream.islands) == ISLANDS_MAX
    assert not take(stream, batch(2, 0, 5)).refused


def test_a_question_changes_nothing_but_the_head() -> None:
    stream = take(Stream(), batch(2, 0, 1)).stream
    for prev in (0, 1, 50):
        asked = take(stream, batch(2, prev, head=70))
        assert asked.stream == Stream((0, 1, 0, 0, 0), (), 1, 70)
        assert (asked.fresh, asked.again, asked.refused) == ((), (), False)


@pytest.mark.parametrize("seed", range(30))
def test_any_order_of_any_pieces_ends_in_the_same_state(seed: int) -> None:
    draw = random.Random(seed)
    own = sorted(draw.sample(range(1, 200), 60))
    cuts = [0, *sorted(draw.sample(range(1, 60), 15)), 60]
    pieces = [batch(2, own[a - 1] if a else 0, *own[a:b], head=200) for a, b in itertools.pairwise(cuts)]
    for _ in range(10):
        a, b = sorted(draw.sample(range(61), 2))
        pieces.append(batch(2, own[a - 1] if a else 0, *own[a:b], head=200))
    draw.shuffle(pieces)
    stream, found = Stream(), list[int]()
    while stream.covered[1] != own[-1]:
        for piece in pieces:
            taken = take(stream, piece)
            found += seqs(taken.fresh)
            stream = decode_stream(encode_stream(taken.stream))
    assert sorted(found) == own
    assert stream == Stream((0, own[-1], 0, 0, 0), (), 60, 200)


def test_an_older_epoch_ends_where_the_restored_gateway_says() -> None:
    streams = {5: Stream(count=3, head=9), 7: Stream(count=4, head=4), 8: Stream(ends=4), 200: Stream()}
    first = Batch("aurora", "gw1", EPOCH, 1, 4, (), 1, older=((5, 4), (8, 4)))
    changed = end_older(streams, first)
    assert changed == {5: Stream(count=3, head=9, ends=4), 7: Stream(count=4, head=4, ends=0)}
    assert end_older(streams | changed, first) == {}
    assert end_older(streams, batch(2, 0, 1)) == {}
    assert lost_count(changed[5], stored_beyond_end=2) == 3
    assert lost_count(changed[7], stored_beyond_end=4) == 0
    assert lost_count(Stream(head=9), 0) == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        cbor2.dumps([[0] * 5, [], 0, 0]),
        cbor2.dumps([[0] * 4, [], 0, 0, None]),
        cbor2.dumps([[0] * 5, [[1, 2]], 0, 0, None]),
        cbor2.dumps([[0, 0, 0, 0, -1], [], 0, 0, None]),
        cbor2.dumps([5, [], 0, 0, None]),
        cbor2.dumps("abcde"),
    ],
)
def test_a_damaged_stream_says_so(data: bytes) -> None:
    with pytest.raises(DamagedStream):
        decode_stream(data)
