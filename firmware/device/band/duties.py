"""What a band does while no reader wants it: the radio, the button, the watchdog. Each duty in turn, none for long."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NEVER_MS = 60_000  # what a duty says that waits for nothing; also the longest sleep


class Duties:
    """A driver calls run() whenever it has nothing to do, and sleeps no longer than that says.

    A duty is called with nothing and returns in how many milliseconds it wants to be called again, at the latest. It
    takes a few milliseconds at most: a reader may be waiting. It may be called at any time before.
    """

    def __init__(self) -> None:
        self._duties: list[Callable[[], int]] = []

    def add(self, duty: "Callable[[], int]") -> None:
        self._duties.append(duty)

    def run(self) -> int:
        """Milliseconds until the next duty is due, 0 to NEVER_MS."""
        soonest = NEVER_MS
        for duty in self._duties:
            soonest = min(soonest, duty())
        return max(0, soonest)
