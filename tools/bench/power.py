"""How long a band's battery lasts, by what it does: a duty-cycle model, not a measurement.

No band of this kind was ever on a meter here. Each current is its maker's or says whose it is, each time is the
firmware's own constant or an estimate, and each has a low and a high value. A mode's range is its two corners,
everything good and everything bad at once: the truth is inside, and nothing is said of where.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

DAY_S = 86_400
HOUR_S = 3_600


@dataclass(frozen=True, slots=True)
class Range:
    """low is the kind value, high the unkind one, whatever the unit: for the cell's capacity the larger is kind."""

    low: float
    typical: float
    high: float
    source: str

    def at(self, corner: str) -> float:
        return {"best": self.low, "typical": self.typical, "worst": self.high}[corner]


_CHIP = "ESP32 Series Datasheet"
_NFC = "as users of PN532 boards report it, no data sheet at hand"
_FIRMWARE = "the firmware"
_ESTIMATE = "estimate"

# One table: change a value here and nowhere else. Currents in mA from the cell; the regulator is linear, so what goes
# in comes out.
ASSUMPTIONS: dict[str, Range] = {
    "chip awake": Range(27, 38, 44, f"{_CHIP}, modem-sleep at 160 MHz, 27 to 44"),
    "chip waits awake": Range(20, 27, 31, f"{_CHIP}, modem-sleep at 80 MHz, 20 to 31; the least that a radio needs"),
    "chip in light sleep": Range(0.8, 1.0, 1.6, f"{_CHIP}, 0.8; modules were measured at up to 1.6"),
    "chip in deep sleep": Range(0.010, 0.010, 0.150, f"{_CHIP}, RTC timer and memory, 0.010; 0.150 with its ULP core"),
    "radio sends": Range(110, 130, 150, f"{_CHIP}, Bluetooth at 0 dBm, 130"),
    "radio listens": Range(95, 98, 100, f"{_CHIP}, Bluetooth, 95 to 100"),
    "NFC chip powered down": Range(0.022, 0.045, 0.100, f"{_NFC}: soft power-down 0.045"),
    "NFC chip in a field": Range(25, 31, 60, f"{_NFC}: 35 to 60 with a board's own parts"),
    "regulator and divider": Range(0.005, 0.030, 0.080, "regulators of 5 to 80 uA; the divider takes 0.002"),
    "light": Range(2, 5, 10, f"{_ESTIMATE}; the resistor decides"),
    "motor": Range(50, 75, 100, "10 mm coin motors at 3 V, rated 50 to 100"),
    "self-discharge, share a month": Range(0.01, 0.03, 0.05, "lithium-polymer cells with their protection"),
    "share of the cell that can be used": Range(0.95, 0.85, 0.70, f"{_ESTIMATE}: cold, age, the regulator's drop-out"),
    "taps a day": Range(15, 40, 100, f"{_ESTIMATE}: doors, bars, lifts"),
    "seconds in a field, a tap": Range(0.4, 0.8, 2.0, f"{_ESTIMATE}; the transaction itself is shorter"),
    "seconds of motor, a tap": Range(0.06, 0.06, 0.26, f"{_FIRMWARE}: READ, and DONE after a charge"),
    "seconds between wakes": Range(7.5, 7.5, 7.5, f"{_FIRMWARE}: the watchdog is fed"),
    "seconds awake, a wake": Range(0.002, 0.005, 0.020, f"{_ESTIMATE}: MicroPython's duties, once"),
    "seconds between looks at the NFC chip": Range(300, 300, 300, f"{_FIRMWARE}"),
    "seconds awake, such a look": Range(0.020, 0.025, 0.060, f"{_FIRMWARE}: reset, start, arm"),
    "seconds between turns of the radio": Range(0.5, 0.5, 0.5, f"{_FIRMWARE}: its looks for somebody who connects"),
    "seconds at full speed, such a turn": Range(
        0.004, 0.015, 0.040, f"{_ESTIMATE}: duties once, and two changes of the clock of up to 10 ms each"
    ),
    "seconds between advertisements": Range(1.0, 1.0, 1.0, f"{_FIRMWARE}"),
    "seconds sending, an advertisement": Range(
        0.0009, 0.0012, 0.0015, "37 bytes on three channels at 1 Mbit/s, and ramps"
    ),
    "seconds listening, an advertisement": Range(
        0.0005, 0.0010, 0.0015, "after each of the three, for whoever connects"
    ),
    "times found a day": Range(1, 3, 10, f"{_ESTIMATE}"),
    "seconds of motor, a time found": Range(4, 8, 8, f"{_FIRMWARE}: FIND_ME, 20 times 0.4"),
}
CELL_MAH = (100, 250, 400)
CORNERS = ("best", "typical", "worst")
RESERVE = 0.20  # of the battery: at that the firmware switches the radio off, and the rest is for doors
# Radio on means awake: this chip's light sleep stops the radio, and MicroPython cannot let the radio wake the chip. But
# it waits with its clock at half speed; the mode that does not is a band whose clock cannot be changed.
FULL_SPEED = "radio on, always at full speed"
RADIO_MODES = ("radio on", "radio on, found daily", FULL_SPEED)
MODES = ("NFC only", *RADIO_MODES, "in a drawer")


