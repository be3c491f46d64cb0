"""`preference`: from data to a model file and its card, on a laptop's processor."""

from __future__ import annotations

import sys

import typer

from preference.cli_data import data
from preference.cli_model import card, evaluate, quantise, train
from preference.cli_reproduce import reproduce
from preference.errors import PreferenceError

app = typer.Typer(
    help="What guests like, learnt from what they did: data, train, quantise, evaluate, card - in this order.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (data, train, quantise, evaluate, card, reproduce):
    app.command(command.__name__)(command)


def main() -> None:
    try:
        app()
    except PreferenceError as error:
        typer.echo(f"preference: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
