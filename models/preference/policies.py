"""Policies of the Open Bandit sample, and what each would have earned on rounds that were logged under another.

Each shows one of its best items, evenly, and anything now and then: with the rounds there are, a policy that always
shows its one best item would be found in a few dozens of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from preference.errors import NeedsExtra
from preference.openbandit import Log, Scores
from steward.domain.lift import Estimate, Round, doubly_robust, ips, snips

EXPLORED = 0.1  # of the rounds: anything, with equal chance
LISTED = 0.2  # of the items: the best, shown with equal chance in the other rounds
_SURE = 300.0  # rounds that the share of all items weighs against an item's own


@dataclass(frozen=True, slots=True)
class Valued:
    """What one policy would have earned, by three estimators; clicks a round."""

    ips: Estimate
    snips: Estimate
    doubly_robust: Estimate


def anything(log: Log) -> Scores:
    """(contexts, items) equal chances."""
    return np.full((len(log.contexts), len(log.items)), 1 / len(log.items))


def best_of(values: Scores) -> Scores:
    """(contexts, items) chances: the best items by value evenly, ties to the lower row, and anything now and then."""
    contexts, items = values.shape
    listed = max(1, round(LISTED * items))
    best = np.argsort(-values, axis=1, kind="stable")[:, :listed]
    chances = np.full((contexts, items), EXPLORED / items)
    np.put_along_axis(chances, best, EXPLORED / items + (1 - EXPLORED) / listed, axis=1)
    return chances


def click_shares(log: Log) -> Scores:
    """(items,) clicks a round of each item in a log, drawn towards the share of all of them."""
    items = len(log.items)
    clicks = np.bincount(log.action, weights=log.click, minlength=items)
    whole = clicks.sum() / max(1, len(log))
    return np.asarray((clicks + _SURE * whole) / (np.bincount(log.action, minlength=items) + _SURE))


def popular(log: Log) -> Scores:
    """(contexts, items) the same for everybody."""
    return np.tile(click_shares(log), (len(log.contexts), 1))


def rounds_of(logged: Log, chances: Scores, guess: Scores) -> list[Round]:
    """chances (contexts, items) of the policy; guess (items,) of a click, for the doubly robust estimate."""
    target = chances[logged.context, logged.action]
    expected = (chances @ guess)[logged.context]
    told = zip(logged.unit, logged.click, logged.propensity, target, guess[logged.action], expected, strict=True)
    return [Round(unit, *map(float, numbers)) for unit, *numbers in told]


def as_logged(log: Log) -> list[Round]:
    """The policy of the log itself: every weight is 1."""
    told = zip(log.unit, log.click, log.propensity, strict=True)
    return [Round(unit, float(click), float(propensity), float(propensity)) for unit, click, propensity in told]


def value(rounds: Sequence[Round]) -> Valued:
    """Raises ValueError without rounds."""
    return Valued(ips(rounds), snips(rounds), doubly_robust(rounds))


def vowpal_wabbit(log: Log) -> Scores:
    """(contexts, items) worth by its contextual bandit (`--cb_adf`), learnt from a log. Raises NeedsExtra."""
    try:
        workspace: Any = importlib.import_module("vowpalwabbit").Workspace
    except ImportError as error:
        raise NeedsExtra("vowpalwabbit") from error
    model = workspace("--cb_adf --cb_type mtr -q UA --quiet --random_seed 1")
    shared = [f"shared |U {_named('u', row)}" for row in log.contexts]
    actions = [f"|A i{number} {_named('f', row)}" for number, row in enumerate(log.items)]
    for context, action, click, propensity in zip(log.context, log.action, log.click, log.propensity, strict=True):
        lines = [shared[context], *actions]
        lines[1 + action] = f"0:{-int(click)}:{propensity:.6g} {lines[1 + action]}"
        model.learn(lines)
    return -np.array([model.predict([line, *actions]) for line in shared])


def _named(letter: str, row: Any) -> str:
    return " ".join(f"{letter}{column}:{value:.4g}" for column, value in enumerate(row) if value)
