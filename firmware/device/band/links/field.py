"""A reader over TCP, in the protocol of vpcd: the band connects to enter the field and closes to leave it.

Every message is a 2-byte big-endian length and that many bytes. From the reader: one byte 00 power off, 01 power
on, 02 reset, 04 tell ATR; anything else is a C-APDU. The band answers an ATR request and each C-APDU.
The reader's own command FF CA 00 00 00 (the identifier of anticollision) is answered here, not by the applet.

Controlled by lines on stdin: enter HOST PORT, leave, mem, quit. On stdout, a line each: ready; entered;
left REASON (asked, already, peer, protocol, error; also unasked, when the reader goes); mem ..; error ...
"""

import os
import select
import socket
import sys

from band.links.heap import HeapMeter
from band.links.lines import read_byte, say
from band.nfc import ACTIVATED, COMMAND, DEACTIVATED, STOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from band.duties import Duties

_LINE_MAX = 200
_MESSAGE_MAX = 1024
_CONNECT_MS = 3000
_SEND_S = 3
_POWER_OFF = 0
_POWER_ON = 1
_RESET = 2
_ATR_REQUEST = 4
# An ISO 14443-4 card with the historical byte 80, as PC/SC part 3 builds it.
_ATR = b"\x3b\x81\x80\x01\x80\x80"
_GET_ID = b"\xff\xca\x00\x00"
_EINPROGRESS = 115
_IPPROTO_TCP, _TCP_QUICKACK = 6, 12  # of Linux


