"""What the commands share: where the settings are, and errors as one line with a code and an exit status."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from steward.adapters.keyseal import read_private
from steward.errors import ConfigError, StewardError

EXIT_FAILED = 1
EXIT_USAGE = 2
GATEWAY_URL = "http://127.0.0.1:8470"

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The settings file.", show_default="$STEWARD_CONFIG, else steward.toml"),
]

UrlOption = Annotated[str, typer.Option("--url", help="The gateway's address.")]
CaOption = Annotated[
    Path | None,
    typer.Option("--ca", help="The CA's certificate, for https with a CA of one's own.", show_default="the system's"),
]


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Our errors end the command: 2 for settings that cannot work, 1 for anything else."""
    try:
        yield
    except StewardError as error:
        said = str(error).removeprefix(f"{error.code}: ")  # some errors begin with it, some do not
        typer.echo(f"steward: {error.code}: {said}", err=True)
        raise typer.Exit(EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILED) from None


def read_token(path: Path) -> str:
    """The API token on the first line of a private file. Raises ConfigError."""
    lines = read_private(path, "token file", 4096).decode("ascii", errors="replace").splitlines()
    token = lines[0].strip() if lines else ""
    if not token.startswith("stw_"):
        raise ConfigError(
            str(path), "holds no token on its first line: put one of role desk there (steward tokens add)"
        )
    return token
