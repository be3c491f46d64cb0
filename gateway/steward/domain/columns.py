"""Events as columns: one list of values per payload key, each in the form that is smallest for what it holds.

A column is a CBOR scalar (all values are the same), or a list that begins with its form:

| form | then |
|---|---|
| PLAIN | the values |
| VARINTS, DELTAS | zigzag LEB128 of the values, or of each less the one before |
| NUMBERED | a column of the different values, in order of appearance; varints, which of them each is |
| FOLLOWS | a key written before: each of its values always has the same value here; a column of those |
| LOWER_HEX, UPPER_HEX, FIXED | bytes per value; the bytes, joined |
| BITS | a bit each, the first lowest |
| SOME | a bit each: is it not None; a column of those that are not |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from steward.domain.cborwire import is_count
from steward.domain.events import EventType, Scalar, StoredEvent

EVENTS_MAX = 1024  # in one batch
CELLS_MAX = 65_536  # values in one batch
PAYLOAD_BYTES_MAX = 8192  # what one event's values may come to; a store takes half of that
_NESTING_MAX = 4
_I64 = 1 << 63
_PARENTS_MAX = 4

PLAIN, VARINTS, DELTAS, NUMBERED, FOLLOWS, LOWER_HEX, UPPER_HEX, FIXED, BITS, SOME = range(10)

# Keys by number. Only ever added to, at the end: both sides read old batches. Any other key travels by name.
KEYS = (
    *("guest", "uid", "serial", "code", "place", "reader", "tap_id", "till", "outlet", "amount_minor", "currency"),
    *("key_version", "active", "counter", "signed", "mac", "verified", "by", "reason", "refund_id", "refunded_minor"),
    *("epoch", "alert", "gateway", "role", "version", "clock_trusted", "purpose", "fields", "crew", "child", "zones"),
    *("offer", "item", "rank", "propensity", "features_version", "kind", "sha256", "day_minor", "stay_minor"),
    *("verify_above_minor", "deposit_id", "settled_minor", "returned_minor", "replaces", "last_counter", "attempts"),
    *("backup_epoch", "backup_seq", "note", "case", "cabin", "reading", "issued_s", "count", "peer", "first", "last"),
)
_NUMBER_OF_KEY = {key: number for number, key in enumerate(KEYS)}

Column = Any  # a scalar or a list, see above


class BadColumns(ValueError):
    """No columns that `pack_events` made."""


def pack_events(events: Sequence[StoredEvent], prev: int) -> list[Any]:
    """At least one event, seqs ascending from above `prev`, to a list for CBOR."""
    shapes: dict[tuple[int, tuple[str, ...]], int] = {}
    which, values = [], dict[str, list[Scalar]]()
    for event in events:
        keys = tuple(event.payload)
        which.append(shapes.setdefault((int(event.type), keys), len(shapes)))
        for key, value in event.payload.items():
            values.setdefault(key, []).append(value)
    steps = [event.seq - before - 1 for event, before in zip(events, [prev, *(e.seq for e in events)], strict=False)]
    return [
        len(events),
        _pack_integers(steps),
        _pack_integers([event.at_s for event in events]),
        [[kind, [_NUMBER_OF_KEY.get(key, key) for key in keys]] for kind, keys in shapes],
        _pack_integers(which),
        _pack_payloads(values, {key: tuple(n for n, shape in enumerate(shapes) if key in shape[1]) for key in values}),
    ]


def unpack_events(packed: object, epoch: int, prev: int) -> tuple[StoredEvent, ...]:
    """Raises BadColumns."""
    if not isinstance(packed, list) or len(packed) != 6:
        raise BadColumns("six parts are needed")
    count, steps, times, shapes, which, columns = packed
    if not is_count(count, EVENTS_MAX) or count == 0:
        raise BadColumns(f"1 to {EVENTS_MAX} events")
    kinds = _shapes(shapes)
    order = _integers(which, count, range(len(kinds)))
    payloads: list[dict[str, Scalar]] = [{} for _ in range(count)]
    _fill(payloads, [kinds[shape][1] for shape in order], columns)
    events, seq = [], prev
    for n, (step, at_s) in enumerate(
        zip(_integers(steps, count, range(_I64)), _integers(times, count, range(-_I64, _I64)), strict=True)
    ):
        seq += step + 1
        events.append(StoredEvent(epoch, seq, kinds[order[n]][0], at_s, payloads[n]))
    return tuple(events)


def type_of(code: int) -> EventType:
    """The type; of a newer gateway's code that this program has no name for, a number that keeps its class."""
    try:
        return EventType(code)
    except ValueError:
        unnamed = int.__new__(EventType, code)
        unnamed._name_ = f"TYPE_{code}"
        unnamed._value_ = code
        return unnamed