def mean_ma(mode: str, corner: str) -> dict[str, float]:
    """What each part takes in this mode, in mA on average."""
    value = {name: assumed.at(corner) for name, assumed in ASSUMPTIONS.items()}
    parts = {
        "regulator": value["regulator and divider"],
        "NFC chip at rest": value["NFC chip powered down"],
    }
    if mode == "in a drawer":
        return parts | {"chip at rest": value["chip in deep sleep"]}
    parts |= _taps(value) | _looks(value)
    if mode == "NFC only":
        awake = value["seconds awake, a wake"] / value["seconds between wakes"]
        parts["chip at rest"] = value["chip in light sleep"]
        parts["chip wakes"] = awake * value["chip awake"]
        return parts
    each_s = value["seconds between advertisements"]
    waits_ma = value["chip awake" if mode == FULL_SPEED else "chip waits awake"]
    turns = value["seconds at full speed, such a turn"] / value["seconds between turns of the radio"]
    parts["chip at rest"] = waits_ma
    parts["turns of the radio"] = turns * (value["chip awake"] - waits_ma)
    parts["radio"] = (
        value["seconds sending, an advertisement"] * (value["radio sends"] - waits_ma)
        + value["seconds listening, an advertisement"] * (value["radio listens"] - waits_ma)
    ) / each_s
    if mode == "radio on, found daily":
        found_s = value["times found a day"] * value["seconds of motor, a time found"]
        parts["found"] = found_s / DAY_S * (value["motor"] + value["light"])
    return parts


def _taps(value: dict[str, float]) -> dict[str, float]:
    taps, field_s = value["taps a day"], value["seconds in a field, a tap"]
    in_field = value["NFC chip in a field"] + value["chip awake"] + value["light"]
    return {"taps": taps * (field_s * in_field + value["seconds of motor, a tap"] * value["motor"]) / DAY_S}


def _looks(value: dict[str, float]) -> dict[str, float]:
    share = value["seconds awake, such a look"] / value["seconds between looks at the NFC chip"]
    return {"looks at the NFC chip": share * (value["NFC chip in a field"] + value["chip awake"])}


def days(mode: str, cell_mah: float, corner: str) -> float:
    """From full to empty; with the radio on until it is switched off. The cell's self-discharge counts against it."""
    share = 1 - RESERVE if mode in RADIO_MODES else 1
    return share * _whole_days(mode, cell_mah, corner)


def days_after(mode: str, cell_mah: float, corner: str) -> float:
    """Of doors and tills once the radio is off; 0 where it never was on."""
    return RESERVE * _whole_days("NFC only", cell_mah, corner) if mode in RADIO_MODES else 0.0


def _whole_days(mode: str, cell_mah: float, corner: str) -> float:
    usable_mah = cell_mah * ASSUMPTIONS["share of the cell that can be used"].at(corner)
    own_ma = cell_mah * ASSUMPTIONS["self-discharge, share a month"].at(corner) / (30 * 24)
    return usable_mah / (sum(mean_ma(mode, corner).values()) + own_ma) / 24


def run() -> dict[str, Any]:
    """Days by mode, cell and corner; the mean current; and what takes most of it."""
    modes: dict[str, Any] = {}
    for mode in MODES:
        parts = mean_ma(mode, "typical")
        modes[mode] = {
            "mean_ma": {corner: round(sum(mean_ma(mode, corner).values()), 3) for corner in CORNERS},
            "most": max(parts, key=lambda name: parts[name]),
            "days": _by_cell(days, mode),
            "days_after": _by_cell(days_after, mode),
        }
    assumptions = {
        name: {"low": assumed.low, "typical": assumed.typical, "high": assumed.high, "source": assumed.source}
        for name, assumed in ASSUMPTIONS.items()
    }
    return {"modes": modes, "assumptions": assumptions}


def _by_cell(of: Callable[[str, float, str], float], mode: str) -> dict[str, dict[str, float]]:
    return {str(mah): {corner: round(of(mode, mah, corner), 2) for corner in CORNERS} for mah in CELL_MAH}


def show(results: dict[str, Any], console: Console) -> None:
    table = Table(title="Battery, modelled: days (all good .. all bad at once)")
    table.add_column("mode")
    table.add_column("mean mA", justify="right")
    table.add_column("most of it")
    for mah in CELL_MAH:
        table.add_column(f"{mah} mAh", justify="right")
    for mode, found in results["modes"].items():
        cells = [_spread(found["days"][str(mah)], found["days_after"][str(mah)]) for mah in CELL_MAH]
        table.add_row(mode, f"{found['mean_ma']['typical']:.2f}", found["most"], *cells)
    console.print(table)
    assumed = Table("assumed", "low", "typical", "high", "source", title="What that rests on")
    for name, row in results["assumptions"].items():
        assumed.add_row(name, *(f"{row[key]:g}" for key in ("low", "typical", "high")), row["source"])
    console.print(assumed)


def _spread(found: dict[str, float], after: dict[str, float]) -> str:
    then = f", then doors {_days(after['typical'])}" if after["typical"] else ""
    return f"{_days(found['typical'])} ({_days(found['worst'])} .. {_days(found['best'])}){then}"


def _days(value: float) -> str:
    return f"{value:.0f} d" if value >= 10 else f"{value:.1f} d" if value >= 1 else f"{value * 24:.0f} h"
