"""`steward shore token`: who may call the shore's API and look at its page."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from steward.adapters.system import OsEntropy, SystemClock
from steward.cli_common import plain_errors
from steward.cli_shore.common import CONFIG_DEFAULT, ConfigOption, load
from steward.web.roles import Role
from steward.web.tokens import TokenEntry, add_token, hash_token, new_token, read_tokens, revoke_token

app = typer.Typer(
    name="token", help="Who may call the API and see the page.", no_args_is_help=True, rich_markup_mode=None
)


class ShoreRole(StrEnum):
    """The roles that mean something ashore."""

    MONITOR = Role.MONITOR
    PURSER = Role.PURSER


@app.command("add")
def add(
    role: Annotated[ShoreRole, typer.Option("--role", help="monitor reads; purser decides too.", show_default=False)],
    id_: Annotated[str | None, typer.Option("--id", help="Its name in the list.", show_default="the role")] = None,
    file: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Make a token and print it, once: only its hash is kept. A running service knows it at once.

    \b
    Examples:
      steward shore token add --role monitor --id prometheus
      steward shore token add --role purser --id head-office
    """
    with plain_errors():
        path = load(file).shore.api_tokens_file
        token, name = new_token(OsEntropy()), id_ or str(role)
        add_token(path, TokenEntry(name, Role(role), None, hash_token(token), SystemClock().now().unix_s))
        typer.echo(token)
        typer.echo(f"{path}: token {name} added. It is not shown again", err=True)


@app.command("list")
def list_(file: ConfigOption = CONFIG_DEFAULT) -> None:
    """Show whose tokens there are.

    \b
    Example:
      steward shore token list
    """
    with plain_errors():
        for entry in read_tokens(load(file).shore.api_tokens_file):
            made = f"{datetime.fromtimestamp(entry.created_s, UTC):%Y-%m-%d}"
            typer.echo(f"{entry.id}  {entry.role}  {made}")


@app.command("revoke")
def revoke(
    id_: Annotated[str, typer.Argument(metavar="ID", help="As the list shows it.")],
    file: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Take a token back. It stops working at the next call.

    \b
    Example:
      steward shore token revoke prometheus
    """
    with plain_errors():
        path = load(file).shore.api_tokens_file
        revoke_token(path, id_)
        typer.echo(f"{path}: token {id_} revoked")
