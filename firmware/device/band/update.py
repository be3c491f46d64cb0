"""Takes a new program into the slot that does not run: signed, piece by piece, going on where it was cut.

The same for frames on a cable and for the radio: begin(), data(), end(), each answered with a code and the offset to
go on from (bandwire.release). Nothing is installed that the release key has not signed. Until every file in flash has
its hash, the record says that the other slot holds nothing; so wherever the power fails, what ran before runs again.
"""

import gc
import hashlib
import os
import sys

from bandwire import release as words
from bandwire.condition import BATTERY_UNKNOWN
from bandwire.errors import BadRelease

from .duties import NEVER_MS
from .releasekey import KEY
from .slotfiles import clear, hash_of, make_folders, remove, save, size_of
from .slots import Slots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from .board import Board

BATTERY_FLOOR = 30  # percent; less takes an update only while it charges
RESTART_MS = 2_000  # after the last answer, so that it gets there
_SYNC_BYTES = 4096  # a flash block: what a power cut costs of a file on its way
_SPENT_MAX = 3  # times a release's bytes may come since the start, or the last whole one, before no more is taken
_SPARE_BLOCKS = 8  # stay free for the card's own records


class Updater:
    """tap_on: set while a reader is served. sound: whether the card's records are."""

    def __init__(self, slots: Slots, board: "Board", platform: str, sound: bool, key: bytes = KEY) -> None:
        self._slots = slots
        self._board = board
        self._platform = platform
        self._sound = sound
        self._key = key
        self.tap_on = False
        self._digest = b""  # of the header and signature that this is about; empty: not begun
        self._head_size = 0
        self._head = bytearray()
        self._header: words.Header | None = None
        self._at = 0  # the next offset in the container
        self._file: BinaryIO | None = None
        self._file_left = 0
        self._unsynced = 0
        self._spent = 0
        self._restart_ms: int | None = None

    def begin(self, payload: bytes) -> bytes:
        """The offset is where to go on: 0, or how far an earlier attempt at the same release came."""
        if len(payload) != words.BEGIN_SIZE or payload[0] != words.PROTOCOL:
            return self._answer(words.BAD_REQUEST)
        size = int.from_bytes(payload[-2:], "little")
        if not words.SIGNATURE_SIZE < size <= words.HEADER_MAX + words.SIGNATURE_SIZE:
            return self._answer(words.TOO_LARGE)
        code = self._unfit()
        if code:
            return self._answer(code)
        digest = payload[1:-2]
        if digest != self._digest:
            self._forget()
            self._digest, self._head_size = digest, size
            self._restart_ms = None
            try:
                code = self._go_on()
            except OSError:
                code = words.FLASH
            except MemoryError:
                code = words.MEMORY
            if code:
                self._forget()
        return self._answer(code)

    def data(self, payload: bytes) -> bytes:
        """A piece out of place changes nothing; the answer says which one is wanted."""
        if len(payload) < 5:
            return self._answer(words.BAD_REQUEST)
        if not self._digest:
            return self._answer(words.NOT_BEGUN)
        if self.tap_on:
            return self._answer(words.TAP)
        self._spent += len(payload)
        if self._spent > _SPENT_MAX * (words.TOTAL_MAX if self._header is None else self._whole()):
            return self._answer(words.BUDGET)
        if int.from_bytes(payload[:4], "little") != self._at:
            return self._answer(words.OK)
        try:
            return self._answer(self._take(memoryview(payload)[4:]))
        except OSError:
            code = words.FLASH
        except MemoryError:
            code = words.MEMORY
        self._look_again()
        return self._answer(code)

    def end(self, payload: bytes) -> bytes:
        """Check every file in flash, then mark the slot to be tried. The band restarts by itself a moment later."""
        if payload:
            return self._answer(words.BAD_REQUEST)
        header = self._header
        if header is None:
            return self._answer(words.NOT_BEGUN)
        code = self._unfit() or self._refusal(header)
        if code:
            return self._answer(code)
        try:
            self._close()
            if self._at < self._whole():
                return self._answer(words.INCOMPLETE)
            if not self._check():
                return self._answer(words.BAD_FILE)
            self._slots.ready(header.number, header.minimum)
        except (OSError, MemoryError):
            self._look_again()
            return self._answer(words.FLASH)
        self._spent = 0
        self._restart_ms = self._board.now_ms() + RESTART_MS
        return self._answer(words.OK)

    def run(self) -> int:
        """A duty: restarts the band once a program is ready, when no reader is there."""
        if self._restart_ms is None:
            return NEVER_MS
        left_ms = self._restart_ms - self._board.now_ms()
        if left_ms <= 0 and not self.tap_on:
            self._board.restart()
        return max(left_ms, 0) or RESTART_MS

    def _answer(self, code: int) -> bytes:
        return words.answer(code, self._at)

    def _unfit(self) -> int:
        """Why this band takes no update now; 0 if it does."""
        if not self._slots.usable:
            return words.NO_SLOTS
        if len(self._key) != 32:
            return words.NO_KEY
        if not self._sound:
            return words.DAMAGED
        if self.tap_on:
            return words.TAP
        if self._slots.on_trial:
            return words.ON_TRIAL
        percent = self._board.battery_percent()
        if not self._board.charging() and (percent == BATTERY_UNKNOWN or percent < BATTERY_FLOOR):
            return words.BATTERY
        return words.OK

    def _refusal(self, header: words.Header) -> int:
        """Why this very release is not taken; 0 if it is."""
        if header.board != self._platform:
            return words.WRONG_BOARD
        if header.number < self._slots.minimum:
            return words.TOO_OLD
        return words.SAME if header.number == self._slots.number else words.OK

    def _take(self, data: memoryview) -> int:
        if self._header is None:
            return self._take_head(data)
        if len(data) > self._whole() - self._at:
            return words.TOO_LARGE
        begin, taken = self._at, 0
        while taken < len(data) and self._at == begin + taken:  # it goes on elsewhere past what is here already
            taken += self._write(data[taken:])
        return words.OK

    def _take_head(self, data: memoryview) -> int:
        if not self._head:
            self._head = bytearray(self._head_size)
        wanted = self._head_size - self._at
        part = data[:wanted]
        self._head[self._at : self._at + len(part)] = part
        self._at += len(part)
        if self._at < self._head_size:
            return words.OK
        code = self._open_head()
        if code:
            self._forget()
            return code
        return self._take(data[wanted:])

    def _open_head(self) -> int:
        """Believe the header, or say why not. Only then is anything in flash touched."""
        if hashlib.sha256(self._head).digest() != self._digest:
            return words.BAD_REQUEST
        head = memoryview(self._head)
        message = words.signed_input(head[: -words.SIGNATURE_SIZE])
        if not _verified(self._key, message, bytes(head[-words.SIGNATURE_SIZE :])):
            return words.BAD_SIGNATURE
        try:
            header = words.Header(bytes(head[: -words.SIGNATURE_SIZE]))
        except BadRelease:
            return words.BAD_HEADER
        code = self._refusal(header)
        if code:
            return code
        self._slots.give_up_spare()
        remove(self._saved())
        clear(self._slots.spare())
        if not self._room(header):
            return words.NO_ROOM
        save(self._saved(), self._head)
        self._head = bytearray()
        self._header = header
        self._find_place()
        return words.OK

    def _go_on(self) -> int:
        """Take up an earlier attempt at this release, if it is in flash: its header was believed when it was written.

        Why it is not taken after all; 0: it is, or there is none.
        """
        try:
            with open(self._saved(), "rb") as file:
                head = file.read(words.HEADER_MAX + words.SIGNATURE_SIZE + 1)
        except OSError:
            return words.OK
        if len(head) != self._head_size or hashlib.sha256(head).digest() != self._digest:
            return words.OK
        self._header = words.Header(head[: -words.SIGNATURE_SIZE])
        self._find_place()
        return self._refusal(self._header)

    def _find_place(self) -> None:
        """Set where to go on: the first file that is not there whole."""
        self._close_quietly()
        assert self._header is not None
        self._at = self._head_size
        for path, size, _ in self._header.files():
            have = size_of(self._slots.spare() + "/" + path)
            if have < size:
                self._at += have
                return
            if have > size:
                remove(self._slots.spare() + "/" + path)
                return
            self._at += size

    def _write(self, data: memoryview) -> int:
        """As much of it as belongs to the file that is on its way; how much that was."""
        if self._file is None:
            self._open()
        file = self._file
        assert file is not None
        part = data[: self._file_left]
        if file.write(part) != len(part):
            raise OSError(28)
        self._at += len(part)
        self._file_left -= len(part)
        self._unsynced += len(part)
        if not self._file_left:
            self._close()
            self._find_place()
        elif self._unsynced >= _SYNC_BYTES:
            file.flush()
            self._unsynced = 0
        return len(part)

    def _open(self) -> None:
        """The file that the next byte belongs to."""
        assert self._header is not None
        begins = self._head_size
        for path, size, _ in self._header.files():
            if self._at < begins + size:
                full = self._slots.spare() + "/" + path
                make_folders(self._slots.spare(), path)
                self._slots.give_up_spare()
                self._file = open(full, "ab")
                self._file_left = begins + size - self._at
                self._unsynced = 0
                return
            begins += size

    def _look_again(self) -> None:
        """After flash or memory refused something. If it cannot even be read, whoever sends begins anew."""
        try:
            if self._header is None:
                self._forget()
            else:
                self._find_place()
        except (OSError, MemoryError):
            self._forget()

    def _check(self) -> bool:
        """Whether each file in flash has its hash. The first that has not is removed, to be sent again."""
        assert self._header is not None
        begins = self._head_size
        for path, size, digest in self._header.files():
            full = self._slots.spare() + "/" + path
            if hash_of(full) != digest:
                self._slots.give_up_spare()
                remove(full)
                self._at = begins
                return False
            begins += size
        return True

    def _room(self, header: words.Header) -> bool:
        """Whether the files fit into what is free, each taking whole blocks."""
        stat = os.statvfs(self._slots.folder())
        needed = _SPARE_BLOCKS
        for _, size, _ in header.files():
            needed += size // stat[0] + 2
        return needed <= stat[3]

    def _whole(self) -> int:
        assert self._header is not None
        return self._head_size + self._header.size

    def _saved(self) -> str:
        return self._slots.folder() + "/header"

    def _forget(self) -> None:
        self._close_quietly()
        self._digest, self._head, self._header = b"", bytearray(), None
        self._head_size = self._at = 0

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _close_quietly(self) -> None:
        try:
            self._close()
        except OSError:
            pass  # what is in flash is looked at anew


def _verified(key: bytes, message: bytes, signature: bytes) -> bool:
    """What checks it is wanted once an update, and takes much of the heap: it is let go of again."""
    import bandwire

    gc.collect()
    try:
        from bandwire.ed25519 import verify

        return verify(key, message, signature)
    finally:
        for name in ("ed25519", "sha512"):
            sys.modules.pop("bandwire." + name, None)
            if hasattr(bandwire, name):
                delattr(bandwire, name)
