"""One command after another to the NFC chip PN532, and what is done when the line between loses or bends bytes.

The chip acknowledges a command at once and answers when it has done it. A NACK from us gets its last answer again. So
a command that was not acknowledged is given again only if its doing twice does not matter, or if the chip's last answer
proves that it never had it.
Chapter and table numbers are those of the chip's user manual UM0701-02.
"""

import time

from . import pn532frames as frames
from .errors import BandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object

GET_FIRMWARE_VERSION = 0x02
GET_GENERAL_STATUS = 0x04
READ_REGISTER = 0x06
WRITE_REGISTER = 0x08
SET_PARAMETERS = 0x12
SAM_CONFIGURATION = 0x14
TG_GET_DATA = 0x86
TG_INIT_AS_TARGET = 0x8C
TG_SET_DATA = 0x8E
TG_SET_META_DATA = 0x94

_ONCE = (TG_GET_DATA, TG_SET_DATA, TG_SET_META_DATA)  # done twice they would lose or double a part of a message
IC_PN532 = 0x32
_SAM_NORMAL = b"\x01\x00\x01"  # no security module, no time limit, the interrupt pin is used
_ISO_DEP_CARD = b"\x20"  # the chip does ISO 14443-4 as a card: RATS, blocks, chaining and waiting-time extensions
# CIU_TxAuto, bit InitialRFOn: a field wakes the chip out of power-down.
_TX_AUTO = b"\x63\x05"
_INITIAL_RF_ON = 0x04

ACK_MS = 40  # the longest frame takes 23 ms at 115,200 baud; the chip itself a millisecond
ANSWER_MS = 300
_TORN_MS = 5  # of silence within a frame
_TRIES = 3


class ChipError(BandError):
    """The NFC chip is silent, hangs, or answers what it cannot: it has to be restarted."""

    code = "band.nfc"


class WrongChip(ChipError):
    """Something else is soldered or wired there."""

    code = "band.nfc.wrong"


class ChipLine(Protocol):
    """The wires to the chip."""

    def write(self, frame: bytes, asleep: bool = False) -> None:
        """asleep: the chip may have powered down, so wake it first."""
        ...

    def read(self, wait_ms: int) -> bytes:
        """What has come, waiting so long for a first byte; empty: nothing."""
        ...

    def rest(self, limit_ms: int) -> bool:
        """Sleep so long at most, less if the chip has something to say: whether it has, or may have."""
        ...

    def restart(self) -> None:
        """Reset the chip by its pin."""
        ...


class Chip:
    def __init__(self, line: ChipLine) -> None:
        self._line = line
        self._frames = frames.FrameReader()
        self.code = 0  # of the command that is out, or was the last one
        self._before = 0  # of the one before it
        self._answer: bytes | None = None
        self._bad = False  # something damaged came
        self._told_other = False  # asked for its last answer, it gave that to another command

    def start(self) -> None:
        """Reset it, see what it is and make it a card. ChipError if it does not answer."""
        self._line.restart()
        self.run(SAM_CONFIGURATION, _SAM_NORMAL, asleep=True)
        self.see_chip()
        self.run(SET_PARAMETERS, _ISO_DEP_CARD)
        now = self.run(READ_REGISTER, _TX_AUTO)
        if len(now) != 1:
            raise ChipError("the NFC chip did not tell a register")
        self.run(WRITE_REGISTER, _TX_AUTO + bytes((now[0] | _INITIAL_RF_ON,)))

    def see_chip(self) -> None:
        """ChipError if it is silent, WrongChip if it is another one."""
        version = self.run(GET_FIRMWARE_VERSION)
        if len(version) != 4 or version[0] != IC_PN532:
            raise WrongChip("what answers as the NFC chip is no PN532")

    def run(self, code: int, data: bytes = b"", limit_ms: int = ANSWER_MS, asleep: bool = False) -> bytes:
        """A command that is done at once: what it answers."""
        self.send(code, data, asleep)
        answer = self.poll(limit_ms)
        if answer is None:
            answer = self.again()
        if answer is None:
            raise ChipError("the NFC chip took a command and never answered it")
        return answer

    def send(self, code: int, data: bytes = b"", asleep: bool = False) -> None:
        """Give a command and see it acknowledged; poll() has its answer."""
        self._before, self.code = self.code, code
        self._answer = None
        self._told_other = False
        frame = frames.pack_command(code, data)
        for _ in range(_TRIES):
            self._forget()
            self._line.write(frame, asleep)
            if self._taken(ACK_MS) or self.again() is not None:
                return
            if code in _ONCE and not self._told_other:
                raise ChipError("the NFC chip may have had a command: it is not given twice")
        raise ChipError("the NFC chip does not acknowledge")

    def poll(self, wait_ms: int) -> bytes | None:
        """The answer to the command that is out, None if it has not come in that time."""
        until = time.ticks_add(time.ticks_ms(), wait_ms)
        asked = 0
        while self._answer is None:
            if self._bad:
                if asked == _TRIES:
                    raise ChipError("the NFC chip's answer comes damaged every time")
                asked += 1
                self._ask_again()
                until = time.ticks_add(time.ticks_ms(), ACK_MS)
            left = _TORN_MS if self._frames.torn else max(0, time.ticks_diff(until, time.ticks_ms()))
            data = self._line.read(left)
            self._take(data)
            if not data:
                if not self._frames.torn:
                    return None
                self._bad = True
        return self._answer

    def again(self) -> bytes | None:
        """The answer that may have been lost on its way, None if the chip's last one was to another command.

        After two commands of one kind it could be either's: then it is not asked for.
        """
        if self._answer is None and self._before != self.code:
            self._ask_again()
            self._taken(ACK_MS, answer=True)
        return self._answer

    def abort(self) -> None:
        """Take back the command that is out: an ACK from us does that, at any time."""
        self._line.write(frames.ACK_FRAME, asleep=True)
        self._line.read(1)
        self._forget()

    def _forget(self) -> None:
        self._line.read(0)
        self._frames.clear()
        self._bad = False

    def _ask_again(self) -> None:
        self._forget()
        self._told_other = False
        self._line.write(frames.NACK_FRAME)

    def _taken(self, wait_ms: int, answer: bool = False) -> bool:
        """Whether the command was acknowledged in time, or answered, which is as good; answer: answered."""
        until = time.ticks_add(time.ticks_ms(), wait_ms)
        acknowledged = False
        while self._answer is None and (answer or not acknowledged):
            left = time.ticks_diff(until, time.ticks_ms())
            data = self._line.read(max(0, left))
            acknowledged = self._take(data) or acknowledged
            if left <= 0 and not data:
                return False
        return True

    def _take(self, data: bytes) -> bool:
        """Note what these bytes bring: whether an ACK was there."""
        acknowledged = False
        for kind, code, told in self._frames.feed(data):
            if kind == frames.ERROR:
                raise ChipError("the NFC chip does not understand a command")
            if kind == frames.ACK:
                acknowledged = True
            elif kind == frames.DAMAGED:
                self._bad = True
            elif kind == frames.ANSWER and code == self.code + 1 and self._answer is None:
                self._answer = told
            elif kind == frames.ANSWER:
                self._told_other = True
        return acknowledged
