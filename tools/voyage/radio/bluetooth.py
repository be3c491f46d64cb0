"""MicroPython's `bluetooth` for the unix build: each call is a line to voyage.air, which answers with one.

Runs on the band's interpreter, where this folder is on MICROPYPATH and VOYAGE_AIR names the air: HOST:PORT/BAND.
Names, arguments, numbers of events and errors are the chip's (MicroPython's library reference); what the firmware
does not use is not here.

Unlike on the chip, events do not interrupt: they reach the handler at the end of a call to this module, or when
whoever waits on `source` calls pump(). On the chip they come between any two instructions. A handler that only takes
notes cannot tell the difference, and the band's is one (band/gatt.py). An error in it ends the band here; the chip
would print it and go on.

Lines. Band: verb and arguments, then a newline. Air: `ok ARGUMENTS`, `error ERRNO`, or at any time
`irq EVENT ARGUMENTS`. An argument is a decimal number, or x and hex digits.
"""

import os
import socket
from binascii import hexlify, unhexlify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_ENODEV = 19
_IRQ_GATTS_WRITE = 3
_ANSWER_S = 10
_LINE_MAX = 512


class UUID:
    """Of 16 bits from a number, of 128 from text."""

    def __init__(self, value: int | str) -> None:
        self.text = f"{value:04x}" if isinstance(value, int) else value.lower()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UUID) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


class _Stack:
    """The one radio: its line to the air, and what the air has said so far."""

    def __init__(self) -> None:
        address, _, name = (os.getenv("VOYAGE_AIR") or "").partition("/")
        host, _, port = address.partition(":")
        self.source = socket.socket()
        self.source.connect(socket.getaddrinfo(host, int(port))[0][-1])
        self.source.settimeout(_ANSWER_S)
        self.handler: Callable[[int, tuple[Any, ...]], None] | None = None
        self.values: dict[int, bytes] = {}
        self.active = False
        self._buffer = b""
        self._answer: tuple[str, list[Any]] | None = None
        self._events: list[list[Any]] = []
        self._dispatching = False
        self.call("band", _hex(name.encode()))

    def call(self, *words: int | str) -> "list[Any]":
        """The arguments of the answer. OSError with the air's number, or ENODEV if the air has gone."""
        self.source.send((" ".join([str(word) for word in words]) + "\n").encode())
        self._answer = None
        while True:
            self._read()
            if self._answer is not None:
                break
        verb, arguments = self._answer
        self.dispatch()
        if verb != "ok":
            raise OSError(arguments[0])
        return arguments

    def _read(self) -> None:
        data = self.source.recv(_LINE_MAX)
        if not data:
            self.active = False
            raise OSError(_ENODEV)
        self._buffer += data
        while b"\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\n")
            words = line.decode().split()
            arguments = [unhexlify(word[1:]) if word[0] == "x" else int(word) for word in words[1:]]
            if words[0] == "irq":
                self._events.append(arguments)
            else:
                self._answer = words[0], arguments

    def pump(self) -> bool:
        """Take what has come on `source`. False: the air has gone."""
        try:
            self._read()
        except OSError:
            return False
        self.dispatch()
        return True

    def dispatch(self) -> None:
        if self._dispatching:
            return
        self._dispatching = True
        while self._events:
            event, *data = self._events.pop(0)
            if event == _IRQ_GATTS_WRITE:
                self.values[data[1]] = data.pop()
            if self.handler is not None:
                self.handler(event, tuple(data))
        self._dispatching = False


_stack: _Stack | None = None


def _hex(data: bytes) -> str:
    return "x" + hexlify(data).decode()


class BLE:
    """The singleton; made anew, it is the same radio."""

    def __init__(self) -> None:
        global _stack
        if _stack is None:
            _stack = _Stack()
        self._stack = _stack
        self.source = _stack.source  # not the chip's: for whoever waits
        self.pump = _stack.pump

    def active(self, active: bool | None = None) -> bool:
        if active is not None and bool(active) != self._stack.active:
            self._stack.call("active", int(active))
            self._stack.active = bool(active)
        return self._stack.active

    def config(self, name: str | None = None, **values: int | str) -> "tuple[int, bytes] | None":
        self._need_active()
        if name == "mac":
            kind, address = self._stack.call("mac")
            return kind, address
        if name is not None:
            raise ValueError("unknown config param")
        for key, value in values.items():
            if key not in ("addr_mode", "gap_name", "rxbuf", "mtu", "bond", "mitm", "io", "le_secure"):
                raise ValueError("unknown config param")
            word = _hex(value.encode()) if isinstance(value, str) else int(value)
            self._stack.call("config", _hex(key.encode()), word)
        return None

    def irq(self, handler: "Callable[[int, tuple[Any, ...]], None] | None") -> None:
        self._stack.handler = handler

    def gap_advertise(
        self,
        interval_us: int | None,
        adv_data: bytes | None = None,
        *,
        resp_data: bytes | None = None,
        connectable: bool = True,
    ) -> None:
        self._need_active()
        if interval_us is None:
            self._stack.call("silence")
            return
        words: list[int | str] = ["advertise", interval_us, int(connectable)]
        words += [_hex(data) if data is not None else 0 for data in (adv_data, resp_data)]
        self._stack.call(*words)

    def gap_disconnect(self, conn_handle: int) -> bool:
        self._need_active()
        return bool(self._stack.call("disconnect", conn_handle)[0])

    def gap_pair(self, conn_handle: int) -> None:
        self._need_active()
        self._stack.call("pair", conn_handle)

    def gap_passkey(self, conn_handle: int, action: int, passkey: int) -> None:
        self._need_active()
        self._stack.call("passkey", conn_handle, action, passkey)

    def gatts_register_services(self, services: "Any") -> "tuple[tuple[int, ...], ...]":
        """Handles of each service's characteristics. Descriptors are not here: the firmware has none."""
        self._need_active()
        words: list[int | str] = ["services"]
        for uuid, characteristics in services:
            words += [_hex(uuid.text.encode()), len(characteristics)]
            for each in characteristics:
                words += [_hex(each[0].text.encode()), each[1]]
        handles = self._stack.call(*words)
        out = []
        for _, characteristics in services:
            out.append(tuple(handles[: len(characteristics)]))
            handles = handles[len(characteristics) :]
        return tuple(out)

    def gatts_read(self, value_handle: int) -> bytes:
        self._need_active()
        return self._stack.values.get(value_handle, b"")

    def gatts_write(self, value_handle: int, data: bytes, send_update: bool = False) -> None:
        self._need_active()
        self._stack.values[value_handle] = bytes(data)
        self._stack.call("write", value_handle, _hex(data), int(send_update))

    def gatts_set_buffer(self, value_handle: int, size: int, append: bool = False) -> None:
        """`append` is not here: the firmware takes each write as it comes."""
        self._need_active()
        self._stack.call("buffer", value_handle, size)

    def gatts_notify(self, conn_handle: int, value_handle: int, data: bytes | None = None) -> None:
        self._need_active()
        data = self.gatts_read(value_handle) if data is None else data
        self._stack.call("notify", conn_handle, value_handle, _hex(data))

    def _need_active(self) -> None:
        if not self._stack.active:
            raise OSError(_ENODEV)
