"""Whatever is told of a suggestion holds: the change is made as it would have come about, and everything decided anew.

Every suggestion of three made-up days, several guests, outlets and hours, by real int8 files. Signals are switched off
in the store, answers taken back and charges voided, the weather said anew, the clock moved, others' takings undone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from itertools import combinations
from pathlib import Path

import pytest
from tests.unit.modelkit import TINY, model
from tests.unit.whykit import MODEL, RULES, Made, Ship, live

from steward.adapters.modelfolder import STARTER
from steward.adapters.popularity import PopularityRanker
from steward.domain import why as searching
from steward.domain.reasons import Change, Flip, Kind, Means
from steward.domain.why import View, signals_known
from steward.services import rankrequest
from steward.services.ranking import Ranking, RankingSettings


@pytest.fixture
def told_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts are taken anew for each suggestion, as they are on the ship that is like it but for one thing."""
    monkeypatch.setattr(rankrequest, "COUNT_AGAIN_AFTER_S", 0)


async def days(file: Path, guests: int) -> AsyncIterator[Made]:
    ranking = Ranking(PopularityRanker(), RankingSettings(wait_s=60, why_s=60))
    ranking.put(MODEL, model(file))
    async for made in live(Ship(ranking, RULES), guests):
        yield made
    assert not ranking.fallbacks
    assert not ranking.unexplained
    ranking.close()


def claims(made: Made) -> list[Flip]:
    """All that is told: as things were, without each signal that carried it, and with the smallest change."""
    why = made.offer.why
    assert why is not None
    assert (why.place == 1) is (why.means is not Means.CHANCE)
    told = [Flip((), why.first, why.place)]
    told += [Flip((Change(Kind.OFF, one.signal),), one.first, one.place) for one in why.carried]
    return told if why.flip is None else [*told, why.flip]


async def found(made: Made, *changes: Change) -> tuple[str | None, int]:
    ship, item = made.before.copy(), made.suggestion.item.id
    for change in changes:
        await ship.change(made.ref, item, change)
    return await ship.place_of(made.viewer, made.ref, item)


@pytest.mark.usefixtures("told_anew")
@pytest.mark.parametrize("file", [TINY, STARTER], ids=["tiny", "starter"])
async def test_every_claim_about_every_suggestion_holds(file: Path) -> None:
    seen, flips = Counter[str](), Counter[str]()
    async for made in days(file, 5):
        for told in claims(made):
            assert await found(made, *told.changes) == (told.first, told.place), (made.offer, told)
        assert made.offer.why is not None
        seen[made.offer.why.means] += 1
        flips["none" if made.offer.why.flip is None else made.offer.why.flip.changes[0].kind] += 1
    assert seen[Means.MODEL] > 20
    assert seen[Means.POPULAR] > 3
    assert seen[Means.CHANCE] > 1
    assert flips[Kind.OFF] > 20
    assert len(flips) > 3


@pytest.mark.usefixtures("told_anew")
async def test_whatever_is_tried_is_what_would_have_been() -> None:
    """Not only what is told: everything that was asked on the way to it, for some of the suggestions."""
    asked = Counter[str]()
    number = 0
    async for made in days(TINY, 5):
        number += 1
        item = made.suggestion.item.id
        view = made.case.view(item)
        for change in [*searching._deeds(view), *searching._values(view)] if number % 4 == 0 else []:
            await agrees(made, view, change)
            asked[change.kind] += 1
        pairs = list(combinations([Change(Kind.OFF, signal) for signal in signals_known(view)], 2))
        for one, other in pairs if number % 16 == 0 else []:
            await agrees(made, view, one, other)
            asked["two"] += 1

    assert min(asked[what] for what in (Kind.UNDONE, Kind.HOUR, Kind.WEATHER, Kind.COMPANY, "two")) > 10


async def agrees(made: Made, view: View, *changes: Change) -> None:
    if searching.changed(view, changes) is None:
        return
    told = Flip(changes, made.suggestion.item.id, 1)
    why = made.before.offers.why
    claim = await made.before.deck.ranking.compare(
        made.case.orders, made.case.by_model, lambda weigh: why._claim(made.case, view.item, told, weigh)
    )
    assert claim is not None
    assert await found(made, *changes) == (claim.found_first, claim.found_place), (made.offer, changes)