# Packing


def _pack_payloads(values: Mapping[str, list[Scalar]], shapes_with: Mapping[str, tuple[int, ...]]) -> list[Column]:
    """Columns in the order in which their keys first appear, going through the shapes."""
    columns: list[Column] = []
    parents: list[tuple[int, str]] = []
    for number, (key, column) in enumerate(values.items()):
        packed = _pack_scalars(column)
        for parent, name in parents:
            if isinstance(packed, list) and shapes_with[name] == shapes_with[key]:
                following = _follow(values[name], column)
                if following is not None:
                    packed = [FOLLOWS, parent, _pack_scalars(following)]
                    break
        else:
            if (
                isinstance(packed, list)
                and packed[0] in (NUMBERED, LOWER_HEX, UPPER_HEX)
                and len(parents) < _PARENTS_MAX
            ):
                parents.append((number, key))
        columns.append(packed)
    return columns


def _follow(parent: list[Scalar], column: list[Scalar]) -> list[Scalar] | None:
    """The value for each different value of the parent, if it is always the same one and that saves something."""
    following: dict[Scalar, Scalar] = {}
    for given, value in zip(parent, column, strict=True):
        known = following.setdefault(given, value)
        if known != value or type(known) is not type(value):
            return None
    return list(following.values()) if len(following) < len(parent) else None


def _pack_scalars(values: Sequence[Scalar]) -> Column:
    kinds = set(map(type, values))
    if len(kinds) == 1 and values.count(values[0]) == len(values):
        return values[0]
    if type(None) in kinds:
        some = [value for value in values if value is not None]
        return [SOME, _pack_bits([value is not None for value in values]), _pack_scalars(some)]
    if len(kinds) > 1:
        return [PLAIN, list(values)]
    kind = kinds.pop()
    if kind is bool:
        return [BITS, _pack_bits([value is True for value in values])]
    if kind is int:
        return _pack_integers([value for value in values if isinstance(value, int)])
    different = dict.fromkeys(values)
    if 2 * len(different) <= len(values):
        numbers = dict(zip(different, range(len(different)), strict=True))
        return [NUMBERED, _pack_scalars(list(different)), _varints([numbers[value] for value in values])]
    return _pack_texts([v for v in values if isinstance(v, str)]) if kind is str else _pack_blobs(values)


def _pack_integers(values: Sequence[int]) -> Column:
    if values.count(values[0]) == len(values):
        return values[0]
    if not all(-_I64 <= value < _I64 for value in values):
        return [PLAIN, list(values)]
    plain = _varints(values)
    deltas = _varints([value - before for value, before in zip(values, [0, *values], strict=False)])
    return [VARINTS, plain] if len(plain) <= len(deltas) else [DELTAS, deltas]


def _pack_texts(values: list[str]) -> Column:
    width, odd = divmod(len(values[0]), 2)
    joined = "".join(values)
    if width and not odd and joined.isascii() and all(len(value) == 2 * width for value in values):
        try:
            raw = bytes.fromhex(joined)
        except ValueError:
            return [PLAIN, values]
        if raw.hex() == joined:
            return [LOWER_HEX, width, raw]
        if raw.hex().upper() == joined:
            return [UPPER_HEX, width, raw]
    return [PLAIN, values]


