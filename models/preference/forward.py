"""What a network says of windows: interest in every row, and the chance that what is offered is taken."""

from __future__ import annotations

from typing import Any

import numpy as np

from preference.batches import in_order
from preference.network import Network
from preference.noise import Noise
from preference.sets import Floats, PreparedSet, Windows
from preference.tensors import ByLength, tf

_BATCH = 1024


class Forward:
    """A network with the items of one set, compiled once for each length of window."""

    def __init__(self, network: Network, prepared: PreparedSet) -> None:
        self._network = network
        self._items = tf.constant(prepared.item_features)
        self._rows = np.arange(len(prepared.item_features), dtype=np.int32)
        self._compiled = ByLength(self._run)

    def interest(self, held: Windows) -> Floats:
        """(C, items + 1)"""
        scores = np.zeros((len(held), len(self._rows)), np.float32)
        for batch in in_order(held, _BATCH):
            scores[batch.chosen] = self._of(held, batch.chosen, batch.length)[0]
        return scores

    def take(self, held: Windows) -> Floats:
        """(C,) chances; of windows in which nothing was offered, of row 0."""
        chances = np.zeros(len(held), np.float32)
        for batch in in_order(held, _BATCH):
            logit = self._of(held, batch.chosen, batch.length)[1]
            chances[batch.chosen] = 1 / (1 + np.exp(-logit[:, 0]))
        return chances

    def _of(self, held: Windows, chosen: Any, length: int) -> tuple[Any, Any]:
        index, past = held.index[chosen, -length:], held.past[chosen, -length:]
        found = self._compiled(length, index, past, held.moment[chosen], held.offered[chosen])
        return found[0].numpy(), found[1].numpy()

    def _run(self, index: Any, past: Any, moment: Any, offered: Any) -> tuple[Any, Any]:
        network, quiet = self._network, Noise()
        vectors = network.vectors(self._items, self._rows)
        events = tf.gather(vectors, index)
        state = network.encode(events, past, quiet, whole=False)
        query = network.query(state, tf.reduce_sum(events, 1)[:, None], moment[:, None], quiet)[:, 0]
        interest = tf.matmul(query, vectors, transpose_b=True) / network.config.members
        return interest, network.mean_take(query, tf.gather(vectors, offered), moment)
