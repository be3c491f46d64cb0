"""What bandtool's commands share: options, one line for each error, one look of progress."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from steward.errors import ConfigError, StewardError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_SET_ASIDE = 3

PortOption = Annotated[str, typer.Option("--port", help="The serial port, from `bandtool ports`.", show_default=False)]
DirOption = Annotated[Path, typer.Option("--dir", help="The station's folder, from `bandtool init`.")]


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Our errors end the command: 2 for settings that cannot work, 1 for anything else; so does a missing extra."""
    try:
        yield
    except StewardError as error:
        said = str(error).removeprefix(f"{error.code}: ")
        typer.echo(f"bandtool: {error.code}: {said}", err=True)
        raise typer.Exit(EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILED) from None
    except ModuleNotFoundError as error:
        typer.echo(f"bandtool: {error.name} is not installed: pip install 'steward-edge[tools]'", err=True)
        raise typer.Exit(EXIT_USAGE) from None


def progress_bar() -> Progress:
    """On stderr, so that what a command prints can be piped."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))
