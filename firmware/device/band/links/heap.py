"""How much of the heap the band used, for the control line `mem`."""

import gc


class HeapMeter:
    """Samples the heap after each command, garbage included, so that what a command needed is seen."""

    def __init__(self) -> None:
        self._peak = gc.mem_alloc()

    def sample(self) -> None:
        used = gc.mem_alloc()
        if used > self._peak:
            self._peak = used

    def line(self) -> str:
        """`mem used=.. peak=.. heap=..` in bytes; used is what is left after a collection."""
        self.sample()
        gc.collect()
        used = gc.mem_alloc()
        return "mem used=%d peak=%d heap=%d" % (used, self._peak, used + gc.mem_free())
