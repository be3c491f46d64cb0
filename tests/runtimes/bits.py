"""What one runtime makes of a model file: for the tests, in this process and in the other environment's.

`python bits.py invoke NETWORK INPUTS.npz OUTPUTS.npz` runs the bare network, `python bits.py rank MODEL...` the
gateway's own adapter. The other environment has NumPy, the domain's codecs and a runtime, and no test framework.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tests.unit.modelkit import NOW_S, catalogue, model, request

from steward.adapters.litert import find_runtime
from steward.domain.features import Company, Deed, Moment, Past, Signal, Weather
from steward.domain.modelfile import INPUTS, OUTPUTS, Shape, unpack
from steward.domain.outlets import OutletKind
from steward.errors import ModelRefused
from steward.ports.service import RankRequest

Tensors = dict[str, Any]
CANDIDATES = 48  # of each random input
RANKED = 120  # requests through the adapter
EDGES = (-128, -127, -1, 0, 1, 127)


def random_inputs(shape: Shape, rows: int, count: int, seed: int) -> Tensors:
    """Anything int8 can say, known and unknown items among it: (count, ...) of each input."""
    rng = np.random.default_rng(seed)
    return {
        "past_index": rng.integers(0, rows + 1, (count, 1, shape.history), np.int32),
        "past_items": rng.integers(-128, 128, (count, 1, shape.history, shape.item), np.int8),
        "past": rng.integers(-128, 128, (count, 1, shape.history, shape.past), np.int8),
        "moment": rng.integers(-128, 128, (count, 1, shape.moment), np.int8),
        "item_index": rng.integers(0, rows + 1, (count, CANDIDATES), np.int32),
        "items": rng.integers(-128, 128, (count, CANDIDATES, shape.item), np.int8),
    }


def edge_inputs(shape: Shape, rows: int, candidates: int) -> Tensors:
    """Every tensor at one end of its range, in the middle, and just beside; the first row, none, and the last."""
    count = len(EDGES)
    ends = np.array(EDGES, np.int8)
    index = np.array([0, rows, 1, 0, rows, rows], np.int32)
    return {
        "past_index": np.broadcast_to(index[:, None, None], (count, 1, shape.history)),
        "past_items": np.broadcast_to(ends[:, None, None, None], (count, 1, shape.history, shape.item)),
        "past": np.broadcast_to(ends[:, None, None, None], (count, 1, shape.history, shape.past)),
        "moment": np.broadcast_to(ends[:, None, None], (count, 1, shape.moment)),
        "item_index": np.broadcast_to(index[:, None], (count, candidates)),
        "items": np.broadcast_to(ends[::-1][:, None, None], (count, candidates, shape.item)),
    }


def invoke(network: bytes, given: Tensors) -> Tensors:
    """The bare network, with the gateway's resolver, on one input after the other: (count, ...) of each output."""
    runtime = find_runtime()
    bare = runtime.Interpreter(
        model_content=network,
        num_threads=1,
        experimental_op_resolver_type=runtime.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    run = bare.get_signature_runner()
    made = [run(**{name: np.ascontiguousarray(given[name][n]) for name in INPUTS}) for n in range(len(given["items"]))]
    return {name: np.stack([one[name] for one in made]) for name in OUTPUTS}


def requests(count: int = RANKED, seed: int = 5) -> Iterator[RankRequest]:
    """Guests with and without a past, at all hours, with signals off, before few items and many."""
    rng, items = np.random.default_rng(seed), catalogue()
    for number in range(count):
        pick = rng.permutation(len(items))[: rng.integers(1, len(items) + 1)]
        whole = rng.integers(0, 2, 12).tolist()
        moment = Moment(
            NOW_S,
            int(rng.integers(0, 1440)),
            int(rng.integers(0, 7)),
            list(OutletKind)[number % len(OutletKind)],
            int(rng.integers(0, 15)),
            int(rng.integers(0, 15)),
            company=[None, *Company][number % (len(Company) + 1)],
            weather=[None, *Weather][number % (len(Weather) + 1)],
            in_port=[None, True, False][number % 3],
            shown=int(rng.integers(0, 40)),
            accepted=int(rng.integers(0, 10)),
            off=frozenset(signal for signal, off in zip(Signal, whole, strict=False) if off and number % 2),
        )
        history = tuple(
            Past(
                items[int(rng.integers(0, len(items)))].id,
                list(Deed)[int(rng.integers(0, len(Deed)))],
                NOW_S - back * 3600,
                int(rng.integers(0, 1440)),
                bool(back % 2),
            )
            for back in range(int(rng.integers(0, 30)), 0, -1)
        )
        chosen = [items[place] for place in pick]
        yield request(items=chosen, moment=None if number % 10 == 9 else moment, history=history)


def rank(path: Path) -> list[Any]:
    """Each request's order with scores to the last bit, the reasons and the chances, as ranked and as only weighed
    to compare; or why the file is refused.
    """
    try:
        made = model(path)
    except ModelRefused as refused:
        return ["refused", str(refused)]
    try:
        return [[*_told(made.rank_now(asked)), _scored(made.weigh_now(asked))] for asked in requests()]
    finally:
        made.close()


def _told(ranked: Any) -> list[Any]:
    chances = [[item, chance.hex()] for item, chance in sorted(ranked.chances.items())]
    return [ranked.ranker, _scored(ranked.scored), chances]


def _scored(scored: Any) -> list[Any]:
    return [[one.item, one.score.hex(), [reason.code for reason in one.reasons]] for one in scored]


def main(words: list[str]) -> None:
    told = {"runtime": find_runtime().__name__, "numpy": np.__version__}
    if words[0] == "invoke":
        network, inputs, outputs = map(Path, words[1:])
        with np.load(inputs) as given:
            np.savez(outputs, **invoke(unpack(network.read_bytes())[1], dict(given)))
        print(json.dumps(told))
    else:
        print(json.dumps({**told, "ranked": [rank(Path(path)) for path in words[1:]]}))


if __name__ == "__main__":
    main(sys.argv[1:])
