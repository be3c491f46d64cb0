"""bandtool ports."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from bandtool.cli_common import JsonOption, plain_errors, show, show_json

if TYPE_CHECKING:
    from bandtool.boards import Probe

_HEADS = ("port", "USB id", "bridge", "chip, likely", "serial number", "what it says it is", "what is there")


def ports(
    probe: Annotated[
        bool, typer.Option("--probe", help="Reset each board and ask it what it is: a few seconds each, all at once.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List serial ports, and what is there.

    USB ids tell one kind of bridge from another.
    --probe finds our bands, MicroPython's prompt, or a chip's ROM bootloader.

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
    rows = []
    for number, port in enumerate(found):
        usb = f"{port.vid:04x}:{port.pid:04x}" if port.vid is not None else "-"
        told = (port.device, usb, *bridge(port.vid, port.pid), port.serial_number or "-", port.description or "-")
        there = (f"{probes[number].what}: {probes[number].detail}",) if probe else ()
        rows.append((*told, *there))
    heads = _HEADS if probe else _HEADS[:-1]
    if as_json:
        show_json([dict(zip(heads, row, strict=True)) for row in rows])
    elif not rows:
        typer.echo("No serial ports. Plug a board in; on Linux your user must be in the group `dialout`.")
    else:
        table = Table(*heads)
        for row in rows:
            table.add_row(*row)
        show(table)


async def _probed(ports: list[str]) -> list[Probe]:
    from bandtool.boards import probe

    return await asyncio.gather(*(probe(port) for port in ports))
