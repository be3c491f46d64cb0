"""bandtool update."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from bandtool.cli_common import EXIT_FAILED, PortOption, plain_errors, progress_bar


def update(
    port: PortOption,
    release: Annotated[Path, typer.Option("--release", help="From `bandtool release build`.", show_default=False)],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Until the band has tried it and kept it.")] = True,
) -> None:
    """Bring a release to a band on a cable.

    It goes on where it was: plug the cable in again, or run it again. The band
    tries the new program once and keeps it after a minute without a fault;
    else it goes back to the old one by itself.

    \b
    Example:
      bandtool update --port /dev/ttyUSB0 --release band-7.release
    """
    with plain_errors("the band keeps what it has: run this again and it goes on"):
        kept = asyncio.run(_update(port, release, wait))
        if kept is False:
            typer.echo("bandtool: the band tried the new program and went back to the old one", err=True)
            raise typer.Exit(EXIT_FAILED)
        typer.echo("the band runs the new program" if kept else "the band has it, and tries it now")


async def _update(port: str, path: Path, wait: bool) -> bool | None:
    from bandtool.cable import band_at
    from bandtool.release import read
    from bandtool.update import bring, tried

    release = read(path)
    with progress_bar() as bar:
        task = bar.add_task(f"release {release.number}", total=len(release.content))
        await bring(lambda: band_at(port), release, lambda done: bar.update(task, completed=done))
        if not wait:
            return None
        bar.update(task, description="on trial", completed=len(release.content))
        return await tried(lambda: band_at(port, reset=False), release.number)
