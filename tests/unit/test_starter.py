"""The model that ships: whole, small, of today's features, plain about itself, and better than popularity on a ship
that nobody has seen. Nothing is trained here; if it is out of date, `make starter` makes it anew.
"""

from __future__ import annotations

import re

import pytest

from steward.adapters.modelfolder import STARTER, hash_file, open_model, pinned
from steward.domain.features import FEATURES_ID
from steward.domain.modelfile import Manifest, fits_gateway, unpack
from voyage.taste_check import Figures, cases_of, check
from voyage.taste_days import make_stays
from voyage.taste_model import model_ranker
from voyage.taste_world import make_world

BYTES_MAX = 300_000
UNSEEN_SEED = 90_001  # the model learnt from ships of seeds near 2000
GUESTS = 160


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return unpack(STARTER.read_bytes())[0]


def test_it_is_the_file_that_was_pinned_and_small() -> None:
    assert hash_file(STARTER) == pinned(STARTER)
    assert STARTER.stat().st_size < BYTES_MAX


def test_it_was_trained_with_today_s_features_and_a_gateway_takes_it(manifest: Manifest) -> None:
    assert manifest.features_id == FEATURES_ID, "run `make starter`: the features have changed"
    assert fits_gateway(manifest)
    model = open_model(STARTER, pinned(STARTER), STARTER.stat().st_size)
    assert model.version == f"preference-{manifest.version}"
    model.close()


def test_its_card_says_what_it_is_and_on_what_it_was_measured(manifest: Manifest) -> None:
    card = STARTER.with_name("CARD.md").read_text(encoding="utf-8")
    assert card.startswith(f"# Preference model {manifest.version}\n")
    for told in (manifest.network_sha256, manifest.data, manifest.licence, "made up by a simulator", "By group", "ECE"):
        assert told in card
    for told in ("NDCG@5 by what the guest had done before", "New items", "simulated days", "What it is not for"):
        assert told in card
    pictures = re.findall(r"\]\(([a-z0-9_]+\.svg)\)", card)
    assert {STARTER.with_name(name).read_bytes()[:5] for name in pictures} == {b"<?xml"}
    assert {path.name for path in STARTER.parent.glob("*.svg")} == set(pictures)


@pytest.fixture(scope="module")
def figures() -> dict[str, dict[str, Figures]]:
    """By way and ranker, on a ship of another seed: popularity knows its first guests, the model nobody."""
    world = make_world(UNSEEN_SEED)
    cases = cases_of(make_stays(world, UNSEEN_SEED, GUESTS), world.items)
    found = check(cases, len(world.items), {"starter": model_ranker(STARTER, world)})
    return {way: {each.ranker: each for each in told} for way, told in found.items()}


@pytest.mark.parametrize("way", ["all", "here"])
@pytest.mark.parametrize("peer", ["popularity", "popularity by hour"])
def test_it_ranks_better_than_popularity_beyond_chance(
    figures: dict[str, dict[str, Figures]], way: str, peer: str
) -> None:
    starter, other = figures[way]["starter"], figures[way][peer]
    assert starter.cases > 1500
    assert starter.ndcg5 - starter.ndcg5_half > other.ndcg5 + other.ndcg5_half


def test_at_an_outlet_nobody_ranks_better_than_who_knows_the_truth(figures: dict[str, dict[str, Figures]]) -> None:
    assert figures["here"]["starter"].ndcg5 < figures["here"]["oracle"].ndcg5
