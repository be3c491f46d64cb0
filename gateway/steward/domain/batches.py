"""What travels on the link, as bytes: batches of events up, acknowledgements back, signed messages down.

A batch is one byte of version and form, four of CRC-32 over what follows uncompressed, then CBOR, as it is or in a
zstd frame that names its size. CBOR: [ship, gateway, epoch, number, class, head, prev, columns or None, more]; `more`
is a map by number, left out while it is empty: unknown numbers are passed over.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cbor2
import zstandard
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from steward.domain.cborwire import NotPlain, is_count, plain_loads
from steward.domain.columns import CELLS_MAX, EVENTS_MAX, BadColumns, pack_events, unpack_events
from steward.domain.digest import Digest
from steward.domain.events import StoredEvent
from steward.domain.topics import CLASSES, DOWN_KINDS, class_of, is_name
from steward.errors import LocalError, RemoteError

BATCH_BYTES_MAX = 256 * 1024  # on the wire
INFLATED_BYTES_MAX = 2 * 1024 * 1024
ACK_BYTES_MAX = 4096
DOWN_BYTES_MAX = 130 * 1024
DOWN_BODY_BYTES_MAX = 128 * 1024
COUNT_MAX = (1 << 62) - 1  # of any seq, epoch, number or version
OLDER_MAX = 64
VERSION_MAX = 64
HELD_MAX = 64
BOOT_LENGTH = 8

_RAW, _ZSTD = 0x10, 0x11  # version 1 in the high four bits
_HEADER = 5
_COMPRESS_FROM = 96  # bytes: below, a zstd frame is larger than what is in it
_OLDER, _DIGEST, _VERSION, _BARE = range(4)  # numbers of `more`
_DOWN_CONTEXT = b"steward-down-v1\0"
_DOWN_VERSION = b"\x01"
_SIGNATURE = 64


class BadBatch(RemoteError):
    """Bytes that are no batch, or no acknowledgement."""

    code = "bad_batch"


class BatchTooLarge(LocalError):
    """More in one batch than a receiver would take: send fewer events at a time."""

    code = "batch_too_large"


class BadDown(RemoteError):
    """A message from above that is not shore's, or not for us."""

    code = "bad_down"

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one class of one epoch: all of it with prev < seq <= the last of them. Without any: only a question."""

    ship: str
    gateway: str
    epoch: int
    number: int  # grows with each sending of this process, a repeated sending too; begins somewhere at random
    cls: int
    events: tuple[StoredEvent, ...]
    head: int  # the newest seq of the epoch in the gateway's log
    prev: int = 0
    version: str = ""  # of the gateway's program; only in the first batches of a connection
    older: tuple[tuple[int, int], ...] | None = None  # (epoch, last seq) of every older epoch the gateway has
    digest: Digest | None = None  # of a range of this epoch that was acknowledged whole
    bare: Digest | None = None  # the same without payloads; alone, where these may rightly differ

    @property
    def last(self) -> int:
        """The seq up to which its class is covered by it."""
        return self.events[-1].seq if self.events else self.prev

    def first_half(self) -> Batch:
        """The same with half of the events. Raises BatchTooLarge if there is only one."""
        if len(self.events) < 2:
            raise BatchTooLarge("one event alone does not go into a batch")
        return replace(self, events=self.events[: len(self.events) // 2])


@dataclass(frozen=True, slots=True)
class Ack:
    """What a peer has durably of one epoch, as it stood after the batch that it answers."""

    epoch: int
    answers: int  # the number of that batch
    covered: tuple[int, ...]  # of each class, 1 first: all of it up to this seq
    held: tuple[tuple[int, int, int], ...] = ()  # (class, after, last): all of it within; what lies before is missing
    boot: bytes = bytes(BOOT_LENGTH)  # names the peer's store; another one after it was restored
    digest: Digest | None = None  # the peer's own, over the range that the batch's digest named


@dataclass(frozen=True, slots=True)
class DownMessage:
    """A decision from ashore: whole in itself, so that the newest version is all that anyone needs."""

    ship: str
    kind: str
    version: int
    issued_s: int
    body: bytes


# Batches


def encode_batch(batch: Batch, level: int = 3) -> bytes:
    """level: of zstd, 1 to 19. Raises BatchTooLarge."""
    fields: list[Any] = [batch.ship, batch.gateway, batch.epoch, batch.number, batch.cls, batch.head, batch.prev]
    fields.append(pack_events(batch.events, batch.prev) if batch.events else None)
    more: dict[int, Any] = {}
    if batch.older is not None:
        more[_OLDER] = [list(pair) for pair in batch.older]
    if batch.digest is not None:
        more[_DIGEST] = _digest_fields(batch.digest)
    if batch.bare is not None:
        more[_BARE] = _digest_fields(batch.bare)
    if batch.version:
        more[_VERSION] = batch.version
    plain = cbor2.dumps([*fields, more] if more else fields)
    cells = sum(len(event.payload) for event in batch.events)
    if len(plain) > INFLATED_BYTES_MAX or len(batch.events) > EVENTS_MAX or cells > CELLS_MAX:
        raise BatchTooLarge(f"{len(batch.events)} events of {len(plain)} bytes")
    form, body = _RAW, plain
    if len(plain) >= _COMPRESS_FROM:
        packed = _compressor(level).compress(plain)
        if len(packed) < len(plain):
            form, body = _ZSTD, packed
    return bytes([form]) + zlib.crc32(plain).to_bytes(4, "big") + body


def decode_batch(data: bytes, bytes_max: int = BATCH_BYTES_MAX) -> Batch:
    """Raises BadBatch. bytes_max: of `data`; what it inflates to is bounded too, before it is inflated."""
    if not _HEADER < len(data) <= bytes_max:
        raise BadBatch(f"{len(data)} bytes: a batch is {_HEADER + 1} to {bytes_max}")
    plain = _inflate(data[0], data[_HEADER:])
    if zlib.crc32(plain).to_bytes(4, "big") != data[1:_HEADER]:
        raise BadBatch("the checksum is wrong: bytes were changed on the way")
    try:
        return _batch(plain_loads(plain))
    except NotPlain as error:
        raise BadBatch("no CBOR that we read") from error
    except BadColumns as error:
        raise BadBatch(f"the events: {error}") from error


def _compressor(level: int) -> zstandard.ZstdCompressor:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=True, write_checksum=False
    )
    return zstandard.ZstdCompressor(compression_params=parameters)


def _inflate(form: int, body: bytes) -> bytes:
    if form == _RAW:
        return body
    if form != _ZSTD:
        raise BadBatch(f"form {form:#04x}: made by another version of the program")
    try:
        frame = zstandard.get_frame_parameters(body, format=zstandard.FORMAT_ZSTD1_MAGICLESS)
        if not 0 < frame.content_size <= INFLATED_BYTES_MAX:
            raise BadBatch(f"it would be more than {INFLATED_BYTES_MAX} bytes, or does not say")
        inflater = zstandard.ZstdDecompressor(format=zstandard.FORMAT_ZSTD1_MAGICLESS)
        return inflater.decompress(body, max_output_size=INFLATED_BYTES_MAX, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise BadBatch("no zstd frame") from error


def _batch(fields: Any) -> Batch:
    if not isinstance(fields, list) or len(fields) not in (8, 9):
        raise BadBatch("eight fields are needed")
    ship, gateway, epoch, number, cls, head, prev, columns = fields[:8]
    more = fields[8] if len(fields) == 9 else {}
    if not is_name(ship) or not is_name(gateway):
        raise BadBatch("the ship or the gateway has no such name")
    if not all(is_count(value, COUNT_MAX) for value in (epoch, number, head, prev)) or not _is_class(cls):
        raise BadBatch("a number is out of range")
    if not isinstance(more, dict):
        raise BadBatch("what else it says")
    digest, bare = _read_digest(more.get(_DIGEST)), _read_digest(more.get(_BARE))
    if digest is not None and bare is not None and (digest.first, digest.last) != (bare.first, bare.last):
        raise BadBatch("two digests of different ranges")
    events = () if columns is None else unpack_events(columns, epoch, prev)
    if events and (events[-1].seq > head or any(class_of(event.type) != cls for event in events)):
        raise BadBatch("an event of another class, or newer than the newest")
    return Batch(
        ship,
        gateway,
        epoch,
        number,
        cls,
        events,
        head,
        prev,
        version=_version(more.get(_VERSION, "")),
        older=_older(more.get(_OLDER)),
        digest=digest,
        bare=bare,
    )


def _is_class(cls: object) -> bool:
    return is_count(cls, CLASSES[-1]) and cls in CLASSES


def _version(text: object) -> str:
    if isinstance(text, str) and len(text) <= VERSION_MAX and text.isprintable():
        return text
    raise BadBatch(f"a version is up to {VERSION_MAX} printable characters")


def _older(pairs: object) -> tuple[tuple[int, int], ...] | None:
    if pairs is None:
        return None
    if isinstance(pairs, list) and len(pairs) <= OLDER_MAX:
        found = [tuple(pair) for pair in pairs if isinstance(pair, list) and len(pair) == 2]
        if len(found) == len(pairs) and all(is_count(number, COUNT_MAX) for pair in found for number in pair):
            return tuple((epoch, last) for epoch, last in found)
    raise BadBatch(f"older epochs are up to {OLDER_MAX} pairs of numbers")


# Acknowledgements


def encode_ack(ack: Ack) -> bytes:
    held = [list(island) for island in ack.held[:HELD_MAX]]
    digest = None if ack.digest is None else _digest_fields(ack.digest)
    plain = cbor2.dumps([ack.epoch, ack.answers, list(ack.covered), held, ack.boot, digest])
    return bytes([_RAW]) + zlib.crc32(plain).to_bytes(4, "big") + plain


def decode_ack(data: bytes) -> Ack:
    """Raises BadBatch."""
    if not _HEADER < len(data) <= ACK_BYTES_MAX or data[0] != _RAW:
        raise BadBatch(f"{len(data)} bytes that are no acknowledgement")
    if zlib.crc32(data[_HEADER:]).to_bytes(4, "big") != data[1:_HEADER]:
        raise BadBatch("the checksum is wrong: bytes were changed on the way")
    try:
        fields = plain_loads(data[_HEADER:])
    except NotPlain as error:
        raise BadBatch("no CBOR that we read") from error
    if not isinstance(fields, list) or len(fields) < 6:
        raise BadBatch("six fields are needed")
    epoch, answers, covered, held, boot, digest = fields[:6]
    if not isinstance(covered, list) or len(covered) != len(CLASSES) or not isinstance(held, list):
        raise BadBatch("what is covered of each class")
    if not all(is_count(number, COUNT_MAX) for number in (epoch, answers, *covered)):
        raise BadBatch("a number is out of range")
    if type(boot) is not bytes or len(boot) != BOOT_LENGTH:
        raise BadBatch(f"a store's name is {BOOT_LENGTH} bytes")
    return Ack(epoch, answers, tuple(covered), _islands(held), boot, _read_digest(digest))


def _islands(held: list[Any]) -> tuple[tuple[int, int, int], ...]:
    islands = []
    for island in held[:HELD_MAX]:
        if not isinstance(island, list) or len(island) != 3 or not all(is_count(n, COUNT_MAX) for n in island):
            raise BadBatch("an island is a class and two seqs")
        cls, after, last = island
        if not _is_class(cls) or after >= last:
            raise BadBatch("an island of no class, or empty")
        islands.append((cls, after, last))
    return tuple(islands)


def _digest_fields(digest: Digest) -> list[int | bytes]:
    return [digest.first, digest.last, digest.sha256]


def _read_digest(fields: object) -> Digest | None:
    if fields is None:
        return None
    if isinstance(fields, list) and len(fields) == 3 and type(fields[2]) is bytes and len(fields[2]) == 32:
        first, last, sha256 = fields
        if is_count(first, COUNT_MAX) and is_count(last, COUNT_MAX) and 0 < first <= last:
            return Digest(first, last, sha256)
    raise BadBatch("a digest is two seqs and 32 bytes")


# Down


def sign_down(message: DownMessage, private_key: Ed25519PrivateKey) -> bytes:
    """The message as it goes down. Raises ValueError for one that no gateway would take."""
    if not is_name(message.ship) or message.kind not in DOWN_KINDS or len(message.body) > DOWN_BODY_BYTES_MAX:
        raise ValueError(f"a ship's name, a kind of decision, and up to {DOWN_BODY_BYTES_MAX} bytes are needed")
    if not is_count(message.version, COUNT_MAX) or message.version == 0 or not is_count(message.issued_s, COUNT_MAX):
        raise ValueError("versions count from 1; the time is unix seconds")
    signed = cbor2.dumps(_down_fields(message), canonical=True)
    return _DOWN_VERSION + private_key.sign(_DOWN_CONTEXT + signed) + signed


def open_down(data: bytes, verify_keys: Sequence[bytes]) -> DownMessage:
    """verify_keys: shore's Ed25519 public keys of 32 bytes, any of which may have signed. Raises BadDown."""
    if not len(_DOWN_VERSION) + _SIGNATURE < len(data) <= DOWN_BYTES_MAX:
        raise BadDown("bad_size", f"{len(data)} bytes, {DOWN_BYTES_MAX} at most")
    if data[:1] != _DOWN_VERSION:
        raise BadDown("bad_form", "made by another version of the program")
    signature, signed = data[1 : 1 + _SIGNATURE], data[1 + _SIGNATURE :]
    if not any(_is_signed(key, signature, _DOWN_CONTEXT + signed) for key in verify_keys):
        raise BadDown("bad_signature", "no key of shore's has signed this")
    try:
        fields = plain_loads(signed)
    except NotPlain as error:
        raise BadDown("bad_form", "no CBOR that we read") from error
    if not isinstance(fields, list) or len(fields) != 5:
        raise BadDown("bad_form", "five fields are needed")
    ship, kind, version, issued_s, body = fields
    if not is_name(ship) or kind not in DOWN_KINDS or type(body) is not bytes or len(body) > DOWN_BODY_BYTES_MAX:
        raise BadDown("bad_form", "a ship, a kind and a body are needed")
    if not is_count(version, COUNT_MAX) or version == 0 or not is_count(issued_s, COUNT_MAX):
        raise BadDown("bad_form", "a number is out of range")
    return DownMessage(ship, kind, version, issued_s, body)


def _down_fields(message: DownMessage) -> list[Any]:
    return [message.ship, message.kind, message.version, message.issued_s, message.body]


def _is_signed(key: bytes, signature: bytes, signed: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
    except InvalidSignature:
        return False
    return True
