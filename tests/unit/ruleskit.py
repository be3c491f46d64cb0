"""What the rules are tested with: a situation at noon with nothing in the way, and short ways to decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.unit.moneykit import NOON_S
from tests.unit.servicekit import KIRA, SHOP, item

from steward.config_offers import packaged_rules
from steward.domain.catalogue import Item
from steward.domain.offers import PPM, Offer, OfferId, OfferState, Reason, Scored, Situation
from steward.domain.profiles import AgeGroup, Allergen
from steward.domain.rulekinds import Rule, Rules, Saying
from steward.domain.rules import Decision, decide

RULES = packaged_rules()
CAP = item("cap", SHOP, edible=False, suits=(), category="clothes")
WINE = item("wine", min_age_group=AgeGroup.ADULT, allergens=(Allergen.SULPHITES,))


def situation(**changes: Any) -> Situation:
    made = Situation(
        minute=12 * 60,
        age_group=AgeGroup.ADULT,
        allergies=frozenset(),
        diet=frozenset(),
        in_recovery=False,
        personal=True,
        offers=(),
        day_start_s=NOON_S - 8 * 3600,
        now_s=NOON_S,
    )
    return replace(made, **changes)


def offered(what: Item, at_s: int = NOON_S - 3600, state: OfferState = OfferState.DEFERRED) -> Offer:
    reasons = (Reason("something_new"),)
    return Offer(
        OfferId("0" * 32), KIRA, what.outlet, what.id, what.category, at_s, 12, PPM, "test-1", reasons, state, None
    )


def rule(says: Saying, name: str = "a-rule") -> Rule:
    return Rule(name, says, {"en": "Because.", "nb": "Fordi."})


def decided(items: Sequence[Item], now: Situation, rules: Rules = RULES) -> Decision:
    """The first item has the best score."""
    scored = [Scored(one.id, float(len(items) - place), ()) for place, one in enumerate(items)]
    return decide(items, scored, now, rules)


def allowed(items: Sequence[Item], now: Situation, rules: Rules = RULES) -> list[str]:
    return [one.item for one in decided(items, now, rules).ordered]
