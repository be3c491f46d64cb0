"""Training: AdamW, a warm-up and a cosine, full softmax over the catalogue; seeded, and resumable to the bit."""

from __future__ import annotations

import hashlib
import json
import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from preference import checkpoint, warm
from preference.arrays import Arrays
from preference.batches import Batch, recut, shuffled
from preference.checkpoint import Checkpoint
from preference.errors import TrainingDiverged
from preference.forward import Forward
from preference.losses import barred_entropy, chunked_entropy, seen
from preference.metrics import log_loss, means, ranks
from preference.network import Encoder, Network, NetworkConfig
from preference.noise import Noise
from preference.sets import PreparedSet, Windows, weigh
from preference.tensors import ByLength, tf

_BETA, _BETA_SQUARE = 0.9, 0.98
_CLIP = 1.0
_YEAR_S = 31_556_952
_VALID_MAX = 8192  # windows looked at after each epoch
_CHECKPOINT_STEPS = 200


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train. recency: e-folds a year by which old windows count less.

    residual: share of items that are at each step as if never seen; forget: share of a moment's values as if not known.
    half: products of the loss in 16 bits.
    """

    epochs: int = 20
    batch: int = 512
    rate: float = 3e-3
    decay: float = 1e-2
    dropout: float = 0.1
    residual: float = 0.2
    forget: float = 0.1
    recency: float = 0.0
    smoothing: float = 0.0
    seed: int = 0
    half: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """After each step. figure: of the last epoch on the valid part, higher is better."""

    step: int
    steps: int
    epoch: int
    loss: float
    figure: float


class Trainer:
    """One training of one network on one set; `folder` holds its checkpoint."""

    def __init__(self, prepared: PreparedSet, config: NetworkConfig, recipe: Recipe, folder: Path) -> None:
        self._set, self._recipe, self._path = prepared, recipe, folder / "checkpoint.npz"
        self.network = Network(config, recipe.seed)
        if config.encoder is Encoder.ATTENTION and prepared.train.chained:
            warm.start(self.network, prepared.train, recipe.seed)
        self._names = sorted(self.network.variables)
        self._first = [tf.Variable(tf.zeros_like(self.network.variables[name])) for name in self._names]
        self._second = [tf.Variable(tf.zeros_like(self.network.variables[name])) for name in self._names]
        self._train = weigh(prepared.train, _recency(prepared.train, recipe.recency))
        self._items = tf.constant(prepared.item_features)
        self._forward = Forward(self.network, prepared)
        self._compiled = ByLength(self._step)
        self._learns_interest = bool((prepared.train.target > 0).any())
        self._learns_take = bool(((prepared.train.offered > 0) & (prepared.train.took >= 0)).any())
        valid = prepared.parts["valid"]
        answered = (valid.offered > 0) & (valid.took >= 0)
        self._valid = _some(valid.take(valid.target[:, -1] > 0 if self._learns_interest else answered))
        self._digest = _digest(prepared, config, recipe)

    def run(self, tell: Callable[[Progress], None], stop_after: int | None = None) -> Checkpoint:
        """To the end, or for `stop_after` epochs; leaves the best epoch's variables in the network.

        Raises NotResumable, TrainingDiverged.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        state = checkpoint.read(self._path, self._digest) or self._capture(0, {}, -math.inf, -1)
        self._restore(state)
        epochs = self._recipe.epochs if stop_after is None else min(self._recipe.epochs, stop_after)
        ends = np.cumsum([len(self._batches(epoch)[1]) for epoch in range(self._recipe.epochs)]).tolist()
        for epoch in range(bisect_right(ends, state.step), epochs):
            held, batches = self._batches(epoch)
            for step, batch in enumerate(batches, ends[epoch] - len(batches)):
                if step < state.step:
                    continue
                loss = self._learn(held, batch, step, ends[-1], ends[0])
                tell(Progress(step + 1, ends[-1], epoch, loss, state.best_figure))
                if (step + 1) % _CHECKPOINT_STEPS == 0 and step + 1 < ends[epoch]:
                    state = self._capture(step + 1, state.best, state.best_figure, state.best_epoch)
                    checkpoint.write(self._path, state, self._digest)
            state = self._after(epoch, ends[epoch], state)
            checkpoint.write(self._path, state, self._digest)
        if state.best:
            self.network.assign(state.best)
        return state

    def figure(self) -> float:
        """NDCG@5 on the valid part; where nothing is to be ranked, the log loss of the offers, negative."""
        if self._learns_interest:
            bars = self._valid.bars(self._set.about.count)
            return means(ranks(self._forward.interest(self._valid), bars, self._valid.target[:, -1]))["NDCG@5"]
        return -log_loss(self._forward.take(self._valid), self._valid.took)

    def _after(self, epoch: int, step: int, state: Checkpoint) -> Checkpoint:
        figure = self.figure()
        if figure <= state.best_figure:
            return self._capture(step, state.best, state.best_figure, state.best_epoch)
        return self._capture(step, self._values(), figure, epoch)

    def _batches(self, epoch: int) -> tuple[Windows, list[Batch]]:
        held = recut(self._train, self._recipe.seed, epoch)
        return held, shuffled(held, self._recipe.batch, self._recipe.seed, epoch)

    def _learn(self, held: Windows, batch: Batch, step: int, steps: int, warm: int) -> float:
        last = batch.length
        target = held.target[batch.chosen]
        loss = self._compiled(
            last,
            held.index[batch.chosen, -last:],
            held.past[batch.chosen, -last:],
            held.moment[batch.chosen],
            target[:, -last:] if held.chained else target,
            _bars(held, batch, self._set.about.count),
            held.offered[batch.chosen],
            held.took[batch.chosen].astype(np.float32),
            held.weight[batch.chosen],
            tf.constant(_rate(self._recipe.rate, step, steps, warm), tf.float32),
            tf.constant(step, tf.int32),
        ).numpy()
        if not math.isfinite(loss):
            raise TrainingDiverged(step)
        return float(loss)

    def _step(
        self,
        index: Any,
        past: Any,
        moment: Any,
        target: Any,
        bars: Any,
        offered: Any,
        took: Any,
        weight: Any,
        rate: Any,
        step: Any,
    ) -> Any:
        noise = Noise(self._recipe.dropout, tf.stack([self._recipe.seed, step * 1000]))
        variables = [self.network.variables[name] for name in self._names]
        with tf.GradientTape() as tape:
            moment = noise.without(moment, self._recipe.forget)
            kept = noise.rows(self._set.about.count + 1, self._recipe.residual)
            vectors = self.network.vectors(self._items, np.arange(self._set.about.count + 1), kept)
            events = tf.gather(vectors, index)
            whole = self._train.chained
            state = self.network.encode(events, past, noise, whole=whole)
            bag = tf.cumsum(events, 1) if whole else tf.reduce_sum(events, 1)[:, None]
            query = self.network.query(state, bag, moment[:, None], noise)
            loss = tf.constant(0.0)
            if self._learns_interest:
                blurred = query if self.network.config.encoder is Encoder.ATTENTION else noise(query)
                loss += self._interest_loss(blurred, vectors, index, target, bars, weight)
            if self._learns_take:
                loss += self._take_loss(query[:, -1], vectors, moment, offered, took, weight, noise)
        self._update(variables, tape.gradient(loss, variables, unconnected_gradients="zero"), rate, step)
        return loss

    def _interest_loss(self, query: Any, vectors: Any, index: Any, target: Any, bars: Any, weight: Any) -> Any:
        """Mean over members of each one's cross entropy over all that can come next."""
        config, items = self.network.config, self._set.about.count
        places = tf.where(target > 0)
        asked = tf.reshape(tf.gather_nd(query, places), (-1, config.members, config.width))
        known = tf.reshape(vectors[1:], (items, config.members, config.width))
        wanted, counts = tf.gather_nd(target, places) - 1, tf.gather(weight, places[:, 0])
        if self._train.chained:
            taken = None if self._set.about.repeats else seen(index, places, items)
            of_members = [
                chunked_entropy(asked[:, k], known[:, k], wanted, counts, taken, half=self._recipe.half)
                for k in range(config.members)
            ]
            total = tf.add_n(of_members) / config.members
        else:
            entropy = barred_entropy(asked, known, wanted, tf.gather(bars[:, 1:], places[:, 0]))
            total = tf.reduce_sum(tf.reduce_mean(entropy, 1) * counts)
        return total / tf.maximum(tf.reduce_sum(counts), 1e-6)

    def _take_loss(
        self, query: Any, vectors: Any, moment: Any, offered: Any, took: Any, weight: Any, noise: Noise
    ) -> Any:
        logits = self.network.take(query, tf.gather(vectors, offered), moment, noise)
        counts = weight * tf.cast((offered > 0) & (took >= 0), tf.float32)
        smooth = tf.clip_by_value(took, 0.0, 1.0) * (1 - self._recipe.smoothing) + self._recipe.smoothing / 2
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(tf.broadcast_to(smooth[:, None], tf.shape(logits)), logits)
        return tf.reduce_sum(tf.reduce_mean(entropy, 1) * counts) / tf.maximum(tf.reduce_sum(counts), 1e-6)

    def _update(self, variables: list[Any], slopes: list[Any], rate: Any, step: Any) -> None:
        """AdamW (Loshchilov and Hutter, 2019); decay of matrices only, slopes clipped to norm 1."""
        turn = tf.cast(step + 1, tf.float32)
        slopes = [tf.convert_to_tensor(slope) for slope in slopes]
        shrink = tf.minimum(1.0, _CLIP / (tf.linalg.global_norm(slopes) + 1e-6))
        for variable, slope, first, second in zip(variables, slopes, self._first, self._second, strict=True):
            first.assign(_BETA * first + (1 - _BETA) * slope * shrink)
            second.assign(_BETA_SQUARE * second + (1 - _BETA_SQUARE) * tf.square(slope * shrink))
            wanted = (first / (1 - _BETA**turn)) / (tf.sqrt(second / (1 - _BETA_SQUARE**turn)) + 1e-8)
            kept = self._recipe.decay * variable if variable.shape.rank == 2 else 0.0
            variable.assign_sub(rate * (wanted + kept))

    def _values(self) -> dict[str, Any]:
        return {name: self.network.variables[name].numpy() for name in self._names}

    def _capture(self, step: int, best: Arrays, figure: float, epoch: int) -> Checkpoint:
        moments = {f"first.{name}": held.numpy() for name, held in zip(self._names, self._first, strict=True)}
        moments |= {f"second.{name}": held.numpy() for name, held in zip(self._names, self._second, strict=True)}
        return Checkpoint(step, self._values(), moments, best, figure, epoch)

    def _restore(self, state: Checkpoint) -> None:
        self.network.assign(state.variables)
        for name, first, second in zip(self._names, self._first, self._second, strict=True):
            first.assign(state.moments[f"first.{name}"])
            second.assign(state.moments[f"second.{name}"])


def _rate(top: float, step: int, steps: int, warm: int) -> float:
    """Up during the first epoch, or the first tenth if that is less; then down along a cosine to 0."""
    rise = max(1, min(warm, steps // 10))
    return top * min(1.0, (step + 1) / rise) * (0.5 + 0.5 * math.cos(math.pi * step / steps))


def _recency(held: Windows, folds: float) -> Any:
    """Weight of 1 for the newest windows, and e times less for every 1 / folds years before."""
    newest = held.at_s.max(initial=0)
    return np.exp(folds * (held.at_s - newest) / _YEAR_S) * held.weight


def _some(held: Windows) -> Windows:
    """Evenly chosen, and the same each time."""
    return held.take(np.linspace(0, len(held) - 1, min(len(held), _VALID_MAX)).astype(np.int64))


def _bars(held: Windows, batch: Batch, count: int) -> Any:
    return np.unpackbits(held.barred[batch.chosen], axis=1, count=count + 1)


def _digest(prepared: PreparedSet, config: NetworkConfig, recipe: Recipe) -> str:
    told = json.dumps([asdict(config), asdict(recipe), prepared.digest()], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()
