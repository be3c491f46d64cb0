"""Ranking a catalogue on the gateway, beside a bare interpreter and the same sums in NumPy floats, in the same run.

Four ways for each number of items: the adapter in its own thread, from request to ordered list with reasons; the same
without thread; one bare `invoke` of the same int8 network over exactly so many items, tensors set beforehand; and the
network's arithmetic in float32 NumPy, with random weights of the same sizes, to its scores and no further.

And what it costs to say why the first of them is the first: as it is done for each suggestion, where a change that is
tried soon would have changed it; and the dearest, of an item that nothing which is tried would have moved.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from steward.adapters.litert import LitertModel
from steward.adapters.modelfolder import hash_file, open_model
from steward.adapters.popularity import PopularityRanker
from steward.config_offers import packaged_rules
from steward.domain.catalogue import Item, ItemId
from steward.domain.features import Deed, Moment, Past
from steward.domain.ids import GuestRef, OutletId
from steward.domain.modelfile import INPUTS, Shape, unpack
from steward.domain.offers import PPM, Offer, OfferId, OfferState, Scored, Situation
from steward.domain.outlets import OutletKind
from steward.domain.profiles import AgeGroup
from steward.domain.rules import decide
from steward.domain.trial import Trial
from steward.domain.tuning import tuned
from steward.ports.service import RankRequest
from steward.services.board import percentile
from steward.services.ranking import Orders, Ranking, RankingSettings
from steward.services.situation import Decided
from steward.services.why import Case, WhyService

COUNTS = (500, 3000, 10_000)
SECONDS = 2.0
ANSWERS = 200
MODEL = Path(__file__).resolve().parents[2] / "tests" / "data" / "models" / "tiny.model"
_SHA = "ab" * 32
_NOW_S = 1_800_014_400
_Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    items: int
    p50_ms: float
    p99_ms: float


def run(file: Path = MODEL) -> dict[str, Any]:
    sha256 = hash_file(file)
    manifest, network = unpack(file.read_bytes())
    began = time.perf_counter()
    model = open_model(file, sha256, None)
    load_ms = (time.perf_counter() - began) * 1000
    rows = []
    for count in COUNTS:
        asked = _request(count)
        model.rank_now(asked)
        rows += [
            _row("adapter, own thread", count, asyncio.run(_awaited(model, asked))),
            _row("adapter, no thread", count, _timed(lambda asked=asked: model.rank_now(asked))),  # type: ignore[misc]
            _row("bare int8 invoke", count, _timed(_bare(model, network, asked))),
            _row("NumPy, float32", count, _timed(_floats(manifest.shape, count))),
        ]
        rows.append(_row("200 own answers applied", count, _timed(_answered(model, asked))))
        for what, lead in (("why, as it comes", 0.0), ("why, all there is tried", 1e6)):
            rows.append(_row(what, count, asyncio.run(_explained(model, asked, lead))))
    model.close()
    return {
        "model": manifest.version,
        "bytes": file.stat().st_size,
        "load_ms": load_ms,
        "rows": list(map(asdict, rows)),
    }


def show(result: dict[str, Any], console: Console) -> None:
    title = f"Ranking with {result['model']}, {result['bytes']:,} bytes, checked and warm in {result['load_ms']:.0f} ms"
    table = Table("items", "what", "p50 ms", "p99 ms", "of one ranking", title=title)
    one = {row["items"]: row["p50_ms"] for row in result["rows"] if row["what"] == "adapter, own thread"}
    for row in result["rows"]:
        times = f"{row['p50_ms'] / one[row['items']]:.1f}"
        table.add_row(f"{row['items']:,}", row["what"], f"{row['p50_ms']:.2f}", f"{row['p99_ms']:.2f}", times)
    console.print(table)


def _request(count: int) -> RankRequest:
    draw = random.Random(count)
    items = [_item(n, draw) for n in range(count)]
    history = [Past(items[n * 7].id, Deed.TAKEN, _NOW_S - 3600 * (30 - n), 600, n % 2 == 0) for n in range(24)]
    moment = Moment(_NOW_S, 720, 2, OutletKind.FOOD_AND_DRINK, 2, 5, shown=4, accepted=1)
    taken = {items[n].id: draw.randrange(1, 50) for n in range(0, count, 3)}
    return RankRequest(items, taken, taken, {item.id: item for item in items}, count, moment, history)


def _item(number: int, draw: random.Random) -> Item:
    return Item(
        ItemId(f"item-{number}"),
        OutletId(f"bar-{number % 12}"),
        {"en": f"Item {number}"},
        f"category-{number % 20}",
        tuple(f"tag-{draw.randrange(40)}" for _ in range(3)),
        (),
        (),
        draw.randrange(0, 20_000, 50),
        "EUR",
    )


async def _awaited(model: LitertModel, asked: RankRequest) -> list[float]:
    times, end = [], time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        began = time.perf_counter()
        await model.rank(asked)
        times.append(time.perf_counter() - began)
    return times


class _Ahead(LitertModel):
    """The same model, but that the first item of a request is so much better than it finds."""

    lead = 0.0
    first: ItemId

    def weigh_now(self, request: RankRequest) -> list[Scored]:
        found = super().weigh_now(request)
        return [replace(one, score=one.score + self.lead) if one.item == self.first else one for one in found]


def _answered(model: LitertModel, asked: RankRequest) -> Callable[[], object]:
    """The guest's own answers, one in four of each kind, made to count in an order that the model gave."""
    scored, here = model.rank_now(asked).scored, {item.id: item for item in asked.items}
    states = (OfferState.ACCEPTED, OfferState.DEFERRED, OfferState.WRONG, OfferState.SHOWN)
    offers = [
        Offer(
            OfferId(f"{n:032x}"),
            GuestRef("0" * 16),
            item.outlet,
            item.id,
            item.category,
            _NOW_S - 900 * (ANSWERS - n),
            12,
            PPM,
            "bench",
            (),
            states[n % 4],
        )
        for n, item in enumerate(asked.items[:: max(1, len(asked.items) // ANSWERS)][:ANSWERS])
    ]
    return lambda: tuned(scored, here, offers, frozenset(), _NOW_S, shares=False)


async def _explained(model: LitertModel, asked: RankRequest, lead: float) -> list[float]:
    """As WhyService does it, of everything that may be offered; what is best is ahead by `lead` more than it is."""
    ranked = model.rank_now(asked)
    ahead = _Ahead(model._manifest, model._network)
    ahead.lead, ahead.first = lead, ranked.scored[0].item
    ranking = Ranking(PopularityRanker(), RankingSettings(wait_s=60, why_s=60))
    ranking.put(_SHA, ahead)
    moment = asked.moment
    assert moment is not None
    now = Situation(
        minute=moment.minute,
        age_group=AgeGroup.ADULT,
        allergies=frozenset(),
        diet=frozenset(),
        in_recovery=False,
        personal=True,
        offers=(),
        day_start_s=moment.now_s - 8 * 3600,
        now_s=moment.now_s,
    )
    here = {item.id: item for item in asked.items}
    decided = Decided(
        here, now, ranked, ranked.scored, decide(list(here.values()), ranked.scored, now, packaged_rules())
    )
    plain = await PopularityRanker().rank(asked)
    case = Case(Orders(asked, plain, Trial(shown=_SHA), ranked), decided, frozenset())
    whys, times = WhyService(ranking, packaged_rules()), []
    await whys.of(case, ahead.first)
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        began = time.perf_counter()
        await whys.of(case, ahead.first)
        times.append(time.perf_counter() - began)
    assert not ranking.unexplained
    ranking.close()
    return times


def _timed(once: Callable[[], object]) -> list[float]:
    once()
    times, end = [], time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        began = time.perf_counter()
        once()
        times.append(time.perf_counter() - began)
    return times


def _bare(model: LitertModel, network: bytes, asked: RankRequest) -> Callable[[], object]:
    from ai_edge_litert import interpreter as runtime

    interpreter = runtime.Interpreter(
        model_content=network,
        num_threads=1,
        experimental_op_resolver_type=runtime.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    details = interpreter.get_signature_runner().get_input_details()
    given = model.inputs(asked)
    for name in ("item_index", "items"):
        interpreter.resize_tensor_input(details[name]["index"], given[name].shape)
    interpreter.allocate_tensors()
    for name in INPUTS:
        interpreter.set_tensor(details[name]["index"], given[name])
    return lambda: interpreter.invoke()


def _floats(shape: Shape, count: int) -> Callable[[], object]:
    """A GRU over the history, a query, item vectors, interest and take; two hidden units for each of the query's."""
    rng, width = np.random.default_rng(count), shape.query
    hidden = 2 * width
    of = {
        "items": (shape.item, width),
        "past": (shape.past, width),
        "in": (width, 3 * width),
        "state": (width, 3 * width),
        "q_in": (2 * width + shape.moment, hidden),
        "q_out": (hidden, width),
        "t_item": (width, hidden),
        "t_both": (width, hidden),
        "t_moment": (shape.moment, hidden),
        "t_deep": (hidden, hidden),
        "t_out": (hidden, 1),
    }
    weight = {name: (rng.standard_normal(size) * 0.1).astype(np.float32) for name, size in of.items()}
    past_items, past = _draw(rng, shape.history, shape.item), _draw(rng, shape.history, shape.past)
    items, moment, rest = _draw(rng, count, shape.item), _draw(rng, shape.moment), _draw(rng, count, width)

    def once() -> tuple[Any, Any]:
        seen = past_items @ weight["items"]
        given = (seen + past @ weight["past"]) @ weight["in"]
        state: Any = np.zeros(width, np.float32)
        for place in range(shape.history):
            held = state @ weight["state"]
            gates = 1 / (1 + np.exp(-(given[place, : 2 * width] + held[: 2 * width])))
            new = np.tanh(given[place, 2 * width :] + gates[width:] * held[2 * width :])
            state = gates[:width] * state + (1 - gates[:width]) * new
        told = np.concatenate([state, seen.sum(0), moment])
        query = state + np.maximum(told @ weight["q_in"], 0) @ weight["q_out"]
        vectors = items @ weight["items"] + rest
        deep = vectors @ weight["t_item"] + (query * vectors) @ weight["t_both"] + moment @ weight["t_moment"]
        take = np.maximum(np.maximum(deep, 0) @ weight["t_deep"], 0) @ weight["t_out"]
        return vectors @ query, take

    return once


def _draw(rng: np.random.Generator, *size: int) -> _Floats:
    return rng.uniform(-1, 1, size).astype(np.float32)


def _row(what: str, items: int, seconds: list[float]) -> Row:
    millis = sorted(one * 1000 for one in seconds)
    return Row(what, items, percentile(millis, 50), percentile(millis, 99))
