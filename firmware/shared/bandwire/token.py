"""File 03 of a band, 128 bytes: token body 48, Ed25519 signature 64, status 16. The caller signs."""

import binascii

from .errors import BadArgument, BadToken
from .ints import from_le, le, need_length

BODY_SIZE = 48
SIGNATURE_SIZE = 64
STATUS_SIZE = 16
TOKEN_SIZE = BODY_SIZE + SIGNATURE_SIZE + STATUS_SIZE
CABIN_COUNT_MAX = 2
TOKEN_VERSION = 1
STATUS_VERSION = 1
SIGN_PREFIX = b"steward-token-v1\x00"

FLAG_ACTIVE = 1  # a band that can sign charges
FLAG_CHILD = 2
FLAG_CREW = 4
_FLAGS_KNOWN = FLAG_ACTIVE | FLAG_CHILD | FLAG_CREW

STATE_BLANK = 0
STATE_ISSUED = 1
STATE_RETURNED = 2


class TokenBody:
    """What the ship signs for one guest and one band.

    uid 7 bytes, guest_ref 8 bytes (random per stay), cabins up to two (cabin, stay), zones a 32-bit mask,
    deny_epoch, not_before and not_after 32 bits (unix seconds), serial, site 16 bits, key_version 1..255.
    """

    __slots__ = (
        "cabins",
        "deny_epoch",
        "flags",
        "guest_ref",
        "key_version",
        "not_after",
        "not_before",
        "serial",
        "site",
        "uid",
        "zones",
    )

    def __init__(
        self,
        *,
        flags: int,
        site: int,
        uid: bytes,
        key_version: int,
        guest_ref: bytes,
        cabins: list[tuple[int, int]],
        zones: int,
        serial: int,
        deny_epoch: int,
        not_before: int,
        not_after: int,
    ) -> None:
        self.flags = flags
        self.site = site
        self.uid = uid
        self.key_version = key_version
        self.guest_ref = guest_ref
        self.cabins = cabins
        self.zones = zones
        self.serial = serial
        self.deny_epoch = deny_epoch
        self.not_before = not_before
        self.not_after = not_after

    def pack(self) -> bytes:
        """The 48 bytes to sign; BadArgument names the field that is wrong."""
        need_length(self.uid, 7, "token UID")
        need_length(self.guest_ref, 8, "token guest_ref")
        if wrong := self._wrong():
            raise BadArgument(wrong)
        pairs = b""
        for cabin, stay in self.cabins:
            pairs += le(cabin, 2, "token cabin") + le(stay, 2, "token stay")
        return (
            bytes((TOKEN_VERSION, self.flags))
            + le(self.site, 2, "token site")
            + self.uid
            + le(self.key_version, 1, "token key_version")
            + self.guest_ref
            + pairs
            + bytes(4 * (CABIN_COUNT_MAX - len(self.cabins)))
            + le(self.zones, 4, "token zones")
            + le(self.serial, 2, "token serial")
            + le(self.deny_epoch, 4, "token deny_epoch")
            + le(self.not_before, 4, "token not_before")
            + le(self.not_after, 4, "token not_after")
            + bytes(2)
        )

    @classmethod
    def unpack(cls, data: bytes) -> "TokenBody":
        """Strict: an unknown version or flag, a set reserved bit or fields at odds raise BadToken."""
        if len(data) != BODY_SIZE:
            raise BadToken("token body of %d bytes is not 48" % len(data))
        if data[0] != TOKEN_VERSION:
            raise BadToken("token version %d is unknown" % data[0])
        if data[46] or data[47]:
            raise BadToken("token reserved bytes are set")
        first = (from_le(data, 20, 2), from_le(data, 22, 2))
        second = (from_le(data, 24, 2), from_le(data, 26, 2))
        body = cls(
            flags=data[1],
            site=from_le(data, 2, 2),
            uid=bytes(data[4:11]),
            key_version=data[11],
            guest_ref=bytes(data[12:20]),
            cabins=[first, second] if any(second) else [first] if any(first) else [],
            zones=from_le(data, 28, 4),
            serial=from_le(data, 32, 2),
            deny_epoch=from_le(data, 34, 4),
            not_before=from_le(data, 38, 4),
            not_after=from_le(data, 42, 4),
        )
        if wrong := body._wrong():
            raise BadToken(wrong)
        return body

    def _wrong(self) -> str:
        """The first rule broken, or an empty string."""
        numbers = []
        for cabin, _ in self.cabins:
            if not cabin:
                return "token has a stay without a cabin"
            if cabin in numbers:
                return "token names one cabin twice"
            numbers.append(cabin)
        if len(numbers) > CABIN_COUNT_MAX:
            return "token has more than two cabins"
        if self.flags & ~_FLAGS_KNOWN:
            return "token has an unknown flag"
        if not self.key_version:
            return "token key_version 0 means factory keys"
        if self.not_after < self.not_before:
            return "token ends before it begins"
        return ""


class Status:
    """The unsigned last 16 bytes, kept by encoders and tills: state, writes so far, when and by whom."""

    __slots__ = ("state", "writer", "writes", "written_at")

    def __init__(self, state: int, writes: int, written_at: int, writer: int) -> None:
        self.state = state
        self.writes = writes
        self.written_at = written_at
        self.writer = writer

    def pack(self) -> bytes:
        if not STATE_BLANK <= self.state <= STATE_RETURNED:
            raise BadArgument("status state must be 0, 1 or 2")
        head = bytes((STATUS_VERSION, self.state)) + le(self.writes, 2, "status writes")
        head += le(self.written_at, 4, "status written_at")
        head += le(self.writer, 2, "status writer") + bytes(2)
        return head + le(binascii.crc32(head), 4, "status checksum")

    @classmethod
    def unpack(cls, data: bytes) -> "Status":
        """BadToken unless version, state, reserved bytes and CRC are right."""
        if len(data) != STATUS_SIZE:
            raise BadToken("token status of %d bytes is not 16" % len(data))
        if binascii.crc32(data[:12]) != from_le(data, 12, 4):
            raise BadToken("token status checksum is wrong")
        if data[0] != STATUS_VERSION or data[1] > STATE_RETURNED or data[10] or data[11]:
            raise BadToken("token status version, state or reserved bytes are unknown")
        return cls(data[1], from_le(data, 2, 2), from_le(data, 4, 4), from_le(data, 8, 2))


def signing_input(body: bytes) -> bytes:
    need_length(body, BODY_SIZE, "token body")
    return SIGN_PREFIX + body


def assemble(body: bytes, signature: bytes, status: bytes) -> bytes:
    """The 128 bytes of file 03."""
    need_length(body, BODY_SIZE, "token body")
    need_length(signature, SIGNATURE_SIZE, "token signature")
    need_length(status, STATUS_SIZE, "token status")
    return body + signature + status


def split_token(data: bytes) -> tuple[bytes, bytes, bytes]:
    """(body 48, signature 64, status 16), unchecked but for the length."""
    if len(data) != TOKEN_SIZE:
        raise BadToken("token file of %d bytes is not 128" % len(data))
    return data[:48], data[48:112], data[112:]
