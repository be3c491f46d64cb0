"""bandtool doctor."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from bandtool.cli_common import (
    EXIT_FAILED,
    EXIT_SET_ASIDE,
    JsonOption,
    PortOption,
    plain_errors,
    progress_bar,
    show,
    show_json,
)

if TYPE_CHECKING:
    from bandtool.doctor import Health

_HEADS = ("fault", "detail", "times", "starts", "what it is", "what may be behind it", "what to do")


def doctor(port: PortOption, as_json: JsonOption = False) -> None:
    """Say what is wrong with a band, and what to do.

    It reads the band's record of faults and has it test itself. The record holds
    numbers only: no guest, no UID, no key. It is not cleared: a fault that no
    longer comes is shown as long ago and counts no more.

    \b
    Exit code:
      0  fine
      1  do what the last line says, or no band answers
      3  set the band aside

    \b
    Example:
      bandtool doctor --port /dev/ttyUSB0
    """
    with plain_errors():
        from bandtool.faultwords import VERDICTS, Advice

        health = asyncio.run(_look(port))
    verdict = VERDICTS[health.advice]
    if as_json:
        _show_json(health, verdict)
    else:
        _show(health)
        typer.echo(f"verdict: {verdict}")
    if health.advice is not Advice.FINE:
        raise typer.Exit(EXIT_SET_ASIDE if health.advice is Advice.SET_ASIDE else EXIT_FAILED)


async def _look(port: str) -> Health:
    from bandtool.cable import band_at
    from bandtool.doctor import look

    async with band_at(port) as card:
        with progress_bar() as bar:
            task = bar.add_task("looking", total=9)
            return await look(card, lambda done: bar.update(task, completed=done))


def _show(health: Health) -> None:
    from bandtool.cli_test import table_of

    about, record = health.about, health.record
    slot = f", slot {about.slot}" if about.slot else ""
    typer.echo(f"{about.board}, firmware {about.version}{slot}; start {record.boot}, up {record.uptime_s} s")
    if not record.faults:
        typer.echo("No fault is noted.")
    else:
        table = Table(*_HEADS)
        for row in _rows(health):
            table.add_row(*row)
        show(table)
    if record.lost:
        typer.echo(f"{record.lost} older kinds of fault had to make room.")
    show(table_of(health.tests))


def _show_json(health: Health, verdict: str) -> None:
    from bandtool.cli_test import rows_of

    about, record = health.about, health.record
    band = {"board": about.board, "firmware": about.version, "slot": about.slot}
    faults = [dict(zip(_HEADS, row, strict=True)) for row in _rows(health)]
    counts = {"start": record.boot, "up_s": record.uptime_s, "lost": record.lost}
    show_json(band | counts | {"faults": faults, "parts": rows_of(health.tests), "verdict": verdict})


def _rows(health: Health) -> list[tuple[str, ...]]:
    """By _HEADS, the last fault first."""
    from bandtool.faultwords import name_of, words_of

    rows: list[tuple[str, ...]] = []
    for fault in reversed(health.record.faults):
        words = words_of(fault.code)
        starts = f"{fault.first_boot} to {fault.last_boot}" + (" (long ago)" if health.long_ago(fault) else "")
        detail = str(fault.detail) if fault.detail else ""
        do = words.do if health.counts(fault) else f"nothing yet ({words.do} from {words.often} times on)"
        if health.long_ago(fault):
            do = "nothing"
        rows.append((name_of(fault.code), detail, str(fault.count), starts, words.what, words.cause, do))
    return rows
