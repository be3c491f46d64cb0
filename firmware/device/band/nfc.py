"""What an NFC chip driver in card emulation must offer. The loop in app.py is its only user.

ISO-DEP framing, chaining and frame waiting time are the driver's (or its chip's) own work: it hands over whole
C-APDUs and takes whole R-APDUs. ATQA, SAK and ATS are those of the chip we stand in for: ATS 06 77 77 71 02 80.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from .duties import Duties
else:
    Protocol = object

STOP = 0  # the link is gone for good: end the program
ACTIVATED = 1  # a reader has selected us: nothing of an earlier reader may remain
DEACTIVATED = 2  # field lost, deselected or reset
COMMAND = 3  # command() has a C-APDU


class NfcPort(Protocol):
    def arm(self, uid: bytes | None) -> None:
        """Set what to show at anticollision from the next activation on; called before the first one.

        7 bytes: that UID. None: a fresh 4-byte identifier, 08 and three random bytes, at every activation. A chip that
        cannot show 7 bytes always does the latter: readers then know the band by its SUN message.
        """
        ...

    def wait(self, duties: "Duties") -> int:
        """Sleep until something happens and say what: one of the constants above. Duties are done meanwhile."""
        ...

    def command(self) -> bytes:
        """The C-APDU that COMMAND announced. Must be answered by respond() before the next wait()."""
        ...

    def respond(self, rapdu: bytes) -> None:
        """Send the R-APDU. A reader that has gone is not an error here: wait() tells of it next."""
        ...

    def extend(self) -> None:
        """More time is needed before respond(): ask the reader for it, S(WTX), if the chip does not by itself.

        Called before each flash write and each wait of an authentication delay; an answer is due in 38 ms else.
        """
        ...
