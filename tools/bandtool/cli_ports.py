"""bandtool ports."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from bandtool.cli_common import plain_errors

if TYPE_CHECKING:
    from bandtool.boards import Probe


def ports(
    probe: Annotated[
        bool, typer.Option("--probe", help="Reset each board and ask it what it is: a few seconds each, all at once.")
    ] = False,
) -> None:
    """List serial ports, with the USB ids that tell one kind of board from another.

    \b
    Examples:
      bandtool ports
      bandtool ports --probe
    """
    with plain_errors():
        from serial.tools import list_ports

        from bandtool.boards import bridge

        found = sorted(list_ports.comports())
        probes = asyncio.run(_probed([port.device for port in found])) if probe else []
    if not found:
        print("No serial ports. Plug a board in; on Linux your user must be in the group `dialout`.")
        return
    table = Table("port", "USB id", "bridge", "chip, likely", "serial number", "what it says it is")
    if probe:
        table.add_column("what is there")
    for number, port in enumerate(found):
        usb = f"{port.vid:04x}:{port.pid:04x}" if port.vid is not None else "-"
        row = [port.device, usb, *bridge(port.vid, port.pid), port.serial_number or "-", port.description or "-"]
        if probe:
            row.append(f"{probes[number].what}: {probes[number].detail}")
        table.add_row(*row)
    Console().print(table)


async def _probed(ports: list[str]) -> list[Probe]:
    from bandtool.boards import probe

    return await asyncio.gather(*(probe(port) for port in ports))
