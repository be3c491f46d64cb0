"""`preference reproduce`: one command from packages that anyone can have to the figures and their picture."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from steward.domain.lift import Estimate

if TYPE_CHECKING:
    from preference.reproduce import Clicks, Films, Offers
    from preference.train import Progress


def reproduce(
    out: Annotated[Path, typer.Option("--out", help="Folder for the packages, the trainings and the figures.")],
    coupons: Annotated[
        Path | None,
        typer.Option("--coupons", help="The in-vehicle coupons too: their .csv or .csv.gz.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1)] = 0,
    threads: Annotated[int, typer.Option("--threads", min=1, max=64)] = 1,
) -> None:
    """Make the figures of public sets again: MovieLens 100K, and the Open Bandit sample.

    Both lie inside packages, recbole 1.2.1 and obp 0.4.1, that pip fetches; they are read and not installed. Films are
    ranked leave one out, all of them, what was seen masked; policies are valued on logged rounds by IPS, SNIPS and
    doubly robust. Coupons offered in a car are in no package: --coupons adds them. Stopped? The same command goes on.
    Mind the sets' licences: a model made of them must not be shipped.

    \b
    Examples:
      preference reproduce --out figures
      preference reproduce --out figures --coupons in-vehicle-coupon-recommendation.csv.gz
    """
    from preference import plots_reproduced
    from preference.reproduce import FIGURES_FILE, PICTURE_FILE, Plan
    from preference.reproduce import reproduce as run
    from preference.tensors import set_up

    set_up(threads)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    began = time.monotonic()
    with Bar(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=None)

        def tell(name: str, done: Progress) -> None:
            told = f"{name}: epoch {done.epoch + 1}  loss {done.loss:.4f}  best {done.figure:.4f}"
            bar.update(task, completed=done.step, total=done.steps, description=told)

        found = run(replace(Plan(), seed=seed), out, bar.console.print, tell, coupons)
    plots_reproduced.draw(found, out / PICTURE_FILE)
    offers = () if found.offers is None else (offers_table(found.offers),)
    for table in (films_table(found.films), clicks_table(found.clicks), *offers):
        Console().print(table)
    typer.echo(f"{out / FIGURES_FILE} and {out / PICTURE_FILE}, {time.monotonic() - began:.0f} s")


def films_table(films: Films) -> Table:
    metrics = list(films.ahead)
    table = Table(f"ml-100k, {films.cases} cases", *metrics, box=None)
    for name, row in films.rankings.items():
        table.add_row(name, *(str(row[metric]) for metric in metrics))
    table.add_row(f"int8 ahead of {films.best_peer}", *(str(films.ahead[metric]) for metric in metrics))
    return table


def clicks_table(clicks: Clicks) -> Table:
    table = Table(f"open bandit, clicks in 1000 of {clicks.rounds} rounds", "IPS", "SNIPS", "doubly robust", box=None)
    for name, each in clicks.policies.items():
        table.add_row(name, *map(_thousand, (each.ips, each.snips, each.doubly_robust)))
    for name, one in clicks.observed.items():
        table.add_row(f"{name}, as it was observed", _thousand(one), "", "")
    check = clicks.check
    table.add_row("anything, of the Thompson log", *map(_thousand, (check.ips, check.snips, check.doubly_robust)))
    return table


def offers_table(offers: Offers) -> Table:
    table = Table(f"coupons, {offers.offers} offers to {offers.guests} people", "AUC", "int8 ahead of it", box=None)
    for name, figure in offers.forecasts.items():
        table.add_row(name, str(figure), str(offers.ahead.get(name, "")))
    return table


def _thousand(one: Estimate) -> str:
    return f"{1000 * one.value:.2f} [{1000 * one.low:.2f}, {1000 * one.high:.2f}], {one.effective:.0f} effective"
