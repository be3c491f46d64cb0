"""A trained network to two files: float, and fully int8 for the gateway. Which operators it takes is checked here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from preference.errors import NotPortable
from preference.network import Encoder, Network
from preference.noise import Noise
from preference.runner import Runner, feed
from preference.sets import PreparedSet, Windows
from preference.tensors import tf
from steward.domain.modelfile import INPUTS, OUTPUTS, Scale, Shape

SAMPLES = 300  # windows by which the range of every tensor is found
_CANDIDATES = 64  # of each
_EDGE = 128 / 127  # with 1 at the other end, an input's scale is 1/127 and its zero point 0

# The same bits from int8 in ai-edge-litert (without its default delegate) and in tflite-runtime 2.14.
PORTABLE = frozenset({
    *("ADD", "ARG_MAX", "CONCATENATION", "CONV_2D", "EMBEDDING_LOOKUP", "EXP", "FULLY_CONNECTED", "GATHER", "GELU"),
    *("HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "MAXIMUM", "MEAN", "MUL", "REDUCE_MAX", "RESHAPE", "RSQRT", "SLICE"),
    *("SOFTMAX", "SQUARED_DIFFERENCE", "STRIDED_SLICE", "SUB", "SUM", "TANH", "TOPK_V2"),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Files:
    """Both files' bytes, and what a reader of the int8 one must know."""

    int8: bytes
    float32: bytes
    shape: Shape
    query: Scale
    vectors: Scale
    take: Scale
    portable: bool

    @property
    def hashes(self) -> tuple[str, str]:
        return hashlib.sha256(self.int8).hexdigest(), hashlib.sha256(self.float32).hexdigest()


def quantise(network: Network, prepared: PreparedSet, held: Windows, seed: int = 0) -> Files:
    """held: real windows that the ranges are taken from. Raises NotPortable: a GRU that needs other operators.

    Attention needs BATCH_MATMUL, which the runtimes do not round alike: its file is for measuring, not for a gateway.
    """
    served = _Served(network)
    samples = _samples(network, prepared, held, seed)
    float32 = _convert(served, None)
    int8 = _convert(served, samples)
    foreign = Runner(int8).operators - PORTABLE
    if foreign and network.config.encoder is Encoder.GRU:
        raise NotPortable(frozenset(foreign))
    query, vectors, take = Runner(int8).scales()
    config = network.config
    shape = Shape(
        history=config.history,
        item=config.item_width,
        past=config.past_width,
        moment=config.moment_width,
        query=config.query,
        members=config.members,
    )
    return Files(int8, float32, shape, query, vectors, take, not foreign)


class _Served(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """The network as a gateway asks it: one guest, any number of candidates."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.held = list(network.variables.values())

    def signature(self) -> Any:
        config = self.network.config
        shapes = {
            "past_index": ((1, config.history), tf.int32),
            "past_items": ((1, config.history, config.item_width), tf.float32),
            "past": ((1, config.history, config.past_width), tf.float32),
            "moment": ((1, config.moment_width), tf.float32),
            "item_index": ((None,), tf.int32),
            "items": ((None, config.item_width), tf.float32),
        }
        specs = [tf.TensorSpec(*shapes[name], name=name) for name in INPUTS]
        return tf.function(self.run, input_signature=specs)

    def run(self, past_index: Any, past_items: Any, past: Any, moment: Any, item_index: Any, items: Any) -> Any:
        network, quiet = self.network, Noise()
        events = network.vectors(past_items, past_index)
        state = network.encode(events, past, quiet, whole=False)[:, 0]
        query = network.query(state, tf.reduce_sum(events, 1), moment, quiet)
        vectors = network.vectors(items, item_index)
        return dict(zip(OUTPUTS, (query, vectors, network.mean_take(query, vectors, moment)), strict=True))


def _convert(served: _Served, samples: Sequence[dict[str, Any]] | None) -> bytes:
    """samples: None for float."""
    function = served.signature()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], served)
    if samples is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: iter(samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def _samples(network: Network, prepared: PreparedSet, held: Windows, seed: int) -> list[dict[str, Any]]:
    """Real windows with real candidates; the first has both ends of every input's range, each in one place."""
    rng = np.random.default_rng([seed, 3])
    count = prepared.about.count
    found = []
    for place in rng.permutation(len(held))[:SAMPLES]:
        rows = np.sort(rng.permutation(np.arange(1, count + 1))[:_CANDIDATES]).astype(np.int32)
        found.append(feed(held, int(place), rows, prepared.item_features))
    for name in ("past_items", "past", "moment", "items"):
        edge = found[0][name] = found[0][name].copy()
        edge.reshape(-1)[0] = -_EDGE
        edge.reshape(-1)[-1] = 1.0
        if edge.size == 1:
            found[1][name] = np.full_like(found[1][name], -_EDGE)
    return found
