"""The tiny model files of tests/data/models, and rankers in hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from steward.adapters.litert import LitertModel
from steward.adapters.modelfolder import hash_file, open_model
from steward.domain.catalogue import Item
from steward.domain.features import Deed, Moment, Past
from steward.domain.offers import Reason, Scored
from steward.domain.outlets import OutletKind
from steward.domain.shorebodies import read_item
from steward.errors import ModelRefused
from steward.ports.service import Ranked, RankRequest, Weigh

T = TypeVar("T")
FOLDER = Path(__file__).resolve().parents[1] / "data" / "models"
TINY, INVERTED = FOLDER / "tiny.model", FOLDER / "inverted.model"
NOW_S = 1_800_014_400


@cache
def catalogue() -> tuple[Item, ...]:
    """What the tiny models were trained with."""
    return tuple(read_item(entry) for entry in json.loads((FOLDER / "catalogue.json").read_text(encoding="utf-8")))


def model(path: Path = TINY) -> LitertModel:
    return open_model(path, hash_file(path), path.stat().st_size)


def past(place: int, hours: int, deed: Deed = Deed.TAKEN) -> Past:
    return Past(catalogue()[place].id, deed, NOW_S - hours * 3600, 600, True)


def request(**changes: Any) -> RankRequest:
    """A guest with a history, at noon where food and drink are sold."""
    items = catalogue()
    moment = Moment(NOW_S, 720, 2, OutletKind.FOOD_AND_DRINK, 2, 3, shown=4, accepted=2)
    history = (past(1, 30), past(2, 20, Deed.WRONG), past(1, 6), past(5, 2))
    made = RankRequest(items, {}, {}, {item.id: item for item in items}, 1, moment, history)
    return replace(made, **changes)


class HandModel:
    """A model that says what the test wants: an order by item id, or an error, or nothing for a while."""

    def __init__(self, version: str, first: str = "", chance: float = 0.5, error: Exception | None = None) -> None:
        self.version = version
        self.first = first
        self.chance = chance
        self.error = error
        self.closed = False
        self.asked: list[RankRequest] = []

    async def rank(self, request: RankRequest) -> Ranked:
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        scored = self.weigh(request)
        return Ranked(self.version, scored, dict.fromkeys((one.item for one in scored), self.chance))

    async def compare(self, work: Callable[[Weigh], T]) -> T:
        return work(self.weigh)

    def weigh(self, request: RankRequest) -> list[Scored]:
        ids = sorted((item.id for item in request.items), key=lambda id_: (id_ != self.first, id_))
        return [Scored(id_, -float(place), (Reason("something_new"),)) for place, id_ in enumerate(ids)]

    def close(self) -> None:
        self.closed = True


class HandModels:
    """Files that come when the test says so: a model, or why it is refused."""

    def __init__(self) -> None:
        self.files: dict[str, HandModel | ModelRefused] = {}
        self.sizes: list[int | None] = []

    async def here(self, sha256: str) -> bool:
        return sha256 in self.files

    async def load(self, sha256: str, size: int | None) -> HandModel:
        self.sizes.append(size)
        found = self.files.get(sha256, ModelRefused("no such file"))
        if isinstance(found, ModelRefused):
            raise found
        return found
