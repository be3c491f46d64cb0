"""A reader made of text lines: hex C-APDU on stdin, hex R-APDU on stdout, one line each, in order.

`ready` is printed first. Beside hex a line may be a control word, answered by one line as well:
reset (a new activation; answered `reset`), mem (see heap.py), quit (not answered). A bad line gets `error ...`.
"""

import sys
from binascii import unhexlify

from band.links.heap import HeapMeter
from band.nfc import ACTIVATED, COMMAND, DEACTIVATED, STOP

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

    def wait(self) -> int:
        if not self._started:
            self._started = self._activate = True
            _say("ready")
        if self._activate:
            self._activate = False
            return ACTIVATED
        while True:
            line = sys.stdin.readline(_LINE_MAX)
            if not line:
                return STOP
            if not line.endswith("\n") and len(line) >= _LINE_MAX:
                self._skip()
                _say("error line longer than %d characters" % _LINE_MAX)
                continue
            word = line.strip()
            if word == "quit":
                return STOP
            if word == "reset":
                _say(word)
                self._activate = True
                return DEACTIVATED
            if word == "mem":
                _say(self._meter.line())
                continue
            try:
                self._command = unhexlify(word)
            except ValueError:
                _say("error neither hex nor a control word")
                continue
            return COMMAND

    def command(self) -> bytes:
        return self._command

    def respond(self, rapdu: bytes) -> None:
        self._meter.sample()
        _say(rapdu.hex().upper())

    def _skip(self) -> None:
        while True:
            rest = sys.stdin.readline(_LINE_MAX)
            if not rest or rest.endswith("\n"):
                return


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
