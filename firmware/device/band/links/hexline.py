"""A reader made of text lines: hex C-APDU on stdin, hex R-APDU on stdout, one line each, in order.

`ready` is printed first. Beside hex a line may be a control word, answered by one line as well:
reset (a new activation; answered `reset`), mem (see heap.py), quit (not answered). A bad line gets `error ...`.
"""

from binascii import unhexlify

from band.links.heap import HeapMeter
from band.links.lines import read_line, say
from band.nfc import ACTIVATED, COMMAND, DEACTIVATED, STOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from band.duties import Duties

_LINE_MAX = 2048


class HexLink:
    def __init__(self) -> None:
        self._meter = HeapMeter()
        self._started = self._activate = False
        self._command = b""

    def arm(self, uid: bytes | None) -> None:
        """There is no anticollision on this link."""

    def extend(self) -> None:
        """Nor a waiting time."""

    def wait(self, duties: "Duties") -> int:
        """Duties are not done here: this link is for APDUs alone."""
        if not self._started:
            self._started = self._activate = True
            say("ready")
        if self._activate:
            self._activate = False
            return ACTIVATED
        while True:
            line = read_line(_LINE_MAX)
            if not line:
                return STOP
            if not line.endswith(b"\n") and len(line) >= _LINE_MAX:
                self._skip()
                say("error line longer than %d characters" % _LINE_MAX)
                continue
            word = line.strip()
            if word == b"quit":
                return STOP
            if word == b"reset":
                say("reset")
                self._activate = True
                return DEACTIVATED
            if word == b"mem":
                say(self._meter.line())
                continue
            try:
                self._command = unhexlify(word)
            except ValueError:
                say("error neither hex nor a control word")
                continue
            return COMMAND

    def command(self) -> bytes:
        return self._command

    def respond(self, rapdu: bytes) -> None:
        self._meter.sample()
        say(rapdu.hex().upper())

    def _skip(self) -> None:
        while True:
            rest = read_line(_LINE_MAX)
            if not rest or rest.endswith(b"\n"):
                return
