"""ISO 7816-4 short APDUs, the native commands wrapped in them, and what the status words mean."""

from .errors import BadArgument, BadFrame
from .ints import from_le, le
from .keys import APPLICATION_ID

CLA_ISO = 0x00
CLA_NATIVE = 0x90

INS_SELECT = 0xA4
INS_READ_BINARY = 0xB0
INS_UPDATE_BINARY = 0xD6

INS_AUTH_FIRST = 0x71
INS_AUTH_NONFIRST = 0x77
INS_MORE = 0xAF
INS_GET_VERSION = 0x60
INS_GET_CARD_UID = 0x51
INS_GET_FILE_SETTINGS = 0xF5
INS_CHANGE_FILE_SETTINGS = 0x5F
INS_READ_DATA = 0xAD
INS_WRITE_DATA = 0x8D
INS_GET_FILE_COUNTERS = 0xF6
INS_GET_KEY_VERSION = 0x64
INS_CHANGE_KEY = 0xC4
INS_SET_CONFIGURATION = 0x5C
INS_SIGN_CHARGE = 0xD8  # ours: an active band signs a charge

SW_OK = 0x9100
SW_MORE = 0x91AF
SW_ILLEGAL_COMMAND = 0x911C
SW_INTEGRITY = 0x911E
SW_NO_SUCH_KEY = 0x9140
SW_LENGTH = 0x917E
SW_PERMISSION = 0x919D
SW_PARAMETER = 0x919E
SW_DELAY = 0x91AD
SW_AUTH = 0x91AE
SW_BOUNDARY = 0x91BE
SW_ABORTED = 0x91CA
SW_MEMORY = 0x91EE
SW_FILE_NOT_FOUND = 0x91F0

ISO_OK = 0x9000
ISO_MEMORY = 0x6581
ISO_LENGTH = 0x6700
ISO_ACCESS = 0x6982
ISO_CONDITIONS = 0x6985
ISO_NOT_FOUND = 0x6A82
ISO_P1P2 = 0x6A86
ISO_LC_P1P2 = 0x6A87
ISO_INS = 0x6D00
ISO_CLA = 0x6E00

FID_CC = 0xE103
FID_NDEF = 0xE104
FID_TOKEN = 0xE105

_TEXTS = {
    SW_OK: "done",
    SW_MORE: "more to follow",
    SW_ILLEGAL_COMMAND: "command not known",
    SW_INTEGRITY: "checksum or padding wrong",
    SW_NO_SUCH_KEY: "no such key",
    SW_LENGTH: "wrong length",
    SW_PERMISSION: "not permitted",
    SW_PARAMETER: "value not allowed",
    SW_DELAY: "too many wrong keys: hold still and try again",
    SW_AUTH: "key wrong or not proved",
    SW_BOUNDARY: "past the end of the file",
    SW_ABORTED: "an earlier command was pending: send again",
    SW_MEMORY: "card memory failed",
    SW_FILE_NOT_FOUND: "no such file",
    ISO_OK: "done",
    ISO_MEMORY: "card memory failed",
    ISO_LENGTH: "wrong length",
    ISO_ACCESS: "access right missing",
    ISO_CONDITIONS: "not possible in this state",
    ISO_NOT_FOUND: "no such application or file",
    ISO_P1P2: "wrong P1 or P2",
    ISO_LC_P1P2: "length does not fit P1 and P2",
    ISO_INS: "command not known",
    ISO_CLA: "class not known",
    0x6B00: "offset wrong",
}


def describe(sw: int) -> str:
    """Short plain English for a status word, known or not."""
    if sw >> 8 == 0x6C:
        return "wrong expected length"
    return _TEXTS.get(sw, "unknown status")


class Command:
    """A parsed C-APDU. `le`: None if absent, else 1..256 (the byte 00 means 256)."""

    __slots__ = ("cla", "data", "ins", "le", "p1", "p2")

    def __init__(self, cla: int, ins: int, p1: int, p2: int, data: bytes, le: int | None) -> None:
        self.cla = cla
        self.ins = ins
        self.p1 = p1
        self.p2 = p2
        self.data = data
        self.le = le


def parse(raw: bytes) -> Command:
    """Cases 1 to 4 short; BadFrame for everything else, extended lengths included."""
    size = len(raw)
    if size < 4:
        raise BadFrame("APDU of %d bytes has no full header" % size)
    data, expect = b"", None
    if size == 5:
        expect = raw[4] or 256
    elif size > 5:
        end = 5 + raw[4]
        if raw[4] == 0 or size not in (end, end + 1):
            raise BadFrame("APDU length does not fit its Lc, or is extended")
        data = bytes(raw[5:end])
        if size > end:
            expect = raw[end] or 256
    return Command(raw[0], raw[1], raw[2], raw[3], data, expect)


def build(cla: int, ins: int, p1: int, p2: int, data: bytes = b"", le: int | None = None) -> bytes:
    """A short C-APDU. `le` 0 and 256 both send the byte 00; None sends no Le."""
    if len(data) > 255:
        raise BadArgument("APDU data of %d bytes exceeds 255" % len(data))
    if le is not None and not 0 <= le <= 256:
        raise BadArgument("Le must be 0 to 256")
    head = bytes((cla, ins, p1, p2))
    if data:
        head += bytes((len(data),)) + data
    return head if le is None else head + bytes((le & 0xFF,))


def native(ins: int, data: bytes = b"") -> bytes:
    """A native command in its ISO wrapper: 90 INS 00 00 [Lc data] 00."""
    return build(CLA_NATIVE, ins, 0, 0, data, 256)


def split(rapdu: bytes) -> tuple[bytes, int]:
    """(data, status word) of an answer."""
    if not 2 <= len(rapdu) <= 258:
        raise BadFrame("answer of %d bytes is not 2 to 258" % len(rapdu))
    return bytes(rapdu[:-2]), rapdu[-2] << 8 | rapdu[-1]


def select_df() -> bytes:
    return build(CLA_ISO, INS_SELECT, 0x04, 0x00, APPLICATION_ID, 256)


def select_ef(fid: int) -> bytes:
    return build(CLA_ISO, INS_SELECT, 0x00, 0x0C, fid.to_bytes(2, "big"))


def read_binary(offset: int, le: int) -> bytes:
    """Read `le` (1..256) bytes of the selected EF from `offset`."""
    if le < 1:
        raise BadArgument("READ BINARY wants 1 to 256 bytes")
    return build(CLA_ISO, INS_READ_BINARY, _high(offset), offset & 0xFF, b"", le)


def update_binary(offset: int, data: bytes) -> bytes:
    if not data:
        raise BadArgument("UPDATE BINARY wants at least one byte")
    return build(CLA_ISO, INS_UPDATE_BINARY, _high(offset), offset & 0xFF, data)


def file_range(file_no: int, offset: int, length: int) -> bytes:
    """Header of ReadData and WriteData."""
    return le(file_no, 1, "file number") + le(offset, 3, "offset") + le(length, 3, "length")


def parse_file_range(header: bytes) -> tuple[int, int, int]:
    """(file number, offset, length); BadFrame unless 7 bytes."""
    if len(header) != 7:
        raise BadFrame("file command header of %d bytes is not 7" % len(header))
    return header[0], from_le(header, 1, 3), from_le(header, 4, 3)


def _high(offset: int) -> int:
    if not 0 <= offset <= 0x7FFF:
        raise BadArgument("offset must be 0 to 32767")
    return offset >> 8
