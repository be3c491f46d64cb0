"""Prints the pytest marker expression for this machine: empty if PC/SC works here, else "not pcsc", saying why.

With --required (CI) a machine without PC/SC is an error: no test may be left out there.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys

from voyage.pcscd import PcscdError, can_isolate, find_driver


def missing() -> list[str]:
    """What stands between this machine and PC/SC tests, each with what to do."""
    problems = []
    if importlib.util.find_spec("smartcard") is None:
        problems.append("pyscard (apt-get install swig gcc libc6-dev pkg-config libpcsclite-dev, then run make again)")
    if shutil.which("pcscd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
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


def main() -> int:
    problems = missing()
    if not problems:
        print("")
        return 0
    print(f"PC/SC tests are off; missing: {'; '.join(problems)}", file=sys.stderr)
    if "--required" in sys.argv:
        return 1
    print("not pcsc")
    return 0


if __name__ == "__main__":
    sys.exit(main())
