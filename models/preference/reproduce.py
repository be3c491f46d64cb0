"""The figures that anyone can make again: public sets out of pinned packages, our network beside its peers, one run.

Everything is in one folder: the packages, the trainings' checkpoints (a run that was stopped goes on from there), the
figures and their picture. Nothing in it is to be passed on or shipped: it is for measuring.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from preference import peers, peers_offers, release, trained
from preference.errors import NeedsExtra
from preference.forward import Forward
from preference.importers import coupon
from preference.metrics import Figure, auc_figure, figures, means, per_case, ranks
from preference.movies import ml100k
from preference.network import Encoder
from preference.openbandit import CAMPAIGNS, Campaign, Log, Scores, as_set, choices, open_bandit
from preference.paired import auc_difference, difference
from preference.policies import (
    Valued,
    anything,
    as_logged,
    best_of,
    click_shares,
    popular,
    rounds_of,
    value,
    vowpal_wabbit,
)
from preference.sets import Floats, PreparedSet, Windows
from preference.train import Progress, Recipe, Trainer
from preference.trained import Trained
from preference.wheels import OBP, RECBOLE, Wheel, fetch
from steward.domain.lift import Estimate, ips

FIGURES_FILE, PICTURE_FILE = "reproduced.json", "reproduced.svg"
METRICS = ("HR@10", "NDCG@10", "MRR")
BY = "NDCG@10"  # what the best peer is the best by, on the valid part

Say = Callable[[str], None]
Tell = Callable[[str, Progress], None]
Chooses = Callable[[Campaign, Log], Scores]


@dataclass(frozen=True, slots=True)
class Size:
    """One network and how it is trained."""

    recipe: Recipe
    width: int
    hidden: int
    members: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run. The defaults are what the README's figures are of."""

    seed: int = 0
    films: Size = field(
        default=Size(Recipe(epochs=12, batch=64, decay=0.05, dropout=0.3, residual=0.1, forget=0), 64, 128, 1)
    )
    offers: Size = field(default=Size(Recipe(rate=4e-3, decay=0.1, dropout=0.3, residual=0), 8, 16, 8))
    clicks: Size = field(default=Size(Recipe(epochs=6, batch=256, dropout=0.2), 8, 16, 4))
    recbole: Wheel = RECBOLE
    obp: Wheel = OBP


@dataclass(frozen=True, slots=True)
class Films:
    """ml-100k, leave one out, full ranking, what was seen masked. ahead: of our int8 file, over the best peer."""

    cases: int
    rankings: dict[str, dict[str, Figure]]
    best_peer: str
    ahead: dict[str, Figure]


@dataclass(frozen=True, slots=True)
class Clicks:
    """Open Bandit sample, all campaigns, clicks a round.

    policies: valued on the rounds of the uniform log; observed: what both logs' own policies earned; check: the uniform
    policy, valued on the Thompson log, whose truth is among the observed.
    """

    rounds: int
    policies: dict[str, Valued]
    observed: dict[str, Estimate]
    check: Valued


@dataclass(frozen=True, slots=True)
class Offers:
    """In-vehicle coupons, people nobody was trained on: area under the curve by name; ahead: of our int8 file."""

    offers: int
    guests: int
    forecasts: dict[str, Figure]
    ahead: dict[str, Figure]


@dataclass(frozen=True, slots=True)
class Reproduction:
    plan: Plan
    films: Films
    clicks: Clicks
    offers: Offers | None


def reproduce(plan: Plan, folder: Path, say: Say, tell: Tell, coupons: Path | None = None) -> Reproduction:
    """coupons: the file of that set, which is in no package. Raises NoWheel, BadData, NotResumable."""
    taken = None if coupons is None else coupon(coupons)
    wheels = folder / "packages"
    recbole, obp = fetch(plan.recbole, wheels), fetch(plan.obp, wheels)
    found = Reproduction(
        plan,
        _films(plan, ml100k(recbole), folder / "ml-100k", say, tell),
        _clicks(plan, [open_bandit(obp, name) for name in CAMPAIGNS], folder, say, tell),
        None if taken is None else _offers(plan, taken, folder / "coupon", say, tell),
    )
    (folder / FIGURES_FILE).write_text(json.dumps(asdict(found), indent=1), encoding="utf-8")
    return found


