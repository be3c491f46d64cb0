"""Frames between a station and a band on a serial line: whole or not at all, whatever the cable does.

On the line: 00, then COBS(kind 1 | number 1 | payload | CRC-32 LE4 over all before it), then 00. A zero byte is only
ever a border, so whoever is plugged in midway is in step from the next one on. The CRC tells a torn frame from a whole
one; it says nothing of who sent it: what is secret or proves something travels inside APDUs, under their own MAC.

The station asks and the band answers, with the same number. HELLO is number 0 and begins anew, as a reader's field
does; each further request has the next number, from 255 back to 1. A request that comes again with the number of the
last one is not done again: its answer is sent once more. Source of the byte stuffing: Cheshire and Baker, Consistent
Overhead Byte Stuffing, 1997.
"""

import binascii

from .errors import BadArgument, BadFrame

PROTOCOL = 1
PAYLOAD_MAX = 1024

# What a station asks. The band's answer is of the same kind, with ANSWER set.
HELLO = 0x01  # protocol 1 -> protocol 1 | identifier of anticollision, 4 or 7: the band is activated
APDU = 0x02  # C-APDU -> R-APDU
INFO = 0x03  # nothing -> what the board is: bandwire.about
TEST = 0x04  # which part -> what was found: bandwire.selftest
ERRORS = 0x05  # nothing -> the record of faults: bandwire.faults
UPDATE_BEGIN = 0x06  # these three: bandwire.release
UPDATE_DATA = 0x07
UPDATE_END = 0x08
RESTART = 0x09  # nothing -> nothing; then the board starts anew, and begins with HELLO
ANSWER = 0x80
WAIT = 0x7E  # from the band, with the number of the request that it still works on
REFUSED = 0x7F  # in an answer's place: code 1

# Why a request is refused.
NO_SUCH_KIND = 1
OUT_OF_ORDER = 2  # neither the last number nor the next: begin with HELLO
NO_SUCH_PROTOCOL = 3
BAD_PAYLOAD = 4
FAILED = 5  # the band could not: its memory or its flash refused

_TAIL = 4
_LEAST = 2 + _TAIL
_BLOCK = 254
_RAW_MAX = _LEAST + PAYLOAD_MAX
LINE_MAX = _RAW_MAX + _RAW_MAX // _BLOCK + 1  # between two borders


def pack_frame(kind: int, number: int, payload: bytes = b"") -> bytes:
    """The bytes for the line."""
    if not 0 <= kind <= 255 or not 0 <= number <= 255:
        raise BadArgument("kind and number of a frame are one byte each")
    if len(payload) > PAYLOAD_MAX:
        raise BadArgument("a frame carries at most %d bytes, not %d" % (PAYLOAD_MAX, len(payload)))
    body = bytes((kind, number)) + payload
    return b"\x00" + _stuff(body + _crc(body)) + b"\x00"


def open_frame(line: bytes) -> tuple[int, int, bytes]:
    """(kind, number, payload) of what stood between two borders. BadFrame if it is torn or noise."""
    raw = _unstuff(line)
    if len(raw) < _LEAST:
        raise BadFrame("a frame of %d bytes is too short" % len(raw))
    if _crc(raw[:-_TAIL]) != raw[-_TAIL:]:
        raise BadFrame("a frame's checksum does not fit: the line is noisy, or the frame torn")
    return raw[0], raw[1], raw[2:-_TAIL]


def next_number(number: int) -> int:
    """That of the request after this one."""
    return number + 1 if number < 255 else 1


class FrameReader:
    """Finds frames in a stream that is cut anywhere. broken: how much was dropped between two borders, by count."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._skipping = False
        self.broken = 0

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """The frames that these bytes complete, in order."""
        found: list[tuple[int, int, bytes]] = []
        start = 0
        while True:
            border = data.find(b"\x00", start)
            self._take(data[start:] if border < 0 else data[start:border])
            if border < 0:
                return found
            frame = self._end()
            if frame is not None:
                found.append(frame)
            start = border + 1

    def _take(self, piece: bytes) -> None:
        if self._skipping:
            return
        if len(self._line) + len(piece) > LINE_MAX:
            self._line = bytearray()
            self._skipping = True
            return
        self._line += piece

    def _end(self) -> tuple[int, int, bytes] | None:
        line, skipped = bytes(self._line), self._skipping
        self._line = bytearray()
        self._skipping = False
        if not line and not skipped:
            return None  # two borders in a row
        try:
            if not skipped:
                return open_frame(line)
        except BadFrame:
            pass  # counted: whoever waits for an answer asks again
        self.broken += 1
        return None


def _crc(body: bytes) -> bytes:
    return binascii.crc32(body).to_bytes(4, "little")


def _stuff(raw: bytes) -> bytes:
    out = bytearray()
    for piece in raw.split(b"\x00"):
        while len(piece) >= _BLOCK:
            out.append(_BLOCK + 1)
            out += piece[:_BLOCK]
            piece = piece[_BLOCK:]
        out.append(len(piece) + 1)
        out += piece
    return bytes(out)


def _unstuff(line: bytes) -> bytes:
    out = bytearray()
    at = 0
    while at < len(line):
        code = line[at]
        end = at + code
        if not code or end > len(line):
            raise BadFrame("a frame ends in the middle of a block")
        out += line[at + 1 : end]
        at = end
        if code <= _BLOCK and at < len(line):
            out.append(0)
    return bytes(out)
