"""From the log of decisions to what may be said of it, or why nothing may be. Pure.

The claim is about the hold-out: guests were drawn by lot, so the difference between the arms is what personal
suggestions bring. Every offer of an arm counts, whichever ranker made it (a model that fails falls back to popularity,
and that is part of what personal suggestions are). An offer that nobody answered counts as not accepted once it is too
old to be answered. Guests who did not agree to personal suggestions are shown, and compared with nobody: they chose.

Nothing is claimed of a log that was tampered with, nor before the smaller arm is large enough to see the smallest
difference that is of interest: how much more it takes is part of the answer.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from steward.domain.holdout import Arm, Decision, LoggedDecision
from steward.domain.lift import Difference, Estimate, Round, Share, difference, doubly_robust, ips, needed, share, snips
from steward.domain.offers import PPM, SHOW_AGAIN_WITHIN_S, OfferState

GUESTS_MIN = 30  # an arm: with fewer, intervals by the spread between guests are too short
EFFECTIVE_MIN = 50  # rounds: below, one heavy weight makes an off-policy estimate
CLIP = 100.0
SMALLEST_DEFAULT = 0.05
COMPARED = (Arm.PERSONAL, Arm.HOLDOUT)
_RATIO_UNKNOWN = 9.0  # offers of the personal arm for each held out, before there are any

Unit = tuple[str, str]  # voyage and guest


class Verdict(StrEnum):
    BETTER = "better"  # personal suggestions are accepted more often
    WORSE = "worse"
    NO_DIFFERENCE = "no_difference"  # none was seen, though one of the size of interest would have been, most likely
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ArmResult:
    """waiting: shown and not too old to be answered. share: of the others; None if there are none."""

    arm: Arm
    guests: int
    decisions: int
    waiting: int
    share: Share | None


@dataclass(frozen=True, slots=True)
class Value:
    """What a policy is worth by an estimator: acceptances an offer. withheld: why there is no estimate."""

    policy: str
    method: str
    estimate: Estimate | None
    withheld: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why nothing is claimed. more: how many more offers it takes, by arm, where that would help."""

    code: str
    text: str
    more: tuple[tuple[Arm, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """smallest: the difference of interest. difference: personal less hold-out; None with an arm empty."""

    voyages: tuple[str, ...]
    from_s: int
    to_s: int
    smallest: float
    rankers: tuple[str, ...]
    arms: tuple[ArmResult, ...]
    difference: Difference | None
    values: tuple[Value, ...]
    problems: tuple[Problem, ...]
    verdict: Verdict


def make_report(
    log: Iterable[LoggedDecision],
    now_s: int,
    smallest: float = SMALLEST_DEFAULT,
    voyages: Collection[str] = (),
) -> Report:
    """voyages: only these; empty: all there are. Raises ValueError for a smallest difference that is none."""
    if not 0 < smallest < 1:
        raise ValueError("the smallest difference of interest is a share between 0 and 1")
    rows = [one for one in log if not voyages or one.decision.voyage in voyages]
    problems = _damage(rows)
    arms = tuple(_arm(arm, rows, now_s) for arm in Arm)
    personal, holdout = (result.share for result in arms if result.arm in COMPARED)
    told = None if personal is None or holdout is None else difference(personal, holdout)
    values = () if problems else _values([one for one in rows if one.decision.arm is Arm.PERSONAL], now_s)
    problems += _missing(rows) + _too_small(arms, smallest)
    times = [one.decision.at_s for one in rows]
    return Report(
        voyages=tuple(sorted({one.decision.voyage for one in rows})),
        from_s=min(times, default=0),
        to_s=max(times, default=0),
        smallest=smallest,
        rankers=tuple(sorted({one.decision.ranker for one in rows})),
        arms=arms,
        difference=told,
        values=values,
        problems=tuple(problems),
        verdict=_verdict(told, problems),
    )


def _verdict(told: Difference | None, problems: Sequence[Problem]) -> Verdict:
    if told is None or problems:
        return Verdict.REFUSED
    if told.low > 0:
        return Verdict.BETTER
    return Verdict.WORSE if told.high < 0 else Verdict.NO_DIFFERENCE


def _arm(arm: Arm, rows: Sequence[LoggedDecision], now_s: int) -> ArmResult:
    own = [one for one in rows if one.decision.arm is arm]
    over = [one for one in own if not _is_waiting(one, now_s)]
    known = [(_unit(one.decision), one.state is OfferState.ACCEPTED) for one in over]
    guests = len({_unit(one.decision) for one in own})
    return ArmResult(arm, guests, len(own), len(own) - len(over), share(known) if known else None)


def _is_waiting(one: LoggedDecision, now_s: int) -> bool:
    """Also what is dated after now, by a clock that was ahead: it has hardly been seen yet."""
    return one.state is OfferState.SHOWN and now_s - one.decision.at_s < SHOW_AGAIN_WITHIN_S


def _unit(decision: Decision) -> Unit:
    return decision.voyage, decision.guest


# off-policy


def _values(rows: Sequence[LoggedDecision], now_s: int) -> tuple[Value, ...]:
    """Both policies on the personal arm's rounds: as they were decided, and had popularity decided."""
    over = [one for one in rows if not _is_waiting(one, now_s)]
    known = [one for one in over if one.decision.popular_ppm is not None]
    if not over:
        return ()
    as_decided = ips([_round(one, one.decision.propensity_ppm) for one in over])
    popular = [_round(one, one.decision.popular_ppm or 0) for one in known]
    values = [Value("personal", "as decided", _kept(as_decided))]
    if len(known) < len(over):
        why = f"{len(over) - len(known)} of {len(over)} decisions do not say what popularity would have chosen"
        return (*values, Value("popularity", "ips", None, why))
    if not any(one.target for one in popular):
        return (*values, Value("popularity", "ips", None, "it would have chosen nothing of what was offered"))
    guess = as_decided.value  # the simplest reward model: what the arm accepts on the whole
    modelled = [replace(one, guess=guess, expected=guess) for one in popular]
    for name, estimator in (("ips", ips), ("snips", snips), ("doubly robust", doubly_robust)):
        estimate = estimator(modelled, CLIP)
        few = estimate.effective < EFFECTIVE_MIN or estimate.units < GUESTS_MIN
        seen = f"worth {estimate.effective:.0f} rounds of {estimate.units} guests"
        why = f"{seen}, and {EFFECTIVE_MIN} of {GUESTS_MIN} are needed" if few else ""
        values.append(Value("popularity", name, None if few else _kept(estimate), why))
    return tuple(values)


def _round(one: LoggedDecision, target_ppm: int) -> Round:
    accepted = float(one.state is OfferState.ACCEPTED)
    return Round(_unit(one.decision), accepted, one.decision.propensity_ppm / PPM, target_ppm / PPM)


def _kept(estimate: Estimate) -> Estimate | None:
    """One guest alone has no interval."""
    return estimate if math.isfinite(estimate.high) else None


# why nothing is claimed


def _damage(rows: Sequence[LoggedDecision]) -> list[Problem]:
    """What the store refuses to record, and a file changed behind its back may hold nevertheless."""
    decisions = [one.decision for one in rows]
    doubled = len(decisions) - len({decision.offer for decision in decisions})
    arms: dict[Unit, set[Arm]] = {}
    for decision in decisions:
        if decision.arm in COMPARED:
            arms.setdefault(_unit(decision), set()).add(decision.arm)
    moved = sum(len(seen) > 1 for seen in arms.values())
    impossible = sum(not _is_possible(decision) for decision in decisions)
    gone = sum(one.state is None for one in rows)
    found = (
        ("duplicate", doubled, "decisions are in the log twice"),
        ("moved", moved, "guests are in both arms of one voyage"),
        ("propensity", impossible, "decisions have a propensity that cannot be: none, or above 1"),
        ("gone", gone, "decisions are about offers that are no longer in the database"),
    )
    return [Problem(code, f"{count} {text}: the log was changed") for code, count, text in found if count]


def _is_possible(decision: Decision) -> bool:
    popular = decision.popular_ppm
    return 0 < decision.propensity_ppm <= PPM and (popular is None or 0 <= popular <= PPM)


def _missing(rows: Sequence[LoggedDecision]) -> list[Problem]:
    own = [one.decision for one in rows if one.decision.arm is Arm.PERSONAL]
    missing = sum(decision.popular_ppm is None for decision in own)
    text = f"{missing} of {len(own)} personal decisions do not say what popularity would have chosen"
    return [Problem("no_propensity", text)] if missing else []


def _too_small(arms: Sequence[ArmResult], smallest: float) -> list[Problem]:
    compared = [result for result in arms if result.arm in COMPARED]
    problems = [
        Problem("guests", f"{result.guests} guests in the arm {result.arm}, and {GUESTS_MIN} are needed")
        for result in compared
        if result.guests < GUESTS_MIN
    ]
    personal, holdout = (result.share for result in compared)
    more = _more(personal, holdout, smallest)
    if more:
        counts = " and ".join(f"{count} more in the arm {arm}" for arm, count in more)
        text = f"too few offers to see a difference of {smallest * 100:g} points: {counts}"
        problems.append(Problem("offers", text, more))
    return problems


def _more(personal: Share | None, holdout: Share | None, smallest: float) -> tuple[tuple[Arm, int], ...]:
    """How many more offers each arm takes, as they hang together now. Empty: there are enough."""
    ratio = _RATIO_UNKNOWN if personal is None or holdout is None else personal.effective / holdout.effective
    known = holdout or personal
    base = 0.5 if known is None else (known.yes + 2) / (known.count + 4)  # a share of 0 out of few says little
    enough = needed(base, smallest, ratio)
    found = ((Arm.PERSONAL, personal, enough * ratio), (Arm.HOLDOUT, holdout, float(enough)))
    more = [(arm, _offers_for(target, have)) for arm, have, target in found]
    return tuple((arm, count) for arm, count in more if count > 0)


def _offers_for(target: float, have: Share | None) -> int:
    """Offers that `target` independent ones take, beyond those there are."""
    if have is None:
        return math.ceil(target)
    return math.ceil((target - have.effective) * have.count / have.effective - 1e-6)
