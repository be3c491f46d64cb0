"""Prints the pytest marker expression for this machine: empty if PC/SC works here, else "not pcsc", saying why.

With --required (CI) a machine without PC/SC is an error: no test may be left out there.
"""

from __future__ import annotations

import glob
import importlib.util
import os
import shutil
import subprocess
import sys

DRIVER = "/usr/lib/*pcsc/drivers/serial/libifdvpcd.so*"


def missing() -> list[str]:
    """What stands between this machine and PC/SC tests, each with what to do."""
    problems = []
    if importlib.util.find_spec("smartcard") is None:
        problems.append("pyscard (apt-get install swig gcc libpcsclite-dev, then run make again)")
    if shutil.which("pcscd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
        problems.append("pcscd (apt-get install pcscd)")
    if not glob.glob(DRIVER) and not glob.glob("/usr/lib/*/pcsc/drivers/serial/libifdvpcd.so*"):
        problems.append("the virtual reader (apt-get install vsmartcard-vpcd)")
    if shutil.which("opensc-tool") is None and shutil.which("scriptor") is None:
        problems.append("an independent client (apt-get install opensc pcsc-tools)")
    if not (os.geteuid() == 0 or os.path.exists("/run/pcscd/pcscd.comm") or _may_unshare()):
        problems.append("a running pcscd, or root or user namespaces to start one (systemctl start pcscd)")
    return problems


def _may_unshare() -> bool:
    """Whether an ordinary user may make a namespace here: then the tests start a pcscd of their own in it."""
    unshare = shutil.which("unshare")
    return unshare is not None and subprocess.run([unshare, "-rm", "true"], capture_output=True).returncode == 0


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
