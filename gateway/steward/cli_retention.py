"""`steward privacy retention`: what is over, by the register; shown, or deleted at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from steward import config
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.system import SystemClock
from steward.cli_common import ConfigOption, plain_errors
from steward.config import Config
from steward.domain.retention import Passage
from steward.errors import StoreUnavailable
from steward.services.clockmark import last_time
from steward.services.retention import Due
from steward.wiring import make_retention, open_data_key


def retention(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be deleted.")] = False,
    file: ConfigOption = None,
) -> None:
    """Delete what the register says is over; a running gateway does so by itself, every few minutes.

    The gateway must be stopped. A clock that has jumped ahead deletes nothing: `steward confirm-clock` first. What was
    deleted by which rule is on the privacy officer's page, and in the log.

    \b
    Examples:
      steward privacy retention --dry-run
      steward privacy retention --config /etc/steward/steward.toml
    """
    with plain_errors():
        settings = config.load(config.find_file(file))
        passage, due, swept = asyncio.run(_sweep(settings, dry_run=dry_run))
        at = f"{datetime.fromtimestamp(passage.mark_s, UTC):%Y-%m-%d %H:%M} UTC"
        if passage.waits_s is not None:
            typer.echo(f"The clock is days ahead of {at}. If it is right, run `steward confirm-clock`", err=True)
        if due:
            Console(soft_wrap=True).print(_table(due))
        else:
            typer.echo(f"Nothing is over, as of {at}")
        if not dry_run:
            typer.echo(f"{swept} rows deleted or made unreadable")


async def _sweep(settings: Config, *, dry_run: bool) -> tuple[Passage, list[Due], int]:
    database = settings.gateway.database
    if not database.exists():
        raise StoreUnavailable(f"{database} does not exist: the gateway has never run with these settings")
    store = SqliteStore.open(database, open_data_key(settings))
    try:
        clock = SystemClock(high_water_s=await store.read(last_time))
        service = make_retention(settings, store, clock)
        passage, due = await service.due()
        return passage, due, 0 if dry_run else await service.sweep()
    finally:
        await store.close()


def _table(due: list[Due]) -> Table:
    table = Table("Rule", "Number", "Older than", "", box=None, pad_edge=False)
    for row in due:
        before = f"{datetime.fromtimestamp(row.before_s, UTC):%Y-%m-%d}"
        table.add_row(row.rule, str(row.count), before, "some waits for the link" if row.held else "")
    return table
