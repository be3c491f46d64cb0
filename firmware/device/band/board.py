"""What a board must offer to the application. Keys, UID or randomness cannot be preset through this port."""

from .nfc import NfcPort
from .store import CardFlash, LogFlash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from bluetooth import BLE

    from .station import SerialLine
else:
    Protocol = object

# What show() can switch on. Bits.
LIGHT = 1
HAPTIC = 2
FAULT_LIGHT = 4

# Why the board started.
RESET_POWER = 0  # power came, or nothing is known
RESET_PIN = 1
RESET_WATCHDOG = 2
RESET_SLEEP = 3  # woken from deep sleep
RESET_SOFT = 4  # by the program itself
RESET_BROWNOUT = 5  # the voltage fell too low for the chip

WATCHDOG_MS = 30_000


class Memory(Protocol):
    def __getitem__(self, at: int) -> int: ...

    def __setitem__(self, at: int, value: int) -> None: ...


class Board(Protocol):
    station_wait_ms: int  # how long a station on the line may take to call at start; 0: one is there for good
    may_sleep: bool  # whether the wait for a reader may be light sleep; set by band.power
    button_poll_ms: int  # how often the button must be looked at while nothing is pressed
    active: bool  # False: behave as the plain chip, with its permanent lock and without charge signing

    def flash(self) -> CardFlash:
        """Of the card's records."""
        ...

    def log_flash(self) -> LogFlash:
        """Of the record of faults: apart from the card's, so that neither can crowd the other out."""
        ...

    def nfc(self, note: "Callable[[int, int], None]") -> NfcPort:
        """BoardError if there is none. note: for its faults, a code of bandwire.faults and a detail."""
        ...

    def nfc_works(self) -> bool | None:
        """What its chip says of itself, asked while no reader is served; None if the board has no chip."""
        ...

    def station_line(self) -> "SerialLine | None":
        """The line on which a station may be; None where none can be now."""
        ...

    def restart(self) -> None:
        """Begin anew as after power came, once what was written last is on its way."""
        ...

    def ble(self) -> "BLE | None":
        """The radio, as it was left; None if there is none."""
        ...

    def random(self, size: int) -> bytes:
        """From the board's cryptographic source."""
        ...

    def uid(self) -> bytes | None:
        """The 7-byte UID this hardware must have; None: whatever was drawn when the flash was formatted."""
        ...

    def battery_percent(self) -> int:
        """0 to 100, or BATTERY_UNKNOWN of bandwire.condition. Asked at each activation: at most a millisecond."""
        ...

    def battery_mv(self) -> int | None:
        """The cell's voltage as measured, however odd; None if the board has nothing to measure with."""
        ...

    def charging(self) -> bool:
        """Whether a charger fills the battery now."""
        ...

    def powered(self) -> bool:
        """Whether a cable or charger gives power, the battery full or not."""
        ...

    def memory(self, size: int) -> Memory:
        """A piece of memory to try. MemoryError if there is not so much in one piece."""
        ...

    def sleep_ms(self, duration_ms: int) -> None:
        """Awake; the watchdog is fed meanwhile."""
        ...

    def deep_sleep(self, for_reader: bool) -> None:
        """Stop. The button starts the board anew, and so does a reader's field, or else a charger."""
        ...

    def now_ms(self) -> int:
        """Milliseconds since about the start. Never goes back and never wraps; goes on through light sleep."""
        ...

    def show(self, outputs: int) -> None:
        """Switch on what is named by the bits above and the rest off. band.signals is its only user."""
        ...

    def button_pressed(self) -> bool:
        """As it is at this moment, bouncing and all."""
        ...

    def feed_watchdog(self) -> None:
        """Start the watchdog, or tell it that all is well. Unfed for WATCHDOG_MS it resets the board."""
        ...

    def reset_cause(self) -> int:
        """One of the constants above."""
        ...
