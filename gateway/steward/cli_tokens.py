"""`steward tokens`: who may call the gateway's API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from steward import config
from steward.adapters.system import OsEntropy, SystemClock
from steward.cli_common import ConfigOption, plain_errors
from steward.domain.ids import GuestRef
from steward.web.roles import Role
from steward.web.tokens import TokenEntry, add_token, hash_token, new_token, read_tokens, revoke_token

app = typer.Typer(
    name="tokens",
    help="Add, list and revoke the tokens that may call the API.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def add(
    role: Annotated[Role, typer.Option("--role", help="Which calls it may make.", show_default=False)],
    till: Annotated[
        str | None, typer.Option("--till", help="The till it is for; with --role till.", show_default=False)
    ] = None,
    id_: Annotated[
        str | None, typer.Option("--id", help="Its name in this list.", show_default="the role, or the till")
    ] = None,
    crew: Annotated[
        str | None,
        typer.Option(
            "--crew",
            metavar="REF",
            help="With --role purser: whose token it is, as GET /v1/crew shows them.",
            show_default="nobody's: a program",
        ),
    ] = None,
    file: ConfigOption = None,
) -> None:
    """Make a token and print it, once: only its hash is kept.

    A running gateway knows it at once. Give each till, desk and program its own, so that one can be revoked alone.
    A token with --crew is that purser, as at a handheld: above the limit of purser.second_person_above_minor only
    such a token can ask for money back, and its purser never is the second person too.

    \b
    Examples:
      steward tokens add --role till --till bar-1
      steward tokens add --role desk --id desk-2
      steward tokens add --role purser --id office-1 --crew 8f2c41d09a7be635
      steward tokens add --role monitor > /run/steward-monitor.token
    """
    with plain_errors():
        path = config.load(config.find_file(file)).gateway.api_tokens_file
        token = new_token(OsEntropy())
        name = id_ or (f"till-{till.lower()}" if till is not None else str(role))
        holder = None if crew is None else GuestRef(crew)
        add_token(path, TokenEntry(name, role, till, hash_token(token), SystemClock().now().unix_s, holder))
        typer.echo(token)
        typer.echo(f"{path}: token {name} added. It is not shown again", err=True)


@app.command("list")
def list_(file: ConfigOption = None) -> None:
    """Show whose tokens there are; the tokens themselves are not known.

    \b
    Example:
      steward tokens list
    """
    with plain_errors():
        path = config.load(config.find_file(file)).gateway.api_tokens_file
        table = Table("Id", "Role", "Till", "Crew", "Made", box=None, pad_edge=False)
        for entry in read_tokens(path):
            made = datetime.fromtimestamp(entry.created_s, UTC).strftime("%Y-%m-%d")
            table.add_row(entry.id, str(entry.role), entry.till or "", entry.crew or "", made)
        Console(soft_wrap=True).print(table)


@app.command()
def revoke(
    id_: Annotated[str, typer.Argument(metavar="ID", help="As `steward tokens list` shows it.")],
    file: ConfigOption = None,
) -> None:
    """Take a token back. It stops working at the next call.

    \b
    Example:
      steward tokens revoke till-bar-1
    """
    with plain_errors():
        path = config.load(config.find_file(file)).gateway.api_tokens_file
        revoke_token(path, id_)
        typer.echo(f"{path}: token {id_} revoked")
