"""Which program runs: slot a or slot b. Plain source, never updated, so it stays small and asks nothing of a slot.

A program is what is in /a or in /b. A new one is tried once: that it is tried is written down before it starts, so
whatever ends it before it is confirmed (a crash, the watchdog, an empty cell) brings the old one back. The record is
kept twice, as band/store.py keeps its own: a torn write leaves the record as it was, or as it should be.

Record: format 1 | current slot 1 | state of the other 1 | 0 | number of the current LE4, of the other LE4 |
minimum LE4, of the other LE4. No number below the minimum is ever installed.
"""

import binascii
import sys

NOTHING, READY, TRIED = 0, 1, 2  # what the other slot holds: nothing sure, one to be tried, one that was tried
SOURCE = 255  # `running`, where no slot does: a desktop, from source
SIZE = 20
_FORMAT = 1
_MAGIC, _HEAD, _NAME = 0x53, 7, b"slot"
_COPIES = ("/slots/slot.0", "/slots/slot.1")
_FOLDERS = ("/a", "/b")
_TRIAL_LIMIT_MS = 60_000  # the watchdog's, until a program on trial has set its own
_FAULT_SHOWN_S = 60  # its light stays on until the start after
_ESP32 = "esp32"
_CTRL_C = 3

root = ""
running = SOURCE
watchdog = None  # the one of a trial, for the program to feed


class Records:
    """The record at hand, by its fields. whole: False, if neither copy is."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._seq, self._copy = 0, 1
        found = None
        for copy in (0, 1):
            read = _read(root + _COPIES[copy])
            if read is not None and (found is None or read[0] > self._seq):
                self._seq, found = read
                self._copy = copy
        self.whole = found is not None
        self._take(found or _packed(0, NOTHING, 0, 0, 0, 0))

    def _take(self, payload: bytes) -> None:
        self.payload = payload
        self.current, self.state = payload[1], payload[2]
        self.number, self.other_number = _int(payload, 4), _int(payload, 8)
        self.minimum, self.other_minimum = _int(payload, 12), _int(payload, 16)

    def put(self, current: int, state: int, number: int, other: int, minimum: int, other_minimum: int) -> None:
        """Raises OSError; then the record is as it was."""
        payload = _packed(current, state, number, other, minimum, other_minimum)
        seq, copy = self._seq + 1, 1 - self._copy
        data = _record(seq, payload)
        with open(self._root + _COPIES[copy], "r+b") as file:
            if file.write(data) != len(data):
                raise OSError(28)
            file.flush()
        self._seq, self._copy = seq, copy
        self._take(payload)

    def put_state(self, state: int) -> None:
        """Raises OSError."""
        self.put(self.current, state, self.number, self.other_number, self.minimum, self.other_minimum)


def born(number: int, minimum: int) -> dict[str, bytes]:
    """The record's two files for a new board with this program in slot a."""
    payload = _packed(0, NOTHING, number, 0, minimum, 0)
    return {_COPIES[copy][1:]: _record(copy, payload) for copy in (0, 1)}


def choose(records: Records) -> int:
    """The slot to start; one on trial is written down as tried first."""
    if records.state != READY:
        return records.current
    try:
        records.put_state(TRIED)
    except OSError:
        return records.current  # a trial that cannot be counted is not begun
    return 1 - records.current


def start() -> None:
    """Run the program. It returns only where main() does. Ctrl-C, which main.py has closed, is a developer's alone."""
    global root, running
    if not _in_service():
        _let_developers_in()
    root = sys.path[0]
    records = Records(root)
    if records.whole:
        running = choose(records)
        sys.path.insert(0, root + _FOLDERS[running])
        on_trial = running != records.current
    else:
        on_trial = False
        _without_record()
    if on_trial:
        _watch()
    try:
        from band.app import main

        main()
    finally:
        if sys.platform == _ESP32:
            _ended(on_trial and Records(root).state == TRIED)


def _let_developers_in() -> None:
    import micropython

    micropython.kbd_intr(_CTRL_C)


def folder(slot: int) -> str:
    return root + _FOLDERS[slot]


def _without_record() -> None:
    """From source; or both copies are damaged, which no power cut does: then whatever is there is tried."""
    global running
    import os

    for slot in (0, 1):
        try:
            os.stat(root + _FOLDERS[slot] + "/band")
        except OSError:
            continue
        running = slot
        sys.path.insert(0, root + _FOLDERS[slot])
        return


def _ended(failed: bool) -> None:
    """A trial that failed goes back at once. Otherwise nobody gets the prompt of a band in service."""
    import time

    import machine

    if failed:
        machine.reset()
    if _in_service():
        time.sleep(_FAULT_SHOWN_S)
        machine.reset()


def _in_service() -> bool:
    try:
        import build

        return build.PRODUCTION
    except (AttributeError, ImportError, NameError, OSError, SyntaxError, ValueError):
        return True  # a damaged flash stays shut


def _watch() -> None:
    global watchdog
    if sys.platform == _ESP32:
        from machine import WDT

        watchdog = WDT(timeout=_TRIAL_LIMIT_MS)


def _read(path: str) -> tuple[int, bytes] | None:
    """(sequence, payload) of one copy; None if it is absent or torn."""
    try:
        with open(path, "rb") as file:
            raw = file.read(_HEAD + SIZE + 4)
    except OSError:
        return None
    if len(raw) != _HEAD + SIZE + 4:
        return None
    seq, payload = _int(raw, 1), raw[_HEAD:-4]
    return (seq, payload) if raw == _record(seq, payload) and payload[0] == _FORMAT and payload[1] <= 1 else None


def _record(seq: int, payload: bytes) -> bytes:
    body = bytes((_MAGIC,)) + seq.to_bytes(4, "little") + len(payload).to_bytes(2, "little") + payload
    return body + binascii.crc32(body, binascii.crc32(_NAME)).to_bytes(4, "little")


def _packed(current: int, state: int, *numbers: int) -> bytes:
    return bytes((_FORMAT, current, state, 0)) + b"".join([number.to_bytes(4, "little") for number in numbers])


def _int(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")
