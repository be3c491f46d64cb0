"""One family of networks: an item is its features and a learnt rest, a guest is what they did and the moment.

    v = item_features @ W + R[row]                 an item; R[0] is 0: an item never seen is its features alone
    x = v + past_features @ We                     something a guest did
    h = encoder(x)                                 a GRU, or causal attention
    q = h + relu([h, sum of v, moment] @ W1) @ W2  the guest now;  interest in j = mean over members of <q, v_j>
    take = relu(relu([v_j, q * v_j, moment] ...)) + <v_j * (moment @ L), w>   will this guest take this offer now

Attention has no use for the sum of v, which grows with the history, and its q leaves it out.

`members` of them are trained side by side in one set of matrices, block by block: each learns on its own, and the
mean of their scores is better than one of them of the whole size. The GRU's candidate has no bias, so that it stays at
zero over padding, and a window may be trained at any length that holds its events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from preference.attention import Attention
from preference.noise import Noise
from preference.tensors import tf, times
from steward.domain.features import HISTORY_LEN


class Encoder(StrEnum):
    GRU = "gru"
    ATTENTION = "attention"


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Sizes. width and hidden are one member's; layers and heads are attention's."""

    items: int
    item_width: int
    past_width: int
    moment_width: int
    encoder: Encoder = Encoder.GRU
    history: int = HISTORY_LEN
    width: int = 32
    hidden: int = 64
    members: int = 1
    layers: int = 2
    heads: int = 2

    @property
    def query(self) -> int:
        return self.width * self.members

    def problem(self) -> str | None:
        sizes = (self.items, self.item_width, self.past_width, self.moment_width, self.history, self.width, self.hidden)
        if min(*sizes, self.members, self.layers, self.heads) < 1:
            return "every size is 1 or more"
        if self.encoder is Encoder.ATTENTION and (self.members > 1 or self.width % self.heads):
            return "attention has one member, and a width that its heads divide"
        return None


