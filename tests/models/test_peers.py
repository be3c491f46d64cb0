"""Peers are what their names say: each finds what it is made to find, and knows of the train part alone."""

from __future__ import annotations

import numpy as np
import pytest
from tests.models.modelkit import ITEMS, after, tiny_set

from preference import peers, peers_offers
from preference.metrics import auc, means, ranks


@pytest.mark.parametrize("chained", [False, True])
@pytest.mark.parametrize("name", ["Markov", "Markov, last 3"])
def test_markov_finds_what_comes_next(name: str, chained: bool) -> None:
    prepared = tiny_set(chained=chained)
    test = tiny_set(seed=3).parts["test"]
    scores = peers.PEERS[name](prepared)(test)
    known = test.index[:, -1] > 0
    best = scores[known, 1:].argmax(1) + 1
    assert (best == [after(int(row)) for row in test.index[known, -1]]).mean() > 0.95


def test_popularity_says_the_same_to_everybody() -> None:
    prepared = tiny_set()
    scores = peers.popularity(prepared)(prepared.parts["test"])
    assert (scores == scores[0]).all()
    assert scores[0, 1:].tolist() == [(prepared.train.target == row).sum() for row in range(1, ITEMS + 1)]


def test_every_peer_beats_chance_on_what_it_can_see() -> None:
    prepared, test = tiny_set(chained=True), tiny_set(seed=3).parts["test"]
    found = {
        name: means(ranks(fit(prepared)(test), test.bars(ITEMS), test.target[:, -1]))["HR@3"]
        for name, fit in peers.PEERS.items()
    }
    assert found["Markov"] > found["item-kNN"] > 3 / ITEMS
    assert found["Markov"] > found["EASE"] > 3 / ITEMS


@pytest.mark.parametrize("name", list(peers.PEERS))
def test_a_guest_without_a_history_is_ranked_without_fuss(name: str) -> None:
    prepared = tiny_set()
    nobody = prepared.parts["test"].take(np.arange(3))
    nobody.index[:] = 0
    assert np.isfinite(peers.PEERS[name](prepared)(nobody)).all()


@pytest.mark.parametrize("name", ["boosted trees", "Vowpal Wabbit"])
def test_forecasters_find_the_moment_that_counts(name: str) -> None:
    prepared = tiny_set()
    test = prepared.parts["test"]
    chance = peers_offers.PEERS[name](prepared)(test)
    assert ((chance >= 0) & (chance <= 1)).all()
    assert auc(chance, test.took) > 0.9
    assert auc(peers_offers.share_taken(prepared)(test), test.took) < 0.6
