"""`voyage`: a whole ship on one machine."""

from __future__ import annotations

import typer

from voyage.apdu import apdu
from voyage.demo import demo
from voyage.tap import tap
from voyage.tastes import tastes

app = typer.Typer(
    help="Virtual bands and readers: the band's real firmware, each on a MicroPython of its own.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("apdu")(apdu)
app.command("demo")(demo)
app.command("tap")(tap)
app.command("tastes")(tastes)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
