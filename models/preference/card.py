"""The model's card: what it is, of what it was made, how good it is, for whom less so, and what it is not for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from preference import tables
from preference.evaluate import Evaluation
from preference.plots import draw
from preference.tables import Words
from steward.domain.features import FEATURES_ID
from steward.domain.modelfile import Manifest

CARD_FILE = "CARD.md"


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
    for table in tables.of(found):
        yield from _table(table)
    yield from _group_words(manifest, found)
    for title, path in pictures:
        yield from ("", f"![{title}]({path.name})")
    yield from _limits(manifest)


def _table(table: Words) -> Iterator[str]:
    yield from ("", f"### {table.title}", "")
    yield f"| {' | '.join(table.head)} |"
    yield f"|{'---|' * len(table.head)}"
    for row in table.rows:
        yield f"| {' | '.join(row)} |"
    if table.note:
        yield from ("", table.note)


def _group_words(manifest: Manifest, found: Evaluation) -> Iterator[str]:
    """What the differences come to, and what is done about them."""
    if not found.rankings or not (gaps := list(found.rankings.values())[-1].gaps):
        return
    way, widest = max(gaps.items(), key=lambda named: named[1].figure.mean)
    yield from ("", "### What is done about the differences", "")
    yield (
        f"The widest is of {widest.figure} of NDCG@5, in {way or 'the groups'}: *{widest.worst}* is served worst, and "
        f"*{widest.best}* best. What is hard to rank for anybody shows in the figures of popularity beside it."
    )
    if manifest.features_id != FEATURES_ID:
        return
    yield (
        "The model is told none of these but the company, where a guest has told it, so it cannot treat a group "
        "otherwise by name; it serves worse whoever does what few others do. "
        "What narrows that: a guest's own past (the table by past), and their answers, which count at once and for "
        "them alone; variety and caps after the scores, the same for all; a share of offers that chance chooses; "
        "each signal can be switched off; and training anew on the ship's own days."
    )


def _limits(manifest: Manifest) -> Iterator[str]:
    yield from ("", "## What it is not for", "")
    yield "- It never decides alone: eligibility, age, allergy, capacity, caps and service recovery come after it."
    yield "- It sets no price and denies nobody anything; it is used about children only by a parent's choice."
    yield "- It says what guests like these took, not what is good for a guest, and not why."
    if "made up" in manifest.licence:
        yield (
            "- It learnt from simulated days of people who do not exist. The figures above are of such days, on ships "
            "that it had not seen; they say nothing of real guests. Aboard it is compared with popularity, which takes "
            "its place where it does worse."
        )
        yield (
            "- It knows items by their categories, tags and outlets, in the words of the catalogue that it learnt "
            "from. Where a ship uses other words it knows hours, prices and the guest's past only, and ranks worse "
            "than popularity: train it on the ship's own days."
        )
    if not manifest.portable:
        yield "- It needs operators that the two runtimes do not round alike: no gateway takes it."
