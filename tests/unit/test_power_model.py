"""The battery model: its arithmetic, its corners, and that it speaks of this firmware."""

import re
from pathlib import Path

import pytest
from rich.console import Console

from bandwire import radio
from bench import power

BAND = Path(__file__).resolve().parents[2] / "firmware" / "device" / "band"


def test_a_day_of_one_milliampere_is_a_day_of_twenty_four_milliampere_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = {name: power.Range(0, 0, 0, "") for name in power.ASSUMPTIONS}
    nothing["chip in deep sleep"] = power.Range(1, 2, 4, "")
    nothing["share of the cell that can be used"] = power.Range(1, 1, 0.5, "")
    monkeypatch.setattr(power, "ASSUMPTIONS", nothing)
    assert power.days("in a drawer", 24, "best") == 1
    assert power.days("in a drawer", 24, "typical") == 0.5
    assert power.days("in a drawer", 24, "worst") == 0.125


def test_what_a_tap_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = {name: power.Range(0, 0, 0, "") for name in power.ASSUMPTIONS}
    for name, value in (
        ("taps a day", 86.4),
        ("seconds in a field, a tap", 2.0),
        ("NFC chip in a field", 30.0),
        ("chip awake", 20.0),
        ("seconds of motor, a tap", 0.5),
        ("motor", 100.0),
        ("seconds between wakes", 1.0),
        ("seconds between looks at the NFC chip", 1.0),
    ):
        nothing[name] = power.Range(value, value, value, "")
    monkeypatch.setattr(power, "ASSUMPTIONS", nothing)
    assert power.mean_ma("NFC only", "typical")["taps"] == pytest.approx(0.001 * (2 * 50 + 50))


@pytest.mark.parametrize("mode", power.MODES)
def test_the_corners_hold_the_middle_between_them(mode: str) -> None:
    for mah in power.CELL_MAH:
        assert 0 < power.days(mode, mah, "worst") < power.days(mode, mah, "typical") < power.days(mode, mah, "best")
    assert power.days(mode, 400, "typical") > power.days(mode, 100, "typical") * 3


def test_modes_are_in_the_order_of_what_they_take() -> None:
    taken = {mode: sum(power.mean_ma(mode, "typical").values()) for mode in power.MODES}
    assert taken["in a drawer"] < taken["NFC only"] < taken["radio on"] < taken["radio on, found daily"]
    assert taken["radio on, found daily"] < taken[power.FULL_SPEED]
    assert power.run()["modes"]["radio on"]["most"] == "chip at rest", (
        "not the radio: the chip that may not sleep for it"
    )


def test_a_radio_waits_at_half_speed_and_takes_its_turns_at_full(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {name: power.Range(0, 0, 0, "") for name in power.ASSUMPTIONS}
    for name, value in (
        ("chip awake", 40.0),
        ("chip waits awake", 20.0),
        ("seconds between turns of the radio", 2.0),
        ("seconds at full speed, such a turn", 0.5),
        ("seconds between looks at the NFC chip", 1.0),
        ("seconds between advertisements", 1.0),
        ("seconds sending, an advertisement", 0.1),
        ("radio sends", 120.0),
    ):
        values[name] = power.Range(value, value, value, "")
    monkeypatch.setattr(power, "ASSUMPTIONS", values)
    assert sum(power.mean_ma("radio on", "typical").values()) == pytest.approx(20 + 0.25 * 20 + 0.1 * 100)
    assert sum(power.mean_ma(power.FULL_SPEED, "typical").values()) == pytest.approx(40 + 0.1 * 80)


def test_the_slower_clock_brings_hours_and_every_mode_is_printed() -> None:
    for mah in power.CELL_MAH:
        for corner in power.CORNERS:
            assert power.days("radio on", mah, corner) > 1.2 * power.days(power.FULL_SPEED, mah, corner)
    console = Console(record=True, width=300)
    power.show(power.run(), console)
    text = console.export_text()
    for mode in power.MODES:
        line = next(line for line in text.splitlines() if re.match(rf"[^\w]*{mode} [^\w]", line))
        assert len(re.findall(r"[\d.]+ [dh] \(", line)) == len(power.CELL_MAH), line


def test_the_reserve_opens_doors_after_the_radio_is_off() -> None:
    assert power.days_after("NFC only", 250, "typical") == power.days_after("in a drawer", 250, "typical") == 0
    assert power.days_after("radio on", 250, "typical") == power.days("NFC only", 250, "typical") * power.RESERVE
    assert power.days_after("radio on", 250, "worst") > 0.5, "a night and a morning, even so"


def test_each_assumption_has_a_source_and_a_direction() -> None:
    for name, assumed in power.ASSUMPTIONS.items():
        assert assumed.source, name
        ascending = assumed.low <= assumed.typical <= assumed.high
        assert ascending or name == "share of the cell that can be used", name


def constant(file: str, name: str) -> str:
    found = re.search(rf"^{name} = (.+?)(?:  #.*)?$", (BAND / file).read_text(), re.MULTILINE)
    assert found is not None, f"{name} of {file}"
    return found.group(1)


def test_times_of_the_firmware_are_the_firmwares() -> None:
    assert constant("board.py", "WATCHDOG_MS") == "30_000"
    assert constant("power.py", "FEED_MS") == "WATCHDOG_MS // 4"
    assert power.ASSUMPTIONS["seconds between wakes"].typical == 30_000 / 4 / 1000
    assert power.ASSUMPTIONS["seconds between advertisements"].typical == radio.ADVERTISING_INTERVAL_MS / 1000
    assert constant("gatt.py", "_LISTEN_MS") == "500"
    assert power.ASSUMPTIONS["seconds between turns of the radio"].typical == 0.5
    assert constant("boards/esp32.py", "_FULL_HZ, _WAIT_HZ") == "160_000_000, 80_000_000"
    assert "160 MHz" in power.ASSUMPTIONS["chip awake"].source
    assert "80 MHz" in power.ASSUMPTIONS["chip waits awake"].source
    assert constant("pn532.py", "_CHECK_MS") == "300_000"
    assert power.ASSUMPTIONS["seconds between looks at the NFC chip"].typical == 300
    assert constant("power.py", "RESERVE_PERCENT") == f"{power.RESERVE * 100:.0f}"
    assert constant("signals.py", "FIND_ME") == "bytes((20, _BOTH, 40, LIGHT, 10, 0, 50))"
    assert power.ASSUMPTIONS["seconds of motor, a time found"].high == 20 * 0.4
    assert constant("signals.py", "READ") == "bytes((1, _BOTH, 6, LIGHT, 0))"
    assert power.ASSUMPTIONS["seconds of motor, a tap"].low == 0.06
