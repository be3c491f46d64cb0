"""bandtool: what a technician runs at the bench."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(
    help="Boards and bands at the bench. Needs the extra `tools`: pip install 'steward-edge[tools]'.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _commands() -> None:
    """Keeps `ports` a sub-command while it is the only one."""


@app.command()
def ports() -> None:
    """List serial ports, with the USB ids that tell one kind of board from another.

    Example: bandtool ports
    """
    try:
        from serial.tools import list_ports
    except ModuleNotFoundError:
        print("bandtool: pyserial is missing. Install it with: pip install 'steward-edge[tools]'", file=sys.stderr)
        raise typer.Exit(2) from None
    found = sorted(list_ports.comports())
    if not found:
        print("No serial ports. Plug a board in; on Linux your user must be in the group `dialout`.")
        return
    table = Table("port", "USB id", "serial number", "what it says it is")
    for port in found:
        usb = f"{port.vid:04x}:{port.pid:04x}" if port.vid is not None else "-"
        table.add_row(port.device, usb, port.serial_number or "-", port.description or "-")
    Console().print(table)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
