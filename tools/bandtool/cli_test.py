"""bandtool test."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from bandtool.cli_common import EXIT_SET_ASIDE, JsonOption, PortOption, plain_errors, progress_bar, show, show_json

if TYPE_CHECKING:
    from bandtool.selftest import Result

_HEADS = ("part", "outcome", "measured", "fault", "what to do")


def try_parts(
    port: PortOption,
    hands: Annotated[bool, typer.Option("--hands", help="Ask what you see and feel, and for a press.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Have a band try its own parts, one by one.

    They are flash, memory, NFC chip, radio, battery, light, haptics, clock and
    button. Light, haptics and the button take your eyes and hands. Without --hands they
    are `not judged`, which is not the same as passed.

    \b
    Exit code:
      0  nothing that was judged failed
      1  no band answers, or the cable was pulled
      3  a part failed: the line says what to do

    \b
    Examples:
      bandtool test --port /dev/ttyUSB0
      bandtool test --port /dev/ttyUSB0 --hands
    """
    with plain_errors():
        from bandtool.selftest import passed

        results = asyncio.run(_test(port, hands))
    show_json(rows_of(results)) if as_json else show(table_of(results))
    if not passed(results):
        raise typer.Exit(EXIT_SET_ASIDE)


def rows_of(results: list[Result]) -> list[dict[str, str]]:
    from bandtool.faultwords import name_of, words_of

    rows = []
    for result in results:
        wrong = (name_of(result.code), words_of(result.code).do) if result.code else ("", "")
        told = (result.name, result.state.value.replace("_", " "), result.said, *wrong)
        rows.append(dict(zip(_HEADS, told, strict=True)))
    return rows


def table_of(results: list[Result]) -> Table:
    table = Table(*_HEADS)
    for row in rows_of(results):
        table.add_row(*row.values())
    return table


async def _test(port: str, hands: bool) -> list[Result]:
    from bandtool.cable import band_at
    from bandtool.selftest import run

    async with band_at(port) as card:
        if hands:
            return await run(card, _Technician())
        with progress_bar() as bar:
            task = bar.add_task("testing", total=9)
            return await run(card, None, lambda done: bar.update(task, completed=done))


class _Technician:
    def sees(self, question: str) -> bool:
        return typer.confirm(question, default=None)

    def told(self, line: str) -> None:
        typer.echo(line)
