"""The demo's bands have batteries: the same ones in every run, as their own firmware reads them."""

from __future__ import annotations

from pathlib import Path

from steward.domain.condition import LOW_PERCENT
from voyage.cast import BANDS_DEFAULT, Band, build_cast
from voyage.wrists import VirtualBand


def percents(folder: Path) -> dict[str, int]:
    bands = build_cast(BANDS_DEFAULT).bands
    return {band.key: VirtualBand(band, folder).battery_percent for band in bands if not band.passive}


def test_the_same_band_has_the_same_battery(tmp_path: Path) -> None:
    found = percents(tmp_path)
    assert found == percents(tmp_path / "other")
    assert all(0 < percent <= 100 for percent in found.values())


def test_the_page_has_something_to_show(tmp_path: Path) -> None:
    found = percents(tmp_path)
    low = [key for key, percent in found.items() if percent < LOW_PERCENT]
    assert 0 < len(low) < len(found) // 2


async def test_the_cell_is_there_before_the_band_starts_and_after_it_was_killed(tmp_path: Path) -> None:
    band = VirtualBand(Band("blank", False), tmp_path)
    await band.start()
    try:
        cell = tmp_path / "blank" / "battery"
        assert cell.read_text() == str(band.battery_percent)
        band.kill()
        await band.restart()
        assert cell.read_text() == str(band.battery_percent)
    finally:
        await band.close()
