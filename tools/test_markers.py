"""Prints the pytest marker expression for this machine: what it lacks is left out, and said on stderr with a remedy.

With --required (CI) a machine that lacks anything is an error: no test may be left out there.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from voyage.pcscd import PcscdError, can_isolate, find_driver

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def missing_pcsc() -> list[str]:
    """What stands between this machine and PC/SC tests, each with what to do."""
    problems = []
    if importlib.util.find_spec("smartcard") is None:
        problems.append("pyscard (apt-get install swig gcc libc6-dev pkg-config libpcsclite-dev, then run make again)")
    if shutil.which("pcscd", path=_PATH) is None:
        problems.append("pcscd (apt-get install pcscd)")
    try:
        find_driver()
    except PcscdError:
        problems.append("the virtual reader (apt-get install vsmartcard-vpcd)")
    if shutil.which("opensc-tool") is None or shutil.which("scriptor") is None:
        problems.append("two independent clients (apt-get install opensc pcsc-tools)")
    if os.geteuid() != 0 and not can_isolate():
        problems.append("root, or user namespaces for everybody, to start a pcscd of its own")
    return problems


def missing_program(program: str, package: str) -> list[str]:
    return [] if shutil.which(program, path=_PATH) else [f"{program} (apt-get install {package})"]


def missing_postgres() -> list[str]:
    found = shutil.which("initdb", path=_PATH) or any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return [] if found else ["PostgreSQL's server programs (apt-get install postgresql)"]


def missing_tflite() -> list[str]:
    """Whether tools/setup.sh --tests could make the environment of the older runtime."""
    found = (Path(__file__).resolve().parents[1] / ".venv-tflite" / ".steward").exists()
    return [] if found else [".venv-tflite (install Python 3.11 beside this one, then run make test again)"]


def main() -> int:
    lacking = {
        "pcsc": missing_pcsc(),
        "chromium": missing_program("chromium", "chromium"),
        "mosquitto": missing_program("mosquitto", "mosquitto"),
        "postgres": missing_postgres(),
        "tflite": missing_tflite(),
    }
    absent = [marker for marker, problems in lacking.items() if problems]
    for marker in absent:
        print(f"tests marked {marker} are off; missing: {'; '.join(lacking[marker])}", file=sys.stderr)
    print(" and ".join(f"not {marker}" for marker in absent))
    return 1 if absent and "--required" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
