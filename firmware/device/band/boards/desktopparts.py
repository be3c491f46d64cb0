"""The desktop board's parts that a hand or an eye would meet: files in the flash folder stand for them.

  battery   the cell, read anew each time it is asked for: percent, and `charging` after a space if it is. Without it,
            or with anything else in it, the band does not know.
  lights    if it is there, what is shown is written into it: the bits of board.show() as a digit.
  button    pressed while it is there.
  clock     milliseconds that have passed beside real ones; whoever writes it only ever adds.

Broken parts: flash (writes are lost), full (no flash is left), ram (a cell sticks), heap (none is left), nfc, ble,
battery (too low a voltage), led and haptic (stay off), clock (runs a tenth fast), button (stuck).
"""

import os
import sys

from band.board import FAULT_LIGHT, HAPTIC, LIGHT
from band.errors import BoardError
from band.uptime import Uptime
from bandwire.condition import BATTERY_UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from band.board import Memory

PARTS = ("flash", "full", "ram", "heap", "nfc", "ble", "battery", "led", "haptic", "clock", "button")
_TEXT_MAX = 16
_EIO = 5
_STUCK_AT, _STUCK_BIT = 1000, 0x10
_EMPTY_MV, _FULL_MV, _DEAD_MV = 3300, 4160, 900


class StuckMemory:
    """One of its cells keeps a bit."""

    def __init__(self, size: int) -> None:
        self._cells = bytearray(size)

    def __getitem__(self, at: int) -> int:
        return self._cells[at] | _STUCK_BIT if at == _STUCK_AT else self._cells[at]

    def __setitem__(self, at: int, value: int) -> None:
        self._cells[at] = value


class DeadRadio:
    """It never comes on."""

    def active(self, on: bool | None = None) -> bool:
        if on:
            raise OSError(_EIO)
        return False


class Parts:
    def __init__(self, folder: str, broken: str) -> None:
        self.broken = broken.split(",") if broken else []
        for part in self.broken:
            if part not in PARTS:
                raise BoardError("--broken knows " + ", ".join(PARTS))
        self._folder = folder
        self._uptime = Uptime()
        self._told = False

    def battery_percent(self) -> int:
        words = self._cell()
        percent = int(words[0]) if words and words[0].isdigit() else BATTERY_UNKNOWN
        return percent if percent <= 100 else BATTERY_UNKNOWN

    def battery_mv(self) -> int | None:
        """As if the voltage fell in a straight line; None if the band does not know."""
        if "battery" in self.broken:
            return _DEAD_MV
        percent = self.battery_percent()
        return None if percent == BATTERY_UNKNOWN else _EMPTY_MV + (_FULL_MV - _EMPTY_MV) * percent // 100

    def charging(self) -> bool:
        return self._cell()[1:] == ["charging"]

    def now_ms(self) -> int:
        now_ms = self._uptime.now_ms() + self._passed_ms()
        return now_ms + now_ms // 10 if "clock" in self.broken else now_ms

    def radio(self, whole: "Any") -> "Any":
        """Whole or dead, as `bluetooth.BLE` is used."""
        return DeadRadio() if "ble" in self.broken else whole

    def memory(self, size: int) -> "Memory":
        if "heap" in self.broken:
            raise MemoryError
        return StuckMemory(size) if "ram" in self.broken else bytearray(size)

    def button_pressed(self) -> bool:
        return "button" in self.broken or self._has("button")

    def show(self, outputs: int) -> None:
        if outputs & FAULT_LIGHT and not self._told:
            self._told = True
            sys.stderr.write("fault light on\n")
        if "led" in self.broken:
            outputs &= ~(LIGHT | FAULT_LIGHT)
        if "haptic" in self.broken:
            outputs &= ~HAPTIC
        if self._has("lights"):
            with open(self._folder + "/lights", "w") as file:
                file.write(str(outputs))

    def _passed_ms(self) -> int:
        try:
            with open(self._folder + "/clock") as file:
                return int(file.read(_TEXT_MAX))
        except (OSError, ValueError):
            return 0

    def _has(self, name: str) -> bool:
        try:
            os.stat(self._folder + "/" + name)
            return True
        except OSError:
            return False

    def _cell(self) -> list[str]:
        try:
            with open(self._folder + "/battery") as file:
                return file.read(_TEXT_MAX).split()
        except (OSError, ValueError):
            return []
