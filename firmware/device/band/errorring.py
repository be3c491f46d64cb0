"""The band's record of faults: which, how often, when first and last. Integers only; see bandwire.faults.

It is kept by the same two-slot records as the card, in a folder of its own, so a power cut leaves the old or the new
one. A fault that is known already only counts up; with ENTRIES_MAX kinds the one that was quiet longest makes room.

Wear: BURST writes at once in each boot and then at most one in PERIOD_MS, whatever happens: some 150 a day, against
the 50 million that the partition takes. What is not written yet is in memory and would go with a power cut; a reset
itself is told by its cause at the next start. Nothing here ever raises: a fault of the log must not stop a door.
"""

from bandwire import faults
from bandwire.errors import BadFrame
from bandwire.faults import Fault, Record

from .board import RESET_BROWNOUT, RESET_SLEEP, RESET_WATCHDOG
from .duties import NEVER_MS
from .errors import StoreError
from .store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .board import Board

BURST = 8
PERIOD_MS = 600_000
_NAME = "faults"
_BOOT_MAX = 0xFFFF
_SECONDS_MAX = 0xFFFFFFFF
_BYTE_MAX = 255
_OF_RESETS = {RESET_WATCHDOG: faults.RESET_WATCHDOG, RESET_BROWNOUT: faults.RESET_BROWNOUT}


class ErrorRing:
    """flush() is a duty; note() may be called from anywhere but an interrupt."""

    def __init__(self, board: "Board") -> None:
        self._board = board
        self._burst = BURST
        self._written_ms = 0
        self._dirty = False
        self._store: Store | None = None
        self._record = Record(0, 0, 0, [])
        lost = self._load()
        cause = board.reset_cause()
        if cause != RESET_SLEEP:
            self._record.boot = min(self._record.boot + 1, _BOOT_MAX)
            self._dirty = True
        if lost:
            self.note(faults.LOG_LOST, lost - 1)
        if cause in _OF_RESETS:
            self.note(_OF_RESETS[cause])
        self.flush()

    def note(self, code: int, detail: int = 0) -> None:
        """Count this fault. detail: 0 to 255; more is cut off. With no memory left for it, it is not counted."""
        try:
            self._count(code, min(max(detail, 0), _BYTE_MAX))
        except MemoryError:
            self._record.lost = min(self._record.lost + 1, _BYTE_MAX)

    def _count(self, code: int, detail: int) -> None:
        """What takes memory comes first, so that a MemoryError changes nothing."""
        now_s = self._uptime_s()
        known = self._record.faults
        for at in range(len(known)):
            if known[at].code == code and known[at].detail == detail:
                fault = known.pop(at)
                break
        else:
            fault = Fault(code, detail, 0, self._record.boot, 0, 0)
            if len(known) >= faults.ENTRIES_MAX:
                known.pop(0)
                self._record.lost = min(self._record.lost + 1, _BYTE_MAX)
        fault.count = min(fault.count + 1, faults.COUNT_MAX)
        fault.last_boot = self._record.boot
        fault.last_s = now_s
        known.append(fault)
        self._dirty = True

    def note_once(self, code: int, detail: int) -> None:
        """Unless it is known already: for what each start sees again."""
        for fault in self._record.faults:
            if fault.code == code and fault.detail == detail:
                return
        self.note(code, detail)

    def told(self) -> bytes:
        """As the cable carries it."""
        self._record.uptime_s = self._uptime_s()
        return faults.pack_record(self._record)

    def flush(self) -> int:
        """Write what is new, if a write is due. Returns when to call again."""
        if not self._dirty:
            return NEVER_MS
        now_ms = self._board.now_ms()
        if not self._burst and now_ms - self._written_ms < PERIOD_MS:
            return min(NEVER_MS, PERIOD_MS - (now_ms - self._written_ms))
        self._burst = max(0, self._burst - 1)
        self._written_ms = now_ms
        try:
            if self._store is not None:
                self._store.write(_NAME, self.told())
            self._dirty = False
        except (StoreError, MemoryError):
            pass  # tried again as soon as the next write is due
        return NEVER_MS

    def close(self) -> None:
        """Write what is new, due or not: the board is about to stop."""
        self._burst = max(self._burst, 1)
        self.flush()

    def _uptime_s(self) -> int:
        return min(self._board.now_ms() // 1000, _SECONDS_MAX)

    def _load(self) -> int:
        """Read the record, or begin a new one. 0, or 1 + a small number of how it was lost."""
        try:
            store = Store(self._board.log_flash())
        except OSError as err:
            return 1 + min(err.errno or 0, _BYTE_MAX - 1)  # kept in memory alone
        self._store = store
        new = store.is_new((_NAME,))
        if not new:
            try:
                self._record = faults.open_record(store.read(_NAME))
                return 0
            except (StoreError, BadFrame):
                pass
        try:
            store.format({_NAME: faults.pack_record(self._record)})
            store.read(_NAME)
        except StoreError:
            self._store = None
        return 0 if new else 1
