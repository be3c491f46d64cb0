"""The desktop stand-in for a wristband: MicroPython's unix build, flash in a folder, a reader over a pipe or TCP.

The only place where keys, UID and random numbers can be preset, and where flash can be made to fail.

  --state DIR          flash folder (needed); made and formatted if it is new; for one band at a time
  --link hex|field|station   hex: one C-APDU a line on stdin, one R-APDU a line on stdout. field: see
                       links/field.py. station: stdin and stdout are the serial line to a station, see station.py
  --uid HEX            UID of a new band; an old one must have it. Without it a new band draws one.
  --keys HEX,..x5      keys 0 to 4 of a new band, factory zero without; an old one must have them
  --random HEX         the applet draws these bytes and stops when they are used up. May be repeated to add more:
                       the interpreter takes no argument of more than 255 characters
  --passive            behave as the plain chip: permanent lock, no charge signing
  --cut N[:BYTES]      the N-th flash write from now stores only its first BYTES bytes (default half; `all`;
                       negative counts from the end), prints `cut` on stderr and stands still until killed
  --flash-fail N       the N-th flash write from now fails as on a full disk
  --reset CAUSE        why it starts: power (default), pin, watchdog, sleep, soft or brownout
  --broken PART,..     parts that do not work, see desktopparts.py; also for the cell, the light and the button
"""

import os
import socket
import sys
import time
from binascii import unhexlify

from band.board import RESET_BROWNOUT, RESET_PIN, RESET_POWER, RESET_SLEEP, RESET_SOFT, RESET_WATCHDOG
from band.boards.desktopparts import Parts
from band.card import Card, factory_records, is_new
from band.errors import BoardError
from band.fileflash import FileFlash
from band.nfc import NfcPort
from band.serialline import ConsoleLine
from band.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bluetooth import BLE

    from band.board import Memory

_FLAGS = ("--passive",)
_OPTIONS = (
    "--board",
    "--state",
    "--link",
    "--uid",
    "--keys",
    "--random",
    "--cut",
    "--flash-fail",
    "--reset",
    "--broken",
)
_HEAP_SLICE = 24576  # collect after this much was allocated, so that the peak shows use and not laziness
_ENOSPC = 28
_CAUSES = {
    "power": RESET_POWER,
    "pin": RESET_PIN,
    "watchdog": RESET_WATCHDOG,
    "sleep": RESET_SLEEP,
    "soft": RESET_SOFT,
    "brownout": RESET_BROWNOUT,
}
_AF_UNIX, _EADDRINUSE = 1, 98  # of Linux
_STDERR = 2
_CLAIM_TRIES, _CLAIM_PAUSE_MS = 20, 50  # a band just killed may take a moment to go


