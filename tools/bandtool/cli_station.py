"""bandtool station and bandtool report."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandtool.cli_common import EXIT_FAILED, DirOption, plain_errors
from steward.errors import ConfigError

if TYPE_CHECKING:
    from bandtool.config import StationSettings
    from bandtool.flashing import FlashOrder

AT_ONCE_MAX = 64
_NONE = "none"

OutOption = Annotated[
    Path | None, typer.Option("--out", help="The report's file.", show_default="NAME-report.json in --dir")
]


def station(
    folder: DirOption,
    ports: Annotated[str, typer.Option("--ports", help="auto, none, or names with commas between.")] = "auto",
    reader: Annotated[
        str | None,
        typer.Option("--reader", help="A PC/SC reader for passive wristbands: auto, or its name.", show_default=False),
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option("--image", help="Flash boards without a program: from `image build`.", show_default=False),
    ] = None,
    base: Annotated[
        Path | None, typer.Option("--base", help="With --image: MicroPython's .bin.", show_default=False)
    ] = None,
    at_once: Annotated[int, typer.Option("--at-once", min=1, max=AT_ONCE_MAX, help="Bands in work at once.")] = 16,
    goal: Annotated[
        int | None,
        typer.Option("--goal", min=1, help="How many to make: shows what is left.", show_default=False),
    ] = None,
    out: OutOption = None,
) -> None:
    """Make all bands that are plugged in, many at once.

    Each is flashed if it has no program, keyed, proven and tested.
    Plug bands in as fast as you like, and take those out that say DONE. One bell
    is a band done, three are one to set aside: the table says why. A band that
    was pulled too soon is gone on with when it comes back, at any port. Ends with
    q or Ctrl-C, when what is begun is finished; then a signed report is written.
    It needs no network. Every serial port on USB is asked with --ports auto: name
    the ports if other things are plugged in.

    \b
    Examples:
      bandtool station --dir bench
      bandtool station --dir bench --image build --base ESP32_GENERIC.bin --goal 800
      bandtool station --dir bench --ports none --reader auto
    """
    with plain_errors("no band was begun"):
        from bandtool.config import load
        from bandtool.running import StationPlan, run_station
        from bandtool.station import StationLimits

        settings = load(folder)
        named = [] if ports == _NONE else [name for name in ports.split(",") if name]
        if not named and reader is None:
            raise ConfigError("--ports", "names none, and there is no --reader: nothing could be plugged in")
        plan = StationPlan(named, reader, StationLimits(at_once=at_once), _order(settings, image, base), goal)
        try:
            asyncio.run(run_station(settings, plan, _out(settings, out), typer.echo))
        except asyncio.CancelledError:
            typer.echo("bandtool: ended at once: what was begun is in the journal, plug it in again", err=True)
            raise typer.Exit(EXIT_FAILED) from None


def report(folder: DirOption, out: OutOption = None) -> None:
    """Write the signed report of all bands, and a CSV.

    Check-in imports it: steward import bands. It holds no key and nobody's name.

    \b
    Example:
      bandtool report --dir bench --out bench-1.json
    """
    with plain_errors():
        from bandtool.config import load
        from bandtool.running import report_now

        settings = load(folder)
        typer.echo(asyncio.run(report_now(settings, _out(settings, out))))


def _out(settings: StationSettings, out: Path | None) -> Path:
    return out or settings.folder / f"{settings.name}-report.json"


def _order(settings: StationSettings, image: Path | None, base: Path | None) -> FlashOrder | None:
    from bandtool.flashing import order

    if image is None and base is None:
        return None
    if image is None or base is None:
        raise ConfigError("--image", "and --base belong together: give both")
    return order(image, base, public=settings.release_key, base_sha256=None, development=settings.development)
