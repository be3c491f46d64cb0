"""A model on trial: counted fairly, promoted, refused and rolled back within its bounds, and kept whole."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.domain.offers import PPM, OfferId
from steward.domain.trial import (
    COUNTED_MAX,
    LOOK_EVERY,
    POPULARITY,
    REFUSED_MAX,
    WAITING_MAX,
    WEIGHT_MAX,
    BadTrial,
    Bounds,
    Fault,
    Phase,
    Seen,
    Sums,
    Told,
    Trial,
    Verdict,
    answer,
    begin,
    carry_out,
    decode,
    encode,
    fault,
    judge,
    note,
    rebase,
)

OLD, NEW, NEXT = "a" * 64, "b" * 64, "c" * 64
BOUNDS = Bounds(answered=100, taken=20, explored=5, answered_max=2000, faults_max=5)
SHADOW = begin(Trial(base=OLD, shown=OLD), NEW)
WATCH = carry_out(SHADOW, Verdict.PROMOTE, "not_worse")


def played(trial: Trial, skill: float, rounds: int, *, seed: int = 1, chance: float = 0.5) -> tuple[Verdict, str]:
    """Guests who want one of eight items; the old order knows it half the time, the new one `skill` of the time.

    Offered is what the phase shows, and one time in five another, as a gateway explores.
    """
    draw = random.Random(seed)
    for number in range(rounds):
        wanted = draw.randrange(8)
        old, new = (_order(draw, wanted, 0.5), _order(draw, wanted, skill))
        shown = old if trial.phase is Phase.SHADOW else new
        explores = draw.random() < 0.2
        item = draw.choice(shown[1:]) if explores else shown[0]
        ppm = PPM // 35 if explores else PPM * 4 // 5
        seen = Seen(OfferId(f"{number:032x}"), ppm, new.index(item) + 1, old.index(item) + 1, chance, 0.5)
        trial = answer(note(trial, seen), seen.offer, item == wanted)
        verdict, why = judge(trial, BOUNDS)
        if verdict is not Verdict.GO_ON:
            return verdict, why
    return Verdict.GO_ON, ""


def _order(draw: random.Random, wanted: int, skill: float) -> list[int]:
    order = draw.sample(range(8), 8)
    if draw.random() < skill:
        order.remove(wanted)
        order.insert(0, wanted)
    return order


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    ("start", "skill", "verdicts"),
    [
        (SHADOW, 0.95, {(Verdict.PROMOTE, "not_worse")}),
        (SHADOW, 0.05, {(Verdict.REFUSE, "ranks_worse"), (Verdict.REFUSE, "not_proven")}),
        (WATCH, 0.95, {(Verdict.SETTLE, "not_worse"), (Verdict.SETTLE, "not_proven")}),
        (WATCH, 0.02, {(Verdict.ROLL_BACK, "ranks_worse")}),
    ],
)
def test_who_ranks_better_stays_whoever_was_shown(
    start: Trial, skill: float, verdicts: set[tuple[Verdict, str]], seed: int
) -> None:
    assert played(start, skill, 4000, seed=seed) in verdicts


def test_without_weights_the_order_that_is_shown_would_always_win() -> None:
    """What was offered stands first in the order that offered it: counted plainly, the better one would lose."""
    plain, weighed = Sums(), Sums()
    draw = random.Random(3)
    for _ in range(20_000):
        wanted = draw.randrange(8)
        old, new = _order(draw, wanted, 0.3), _order(draw, wanted, 0.7)
        explores = draw.random() < 0.2
        item = draw.choice(old[1:]) if explores else old[0]
        if item == wanted:
            gain = 1 / (new.index(item) + 1) - 1 / (old.index(item) + 1)
            plain, weighed = plain.add(gain), weighed.add(gain, min(WEIGHT_MAX, 35.0 if explores else 1.25))
    assert plain.bounds()[1] < 0 < weighed.bounds()[0]


def test_forecasts_that_are_worse_are_refused_however_well_it_ranks() -> None:
    assert played(SHADOW, 0.95, 1000, chance=0.99) == (Verdict.REFUSE, "forecasts_worse")
    assert played(WATCH, 0.95, 1000, chance=0.99) == (Verdict.ROLL_BACK, "forecasts_worse")


def test_who_does_not_forecast_is_judged_by_ranks_alone() -> None:
    trial = SHADOW
    for number in range(100):
        seen = Seen(OfferId(str(number)), PPM if number % 9 else 1000, 1, 1 + number % 2, 0.5, None)
        trial = answer(note(trial, seen), seen.offer, True)
    assert (trial.rank.count, trial.brier.count) == (100, 0)
    assert judge(trial, BOUNDS) == (Verdict.PROMOTE, "not_worse")


@pytest.mark.parametrize("phase", [SHADOW, WATCH])
def test_nothing_is_said_before_there_is_enough_nor_between_looks(phase: Trial) -> None:
    good = Sums(30, 30.0, 30.0, 15.0, 15.0, 7.5)
    ready = replace(phase, answered=100, explored=5, rank=good)
    assert judge(ready, BOUNDS)[0] in (Verdict.PROMOTE, Verdict.SETTLE)
    assert judge(replace(ready, answered=100 + 1), BOUNDS)[0] is Verdict.GO_ON
    assert judge(replace(ready, answered=LOOK_EVERY), BOUNDS)[0] is Verdict.GO_ON
    assert judge(replace(ready, rank=replace(good, count=19)), BOUNDS)[0] is Verdict.GO_ON
    assert judge(replace(ready, explored=4), BOUNDS)[0] is Verdict.GO_ON


@pytest.mark.parametrize(("start", "verdict"), [(SHADOW, Verdict.REFUSE), (WATCH, Verdict.SETTLE)])
def test_a_trial_ends_in_time(start: Trial, verdict: Verdict) -> None:
    unsure = Sums(50, 50.0, 50.0, 0.0, 0.0, 50.0)
    assert judge(replace(start, answered=1950, explored=9, rank=unsure), BOUNDS) == (Verdict.GO_ON, "")
    assert judge(replace(start, answered=2000, explored=9, rank=unsure), BOUNDS) == (verdict, "not_proven")
    assert judge(replace(start, answered=2007), BOUNDS) == (verdict, "not_proven")


@pytest.mark.parametrize(("start", "verdict"), [(SHADOW, Verdict.REFUSE), (WATCH, Verdict.ROLL_BACK)])
@pytest.mark.parametrize(("what", "why"), [(Fault.FAILED, "failing"), (Fault.SLOW, "slow")])
def test_a_model_that_fails_or_is_slow_goes_before_anything_is_counted(
    start: Trial, verdict: Verdict, what: Fault, why: str
) -> None:
    trial = start
    for _ in range(5):
        assert judge(trial, BOUNDS)[0] is Verdict.GO_ON
        trial = fault(fault(trial, NEW, what), OLD, what)  # what the old one does is not the new one's fault
    assert judge(trial, BOUNDS) == (verdict, why)


def test_the_course_of_a_release() -> None:
    assert (SHADOW.shown, SHADOW.other, SHADOW.new, SHADOW.wants()) == (OLD, NEW, NEW, (OLD, NEW))
    assert (WATCH.shown, WATCH.other, WATCH.new, WATCH.wants()) == (NEW, OLD, NEW, (NEW, OLD))
    assert begin(WATCH, NEXT) is WATCH  # one at a time
    assert begin(SHADOW, NEW) is SHADOW
    assert begin(SHADOW, NEXT).other == NEXT
    back = carry_out(WATCH, Verdict.ROLL_BACK, "ranks_worse")
    assert (back.shown, back.phase, back.new, back.refused, back.wants()) == (OLD, Phase.NONE, None, (NEW,), (OLD,))
    assert begin(back, NEW) is back  # never again
    stays = carry_out(WATCH, Verdict.SETTLE, "not_worse")
    assert (stays.shown, stays.wants(), stays.refused, begin(stays, NEW)) == (NEW, (NEW,), (), stays)
    refused = carry_out(SHADOW, Verdict.REFUSE, "slow")
    assert (refused.shown, refused.refused, refused.why) == (OLD, (NEW,), "slow")
    assert carry_out(SHADOW, Verdict.GO_ON, "") is SHADOW


def test_the_first_release_runs_beside_popularity() -> None:
    first = begin(Trial(), NEW)
    assert (first.shown, first.wants()) == (POPULARITY, (NEW,))
    assert carry_out(carry_out(first, Verdict.PROMOTE, ""), Verdict.ROLL_BACK, "").shown == POPULARITY


def test_other_settings_begin_anew_and_forget_no_refusal() -> None:
    back = carry_out(WATCH, Verdict.ROLL_BACK, "ranks_worse")
    assert rebase(back, OLD) is back
    assert rebase(WATCH, NEXT) == Trial(base=NEXT, shown=NEXT)
    assert rebase(back, POPULARITY) == Trial(refused=(NEW,))


def test_an_answer_counts_once_and_only_where_it_was_seen() -> None:
    seen = Seen(OfferId("1"), PPM // 2, 1, 2, 0.9, 0.4)
    trial = answer(note(SHADOW, seen), OfferId("1"), True)
    assert (trial.answered, trial.waiting) == (1, ())
    assert trial.rank == Sums(1, 2.0, 4.0, 1.0, 2.0, 1.0)
    assert trial.brier.wd == pytest.approx(0.01 - 0.36)
    assert answer(trial, OfferId("1"), True) is trial
    no = answer(note(SHADOW, seen), OfferId("1"), False)
    assert (no.answered, no.rank.count, no.brier.wd) == (1, 0, pytest.approx(0.81 - 0.16))


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([True, False, None])), max_size=40))
def test_only_the_last_answer_of_each_offer_is_in_the_sums(words: list[tuple[int, bool | None]]) -> None:
    known = [Seen(OfferId(str(n)), 20_000 + n * 200_000, n + 1, 5 - n, 0.1 * n, 0.5) for n in range(5)]
    start = SHADOW
    for seen in known:
        start = note(start, seen)
    trial, last = start, dict[int, bool | None]()
    for number, word in words:
        trial = answer(trial, OfferId(str(number)), word)
        last[number] = word
    expected = start
    for number, word in last.items():
        expected = answer(expected, OfferId(str(number)), word)
    assert (trial.answered, trial.explored) == (expected.answered, expected.explored)
    assert {told.seen.offer: told.taken for told in trial.counted} == {
        str(number): word for number, word in last.items() if word is not None
    }
    assert len(trial.waiting) + len(trial.counted) == len(known)
    for name in ("rank", "brier"):
        found, wanted = getattr(trial, name), getattr(expected, name)
        assert found.count == wanted.count
        assert (found.w, found.wd, found.wwdd) == pytest.approx((wanted.w, wanted.wd, wanted.wwdd), abs=1e-9)
    if not trial.counted:
        assert (trial.rank, trial.brier) == (Sums(), Sums())


def test_what_can_be_taken_back_is_bounded_and_what_is_older_stands() -> None:
    trial = SHADOW
    for number in range(COUNTED_MAX + 10):
        trial = answer(note(trial, Seen(OfferId(str(number)), PPM, 1, 2)), OfferId(str(number)), True)
    assert len(trial.counted) == COUNTED_MAX
    assert answer(trial, OfferId("3"), None) is trial
    assert answer(trial, OfferId("20"), None).answered == trial.answered - 1


def test_a_trial_kept_before_answers_could_be_taken_back_goes_on() -> None:
    fields = json.loads(encode(note(SHADOW, Seen(OfferId("1"), PPM, 1, 2))))
    del fields["counted"]
    trial = decode(json.dumps(fields))
    assert (trial.shown, trial.counted, len(trial.waiting)) == (OLD, (), 1)


def test_what_waits_and_what_was_refused_is_bounded() -> None:
    trial = SHADOW
    for number in range(WAITING_MAX + 10):
        trial = note(trial, Seen(OfferId(str(number)), PPM, 1, 1))
    assert len(trial.waiting) == WAITING_MAX
    assert trial.waiting[0].offer == "10"
    many = Trial()
    for number in range(REFUSED_MAX + 5):
        many = carry_out(begin(many, f"{number:064x}"), Verdict.REFUSE, "slow")
    assert len(many.refused) == REFUSED_MAX


# kept

finite = st.floats(-1e6, 1e6)
sums = st.builds(Sums, st.integers(0, 99), *(finite for _ in range(5)))
seens = st.builds(
    Seen,
    st.text("0123456789abcdef", min_size=32, max_size=32),
    st.integers(1, PPM),
    st.integers(1, 2000),
    st.integers(1, 2000),
    st.none() | st.floats(0, 1),
    st.none() | st.floats(0, 1),
)
trials = st.builds(
    lambda start, answered, rank, brier, waiting, counted: replace(
        start, answered=answered, rank=rank, brier=brier, waiting=tuple(waiting), counted=tuple(counted)
    ),
    st.sampled_from([Trial(), SHADOW, WATCH, carry_out(WATCH, Verdict.ROLL_BACK, "slow")]),
    st.integers(0, 9999),
    sums,
    sums,
    st.lists(seens, max_size=5),
    st.lists(st.builds(Told, seens, st.booleans()), max_size=5),
)


@given(trials)
def test_what_is_kept_comes_back_as_it_was(trial: Trial) -> None:
    assert decode(encode(trial)) == trial


def test_nothing_kept_is_no_trial() -> None:
    assert decode(None) == Trial()


def edited(**changes: Any) -> str:
    return json.dumps({**json.loads(encode(SHADOW)), **changes})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        encode(SHADOW)[:-1],
        edited(form=2),
        edited(phase="shown"),
        edited(shown="../../etc/passwd"),
        edited(other=OLD),
        edited(other=None),
        edited(answered=-1),
        edited(answered="7"),
        edited(rank={"n": 1}),
        edited(explored=-1),
        edited(waiting=[{"offer": "1", "propensity_ppm": 1, "new_rank": 0, "old_rank": 1}]),
        edited(waiting=[{"offer": "1", "propensity_ppm": 1, "new_rank": 1, "old_rank": 0}]),
        edited(counted=[{"seen": {"offer": "1", "propensity_ppm": 1, "new_rank": 1, "old_rank": 0}, "taken": True}]),
        edited(counted=[{"seen": {"offer": "1", "propensity_ppm": 1, "new_rank": 1, "old_rank": 1}, "taken": 1}]),
        edited(counted=[{"taken": True}]),
        edited(counted=7),
        edited(refused=["x"]),
        edited(extra=1),
        edited(rank={"count": 1, "w": float("nan"), "ww": 0, "wd": 0, "wwd": 0, "wwdd": 0}),
    ],
)
def test_what_cannot_be_a_trial_is_none(text: str) -> None:
    with pytest.raises(BadTrial):
        decode(text)
