"""`steward shore backup`, `restore` and `restored`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steward.adapters.sqlite.lock import DatabaseLock
from steward.adapters.system import OsEntropy
from steward.cli_common import plain_errors
from steward.cli_shore.common import CONFIG_DEFAULT, ConfigOption, load, run_write
from steward.errors import ConfigError
from steward.shore import backup as copying
from steward.shore import parts
from steward.shore.config import ShoreConfig
from steward.shore.registry import BOOT_BYTES, renew_boot


def backup(
    out: Annotated[Path, typer.Argument(help="The file to write; an older backup of that name is replaced.")],
    file: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Write a checked copy of the SQLite store, while the service runs or not.

    The signing key is not in it: keep a copy of shore-key.sealed and its passphrase in two safes.

    \b
    Example:
      steward shore backup "/mnt/backup/shore-$(date +%F).db"
    """
    with plain_errors():
        settings = load(file)
        _only_sqlite(settings, "pg_dump")
        made = copying.backup(settings.shore.database, out)
        typer.echo(f"{made.path}: {made.size_bytes} bytes, checked, {made.events} events")


def restore(
    source: Annotated[Path, typer.Argument(help="A file written by `steward shore backup`.")],
    file: ConfigOption = CONFIG_DEFAULT,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Put a backup in the store's place. The service must be stopped.

    Gateways see that it is another store and send again what came after the backup. Decisions made after it are
    not in it: make them again. The replaced contents are kept beside the database.

    \b
    Example:
      systemctl stop steward-shore && steward shore restore /mnt/backup/shore.db
    """
    with plain_errors():
        settings = load(file)
        _only_sqlite(settings, "pg_restore, then `steward shore restored`")
        parts.make_folder(settings)
        lock = DatabaseLock(settings.shore.data_dir / "shore")
        try:
            if not yes and settings.shore.database.exists():
                typer.confirm(f"Replace {settings.shore.database} by {source}?", abort=True)
            kept = copying.restore(source, settings.shore.database, OsEntropy().token_bytes(BOOT_BYTES))
        finally:
            lock.release()
        typer.echo(f"{settings.shore.database}: restored; the replaced one is kept as {kept}")


def restored(file: ConfigOption = CONFIG_DEFAULT) -> None:
    """Say that the database was put back by other tools, such as pg_restore or a snapshot.

    It gets another name, by which gateways know to send again what it may have forgotten. Harmless at any time.

    \b
    Example:
      pg_restore --clean -d fleet fleet.dump && steward shore restored
    """
    with plain_errors():
        run_write(load(file), renew_boot(OsEntropy().token_bytes(BOOT_BYTES)))
        typer.echo("gateways will send again whatever this store does not have")


def _only_sqlite(settings: ShoreConfig, other: str) -> None:
    if settings.store.url is not None:
        raise ConfigError(f"{settings.file}: [store] url", f"names PostgreSQL: use its own tools, {other}")
