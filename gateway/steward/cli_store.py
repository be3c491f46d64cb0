"""`steward migrate`, `backup` and `restore`: the database, while the gateway runs (backup) or is stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from steward import config
from steward.adapters.sqlite import backup as copies
from steward.adapters.sqlite.migrations import SEALED_VERSION, migrate_file
from steward.adapters.system import SystemClock
from steward.cli_common import ConfigOption, plain_errors
from steward.errors import StoreUnavailable
from steward.wiring import open_data_key


def migrate(file: ConfigOption = None) -> None:
    """Bring the database to this program's schema; `steward run` does it too.

    A copy of the old database is kept beside it. The gateway must be stopped.

    \b
    Example:
      steward migrate --config /etc/steward/steward.toml
    """
    with plain_errors():
        settings = config.load(config.find_file(file))
        database = settings.gateway.database
        done = migrate_file(database, open_data_key(settings, make=True))
        if done.before == done.after:
            typer.echo(f"{database}: schema version {done.after} already, nothing to do")
        else:
            kept = f"; the old one is kept as {done.kept}" if done.kept is not None else ""
            typer.echo(f"{database}: schema version {done.before} to {done.after}{kept}")
            if done.kept is not None and done.before < SEALED_VERSION:
                typer.echo(
                    f"{done.kept} holds names in clear: delete it once this version has proved itself. The first "
                    f"erasure of a guest deletes it in any case"
                )


def backup(
    out: Annotated[Path, typer.Argument(help="The file to write; an older backup of that name is replaced.")],
    file: ConfigOption = None,
    keys: Annotated[Path | None, typer.Option("--keys", help="Copy the guests' keys as well, to this file.")] = None,
) -> None:
    """Write a checked copy of the database, while the gateway runs or not.

    Keys and tokens are not in it: keep copies of those files in a safe. What is kept of guests can only be read with
    the guests' keys. --keys copies them to a file of their own, always the same one: a copy from before an erasure
    would undo it for whoever also has the data key and an old backup. Keep it apart from the backups.

    \b
    Examples:
      steward backup /mnt/usb/aurora.db
      steward backup /mnt/usb/aurora.db --keys /mnt/safe/aurora.keys
      steward backup "backup-$(date +%F).db" --config /etc/steward/steward.toml
    """
    with plain_errors():
        settings = config.load(config.find_file(file))
        database = settings.gateway.database
        if not database.exists():
            raise StoreUnavailable(f"{database} does not exist: the gateway has never run with these settings")
        with _progress() as progress:
            task = progress.add_task("Copying", total=None)
            made = copies.backup(
                database, out, progress=lambda done, total: progress.update(task, completed=done, total=total)
            )
        if keys is not None:
            copies.backup_keys(database, open_data_key(settings), keys)
            typer.echo(f"{keys}: the guests' keys as they are now; no older copy of them may be kept")
        typer.echo(f"{made.path}: {made.size_bytes} bytes, checked, up to event {made.last_seq} of epoch {made.epoch}")


def restore(
    source: Annotated[Path, typer.Argument(help="A file written by `steward backup`.")],
    file: ConfigOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    keys: Annotated[Path | None, typer.Option("--keys", help="The guests' keys, after a lost disk.")] = None,
) -> None:
    """Put a backup in the database's place. The gateway must be stopped.

    What was recorded after the backup is not in it: those charges and freezes are lost to this gateway. The replaced
    database is kept beside it. Guests who were erased since stay erased. --keys is for a machine that lost its disk:
    the copy that `steward backup --keys` made. Put the data key file back first.

    \b
    Examples:
      systemctl stop steward && steward restore /mnt/usb/aurora.db
      steward restore /mnt/usb/aurora.db --keys /mnt/safe/aurora.keys
    """
    with plain_errors():
        settings = config.load(config.find_file(file))
        database = settings.gateway.database
        if not yes and database.exists():
            typer.confirm(f"Replace {database} by {source}?", abort=True)
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if keys is not None:
            copies.restore_keys(keys, database)
        done = copies.restore(source, database, open_data_key(settings, make=True), at_s=SystemClock().now().unix_s)
        kept = f"; the replaced one is kept as {done.replaced}" if done.replaced is not None else ""
        typer.echo(f"{done.database}: restored, events go on in epoch {done.epoch}{kept}")


def _progress() -> Progress:
    """On a terminal only, and on stderr: what is said on stdout is for scripts."""
    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)