def _films(plan: Plan, prepared: PreparedSet, folder: Path, say: Say, tell: Tell) -> Films:
    valid, test = prepared.parts["valid"], prepared.parts["test"]
    tells: dict[str, Callable[[Windows], Floats]] = {}
    worth: dict[str, float] = {}
    for name, fit in peers.PEERS.items():
        say(f"ml-100k: {name}")
        tells[name] = fit(prepared)
        worth[name] = means(_ranks(prepared, valid, tells[name]))[BY]
    best = max(worth, key=lambda name: worth[name])
    _trained(plan, plan.films, prepared, folder, tell)
    say("ml-100k: to int8")
    release.make(folder, prepared, "reproduced", "to be measured; not for a gateway")
    tells |= {f"network, {model.name}": model.interest for model in release.models_of(folder, prepared)}
    rank = {}
    for name, interest in tells.items():
        say(f"ml-100k: {name} on the test part")
        rank[name] = _ranks(prepared, test, interest)
    ours, theirs = per_case(rank["network, int8"]), per_case(rank[best])
    return Films(
        cases=len(test),
        rankings={name: _chosen(figures(each, test.guest, plan.seed)) for name, each in rank.items()},
        best_peer=best,
        ahead={name: difference(ours[name], theirs[name], test.guest, plan.seed) for name in METRICS},
    )


def _clicks(plan: Plan, campaigns: list[Campaign], folder: Path, say: Say, tell: Tell) -> Clicks:
    def by_network(campaign: Campaign, log: Log) -> Scores:
        prepared = as_set(campaign)
        kept = _trained(plan, plan.clicks, prepared, folder / prepared.about.name, tell)
        chance = Forward(kept.network, prepared).take(choices(log))
        return best_of(chance.reshape(len(log.contexts), len(log.items)).astype(np.float64))

    policies: Mapping[str, Chooses] = {
        "anything": lambda _, log: anything(log),
        "popularity": lambda _, log: best_of(popular(log)),
        "Vowpal Wabbit": lambda _, log: best_of(vowpal_wabbit(log)),
        "network": by_network,
    }
    valued = {}
    for name, chooses in policies.items():
        say(f"open bandit: {name}")
        try:
            pairs = [(each.uniform, chooses(each, each.thompson), click_shares(each.thompson)) for each in campaigns]
        except NeedsExtra as error:
            say(f"{name} is left out: {error}")
            continue
        valued[name] = value([one for log, chance, guess in pairs for one in rounds_of(log, chance, guess)])
    back = [one for c in campaigns for one in rounds_of(c.thompson, anything(c.thompson), click_shares(c.uniform))]
    return Clicks(
        rounds=sum(len(each.uniform) for each in campaigns),
        policies=valued,
        observed={
            "anything": ips([one for each in campaigns for one in as_logged(each.uniform)]),
            "Thompson sampling": ips([one for each in campaigns for one in as_logged(each.thompson)]),
        },
        check=value(back),
    )


def _offers(plan: Plan, prepared: PreparedSet, folder: Path, say: Say, tell: Tell) -> Offers:
    test, told = prepared.parts["test"], dict[str, Floats]()
    for name, fit in peers_offers.PEERS.items():
        say(f"coupons: {name}")
        try:
            told[name] = fit(prepared)(test)
        except NeedsExtra as error:
            say(f"{name} is left out: {error}")
    _trained(plan, plan.offers, prepared, folder, tell)
    say("coupons: to int8")
    release.make(folder, prepared, "reproduced", "to be measured; not for a gateway")
    ours = {f"network, {model.name}": model.take(test) for model in release.models_of(folder, prepared)}
    best = ours["network, int8"]
    return Offers(
        offers=len(test),
        guests=len(np.unique(test.guest)),
        forecasts={
            name: auc_figure(chance, test.took, test.guest, plan.seed) for name, chance in (told | ours).items()
        },
        ahead={name: auc_difference(best, chance, test.took, test.guest, plan.seed) for name, chance in told.items()},
    )


def _ranks(prepared: PreparedSet, held: Windows, tells: Callable[[Windows], Floats]) -> NDArray[np.int64]:
    return ranks(tells(held), held.bars(prepared.about.count), held.target[:, -1])


def _chosen(found: Mapping[str, Figure]) -> dict[str, Figure]:
    return {name: found[name] for name in METRICS}


def _trained(plan: Plan, size: Size, prepared: PreparedSet, folder: Path, tell: Tell) -> Trained:
    config = trained.shape_for(prepared, Encoder.GRU, size.width, size.hidden, size.members)
    recipe = replace(size.recipe, seed=plan.seed)
    trainer = Trainer(prepared, config, recipe, folder)
    state = trainer.run(lambda done: tell(prepared.about.name, done))
    about, digest = prepared.about, prepared.digest()
    kept = Trained(trainer.network, recipe, about.features_id, digest, state.best_epoch, state.best_figure)
    trained.save(folder, kept)
    return kept
