"""bandtool repl."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from typing import Annotated

import typer

from bandtool.cli_common import PortOption, plain_errors

_BOOT_S = 1.0  # from a restart until Ctrl-C is heard


def repl(
    port: PortOption,
    execute: Annotated[
        str | None, typer.Option("--exec", help="Run this and print what it prints, instead.", show_default=False)
    ] = None,
) -> None:
    """Open the prompt of a development board, by mpremote. Ctrl-] leaves it.

    A band with a production image has no prompt: this asks the band first, and
    refuses. A board without our program, but with MicroPython, is welcome.

    \b
    Examples:
      bandtool repl --port /dev/ttyUSB0
      bandtool repl --port /dev/ttyUSB0 --exec "import os; print(os.listdir())"
    """
    with plain_errors():
        import mpremote  # noqa: F401  (named here if it is not installed)

        asyncio.run(_need_prompt(port))
        # resume: nothing is started anew, so what the board does is what one sees.
        words = ["repl"] if execute is None else ["resume", "exec", execute]
        done = subprocess.run([sys.executable, "-m", "mpremote", "connect", port, *words], check=False)
        raise typer.Exit(done.returncode)


async def _need_prompt(port: str) -> None:
    """mpremote would wait for one for ever. Raises CardRefused, ReaderFault."""
    from bandtool.boards import prompt
    from steward.errors import ReaderFault

    await _need_open(port)
    if await prompt(port) is None:
        raise ReaderFault(
            f"no prompt at {port}: a production image closes it; `bandtool ports --probe` asks what it is"
        )


async def _need_open(port: str) -> None:
    """Raises CardRefused for a band whose console is closed, ReaderFault if the port cannot be opened."""
    from bandtool.boards import ASK_MAX
    from bandtool.cable import band_at
    from bandwire.about import PRODUCTION
    from steward.errors import CardRefused, CardRemoved

    with contextlib.suppress(CardRemoved):  # no band of ours answers
        async with band_at(port, ASK_MAX) as card:
            if (await card.about()).flags & PRODUCTION:
                raise CardRefused("console_closed", f"the band at {port} runs a production image: it has no prompt")
            await card.restart()
        await asyncio.sleep(_BOOT_S)
