"""Dropout that a step's number determines: a training carried on after a kill draws what it would have drawn."""

from __future__ import annotations

from typing import Any

from preference.tensors import tf


class Noise:
    """One step's dropout. seed: (2,) int32 tensor, other for every step; rate 0: none, and no seed is needed."""

    def __init__(self, rate: float = 0.0, seed: Any = None) -> None:
        self._rate = rate
        self._seed = seed
        self._drawn = 0

    def __call__(self, values: Any) -> Any:
        if not self._rate:
            return values
        return tf.nn.experimental.stateless_dropout(values, self._rate, seed=self._next())

    def rows(self, count: int, rate: float) -> Any:
        """(count, 1) of 0 and 1: each row dropped at this rate. None at rate 0."""
        if not rate:
            return None
        return tf.cast(tf.random.stateless_uniform((count, 1), seed=self._next()) >= rate, tf.float32)

    def without(self, values: Any, rate: float) -> Any:
        """Each value 0 at this rate and the others as they are: what is not known, or switched off, is 0 as well."""
        if not rate:
            return values
        return values * tf.cast(tf.random.stateless_uniform(tf.shape(values), seed=self._next()) >= rate, tf.float32)

    def _next(self) -> Any:
        self._drawn += 1
        return self._seed + tf.constant([0, self._drawn])
