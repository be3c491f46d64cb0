"""Frames between a host and the NFC chip PN532, by chapter 6.2 of its user manual (UM0701-02). Pure.

  normal    00 00 FF | LEN | LCS | TFI, data | DCS | 00               LEN + LCS = 0, TFI + data + DCS = 0 (mod 256)
  extended  00 00 FF | FF FF | LENM LENL | LCS | TFI, data | DCS | 00  LENM + LENL + LCS = 0; from 256 bytes on
  ACK       00 00 FF | 00 FF | 00     it came well
  NACK      00 00 FF | FF 00 | 00     send your last answer again
  error     00 00 FF | 01 FF | 7F | 81 | 00    the chip does not know what it was asked

TFI is D4 to the chip and D5 from it; an answer's code is its command's and one. LEN counts TFI too.
"""

ACK_FRAME = b"\x00\x00\xff\x00\xff\x00"
NACK_FRAME = b"\x00\x00\xff\xff\x00\x00"

# What a reader finds: (kind, code, data). Only ANSWER has code and data.
ANSWER = 0
ACK = 1
NACK = 2
ERROR = 3
DAMAGED = 4  # a frame whose checksum of data does not fit: NACK gets it again

TO_CHIP = 0xD4
FROM_CHIP = 0xD5
_ERROR_BYTE = 0x7F
_NORMAL_MAX = 255
DATA_MAX = 262  # of one command or answer, after TFI, code and, in answers, the status
_LENGTH_MAX = DATA_MAX + 3
FRAME_MAX = _LENGTH_MAX + 10
_START = b"\x00\xff"
_EXTENDED = b"\xff\xff"


def pack_command(code: int, data: bytes = b"") -> bytes:
    body = bytes((TO_CHIP, code)) + data
    size = len(body)
    assert size <= _LENGTH_MAX
    if size <= _NORMAL_MAX:
        head = bytes((size, -size & 0xFF))
    else:
        high, low = size >> 8, size & 0xFF
        head = _EXTENDED + bytes((high, low, -(high + low) & 0xFF))
    return b"\x00" + _START + head + body + bytes((-sum(body) & 0xFF, 0))


class FrameReader:
    """Finds the chip's frames in a stream that is cut anywhere, with noise before, between and inside.

    After a damaged frame it looks for the next one from that one's own first byte on, so that a length which noise
    made up swallows no frame behind it.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def clear(self) -> None:
        """Forget a frame that began and never ended."""
        self._held = bytearray()

    @property
    def torn(self) -> bool:
        """Whether a frame has begun and not ended."""
        return len(self._held) > 1

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """The frames that these bytes complete, in order."""
        self._held += data
        found: list[tuple[int, int, bytes]] = []
        while True:
            start = self._held.find(_START)
            if start < 0:
                self._held = self._held[-1:]  # half a start code perhaps
                return found
            self._held = self._held[start:]
            used, frame = _frame(self._held)
            if not used:
                return found
            if frame is not None:
                found.append(frame)
            self._held = self._held[used:]


def first_end(data: bytes) -> int:
    """Where the first frame of a whole read ends, by its own length: more than there is if it was cut; 0: none."""
    start = data.find(_START)
    if start < 0 or len(data) < start + 4:
        return 0
    first, second = data[start + 2], data[start + 3]
    if first + second == 0xFF:
        return start + 5  # ACK and NACK
    if first == 0xFF and second == 0xFF:
        if len(data) < start + 7:
            return 0
        return start + 7 + (data[start + 4] << 8 | data[start + 5]) + 2
    return start + 4 + first + 2


def _frame(held: bytearray) -> tuple[int, tuple[int, int, bytes] | None]:
    """(bytes used, frame) at a start code; none used: more must come; no frame: these bytes are noise."""
    if len(held) < 4:
        return 0, None
    first, second = held[2], held[3]
    if first == 0x00 and second == 0xFF:
        return 4, (ACK, 0, b"")
    if first == 0xFF and second == 0x00:
        return 4, (NACK, 0, b"")
    body, size = 4, first
    if first == 0xFF and second == 0xFF:
        if len(held) < 7:
            return 0, None
        body, size = 7, held[4] << 8 | held[5]
        second, first = held[6], held[4] + held[5]
    if (first + second) & 0xFF or not 0 < size <= _LENGTH_MAX:
        return 1, None
    if len(held) < body + size + 2:
        return 0, None
    return _body(bytes(held[body : body + size + 2]), body)


def _body(body: bytes, at: int) -> tuple[int, tuple[int, int, bytes] | None]:
    """TFI, data, DCS and the last 00, which stand at `at`. Without that last one a 00 lost in the data goes unseen."""
    if sum(body) & 0xFF:
        return 1, (DAMAGED, 0, b"")
    used = at + len(body)
    if body[0] == _ERROR_BYTE and len(body) == 3:
        return used, (ERROR, 0, b"")
    if body[0] != FROM_CHIP or len(body) < 4:
        return used, None
    return used, (ANSWER, body[1], body[2:-2])
