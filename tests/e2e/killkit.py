"""A test file run as a program of its own, and killed with -9 at work."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

START_S = 60.0
READY = b"ready\n"


def run_and_kill(program: str, path: Path, argument: int, after_s: float) -> list[str]:
    """Start `program` with these arguments, kill it `after_s` after it printed READY; the whole lines after that."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    command = [sys.executable, "-W", "error", program, str(path), str(argument)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        pipe = process.stdout.fileno()
        said = b""
        kill_at = time.monotonic() + START_S
        while time.monotonic() < kill_at:
            ready, _, _ = select.select([pipe], [], [], max(0.0, kill_at - time.monotonic()))
            if ready:
                chunk = os.read(pipe, 65536)
                assert chunk, f"the child ended by itself: {process.wait()}"
                if not said:
                    kill_at = time.monotonic() + after_s
                said += chunk
        process.kill()
        while chunk := os.read(pipe, 65536):
            said += chunk
    assert said.startswith(READY), "the child did not start"
    return said[: said.rindex(b"\n")].decode().split("\n")[1:]
