"""bandtool flash."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandtool.cli_common import EXIT_SET_ASIDE, PortOption, plain_errors, progress_bar
from bandtool.cli_image import PublicOption

if TYPE_CHECKING:
    from bandtool.config import StationSettings
    from bandtool.flash import Chip
    from bandtool.flashing import FlashOrder

_LIMITS = """Its prompt is closed. Its chip is not: whoever opens the band can read the flash
through the ROM's own bootloader. On chips of revision 3 and later two fuses shut
that for good; such a band takes signed updates and is never flashed again:
  espefuse --port {port} burn-efuse UART_DOWNLOAD_DIS 1 JTAG_DISABLE 1
The README's known limits say what that leaves open."""


def flash(
    port: PortOption,
    image: Annotated[Path, typer.Option("--image", help="From `bandtool image build`.", show_default=False)],
    base: Annotated[Path, typer.Option("--base", help="MicroPython's .bin for ESP32 boards.", show_default=False)],
    folder: Annotated[
        Path | None, typer.Option("--dir", help="The station's folder, from `bandtool init`.", show_default=False)
    ] = None,
    public: PublicOption = None,
    base_sha256: Annotated[
        str | None,
        typer.Option("--base-sha256", help="Of the base firmware, if the image does not pin it.", show_default=False),
    ] = None,
    development: Annotated[bool, typer.Option("--development", help="Take a development image.")] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Even a band that this station has finished. Its keys are lost, and no station keys its UID again: "
            "for a board that goes back to its developers.",
        ),
    ] = False,
) -> None:
    """Write MicroPython and the band's image to one board.

    The image is checked first: signature, every hash, every file. The chip is
    asked for its address, and the band's own secret goes into its image; nothing
    of that is written to this machine's disk. What is in the chip afterwards is
    compared by its MD5. A board that was cut off starts nothing, and is simply
    flashed again.

    \b
    Exit code:
      0  the board is flashed, and holds every byte
      1  do what the line says, then try again: no bootloader answers, the cable
         was pulled, the image is not in order
      2  an option or the station's settings cannot work
      3  set the board aside: the line says why

    \b
    Examples:
      bandtool flash --port /dev/ttyUSB0 --image build --base ESP32_GENERIC.bin --dir bench
      bandtool flash --port /dev/ttyUSB0 --image build --base ESP32_GENERIC.bin --development
    """
    with plain_errors("a board that was being written starts nothing: flash it again"):
        from bandtool import config, flashing
        from bandtool.manifest import public_key
        from steward.errors import CardRefused

        settings = None if folder is None else config.load(folder)
        key = None if public is None else public_key("--public", public)
        if key is None and settings is not None:
            key = settings.release_key
        work = flashing.order(image, base, public=key, base_sha256=base_sha256, development=development)
        try:
            done = asyncio.run(_flashed(work, settings, port, again))
        except CardRefused as error:
            typer.echo(f"bandtool: set aside: {error}", err=True)
            raise typer.Exit(EXIT_SET_ASIDE) from None
        said = work.image.manifest
        typer.echo(f"{done.uid.hex().upper()}: release {said.number}, version {said.version}")
        if said.production:
            typer.echo(_LIMITS.format(port=port))


async def _flashed(work: FlashOrder, settings: StationSettings | None, port: str, again: bool) -> Chip:
    from bandtool.flashing import FlashBench, flash_board
    from bandtool.journal import BenchJournal
    from bandtool.stationkeys import load_enrolment
    from steward.adapters.aes import HostAes
    from steward.adapters.system import SystemClock

    with progress_bar() as bar:
        task = bar.add_task(port, total=100)
        step = lambda percent: bar.update(task, completed=percent)  # noqa: E731
        if settings is None:
            return await flash_board(work, FlashBench(None, SystemClock(), None), port, step, again=again)
        enrolment = load_enrolment(settings.enrolment, settings.secret(), HostAes())
        journal = await BenchJournal.open(settings.journal)
        try:
            bench = FlashBench(journal, SystemClock(), enrolment.file)
            return await flash_board(work, bench, port, step, again=again)
        finally:
            await journal.close()
