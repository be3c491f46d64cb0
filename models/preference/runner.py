"""A file run by LiteRT: what is asked is put in as int8, and the last product is exact whole numbers on the host."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from preference.errors import NeedsExtra
from preference.sets import Floats, Ints, Windows
from steward.domain.modelfile import INPUT_SCALE, OUTPUTS, Scale

try:
    from ai_edge_litert import interpreter as litert
except ImportError as error:
    raise NeedsExtra("ai-edge-litert") from error

_OPERATORS_OF_OURS = frozenset({"DELEGATE"})


def feed(held: Windows, place: int, rows: Ints, item_features: Floats) -> dict[str, Any]:
    """One window's inputs, in floats, with the rows that are to be ranked."""
    index = held.index[place]
    return {
        "past_index": index[None],
        "past_items": item_features[index][None],
        "past": held.past[place][None],
        "moment": held.moment[place][None],
        "item_index": rows,
        "items": item_features[rows],
    }


def to_int8(values: Floats) -> NDArray[np.int8]:
    """Values in [-1, 1] at scale 1/127, zero point 0."""
    whole: NDArray[np.int8] = np.clip(np.rint(values / INPUT_SCALE), -128, 127).astype(np.int8)
    return whole


class Runner:
    """One file, int8 or float, in one thread and without a delegate, so that every machine gives the same bits."""

    def __init__(self, network: bytes) -> None:
        """Raises ValueError: no network, or one with other inputs or outputs."""
        self._interpreter: Any = litert.Interpreter(
            model_content=network,
            num_threads=1,
            experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        self._interpreter.allocate_tensors()
        self._run = self._interpreter.get_signature_runner()
        self._inputs = self._run.get_input_details()
        self._outputs = self._run.get_output_details()

    @property
    def is_int8(self) -> bool:
        return self._inputs["items"]["dtype"] is np.int8

    @property
    def operators(self) -> frozenset[str]:
        return frozenset(each["op_name"] for each in self._interpreter._get_ops_details()) - _OPERATORS_OF_OURS

    def scales(self) -> tuple[Scale, Scale, Scale]:
        """Of OUTPUTS in order."""
        query, vectors, take = (Scale(*map(_plain, self._outputs[name]["quantization"])) for name in OUTPUTS)
        return query, vectors, take

    def input_scales(self) -> dict[str, tuple[float, int]]:
        return {name: each["quantization"] for name, each in self._inputs.items() if each["dtype"] is np.int8}

    def outputs(self, given: dict[str, Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """query (query,), vectors (n, query), take (n,) as the file gives them."""
        ready = {
            name: to_int8(values) if self._inputs[name]["dtype"] is np.int8 else values
            for name, values in given.items()
        }
        found = self._run(**ready)
        return found["query"][0], found["vectors"], found["take"][:, 0]

    def interest(self, held: Windows, item_features: Floats, members: int) -> Floats:
        """(C, rows): interest of each window in every row, row 0 included."""
        rows = np.arange(len(item_features), dtype=np.int32)
        scores = np.zeros((len(held), len(rows)), np.float32)
        vectors: NDArray[Any] | None = None
        few = rows[:1]  # items do not depend on the guest: once is enough
        for place in range(len(held)):
            if vectors is None:
                vectors = self.outputs(feed(held, place, rows, item_features))[1]
            query, _, _ = self.outputs(feed(held, place, few, item_features))
            scores[place] = self._product(query, vectors) / members
        return scores

    def take(self, held: Windows, item_features: Floats) -> Floats:
        """(C,) chances that what was offered is taken."""
        logits = [
            self.outputs(feed(held, place, held.offered[place : place + 1], item_features))[2][0]
            for place in range(len(held))
        ]
        logit = np.array(logits, np.float64)
        if self.is_int8:
            take = self.scales()[2]
            logit = take.scale * (logit - take.zero)
        chances: Floats = (1 / (1 + np.exp(-logit))).astype(np.float32)
        return chances

    def _product(self, query: NDArray[Any], vectors: NDArray[Any]) -> NDArray[Any]:
        if not self.is_int8:
            return np.asarray(vectors @ query)
        of_query, of_vectors, _ = self.scales()
        whole = (vectors.astype(np.int32) - of_vectors.zero) @ (query.astype(np.int32) - of_query.zero)
        return np.asarray(whole * (of_query.scale * of_vectors.scale))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
