"""`voyage tap`: hold a crew member's or a guest's band to a handheld's reader in a running demo."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer


def tap(
    who: Annotated[str, typer.Argument(help="service, purser, safety, privacy or guest.", metavar="WHO")],
    ship: Annotated[Path, typer.Option("--ship", help="The ship's folder, as the demo prints it.", show_default=False)],
) -> None:
    """Tap a band in a running `voyage demo`, to sign in on its pages or to see a guest's card arrive.

    Open the crew page, choose the reader, tap, then type the PIN that the demo prints. In the demo's own terminal the
    keys s, p, e, o and g do the same.

    \b
    Examples:
      voyage tap service --ship /tmp/voyage-x1y2z3
      voyage tap guest --ship /tmp/voyage-x1y2z3
    """
    from voyage.byhand import FILE, call  # here, so that `voyage apdu` need not load it

    try:
        ok, said = asyncio.run(call(ship, who))
    except FileNotFoundError:
        print(f"voyage tap: {ship / FILE} is not there: name the folder of a running demo", file=sys.stderr)
        raise typer.Exit(2) from None
    except (OSError, TimeoutError, ValueError, KeyError, TypeError) as error:
        print(f"voyage tap: the demo of {ship} does not answer ({type(error).__name__}): is it up?", file=sys.stderr)
        raise typer.Exit(2) from None
    print(said, file=sys.stdout if ok else sys.stderr)
    raise typer.Exit(0 if ok else 1)
