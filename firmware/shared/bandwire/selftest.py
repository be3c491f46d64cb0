"""What a station asks a band to try, part by part, and what the band found: both sides of the kind TEST.

Asked: test 1 | step 1. Answered: test 1 | outcome 1 | code of bandwire.faults 1, 0 if none | value LE4.

A band judges what it can measure. Light, haptics and the button need a person: it answers ASK, and the station says
what the person saw, or that nobody was asked; that is never the same as passed. The clock is judged by the station,
which has a better one: the value is the band's milliseconds.
"""

from .errors import BadArgument, BadFrame

REQUEST_SIZE = 2
ANSWER_SIZE = 7

FLASH = 1  # value: free bytes
RAM = 2  # value: free bytes of the heap
NFC = 3
RADIO = 4
BATTERY = 5  # value: millivolts
LIGHT = 6  # step START plays it
HAPTIC = 7
CLOCK = 8  # value: milliseconds
BUTTON = 9  # step START begins to watch; then ask again: value 1 once it was pressed and let go
SHOW = 10  # no test: step 1 shows good, 0 bad

NAMES = {
    FLASH: "flash",
    RAM: "ram",
    NFC: "nfc",
    RADIO: "radio",
    BATTERY: "battery",
    LIGHT: "light",
    HAPTIC: "haptic",
    CLOCK: "clock",
    BUTTON: "button",
}

START = 0
ASK_AGAIN = 1

PASSED = 0
FAILED = 1
ASK = 2  # a person, or a better clock, must judge
ABSENT = 3  # this board has no such part


class Finding:
    __slots__ = ("code", "outcome", "test", "value")

    def __init__(self, test: int, outcome: int, code: int = 0, value: int = 0) -> None:
        self.test = test
        self.outcome = outcome
        self.code = code
        self.value = value


def pack_request(test: int, step: int = START) -> bytes:
    if test not in NAMES and test != SHOW:
        raise BadArgument("there is no test %d" % test)
    return bytes((test, step))


def open_request(payload: bytes) -> tuple[int, int]:
    """(test, step). BadFrame for a test this firmware does not know."""
    if len(payload) != REQUEST_SIZE or (payload[0] not in NAMES and payload[0] != SHOW):
        raise BadFrame("no such test")
    return payload[0], payload[1]


def pack_finding(finding: Finding) -> bytes:
    return bytes((finding.test, finding.outcome, finding.code)) + finding.value.to_bytes(4, "little")


def open_finding(payload: bytes) -> Finding:
    if len(payload) != ANSWER_SIZE or payload[1] > ABSENT:
        raise BadFrame("a finding in another format")
    return Finding(payload[0], payload[1], payload[2], int.from_bytes(payload[3:], "little"))