class DesktopBoard:
    station_wait_ms = 0
    may_sleep = False
    button_poll_ms = 500

    def __init__(self, args: list[str]) -> None:
        import gc

        gc.threshold(_HEAP_SLICE)
        options = _parse(args)
        if options.get("--board", "desktop") != "desktop":
            raise BoardError("this interpreter can only be board desktop")
        folder = options.get("--state")
        if not folder:
            raise BoardError("--state DIR is needed: the folder that stands for flash")
        self.active = "--passive" not in options
        self._uid = _hex(options, "--uid", 7) if "--uid" in options else None
        self._script = _hex(options, "--random", None) if "--random" in options else None
        self._folder = folder
        self._cause = _cause(options.get("--reset", "power"))
        self.parts = Parts(folder, options.get("--broken", ""))
        self._flash = _open_flash(folder, options)
        link = options.get("--link", "hex")
        self._line = ConsoleLine(lambda: True) if link == "station" else None
        self._nfc = _open_link(link) if self._line is None else None
        self._ble = _radio(self._nfc)
        _prepare(self._flash, self._uid, _keys(options))

    def flash(self) -> FileFlash:
        return self._flash

    def log_flash(self) -> "LogFlash":
        return LogFlash(self._folder + "/log", self.parts.broken)

    def nfc(self, note: "Callable[[int, int], None]") -> NfcPort:
        if self._nfc is None:
            raise BoardError("on a station's line there is no reader")
        return self._nfc

    def station_line(self) -> ConsoleLine | None:
        return self._line

    def restart(self) -> None:
        """Whoever started this process starts another."""
        sys.exit()
        sys.exit()

    def random(self, size: int) -> bytes:
        if self._script is None:
            return os.urandom(size)
        if len(self._script) < size:
            raise BoardError("--random is used up: %d bytes wanted, %d left" % (size, len(self._script)))
        out, self._script = self._script[:size], self._script[size:]
        return out

    def uid(self) -> bytes | None:
        return self._uid

    def battery_percent(self) -> int:
        return self.parts.battery_percent()

    def charging(self) -> bool:
        return self.parts.charging()

    def powered(self) -> bool:
        return self._line is not None or self.parts.charging()

    def nfc_works(self) -> bool:
        return "nfc" not in self.parts.broken

    def memory(self, size: int) -> "Memory":
        return self.parts.memory(size)

    def battery_mv(self) -> int | None:
        return self.parts.battery_mv()

    def ble(self) -> "BLE | None":
        return self.parts.radio(self._ble)

    def sleep_ms(self, duration_ms: int) -> None:
        time.sleep_ms(duration_ms)

    def deep_sleep(self, for_reader: bool) -> None:
        """The process ends: whoever started it presses the button by starting it again."""
        sys.exit()

    def now_ms(self) -> int:
        return self.parts.now_ms()

    def show(self, outputs: int) -> None:
        self.parts.show(outputs)

    def button_pressed(self) -> bool:
        return self.parts.button_pressed()

    def feed_watchdog(self) -> None:
        """There is none: whoever started this process sees whether it answers."""

    def reset_cause(self) -> int:
        return self._cause


class FolderFlash(FileFlash):
    """A folder of an ordinary file system, where a new name has to be synced by itself."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self._claim = _claim(folder)

    def sync_folder(self) -> None:
        with open(self._folder, "rb") as folder:
            folder.flush()


class LogFlash(FileFlash):
    """Has no claim of its own: the card's folder, in which it is, has one. broken: as in Parts."""

    def __init__(self, folder: str, broken: list[str]) -> None:
        super().__init__(folder)
        self._broken = broken

    def write(self, name: str, slot: int, data: bytes) -> None:
        if "flash" not in self._broken:
            super().write(name, slot, data)

    def free_bytes(self) -> int:
        return 0 if "full" in self._broken else super().free_bytes()


