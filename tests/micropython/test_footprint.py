"""What a band may weigh: a check of the build, against budgets written beside what makes and measures them."""

from pathlib import Path

import pytest

from bandtool.image import BUDGET, SLOT
from bench import applet
from bench.footprint import HEAP_BUDGET, compiled, heap_use
from voyage.bandproc import HEAP


async def test_the_program_and_its_heap_keep_their_budgets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Charging and advertising at once, on one heap, from the compiled files of the image."""
    made = compiled(tmp_path / "program")
    assert made.sizes["band"] + made.sizes["bandwire"] == made.sizes["whole"] <= BUDGET[SLOT]
    use = await heap_use(made, tmp_path)
    with capsys.disabled():
        print(f"\nband: {made.sizes['whole']:,} bytes; heap {use}")
    assert set(use) == set(HEAP_BUDGET)
    for name, found in use.items():
        assert found["live"] <= found["peak"] <= HEAP_BUDGET[name], name
    assert use["advertises"]["live"] > use["at rest"]["live"] + 10_000, "its radio was on"
    assert max(HEAP_BUDGET.values()) <= int(HEAP.removesuffix("k")) * 1024 * 0.9, "a tenth is spare"


def test_each_command_of_the_applet_is_timed() -> None:
    """Its script runs beside the benches: a module of theirs that is called as the band's would be taken for it."""
    commands = applet.run(rounds=2)["commands"]
    assert isinstance(commands, dict)
    assert {"SELECT", "ChangeKey", "SignCharge"} <= set(commands)
