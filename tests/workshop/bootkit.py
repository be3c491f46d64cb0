"""A band that starts from the flash that esptool wrote: boot.py and main.py, as the ESP32's MicroPython runs them.

The real MicroPython has the chip's file system as its only one. Beside it are the stand-ins of tests/micropython/fakes
for what the unix build lacks; `sys` says esp32, so that the wristband's own board is the one that starts. What a
reset or the prompt would be ends the process, and the flash is as it was left.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from tests.workshop.benchkit import BoardOnCable
from tests.workshop.imagekit import MOUNT

from voyage.bandproc import find_micropython

_FAKES = Path(__file__).parents[1] / "micropython" / "fakes"
_HEAP = "256k"  # of 64-bit words: 128 KB on the chip
_BEGIN = "import bluetooth, esp32, machine\nimport micropython as real\n"
_START = """
import json

class Sys:
    platform = "esp32"

    def __getattr__(self, name):
        return getattr(sys, name)

class Micropython:
    ctrl_c = []  # of boot.py, of main.py: what it was left at, whenever something of the band's own ran

    def __getattr__(self, name):
        return getattr(real, name)

    def kbd_intr(self, character):
        self.ctrl_c[-1] = character

class Pin(machine.Pin):
    # The charger's power-good pin says whether a cable is there.
    def __init__(self, number, mode=None, pull=None, value=None):
        super().__init__(number, mode, pull, value)
        if number == 34:
            machine.levels[34] = 0 if sys.argv[3] == "1" else 1

def run(name):
    # As the chip does: each file is started with Ctrl-C open.
    Micropython.ctrl_c.append(3)
    with open(name) as file:
        exec(file.read(), {"__name__": "__main__"})

sys.modules["sys"] = Sys()
sys.modules["micropython"] = Micropython()
mac = bytes.fromhex(sys.argv[2])
machine.unique_id = lambda: mac
machine.Pin = Pin
ended = "prompt"  # what the chip opens when main.py returns, and when anything ends it
try:
    run("boot.py")
    import loader
    loader._FAULT_SHOWN_S = 0
    run("main.py")
except machine.Stopped:
    ended = "reset"
except Exception as error:
    sys.print_exception(error, sys.stderr)
sys.stderr.write("\\n" + json.dumps({"ended": ended, "keys": Micropython.ctrl_c, "fault": machine.levels.get(26)}))
chip.file.close()
"""


class BootedBoard(BoardOnCable):
    """flash: a file with the whole file system. Plug it in as any board."""

    def __init__(self, flash: Path, mac: bytes, *, powered: bool = True) -> None:
        super().__init__(flash.parent, b"\x04" + mac, None)
        self._flash = flash
        self._mac = mac
        self._powered = powered

    async def power_on(self) -> None:
        script = self._flash.with_suffix(".py")
        script.write_text(_BEGIN + MOUNT + _START)
        command = [find_micropython(), "-X", f"heapsize={_HEAP}", str(script)]
        command += [str(self._flash), self._mac.hex(), "1" if self._powered else "0"]
        pipe = asyncio.subprocess.PIPE
        environment = {**os.environ, "MICROPYPATH": f"{_FAKES}:.frozen"}
        self._process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe
        )

    async def ended(self) -> dict[str, Any]:
        """How the program ended, what it said on its error line before, and whether Ctrl-C was open."""
        assert self._process is not None
        assert self._process.stderr is not None
        async with asyncio.timeout(30):
            said = (await self._process.stderr.read()).decode()
            await self._process.wait()
        before, _, last = said.rpartition("\n")
        assert last.startswith("{"), said
        return {**json.loads(last), "said": before}
