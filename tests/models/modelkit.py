"""A made-up set with a rule that can be learnt, small enough for tests that take seconds."""

from __future__ import annotations

import numpy as np

from preference.sets import About, Ints, PreparedSet, Windows, windows

ITEMS = 12
HISTORY = 6


def after(row: int) -> int:
    """What mostly comes next."""
    return row % ITEMS + 1


def tiny_set(count: int = 600, seed: int = 1, *, chained: bool = False, repeats: bool = True) -> PreparedSet:
    """Guests who go from each item to the one after it, nine times of ten; offers are taken as the moment says."""
    parts = {part: _part(count, seed * 10 + number, chained) for number, part in enumerate(("train", "valid", "test"))}
    features = np.zeros((ITEMS + 1, 5), np.float32)
    features[1:, 0] = 1
    features[1:, 1:] = np.random.default_rng(0).integers(0, 2, (ITEMS, 4))
    about = About(
        name="tiny",
        licence="made up",
        source="modelkit",
        features_id="0" * 64,
        items=tuple(f"item-{row}" for row in range(1, ITEMS + 1)),
        groups=("parity: even", "parity: odd"),
        repeats=repeats,
    )
    return PreparedSet(about, features, parts)


def _part(count: int, seed: int, chained: bool) -> Windows:
    rng = np.random.default_rng(seed)
    lengths = rng.choice([2, HISTORY + 1], count)  # two lengths only: each is compiled by itself
    walks = [_walk(rng, int(length)) for length in lengths]
    index, target = np.zeros((count, HISTORY), np.int32), np.zeros((count, HISTORY), np.int32)
    for place, walk in enumerate(walks):
        index[place, HISTORY - len(walk) + 1 :] = walk[:-1]
        target[place, HISTORY - len(walk) + 1 :] = walk[1:]
    moment = rng.uniform(-1, 1, (count, 3)).astype(np.float32)
    moment[:, 0] = 1
    return windows(
        index,
        target if chained else target[:, -1:],
        ITEMS,
        moment=moment,
        offered=rng.integers(1, ITEMS + 1, count).astype(np.int32),
        took=(moment[:, 1] > 0).astype(np.int8),
        group=(np.arange(count) % 2).astype(np.int32),
        guest=(np.arange(count) // 2).astype(np.int32),
    )


def _walk(rng: np.random.Generator, length: int) -> Ints:
    walk = [int(rng.integers(1, ITEMS + 1))]
    while len(walk) < length:
        walk.append(after(walk[-1]) if rng.random() < 0.9 else int(rng.integers(1, ITEMS + 1)))
    return np.array(walk, np.int32)
