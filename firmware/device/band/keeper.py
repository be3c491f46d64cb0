"""What looks after the band itself, beside the card: its record of faults, what it shows, its button and its power."""

from bandwire.faults import NFC_SILENT, NFC_WRONG_CHIP

from .button import Button
from .errorring import ErrorRing
from .power import Power
from .signals import ATTENTION, DONE, READ, Signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .board import Board
    from .duties import Duties


class Keeper:
    def __init__(self, board: "Board") -> None:
        board.feed_watchdog()
        self.shows = Signals(board)
        self.ring = ErrorRing(board)
        self.button = Button(board, self.shows, self.ring.note)
        self.power = Power(board, self.shows, self.ring)
        self.alarmed = False  # since this start

    def add_to(self, duties: "Duties") -> None:
        duties.add(self.shows.run)
        duties.add(self.button.run)
        duties.add(self.power.run)
        duties.add(self.ring.flush)

    def note(self, code: int, detail: int = 0) -> None:
        self.ring.note(code, detail)
        if code in (NFC_SILENT, NFC_WRONG_CHIP):
            self.alarm()

    def alarm(self) -> None:
        """The wearer should take the band to a desk."""
        self.alarmed = True
        self.shows.fault()
        self.shows.play(ATTENTION)

    def stopped(self, code: int, detail: int = 0) -> None:
        """The program is about to end for this."""
        self.ring.note(code, detail)
        self.ring.close()
        self.shows.fault()
        self.shows.stop()  # nobody would end a buzz

    def reader_came(self) -> None:
        self.power.came()
        self.shows.play(READ)

    def charge_signed(self) -> None:
        self.shows.play(DONE)

    def reader_went(self) -> None:
        self.shows.release()
        self.power.gone()
