"""The band as a card, by the NFC chip PN532. An NfcPort.

What the chip does by itself: anticollision, RATS and ATS, ISO 14443-4 blocks and their chaining, and S(WTX) while we
work, so extend() has nothing to do. What it cannot do:

  - Show a UID of 7 bytes. It puts 08 before three bytes that we choose, so a band with this chip shows a random
    identifier at every activation, whatever arm() says, and readers know it by its SUN message (its K2). A band that
    has no keys yet has none: it is keyed on a station's cable, never over the air.
  - Say an ATS of ours. It says 06 75 33 92 03 80: frames of 64 bytes, up to 424 kbit/s, and a frame waiting time of
    155 ms (FWI 9). Only the historical byte, 80, is ours.

While nobody wants the band the chip waits as a target, and powers itself down until a reader's field wakes it. It
takes a command of 262 bytes and an answer of 262 bytes whole; more of either in pieces.
"""

import time

from bandwire.faults import NFC_RESTARTED, NFC_SILENT, NFC_WRONG_CHIP

from .nfc import ACTIVATED, COMMAND, DEACTIVATED
from .pn532chip import (
    ANSWER_MS,
    GET_GENERAL_STATUS,
    TG_GET_DATA,
    TG_INIT_AS_TARGET,
    TG_SET_DATA,
    TG_SET_META_DATA,
    Chip,
    ChipError,
    ChipLine,
    WrongChip,
)
from .pn532frames import DATA_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .duties import Duties

_PASSIVE_CARD_ONLY = b"\x05"
_SENS_RES = b"\x04\x03"  # of the chip we stand in for when it shows 4 bytes: 0304, low byte first
_SEL_RES = b"\x20"  # ISO 14443-4
_NO_FELICA = b"\x01\xfe" + bytes(16)
_NO_DEP = bytes(10) + b"\x00"  # NFCID3, and no general bytes
_HISTORICAL = b"\x01\x80"
_AS_CARD = 0x08  # in the mode that it was activated in
_MORE = 0x40  # in a status: the command goes on
_STATUS = 0xFF & ~_MORE  # anything else in it is an end: released, field off, a protocol that we do not speak
_COMMAND_MAX = 2 * DATA_MAX

_WAKE_MS = 25  # from the chip's signal to its last byte
_SLICE_MS = 20  # of listening to a reader, between duties
_DUTIES_MS = 1000  # at the latest, for a reader that never pauses: the watchdog is a duty too
_SEND_MS = 1000  # to a reader that takes an answer in five frames
_QUIET_MS = 3000  # of a reader, until the chip is asked whether there is a field at all
_CHECK_MS = 300_000  # of no reader, until the chip is started anew in case it fell over: 25 ms awake
_RESTARTS = 3  # without a command in between
_PAUSE_MS = 60_000
_FALSE_ALARMS_MAX = 5

# Where we are.
_DOWN = 0  # the chip has to be started
_IDLE = 1  # it is started and has no command
_ARMED = 2  # it waits for a reader
_SELECTED = 3  # a reader has selected us
_LISTENING = 4  # the chip waits for its command
_ANSWERING = 5


