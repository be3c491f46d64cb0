"""A reader on a serial line: a station's frames (bandwire.bench) in, the applet's answers out.

Activating the band over the cable gives a station what a reader's field gives a reader, and no more: the same APDUs
under the same keys. What else a station may ask is in `services`, each by its kind of frame.
"""

import os
import time

from bandwire import bench
from bandwire.errors import BadArgument, BadFrame

from .errors import BandError
from .nfc import ACTIVATED, COMMAND, DEACTIVATED, STOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from .duties import Duties
else:
    Protocol = object


class SerialLine(Protocol):
    def read(self, wait_ms: int) -> bytes | None:
        """What has come, waiting so long for a first byte; None: nothing. Empty once the line is gone for good."""
        ...

    def write(self, data: bytes) -> None:
        """Whoever reads it may be gone: that is no error here."""
        ...

    def claim(self) -> None:
        """A station is there: from here on every byte is a byte, and none means anything to a console."""
        ...


class StationLink:
    """An NfcPort. services: for kinds of frames beside HELLO and APDU, payload in, payload out."""

    def __init__(self, line: SerialLine) -> None:
        self._line = line
        self._frames = bench.FrameReader()
        self._waiting: list[tuple[int, int, bytes]] = []  # at most what one read() brought
        self._uid: bytes | None = None
        self._active = False
        self._number = -1  # of the last request that was taken
        self._answer = b""  # to it, as it went over the line
        self._command = b""
        self._stopping = False
        self.services: dict[int, Callable[[bytes], bytes]] = {}

    def arm(self, uid: bytes | None) -> None:
        self._uid = uid

    def called(self, within_ms: int) -> bool:
        """Whether a station says HELLO, waiting so long at the most. What it said is kept for wait()."""
        end_ms = time.ticks_add(time.ticks_ms(), within_ms)
        while True:
            for at in range(len(self._waiting)):
                if self._waiting[at][0] == bench.HELLO:
                    self._waiting = self._waiting[at:]
                    self._line.claim()
                    return True
            left_ms = time.ticks_diff(end_ms, time.ticks_ms())
            data = self._line.read(left_ms) if left_ms > 0 else b""
            if data is not None and not data:
                return False
            self._waiting = self._frames.feed(data or b"")

    def stop_after_answer(self) -> None:
        """The link ends once the request that is being worked on is answered."""
        self._stopping = True

    def command(self) -> bytes:
        return self._command

    def respond(self, rapdu: bytes) -> None:
        self._reply(bench.APDU | bench.ANSWER, rapdu)

    def extend(self) -> None:
        """The station waits longer, and sees that the band lives."""
        if self._active:
            self._line.write(bench.pack_frame(bench.WAIT, self._number))

    def wait(self, duties: "Duties") -> int:
        while True:
            while self._waiting:
                if self._waiting[0][0] == bench.HELLO and self._active:
                    self._active = False  # and the frame is looked at again, with the band at rest
                    return DEACTIVATED
                event = self._take(*self._waiting.pop(0))
                if self._stopping:
                    return STOP
                if event:
                    return event
            data = self._line.read(duties.run())
            if data is None:
                continue
            if not data:
                return STOP
            self._waiting = self._frames.feed(data)

    def _take(self, kind: int, number: int, payload: bytes) -> int:
        """The event that a request is, 0 if it is answered here."""
        if kind == bench.HELLO:
            return self._greet(number, payload)
        if self._active and number == self._number:
            self._line.write(self._answer)
        elif not self._active or number != bench.next_number(self._number):
            self._line.write(_refusal(number, bench.OUT_OF_ORDER))
        else:
            self._number = number
            self._answer = b""
            if kind == bench.APDU:
                self._command = payload
                return COMMAND
            self._serve(kind, payload)
        return 0

    def _serve(self, kind: int, payload: bytes) -> None:
        service = self.services.get(kind)
        if service is None:
            self._keep(_refusal(self._number, bench.NO_SUCH_KIND))
            return
        try:
            self._reply(kind | bench.ANSWER, service(payload))
        except (BadArgument, BadFrame):
            self._keep(_refusal(self._number, bench.BAD_PAYLOAD))
        except (BandError, OSError, MemoryError):
            self._keep(_refusal(self._number, bench.FAILED))

    def _greet(self, number: int, payload: bytes) -> int:
        if number != 0 or payload != bytes((bench.PROTOCOL,)):
            self._line.write(_refusal(number, bench.NO_SUCH_PROTOCOL if number == 0 else bench.OUT_OF_ORDER))
            return 0
        self._number = 0
        self._active = True
        shown = self._uid or b"\x08" + os.urandom(3)
        self._reply(bench.HELLO | bench.ANSWER, bytes((bench.PROTOCOL,)) + shown)
        return ACTIVATED

    def _reply(self, kind: int, payload: bytes) -> None:
        self._keep(bench.pack_frame(kind, self._number, payload))

    def _keep(self, answer: bytes) -> None:
        self._answer = answer
        self._line.write(answer)


def _refusal(number: int, code: int) -> bytes:
    return bench.pack_frame(bench.REFUSED, number, bytes((code,)))
