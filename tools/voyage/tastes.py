"""`voyage tastes`: made-up days to train a preference model on, in the format of `steward events export`."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
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
from voyage.taste_check import Figures, Fit, cases_of, check
from voyage.taste_days import DAY, SOURCE, Stay, make_fleet, make_stays
from voyage.taste_guests import Person
from voyage.taste_model import model_ranker
from voyage.taste_world import World, make_world

GUESTS_DEFAULT, GUESTS_MAX = 2000, 200_000
SHIPS_MAX = 100
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
    groups: Annotated[
        Path | None,
        typer.Option("--groups", help="Write age, language and company of each guest there.", show_default=False),
    ] = None,
    ships: Annotated[
        int, typer.Option("--ships", min=1, max=SHIPS_MAX, help="So many ships, one after another, --guests on each.")
    ] = 1,
    seed: Annotated[int, typer.Option("--seed", help="Another seed is another ship with other guests.")] = 1,
    figures: Annotated[
        bool,
        typer.Option("--check", help=f"Measure plain rankers on these days, of at most {CHECKED_MAX} guests."),
    ] = False,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="With --check: this NAME.model too, as a gateway runs it.", show_default=False),
    ] = None,
) -> None:
    """Make up days of guests with tastes: what they did hour by hour, and how they answered offers.

    Nothing in it is measured and nobody in it exists. It is there so that a model has something to learn from before a
    ship has days of its own, and so that a trainer can be tried where the truth is known. Every number that went in is
    in the modules taste_world, taste_guests and taste_days, with what it is for.

    The files are those of `steward events export`. What they do not tell, --groups does, to measure by: which guest is
    of which age, language and company. With --ships, ships of seeds SEED, SEED+1, ... follow one another, so that a set
    split by time is measured on ships that nothing was learnt from.

    With --check, rankers of growing wit are measured on guests that they were not trained on, beside the oracle, which
    knows every taste and every true chance: no model can do better. A model has seen nothing of this ship, and the
    plain rankers its first guests; but it is told where the guest stands, as on a gateway, and they and the oracle are
    not: what can be compared with it are the figures of one outlet.

    \b
    Examples:
      voyage tastes --deeds deeds.jsonl --catalogue catalogue.json
      voyage tastes --deeds large.jsonl --guests 13000 --seed 7
      voyage tastes --deeds fleet.jsonl --catalogue catalogue.json --groups groups.csv --ships 10 --guests 600
      voyage tastes --check
      voyage tastes --check --guests 600 --seed 90001 --model gateway/steward/starter/starter.model
    """
    if deeds is None and not figures:
        raise typer.BadParameter("say where to write them (--deeds FILE), or ask for figures (--check)")
    if model is not None and not figures:
        raise typer.BadParameter("--model is to be measured: give --check too")
    if groups is not None and deeds is None:
        raise typer.BadParameter("--groups are of the guests in --deeds FILE: give both")
    world = make_world(seed)
    people: dict[str, Person] = {}
    try:
        for path in (deeds, catalogue, groups):
            if path is not None:
                check_new(path)
        if deeds is not None:
            lines = _lines(_with_bar(make_fleet(seed, ships, guests), ships * guests), people)
            header = write_deeds(deeds, SHIP, _source(seed, ships), DAY, lines, made_up=True)
            typer.echo(f"{deeds}: {header.deeds} deeds of {header.guests} made-up guests")
        if groups is not None:
            _write_groups(groups, people)
        if catalogue is not None:
            write_catalogue(catalogue, world.items)
        more = {} if model is None else {"this model": model_ranker(model, world)}
    except StewardError as error:
        typer.echo(f"voyage: {error.code}: {error}", err=True)
        raise typer.Exit(1) from None
    if figures:
        _show(world, seed, min(guests, CHECKED_MAX), more)


def _lines(stays: Iterator[Stay], people: dict[str, Person]) -> Iterator[DeedLine]:
    """The deeds; whose they are is put into `people`."""
    for stay in stays:
        people[stay.guest] = stay.person
        yield from stay.deeds


def _source(seed: int, ships: int) -> str:
    return f"{SOURCE}, seed {seed}" if ships == 1 else f"{SOURCE}, {ships} ships of seeds {seed} to {seed + ships - 1}"


def _write_groups(path: Path, people: dict[str, Person]) -> None:
    with path.open("x", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("guest", "age", "language", "company"))
        rows.writerows((guest, each.age, each.language, each.company) for guest, each in people.items())


def _with_bar(stays: Iterator[Stay], guests: int) -> Iterator[Stay]:
    """On a terminal only, and on stderr."""
    console = Console(stderr=True)
    columns = (TextColumn("guests"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield from progress.track(stays, total=guests)


def _show(world: World, seed: int, guests: int, more: Mapping[str, Fit]) -> None:
    stays = _with_bar(islice(make_stays(world, seed, guests), guests), guests)
    found = check(cases_of(stays, world.items), len(world.items), more)
    for way, says in (
        ("new", "the next thing not had before, had ones masked"),
        ("all", "the next thing, repeats too"),
        ("here", "the next thing among what the outlet has then, repeats too"),
    ):
        typer.echo(f"\n{says}: {found[way][0].cases} cases of guests not trained on, {len(world.items)} items")
        Console().print(_table(found[way]))


def _table(figures: list[Figures]) -> Table:
    table = Table("Ranker", "HR@1", "HR@3", "NDCG@5", "MRR", box=None, pad_edge=False)
    for each in figures:
        ndcg5 = f"{each.ndcg5:.3f} ± {each.ndcg5_half:.3f}"
        table.add_row(each.ranker, f"{each.hr1:.3f}", f"{each.hr3:.3f}", ndcg5, f"{each.mrr:.3f}")
    return table
