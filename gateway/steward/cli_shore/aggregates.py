"""`steward shore aggregates`: what ships answered about many guests at once."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from steward.cli_common import plain_errors
from steward.cli_shore.common import CONFIG_DEFAULT, ConfigOption, load, run_read
from steward.shore.aggregates import answers


def aggregates(
    file: ConfigOption = CONFIG_DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show the newest answers: noisy figures of groups that are large enough. Who is in them, no ship tells.

    \b
    Example:
      steward shore aggregates --config shore/shore.toml
    """
    with plain_errors():
        found = run_read(load(file), answers())
        if as_json:
            typer.echo(json.dumps([asdict(told) for told in found], indent=1))
            return
        table = Table("Ship", "Voyage", "When", "Question", "Group", "Guests, about", "Sum, about", box=None)
        for told in found:
            when = datetime.fromtimestamp(told.at_s, UTC).strftime("%Y-%m-%d %H:%M")
            for line in told.lines:
                total = "" if line.total is None else f"{told.currency} {line.total / 100:.2f}"
                table.add_row(told.ship, told.voyage, when, told.question, line.group, str(line.guests), total)
        Console(soft_wrap=True).print(table)
