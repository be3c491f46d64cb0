"""What looks after the band beside the card: its signals, its button, its record of faults, its power."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from voyage.bandproc import find_micropython

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@pytest.mark.parametrize("suite", ["keeper_suite.py", "esp32_power_suite.py"])
def test_the_whole_suite_on_a_real_micropython(suite: str, tmp_path: Path) -> None:
    folders = [HERE / "fakes", Path(".frozen"), ROOT / "firmware" / "shared", ROOT / "firmware" / "device"]
    done = subprocess.run(
        [find_micropython(), "-X", "heapsize=1m", str(HERE / suite), str(tmp_path / "card")],
        env={**os.environ, "MICROPYPATH": os.pathsep.join(map(str, folders))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    written = set(re.findall(r"^def (\w+)\(\):", (HERE / suite).read_text(), re.MULTILINE)) - {"a_board"}
    assert set(told) == written, "each check ran"
    assert {name: said for name, said in told.items() if said} == {}, done.stdout
