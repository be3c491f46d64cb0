"""What the shore's commands share: where the settings are, and a script run on the store they name."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from steward.shore import config, parts
from steward.shore.config import ShoreConfig
from steward.shore.script import Script

T = TypeVar("T")

ConfigOption = Annotated[
    Path,
    typer.Option("--config", "-c", help="The shore's settings file."),
]
CONFIG_DEFAULT = Path(config.FILE_DEFAULT)


def load(file: Path) -> ShoreConfig:
    """Raises ConfigError."""
    return config.load(file)


def run_write(settings: ShoreConfig, script: Script[T]) -> T:
    """Run a script on the store in one transaction, beside a running service or without one. Raises StewardError."""

    async def work() -> T:
        store = await parts.open_store(settings)
        try:
            return await store.write(script)
        finally:
            await store.close()

    return asyncio.run(work())


def run_read(settings: ShoreConfig, script: Script[T]) -> T:
    """The same, for a script that only reads."""

    async def work() -> T:
        store = await parts.open_store(settings)
        try:
            return await store.read(script)
        finally:
            await store.close()

    return asyncio.run(work())
