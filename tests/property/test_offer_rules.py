"""Whatever is scored, whatever a file says: no stop is outweighed, every step is told, a nudge stays bounded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract import serviceparts as made
from tests.contract.makers import AT_S
from tests.unit.ruleskit import rule, situation

from steward.domain.catalogue import Hours, Item
from steward.domain.offers import OfferState, Scored, Workload
from steward.domain.profiles import AgeGroup, Allergen, Diet
from steward.domain.rulekinds import (
    EVERYTHING,
    NUDGE_PERCENT_MAX,
    AskAgain,
    Cap,
    CrewBusy,
    Nudge,
    Of,
    Per,
    Quiet,
    Reach,
    Rules,
    Variety,
    rules_of,
)
from steward.domain.rules import SCORE_MAX, Effect, decide, reordered

items = st.builds(
    lambda number, category, allergens, suits, age, hours, edible: replace(
        made.item(f"i{number}"),
        category=category,
        allergens=tuple(sorted(allergens)) if edible else (),
        suits=tuple(sorted(suits)) if edible else (),
        min_age_group=age,
        hours=hours,
        edible=edible,
    ),
    st.integers(0, 8),
    st.sampled_from(["a", "b", "c"]),
    st.frozensets(st.sampled_from(Allergen), max_size=2),
    st.frozensets(st.sampled_from(Diet)),
    st.sampled_from(AgeGroup),
    st.sampled_from([(), (Hours(360, 600),), (Hours(1320, 120),)]),
    st.booleans(),
)
offers = st.builds(
    lambda item, ago_s, state: made.offer(item=item.id, category=item.category, at_s=AT_S - ago_s, state=state),
    items,
    st.integers(0, 3 * 86_400),
    st.sampled_from(OfferState),
)
situations = st.builds(
    lambda **changes: situation(now_s=AT_S, day_start_s=AT_S - 8 * 3600, **changes),
    minute=st.integers(0, 1439),
    age_group=st.sampled_from(AgeGroup),
    allergies=st.none() | st.frozensets(st.sampled_from(Allergen), max_size=2),
    diet=st.none() | st.frozensets(st.sampled_from(Diet), max_size=2),
    in_recovery=st.sampled_from([False, False, True]),
    personal=st.booleans(),
    workload=st.builds(Workload, st.integers(0, 4), st.integers(0, 4)),
    offers=st.lists(offers, max_size=10).map(lambda made_: sorted(made_, key=lambda offer: offer.at_s)),
)


scores = st.floats(-SCORE_MAX, SCORE_MAX)
reaches = st.sampled_from([Of(Reach.CATEGORY, "a"), Of(Reach.ITEM, "i1"), Of(Reach.CATEGORY, "gone")])
capped = st.builds(Of, st.sampled_from([Reach.ALL, Reach.EVERY_CATEGORY, Reach.EVERY_ITEM]))
sayings = st.one_of(
    st.builds(
        Cap,
        st.sampled_from([*map(Of, [Reach.ALL, Reach.EVERY_CATEGORY, Reach.EVERY_ITEM])]),
        st.sampled_from(Per),
        st.integers(0, 4),
    ),
    st.builds(AskAgain, st.just(EVERYTHING) | reaches, st.integers(3600, 90_000)),
    st.builds(Variety, st.integers(1, 4)),
    st.builds(Quiet, st.just(EVERYTHING) | reaches, st.builds(Hours, st.integers(0, 1439), st.integers(0, 1440))),
    st.builds(CrewBusy, st.integers(0, 3), st.none() | st.integers(0, 3)),
    st.builds(Nudge, reaches, st.integers(1, NUDGE_PERCENT_MAX)),
)
files = st.lists(sayings, max_size=6).map(lambda says: tuple(rule(one, f"r{place}") for place, one in enumerate(says)))
shelves = st.lists(items, max_size=9, unique_by=lambda item: item.id)


@given(shelves, st.data(), situations, files)
def test_no_score_and_no_file_outweighs_a_rule(shelf: list[Item], data: st.DataObject, now: Any, file: Rules) -> None:
    scored = [Scored(item.id, data.draw(scores), ()) for item in shelf]
    found = decide(shelf, scored, now, file)
    known = {item.id: item for item in shelf}
    assert not now.in_recovery or (found.ordered == () and found.help is not None)
    for one in found.ordered:
        item = known[one.item]
        assert item.min_age_group is AgeGroup.CHILD or now.age_group is AgeGroup.ADULT
        assert item.is_open(now.minute)
        if item.edible:
            assert now.allergies is not None
            assert not set(item.allergens) & now.allergies
            assert now.diet is not None
            assert now.diet <= set(item.suits)
        held = [o for o in now.offers if o.item == item.id]
        assert not any(o.state is OfferState.WRONG for o in held)
        assert not any(o.state is OfferState.DEFERRED and o.at_s >= now.day_start_s for o in held)
        for _, cap in rules_of(Cap, file):
            since_s = now.day_start_s if cap.per is Per.DAY else 0
            same = {
                Reach.ALL: lambda o: True,
                Reach.EVERY_ITEM: lambda o, id_=item.id: o.item == id_,
                Reach.EVERY_CATEGORY: lambda o, category=item.category: o.category == category,
            }[cap.of.reach]
            counted = [o for o in now.offers if o.at_s >= since_s and same(o)]
            assert len(counted) < cap.most


@given(shelves, st.data(), situations, files, st.randoms(use_true_random=False))
def test_a_decision_accounts_for_everything_once(
    shelf: list[Item], data: st.DataObject, now: Any, file: Rules, random: Any
) -> None:
    scored = [Scored(item.id, data.draw(scores), ()) for item in shelf]
    found = decide(shelf, scored, now, file)
    removed = [step.item for step in found.trace if step.effect is Effect.REMOVED]
    if any(step.effect is Effect.STOPPED for step in found.trace):
        assert found.ordered == ()
        assert removed == []
    else:
        assert sorted([*removed, *(one.item for one in found.ordered)]) == sorted(item.id for item in shelf)
    random.shuffle(shelf)
    random.shuffle(scored)
    assert decide(shelf, scored, now, file) == found


# where nothing but the file stands in the way

calm_items = st.builds(
    lambda number, category: replace(
        made.item(f"i{number}"), category=category, edible=False, allergens=(), suits=(), hours=(), tags=()
    ),
    st.integers(0, 3),
    st.sampled_from(["a", "b"]),
)
calm_offers = st.builds(
    lambda item, ago_s, state: made.offer(item=item.id, category=item.category, at_s=AT_S - ago_s, state=state),
    calm_items,
    st.integers(0, 3 * 86_400),
    st.sampled_from([OfferState.SHOWN, OfferState.ACCEPTED, OfferState.DEFERRED]),
)
calm = st.builds(
    lambda past: situation(
        now_s=AT_S, day_start_s=AT_S - 8 * 3600, personal=False, offers=sorted(past, key=lambda offer: offer.at_s)
    ),
    st.lists(calm_offers, max_size=5),
)
calm_shelves = st.lists(calm_items, min_size=1, max_size=4, unique_by=lambda item: item.id)
caps = st.builds(Cap, capped | reaches, st.sampled_from(Per), st.integers(0, 5))
nudging = st.lists(st.builds(Nudge, reaches, st.integers(3, NUDGE_PERCENT_MAX)), min_size=1, max_size=4)


@settings(max_examples=300, deadline=None)
@given(calm_shelves, calm, caps)
def test_a_cap_stops_at_its_number_and_not_before(shelf: list[Item], now: Any, cap: Cap) -> None:
    since_s = now.day_start_s if cap.per is Per.DAY else 0
    left = {one.item for one in decide(shelf, [Scored(i.id, 1.0, ()) for i in shelf], now, (rule(cap),)).ordered}
    for item in shelf:
        same = {
            Reach.ALL: lambda o: True,
            Reach.EVERY_ITEM: lambda o, id_=item.id: o.item == id_,
            Reach.EVERY_CATEGORY: lambda o, category=item.category: o.category == category,
            Reach.ITEM: lambda o, id_=item.id: o.item == id_,
            Reach.CATEGORY: lambda o, category=item.category: o.category == category,
        }[cap.of.reach]
        about = not cap.of.name or cap.of.name in (item.category, item.id)
        reached = about and sum(o.at_s >= since_s and same(o) for o in now.offers) >= cap.most
        put_off = any(
            o.item == item.id and o.state is OfferState.DEFERRED and o.at_s >= now.day_start_s for o in now.offers
        )
        assert (item.id in left) == (not reached and not put_off)


@settings(max_examples=300, deadline=None)
@given(calm_shelves, st.data(), calm, nudging)
def test_a_nudge_is_bounded_and_told(shelf: list[Item], data: st.DataObject, now: Any, nudges: list[Nudge]) -> None:
    before = {item.id: float(data.draw(st.integers(0, 20))) for item in shelf}
    found = decide(shelf, [Scored(id_, score, ()) for id_, score in before.items()], now, tuple(map(rule, nudges)))
    left = [one.item for one in found.ordered]
    spread = max((before[id_] for id_ in left), default=0) - min((before[id_] for id_ in left), default=0)
    for place, id_ in enumerate(left):
        for later in left[place + 1 :]:
            assert before[later] - before[id_] <= spread * NUDGE_PERCENT_MAX / 100 + 1e-9
    plain = sorted(left, key=lambda id_: (-before[id_], id_))
    told = {step.item for step in found.trace if step.effect in (Effect.LIFTED, Effect.MOVED)}
    assert {id_ for place, id_ in enumerate(left) if plain[place] != id_} <= told
    put_off = {o.item for o in now.offers if o.state is OfferState.DEFERRED}
    assert not put_off & {step.item for step in found.trace if step.effect is Effect.LIFTED}


@given(shelves, st.data(), situations, files)
def test_what_may_be_offered_does_not_depend_on_scores_and_other_scores_only_reorder_it(
    shelf: list[Item], data: st.DataObject, now: Any, file: Rules
) -> None:
    first = decide(shelf, [Scored(item.id, data.draw(scores), ()) for item in shelf], now, file)
    other = [Scored(item.id, data.draw(scores), ()) for item in shelf]
    again = decide(shelf, other, now, file)
    assert {one.item for one in again.ordered} == {one.item for one in first.ordered}
    assert reordered(first, {item.id: item for item in shelf}, other, now, file) == again.ordered
