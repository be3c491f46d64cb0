"""What looks after the band beside the card: its signals, its button, its record of faults, its power."""

from pathlib import Path

import pytest
from tests.micropython.suitekit import HERE, run_checks


@pytest.mark.parametrize("part", ["patterns", "button", "faults", "power"])
def test_the_keeper_on_a_real_micropython(part: str, tmp_path: Path) -> None:
    run_checks(HERE / f"keeper_{part}_suite.py", tmp_path)


def test_the_esp32s_power_on_a_real_micropython(tmp_path: Path) -> None:
    run_checks(HERE / "esp32_power_suite.py", tmp_path / "card", "a_board")
