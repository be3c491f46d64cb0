"""The model's card: what it is, of what it was made, how good it is, for whom less so, and what it is not for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from preference.evaluate import Evaluation, Forecasting, Ranking
from preference.plots import draw
from steward.domain.modelfile import Manifest

CARD_FILE = "CARD.md"
_GAP_TOLD = 0.05  # of NDCG@5 or AUC between groups, from which on the card says it in words
_METRICS = ("HR@1", "HR@3", "NDCG@5", "HR@10", "NDCG@10", "MRR")


def write(folder: Path, manifest: Manifest, found: Evaluation, recipe: str) -> Path:
    """CARD.md and its pictures in `folder`. recipe: how it was trained, in one line."""
    pictures = draw(found, folder)
    path = folder / CARD_FILE
    path.write_text("\n".join(_lines(manifest, found, recipe, pictures)) + "\n", encoding="utf-8")
    return path


def _lines(manifest: Manifest, found: Evaluation, recipe: str, pictures: list[tuple[str, Path]]) -> Iterator[str]:
    yield f"# Preference model {manifest.version}"
    yield ""
    yield f"**For**: {manifest.purpose}."
    yield ""
    yield f"- Made of: {manifest.data}"
    yield f"- Licence of the data: {manifest.licence}"
    yield f"- Trained: {recipe}"
    yield f"- Catalogue: {len(manifest.items)} items; history of {manifest.shape.history}"
    yield f"- Features: `{manifest.features_id[:16]}`; a gateway with others refuses it"
    yield f"- int8 network: SHA-256 `{manifest.network_sha256}`"
    yield f"- Made from float: SHA-256 `{manifest.float_sha256}`"
    yield f"- Same bits in both runtimes: {'yes' if manifest.portable else 'no; for measuring, not for a gateway'}"
    yield ""
    yield f"## Measured on `{found.set_name}`, part `{found.part}`"
    yield ""
    yield (
        f"{found.cases} rankings and {found.offers} offers of {found.guests} guests, none of whom was trained on "
        "unless the set leaves one out of each. Full ranking of what was open and not had, no sampled negatives, ties "
        "to the lower row; intervals are 95 %, drawn over guests."
    )
    if found.rankings:
        yield from _ranking_table(found.rankings)
    if found.forecasts:
        yield from _forecast_table(found.forecasts)
    yield from _group_words(found)
    for title, path in pictures:
        yield from ("", f"![{title}]({path.name})")
    yield from _limits(manifest)


def _ranking_table(rankings: dict[str, Ranking]) -> Iterator[str]:
    yield ""
    yield f"| | {' | '.join(_METRICS)} | coverage | popularity bias | ECE |"
    yield f"|---|{'---|' * (len(_METRICS) + 3)}"
    for name, ranking in rankings.items():
        cells = [str(ranking.figures[metric]) for metric in _METRICS]
        sure = "" if ranking.ece is None else f"{ranking.ece:.4f}"
        yield f"| {name} | {' | '.join(cells)} | {ranking.coverage:.3f} | {ranking.popularity_bias:.3f} | {sure} |"
    yield ""
    yield (
        "Coverage: share of the catalogue on anybody's first five. Popularity bias: how much more popular the first "
        "five are than what was really taken; 1 is none."
    )


def _forecast_table(forecasts: dict[str, Forecasting]) -> Iterator[str]:
    yield from ("", "| will this offer be taken | AUC | log loss | ECE |", "|---|---|---|---|")
    for name, each in forecasts.items():
        yield f"| {name} | {each.auc} | {each.log_loss:.4f} | {each.ece:.4f} |"


def _group_words(found: Evaluation) -> Iterator[str]:
    last = list(found.rankings.values())[-1:]
    by_group = {name: each.mean for ranking in last for name, each in ranking.groups.items()}
    measure = "NDCG@5"
    if not by_group and found.forecasts:
        by_group, measure = dict(list(found.forecasts.values())[-1].groups), "AUC"
    if not by_group:
        return
    yield from ("", "## By group", "", f"| group | {measure} |", "|---|---|")
    for name, value in by_group.items():
        yield f"| {name} | {value:.4f} |"
    gap = max(by_group.values()) - min(by_group.values())
    worst = min(by_group, key=lambda name: by_group[name])
    yield ""
    if gap >= _GAP_TOLD:
        yield (
            f"The model is worse by {gap:.3f} for *{worst}* than for the group that it serves best. Rules after the "
            "scores (variety, caps, hard stops) are the same for all; a guest can switch each signal off."
        )
    else:
        yield f"The groups differ by {gap:.3f} at most."


def _limits(manifest: Manifest) -> Iterator[str]:
    yield from ("", "## What it is not for", "")
    yield "- It never decides alone: eligibility, age, allergy, capacity, caps and service recovery come after it."
    yield "- It sets no price and denies nobody anything; it is used about children only by a parent's choice."
    yield "- It says what guests like these took, not what is good for a guest, and not why."
    if not manifest.portable:
        yield "- It needs operators that the two runtimes do not round alike: no gateway takes it."
