"""What a hostile reader, a worn-out flash or an unlucky life could make of the band's own program."""

from pathlib import Path

from tests.micropython.suitekit import run_checks


def test_the_whole_suite_on_a_real_micropython(tmp_path: Path) -> None:
    run_checks(Path(__file__).with_name("band_suite.py"), tmp_path, "on_air", "slotted", "state")
