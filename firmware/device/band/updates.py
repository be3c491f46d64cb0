"""Updates for whoever brings them, over the cable or by radio. What takes them is loaded once one comes."""

import sys

from bandwire import faults

from .duties import NEVER_MS
from .slots import Slots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .board import Board
    from .update import Updater


class Updates:
    """sound: whether the card's records are whole. tap_on: set while a reader is served.

    begin() with nothing only tells what is here: Slots.told().
    """

    def __init__(self, slots: Slots, board: "Board", sound: bool, note: "Callable[[int, int], None]") -> None:
        self._slots = slots
        self._board = board
        self._sound = sound
        self._note = note
        self._updater: Updater | None = None
        self.tap_on = False
        self.on_cable = False  # what the field's link calls a tap is then a station

    def told(self) -> bytes:
        """Which program runs, and which other one is here: Slots.told()."""
        return self._slots.told()

    def begin(self, payload: bytes) -> bytes:
        if not payload:
            return self.told()
        return self._noted(self._made().begin(payload))

    def data(self, payload: bytes) -> bytes:
        return self._noted(self._made().data(payload))

    def end(self, payload: bytes) -> bytes:
        return self._noted(self._made().end(payload))

    def run(self) -> int:
        """A duty."""
        if self._updater is None:
            return NEVER_MS
        self._updater.tap_on = self.tap_on and not self.on_cable
        return self._updater.run()

    def _noted(self, answer: bytes) -> bytes:
        """What asks for later, or for a piece again, is no fault."""
        from bandwire import release as words

        code = answer[0]
        if code == words.FLASH:
            self._note(faults.UPDATE_FLASH, 0)
        elif code == words.BAD_SIGNATURE:
            self._note(faults.UPDATE_SIGNATURE, 0)
        elif code in (words.DAMAGED, words.BAD_HEADER, words.WRONG_BOARD, words.TOO_OLD, words.NO_ROOM, words.MEMORY):
            self._note(faults.UPDATE_REFUSED, code)
        return answer

    def _made(self) -> "Updater":
        if self._updater is None:
            from .update import Updater

            self._updater = Updater(self._slots, self._board, sys.platform, self._sound)
        self._updater.tap_on = self.tap_on and not self.on_cable
        return self._updater
