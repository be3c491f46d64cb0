"""What a board must offer to the application. Keys, UID or randomness cannot be preset through this port."""

from .nfc import NfcPort
from .store import Flash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object

# What signal() shows.
IDLE = 0
IN_FIELD = 1
FAULT = 2  # stays on until the next boot


class Board(Protocol):
    active: bool  # False: behave as the plain chip, with its permanent lock and without charge signing

    def flash(self) -> Flash: ...

    def nfc(self) -> NfcPort:
        """BoardError if there is none."""
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

    def charging(self) -> bool:
        """Whether a charger fills the battery now."""
        ...

    def sleep_ms(self, duration_ms: int) -> None: ...

    def signal(self, what: int) -> None:
        """Show a state of the constants above to the wearer."""
        ...
