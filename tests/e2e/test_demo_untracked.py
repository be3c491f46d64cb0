"""A whole demo day on which no guest is tracked, on real processes: every tap ends as on the ordinary day.

Both days are held against the same plan, tap by tap: this one here, the ordinary one in test_demo.py.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.test_demo import check_report, planned, run, wait_until_gone

OWN = {"guests_recognised", "nothing_optional"}


def test_a_day_without_tracking_is_the_same_day(tmp_path: Path) -> None:
    report, ship = tmp_path / "report.json", tmp_path / "ship"
    done = run("--once", "--untracked", "--seconds", 2, "--report", report, "--keep", ship)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(report.read_text())
    check_report(told, bands=22)
    assert told["settings"]["untracked"] is True
    assert told["taps"] == planned(bands=22, seed=1)
    assert {check["name"] for check in told["checks"]} >= OWN
    assert told["figures"]["suggestions"]["made"] == 0
    assert wait_until_gone(ship) == []
