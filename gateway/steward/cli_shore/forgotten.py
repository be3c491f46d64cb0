"""`steward shore erasures`: whom ships told this shore to forget, and whether that is done."""

from __future__ import annotations

from datetime import UTC, datetime

import typer
from rich.console import Console
from rich.table import Table

from steward.cli_common import plain_errors
from steward.cli_shore.common import CONFIG_DEFAULT, ConfigOption, load, run_read
from steward.shore.erasure import erasures
from steward.shore.ordered import WORDS, held

SHOWN_MAX = 1000


def show_erasures(file: ConfigOption = CONFIG_DEFAULT) -> None:
    """List the newest orders to forget a guest, what each emptied, when it was done, and what is not obeyed.

    A reference is a random pseudonym: of who it was nothing is left. The list is also in the file `erased` beside the
    store, so that a restored backup is emptied again: keep that file, and never put an older one back.

    \b
    Example:
      steward shore erasures --config shore/shore.toml
    """
    with plain_errors():
        table = Table("Ship", "Guest", "Part", "Certificate", "Ordered", "Events emptied", "Done", box=None)
        settings = load(file)
        found = run_read(settings, erasures(SHOWN_MAX))
        for line in found:
            done = "pending" if line.done_s is None else _when(line.done_s)
            part = "optional" if line.part == 1 else "all"
            ordered = _when(line.ordered_s)
            table.add_row(line.ship, line.ref, part, line.certificate, ordered, str(line.events), done)
        Console(soft_wrap=True).print(table)
        typer.echo(f"{sum(line.done_s is None for line in found)} pending")
        for word in run_read(settings, held(SHOWN_MAX)):
            where = f"{word.ship} {word.gateway}, event {word.seq} of epoch {word.epoch}, {_when(word.heard_s)}"
            typer.echo(f"not obeyed: {word.ref or 'nobody'} ({where}): {WORDS[word.why]}")


def _when(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M")
