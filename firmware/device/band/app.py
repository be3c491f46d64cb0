"""The program: find the board, then run the applet on it."""

import sys

from .errors import BandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .board import Board

_ERROR_EXIT = 2
_INTERRUPTED_EXIT = 130


def main() -> None:
    """Run this board until its link ends. What stops it is told in one line."""
    try:
        board = _board()
        # After the board: where source is compiled at start, the largest modules want the emptiest heap.
        from .loop import run

        run(board)
        board.restart()  # its link has ended: a station said so
    except BandError as err:
        sys.stderr.write("error %s\n" % err)
        if sys.platform != "esp32":  # there, leaving would reboot and fail again, hiding the fault light
            sys.exit(_ERROR_EXIT)
    except KeyboardInterrupt:
        if sys.platform == "esp32":  # there, it is how a developer gets to the prompt
            raise
        sys.exit(_INTERRUPTED_EXIT)


def _board() -> "Board":
    if sys.platform == "esp32":
        from .boards.esp32 import Esp32Board

        return Esp32Board()
    from .boards.desktop import DesktopBoard

    return DesktopBoard(sys.argv[1:])
