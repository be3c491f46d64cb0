"""What can go wrong on a band, as numbers: one table for the band that counts them and the tool that explains them.

A fault's name is its constant's, in small letters; the tool makes them, so that a band need not keep them.

A number keeps its meaning for ever: retire one, never use it for something else.

A band's record of faults, as it answers ERRORS: format 1 | boot number LE2 | uptime in seconds LE4 | faults lost 1,
then for each kind of fault, the most recent last: code 1 | detail 1 | count LE2 | boot of the first LE2 | boot of the
last LE2 | uptime in seconds of the last LE4. Counts stay at their highest. A detail is a small number of the firmware's
own making: never of a guest, a UID, a key or a message.
"""

from .errors import BadArgument, BadFrame

# Resets. Detail: 0.
RESET_WATCHDOG = 1
RESET_BROWNOUT = 2
# The program. Detail: 0.
CRASH = 8
OUT_OF_MEMORY = 9
BOARD = 10
# Flash. Detail: the number of the system's error; of CARD_DAMAGED how many records.
CARD_READ = 16
CARD_WRITE = 17
CARD_DAMAGED = 18
LOG_LOST = 19
# NFC chip. Detail: the code of the chip's command that it came in; of NFC_SELFTEST 0.
NFC_SILENT = 32
NFC_RESTARTED = 33
NFC_WRONG_CHIP = 34
NFC_SELFTEST = 35
# Radio. Detail: 0, or the system's error.
RADIO_OFF = 48
RADIO_PAIRING = 49
RADIO_SELFTEST = 50
# Updates. Detail: of UPDATE_REFUSED the answer of bandwire.release, of UPDATE_ROLLED_BACK the low byte of its number.
UPDATE_REFUSED = 64
UPDATE_SIGNATURE = 65
UPDATE_ROLLED_BACK = 66
UPDATE_FLASH = 67
# Parts that a hand or an eye meets, and the cell. Detail: 0.
BATTERY_ODD = 80
BATTERY_EMPTY = 81
BUTTON_STUCK = 82
CLOCK_ODD = 83
# What only the self-test finds.
FLASH_SELFTEST = 96
FLASH_FULL = 97
RAM_SELFTEST = 98
HEAP_SHORT = 99
LIGHT_DARK = 100
HAPTIC_STILL = 101
BUTTON_DEAD = 102
CODES_END = 103  # the names above it are codes, those below are of the record's layout

FORMAT = 1
HEAD_SIZE = 8
ENTRY_SIZE = 12
ENTRIES_MAX = 32
COUNT_MAX = 0xFFFF


class Fault:
    """One kind of fault and how often it came. first_boot, last_boot: numbers of boots; last_s: uptime in the last."""

    __slots__ = ("code", "count", "detail", "first_boot", "last_boot", "last_s")

    def __init__(self, code: int, detail: int, count: int, first_boot: int, last_boot: int, last_s: int) -> None:
        self.code = code
        self.detail = detail
        self.count = count
        self.first_boot = first_boot
        self.last_boot = last_boot
        self.last_s = last_s


class Record:
    """lost: kinds of fault that had to make room, at most 255. faults: the most recent last."""

    __slots__ = ("boot", "faults", "lost", "uptime_s")

    def __init__(self, boot: int, uptime_s: int, lost: int, faults: list[Fault]) -> None:
        self.boot = boot
        self.uptime_s = uptime_s
        self.lost = lost
        self.faults = faults


def pack_record(record: Record) -> bytes:
    if len(record.faults) > ENTRIES_MAX:
        raise BadArgument("a record holds at most %d kinds of fault" % ENTRIES_MAX)
    out = bytearray((FORMAT,))
    out += record.boot.to_bytes(2, "little") + record.uptime_s.to_bytes(4, "little") + bytes((record.lost,))
    for fault in record.faults:
        out += bytes((fault.code, fault.detail)) + fault.count.to_bytes(2, "little")
        out += fault.first_boot.to_bytes(2, "little") + fault.last_boot.to_bytes(2, "little")
        out += fault.last_s.to_bytes(4, "little")
    return bytes(out)


def open_record(data: bytes) -> Record:
    """BadFrame for anything but a whole record of this format. Codes it does not know are kept."""
    if len(data) < HEAD_SIZE or data[0] != FORMAT:
        raise BadFrame("a record of faults in another format")
    if (len(data) - HEAD_SIZE) % ENTRY_SIZE or len(data) > HEAD_SIZE + ENTRIES_MAX * ENTRY_SIZE:
        raise BadFrame("a record of faults has %d bytes" % len(data))
    faults = [_fault(data[at : at + ENTRY_SIZE]) for at in range(HEAD_SIZE, len(data), ENTRY_SIZE)]
    return Record(int.from_bytes(data[1:3], "little"), int.from_bytes(data[3:7], "little"), data[7], faults)


def _fault(raw: bytes) -> Fault:
    return Fault(
        raw[0],
        raw[1],
        int.from_bytes(raw[2:4], "little"),
        int.from_bytes(raw[4:6], "little"),
        int.from_bytes(raw[6:8], "little"),
        int.from_bytes(raw[8:12], "little"),
    )
