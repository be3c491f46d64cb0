"""What the commands share: where the settings are, and errors as one line with a code and an exit status."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from steward.errors import ConfigError, StewardError

EXIT_FAILED = 1
EXIT_USAGE = 2

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The settings file.", show_default="$STEWARD_CONFIG, else steward.toml"),
]


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Our errors end the command: 2 for settings that cannot work, 1 for anything else."""
    try:
        yield
    except StewardError as error:
        typer.echo(f"steward: {error.code}: {error}", err=True)
        raise typer.Exit(EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILED) from None
