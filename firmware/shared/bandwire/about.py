"""What a board tells of itself over a serial line, to anyone who asks: nothing secret, and nothing that names a guest.

Layout 1 | board 1 | flags 1 | slot 1 | reset cause 1 | version, ASCII. It proves nothing; keys do.
"""

from .errors import BadFrame

LAYOUT = 1
BOARDS = ("desktop", "esp32")

# Flags.
PRODUCTION = 0x01  # its console is closed
KEYED = 0x02  # its keys are labelled as a voyage's
USED = 0x04  # it has signed a charge
TAKES_UPDATES = 0x08  # it knows a release key

_HEAD = 5
_VERSION_MAX = 64
_NO_SLOT = 0


class About:
    """slot: of the program that runs, "a" or "b"; empty: it runs from source."""

    def __init__(self, board: str, flags: int, slot: str, reset_cause: int, version: str) -> None:
        self.board = board
        self.flags = flags
        self.slot = slot
        self.reset_cause = reset_cause
        self.version = version


def pack_about(about: About) -> bytes:
    slot = ord(about.slot) if about.slot else _NO_SLOT
    head = bytes((LAYOUT, BOARDS.index(about.board), about.flags, slot, about.reset_cause))
    return head + about.version.encode()


def read_about(payload: bytes) -> About:
    """BadFrame if it is not that, or of a layout that is not known here."""
    if len(payload) < _HEAD or payload[0] != LAYOUT or payload[1] >= len(BOARDS):
        raise BadFrame("what the board tells of itself is not understood")
    text = payload[_HEAD:]
    if len(text) > _VERSION_MAX or any(not 0x20 < byte < 0x7F for byte in text):
        raise BadFrame("the board's version is not a word")
    slot = payload[3]
    if slot not in (_NO_SLOT, ord("a"), ord("b")):
        raise BadFrame("the board runs from a slot that there is not")
    return About(BOARDS[payload[1]], payload[2], chr(slot) if slot else "", payload[4], bytes(text).decode())
