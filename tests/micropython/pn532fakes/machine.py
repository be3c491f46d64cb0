"""Pins, UART and I2C whose other end is the double of an NFC chip in another process: see pn532bench.py.

A UART is a pty (PN532_TTY). Pins and I2C are lines over a socket (PN532_BENCH), a question and its answer each.
"""

import os
import select
import socket

_parts = {}  # of an ESP32, which other tests double: only those that lead to the chip are others here
with open(__file__.rsplit("/", 2)[0] + "/fakes/machine.py") as _file:
    exec(_file.read(), _parts)
globals().update(_parts)

_host, _port = os.getenv("PN532_BENCH").split(":")
_bench = socket.socket()
_bench.connect(socket.getaddrinfo(_host, int(_port))[0][-1])
_ENODEV = 19


def _ask(*words):
    _bench.send(" ".join(map(str, words)).encode() + b"\n")
    answer = b""
    while not answer.endswith(b"\n"):
        piece = _bench.recv(2048)
        if not piece:
            raise SystemExit
        answer += piece
    return answer[:-1].decode()


class Pin(_parts["Pin"]):
    def __init__(self, number, mode=None, pull=None, value=None):
        super().__init__(number, mode, pull, value)
        if value is not None:
            self.value(value)

    def value(self, level=None):
        if self._number not in (4, 18):
            return super().value(level)
        if level is None:
            return int(_ask("pin", self._number))
        _ask("pin", self._number, level)
        return None


class UART:
    def __init__(self, port, baud, tx, rx, rxbuf):
        assert baud == 115200
        self._tty = open(os.getenv("PN532_TTY"), "r+b", buffering=0)  # noqa: SIM115  (for as long as the board runs)
        self._poll = select.poll()
        self._poll.register(self._tty, select.POLLIN)

    def any(self):
        return len(self._poll.poll(0))

    def read(self, most):
        """What is there and no more, as the real one."""
        data = b""
        while self.any() and len(data) < most:
            data += self._tty.read(1)
        return data or None

    def write(self, data):
        while data:
            data = data[self._tty.write(data) :]


class I2C:
    def __init__(self, bus, scl, sda, freq, timeout):
        pass

    def writeto(self, address, data):
        if _ask("write", address, data.hex()) != "ok":
            raise OSError(_ENODEV)
        return len(data)

    def readfrom(self, address, size):
        answer = _ask("read", address, size)
        if answer == "nak":
            raise OSError(_ENODEV)
        return bytes.fromhex(answer)