class FieldLink:
    def __init__(self) -> None:
        self._meter = HeapMeter()
        self._poll = select.poll()
        self._socket: socket.socket | None = None
        self._other: socket.socket | None = None
        self._pump: Callable[[], bool] | None = None
        self._started = False
        self._line = b""
        self._buffer = b""
        self._events: list[int] = []  # at most a few: filled only when empty
        self._powered = False
        self._command = b""
        self._uid: bytes | None = None
        self._shown = b""

    def also(self, source: socket.socket, pump: "Callable[[], bool]") -> None:
        """While waiting, call `pump` whenever `source` has something, until it says that no more will come."""
        self._other, self._pump = source, pump
        self._poll.register(source, select.POLLIN)

    def arm(self, uid: bytes | None) -> None:
        self._uid = uid

    def extend(self) -> None:
        """TCP has no waiting time."""

    def command(self) -> bytes:
        return self._command

    def respond(self, rapdu: bytes) -> None:
        self._meter.sample()
        self._send(rapdu)

    def wait(self, duties: "Duties") -> int:
        if not self._started:
            self._started = True
            self._poll.register(sys.stdin, select.POLLIN)
            say("ready")
        while True:
            if self._events:
                event = self._events.pop(0)
                if event == ACTIVATED:
                    self._shown = self._uid or b"\x08" + os.urandom(3)
                return event
            if self._take_message():
                continue
            for source, _ in self._poll.poll(duties.run()):
                if source is self._socket:
                    self._receive()
                elif source is self._other:
                    self._take_other()
                elif source is sys.stdin and not self._read_control():
                    self._leave("")
                    self._events.append(STOP)

    def _take_other(self) -> None:
        if self._pump is not None and self._other is not None and not self._pump():
            self._poll.unregister(self._other)

    # The reader's side.

    def _receive(self) -> None:
        """Read what there is. A closed or broken connection is the field going away."""
        assert self._socket is not None
        try:
            data = self._socket.recv(_MESSAGE_MAX)
        except OSError:
            self._leave("error")
            return
        if not data:
            self._leave("peer")
            return
        _ack_at_once(self._socket)
        self._buffer += data

    def _take_message(self) -> bool:
        """Handle the first whole message of the buffer, if there is one."""
        if len(self._buffer) < 2:
            return False
        size = self._buffer[0] << 8 | self._buffer[1]
        if not 0 < size <= _MESSAGE_MAX:
            self._leave("protocol")
            return True
        if len(self._buffer) < 2 + size:
            return False
        message, self._buffer = self._buffer[2 : 2 + size], self._buffer[2 + size :]
        if size == 1 and message[0] in (_POWER_OFF, _POWER_ON, _RESET, _ATR_REQUEST):
            self._control(message[0])
        elif message[:4] == _GET_ID and size == 5:
            if not self._powered:
                self._power_on()
            else:
                self._send(_identifier(self._shown, message[4]))
                return True
            self._buffer = b"\x00\x05" + message + self._buffer  # again, once the activation was told
        else:
            if not self._powered:
                self._power_on()
            self._command = message
            self._events.append(COMMAND)
        return True

    def _control(self, code: int) -> None:
        if code == _ATR_REQUEST:
            self._send(_ATR)
            return
        if self._powered:
            self._powered = False
            self._events.append(DEACTIVATED)
        if code != _POWER_OFF:
            self._power_on()

    def _power_on(self) -> None:
        self._powered = True
        self._events.append(ACTIVATED)

    def _send(self, payload: bytes) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendall(len(payload).to_bytes(2, "big") + payload)
        except OSError:
            self._leave("error")

    def _leave(self, reason: str) -> None:
        if self._socket is None:
            return
        self._poll.unregister(self._socket)
        self._socket.close()
        self._socket = None
        self._buffer = b""
        self._events = [DEACTIVATED] if self._powered else []
        self._powered = False
        if reason:
            say("left " + reason)

    # The control lines.

    def _read_control(self) -> bool:
        """Take one byte of stdin, so that half a line never holds up the reader. False: stdin has ended."""
        char = read_byte()
        if not char:
            return False
        if char != b"\n":
            if len(self._line) <= _LINE_MAX:
                self._line += char
            return True
        line, self._line = self._line, b""
        try:
            words = line.decode().split()
        except ValueError:
            words = []
        return self._obey(words)

    def _obey(self, words: list[str]) -> bool:
        if words == ["quit"]:
            return False
        if words == ["mem"]:
            say(self._meter.line())
        elif words == ["leave"]:
            if self._socket is None:
                say("left already")
            self._leave("asked")
        elif len(words) == 3 and words[0] == "enter":
            self._enter(words[1], words[2])
        else:
            say("error expected: enter HOST PORT, leave, mem or quit")
        return True

    def _enter(self, host: str, port: str) -> None:
        if self._socket is not None:
            say("error already in a field: leave it first")
            return
        try:
            self._socket = _connect(host, int(port))
        except (ValueError, OverflowError):
            say("error port is not a number from 1 to 65535")
            return
        except OSError as err:
            say("error cannot reach a reader at %s:%s: %s" % (host, port, err))
            return
        self._poll.register(self._socket, select.POLLIN)
        say("entered")


def _connect(host: str, port: int) -> socket.socket:
    """A connected socket, or OSError within the time limit."""
    if not 0 < port < 65536:
        raise ValueError
    address = socket.getaddrinfo(host, port)[0][-1]
    sock = socket.socket()
    try:
        sock.setblocking(False)
        try:
            sock.connect(address)
        except OSError as err:
            if err.errno != _EINPROGRESS:
                raise
            waiter = select.poll()
            waiter.register(sock, select.POLLOUT)
            if not waiter.poll(_CONNECT_MS):
                raise OSError("no answer in %d ms" % _CONNECT_MS) from None
            sock.send(b"")  # tells the outcome of the connection attempt
        sock.settimeout(_SEND_S)
    except OSError:
        sock.close()
        raise
    return sock


def _ack_at_once(sock: socket.socket) -> None:
    """vpcd sends a length and then the message, and waits in between for the length to be acknowledged.

    Linux would let it wait 40 ms. Asked for after each read, because the kernel forgets.
    """
    if sys.platform == "linux":
        sock.setsockopt(_IPPROTO_TCP, _TCP_QUICKACK, 1)


def _identifier(shown: bytes, expected: int) -> bytes:
    if expected not in (0, len(shown)):
        return b"\x6c" + bytes((len(shown),))
    return shown + b"\x90\x00"
