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

Norm = Callable[[Any, Any], Any]

_NEVER = -1e9
_NARROW = -12.0  # in the exported graph: a share of 6e-6, and a scale that int8 can still tell scores apart by


class Attention:
    """`layers` blocks of width `width`; `history` places at most."""

    def __init__(
        self,
        width: int,
        hidden: int,
        layers: int,
        heads: int,
        history: int,
        draw: Callable[[tuple[int, ...], float], Any],
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
                f"{layer}.deep": draw((width, hidden), spread),
                f"{layer}.deep_bias": tf.Variable(np.zeros(hidden, np.float32)),
                f"{layer}.deep_out": draw((hidden, width), (2 * layers * hidden) ** -0.5),
            }

    def encode(self, events: Any, past: Any, noise: Noise, *, whole: bool) -> Any:
        """(B, T, width), or (B, 1, width) of the last place. A place whose past features are all zero is padding."""
        back = np.arange(events.shape[1])[:, None] - np.arange(events.shape[1])[None]
        later = np.where(back < 0, 1.0, 0.0).astype(np.float32)
        back = np.clip(back, 0, None)
        if not whole:
            return self._last(events, past, back, later)
        empty = tf.cast(tf.reduce_max(tf.abs(past), -1) == 0, tf.float32)[:, None, None, :]
        state = noise(events)
        for layer in range(self._layers):
            given = _norm(state, self.variables[f"{layer}.norm"])
            bias = self._near(layer, back) + later * _NEVER
            score = self._scores(layer, given, given) + bias + empty * _NEVER
            state = self._block(layer, state, given, given, score, _norm, noise)
        return _norm(state, self.variables["norm"])

    def _last(self, events: Any, past: Any, back: Any, later: Any) -> Any:
        """(B, 1, width), in a form that int8 bears: it is what is exported.

        The last place has a state of its own throughout, finer than the others' in int8: the first place of a window
        grows large. Padding holds the last event instead of zeros, so that every place has a norm, and is barred.
        """
        quiet = Noise()
        empty = 1.0 - tf.minimum(tf.reduce_sum(tf.abs(past), -1), 1.0)  # of features whose sum is 1 or more
        last = events[:, -1:]
        state = events + empty[:, :, None] * last
        bars = tf.maximum(later, empty[:, None, None, :]) * _NARROW
        for layer in range(self._layers):
            gain, bias = self.variables[f"{layer}.norm"], self._near(layer, back) + bars
            given, asked = _even_norm(state, gain), _even_norm(last, gain)
            if layer + 1 < self._layers:
                score = self._scores(layer, given, given) + bias
                state = self._block(layer, state, given, given, score, _even_norm, quiet)
            score = self._scores(layer, asked, given) + bias[:, :, -1:]
            last = self._block(layer, last, asked, given, score, _even_norm, quiet)
        return _even_norm(last, self.variables["norm"])

    def _near(self, layer: int, back: Any) -> Any:
        """(heads, T, T): what the distance of two places says."""
        return tf.gather(self.variables[f"{layer}.distance"], back, axis=1)

    def _scores(self, layer: int, asked: Any, given: Any) -> Any:
        """(B, heads, N, T) of the places that ask, asked (B, N, width), for all, given (B, T, width)."""
        weight, width = self.variables[f"{layer}.in"], self._width
        query = self._heads_of(times(asked, weight[:, :width] * (width // self._heads) ** -0.5))
        return tf.matmul(query, self._heads_of(times(given, weight[:, width : 2 * width])), transpose_b=True)

    def _block(self, layer: int, state: Any, asked: Any, given: Any, score: Any, norm: Norm, noise: Noise) -> Any:
        """The state of the places that ask, (B, N, width), after one layer."""
        of, width = self.variables, self._width
        values = self._heads_of(times(given, of[f"{layer}.in"][:, 2 * width :]))
        brought = tf.transpose(tf.matmul(tf.nn.softmax(score), values), (0, 2, 1, 3))
        brought = tf.reshape(brought, (-1, state.shape[1], width))
        brought = brought * tf.sigmoid(times(asked, of[f"{layer}.gate"])) * 2.0
        state = state + noise(times(brought, of[f"{layer}.out"]))
        deep = tf.nn.relu(times(norm(state, of[f"{layer}.deep_norm"]), of[f"{layer}.deep"]) + of[f"{layer}.deep_bias"])
        return state + noise(times(deep, of[f"{layer}.deep_out"]))

    def _heads_of(self, values: Any) -> Any:
        """(B, heads, N, width / heads)"""
        cut = tf.reshape(values, (-1, values.shape[1], self._heads, self._width // self._heads))
        return tf.transpose(cut, (0, 2, 1, 3))


def _norm(values: Any, gain: Any) -> Any:
    return values * tf.math.rsqrt(tf.reduce_mean(values * values, -1, keepdims=True) + 1e-6) * gain


def _even_norm(values: Any, gain: Any) -> Any:
    """The same, of values brought to [-1, 1] first: in int8 squares of a wide range would all be 0 but the largest."""
    narrow = tf.math.rsqrt(tf.reduce_max(tf.abs(values), -1, keepdims=True) + 1e-3)
    return _norm(values * (narrow * narrow), gain)
