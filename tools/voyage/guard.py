"""Nothing may outlive the demo, not even when it is killed: a small process that ends the others when we are gone."""

from __future__ import annotations

import subprocess
from types import TracebackType

# Its standard input is a pipe that only we hold: it ends with us, however we end. Each line is a process id.
_SCRIPT = 'pids=""; while read -r pid; do pids="$pids $pid"; done; [ -z "$pids" ] || kill $pids 2>/dev/null'
STOP_LIMIT_S = 3.0


class Guard:
    """Sends SIGTERM to every process named by add() once this one has ended; as a context manager, unless it ends well.

    Put it around everything: by the time it is called off, the others have been ended properly.
    """

    def __init__(self) -> None:
        # A session of its own: Ctrl-C in the terminal is not for it.
        self._process = subprocess.Popen(
            ["sh", "-c", _SCRIPT, "voyage-guard"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def add(self, pid: int) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{pid}\n".encode())
        self._process.stdin.flush()

    def __enter__(self) -> Guard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate(timeout=STOP_LIMIT_S)
