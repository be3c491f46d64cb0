"""Causal attention over what a guest did: for long histories and large catalogues.

Root-mean-square norm, a learnt bias for each distance in time, a gate on what the heads bring. After SASRec (Kang and
McAuley, 2018), with relative places instead of absolute ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from preference.noise import Noise
from preference.tensors import tf, times

_NEVER = -1e9
_NARROW = -12.0  # in the exported graph: a share of 6e-6, and a scale that int8 can still tell scores apart by


class Attention:
    """`layers` blocks of width `width`; `history` places at most."""

    def __init__(
        self, width: int, layers: int, heads: int, history: int, draw: Callable[[tuple[int, ...], float], Any]
    ) -> None:
        self._width, self._layers, self._heads = width, layers, heads
        spread, thin = width**-0.5, (2 * layers * width) ** -0.5
        self.variables: dict[str, Any] = {"norm": tf.Variable(np.ones(width, np.float32))}
        for layer in range(layers):
            self.variables |= {
                f"{layer}.norm": tf.Variable(np.ones(width, np.float32)),
                f"{layer}.in": draw((width, 3 * width), spread),
                f"{layer}.out": draw((width, width), thin),
                f"{layer}.gate": draw((width, width), 0.1 * spread),
                f"{layer}.distance": tf.Variable(np.zeros((heads, history), np.float32)),
                f"{layer}.deep_norm": tf.Variable(np.ones(width, np.float32)),
                f"{layer}.deep": draw((width, 4 * width), spread),
                f"{layer}.deep_bias": tf.Variable(np.zeros(4 * width, np.float32)),
                f"{layer}.deep_out": draw((4 * width, width), thin / 2),
            }

    def encode(self, events: Any, past: Any, noise: Noise, *, whole: bool) -> Any:
        """(B, T, width), or (B, 1, width) of the last place. A place whose past features are all zero is padding."""
        places = events.shape[1]
        empty = tf.cast(tf.reduce_max(tf.abs(past), -1) == 0, tf.float32) if whole else self._empty(past)
        low = _NEVER if whole else _NARROW
        back = np.arange(places)[:, None] - np.arange(places)[None]
        later = np.where(back < 0, 1.0, 0.0).astype(np.float32)
        bars = tf.maximum(later, empty[:, None, None, :]) * low
        state = noise(events)
        for layer in range(self._layers):
            state = self._block(layer, state, bars, np.clip(back, 0, None), noise)
        state = _norm(state, self.variables["norm"])
        return state if whole else state[:, -1:]

    def _block(self, layer: int, state: Any, bars: Any, back: Any, noise: Noise) -> Any:
        of = self.variables
        places, head = state.shape[1], self._width // self._heads
        given = _norm(state, of[f"{layer}.norm"])
        heads = tf.transpose(
            tf.reshape(times(given, of[f"{layer}.in"]), (-1, places, 3 * self._heads, head)), (0, 2, 1, 3)
        )
        asked, keys, values = tf.split(heads, 3, axis=1)
        score = tf.matmul(asked, keys, transpose_b=True) * head**-0.5
        score += tf.gather(of[f"{layer}.distance"], back, axis=1)
        brought = tf.matmul(noise(tf.nn.softmax(score + bars)), values)
        brought = tf.reshape(tf.transpose(brought, (0, 2, 1, 3)), (-1, places, self._width))
        brought = brought * tf.sigmoid(times(given, of[f"{layer}.gate"])) * 2.0
        state = state + noise(times(brought, of[f"{layer}.out"]))
        given = _norm(state, of[f"{layer}.deep_norm"])
        deep = noise(tf.nn.relu(times(given, of[f"{layer}.deep"]) + of[f"{layer}.deep_bias"]))
        return state + noise(times(deep, of[f"{layer}.deep_out"]))

    def _empty(self, past: Any) -> Any:
        """The same without comparing, for the exported graph: 1 where all is zero, for features of sum 1 or more."""
        return 1.0 - tf.minimum(tf.reduce_sum(tf.abs(past), -1), 1.0)


def _norm(values: Any, gain: Any) -> Any:
    return values * tf.math.rsqrt(tf.reduce_mean(values * values, -1, keepdims=True) + 1e-6) * gain
