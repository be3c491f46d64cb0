"""The process that flashes one board by esptool, or asks what it is: `python -m bandtool.flashworker PORT BAUD WORK`.

A process of its own, because esptool tells its progress through one logger for all and keeps one processor busy: so
sixteen boards at once neither mix their words nor wait for one another. It says one JSON object a line:
{"chip", "mac"} once the chip is known, {"percent"}, and last {"outcome", "detail"}. For WORK `flash` it then reads, on
stdin, one line {"parts": [[offset, bytes], ...]} and the bytes themselves; end of file instead lets the board go.
What is written comes over the pipe and not from files: a band's own image holds its secret, and no disk sees it.

The part with the lowest offset is the one that starts the chip. Its first sector is erased before anything is written
and the part itself is to be given last, so a board that is cut off in the middle starts nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import esptool
from esptool.logger import TemplateLogger, log
from serial import SerialException

FLASH, IDENTIFY = "flash", "identify"
DONE, SILENT, WRONG_CHIP, CUT_OFF = "done", "silent", "wrong_chip", "cut_off"
LOCKED, MISMATCH, LEFT, CLOSED = "flash_locked", "flash_mismatch", "left", "closed"
_CONNECT_ATTEMPTS = 4  # one with each of esptool's ways to reset a board
_SECTOR = 4096
_PROTECTED = 0x1C  # block protection, in the first status register of the flash chip
_MISMATCH_SAID = ("MD5 of file", "region is empty", "Failed SPI")  # by esptool, when the chip does not hold it
_CLOSED_SAID = "Could not open"
_FUSED = "its eFuses demand encrypted flash or a signed bootloader: plain firmware cannot run on it"
_LOST = (esptool.FatalError, SerialException, OSError)


class Telling(TemplateLogger):
    """What esptool says goes nowhere, but for how far it is. It counts each part from nought."""

    def __init__(self) -> None:
        self.sizes: Sequence[int] = (1,)
        self._part = 0
        self._last = -1
        self._percent = -1

    def progress_bar(
        self, cur_iter: int, total_iters: int, prefix: str = "", suffix: str = "", bar_length: int = 30
    ) -> None:
        if cur_iter < self._last:
            self._part = min(self._part + 1, len(self.sizes) - 1)
        self._last = cur_iter
        done = sum(self.sizes[: self._part]) + self.sizes[self._part] * cur_iter / max(1, total_iters)
        self.percent(int(100 * done / max(1, sum(self.sizes))))

    def percent(self, percent: int) -> None:
        if percent > self._percent:
            self._percent = percent
            tell(percent=percent)

    def print(self, *args: object, **kwargs: object) -> None: ...
    def note(self, message: str) -> None: ...
    def warning(self, message: str) -> None: ...
    def error(self, message: str) -> None: ...
    def stage(self, finish: bool = False) -> None: ...
    def set_verbosity(self, verbosity: str) -> None: ...


def tell(**said: object) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def finish(outcome: str, detail: object = "") -> None:
    tell(outcome=outcome, detail=" ".join(str(detail).split())[:300])


def work(port: str, baud: int, what: str, chip_name: str) -> None:
    telling = Telling()
    log.set_logger(telling)
    try:
        chip = esptool.detect_chip(port, connect_attempts=_CONNECT_ATTEMPTS)
    except _LOST as error:
        return finish(CLOSED if _CLOSED_SAID in str(error) else SILENT, error)
    with chip:
        try:
            _with_chip(chip, port, baud, what, chip_name, telling)
        except _LOST as error:
            finish(CUT_OFF, error)


def _with_chip(chip: Any, port: str, baud: int, what: str, chip_name: str, telling: Telling) -> None:
    if what == FLASH and chip_name != chip.CHIP_NAME:
        finish(WRONG_CHIP, f"the board at {port} is an {chip.CHIP_NAME}: this firmware is for {chip_name}")
        esptool.reset_chip(chip, "hard-reset")
        return
    tell(chip=chip.CHIP_NAME, mac=bytes(chip.read_mac()).hex())
    if what == FLASH:
        _flash(chip, baud, telling)
    else:
        esptool.reset_chip(chip, "hard-reset")
        finish(DONE)


def _flash(chip: Any, baud: int, telling: Telling) -> None:
    if chip.get_flash_encryption_enabled() or chip.get_secure_boot_enabled():
        return finish(LOCKED, _FUSED)
    parts = _parts()
    if not parts:
        esptool.reset_chip(chip, "hard-reset")
        return finish(LEFT)
    telling.sizes = [len(data) for _, data in parts]
    loaded = esptool.run_stub(chip)
    if baud != loaded.ESP_ROM_BAUD:
        loaded.change_baud(baud)
    esptool.attach_flash(loaded)
    loaded.WRITE_FLASH_ATTEMPTS = 1  # of one write, should the port vanish: whoever asked for it begins again instead
    try:
        loaded.erase_region(min(offset for offset, _ in parts), _SECTOR)
        esptool.write_flash(loaded, parts, compress=True)
    except esptool.FatalError as error:
        if not any(said in str(error) for said in _MISMATCH_SAID):
            raise
        if loaded.read_status(1) & _PROTECTED:
            return finish(LOCKED, f"its flash chip is write-protected ({error})")
        return finish(MISMATCH, error)
    telling.percent(100)
    esptool.reset_chip(loaded, "hard-reset")
    return finish(DONE)


def _parts() -> list[tuple[int, bytes]]:
    """What is to be written, from stdin. Empty if whoever started this process changed their mind."""
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return []
    sizes = json.loads(line)["parts"]
    parts = [(offset, sys.stdin.buffer.read(size)) for offset, size in sizes]
    return parts if all(len(data) == size for (_, data), (_, size) in zip(parts, sizes, strict=True)) else []


if __name__ == "__main__":
    _port, _baud, _what, _chip = sys.argv[1:]
    work(_port, int(_baud), _what, _chip)
