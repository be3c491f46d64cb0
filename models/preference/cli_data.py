"""`preference data`: a source to a prepared set."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from preference import sets
from preference.deeds import ship_days
from preference.errors import BadData
from preference.importers import IMPORTERS


class Source(StrEnum):
    DEEDS = "deeds"
    VERONACARD = "veronacard"
    ML1M = "ml-1m"
    ML100K = "ml-100k"
    COUPON = "coupon"


def data(
    source: Annotated[Source, typer.Argument(help="What the file is.")],
    path: Annotated[Path, typer.Argument(help="The file: .jsonl of deeds, .npz, .csv or .whl of a public set.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the prepared set; it must not exist yet.")],
    catalogue: Annotated[
        Path | None,
        typer.Option("--catalogue", help="Of deeds: the catalogue they are about, JSON.", show_default=False),
    ] = None,
    groups: Annotated[
        Path | None,
        typer.Option("--groups", help="Of made-up deeds: who is of which group, to measure by.", show_default=False),
    ] = None,
) -> None:
    """Read a source, split it by time and by guest, and write it in the one form that training takes.

    Deeds are what `steward events export --deeds` writes on a gateway (consented guests only) and what `voyage tastes`
    makes up. The public sets are not part of this program: get them from their owners, and mind their licences - a
    model made of a set for research only must not be shipped.

    \b
    Examples:
      preference data deeds deeds.jsonl --catalogue catalogue.json --out ship
      preference data veronacard veronacard.npz --out verona
      preference data ml-100k recbole-1.2.1-py3-none-any.whl --out ml-100k
      preference data coupon in-vehicle-coupon-recommendation.csv.gz --out coupon
    """
    if out.exists():
        raise BadData(out, 0, "is there already: give another --out, or remove it")
    if (source is Source.DEEDS) != (catalogue is not None):
        raise typer.BadParameter("deeds need --catalogue, and nothing else takes it")
    if groups is not None and source is not Source.DEEDS:
        raise typer.BadParameter("--groups are of deeds only")
    prepared = ship_days(path, catalogue, groups) if catalogue is not None else IMPORTERS[source](path)
    sets.save(prepared, out)
    about = prepared.about
    typer.echo(f"{about.name}: {about.count} items, features {about.features_id[:12]}, licence: {about.licence}")
    for part, held in prepared.parts.items():
        answered = int(((held.offered > 0) & (held.took >= 0)).sum())
        typer.echo(f"  {part:5}  {len(held):7} windows  {int((held.target > 0).sum()):8} to rank  {answered:7} offers")
