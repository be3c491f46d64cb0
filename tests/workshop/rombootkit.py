"""An ESP32 in its ROM's serial bootloader, behind a pty, with a flash that behaves like flash.

Spoken as Espressif documents the protocol: SLIP frames, a command's checksum, status bytes, the stub that is loaded
into RAM and then answers in the ROM's place. What esptool does is not known here: it is the program under test's.

Flash: erasing sets bits, by sectors; writing only clears them. The line: bytes sent at another speed than the chip's
arrive as rubbish; a share of bytes may be spoilt, either way; it is lost, or an answer torn, at any command. Time is
counted, not spent: what goes over the line by its speed, and what erasing and writing take by the flash chip's data
sheet (W25Q32JV, typical).
"""

from __future__ import annotations

import hashlib
import os
import random
import select
import struct
import termios
import threading
import tty
import zlib
from collections import Counter
from dataclasses import dataclass, field

ESP32, ESP32_S2 = 0x00F01D83, 0x000007C6  # what the ROM has at _MAGIC, by chip
FLASH_BYTES = 4 * 1024 * 1024
_MAGIC = 0x40001000
_EFUSE = 0x3FF5A000
_SPI = 0x3FF42000
_SPI_USR = 1 << 18
_FLASH_ID = 0x1640EF  # of a chip of 4 MB
_SECTOR = 4096
_ROM_VALUE = 0x20120707
_BAD_MESSAGE, _BAD_CHECKSUM, _FAILED = 0x05, 0x07, 0x06
SYNC, READ_REG, MEM_DATA, MEM_END, CHANGE_BAUD, ATTACH = 0x08, 0x0A, 0x07, 0x06, 0x0F, 0x0D
DEFLATE_BEGIN, DEFLATE_DATA, DEFLATE_END, MD5, ERASE = 0x10, 0x11, 0x12, 0x13, 0xD1
_CRYPT_COUNT = _EFUSE  # of the word that counts flash encryption
_CRYPT_ON = 1 << 20
_ERASE_64K_S, _ERASE_SECTOR_S, _PROGRAM_PAGE_S = 0.150, 0.045, 0.0004
_PAGE, _BLOCK = 256, 65536
_SPEEDS = {getattr(termios, f"B{rate}"): rate for rate in (9600, 115200, 230400, 460800, 921600)}


@dataclass
class Chip:
    """What survives a reset. mac: base MAC address. spoil_in, spoil_out: one byte in so many from or to the host is
    changed; 0: none. protected: block protection bits of the flash chip, under which it neither erases nor writes.
    """

    mac: bytes = bytes.fromhex("24a160112233")
    magic: int = ESP32
    spoil_in: int = 0
    spoil_out: int = 0
    protected: int = 0
    encrypted: bool = False
    flash: bytearray = field(default_factory=lambda: bytearray(b"\xff" * FLASH_BYTES))
    writes: int = 0
    bauds: list[int] = field(default_factory=list)
    line_bytes: Counter[int] = field(default_factory=Counter)  # by speed, both ways
    flash_s: float = 0.0
    spoilt: int = 0  # bytes so far

    @property
    def line_s(self) -> float:
        """What it takes on the line: eight bits, a start and a stop bit each; one side speaks at a time."""
        return sum(10 * count / baud for baud, count in self.line_bytes.items())


@dataclass(frozen=True)
class Fault:
    """What happens at the nth command of a kind, before it is obeyed: the power goes (nothing answers any more), the
    cable is pulled (the port is gone), or half of the answer is lost.
    """

    command: int
    nth: int = 1
    power: bool = False
    cable: bool = False
    torn: bool = False


