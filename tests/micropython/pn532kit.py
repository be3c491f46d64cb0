"""A double of the NFC chip PN532 at the level of its bytes, with a reader at its antenna.

Written by the chip's user manual (UM0701-02) and apart from the driver, frames included. Faults are put in by the test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from steward.errors import CardRemoved

ACK = bytes.fromhex("0000FF00FF00")
NACK = bytes.fromhex("0000FFFF0000")
SYNTAX_ERROR = bytes.fromhex("0000FF01FF7F8100")
ADDRESS = 0x24
RESET_PIN, IRQ_PIN = 18, 4
RATS = bytes.fromhex("E080")
ATS_INTERFACE = bytes.fromhex("75339203")
GET_STATUS, GET_DATA, SET_DATA, SET_META, INIT = 0x04, 0x86, 0x8E, 0x94, 0x8C
RELEASED, FIELD_OFF, WRONG_STATE = 0x29, 0x2B, 0x25
DATA_MAX = 262
LIMIT_S = 10.0


def frame(body: bytes) -> bytes:
    """A frame from the chip: TFI D5."""
    body = b"\xd5" + body
    size = len(body)
    if size < 256:
        head = bytes([size, (256 - size) % 256])
    else:
        head = b"\xff\xff" + size.to_bytes(2, "big")
        head += bytes([(256 - sum(head[2:]) % 256) % 256])
    return b"\x00\x00\xff" + head + body + bytes([(256 - sum(body) % 256) % 256, 0])


def bodies(data: bytes) -> tuple[list[bytes], bytes]:
    """What a host sent, without its frames (ACK and NACK as they are), and what is not whole yet."""
    found = []
    while (at := data.find(b"\x00\xff")) >= 0:
        rest = data[at + 2 :]
        if rest[:2] in (b"\x00\xff", b"\xff\x00"):
            found.append(ACK if rest[0] == 0 else NACK)
            data = rest[2:]
            continue
        start, size = (5, int.from_bytes(rest[2:4], "big")) if rest[:2] == b"\xff\xff" else (2, rest[0] if rest else 0)
        if len(rest) < start + size + 1:
            return found, data[at:]
        body, good = rest[start : start + size], sum(rest[start : start + size + 1]) % 256 == 0
        length_good = sum(rest[2:5] if start == 5 else rest[:2]) % 256 == 0
        if good and length_good and body[:1] == b"\xd4":
            found.append(body[1:])
            data = rest[start + size + 1 :]
        else:
            data = data[at + 1 :]
    return found, data[-1:]


@dataclass
class Faults:
    """What goes wrong, by the number of the frame; each once. Frames of the chip count from 1, its ACKs included."""

    out: dict[int, Callable[[bytes], bytes]] = field(default_factory=dict)
    into: dict[int, Callable[[bytes], bytes]] = field(default_factory=dict)  # of what one write of the host brought
    delay_s: float = 0.0  # before every frame of the chip
    hang_at: int = 0  # the number of the frame from which on the chip is mute until it is reset
    field_lost_at: int = 0  # the number of the event, command or answer, at which the reader goes
    mute_loss: bool = False  # the chip does not tell that the field went
    dead: bool = False  # it does not even mind its reset pin


class Pn532Double:
    """The chip's state. `emit` is the wire's: it takes the frames that go to the host."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.emit: Callable[[bytes], None] = lambda data: None
        self.commands: list[bytes] = []  # all that were understood
        self.sent = self.received = 0  # frames to the host, writes of the host
        self.events = 0
        self.restarts = 0
        self.ic = 0x32
        self._changed = asyncio.Event()
        self.field = False
        self.power_on()

    def power_on(self) -> None:
        """As it is after a reset, and after a brown-out that nobody told the host of."""
        self.asleep = True
        self.hung = False
        self.pending = 0  # a command that is answered when something happens
        self.target = b""
        self.selected = False
        self.ready = False
        self.card = False
        self._gone = 0  # why the reader is gone, until the host is told
        self._inbox: bytes | None = None
        self._pieces = b""
        self._answer: asyncio.Future[bytes] | None = None
        self._last = b""
        self._input = b""
        self._tasks: set[asyncio.Task[None]] = set()

    def reset(self) -> None:
        if self.faults.dead:
            return
        self.restarts += 1
        self._drop_reader(0)
        self.power_on()

    # The host's side.

    def feed(self, data: bytes) -> None:
        self.received += 1
        bend = self.faults.into.pop(self.received, None)
        if bend is not None:
            data = bend(data)
        if self.hung or self.faults.dead:
            return
        if self.asleep:
            at = data.find(b"\x55\x55")
            if at < 0:
                return
            self.asleep = False
            data = data[at + 2 :]
        found, self._input = bodies(self._input + data)
        for body in found:
            self._take(body)

    def _take(self, body: bytes) -> None:
        if body == ACK:
            self.pending = 0
            self.target = self.target if self.selected else b""
        elif body == NACK:
            if self._last:
                self._send(self._last)
        else:
            self.pending = 0
            self.commands.append(body)
            self._send(ACK)
            self._event()
            self._run(body[0], body[1:])
            self._changed.set()

    def _run(self, code: int, data: bytes) -> None:
        simple = {
            0x02: lambda: bytes([self.ic, 1, 6, 7]),
            GET_STATUS: lambda: bytes([0, self.field, 0, 0]),
            0x06: lambda: b"\x03",
            0x08: lambda: b"",
        }
        if code == 0x14 and data[:1] == b"\x01":
            self.ready = True
            self._reply(code)
        elif not self.ready:
            self._send(SYNTAX_ERROR)
        elif code in simple:
            self._reply(code, simple[code]())
        elif code == 0x12 and len(data) == 1:
            self.card = data == b"\x20"
            self._reply(code)
        elif code == INIT and self._is_target(data):
            self._drop_reader(0)
            self.target = data
            self._gone = 0
            self.pending = code
            self.asleep = not self.field
        elif code in (GET_DATA, SET_DATA, SET_META):
            self._serve(code, data)
        else:
            self._send(SYNTAX_ERROR)

    def _is_target(self, data: bytes) -> bool:
        """Mode, 6 bytes of MIFARE, 18 of FeliCa, 10 of NFCID3, general and historical bytes with their lengths."""
        if not self.card or len(data) < 37 or data[0] != 5 or data[7:9] != b"\x01\xfe":
            return False
        general = data[35]
        return data[36 + general] == len(data) - 37 - general <= 48

    def _serve(self, code: int, data: bytes) -> None:
        if self._gone or not self.selected:
            self._reply(code, bytes([self._gone or WRONG_STATE]))
            self._gone = 0
        elif code == GET_DATA:
            self.pending = code
            self._hand_over()
        elif self._answer is None or self._answer.done():
            self._reply(code, bytes([WRONG_STATE]))
        else:
            self._pieces += data
            if code == SET_DATA:
                self._answer.set_result(self._pieces)
                self._pieces = b""
            self._reply(code, b"\x00")

    def _hand_over(self) -> None:
        if self.pending == GET_DATA and self._inbox is not None:
            piece, rest = self._inbox[:DATA_MAX], self._inbox[DATA_MAX:]
            self._inbox = rest or None
            self.pending = 0
            self._reply(GET_DATA, bytes([0x40 if rest else 0]) + piece)

    def _reply(self, code: int, data: bytes = b"") -> None:
        self._event()
        self._last = frame(bytes([code + 1]) + data)
        self._send(self._last)

    def _send(self, data: bytes) -> None:
        self.sent += 1
        if self.faults.hang_at and self.sent == self.faults.hang_at:
            self.hung = True
        if self.hung:
            return
        bend = self.faults.out.pop(self.sent, None)
        if bend is not None:
            data = bend(data)
        if not self.faults.delay_s:
            self.emit(data)
            return
        asyncio.get_running_loop().call_later(self.faults.delay_s, self.emit, data)

    def _event(self) -> None:
        self.events += 1
        if self.events == self.faults.field_lost_at:
            self.lose_field()

    # The reader's side.

    async def select(self) -> bytes:
        """Bring a field and select the card, once there is one: the identifier that it shows."""
        self.field = True
        await self.armed()
        self.asleep = False
        self.selected = True
        self.pending = 0
        self._inbox = self._answer = None
        self._pieces = b""
        self._reply(INIT, b"\x08" + RATS)
        return b"\x08" + self.target[3:6]

    async def until(self, holds: Callable[[], bool]) -> None:
        """It is looked at after each command."""
        async with asyncio.timeout(LIMIT_S):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def armed(self) -> None:
        """Until the chip waits for a reader."""
        await self.until(lambda: self.pending == INIT and bool(self.target))

    async def listening(self) -> None:
        """Until it waits for its reader's next command."""
        await self.until(lambda: self.pending == GET_DATA)

    def asked(self, code: int) -> int:
        """How often it was given this command."""
        return sum(command[0] == code for command in self.commands)

    @property
    def ats(self) -> bytes:
        general = self.target[35]
        historical = self.target[37 + general :]
        return bytes([5 + len(historical)]) + ATS_INTERFACE + historical

    async def ask(self, capdu: bytes) -> bytes:
        """One APDU over the air. CardRemoved once the field, the chip or the band is gone."""
        if not self.selected:
            raise CardRemoved("the reader has no card")
        self._inbox = capdu
        self._answer = asyncio.get_running_loop().create_future()
        self._hand_over()
        try:
            async with asyncio.timeout(LIMIT_S):
                return await self._answer
        except (TimeoutError, asyncio.CancelledError):
            raise CardRemoved("the card gave no answer") from None

    def deselect(self) -> None:
        self._drop_reader(RELEASED)

    def lose_field(self) -> None:
        self.field = False
        self._drop_reader(FIELD_OFF)

    def _drop_reader(self, why: int) -> None:
        was, self.selected = self.selected, False
        self._inbox = None
        self._pieces = b""
        if self._answer is not None and not self._answer.done():
            self._answer.cancel()
        if not was or not why:
            return
        if self.faults.mute_loss:
            self.selected = self.pending == GET_DATA  # and so it stays
            return
        self._gone = why
        if self.pending == GET_DATA:
            self.pending = 0
            self._gone = 0
            self._reply(GET_DATA, bytes([why]))


class ReaderCard:
    """steward.ports.Card, for a gateway at the antenna."""

    def __init__(self, chip: Pn532Double, shown: bytes) -> None:
        self._chip = chip
        self.anticollision_id = shown
        self.exchanges: list[tuple[bytes, bytes]] = []

    async def exchange(self, capdu: bytes) -> bytes:
        rapdu = await self._chip.ask(capdu)
        self.exchanges.append((capdu, rapdu))
        return rapdu
