"""`steward shore narrow`: old events ashore, brought down to what shore may see."""

from __future__ import annotations

import asyncio

import typer

from steward.cli_common import plain_errors
from steward.cli_shore.common import CONFIG_DEFAULT, ConfigOption, load
from steward.domain.recipients import Projection
from steward.domain.usecases import REGISTER
from steward.shore import parts
from steward.shore.config import ShoreConfig
from steward.shore.narrowing import Narrowed
from steward.shore.narrowing import narrow as narrow_store


def narrow(file: ConfigOption = CONFIG_DEFAULT) -> None:
    """Take out of the events ashore what gateways of older versions sent and shore has no use for.

    Run it once, when every gateway runs this version: an older one that compares its log with shore's would report a
    difference. Numbers, types and times stay. The service may be running; doing it again changes nothing. Backups made
    before still hold everything: make a new one and destroy those.

    \b
    Example:
      steward shore narrow --config shore/shore.toml
    """
    with plain_errors():
        done = asyncio.run(_narrow(load(file)))
        typer.echo(f"{done.changed} of {done.events} events said more than shore may see, and do no longer")


async def _narrow(settings: ShoreConfig) -> Narrowed:
    store = await parts.open_store(settings)
    try:
        return await narrow_store(store, Projection.by(REGISTER.shore_fields))
    finally:
        await store.close()
