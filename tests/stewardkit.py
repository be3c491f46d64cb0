"""`steward ...` to its end, in a process of its own that is forked from one which has read the modules already.

A process that reads them anew takes a second, and tests start hundreds. Only what `python -m steward` does before
main() is left out; tests/unit/test_cli_loading.py, the demo and every gateway that tests start as a process do that.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path

LIMIT_S = 60
_ONE_AT_A_TIME = threading.Lock()
# Once in each test process. A child leaves the loop and ends as any Python program does.
_FORKS = """\
import gc, importlib, json, os, sys
import steward.app, steward.wiring
from steward.__main__ import _ELSEWHERE, main
for place in _ELSEWHERE.values():
    importlib.import_module(place.partition(":")[0])
gc.freeze()
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if child == 0:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()
for number, file in enumerate((os.devnull, order["out"], order["err"])):
    os.dup2(os.open(file, os.O_RDWR), number)
os.environ.clear()
os.environ.update(order["environ"])
os.chdir(order["folder"])
sys.argv = ["steward", *order["words"]]
main()
"""


@cache
def _forks() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _FORKS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    atexit.register(process.communicate, timeout=LIMIT_S)  # at the end of its input it ends
    return process


def steward(*words: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """What it said and its exit status. No terminal, so nothing can ask. Raises TimeoutExpired."""
    command = ["steward", *map(str, words)]
    with tempfile.TemporaryDirectory() as scratch, _ONE_AT_A_TIME:
        out, err = Path(scratch, "out"), Path(scratch, "err")
        for file in (out, err):
            file.touch()
        told = {"words": command[1:], "environ": os.environ | environ, "folder": os.getcwd()}
        status = _ordered(json.dumps(told | {"out": str(out), "err": str(err)}), command)
        done = subprocess.CompletedProcess(command, status, out.read_text(), err.read_text())
    assert "Traceback" not in done.stderr, done.stderr
    return done


def _ordered(order: str, command: list[str]) -> int:
    """Its exit status. After LIMIT_S it is killed, and with it the process that it is forked from."""
    forks = _forks()
    assert forks.stdin is not None
    assert forks.stdout is not None
    late = threading.Timer(LIMIT_S, os.killpg, (forks.pid, 9))
    late.start()
    try:
        forks.stdin.write(order + "\n")
        forks.stdin.flush()
        said = forks.stdout.readline()
    finally:
        late.cancel()
    if not said:
        _forks.cache_clear()
        raise subprocess.TimeoutExpired(command, LIMIT_S)
    return int(said)
