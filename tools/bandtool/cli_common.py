"""What bandtool's commands share: options, one line for each error, one look of progress."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from steward.errors import ConfigError, StewardError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_SET_ASIDE = 3
EXIT_STOPPED = 130  # as shells have it for Ctrl-C
PIPE_WIDTH = 200

PortOption = Annotated[str, typer.Option("--port", help="The serial port, from `bandtool ports`.", show_default=False)]
DirOption = Annotated[Path, typer.Option("--dir", help="The station's folder, from `bandtool init`.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@contextlib.contextmanager
def plain_errors(stopped: str = "nothing was changed") -> Iterator[None]:
    """Our errors end the command: 2 for settings that cannot work, 1 for anything else; so does a missing extra.

    stopped: how things are after Ctrl-C, and what to do.
    """
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"bandtool: stopped: {stopped}", err=True)
        raise typer.Exit(EXIT_STOPPED) from None
    except StewardError as error:
        said = str(error).removeprefix(f"{error.code}: ")
        typer.echo(f"bandtool: {error.code}: {said}", err=True)
        raise typer.Exit(EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILED) from None
    except ModuleNotFoundError as error:
        typer.echo(f"bandtool: {error.name} is not installed: pip install 'steward-edge[tools]'", err=True)
        raise typer.Exit(EXIT_USAGE) from None


def progress_bar() -> Progress:
    """On stderr, so that what a command prints can be piped; only where somebody looks."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not console.is_terminal)


def show(table: Table) -> None:
    """On a terminal as wide as that is; in a pipe or a file wide enough that no word is lost."""
    console = Console()
    Console(width=None if console.is_terminal else max(console.width, PIPE_WIDTH)).print(table, markup=False)


def show_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=1))
