"""A small logged data set, made up and the same in every run, and what `obp` 0.4.1 estimates on it.

`python tests/data/lift_reference.py > tests/data/lift_reference.json`, in an environment of its own with obp 0.4.1
(it wants versions of NumPy and PyTorch that nothing else here does). The tests need neither: they read the file.

Eight items, 400 guests, one to six rounds each. The logging policy prefers what suits the guest's kind and now and
then takes anything; the policy to be valued is another, that leans to popular items. The reward model is wrong on
purpose. Only Random.random() is used, which gives the same numbers on every Python.
"""

from __future__ import annotations

import json
import random
import sys
from dataclasses import dataclass

SEED = 20_261
GUESTS = 400
ITEMS = 8


@dataclass(frozen=True)
class Made:
    """One round. logging, target, model, truth: of every item, for this guest."""

    guest: str
    item: int
    reward: int
    logging: tuple[float, ...]
    target: tuple[float, ...]
    model: tuple[float, ...]
    truth: tuple[float, ...]


def rounds(seed: int = SEED, guests: int = GUESTS) -> list[Made]:
    draw = random.Random(seed).random
    appeal = [0.05 + 0.4 * draw() for _ in range(ITEMS)]
    made = []
    for guest in range(guests):
        kind = int(ITEMS * draw())
        truth = tuple(min(0.95, value + (0.35 if item == kind else 0.0)) for item, value in enumerate(appeal))
        logging = tuple(0.3 / ITEMS + (0.7 if item == kind else 0.0) for item in range(ITEMS))
        total = sum(value**2 for value in appeal)
        target = tuple(0.1 / ITEMS + 0.9 * value**2 / total for value in appeal)
        model = tuple(0.5 * value + 0.1 for value in truth)
        for _ in range(1 + int(6 * draw())):
            item = _drawn(logging, draw())
            reward = int(draw() < truth[item])
            made.append(Made(f"{guest:016x}", item, reward, logging, target, model, truth))
    return made


def true_value(made: list[Made]) -> float:
    """What the target policy earns a round, on these guests."""
    means = [sum(chance * worth for chance, worth in zip(one.target, one.truth, strict=True)) for one in made]
    return sum(means) / len(means)


def _drawn(chances: tuple[float, ...], point: float) -> int:
    for item, chance in enumerate(chances):
        point -= chance
        if point < 0:
            return item
    return len(chances) - 1


def reference(made: list[Made]) -> dict[str, float]:
    import numpy
    import obp.ope  # type: ignore[import-not-found]

    facts = {
        "reward": numpy.array([one.reward for one in made]),
        "action": numpy.array([one.item for one in made]),
        "pscore": numpy.array([one.logging[one.item] for one in made]),
        "action_dist": numpy.array([one.target for one in made])[:, :, None],
    }
    model = numpy.array([one.model for one in made])[:, :, None]
    return {
        "ips": float(obp.ope.InverseProbabilityWeighting().estimate_policy_value(**facts)),
        "snips": float(obp.ope.SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**facts)),
        "doubly_robust": float(
            obp.ope.DoublyRobust().estimate_policy_value(**facts, estimated_rewards_by_reg_model=model)
        ),
    }


if __name__ == "__main__":
    import obp  # type: ignore[import-not-found]

    assert obp.__version__ == "0.4.1", "the figures are those of obp 0.4.1"
    logged = rounds()
    found = {"obp": obp.__version__, "seed": SEED, "rounds": len(logged), "true_value": true_value(logged)}
    json.dump({**found, **reference(logged)}, sys.stdout, indent=1)
    sys.stdout.write("\n")
