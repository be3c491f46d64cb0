"""`voyage tastes`: made-up days to train a preference model on, in the format of `steward events export`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from steward.adapters.deedfiles import check_new, write_catalogue, write_deeds
from steward.domain.pastexport import DeedLine
from steward.errors import StewardError
from voyage.ship import SHIP
from voyage.taste_check import Figures, cases_of, check
from voyage.taste_days import DAY, SOURCE, Stay, make_stays
from voyage.taste_world import World, make_world

GUESTS_DEFAULT, GUESTS_MAX = 2000, 200_000
CHECKED_MAX = 3000  # guests, whose true chances are held in memory


def tastes(
    deeds: Annotated[
        Path | None, typer.Option("--deeds", help="The file to write the deeds to.", show_default=False)
    ] = None,
    catalogue: Annotated[
        Path | None, typer.Option("--catalogue", help="Write the catalogue there.", show_default=False)
    ] = None,
    guests: Annotated[
        int, typer.Option("--guests", min=1, max=GUESTS_MAX, help="How many, each for one voyage of 4 to 14 nights.")
    ] = GUESTS_DEFAULT,
    seed: Annotated[int, typer.Option("--seed", help="Another seed is another ship with other guests.")] = 1,
    figures: Annotated[
        bool,
        typer.Option("--check", help=f"Measure plain rankers on these days, of at most {CHECKED_MAX} guests."),
    ] = False,
) -> None:
    """Make up days of guests with tastes: what they did hour by hour, and how they answered offers.

    Nothing in it is measured and nobody in it exists. It is there so that a model has something to learn from before a
    ship has days of its own, and so that a trainer can be tried where the truth is known. Every number that went in is
    in the modules taste_world, taste_guests and taste_days, with what it is for.

    The files are those of `steward events export`. With --check, rankers of growing wit are measured on guests that
    they were not trained on, beside the oracle, which knows every taste and every true chance: no model can do better.

    \b
    Examples:
      voyage tastes --deeds deeds.jsonl --catalogue catalogue.json
      voyage tastes --deeds large.jsonl --guests 13000 --seed 7
      voyage tastes --check
    """
    if deeds is None and not figures:
        raise typer.BadParameter("say where to write them (--deeds FILE), or ask for figures (--check)")
    world = make_world(seed)
    try:
        for path in (deeds, catalogue):
            if path is not None:
                check_new(path)
        if deeds is not None:
            lines = _lines(world, seed, guests)
            header = write_deeds(deeds, SHIP, f"{SOURCE}, seed {seed}", DAY, lines, made_up=True)
            typer.echo(f"{deeds}: {header.deeds} deeds of {header.guests} made-up guests")
        if catalogue is not None:
            write_catalogue(catalogue, world.items)
    except StewardError as error:
        typer.echo(f"voyage: {error.code}: {error}", err=True)
        raise typer.Exit(1) from None
    if figures:
        _show(world, seed, min(guests, CHECKED_MAX))


def _lines(world: World, seed: int, guests: int) -> Iterator[DeedLine]:
    for stay in _with_bar(make_stays(world, seed, guests), guests):
        yield from stay.deeds


def _with_bar(stays: Iterator[Stay], guests: int) -> Iterator[Stay]:
    """On a terminal only, and on stderr."""
    console = Console(stderr=True)
    columns = (TextColumn("guests"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield from progress.track(stays, total=guests)


def _show(world: World, seed: int, guests: int) -> None:
    stays = _with_bar(islice(make_stays(world, seed, guests), guests), guests)
    places = {item_id: place for place, item_id in enumerate(world.ids)}
    found = check(cases_of(stays, places), len(world.items))
    for way, says in (
        ("new", "the next thing not had before, had ones masked"),
        ("all", "the next thing, repeats too"),
    ):
        typer.echo(f"\n{says}: {found[way][0].cases} cases of guests not trained on, {len(world.items)} items")
        Console().print(_table(found[way]))


def _table(figures: list[Figures]) -> Table:
    table = Table("Ranker", "HR@1", "HR@3", "NDCG@5", "MRR", box=None, pad_edge=False)
    for each in figures:
        ndcg5 = f"{each.ndcg5:.3f} ± {each.ndcg5_half:.3f}"
        table.add_row(each.ranker, f"{each.hr1:.3f}", f"{each.hr3:.3f}", ndcg5, f"{each.mrr:.3f}")
    return table
