"""The band alone: time per command of the applet on MicroPython, heap and flash use.

The peer in the same run: what one AES block costs that interpreter, since every command is a number of those.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

import bandwire
from bandtool.sources import firmware_folder
from steward.services.board import percentile
from voyage.bandproc import BandOptions, BandProcess, find_micropython

ROUNDS = 200
_SCRIPT = Path(__file__).with_name("applet_on_band.py")
_BLOCK = """
import cryptolib, time
a = cryptolib.aes(bytes(16), 1); b = bytes(16); n = 20000
t = time.ticks_us()
for _ in range(n): a.encrypt(b)
print(time.ticks_diff(time.ticks_us(), t) / n)
"""


def run(rounds: int = ROUNDS) -> dict[str, object]:
    """Microseconds by command, the cost of one AES block, heap and flash bytes."""
    wire = Path(bandwire.__file__).resolve().parents[1]
    environment = {**os.environ, "MICROPYPATH": f".frozen:{firmware_folder()}:{wire}"}
    # The script holds the reader's side and all the samples as well: more heap than a band, which _heap measures.
    python = [find_micropython(), "-X", "heapsize=2m"]
    with tempfile.TemporaryDirectory() as folder:
        line = [*python, str(_SCRIPT), f"{folder}/flash", str(rounds)]
        times = json.loads(subprocess.run(line, env=environment, check=True, capture_output=True, timeout=120).stdout)
        block = subprocess.run([*python, "-c", _BLOCK], check=True, capture_output=True, timeout=60).stdout
        heap = asyncio.run(_heap(Path(folder) / "heap"))
        flash = sum(f.stat().st_size for f in (Path(folder) / "flash").rglob("*") if f.is_file())
    commands = {
        name: {"p50_us": percentile(sorted(us), 50), "p99_us": percentile(sorted(us), 99)} for name, us in times.items()
    }
    return {"commands": commands, "aes_block_us": round(float(block), 2), "heap": heap, "flash_bytes": flash}


async def _heap(state: Path) -> dict[str, int]:
    async with await BandProcess.start(BandOptions(state=state)) as band:
        for _ in range(20):
            for command in ("00A4040007D276000085010100", "9071000002000000", "90AF000020" + "00" * 32 + "00"):
                await band.apdu(bytes.fromhex(command))
        use = await band.mem()
    return {"used": use.used, "peak": use.peak, "limit": use.heap}


def show(figures: dict[str, object], console: Console) -> None:
    table = Table(title="The applet on MicroPython (desktop build), microseconds")
    for column in ("command", "p50", "p99"):
        table.add_column(column, justify="left" if column == "command" else "right")
    commands = figures["commands"]
    heap = figures["heap"]
    assert isinstance(commands, dict)
    assert isinstance(heap, dict)
    for name, times in commands.items():
        table.add_row(name, f"{times['p50_us']:.0f}", f"{times['p99_us']:.0f}")
    table.add_row("one AES block, for scale", f"{figures['aes_block_us']}", "")
    console.print(table)
    console.print(
        f"heap: {heap['used']:,} bytes live, peak {heap['peak']:,} of {heap['limit']:,}; "
        f"flash: {figures['flash_bytes']:,} bytes in two slots a record"
    )
