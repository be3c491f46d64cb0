"""Which program runs and which other one is here, for the program itself. The record and its rules are loader.py's."""

import loader
from loader import NOTHING, READY, TRIED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .board import Board

CONFIRM_MS = 60_000  # in service without a fault, before a new program is trusted
AGAIN_MS = 60_000
TOLD_SIZE = loader.SIZE


class Slots:
    """Raises OSError wherever the record is written; then it is as it was."""

    def __init__(self) -> None:
        self.running = loader.running
        self._records = loader.Records(loader.root)

    @property
    def usable(self) -> bool:
        """Whether a program can be installed: not from source, and not without a whole record."""
        return self.running != loader.SOURCE and self._records.whole

    @property
    def on_trial(self) -> bool:
        return self.usable and self.running != self._records.current

    @property
    def went_back(self) -> int:
        """The number of the program that was tried and did not hold; 0: none was, since the last that did."""
        record = self._records
        return record.other_number if self.usable and not self.on_trial and record.state == TRIED else 0

    @property
    def number(self) -> int:
        """Of the confirmed program; 0 from source."""
        return self._records.number

    @property
    def minimum(self) -> int:
        return self._records.minimum

    def told(self) -> bytes:
        """For whoever asks for the version: running slot 1 | the record from its second byte on. Zeros from source."""
        if not self.usable:
            return bytes(TOLD_SIZE)
        return bytes((self.running,)) + self._records.payload[1:]

    def spare(self) -> str:
        """The folder of the slot that does not run."""
        return loader.folder(1 - self.running)

    def folder(self) -> str:
        """Where the records are, and what belongs to an update in progress."""
        return loader.root + "/slots"

    def give_up_spare(self) -> None:
        """Before a file of the other slot is touched: from now on it holds nothing that could be started."""
        if self._records.state != NOTHING:
            self._records.put_state(NOTHING)

    def ready(self, number: int, minimum: int) -> None:
        """The other slot is whole: try it at the next start."""
        record = self._records
        record.put(record.current, READY, record.number, number, record.minimum, max(minimum, record.minimum))

    def confirm(self) -> None:
        """What runs on trial is the program from now on, and its minimum holds."""
        record = self._records
        if self.on_trial and record.state == TRIED:
            record.put(self.running, NOTHING, record.other_number, record.number, record.other_minimum, 0)


class Trial:
    """A duty: confirms a new program after a while in service, or goes back. sound: whether nothing of it fails."""

    def __init__(self, slots: Slots, board: "Board", sound: "Callable[[], bool]") -> None:
        self._slots = slots
        self._board = board
        self._sound = sound
        self._due_ms = board.now_ms() + CONFIRM_MS

    def run(self) -> int:
        """Milliseconds until it wants to be called again."""
        if not self._slots.on_trial:
            return AGAIN_MS
        left_ms = self._due_ms - self._board.now_ms()
        if left_ms > 0:
            return left_ms
        if not self._sound():
            self._board.restart()
        try:
            self._slots.confirm()
        except OSError:
            self._due_ms += AGAIN_MS  # not trusted until that is written down
        return AGAIN_MS