def _pack_blobs(values: Sequence[Scalar]) -> Column:
    blobs = [value for value in values if isinstance(value, bytes)]
    width = len(blobs[0])
    if width and all(len(blob) == width for blob in blobs):
        return [FIXED, width, b"".join(blobs)]
    return [PLAIN, blobs]


def _pack_bits(bits: Sequence[bool]) -> bytes:
    number = sum(1 << n for n, bit in enumerate(bits) if bit)
    return number.to_bytes((len(bits) + 7) // 8, "little")


def _varints(values: Sequence[int]) -> bytes:
    out = bytearray()
    for value in values:
        rest = value * 2 if value >= 0 else -value * 2 - 1
        while rest > 0x7F:
            out.append(rest & 0x7F | 0x80)
            rest >>= 7
        out.append(rest)
    return bytes(out)


# Unpacking: whatever the bytes say, work and memory are bounded by the count of events and the size of the input


def _shapes(shapes: object) -> list[tuple[EventType, tuple[str, ...]]]:
    if not isinstance(shapes, list) or not 0 < len(shapes) <= EVENTS_MAX:
        raise BadColumns("the shapes of the events")
    found = []
    for shape in shapes:
        if not isinstance(shape, list) or len(shape) != 2 or not is_count(shape[0], 599) or shape[0] < 100:
            raise BadColumns("a shape is a type and its keys")
        if not isinstance(shape[1], list):
            raise BadColumns("the keys of a shape")
        keys = tuple(map(_key, shape[1]))
        if len(set(keys)) != len(keys):
            raise BadColumns("a key twice")
        found.append((type_of(shape[0]), keys))
    return found


def _key(key: object) -> str:
    if isinstance(key, str):
        return key
    if is_count(key, len(KEYS) - 1):
        assert isinstance(key, int)
        return KEYS[key]
    raise BadColumns("an unknown key: a newer gateway's, so bring this side up to date")


def _fill(payloads: list[dict[str, Scalar]], keys_of: Sequence[tuple[str, ...]], columns: object) -> None:
    """Put the columns' values into the payloads, each key in its own place."""
    if sum(map(len, keys_of)) > CELLS_MAX:
        raise BadColumns(f"more than {CELLS_MAX} values")
    users: dict[str, list[int]] = {}
    for n, keys in enumerate(keys_of):
        for key in keys:
            users.setdefault(key, []).append(n)
    if not isinstance(columns, list) or len(columns) != len(users):
        raise BadColumns("not as many columns as keys")
    values: list[list[Scalar]] = []
    sizes = [sum(map(len, keys)) for keys in keys_of]  # names travel once, and are kept with every event
    for (key, rows), column in zip(users.items(), columns, strict=True):
        values.append(_scalars(column, len(rows), values))
        for n, value in zip(rows, values[-1], strict=True):
            payloads[n][key] = value
            sizes[n] += len(value) if isinstance(value, (str, bytes)) else _int_size(value)
    if max(sizes) > PAYLOAD_BYTES_MAX:
        raise BadColumns(f"an event of more than {PAYLOAD_BYTES_MAX} bytes")
    for n, keys in enumerate(keys_of):
        if tuple(payloads[n]) != keys:
            payloads[n] = {key: payloads[n][key] for key in keys}


def _scalars(column: Column, count: int, before: Sequence[list[Scalar]], depth: int = 0) -> list[Scalar]:
    if not isinstance(column, list):
        return [_scalar(column)] * count
    if depth == _NESTING_MAX or len(column) not in (2, 3):
        raise BadColumns("a column is a value, or a form and what it needs")
    form, *rest = column
    if form == FOLLOWS and len(rest) == 2 and depth == 0:
        return _following(rest[0], rest[1], count, before)
    if form == NUMBERED and len(rest) == 2:
        numbers = _read_varints(rest[1], count)
        different = _scalars(rest[0], max(numbers) + 1 if max(numbers) < count else 0, (), depth + 1)
        if not different or min(numbers) < 0:
            raise BadColumns("a number without its value")
        return [different[number] for number in numbers]
    if form == SOME and len(rest) == 2:
        bits = _read_bits(rest[0], count)
        some = iter(_scalars(rest[1], sum(bits), (), depth + 1))
        return [next(some) if bit else None for bit in bits]
    return _simple(form, rest, count)


def _simple(form: object, rest: list[Any], count: int) -> list[Scalar]:
    if form in (VARINTS, DELTAS) and len(rest) == 1:
        return list(_undelta(form == DELTAS, _read_varints(rest[0], count)))
    if form == BITS and len(rest) == 1:
        return list(_read_bits(rest[0], count))
    if form == PLAIN and len(rest) == 1 and isinstance(rest[0], list) and len(rest[0]) == count:
        return [_scalar(value) for value in rest[0]]
    if form in (LOWER_HEX, UPPER_HEX, FIXED) and len(rest) == 2 and isinstance(rest[1], bytes):
        width, joined = rest
        if is_count(width, len(joined)) and width and width * count == len(joined):
            parts = [joined[at : at + width] for at in range(0, len(joined), width)]
            if form == FIXED:
                return list(parts)
            return [part.hex() if form == LOWER_HEX else part.hex().upper() for part in parts]
    raise BadColumns("a column of no known form, or of the wrong size")


def _following(parent: object, column: Column, count: int, before: Sequence[list[Scalar]]) -> list[Scalar]:
    if not is_count(parent, len(before) - 1):
        raise BadColumns("it follows a key that is not there")
    assert isinstance(parent, int)
    given = before[parent]
    if len(given) != count:
        raise BadColumns("it follows a key of other events")
    different = dict.fromkeys(given)
    values = dict(zip(different, _scalars(column, len(different), (), 1), strict=True))
    return [values[value] for value in given]


def _scalar(value: object) -> Scalar:
    if value is None or type(value) in (str, int, bool, bytes):
        return value  # type: ignore[return-value]
    raise BadColumns("a value that is no scalar")


def _int_size(value: int | bool | None) -> int:
    """Bytes of a whole number, which CBOR lets be as long as it likes."""
    return 0 if value is None else value.bit_length() // 8


def _integers(column: Column, count: int, allowed: range) -> list[int]:
    values = [value for value in _scalars(column, count, (), _NESTING_MAX - 1) if type(value) is int]
    if len(values) != count or not all(value in allowed for value in values):
        raise BadColumns("a number out of range")
    return values


def _undelta(is_delta: bool, values: list[int]) -> list[int]:
    if is_delta:
        for n in range(1, len(values)):
            values[n] += values[n - 1]
    return values


def _read_varints(data: object, count: int) -> list[int]:
    """Exactly `count` of them, of 64 bits (and a sign, for differences) at most."""
    if not isinstance(data, bytes):
        raise BadColumns("varints are bytes")
    values, rest, shift = [], 0, 0
    for byte in data:
        rest |= (byte & 0x7F) << shift
        if byte < 0x80:
            values.append(-(rest + 1 >> 1) if rest & 1 else rest >> 1)
            rest = shift = 0
        else:
            shift += 7
            if shift > 63:
                raise BadColumns("a varint that does not end")
    if len(values) != count or shift:
        raise BadColumns("not as many varints as events")
    return values


def _read_bits(data: object, count: int) -> list[bool]:
    if not isinstance(data, bytes) or len(data) != (count + 7) // 8:
        raise BadColumns("not a bit for each event")
    number = int.from_bytes(data, "little")
    if number >> count:
        raise BadColumns("bits for more events than there are")
    return [bool(number >> n & 1) for n in range(count)]
