"""Suites that the real MicroPython runs on stand-ins of the chip's modules, and what they told."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from voyage.bandproc import find_micropython

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FOLDERS = [HERE / "fakes", HERE, Path(".frozen"), ROOT / "firmware" / "shared", ROOT / "firmware" / "device"]


def environment() -> dict[str, str]:
    """For MicroPython: where it finds the band's program and the stand-ins."""
    return {**os.environ, "MICROPYPATH": os.pathsep.join(map(str, FOLDERS))}


def told_by(suite: Path, *arguments: str) -> Any:
    """What its last line says, in JSON."""
    done = subprocess.run(
        [find_micropython(), "-X", "heapsize=1m", str(suite), *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)  # the traces of what went wrong
    return json.loads(done.stdout.splitlines()[-1])


def run_checks(suite: Path, folder: Path, *helpers: str) -> None:
    """Each function of the suite that takes no argument is a check, and runs, but for its helpers."""
    written = set(re.findall(r"^def (\w+)\(\):", suite.read_text(), re.MULTILINE))
    assert written > set(helpers)
    checks = sorted(written - set(helpers))
    told = told_by(suite, str(folder), *checks)
    assert sorted(told) == checks, "each check ran"
    assert {name: said for name, said in told.items() if said} == {}
