"""The lift report: what it claims, what it does not and why, and that a log that was changed is not believed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.unit.moneykit import NOON_S

from steward.domain.catalogue import ItemId
from steward.domain.holdout import Arm, Decision, LoggedDecision
from steward.domain.ids import GuestRef
from steward.domain.lift import needed
from steward.domain.liftreport import EFFECTIVE_MIN, GUESTS_MIN, Report, Verdict, make_report
from steward.domain.offers import PPM, SHOW_AGAIN_WITHIN_S, OfferId, OfferState
from steward.web.lift_plot import draw_report

LATER_S = NOON_S + 86_400
EXPLORE = 100_000


def logged(seq: int, guest: int, arm: Arm, *, yes: bool = False, **changes: Any) -> LoggedDecision:
    made = Decision(
        offer=OfferId(f"{seq:032x}"),
        guest=GuestRef(f"{guest:016x}"),
        voyage="north",
        arm=arm,
        at_s=NOON_S + seq,
        ranker="gru-3",
        features="f",
        candidates=5,
        item=ItemId("tea"),
        propensity_ppm=PPM - EXPLORE,
        popular_ppm=EXPLORE // 4,
    )
    state = OfferState.ACCEPTED if yes else OfferState.DEFERRED
    return LoggedDecision(seq, replace(made, **changes), state, NOON_S + seq + 1)


def made_log(
    personal: float, holdout: float, *, guests: int = 1500, share: float = 0.2, each: int = 4, seed: int = 1
) -> list[LoggedDecision]:
    """Acceptance by arm; popularity's item is the hold-out's best, and worth as much to whoever gets it."""
    draw = random.Random(seed).random
    log: list[LoggedDecision] = []
    for guest in range(guests):
        arm = Arm.HOLDOUT if guest < share * guests else Arm.PERSONAL
        for _ in range(each):
            best, other = PPM - EXPLORE, EXPLORE // 4
            if arm is Arm.HOLDOUT:
                log.append(
                    logged(len(log) + 1, guest, arm, yes=draw() < holdout, propensity_ppm=best, popular_ppm=best)
                )
                continue
            place = draw() * PPM  # the model's best, then popularity's best, then three that nobody would choose
            is_best, is_popular = place < best, best <= place < best + other
            log.append(
                logged(
                    len(log) + 1,
                    guest,
                    arm,
                    yes=draw() < (personal if is_best else holdout),
                    propensity_ppm=best if is_best else other,
                    popular_ppm=best if is_popular else other,
                )
            )
    return log


def codes(found: Report) -> set[str]:
    return {problem.code for problem in found.problems}


# what is claimed


@pytest.mark.parametrize(
    ("personal", "holdout", "verdict"),
    [(0.4, 0.2, Verdict.BETTER), (0.2, 0.4, Verdict.WORSE), (0.3, 0.3, Verdict.NO_DIFFERENCE)],
)
def test_what_is_there_is_claimed(personal: float, holdout: float, verdict: Verdict) -> None:
    found = make_report(made_log(personal, holdout), LATER_S)
    assert (found.verdict, found.problems) == (verdict, ())
    assert found.difference is not None
    # one personal offer in ten explores, and is worth what the hold-out's are
    truth = 0.9 * (personal - holdout)
    assert found.difference.low <= truth <= found.difference.high
    assert [(arm.arm, arm.guests, arm.decisions, arm.waiting) for arm in found.arms] == [
        (Arm.PERSONAL, 1200, 4800, 0),
        (Arm.HOLDOUT, 300, 1200, 0),
        (Arm.EVERYBODY, 0, 0, 0),
    ]
    assert (found.voyages, found.rankers, found.from_s, found.to_s) == (
        ("north",),
        ("gru-3",),
        NOON_S + 1,
        NOON_S + 6000,
    )


def test_popularity_off_policy_is_what_the_hold_out_measured() -> None:
    found = make_report(made_log(0.5, 0.2, guests=4000), LATER_S)
    values = {(value.policy, value.method): value.estimate for value in found.values}
    methods = ("ips", "snips", "doubly robust")
    assert values.keys() == {("personal", "as decided"), *(("popularity", method) for method in methods)}
    for method in methods:
        estimate = values["popularity", method]
        assert estimate is not None
        assert estimate.low <= 0.9 * 0.2 + 0.1 * 0.275 <= estimate.high  # and popularity explores, too
        assert estimate.effective >= EFFECTIVE_MIN
    personal = values["personal", "as decided"]
    assert personal is not None
    assert personal.value == pytest.approx(0.9 * 0.5 + 0.1 * 0.2, abs=0.02)


def test_nothing_is_seen_more_often_than_promised_where_there_is_nothing() -> None:
    """Guests who say yes often or seldom by nature: counting offers alone would see far too much."""
    seen = 0
    for seed in range(150):
        draw = random.Random(seed).random
        log: list[LoggedDecision] = []
        for guest in range(120):
            arm, taste = (Arm.HOLDOUT if guest % 3 == 0 else Arm.PERSONAL), 0.8 * draw() ** 2
            log += [logged(len(log) + n + 1, guest, arm, yes=draw() < taste) for n in range(6)]
        told = make_report(log, LATER_S).difference
        assert told is not None
        seen += told.low > 0 or told.high < 0
    assert seen / 150 <= 0.1


def test_guests_who_did_not_agree_are_listed_and_change_nothing() -> None:
    log = made_log(0.4, 0.2)
    more = [logged(10_000 + n, 9000 + n, Arm.EVERYBODY, yes=True, popular_ppm=None) for n in range(500)]
    with_them, without = make_report([*log, *more], LATER_S), make_report(log, LATER_S)
    assert (with_them.difference, with_them.values, with_them.verdict) == (
        without.difference,
        without.values,
        without.verdict,
    )
    assert with_them.arms[2].share is not None
    assert with_them.arms[2].share.value == 1.0


def test_one_voyage_of_several() -> None:
    north = made_log(0.4, 0.2)
    south = [replace(one, decision=replace(one.decision, voyage="south")) for one in made_log(0.2, 0.4, seed=2)]
    south = [replace(one, decision=replace(one.decision, offer=OfferId(f"s{one.seq}"))) for one in south]
    assert make_report([*north, *south], LATER_S, voyages=["south"]).verdict is Verdict.WORSE
    assert make_report([*north, *south], LATER_S).voyages == ("north", "south")
    assert make_report([*north, *south], LATER_S).arms[0].guests == 2400  # the same pseudonym is another guest
    assert make_report(north, LATER_S, voyages=["west"]).verdict is Verdict.REFUSED


# what became of an offer


def test_an_offer_counts_once_it_was_answered_or_is_too_old_to_be() -> None:
    shown = replace(logged(1, 1, Arm.PERSONAL), state=OfferState.SHOWN, answered_s=None)
    at_s = shown.decision.at_s
    for now_s, waiting in (
        (at_s, 1),
        (at_s + SHOW_AGAIN_WITHIN_S - 1, 1),
        (at_s + SHOW_AGAIN_WITHIN_S, 0),
        (at_s - 3600, 1),  # the clock was set back
    ):
        personal = make_report([shown], now_s).arms[0]
        assert (personal.waiting, personal.share is None) == (waiting, bool(waiting))
    for state in (OfferState.DEFERRED, OfferState.WRONG, OfferState.ACCEPTED):
        share = make_report([replace(shown, state=state)], at_s).arms[0].share
        assert share is not None
        assert share.yes == (state is OfferState.ACCEPTED)


# why nothing is claimed


def test_an_empty_log_says_how_many_offers_it_takes() -> None:
    found = make_report([], LATER_S)
    assert (found.verdict, found.difference, found.values) == (Verdict.REFUSED, None, ())
    assert codes(found) == {"guests", "offers"}
    (offers,) = (problem for problem in found.problems if problem.code == "offers")
    enough = needed(0.5, 0.05, 9.0)
    assert dict(offers.more) == {Arm.PERSONAL: 9 * enough, Arm.HOLDOUT: enough}


@pytest.mark.parametrize("arm", [Arm.PERSONAL, Arm.HOLDOUT])
def test_one_arm_alone_is_compared_with_nothing(arm: Arm) -> None:
    log = [one for one in made_log(0.4, 0.2) if one.decision.arm is arm]
    found = make_report(log, LATER_S)
    assert (found.verdict, found.difference) == (Verdict.REFUSED, None)
    assert "offers" in codes(found)


def test_as_many_more_as_were_asked_for_are_enough() -> None:
    """Grown in the proportion there is; a smaller difference of interest takes more."""
    few = made_log(0.4, 0.2, guests=200)
    found = make_report(few, LATER_S)
    assert found.verdict is Verdict.REFUSED
    (problem,) = found.problems
    more = dict(problem.more)
    assert all(str(count) in problem.text for count in more.values())
    factor = max(1 + more[arm.arm] / arm.decisions for arm in found.arms if arm.arm in more)
    grown = make_report(made_log(0.4, 0.2, guests=int(200 * factor * 1.3)), LATER_S)
    assert grown.verdict is Verdict.BETTER
    finer = make_report(few, LATER_S, 0.01).problems[0]
    assert dict(finer.more)[Arm.HOLDOUT] > 10 * more[Arm.HOLDOUT]


def test_many_offers_to_few_guests_are_not_enough() -> None:
    found = make_report(made_log(0.4, 0.2, guests=60, each=200), LATER_S)
    assert found.verdict is Verdict.REFUSED
    assert "guests" in codes(found)
    assert str(GUESTS_MIN) in found.problems[0].text


def _changed(log: Sequence[LoggedDecision], number: int, **changes: Any) -> list[LoggedDecision]:
    one = log[number]
    return [*log[:number], replace(one, decision=replace(one.decision, **changes)), *log[number + 1 :]]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"propensity_ppm": 0}, "propensity"),
        ({"propensity_ppm": -5}, "propensity"),
        ({"propensity_ppm": PPM + 1}, "propensity"),
        ({"popular_ppm": -1}, "propensity"),
        ({"popular_ppm": PPM + 1}, "propensity"),
        ({"arm": Arm.HOLDOUT}, "moved"),
        ({"offer": OfferId(f"{1:032x}")}, "duplicate"),
        ({"popular_ppm": None}, "no_propensity"),
    ],
)
def test_a_log_that_was_changed_in_one_place_claims_nothing(changes: dict[str, Any], code: str) -> None:
    found = make_report(_changed(made_log(0.4, 0.2), 3000, **changes), LATER_S)
    assert (found.verdict, codes(found)) == (Verdict.REFUSED, {code})
    assert found.problems[0].text.startswith("1 ")
    assert all(value.estimate is None for value in found.values if value.policy == "popularity")


def test_an_offer_that_is_gone_is_no_refusal_by_the_guest() -> None:
    log = made_log(0.4, 0.2)
    found = make_report([replace(log[7], state=None), *log[8:]], LATER_S)
    assert codes(found) == {"gone"}


def test_an_estimate_on_a_few_heavy_rounds_is_withheld() -> None:
    found = make_report(made_log(0.4, 0.2, guests=200), LATER_S)
    withheld = [value for value in found.values if value.policy == "popularity"]
    assert {value.method for value in withheld} == {"ips", "snips", "doubly robust"}
    assert all(value.estimate is None and str(EFFECTIVE_MIN) in value.withheld for value in withheld)


def test_what_popularity_would_never_have_chosen_says_nothing_of_it() -> None:
    log = [replace(one, decision=replace(one.decision, popular_ppm=0)) for one in made_log(0.4, 0.2, guests=300)]
    withheld = make_report(log, LATER_S).values[1]
    assert (withheld.policy, withheld.estimate, withheld.withheld[:8]) == ("popularity", None, "it would")


@pytest.mark.parametrize("smallest", [0.0, -0.1, 1.0])
def test_a_smallest_difference_that_is_none_is_refused(smallest: float) -> None:
    with pytest.raises(ValueError, match="smallest"):
        make_report([], LATER_S, smallest)


# the picture


@pytest.mark.parametrize("log", [[], made_log(0.4, 0.2), made_log(0.99, 0.9, guests=40), [logged(1, 1, Arm.PERSONAL)]])
def test_the_picture_can_be_read_out_and_stays_in_its_frame(log: list[LoggedDecision]) -> None:
    found = make_report(log, LATER_S)
    text = draw_report(found, 'Said <plainly> & "so"')
    root = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    title, about = root.find(f"{space}title"), root.find(f"{space}desc")
    assert title is not None
    assert about is not None
    assert (root.get("role"), root.get("aria-labelledby")) == ("img", f"{title.get('id')} {about.get('id')}")
    assert title.text == 'Said <plainly> & "so"'
    assert about.text is not None
    width = float(root.get("width", 0))
    xs = [float(each.get(name, 0)) for each in root.iter() for name in ("x", "x1", "x2", "cx") if each.get(name)]
    assert all(0 <= x <= width for x in xs)
    shown = [arm for arm in found.arms if arm.share is not None]
    assert len(list(root.iter(f"{space}circle"))) >= len(shown)
    assert all(f"{arm.share.value * 100:.1f} %" in about.text for arm in shown if arm.share)
    assert text == draw_report(found, 'Said <plainly> & "so"')