class RomDouble:
    """Serves one chip until stop(). name: the port."""

    def __init__(self, chip: Chip, fault: Fault | None = None) -> None:
        self.chip = chip
        self._fault = fault
        self.struck = False  # the fault has happened
        self._seen: Counter[int] = Counter()
        self._tear = False
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.name = os.ttyname(self._slave)
        self._wake, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="rom double")
        self._noise = random.Random(chip.spoil_in + chip.spoil_out)
        self._stub = False
        self._baud = 115200
        self._registers: dict[int, int] = {}
        self._inflate = zlib.decompressobj()
        self._at = self._end = 0
        self._thread.start()

    def stop(self) -> None:
        os.close(self._stop)
        self._thread.join()
        for end in (self._wake, self._master, self._slave):
            if end >= 0:
                os.close(end)

    # the line

    def _serve(self) -> None:
        frame, inside, escaped = bytearray(), False, False
        while True:
            ready, _, _ = select.select([self._master, self._wake], [], [])
            if self._wake in ready:
                return None
            for byte in self._heard(os.read(self._master, 65536)):
                if byte == 0xC0:
                    if inside and frame:
                        if not self._obey(bytes(frame)):
                            return self._stand_still()
                        inside = False
                    else:
                        inside = True
                    frame, escaped = bytearray(), False
                elif inside:
                    if escaped:
                        frame.append({0xDC: 0xC0, 0xDD: 0xDB}.get(byte, byte))
                        escaped = False
                    elif byte == 0xDB:
                        escaped = True
                    else:
                        frame.append(byte)

    def _stand_still(self) -> None:
        """The power or the cable is gone: nothing is said any more, until stop(). A dead chip's line takes bytes."""
        if self._fault is not None and self._fault.cable:
            os.close(self._master)
            self._master = -1
        heard = [self._wake] if self._master < 0 else [self._master, self._wake]
        while self._wake not in select.select(heard, [], [])[0]:
            os.read(self._master, 65536)

    def _heard(self, data: bytes) -> bytes:
        speed = _SPEEDS.get(termios.tcgetattr(self._slave)[5], 0)
        self.chip.line_bytes[speed] += len(data)
        if speed != self._baud:
            return bytes(byte ^ 0xA5 for byte in data if byte != 0x65)
        return self._spoilt(data, self.chip.spoil_in)

    def _spoilt(self, data: bytes, share: int) -> bytes:
        if not share:
            return data
        out = bytes(b ^ 0x10 if self._noise.randrange(share) == 0 else b for b in data)
        self.chip.spoilt += sum(a != b for a, b in zip(data, out, strict=True))
        return out

    def _say(self, raw: bytes) -> None:
        stuffed = b"\xc0" + raw.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"
        if self._tear:
            stuffed = stuffed[: len(stuffed) // 2]
        self.chip.line_bytes[self._baud] += len(stuffed)
        os.write(self._master, self._spoilt(stuffed, self.chip.spoil_out))

    def _answer(self, command: int, value: int = 0, data: bytes = b"", *, reason: int = 0) -> None:
        status = bytes((int(reason != 0), reason)) + (b"" if self._stub else b"\x00\x00")
        body = data + status
        self._say(struct.pack("<BBHI", 1, command, len(body), value) + body)

    # the commands

    def _obey(self, frame: bytes) -> bool:
        """False: the power went."""
        if len(frame) < 8 or frame[0] != 0:
            return True
        command, size = frame[1], int.from_bytes(frame[2:4], "little")
        checksum, data = int.from_bytes(frame[4:8], "little"), frame[8:]
        handler = _COMMANDS.get(command)
        if handler is None or len(data) != size:
            for _ in range(8):  # and which command it was is not said
                self._answer(0, reason=_BAD_MESSAGE)
            return True
        if command in _WITH_DATA and checksum != _xor(data[16:]):
            self._answer(command, reason=_BAD_CHECKSUM)
            return True
        if self._strikes(command):
            assert self._fault is not None
            if not self._fault.torn:
                if command == DEFLATE_DATA:
                    self._program(data[16 : 16 + len(data) // 2], inflate=True)
                return False
            self._tear = True
        handler(self, command, data)
        self._tear = False
        return True

    def _strikes(self, command: int) -> bool:
        self._seen[command] += 1
        strikes = self._fault is not None and (command, self._seen[command]) == (self._fault.command, self._fault.nth)
        self.struck = self.struck or strikes
        return strikes

    def _sync(self, command: int, data: bytes) -> None:
        for _ in range(8):
            self._answer(command, 0 if self._stub else _ROM_VALUE)

    def _read(self, command: int, data: bytes) -> None:
        (address,) = struct.unpack("<I", data)
        self._answer(command, self._register(address))

    def _register(self, address: int) -> int:
        mac = int.from_bytes(self.chip.mac, "big")
        fixed = {
            _MAGIC: self.chip.magic,
            _EFUSE + 4: mac & 0xFFFFFFFF,
            _EFUSE + 8: mac >> 32,
            _CRYPT_COUNT: _CRYPT_ON if self.chip.encrypted else 0,
        }
        return fixed.get(address, self._registers.get(address, 0))

    def _write(self, command: int, data: bytes) -> None:
        for at in range(0, len(data), 16):
            address, value, mask, _ = struct.unpack_from("<IIII", data, at)
            self._registers[address] = self._registers.get(address, 0) & ~mask | value & mask
            if address == _SPI and value & _SPI_USR:  # the flash is asked directly
                asked = self._registers.get(_SPI + 0x24, 0) & 0xFF
                self._registers[_SPI + 0x80] = {0x9F: _FLASH_ID, 0x05: self.chip.protected}.get(asked, 0)
                self._registers[_SPI] = 0
        self._answer(command)

    def _ram(self, command: int, data: bytes) -> None:
        self._answer(command)

    def _ram_end(self, command: int, data: bytes) -> None:
        _, entry = struct.unpack("<II", data)
        self._answer(command)
        if entry:
            self._stub = True
            self._say(b"OHAI")

    def _change_baud(self, command: int, data: bytes) -> None:
        rate, _ = struct.unpack("<II", data)
        self._answer(command)
        termios.tcdrain(self._master)
        self._baud = rate
        self.chip.bauds.append(rate)

    def _begin(self, command: int, data: bytes) -> None:
        size, _, _, offset = struct.unpack_from("<IIII", data)
        if offset % _SECTOR or offset + size > FLASH_BYTES:
            self._answer(command, reason=_FAILED)
            return
        self._at, self._end = offset, offset + size
        self._inflate = zlib.decompressobj()
        self._clear(offset, -(-size // _SECTOR) * _SECTOR)
        self._answer(command)

    def _erase(self, command: int, data: bytes) -> None:
        """As the stub has it; the ROM does not know it."""
        offset, size = struct.unpack("<II", data)
        if offset % _SECTOR or size % _SECTOR or offset + size > FLASH_BYTES or not self._stub:
            self._answer(command, reason=_FAILED)
            return
        self._clear(offset, size)
        self._answer(command)

    def _clear(self, offset: int, size: int) -> None:
        if not self.chip.protected:
            self.chip.flash[offset : offset + size] = b"\xff" * size
        self.chip.flash_s += size // _BLOCK * _ERASE_64K_S + size % _BLOCK // _SECTOR * _ERASE_SECTOR_S

    def _data(self, command: int, data: bytes) -> None:
        size, _, _, _ = struct.unpack_from("<IIII", data)
        try:
            self._program(data[16 : 16 + size], inflate=command == DEFLATE_DATA)
        except zlib.error:
            self._answer(command, reason=_FAILED)
            return
        self._answer(command)

    def _program(self, given: bytes, inflate: bool) -> None:
        plain = self._inflate.decompress(given) if inflate else given
        self.chip.writes += 1
        kept = plain[: max(0, self._end - self._at)]
        there = slice(self._at, self._at + len(kept))
        if not self.chip.protected:
            bits = int.from_bytes(self.chip.flash[there], "big") & int.from_bytes(kept, "big")
            self.chip.flash[there] = bits.to_bytes(len(kept), "big")
        self.chip.flash_s += -(-len(kept) // _PAGE) * _PROGRAM_PAGE_S
        self._at += len(plain)

    def _finish(self, command: int, data: bytes) -> None:
        self._answer(command)

    def _md5(self, command: int, data: bytes) -> None:
        address, size, _, _ = struct.unpack("<IIII", data)
        digest = hashlib.md5(bytes(self.chip.flash[address : address + size]), usedforsecurity=False)
        self._answer(command, data=digest.digest() if self._stub else digest.hexdigest().encode())


def _xor(data: bytes) -> int:
    out = 0xEF
    for byte in data:
        out ^= byte
    return out


_WITH_DATA = (0x03, 0x07, 0x11)
_COMMANDS = {
    0x02: RomDouble._begin,
    0x03: RomDouble._data,
    0x04: RomDouble._finish,
    0x05: RomDouble._ram,
    0x06: RomDouble._ram_end,
    0x07: RomDouble._ram,
    0x08: RomDouble._sync,
    0x09: RomDouble._write,
    0x0A: RomDouble._read,
    0x0B: RomDouble._ram,
    0x0D: RomDouble._ram,
    0x0F: RomDouble._change_baud,
    0x10: RomDouble._begin,
    0x11: RomDouble._data,
    0x12: RomDouble._finish,
    0x13: RomDouble._md5,
    0xD1: RomDouble._erase,
}
