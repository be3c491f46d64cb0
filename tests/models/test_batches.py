"""Windows cut anew in each epoch hold what they held, and batches hold every window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.models.modelkit import HISTORY, ITEMS, tiny_set

from preference.batches import in_order, lengths, recut, shuffled
from preference.network import Encoder
from preference.sets import PreparedSet, Windows, windows
from preference.tensors import set_up
from preference.train import Progress, Recipe, Trainer
from preference.trained import shape_for

set_up(1)

Walk = Sequence[int]


def _pieces(walks: Sequence[Walk]) -> Windows:
    """One guest for each walk, windows that overlap by half, every target once; features tell the place in the walk."""
    index, target, past, guest = [], [], [], []
    for number, walk in enumerate(walks):
        for begin in range(0, max(1, len(walk) - 1 - HISTORY // 2), HISTORY // 2):
            row = np.zeros((3, HISTORY))
            held = np.array(walk[begin : begin + HISTORY + 1])
            size = len(held) - 1
            row[0, HISTORY - size :], row[1, HISTORY - size :] = held[:-1], held[1:]
            row[1, : HISTORY - size + (HISTORY // 2 if begin else 0)] = 0
            row[2, HISTORY - size :] = np.arange(begin, begin + size) + 1
            for values, into in zip(row, (index, target, past), strict=True):
                into.append(values)
            guest.append(number)
    order = np.argsort(np.array(guest) % 2, kind="stable")  # guests lie in any order, each one's windows in turn
    features = np.array(past, np.float32)[order][:, :, None]
    return windows(np.array(index)[order], np.array(target)[order], ITEMS, past=features, guest=np.array(guest)[order])


def _walks(*sizes: int) -> list[Walk]:
    rng = np.random.default_rng(3)
    return [[int(item) for item in rng.integers(1, ITEMS + 1, size)] for size in sizes]


def _told(held: Windows) -> list[tuple[int, int, int, float]]:
    row, place = np.nonzero(held.target)
    columns = (held.guest[row], held.index[row, place], held.target[row, place], held.past[row, place, 0])
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


def test_every_target_is_there_once_after_what_it_came_after() -> None:
    held = _pieces(_walks(2, HISTORY, HISTORY + 1, HISTORY + 2, 3 * HISTORY + 1, 4 * HISTORY, 50))
    for epoch in range(20):
        cut = recut(held, 7, epoch)
        assert _told(cut) == _told(held)
        assert ((cut.index > 0) == (cut.target > 0)).all()  # no place is computed for nothing
        inner = (cut.index[:, :-1] > 0) & (cut.index[:, 1:] > 0)
        assert (cut.index[:, 1:] == cut.target[:, :-1])[inner].all()
        assert (np.diff(cut.past[:, :, 0], axis=1)[inner] == 1).all()
        assert (np.diff((cut.index > 0).astype(int), axis=1) >= 0).all()  # right-aligned


def test_epochs_are_cut_in_different_places_and_the_same_epoch_in_the_same() -> None:
    held = _pieces(_walks(50, 50))
    one, again, other = recut(held, 7, 0), recut(held, 7, 0), recut(held, 7, 1)
    np.testing.assert_array_equal(one.index, again.index)
    firsts = {tuple((recut(held, 7, epoch).index > 0).sum(1)) for epoch in range(20)}
    assert len(firsts) > 3
    assert other.index.shape[1] == held.index.shape[1]


def test_guests_of_one_window_are_left_as_they_are() -> None:
    held = _pieces(_walks(3, HISTORY + 1, 2))
    assert recut(held, 0, 0) is held
    single = tiny_set(50).train
    assert recut(single, 0, 0) is single


def test_walks_that_do_not_follow_each_other_are_not_joined() -> None:
    held = tiny_set(200, chained=True).train  # two walks a guest
    held = held.take(held.target.any(1))
    cut = recut(held, 0, 0)
    assert _told(cut) == _told(held)
    inner = (cut.index[:, :-1] > 0) & (cut.index[:, 1:] > 0)
    assert (cut.index[:, 1:] == cut.target[:, :-1])[inner].all()


@pytest.mark.parametrize("size", [1, 16, 1000])
def test_cut_windows_are_batched_with_all_their_events(size: int) -> None:
    held = recut(_pieces(_walks(50, 3, 9, 31)), 1, 0)
    for batches in (list(in_order(held, size)), shuffled(held, size, 1, 0)):
        assert sorted(place for batch in batches for place in batch.chosen) == list(range(len(held)))
        for batch in batches:
            assert not held.index[batch.chosen, : -batch.length].any()
    assert lengths(held).max() <= HISTORY


def test_a_training_over_windows_cut_anew_is_carried_on_with_the_same_bits(tmp_path: Path) -> None:
    """Epochs have more batches or fewer; one is stopped between two of them."""
    part = _pieces(_walks(50, 3, 9, 31, 40, 7))
    prepared = PreparedSet(tiny_set(1).about, tiny_set(1).item_features, dict.fromkeys(("train", "valid"), part))
    recipe = Recipe(epochs=3, batch=2, rate=1e-2)
    assert len({len(shuffled(recut(part, 0, epoch), 2, 0, epoch)) for epoch in range(3)}) > 1

    config = replace(shape_for(prepared, Encoder.ATTENTION, 8, 8, 1), layers=1)  # each layer is compiled anew each time

    def train(folder: str, stop_after: int | None) -> dict[str, bytes]:
        trainer = Trainer(prepared, config, recipe, tmp_path / folder)
        steps: list[Progress] = []
        trainer.run(steps.append, stop_after)
        assert [each.step for each in steps] == list(range(steps[0].step, steps[-1].step + 1))
        assert (steps[-1].step == steps[-1].steps) == (stop_after is None)
        return {name: value.numpy().tobytes() for name, value in trainer.network.variables.items()}

    train("parts", 1)
    assert train("parts", None) == train("whole", None)