class Network:
    """The variables, and what is computed of them."""

    def __init__(self, config: NetworkConfig, seed: int) -> None:
        """Raises ValueError: sizes that cannot be."""
        if (problem := config.problem()) is not None:
            raise ValueError(problem)
        self.config = config
        self._draw = np.random.default_rng([seed, 1])
        width, hidden, members = config.query, config.hidden * config.members, config.members
        self._blocks: dict[str, Any] = {}
        self.variables: dict[str, Any] = {
            "items": self._normal((config.item_width, width), 0.1),
            "rest": self._normal((config.items + 1, width), 0.1),
            "past": self._normal((config.past_width, width), 0.1),
            "q_state": self._block("q_state", width, hidden),
            "q_bag": self._block("q_bag", width, hidden),
            "q_moment": self._normal((config.moment_width, hidden), config.moment_width**-0.5),
            "q_bias": _zeros(hidden),
            "q_out": self._block("q_out", hidden, width),
            "q_out_bias": _zeros(width),
            "t_item": self._block("t_item", width, hidden),
            "t_both": self._block("t_both", width, hidden),
            "t_moment": self._normal((config.moment_width, hidden), config.moment_width**-0.5),
            "t_bias": _zeros(hidden),
            "t_deep": self._block("t_deep", hidden, hidden),
            "t_deep_bias": _zeros(hidden),
            "t_out": self._normal((hidden, 1), config.hidden**-0.5),
            "t_wide": self._normal((config.moment_width, width), config.moment_width**-0.5),
            "t_wide_out": self._normal((width, 1), config.width**-0.5),
            "t_out_bias": _zeros(members),
        }
        self._attention: Attention | None = None
        if config.encoder is Encoder.GRU:
            self.variables |= {
                "gru_in": self._block("gru_in", width, width, 3),
                "gru_state": self._block("gru_state", width, width, 3),
                "gru_bias": _zeros(2 * width),
            }
        else:
            self._attention = Attention(width, hidden, config.layers, config.heads, config.history, self._normal)
            self.variables |= self._attention.variables

    def assign(self, values: Mapping[str, Any]) -> None:
        for name, variable in self.variables.items():
            variable.assign(values[name])

    def numbers(self) -> int:
        """How many can differ from zero."""
        blocks = {name: int(np.asarray(mask).sum()) for name, mask in self._blocks.items()}
        return sum(blocks.get(name, int(np.prod(v.shape))) for name, v in self.variables.items())

    def vectors(self, features: Any, index: Any, kept: Any = None) -> Any:
        """(..., query) of items. kept: (items + 1, 1), 0 for rows of R that are as if they had never been learnt."""
        rest = self.variables["rest"] * self._known()
        if kept is not None:
            rest = rest * kept
        return times(features, self.variables["items"]) + tf.gather(rest, index)

    def encode(self, vectors: Any, past: Any, noise: Noise, *, whole: bool) -> Any:
        """(B, T, query) after each place, or (B, 1, query) after the last. vectors (B, T, query), past (B, T, P)."""
        events = vectors + times(past, self.variables["past"])
        if self._attention is not None:
            return self._attention.encode(events, past, noise, whole=whole)
        return self._recur(noise(events), whole)

    def query(self, state: Any, bag: Any, moment: Any, noise: Noise) -> Any:
        """(..., query). state, bag (..., query); moment broadcasts to them."""
        hidden = (
            times(noise(state), self._weight("q_state"))
            + (0.0 if self._attention else times(bag, self._weight("q_bag")))
            + times(moment, self.variables["q_moment"])
            + self.variables["q_bias"]
        )
        return state + times(noise(tf.nn.relu(hidden)), self._weight("q_out")) + self.variables["q_out_bias"]

    def take(self, query: Any, vectors: Any, moment: Any, noise: Noise) -> Any:
        """(n, members) logits: will this guest take it now? query and moment broadcast to vectors (n, query)."""
        deep, wide = self._offer(query, vectors, moment, noise)
        members = self.config.members
        of_deep = tf.reshape(noise(deep) * self.variables["t_out"][:, 0], (-1, members, self.config.hidden))
        of_wide = tf.reshape(wide * self.variables["t_wide_out"][:, 0], (-1, members, self.config.width))
        return tf.reduce_sum(of_deep, -1) + tf.reduce_sum(of_wide, -1) + self.variables["t_out_bias"]

    def mean_take(self, query: Any, vectors: Any, moment: Any) -> Any:
        """(n, 1): the members' mean, as one product."""
        deep, wide = self._offer(query, vectors, moment, Noise())
        members = self.config.members
        of_deep = tf.matmul(deep, self.variables["t_out"] / members)
        of_wide = tf.matmul(wide, self.variables["t_wide_out"] / members)
        return of_deep + of_wide + tf.reduce_mean(self.variables["t_out_bias"])

    def _offer(self, query: Any, vectors: Any, moment: Any, noise: Noise) -> tuple[Any, Any]:
        """(n, hidden), and (n, query): what each part of the moment says of each part of the item, without layers."""
        hidden = (
            tf.matmul(vectors, self._weight("t_item"))
            + tf.matmul(query * vectors, self._weight("t_both"))
            + tf.matmul(moment, self.variables["t_moment"])
            + self.variables["t_bias"]
        )
        deep = tf.matmul(noise(tf.nn.relu(hidden)), self._weight("t_deep")) + self.variables["t_deep_bias"]
        return tf.nn.relu(deep), vectors * tf.matmul(moment, self.variables["t_wide"])

    def _recur(self, events: Any, whole: bool) -> Any:
        width = self.config.query
        inputs = times(events, self._weight("gru_in"))
        weight, bias = self._weight("gru_state"), self.variables["gru_bias"]
        state, states = inputs[:, 0, :width] * 0.0, []
        for given in _places(inputs):
            held = tf.matmul(state, weight)
            gates = tf.sigmoid(given[:, : 2 * width] + held[:, : 2 * width] + bias)
            update, reset = gates[:, :width], gates[:, width:]
            candidate = tf.tanh(given[:, 2 * width :] + reset * held[:, 2 * width :])
            state = update * state + (1.0 - update) * candidate
            states.append(state)
        return tf.stack(states, 1) if whole else state[:, None]

    def _known(self) -> Any:
        return np.concatenate([np.zeros((1, 1)), np.ones((self.config.items, 1))]).astype(np.float32)

    def _normal(self, shape: tuple[int, ...], spread: float) -> Any:
        return tf.Variable((self._draw.standard_normal(shape) * spread).astype(np.float32))

    def _block(self, name: str, rows: int, columns: int, gates: int = 1) -> Any:
        """(rows, gates * columns): each member's own block, zero between members."""
        members = self.config.members
        block = np.kron(np.eye(members), np.ones((rows // members, columns // members)))
        self._blocks[name] = np.tile(block, (1, gates)).astype(np.float32)
        return self._normal((rows, gates * columns), (rows / members) ** -0.5)

    def _weight(self, name: str) -> Any:
        variable = self.variables[name]
        return variable if self.config.members == 1 else variable * self._blocks[name]


def _places(inputs: Any) -> list[Any]:
    """Each place of (B, T, n). One guest's by slices, which both runtimes know; those of many by unstacking them.

    The gradient of a slice is as large as all places together, and there is one for each.
    """
    if inputs.shape[0] == 1:
        return [inputs[:, place] for place in range(inputs.shape[1])]
    return list(tf.unstack(inputs, axis=1))


def _zeros(*shape: int) -> Any:
    return tf.Variable(np.zeros(shape, np.float32))
