"""Becomes another program that ends when its parent does: `python -I -S diewithparent.py PARENT_PID PROGRAM ARGS`.

On Linux the kernel kills it, however the parent ends. It is a program of its own, and not code run between fork and
exec, because the parent has threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit("prctl refused PR_SET_PDEATHSIG")
    if os.getppid() != parent:  # it died before the call above
        sys.exit("the parent is gone")
    os.execv(command[0], command)  # noqa: S606 no shell is the point


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
