"""Chances that are exact: they add up to a whole whatever is ranked, and what is drawn keeps to them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.domain.catalogue import ItemId
from steward.domain.exploring import (
    BEST_PPM_MIN,
    COMPARED_MAX,
    FLOOR_PPM,
    REST_PPM,
    SOFT_PPM,
    TOP,
    Chances,
    chances,
)
from steward.domain.lift import Round, ips
from steward.domain.offers import PPM, Scored

CHI_999 = {4: 18.47, 9: 27.88, 29: 58.30}  # 99.9 % quantiles, by degrees of freedom


def ranked(scores: Sequence[float]) -> list[Scored]:
    return [Scored(ItemId(f"i{place:05}"), score, ()) for place, score in enumerate(sorted(scores, reverse=True))]


def every(found: Chances, ordered: Sequence[Scored]) -> list[int]:
    return [found.of(one.item) for one in ordered]


logits = st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=40)
parts = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@given(st.one_of(logits.map(lambda each: (each, False)), parts.map(lambda each: (each, True))), st.data())
def test_they_make_a_whole_and_everything_has_one(scores: tuple[list[float], bool], data: st.DataObject) -> None:
    ordered = ranked(scores[0])
    compared = data.draw(st.sets(st.sampled_from([one.item for one in ordered]), max_size=COMPARED_MAX))
    found = chances(ordered, shares=scores[1], compared=compared)
    each = every(found, ordered)
    assert sum(each) == PPM
    assert all(ppm >= 1 for ppm in each)
    assert each[0] == max(each) >= BEST_PPM_MIN == 900_000
    assert all(found.of(item) >= FLOOR_PPM for item in compared)
    assert all(ppm >= FLOOR_PPM for ppm in each[1:TOP])
    assert found.count == len(ordered)
    assert found.of(ItemId("gone")) == 0


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7, 2000, 10_000, 30_000])
def test_any_number_may_be_chosen_from(count: int) -> None:
    ordered = ranked([1.0] * count)
    found = chances(ordered, shares=True)
    each = (
        every(found, ordered)
        if count < 10_000
        else [*dict(found.named).values(), *[found.each_ppm] * len(found.others)]
    )
    assert (len(each), sum(each), min(each) >= 1) == (count, PPM, True)
    assert found.drawn(0) == ordered[0].item
    assert found.drawn(PPM - 1) == ordered[-1].item


def test_nothing_is_drawn_from_nothing_nor_compared_without_end() -> None:
    with pytest.raises(ValueError, match="chances"):
        chances([], shares=True)
    ordered = ranked([1.0] * 9)
    with pytest.raises(ValueError, match="at most"):
        chances(ordered, shares=True, compared={one.item for one in ordered[: COMPARED_MAX + 1]})


def test_ties_are_alike_and_the_likelier_one_is_drawn_more_often() -> None:
    ordered = ranked([3.0, 1.0, 1.0, 0.0, -1.0, -1.0])
    best, *rest = every(chances(ordered, shares=False), ordered)
    assert rest[0] == rest[1] > rest[2] > rest[3] > rest[4] == REST_PPM // 5
    assert best == PPM - sum(rest)
    # twice the share is twice as likely: by softmax over logarithms
    shared = ranked([0.5, 0.2, 0.1, 0.1, 0.1])
    soft = [ppm - FLOOR_PPM - REST_PPM // 4 for ppm in every(chances(shared, shares=True), shared)[1:]]
    assert soft == [SOFT_PPM * 2 // 5, *[SOFT_PPM // 5] * 3]


def test_what_is_compared_is_named_wherever_it_stands() -> None:
    ordered = ranked([float(-n) for n in range(30)])
    far = ordered[25].item
    plain, found = chances(ordered, shares=False), chances(ordered, shares=False, compared={far, ordered[0].item})
    assert plain.of(far) == plain.each_ppm == REST_PPM // 29
    assert found.of(far) >= FLOOR_PPM
    assert [item for item, _ in found.named] == [*(one.item for one in ordered[:TOP]), far]


@pytest.mark.parametrize(
    ("scores", "shares", "compared"),
    [
        ([2.0, 1.5, 1.0, 0.5, 0.0], False, ()),
        ([0.3, 0.2, 0.2, 0.1, 0.1, 0.05, 0.02, 0.01, 0.01, 0.01], True, (7,)),
        ([float(-n) / 3 for n in range(30)], False, (12, 29)),
        ([1.0] * 10, True, ()),
    ],
)
def test_what_is_drawn_keeps_to_the_stated_chances(
    scores: list[float], shares: bool, compared: tuple[int, ...]
) -> None:
    ordered = ranked(scores)
    found = chances(ordered, shares=shares, compared={ordered[place].item for place in compared})
    draw, drawn = random.Random(7), 300_000
    counted = Counter(found.drawn(int.from_bytes(draw.randbytes(8), "big") % PPM) for _ in range(drawn))
    expected = {one.item: drawn * found.of(one.item) / PPM for one in ordered}
    chi = sum((counted[item] - each) ** 2 / each for item, each in expected.items())
    assert chi < CHI_999[len(scores) - 1]


def test_every_point_belongs_to_one_item_as_often_as_stated() -> None:
    ordered = ranked([5.0, 4.0, 3.0, 2.0, 1.0, 0.0, -1.0])
    found = chances(ordered, shares=False, compared={ordered[6].item})
    counted = Counter(found.drawn(point) for point in range(PPM))
    assert counted == {one.item: found.of(one.item) for one in ordered}


def test_another_order_is_valued_without_bias_from_what_was_drawn() -> None:
    """A thousand guests who like what popularity has first, and a ranker that has it twelfth."""
    liked = {f"i{place:05}": 0.1 + 0.6 * (place == 11) + 0.02 * (place % 5) for place in range(20)}
    ordered = ranked([float(-place) for place in range(20)])
    popular = sorted(ordered, key=lambda one: (one.item != "i00011", one.item))
    logged = chances(ordered, shares=False, compared={popular[0].item})
    wanted = chances(popular, shares=False)
    draw, rounds = random.Random(11), list[Round]()
    for number in range(200_000):
        item = logged.drawn(int.from_bytes(draw.randbytes(8), "big") % PPM)
        reward = float(draw.random() < liked[item])
        rounds.append(Round(number % 1000, reward, logged.of(item) / PPM, wanted.of(item) / PPM))
    truth = sum(liked[one.item] * wanted.of(one.item) for one in ordered) / PPM
    plain, cut = ips(rounds), ips(rounds, 100.0)
    assert plain.low < truth < plain.high
    assert cut.low < truth < cut.high
    first = [one.weight for one in rounds if one.target > 0.5]
    assert max(first) <= PPM / FLOOR_PPM
