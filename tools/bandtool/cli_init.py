"""bandtool init."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandtool.cli_common import plain_errors


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The station's folder; it must not be there yet.")],
    name: Annotated[str, typer.Option("--name", help="What this bench is called in its reports.")] = "bench-1",
    guest_url: Annotated[
        str, typer.Option("--guest-url", help="As guest_url of the ship's gateways, without https://.")
    ] = "ship.example/t",
    credential: Annotated[
        str | None,
        typer.Option("--credential", help="A systemd credential that opens its files.", show_default=False),
    ] = None,
) -> None:
    """Make a station: settings, journal and two keys.

    \b
    station.toml         settings, with a word on each
    passphrase           opens the sealed files; none with --credential
    station-key.sealed   signs this bench's reports
    enrolment.sealed     makes the secret a band is born with when it is flashed.
                         Another station cannot key such a band, and whoever
                         listens on the cable learns nothing
    station.db           the journal: what was begun and finished. Copy it often:
                         without it this bench cannot tell a finished band from
                         a copy, and does not start

    What is there is never overwritten. The ship's keys come from its key
    authority, and are the last thing to bring:

    \b
    Example:
      bandtool init bench
      steward keys export --file keys.sealed --role station \\
        --out bench/keys.sealed --out-passphrase-file bench/passphrase
      bandtool provision --port /dev/ttyUSB0 --dir bench
    """
    with plain_errors():
        from bandtool.setup import new_station
        from steward.adapters.system import OsEntropy

        made = new_station(folder, name, guest_url, credential, OsEntropy())
        typer.echo(f"{made.folder}: made for {made.name}. Now bring its keys: steward keys export --role station")