class Pn532:
    """random: so many random bytes. note: takes a fault's code and the number of the chip's command it came in.

    NFC_RESTARTED: the chip hung or fell over, and is reset. NFC_SILENT, NFC_WRONG_CHIP: resetting did not help, so the
    band is out of service for readers; once a minute it is tried again.
    """

    def __init__(self, line: ChipLine, random: "Callable[[int], bytes]", note: "Callable[[int, int], None]") -> None:
        self._line = line
        self._chip = Chip(line)
        self._random = random
        self._note = note
        self._state = _DOWN
        self._command = b""
        self._since = time.ticks_ms()  # of this state, where it matters
        self._pause_ms = 0
        self._failures = 0  # one after another
        self._false_alarms = 0  # one after another
        self._lost_reader = False  # wait() has yet to tell it
        self._duties_at = self._since

    def arm(self, uid: bytes | None) -> None:
        """This chip shows 4 random bytes in either case."""

    def extend(self) -> None:
        """The chip sends S(WTX) by itself."""

    def start(self) -> bool:
        """Start the chip, so that a boot tells at once if it is broken; wait() would do it too. Whether it works."""
        while self._state == _DOWN and not self._pause_ms:
            try:
                self._start()
            except ChipError as err:
                self._fail(err)
        return self._state != _DOWN

    def wait(self, duties: "Duties") -> int:
        while True:
            if self._lost_reader:
                self._lost_reader = False
                return DEACTIVATED
            try:
                event = self._step(duties)
            except ChipError as err:
                self._fail(err)
                continue
            if event:
                return event

    def command(self) -> bytes:
        return self._command

    def respond(self, rapdu: bytes) -> None:
        self._command = b""
        if self._state != _ANSWERING:
            return
        try:
            at = 0
            while len(rapdu) - at > DATA_MAX and self._send(TG_SET_META_DATA, rapdu[at : at + DATA_MAX]):
                at += DATA_MAX
            taken = self._state == _ANSWERING and self._send(TG_SET_DATA, rapdu[at:])
        except ChipError as err:
            self._fail(err)
            return
        if taken:
            self._state = _SELECTED

    def _send(self, code: int, data: bytes) -> bool:
        """Whether the reader took it."""
        status = self._chip.run(code, data, _SEND_MS)
        if not status or status[0] & _STATUS:
            self._lose_reader()
            return False
        return True

    def _lose_reader(self) -> None:
        self._state = _IDLE
        self._command = b""
        self._lost_reader = True

    def _step(self, duties: "Duties") -> int:
        """One step, the event that it was or 0."""
        if self._state == _DOWN:
            return self._come_up(duties)
        if self._state == _IDLE:
            return self._be_target()
        if self._state == _ARMED:
            return self._await_reader(duties)
        if self._state == _SELECTED:
            self._chip.send(TG_GET_DATA)
            self._enter(_LISTENING)
        return self._listen(duties)

    def _do(self, duties: "Duties") -> int:
        self._duties_at = time.ticks_ms()
        return duties.run()

    def _come_up(self, duties: "Duties") -> int:
        due_ms = self._do(duties)
        left = self._pause_ms - time.ticks_diff(time.ticks_ms(), self._since)
        if left > 0:
            self._line.rest(min(due_ms, left))
        else:
            self._start()
        return 0

    def _start(self) -> None:
        self._pause_ms = 0
        self._chip.start()
        self._state = _IDLE

    def _be_target(self) -> int:
        shown = self._random(3)
        target = _PASSIVE_CARD_ONLY + _SENS_RES + shown + _SEL_RES + _NO_FELICA + _NO_DEP + _HISTORICAL
        self._chip.send(TG_INIT_AS_TARGET, target)
        self._enter(_ARMED)
        return 0

    def _await_reader(self, duties: "Duties") -> int:
        due_ms = self._do(duties)
        left = _CHECK_MS - time.ticks_diff(time.ticks_ms(), self._since)
        if left <= 0:
            self._start()
            self._failures = 0
            return 0
        told = self._chip.poll(0)
        if told is None:
            if not self._line.rest(min(due_ms, left)):
                self._false_alarms = 0
                return 0
            told = self._chip.poll(_WAKE_MS) or self._chip.again()
        if told is None:
            return self._calm()
        if not told or not told[0] & _AS_CARD:
            self._state = _IDLE
            return 0
        self._state = _SELECTED  # what follows the mode is the RATS, which the chip has answered
        return ACTIVATED

    def _calm(self) -> int:
        """It was the button perhaps. Having been asked for its last answer, the chip may wait for readers no more."""
        self._false_alarms += 1
        if self._false_alarms > _FALSE_ALARMS_MAX:
            raise ChipError("the NFC chip gives signals and says nothing")
        self._chip.abort()
        self._state = _IDLE
        return 0

    def _listen(self, duties: "Duties") -> int:
        if time.ticks_diff(time.ticks_ms(), self._duties_at) >= _DUTIES_MS:
            self._do(duties)
        told = self._chip.poll(_SLICE_MS)
        if told is None:
            self._do(duties)
            if time.ticks_diff(time.ticks_ms(), self._since) >= _QUIET_MS:
                self._ask_for_field()
            return 0
        if not told or told[0] & _STATUS or len(self._command) + len(told) - 1 > _COMMAND_MAX:
            self._lose_reader()
            return 0
        self._command += told[1:]
        if told[0] & _MORE:
            self._state = _SELECTED
            return 0
        self._failures = 0
        self._state = _ANSWERING
        return COMMAND

    def _ask_for_field(self) -> None:
        """A reader says nothing for long: either its answer was lost on our line, or it is thinking, or it has left."""
        if self._chip.again() is not None:
            return
        self._chip.abort()
        told = self._chip.run(GET_GENERAL_STATUS, b"", ANSWER_MS)
        if len(told) > 1 and told[1]:
            self._state = _SELECTED
        else:
            self._lose_reader()

    def _enter(self, state: int) -> None:
        self._state = state
        self._since = time.ticks_ms()

    def _fail(self, err: ChipError) -> None:
        """Reset the chip next, a few times in a row, then once a minute. Whoever was reading us has lost us."""
        self._lost_reader = self._state in (_SELECTED, _LISTENING, _ANSWERING)
        self._command = b""
        self._enter(_DOWN)
        self._failures += 1
        self._pause_ms = 0
        if self._failures > _RESTARTS:
            self._failures = _RESTARTS  # one try a minute from now on
            self._pause_ms = _PAUSE_MS
            self._note(NFC_WRONG_CHIP if isinstance(err, WrongChip) else NFC_SILENT, self._chip.code)
        else:
            self._note(NFC_RESTARTED, self._chip.code)
