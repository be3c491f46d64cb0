"""What the wearer sees and feels: sequences of light and haptics, played step by step between other duties.

A band never knows what the ship decided: yes and no are shown by the reader's own light. What the band shows is only
what it did itself. READ: a reader has it. DONE: it signed a charge. REFUSED: it cannot do what the button asked.
ATTENTION: something of the band is broken, take it to a desk.
"""

from .board import FAULT_LIGHT, HAPTIC, LIGHT
from .duties import NEVER_MS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .board import Board

_BOTH = LIGHT | HAPTIC
_STEP_MS = 10

# A pattern: how often, then pairs of (what is on, for how many steps of 10 ms). One of 0 steps holds until release().
READ = bytes((1, _BOTH, 6, LIGHT, 0))
DONE = bytes((2, _BOTH, 10, 0, 10))
REFUSED = bytes((2, _BOTH, 40, 0, 20))
ATTENTION = bytes((3, _BOTH, 20, LIGHT, 20, 0, 60))
FIND_ME = bytes((20, _BOTH, 40, LIGHT, 10, 0, 50))
LOW_BATTERY = bytes((3, LIGHT, 5, 0, 45))
LET_GO = bytes((1, HAPTIC, 12))
RADIO_OFF = bytes((1, _BOTH, 80))
RADIO_ON = bytes((3, _BOTH, 15, 0, 15))
LEVEL_UNKNOWN = bytes((1, LIGHT, 150))
LEVELS = tuple(bytes((quarters, LIGHT, 25, 0, 35)) for quarters in (1, 2, 3, 4))


def level(percent: int) -> bytes:
    """One to four blinks for the quarters of a battery; one long one for a level that is not known."""
    return LEVELS[min(percent, 99) // 25] if percent <= 100 else LEVEL_UNKNOWN


class Signals:
    """The last pattern that was asked for wins. run() is a duty; it takes no memory."""

    def __init__(self, board: "Board") -> None:
        self._board = board
        self._rest = 0  # what is on when nothing is played
        self._pattern = b""
        self._at = 0  # of the pair that is shown; 0: none
        self._rounds = 0  # still to come, this one included
        self._until_ms = 0  # when that pair ends

    @property
    def playing(self) -> bool:
        return self._at > 0

    def play(self, pattern: bytes) -> None:
        self._pattern = pattern
        self._rounds = pattern[0]
        self._at = 1
        self._begin(self._board.now_ms())

    def release(self) -> None:
        """The reader has gone: a pattern that would hold is over. One that moves ends by itself."""
        if self._at and not self._pattern[-1]:
            self.stop()

    def end(self, pattern: bytes) -> None:
        """Stop this one; one that came after it goes on."""
        if self._at and self._pattern is pattern:
            self.stop()

    def stop(self) -> None:
        self._at = 0
        self._board.show(self._rest)

    def fault(self) -> None:
        """The fault light, until the next boot."""
        self._rest = FAULT_LIGHT
        if not self._at:
            self._board.show(self._rest)

    def run(self) -> int:
        if not self._at or not self._pattern[self._at + 1]:
            return NEVER_MS
        now_ms = self._board.now_ms()
        if now_ms < self._until_ms:
            return self._until_ms - now_ms
        self._at += 2
        if self._at >= len(self._pattern):
            self._at = 1
            self._rounds -= 1
            if not self._rounds:
                self.stop()
                return NEVER_MS
        self._begin(now_ms)
        return self._pattern[self._at + 1] * _STEP_MS or NEVER_MS

    def _begin(self, now_ms: int) -> None:
        self._until_ms = now_ms + self._pattern[self._at + 1] * _STEP_MS
        self._board.show(self._pattern[self._at] | self._rest)
