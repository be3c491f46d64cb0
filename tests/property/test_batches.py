"""The link's bytes: every event comes back as it was, known bytes stay known, and no bytes do any harm."""

from __future__ import annotations

import hashlib
import random
import resource
import zlib
from dataclasses import replace

import cbor2
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.typical import Ship, json_bytes

from steward.adapters.store_rules import encode_payload
from steward.domain.batches import (
    ACK_BYTES_MAX,
    BATCH_BYTES_MAX,
    HELD_MAX,
    INFLATED_BYTES_MAX,
    Ack,
    BadBatch,
    BadDown,
    Batch,
    BatchTooLarge,
    decode_ack,
    decode_batch,
    encode_ack,
    encode_batch,
    open_down,
)
from steward.domain.columns import CELLS_MAX, EVENTS_MAX, KEYS, type_of
from steward.domain.digest import Digest, canonical_event, digest_events, next_range
from steward.domain.downs import decode_deny, decode_freeze
from steward.domain.events import EventType, Scalar, StoredEvent
from steward.domain.intake import DamagedStream, Stream, decode_stream, encode_stream

EPOCH = 1_800_000_000
EMPTY = Batch("aurora", "gw1", EPOCH, 77, 4, (), 900)

keys = st.sampled_from([*KEYS[:12], "x", "", "a longer name", "é"]) | st.text(max_size=4)
hexes = st.sampled_from(["00ff", "ABCD", "abCD", "12", "0a0b0c0d0e0f1011", " 1", "1 ", "g0"])
big = st.integers(-(2**80), 2**80)
scalars = st.none() | st.booleans() | st.integers(-3, 3) | big | st.text(max_size=6) | st.binary(max_size=6) | hexes
# Columns that look alike, so that each of their forms comes up: the values of one batch from a few.
pools = st.lists(scalars, min_size=1, max_size=4)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    cls = draw(st.integers(1, 5))
    pool = st.sampled_from(draw(pools)) | scalars
    shapes = draw(st.lists(st.lists(keys, max_size=5, unique=True), min_size=1, max_size=3))
    codes = [type_ for type_ in EventType if int(type_) // 100 == cls]
    prev = draw(st.integers(0, 10**9))
    events, seq = [], prev
    for _ in range(draw(st.integers(0, 40))):
        seq += draw(st.sampled_from([1, 1, 1, 2, 300]))
        payload = {key: draw(pool) for key in draw(st.sampled_from(shapes))}
        events.append(StoredEvent(EPOCH, seq, draw(st.sampled_from(codes)), draw(st.integers(-9, 2**40)), payload))
    older = draw(st.none() | st.lists(st.tuples(st.integers(0, EPOCH), st.integers(0, 99)), max_size=3).map(tuple))
    digest = draw(
        st.none() | st.builds(Digest, st.integers(1, 5), st.integers(5, 9), st.binary(min_size=32, max_size=32))
    )
    version = draw(st.sampled_from(["", "0.1.0"]))
    return Batch("aurora", "gw-1", EPOCH, 5, cls, tuple(events), seq + 1, prev, version, older, digest)


def typed(batch: Batch) -> list[list[tuple[str, type, Scalar]]]:
    """True is not 1, and the order of keys counts."""
    return [[(key, type(value), value) for key, value in event.payload.items()] for event in batch.events]


@settings(max_examples=300, deadline=None)
@given(batches(), st.sampled_from([1, 3, 19]))
def test_a_batch_comes_back_as_it_was(batch: Batch, level: int) -> None:
    again = decode_batch(encode_batch(batch, level))
    assert again == batch
    assert typed(again) == typed(batch)
    assert again.last == batch.last


@pytest.mark.parametrize("count", [1, 2, 10, 500, EVENTS_MAX])
@pytest.mark.parametrize("cls", [1, 2, 3, 4, 5])
def test_typical_events_come_back(count: int, cls: int) -> None:
    events = tuple(Ship(count).events(count, cls))
    batch = Batch("aurora", "gw1", events[0].epoch, 1, cls, events, events[-1].seq)
    again = decode_batch(encode_batch(batch))
    assert again == batch
    assert typed(again) == typed(batch)


def test_a_column_that_follows_another_keeps_its_types() -> None:
    """True is 1 to Python: the guest's flag is once this and once that."""
    refs = [f"{n % 4:016x}" for n in range(40)]
    for values in ([1, True], [0, False], [True, 1, False, 0]):
        events = tuple(
            StoredEvent(
                EPOCH, n + 1, EventType.LOOKED_UP, 1, {"guest": ref, "flag": values[n // 4 % len(values)], "n": n % 4}
            )
            for n, ref in enumerate(refs)
        )
        batch = replace(EMPTY, cls=5, events=events)
        again = decode_batch(encode_batch(batch))
        assert (again, typed(again)) == (batch, typed(batch))


@pytest.mark.parametrize(
    ("cls", "most"), [(2, 20), (3, 55), (5, 20)], ids=["doors", "charges with their proofs", "look-ups and offers"]
)
def test_bytes_an_event_in_batches_of_500(cls: int, most: int) -> None:
    events = Ship(1).events(500, cls)
    batch = Batch("aurora", "gw1", events[0].epoch, 1, cls, tuple(events), events[-1].seq)
    size = len(encode_batch(batch, 9))
    assert size <= most * 500
    assert size * 7 < json_bytes(events)


def test_a_type_that_only_a_newer_gateway_knows_keeps_its_number() -> None:
    batch = replace(EMPTY, events=(StoredEvent(EPOCH, 3, type_of(499), 1, {"a": 1}),))
    (event,) = decode_batch(encode_batch(batch)).events
    assert int(event.type) == 499
    assert event.type.name == "TYPE_499"
    assert canonical_event(event) == canonical_event(batch.events[0])
    with pytest.raises(ValueError, match="499"):
        EventType(499)


def golden_batch() -> Batch:
    events = (
        StoredEvent(
            EPOCH, 11, EventType.CHARGE_POSTED, EPOCH + 9, {"tap_id": "00" * 16, "amount_minor": 450, "x": None}
        ),
        StoredEvent(
            EPOCH, 13, EventType.CHARGE_POSTED, EPOCH + 9, {"tap_id": "0f" * 16, "amount_minor": 90, "x": True}
        ),
        StoredEvent(EPOCH, 14, EventType.PIN_LOCKED, EPOCH + 8, {"guest": "00000000000000aa", "attempts": 3}),
    )
    return Batch("aurora", "gw1", EPOCH, 77, 3, events, 20, 10, "0.1.0", ((5, 6),), Digest(1, 2, bytes(32)))


def test_known_bytes_stay_known() -> None:
    """Raw CBOR: what zstd makes of it may change with its version, what it inflates to may not."""
    packed = encode_batch(golden_batch())
    inflater = zstandard.ZstdDecompressor(format=zstandard.FORMAT_ZSTD1_MAGICLESS)
    plain = inflater.decompress(packed[5:])
    assert packed[:5].hex() == "11" + f"{zlib.crc32(plain):08x}"
    assert plain.hex() == GOLDEN_PLAIN
    assert encode_batch(EMPTY).hex() == GOLDEN_EMPTY
    assert encode_ack(Ack(EPOCH, 77, (1, 2, 3, 4, 5), ((3, 9, 11),), b"boot-id.")).hex() == GOLDEN_ACK
    assert encode_stream(Stream((1, 2, 3, 4, 5), ((3, 9, 11),), 9, 20, None)).hex() == GOLDEN_STREAM
    assert decode_batch(bytes.fromhex(GOLDEN_EMPTY)) == EMPTY


GOLDEN_PLAIN = (
    "89666175726f7261636777311a6b49d200184d03140a860382014300020082024792c8ceb40d0001828219012d8306096178"
    "821901368200182f820143000002858305105820000000000000000000000000000000000f0f0f0f0f0f0f0f0f0f0f0f0f0f"
    "0f0f8201448407b40183094102f5703030303030303030303030303030616103a30081820506018301025820000000000000"
    "00000000000000000000000000000000000000000000000000000265302e312e30"
)
GOLDEN_EMPTY = "1015d590ae88666175726f7261636777311a6b49d200184d0419038400f6"
GOLDEN_ACK = "10aef9ac7d861a6b49d200184d850102030405818303090b48626f6f742d69642ef6"
GOLDEN_STREAM = "85850102030405818303090b0914f6"


# Hostile bytes

DECODERS = {
    "batch": (decode_batch, BadBatch),
    "ack": (decode_ack, BadBatch),
    "down": (lambda data: open_down(data, [bytes(32)]), BadDown),
    "deny": (decode_deny, BadDown),
    "freeze": (decode_freeze, BadDown),
    "stream": (decode_stream, DamagedStream),
}


def sealed(plain: bytes) -> bytes:
    return b"\x10" + zlib.crc32(plain).to_bytes(4, "big") + plain


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(DECODERS)), st.binary(max_size=200))
def test_random_bytes_are_refused_as_what_they_are(name: str, data: bytes) -> None:
    decode, error = DECODERS[name]
    for attempt in (data, b"\x11" + data, sealed(data), b"\x10" + data):
        try:
            decode(attempt)
        except error:
            continue


json_like = st.recursive(
    scalars | st.floats() | st.integers(0, 30),
    lambda inner: (
        st.lists(inner, max_size=6) | st.dictionaries(st.integers(0, 3) | st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(json_like, st.integers(0, 8))
def test_well_formed_cbor_of_anything_is_refused_as_what_it_is(value: object, at: int) -> None:
    fields: list[object] = ["aurora", "gw1", EPOCH, 1, 3, 20, 10, None, {}]
    fields[at] = value
    plains = [cbor2.dumps(value), cbor2.dumps(fields)]
    columns: list[object] = [2, 0, 5, [[301, [0]]], 0, ["x"]]
    columns[at % 6] = value
    plains.append(cbor2.dumps(["aurora", "gw1", EPOCH, 1, 3, 20, 10, columns]))
    plains.append(cbor2.dumps(["aurora", "gw1", EPOCH, 1, 3, 20, 10, [2, 0, 5, [[301, [0]]], 0, [value]]]))
    for plain in plains:
        for decode, error in DECODERS.values():
            for attempt in (plain, sealed(plain)):
                try:
                    decode(attempt)
                except error:
                    continue


def test_mutated_batches_are_refused_or_seen_by_the_checksum() -> None:
    draw = random.Random(5)
    good = encode_batch(replace(golden_batch(), events=tuple(Ship(3).events(60, 3)), prev=0, head=10_000, epoch=EPOCH))
    plain = zstandard.ZstdDecompressor(format=zstandard.FORMAT_ZSTD1_MAGICLESS).decompress(good[5:])
    refused = 0
    for _ in range(3000):
        mutated = bytearray(draw.choice((good, plain)))
        for _ in range(draw.choice((1, 1, 2, 8))):
            at = draw.randrange(len(mutated))
            draw.choice((mutated.__delitem__, lambda n, m=mutated: m.__setitem__(n, draw.randrange(256))))(at)  # type: ignore[misc]
        data = bytes(mutated) if mutated[:1] == good[:1] else sealed(bytes(mutated))
        try:
            decode_batch(data)
        except BadBatch:
            refused += 1
    assert refused > 1500


def bomb(size: int, *, names_size: bool) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        19, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=names_size
    )
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj(size=size if names_size else -1)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20))
    return b"\x11" + bytes(4) + packed + packer.flush()


def peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_what_inflates_to_too_much_is_refused_before_it_does() -> None:
    named, unnamed = bomb(512 << 20, names_size=True), bomb(512 << 20, names_size=False)
    assert len(named) < 100_000
    before = peak_kib()
    for data in (named, unnamed, bomb(4 << 20, names_size=True)):
        with pytest.raises(BadBatch, match="would be more than"):
            decode_batch(data)
    lying = bytearray(bomb(1 << 20, names_size=True))
    with pytest.raises(BadBatch):
        decode_batch(bytes(lying[:-3]))
    assert peak_kib() - before < 16 * 1024


def nested(depth: int) -> object:
    return [9, b"\x03", nested(depth - 1)] if depth else 1


def test_few_bytes_that_stand_for_many_values_are_refused() -> None:
    many_keys = [f"k{n}" for n in range(2000)]
    blowups = {
        "every event has every key": [1024, 0, 5, [[301, many_keys]], 0, ["v"] * 2000],
        "one long value for every key": [1024, 0, 5, [[301, many_keys[:60]]], 0, ["x" * 4000] * 60],
        "one long number for every event": [1024, 0, 5, [[301, [0]]], 0, [1 << 8 * 200_000]],
        "one long name of a key for every event": [1024, 0, 5, [[301, ["k" * 200_000]]], 0, [None]],
        "more events than a batch has": [10**9, 0, 5, [[301, [0]]], 0, ["x"]],
        "numbered into nowhere": [2, 0, 5, [[301, [0]]], 0, [[3, "x", b"\x00\xfe\xff\xff\xff\x0f"]]],
        "columns in columns": [2, 0, 5, [[301, [0]]], 0, [nested(6)]],
        "a varint without end": [2, 0, 5, [[301, [0]]], 0, [[1, b"\xff" * 5000]]],
        "it follows itself": [2, 0, 5, [[301, [0]]], 0, [[4, 0, "x"]]],
    }  # fmt: skip
    before = peak_kib()
    for name, columns in blowups.items():
        with pytest.raises(BadBatch):
            decode_batch(sealed(cbor2.dumps(["aurora", "gw1", EPOCH, 1, 3, 2000, 0, columns])))
        assert peak_kib() - before < 32 * 1024, name


@pytest.mark.parametrize(
    "fields",
    [
        ["Aurora", "gw1", EPOCH, 1, 3, 20, 10, None],
        ["aurora", "gw/1", EPOCH, 1, 3, 20, 10, None],
        ["aurora", "gw1", -1, 1, 3, 20, 10, None],
        ["aurora", "gw1", EPOCH, 1, 6, 20, 10, None],
        ["aurora", "gw1", EPOCH, 1, True, 20, 10, None],
        ["aurora", "gw1", EPOCH, 1, 3, 2**63, 10, None],
        ["aurora", "gw1", EPOCH, 1, 3, 20, 10],
        ["aurora", "gw1", EPOCH, 1, 3, 10, 10, [1, 0, 5, [[301, []]], 0, []]],
        ["aurora", "gw1", EPOCH, 1, 2, 20, 10, [1, 0, 5, [[301, []]], 0, []]],
        ["aurora", "gw1", EPOCH, 1, 3, 20, 10, [0, 0, 5, [[301, []]], 0, []]],
        ["aurora", "gw1", EPOCH, 1, 3, 20, 10, [1, -1, 5, [[301, []]], 0, []]],
        ["aurora", "gw1", EPOCH, 1, 3, 20, 10, [1, 0, 5, [[301, [0, 0]]], 0, ["x"]]],
        ["aurora", "gw1", EPOCH, 1, 3, 20, 10, [1, 0, 5, [[301, [999]]], 0, ["x"]]],
        ["aurora", "gw1", EPOCH, 1, 3, 20, 10, [1, 0, 5, [[301, [0]]], 0, [1.5]]],
        ["aurora", "gw1", EPOCH, 1, 3, 20, 10, None, {2: "line\nbreak"}],
        ["aurora", "gw1", EPOCH, 1, 3, 20, 10, None, {0: [[1, 2, 3]]}],
        ["aurora", "gw1", EPOCH, 1, 3, 20, 10, None, {1: [5, 4, bytes(32)]}],
        ["aurora", "gw1", EPOCH, 1, 3, 20, 10, None, {1: [1, 4, bytes(31)]}],
        ["aurora", "gw1", EPOCH, 1, 3, 20, 10, None, []],
    ],
    ids=str,
)
def test_what_cannot_be_is_no_batch(fields: list[object]) -> None:
    with pytest.raises(BadBatch):
        decode_batch(sealed(cbor2.dumps(fields)))


def test_what_a_newer_program_adds_is_passed_over() -> None:
    fields = ["aurora", "gw1", EPOCH, 77, 4, 900, 0, None, {9: "something new"}]
    assert decode_batch(sealed(cbor2.dumps(fields))) == EMPTY


@pytest.mark.parametrize("data", [b"", b"\x10", bytes(BATCH_BYTES_MAX + 1), b"\x20" + bytes(60)])
def test_sizes_and_forms(data: bytes) -> None:
    with pytest.raises(BadBatch):
        decode_batch(data)
    with pytest.raises(BadBatch):
        decode_batch(encode_batch(EMPTY), 10)


def test_a_batch_that_nobody_would_take_is_not_made() -> None:
    one = StoredEvent(EPOCH, 1, EventType.DOOR_OPENED, 1, {})
    too_many = tuple(replace(one, seq=n + 1) for n in range(EVENTS_MAX + 1))
    wide = {f"k{n}": n for n in range(1000)}
    too_wide = tuple(replace(one, seq=n + 1, payload=wide) for n in range(CELLS_MAX // 1000 + 1))
    long = tuple(replace(one, seq=n + 1, payload={"x": random.Random(n).randbytes(3900)}) for n in range(600))
    for events in (too_many, too_wide, long):
        with pytest.raises(BatchTooLarge):
            encode_batch(Batch("aurora", "gw1", EPOCH, 1, 5, events, 9999))
    half = Batch("aurora", "gw1", EPOCH, 1, 5, too_many, 9999).first_half()
    assert decode_batch(encode_batch(half)) == half
    with pytest.raises(BatchTooLarge):
        replace(half, events=half.events[:1]).first_half()


def test_the_largest_payload_that_a_store_takes_travels() -> None:
    payloads: list[dict[str, Scalar]] = [
        {"x": "y" * 4090},
        {chr(65 + n % 60) * (n // 60 + 1): None for n in range(240)},
    ]
    payloads.append({f"{n:x}": n % 2 for n in range(800)})
    for payload in payloads:
        encode_payload(payload)
        batch = replace(EMPTY, cls=5, events=(StoredEvent(EPOCH, 1, EventType.DOOR_OPENED, 1, payload),))
        assert decode_batch(encode_batch(batch)) == batch
    assert len(encode_payload(payloads[0])) > 4090
    assert INFLATED_BYTES_MAX > EVENTS_MAX * 1024


# Acknowledgements and digests


@given(
    st.builds(
        Ack,
        st.integers(0, 2**62 - 1),
        st.integers(0, 2**40),
        st.tuples(*[st.integers(0, 2**62 - 1)] * 5),
        st.lists(st.tuples(st.integers(1, 5), st.integers(0, 9), st.integers(10, 2**40)), max_size=HELD_MAX).map(tuple),
        st.binary(min_size=8, max_size=8),
        st.none() | st.builds(Digest, st.integers(1, 5), st.integers(5, 9), st.binary(min_size=32, max_size=32)),
    )
)
def test_an_acknowledgement_comes_back_as_it_was(ack: Ack) -> None:
    data = encode_ack(ack)
    assert decode_ack(data) == ack
    assert len(data) < ACK_BYTES_MAX


@pytest.mark.parametrize(
    "fields",
    [
        [1, 2, [0] * 4, [], bytes(8), None],
        [1, 2, [0] * 5, [], bytes(7), None],
        [1, 2, [0] * 5, [[6, 1, 2]], bytes(8), None],
        [1, 2, [0] * 5, [[1, 2, 2]], bytes(8), None],
        [1, -2, [0] * 5, [], bytes(8), None],
        [1, 2, [-1] * 5, [], bytes(8), None],
        [1, 2, [0] * 5, [], bytes(8)],
        [1, 2, [0] * 5, [], bytes(8), [1, 2, b"short"]],
        {},
    ],
    ids=str,
)
def test_what_cannot_be_is_no_acknowledgement(fields: object) -> None:
    with pytest.raises(BadBatch):
        decode_ack(sealed(cbor2.dumps(fields)))


def test_a_digest_is_of_content_and_not_of_how_a_payload_was_built() -> None:
    event = StoredEvent(EPOCH, 1, EventType.DOOR_OPENED, 5, {"a": 1, "b": None})
    alike = replace(event, payload={"b": None, "a": 1})
    assert digest_events(1, 1, [event]) == digest_events(1, 1, [alike])
    assert digest_events(1, 1, [event]).sha256 == hashlib.sha256(canonical_event(event)).digest()
    for other in (replace(event, at_s=6), replace(event, payload={"a": True, "b": None}), replace(event, seq=2)):
        assert digest_events(1, 1, [event]) != digest_events(1, 1, [other])
    assert digest_events(1, 2, [event]) != digest_events(1, 2, [event, replace(event, seq=2)])


def test_ranges_to_compare_follow_each_other() -> None:
    assert next_range(0, 0) is None
    assert next_range(0, 7) == (1, 7)
    assert next_range(7, 9_000) == (8, 2007)
    assert next_range(9_000, 9_000) is None
