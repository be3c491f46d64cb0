"""Offers and charges as deeds, and the ship's day they are done in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.contract.makers import charge
from tests.unit.moneykit import NOON_S
from tests.unit.servicekit import BAR, KIRA, SHOP, item

from steward.domain.catalogue import ItemId
from steward.domain.charges import Charge, ChargeState
from steward.domain.features import Deed
from steward.domain.ids import OutletId
from steward.domain.offers import Offer, OfferId, OfferState
from steward.domain.outlets import OutletKind
from steward.domain.pasts import ONE_DEED_S, ShipDay, done_by, moment_at, titles_of

ITEMS = (item("tonic"), item("crisps"), item("tonic-mug", SHOP, titles={"en": "Tonic", "nb": "Tonickrus"}))
TITLES = titles_of(ITEMS)
DAY_S = 86_400


def offer(number: int = 1, state: OfferState = OfferState.ACCEPTED, at_s: int = NOON_S, what: str = "tonic") -> Offer:
    answered = None if state is OfferState.SHOWN else at_s + 5
    return Offer(
        id=OfferId(f"{number:032x}"),
        guest=KIRA,
        outlet=BAR,
        item=ItemId(what),
        category="drink",
        at_s=at_s,
        hour=12,
        propensity_ppm=900_000,
        ranker="popularity 1",
        reasons=(),
        state=state,
        answered_s=answered,
    )


def bought(says: str, at_s: int = NOON_S, outlet: OutletId = BAR, number: int = 1, **changes: ChargeState) -> Charge:
    made = charge(number, KIRA, at_s=at_s, **changes)
    return replace(made, request=replace(made.request, description=says, outlet=outlet))


def test_each_answer_is_its_deed_and_no_answer_is_none() -> None:
    offers = [offer(n, state, NOON_S + n) for n, state in enumerate(OfferState)]
    assert [each.deed for each in done_by(offers, [], TITLES)] == [None, Deed.TAKEN, Deed.NOT_NOW, Deed.WRONG]


@pytest.mark.parametrize("says", ["Tonic", "  tonic ", "TONIC", "tonic nb"])
def test_a_charge_is_the_item_it_names_in_any_language(says: str) -> None:
    (done,) = done_by([], [bought(says)], TITLES)
    assert (done.item, done.deed, done.offer) == ("tonic", Deed.TAKEN, None)


@pytest.mark.parametrize("says", ["", "two tonics", "Tonickrus"])
def test_a_charge_that_names_nothing_of_its_outlet_is_no_deed(says: str) -> None:
    assert done_by([], [bought(says)], TITLES) == []


def test_the_same_title_elsewhere_is_another_item() -> None:
    assert done_by([], [bought("Tonic", outlet=SHOP)], TITLES)[0].item == "tonic-mug"


@pytest.mark.parametrize("state", [state for state in ChargeState if state is not ChargeState.POSTED])
def test_only_posted_charges_count(state: ChargeState) -> None:
    assert done_by([], [bought("Tonic", state=state)], TITLES) == []


def test_the_charge_for_an_accepted_offer_is_not_a_second_deed() -> None:
    charges = [bought("Tonic", NOON_S + 60), bought("Tonic", NOON_S + 120, number=2)]
    done = done_by([offer()], charges, TITLES)
    assert [(each.at_s - NOON_S, each.offer is None) for each in done] == [(0, False), (120, True)]


@pytest.mark.parametrize(
    ("charged", "made"),
    [
        (bought("Tonic", NOON_S + ONE_DEED_S), offer()),
        (bought("Tonic", NOON_S - 1), offer()),
        (bought("Tonic", NOON_S + 60), offer(state=OfferState.DEFERRED)),
        (bought("Crisps", NOON_S + 60), offer()),
        (bought("Tonic", NOON_S + 60, outlet=SHOP), offer()),
    ],
)
def test_any_other_charge_is_a_deed_of_its_own(charged: Charge, made: Offer) -> None:
    assert len(done_by([made], [charged], TITLES)) == 2


def test_deeds_come_oldest_first() -> None:
    charges = [bought("Crisps", NOON_S - 10), bought("Crisps", NOON_S + 10, number=2)]
    assert [done.at_s for done in done_by([offer()], charges, TITLES)] == [NOON_S - 10, NOON_S, NOON_S + 10]


def test_the_small_hours_belong_to_the_evening_before() -> None:
    day = ShipDay(start_hour=4, utc_offset_s=3600)
    midnight_s = 20_000 * DAY_S - 3600  # 00:00 on the ship's clocks
    assert day.minute(midnight_s) == 0
    assert day.number(midnight_s) == day.number(midnight_s - 60) == day.number(midnight_s + 4 * 3600 - 1)
    assert day.number(midnight_s + 4 * 3600) == day.number(midnight_s) + 1


def test_weekdays_are_those_of_the_calendar() -> None:
    day = ShipDay(start_hour=4)
    assert day.weekday(1_767_225_600 + 12 * 3600) == 3  # 2026-01-01 was a Thursday
    assert day.weekday(1_767_225_600 + 3 * 3600) == 2  # still Wednesday night aboard


def test_a_moment_counts_the_days_of_the_stay() -> None:
    day = ShipDay(start_hour=4)
    stay_s = (NOON_S, NOON_S + 6 * DAY_S)
    first, last, after = (
        moment_at(NOON_S + n * DAY_S, day, OutletKind.RETAIL, stay_s, shown=3, accepted=1) for n in (0, 6, 9)
    )
    assert (first.day_of_stay, first.days_left, first.minute) == (0, 6, day.minute(NOON_S))
    assert (last.day_of_stay, last.days_left) == (6, 0)
    assert after.days_left == 0
    assert (first.shown, first.accepted, first.place) == (3, 1, OutletKind.RETAIL)


def test_an_unknown_stay_is_not_made_up() -> None:
    moment = moment_at(NOON_S, ShipDay(), OutletKind.RETAIL)
    assert moment.day_of_stay is None
    assert moment.days_left is None
    assert moment.company is moment.weather is moment.in_port is None
