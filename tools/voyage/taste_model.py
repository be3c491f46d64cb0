"""A model file as a ranker of made-up days: what a gateway would be given of them, and run as a gateway runs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from steward.domain.catalogue import Item, ItemId
from steward.domain.features import Past
from steward.errors import ConfigError
from steward.ports.service import RankRequest
from voyage.taste_check import Case, Fit, Ranker, Scores
from voyage.taste_world import World


def model_ranker(path: Path, world: World) -> Fit:
    """It learns nothing here. Raises ConfigError where the file is not there, ModelRefused where it is no good."""
    from steward.adapters.modelfolder import hash_file, open_model  # an extra: only who asks for it needs it

    try:
        model = open_model(path, hash_file(path), None)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from error
    catalogue = {item.id: item for item in world.items}

    def score(case: Case) -> Scores:
        ranked = model.rank_now(request_of(case, world, catalogue))
        scores = {one.item: one.score for one in ranked.scored}
        return [scores[item_id] for item_id in world.ids]

    def fit(_train: Sequence[Case], _items: int) -> Ranker:
        return score

    return fit


def request_of(case: Case, world: World, catalogue: dict[ItemId, Item]) -> RankRequest:
    """The guest stands where they are about to choose: that is known of the place, and of what was done there."""
    moment, here = case.line.moment, catalogue[case.line.item].outlet
    history = [
        Past(each.item, each.deed, each.moment.now_s, each.moment.minute, catalogue[each.item].outlet == here)
        for each in case.before
        if each.deed is not None and each.moment.now_s < moment.now_s
    ]
    return RankRequest(world.items, {}, {}, catalogue, 1, moment, history)
