"""Power-cut-safe records: a torn write leaves the old record or the new one, never a third.

Each record has two slots. A write goes, whole and synced, to the slot that does not hold the current copy.
Slot: magic 1 | sequence LE4 | payload length LE2 | payload | CRC-32 LE4 over name, then all before it.
The valid slot with the higher sequence is current. Formatting writes both slots of every record and creates
the marker last, so later writes change existing files of the same size, and a missing marker beside records
that were never updated means that the format was cut: it is simply done again. Anything else that cannot be
read is damage: it is reported, never repaired by going back to factory values.

Wear: a write costs 11 bytes more than its payload. On LittleFS it erases about one 4 kB block, levelled over
the whole partition: with 512 blocks of 100,000 erases, some 50 million writes. A door tap writes the hot record
twice (attempt counted, attempt cleared), a SUN read once, a signed charge once more.
"""

import binascii

from bandwire import faults

from .errors import RecordDamaged, WriteFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol
else:
    Protocol = object

MARKER = "made"
_MAGIC = 0x53
_HEAD = 7
_FORMATTED_SEQ = 1  # the highest sequence that formatting leaves behind
_SEQ_MAX = 0xFFFFFFFF


class Flash(Protocol):
    """Two slots, 0 and 1, per record name. Errors are OSError."""

    def read(self, name: str, slot: int) -> bytes | None:
        """What the slot holds, torn or not; None if it was never written."""
        ...

    def write(self, name: str, slot: int, data: bytes) -> None:
        """Return only when `data` would survive a power cut."""
        ...


class CardFlash(Flash, Protocol):
    """That of a card's records."""

    def enrolment(self) -> bytes | None:
        """The file that a station put there beside a new program, whatever it holds; None once it is gone."""
        ...

    def forget_enrolment(self) -> None:
        """Return only when it would stay away after a power cut."""
        ...


class LogFlash(Flash, Protocol):
    """That of the record of faults."""

    def free_bytes(self) -> int:
        """What is left on the medium it shares with everything else."""
        ...


class Store:
    """note: told of each failure, as bandwire.faults.CARD_READ or CARD_WRITE and the number of the system's error."""

    def __init__(self, flash: Flash, note: "Callable[[int, int], None] | None" = None) -> None:
        self._flash = flash
        self._note = note
        self._current: dict[str, tuple[int, int]] = {}  # name -> (sequence, slot)

    def is_new(self, names: tuple[str, ...]) -> bool:
        """Whether the flash was never completely formatted, so that formatting it loses nothing."""
        try:
            if self._flash.read(MARKER, 0) is not None:
                return False
            for name in names:
                for slot in (0, 1):
                    copy = self._slot(name, slot)
                    if copy is not None and copy[0] > _FORMATTED_SEQ:
                        return False
        except OSError:
            return False
        return True

    def format(self, records: dict[str, bytes]) -> None:
        """Write every record, then the marker. WriteFailed leaves a flash that is still new."""
        for name in records:
            for slot in (0, 1):
                self._put(name, slot, slot, records[name])
        self._put(MARKER, 0, 0, b"")

    def read(self, name: str) -> bytes:
        """The current payload; RecordDamaged if no slot is whole. Call once per record, at start."""
        best = None
        try:
            for slot in (0, 1):
                copy = self._slot(name, slot)
                if copy is not None and (best is None or copy[0] > best[0]):
                    best = copy
                    self._current[name] = (copy[0], slot)
        except OSError as err:
            self._tell(faults.CARD_READ, err)
            best = None
        if best is None:
            self._current.pop(name, None)
            raise RecordDamaged("record %s has no whole copy" % name)
        return best[1]

    def read_later(self, name: str) -> bytes | None:
        """As read(), of a record that formatting does not make; None until make() has made it."""
        try:
            made = self._flash.read(name, 1) is not None or self._slot(name, 0) is not None
        except OSError:
            made = True
        return self.read(name) if made else None

    def make(self, name: str, payload: bytes) -> None:
        """The first copy of such a record. A power cut leaves it whole, or not made."""
        self._put(name, 0, _FORMATTED_SEQ, payload)
        self._current[name] = (_FORMATTED_SEQ, 0)

    def write(self, name: str, payload: bytes) -> None:
        """Replace a record that was read before. On WriteFailed the old copy stays current."""
        if name not in self._current:
            raise RecordDamaged("record %s was not readable, so it is not overwritten" % name)
        seq, slot = self._current[name]
        if seq >= _SEQ_MAX:
            raise WriteFailed("record %s has used up its sequence" % name)
        self._put(name, 1 - slot, seq + 1, payload)
        self._current[name] = (seq + 1, 1 - slot)

    def _put(self, name: str, slot: int, seq: int, payload: bytes) -> None:
        head = bytes((_MAGIC,)) + seq.to_bytes(4, "little") + len(payload).to_bytes(2, "little")
        body = head + payload
        try:
            self._flash.write(name, slot, body + _crc(name, body))
        except OSError as err:
            self._tell(faults.CARD_WRITE, err)
            raise WriteFailed("flash refused record %s: error %d" % (name, err.errno or 0)) from None

    def _tell(self, code: int, err: OSError) -> None:
        if self._note is not None:
            self._note(code, err.errno or 0)

    def _slot(self, name: str, slot: int) -> tuple[int, bytes] | None:
        """(sequence, payload) of one slot, None if it is absent or torn. Bytes after the record are ignored."""
        raw = self._flash.read(name, slot)
        if raw is None or len(raw) < _HEAD + 4 or raw[0] != _MAGIC:
            return None
        end = _HEAD + int.from_bytes(raw[5:7], "little")
        if len(raw) < end + 4 or _crc(name, raw[:end]) != raw[end : end + 4]:
            return None
        return int.from_bytes(raw[1:5], "little"), raw[_HEAD:end]


def _crc(name: str, body: bytes) -> bytes:
    # The name is covered too: a slot copied over another record's does not pass for it.
    return binascii.crc32(body, binascii.crc32(name.encode())).to_bytes(4, "little")
