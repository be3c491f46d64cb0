"""What a hostile reader, a worn-out flash or an unlucky life could make of the band's own program."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from voyage.bandproc import find_micropython

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def test_the_whole_suite_on_a_real_micropython(tmp_path: Path) -> None:
    suite = HERE / "band_suite.py"
    folders = [
        HERE.parent / "micropython" / "fakes",
        Path(".frozen"),
        ROOT / "firmware" / "shared",
        ROOT / "firmware" / "device",
    ]
    done = subprocess.run(
        [find_micropython(), "-X", "heapsize=1m", str(suite), str(tmp_path)],
        env={**os.environ, "MICROPYPATH": os.pathsep.join(map(str, folders))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    written = set(re.findall(r"^def (\w+)\(\):", suite.read_text(), re.MULTILINE)) - {"on_air", "slotted", "state"}
    assert set(said) == written, "each check ran"
    assert {name: fault for name, fault in said.items() if fault} == {}, done.stdout