class FaultyFlash(FolderFlash):
    """Cuts the power in the middle of one write, or refuses one. Counts from 1; 0 is never."""

    def __init__(self, folder: str, cut_at: int, cut_bytes: str, fail_at: int) -> None:
        super().__init__(folder)
        self._cut_at = cut_at
        self._cut_bytes = cut_bytes
        self._fail_at = fail_at
        self._writes = 0

    def write(self, name: str, slot: int, data: bytes) -> None:
        self._writes += 1
        if self._writes == self._fail_at:
            raise OSError(_ENOSPC)
        if self._writes != self._cut_at:
            super().write(name, slot, data)
            return
        if self._cut_bytes == "half":
            data = data[: len(data) // 2]
        elif self._cut_bytes != "all":
            data = data[: int(self._cut_bytes)]
        super().write(name, slot, data)
        sys.stderr.write("cut\n")
        while sys.stdin.read(1):  # nothing more is done; if whoever should kill us has gone, so do we
            pass
        sys.exit()


def _claim(folder: str) -> socket.socket | None:
    """Keep other processes off this folder until ours ends, in whatever way. BoardError if one is there.

    Two bands on one flash would each undo what the other wrote, and so repeat counters. MicroPython has no file
    locks; an address in Linux's abstract space is gone with its process. None where there is no such space.
    """
    if sys.platform != "linux":
        return None
    _, inode, device = os.stat(folder)[:3]
    holder = _socket_beside_the_streams()
    address = _AF_UNIX.to_bytes(2, sys.byteorder) + b"\0band-flash-%d-%d" % (device, inode)
    for _ in range(_CLAIM_TRIES):
        try:
            holder.bind(address)
            return holder
        except OSError as err:
            if err.errno != _EADDRINUSE:
                return None
        time.sleep_ms(_CLAIM_PAUSE_MS)
    raise BoardError("another band uses flash folder %s: end it first, or use another folder" % folder)


def _socket_beside_the_streams() -> socket.socket:
    """A new socket that did not take the number of a closed stdin, stdout or stderr, and so its place."""
    low = []
    while True:
        sock = socket.socket(_AF_UNIX, socket.SOCK_DGRAM)
        if sock.fileno() > _STDERR:
            break
        low.append(sock)
    for other in low:
        other.close()
    return sock


def _cause(name: str) -> int:
    if name not in _CAUSES:
        raise BoardError("--reset is one of " + ", ".join(sorted(_CAUSES)))
    return _CAUSES[name]


def _open_link(name: str) -> NfcPort:
    if name == "hex":
        from band.links.hexline import HexLink

        return HexLink()
    if name == "field":
        from band.links.field import FieldLink

        return FieldLink()
    raise BoardError("--link is hex, field or station")


def _radio(link: NfcPort | None) -> "BLE | None":
    """If this interpreter has one. What it brings is taken while the field's link waits; others do not wait."""
    try:
        import bluetooth
    except ImportError:
        return None
    from band.links.field import FieldLink

    ble = bluetooth.BLE()
    if isinstance(link, FieldLink):
        link.also(ble.source, ble.pump)  # type: ignore[attr-defined]  # of the stand-in, voyage/radio
    return ble


def _open_flash(folder: str, options: dict[str, str]) -> FileFlash:
    cut_at, _, cut_bytes = options.get("--cut", "0").partition(":")
    cut_bytes = cut_bytes or "half"
    try:
        if cut_bytes not in ("half", "all"):
            int(cut_bytes)
        cut, fail = int(cut_at), int(options.get("--flash-fail", "0"))
    except ValueError:
        raise BoardError("--cut wants N or N:BYTES, --flash-fail wants N") from None
    try:
        return FaultyFlash(folder, cut, cut_bytes, fail) if cut or fail else FolderFlash(folder)
    except OSError as err:
        raise BoardError("cannot use flash folder %s: error %d" % (folder, err.errno or 0)) from None


def _prepare(flash: FileFlash, uid: bytes | None, keys: list[bytes] | None) -> None:
    """Format a new flash with the presets, unless a station enrolled it; refuse presets that an old one contradicts."""
    store = Store(flash)
    if is_new(store):
        if flash.enrolment() is not None:
            return
        drawn = uid or b"\x04" + os.urandom(6)
        store.format(factory_records(drawn, keys) if keys else factory_records(drawn))
    elif keys:
        card = Card(store, _nothing)
        for number in range(len(keys)):
            if "keys" in card.damaged or card.key(number) != keys[number]:
                raise BoardError("the band in this folder has other keys: leave out --keys, or use a new folder")


def _nothing() -> None:
    pass


def _keys(options: dict[str, str]) -> list[bytes] | None:
    if "--keys" not in options:
        return None
    parts = options["--keys"].split(",")
    if len(parts) != 5:
        raise BoardError("--keys wants five keys separated by commas")
    return [_hex({"--keys": part}, "--keys", 16) for part in parts]


def _hex(options: dict[str, str], name: str, size: int | None) -> bytes:
    """The bytes of an option. The text is never repeated in the error: it may be a key."""
    try:
        data = unhexlify(options[name])
    except ValueError:
        raise BoardError("%s is not hex" % name) from None
    if size is not None and len(data) != size:
        raise BoardError("%s wants %d bytes, not %d" % (name, size, len(data)))
    return data


def _parse(args: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    at = 0
    while at < len(args):
        name = args[at]
        if name in _FLAGS:
            options[name] = ""
        elif name in _OPTIONS and at + 1 < len(args):
            at += 1
            options[name] = options.get(name, "") + args[at] if name == "--random" else args[at]
        else:
            raise BoardError("option %s is unknown or lacks its value" % name)
        at += 1
    return options
