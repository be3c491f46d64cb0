"""A new model's trial beside what is shown: when it is promoted, refused, or rolled back. Pure.

First in the shadow: the old order is shown, the new one is worked out for the same decisions and kept to itself. If it
is not worse it is shown, and the old one is worked out beside it for as long again: if the new one does worse now, the
old one is back. A release that was refused once is not tried again.

Two figures, each new minus old, on decisions that were answered:

- rank: mean reciprocal rank of what was accepted, among what could have been offered. The old order chose most of what
  was offered, and so stands first for most of what was accepted; each decision therefore counts by one over the chance
  that its item had of being offered (Horvitz and Thompson, 1952), up to WEIGHT_MAX. That says nothing until some of
  what was offered for the sake of learning was accepted: before, the order that is shown looks best whatever it is.
- brier: mean square error of "will this be taken"; left out where one of them does not say.

Both with one-sided 95 % bounds, looked at every LOOK_EVERY answers and not in between, so that chance has few tries.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from steward.domain.offers import PPM, OfferId

LOOK_EVERY = 50
WEIGHT_MAX = 100.0
WAITING_MAX = 128  # decisions without an answer yet; of more, the oldest are let go
COUNTED_MAX = 128  # answers that may still be taken back; what is older stands as it was counted
REFUSED_MAX = 32
POPULARITY = ""  # in the place of a model's hash: what needs no model

_Z = 1.645
_FORM = 1
_HASH = re.compile(r"[0-9a-f]{64}")


class Phase(StrEnum):
    NONE = "none"
    SHADOW = "shadow"  # `other` is new, and not shown
    WATCH = "watch"  # `shown` is new, and `other` is what was shown before


class Verdict(StrEnum):
    GO_ON = "go_on"
    PROMOTE = "promote"
    REFUSE = "refuse"
    ROLL_BACK = "roll_back"
    SETTLE = "settle"  # the new one stays, and nothing runs beside it any more


class Fault(StrEnum):
    FAILED = "failed"
    SLOW = "slow"


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a trial ends.

    answered: decisions answered before anything is said. taken, explored: accepted among them, and accepted of those
    that were not the shown order's first, before anything is said of ranks. answered_max: by then a model that could
    not be shown to be no worse is refused. rank_worse, brier_worse: how much worse the bound may be
    for "not worse". faults_max: of failures, and of answers that came too late, in one phase.
    """

    answered: int = 200
    taken: int = 30
    explored: int = 10
    answered_max: int = 5000
    rank_worse: float = 0.05
    brier_worse: float = 0.02
    faults_max: int = 10


@dataclass(frozen=True, slots=True)
class Seen:
    """One decision that waits for its answer. Ranks from 1; chances: of being taken, None: not said."""

    offer: OfferId
    propensity_ppm: int
    new_rank: int
    old_rank: int
    new_chance: float | None = None
    old_chance: float | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """One decision with its answer, as it was counted."""

    seen: Seen
    taken: bool


@dataclass(frozen=True, slots=True)
class Sums:
    """Of differences d with weights w: enough for their mean and its bounds."""

    count: int = 0
    w: float = 0.0
    ww: float = 0.0
    wd: float = 0.0
    wwd: float = 0.0
    wwdd: float = 0.0

    def add(self, d: float, w: float = 1.0, times: int = 1) -> Sums:
        """times: -1 for one that was added and is not to count after all. Nothing left is exactly nothing."""
        if self.count + times == 0:
            return Sums()
        return Sums(
            self.count + times,
            self.w + times * w,
            self.ww + times * w * w,
            self.wd + times * w * d,
            self.wwd + times * w * w * d,
            self.wwdd + times * w * w * d * d,
        )

    def bounds(self) -> tuple[float, float]:
        """Lower and upper one-sided 95 % bound of the weighted mean; anything, while there is too little."""
        if self.count < 2:
            return -math.inf, math.inf
        mean = self.wd / self.w
        spread = math.sqrt(max(0.0, self.wwdd - 2 * mean * self.wwd + mean * mean * self.ww)) / self.w
        return mean - _Z * spread, mean + _Z * spread


@dataclass(frozen=True, slots=True)
class Trial:
    """What is shown and what runs beside it, by the files' SHA-256; POPULARITY: no file. base: what the settings named.

    The sums are of this phase. why: of the last verdict, a code for the log.
    """

    base: str = POPULARITY
    shown: str = POPULARITY
    other: str = POPULARITY
    phase: Phase = Phase.NONE
    answered: int = 0
    explored: int = 0
    rank: Sums = field(default=Sums())
    brier: Sums = field(default=Sums())
    failed: int = 0
    slow: int = 0
    waiting: tuple[Seen, ...] = ()
    counted: tuple[Told, ...] = ()
    refused: tuple[str, ...] = ()
    why: str = ""

    @property
    def new(self) -> str | None:
        """The model that is on trial."""
        return {Phase.NONE: None, Phase.SHADOW: self.other, Phase.WATCH: self.shown}[self.phase]

    def wants(self) -> tuple[str, ...]:
        """The models that have to run."""
        named = (self.shown, self.other) if self.phase is not Phase.NONE else (self.shown,)
        return tuple(sha256 for sha256 in named if sha256 != POPULARITY)


class BadTrial(ValueError):
    """What was kept of a trial cannot be read."""


def rebase(trial: Trial, base: str) -> Trial:
    """The settings name another file than they did: it is shown at once, whatever was on trial."""
    return trial if trial.base == base else Trial(base=base, shown=base, refused=trial.refused)


def ship(trial: Trial, base: str) -> Trial:
    """As `rebase`, for a model that came with the program: a release that took the place of an older one stays.

    It learnt nothing of this ship, and is watched beside popularity, which has its place if it does worse here.
    """
    if trial.base == base:
        return trial
    if trial.shown not in (trial.base, POPULARITY):
        return replace(trial, base=base)
    if base == POPULARITY:
        return rebase(trial, base)
    return Trial(base, base, POPULARITY, Phase.WATCH, refused=trial.refused)


def fall_back(trial: Trial) -> Trial:
    """What is shown can never be used by this program: what the settings named is shown again."""
    refused = (*trial.refused, trial.shown)[-REFUSED_MAX:]
    return Trial(trial.base, trial.base, refused=refused, why="bad_file")


def begin(trial: Trial, sha256: str) -> Trial:
    """Put a release into the shadow, in the place of one that may be there. One that is known is left alone.

    Nothing else begins while a release is watched; what the settings named, or what ships, gives way to a release.
    """
    watched = trial.phase is Phase.WATCH and trial.shown != trial.base
    if watched or sha256 in (*trial.refused, trial.shown, trial.new):
        return trial
    return Trial(trial.base, trial.shown, sha256, Phase.SHADOW, refused=trial.refused)


def note(trial: Trial, seen: Seen) -> Trial:
    return replace(trial, waiting=(*trial.waiting, seen)[-WAITING_MAX:])


def fault(trial: Trial, sha256: str, what: Fault) -> Trial:
    """The model on trial failed, or came too late; what anybody else does is no matter of the trial's."""
    if trial.new is None or sha256 != trial.new:
        return trial
    if what is Fault.FAILED:
        return replace(trial, failed=trial.failed + 1)
    return replace(trial, slow=trial.slow + 1)


def answer(trial: Trial, offer: OfferId, taken: bool | None) -> Trial:
    """Count one answer, None: it was taken back; of an offer that is not known here, nothing.

    Each offer counts once, by its last answer: one that was counted otherwise is taken out of the sums again.
    """
    told = next((each for each in trial.counted if each.seen.offer == offer), None)
    if told is not None:
        if told.taken is taken:
            return trial
        counted = tuple(each for each in trial.counted if each is not told)
        trial = note(replace(_summed(trial, told, -1), counted=counted), told.seen)
    seen = next((each for each in trial.waiting if each.offer == offer), None)
    if seen is None or taken is None:
        return trial
    told = Told(seen, taken)
    waiting = tuple(each for each in trial.waiting if each is not seen)
    return replace(_summed(trial, told, 1), waiting=waiting, counted=(*trial.counted, told)[-COUNTED_MAX:])


def _summed(trial: Trial, told: Told, times: int) -> Trial:
    """times: 1 to count it, -1 to count it no longer."""
    seen, taken = told.seen, told.taken
    rank, brier, explored = trial.rank, trial.brier, trial.explored
    if taken:
        explored += times * (seen.propensity_ppm < PPM // 2)
        weight = min(WEIGHT_MAX, PPM / max(1, seen.propensity_ppm))
        rank = rank.add(1 / seen.new_rank - 1 / seen.old_rank, weight, times)
    if seen.new_chance is not None and seen.old_chance is not None:
        brier = brier.add((seen.new_chance - taken) ** 2 - (seen.old_chance - taken) ** 2, times=times)
    return replace(trial, answered=trial.answered + times, explored=explored, rank=rank, brier=brier)


def judge(trial: Trial, bounds: Bounds) -> tuple[Verdict, str]:
    """What is to be done now, and why, as a code."""
    if trial.phase is Phase.NONE:
        return Verdict.GO_ON, ""
    no = Verdict.REFUSE if trial.phase is Phase.SHADOW else Verdict.ROLL_BACK
    if trial.failed >= bounds.faults_max:
        return no, "failing"
    if trial.slow >= bounds.faults_max:
        return no, "slow"
    if trial.answered % LOOK_EVERY or trial.answered < bounds.answered:
        return _in_time(trial, bounds, no)
    (rank_low, rank_high), (brier_low, brier_high) = trial.rank.bounds(), trial.brier.bounds()
    ranks = trial.rank.count >= bounds.taken and trial.explored >= bounds.explored
    said = trial.brier.count > 0
    if said and brier_low > 0:
        return no, "forecasts_worse"
    if ranks and rank_high < 0:
        return no, "ranks_worse"
    if ranks and rank_low >= -bounds.rank_worse and (not said or brier_high <= bounds.brier_worse):
        return (Verdict.PROMOTE if trial.phase is Phase.SHADOW else Verdict.SETTLE), "not_worse"
    return _in_time(trial, bounds, no)


def carry_out(trial: Trial, verdict: Verdict, why: str) -> Trial:
    """The trial after a verdict: its sums begin anew."""
    refused, new = trial.refused, trial.new
    if verdict in (Verdict.REFUSE, Verdict.ROLL_BACK) and new is not None:
        refused = (*refused, new)[-REFUSED_MAX:]
    match verdict:
        case Verdict.GO_ON:
            return trial
        case Verdict.PROMOTE:
            return Trial(trial.base, trial.other, trial.shown, Phase.WATCH, refused=refused, why=why)
        case Verdict.ROLL_BACK:
            return Trial(trial.base, trial.other, refused=refused, why=why)
        case Verdict.REFUSE | Verdict.SETTLE:
            return Trial(trial.base, trial.shown, refused=refused, why=why)


def encode(trial: Trial) -> str:
    return json.dumps({"form": _FORM, **asdict(trial)}, sort_keys=True, separators=(",", ":"), allow_nan=False)


def decode(text: str | None) -> Trial:
    """None: nothing was ever kept. Raises BadTrial."""
    if text is None:
        return Trial()
    try:
        fields = json.loads(text)
        if fields.pop("form") != _FORM:
            raise BadTrial("kept by another version")
        fields |= {"phase": Phase(fields["phase"]), "refused": tuple(fields["refused"])}
        fields |= {name: Sums(**fields[name]) for name in ("rank", "brier")}
        fields["waiting"] = tuple(Seen(**each) for each in fields["waiting"])
        counted = fields.get("counted", ())  # kept by a version that counted each answer for good
        fields["counted"] = tuple(Told(Seen(**each["seen"]), each["taken"]) for each in counted)
        trial = Trial(**fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadTrial("no trial of a model") from error
    _check(trial)
    return trial


def _in_time(trial: Trial, bounds: Bounds, no: Verdict) -> tuple[Verdict, str]:
    """Not proven, and out of time? A model in the shadow goes; one that is shown has done no harm, and stays."""
    if trial.answered < bounds.answered_max:
        return Verdict.GO_ON, ""
    return (no if no is Verdict.REFUSE else Verdict.SETTLE), "not_proven"


def _check(trial: Trial) -> None:
    """Raises BadTrial."""
    hashes = (trial.base, trial.shown, trial.other, *trial.refused)
    counts = (trial.answered, trial.explored, trial.failed, trial.slow, trial.rank.count, trial.brier.count)
    known = (*trial.waiting, *(told.seen for told in trial.counted))
    figures = [value for sums in (trial.rank, trial.brier) for value in asdict(sums).values()]
    sound: list[Callable[[], Any]] = [
        lambda: all(isinstance(each, str) and (not each or _HASH.fullmatch(each)) for each in hashes),
        lambda: all(type(count) is int and count >= 0 for count in counts),
        lambda: all(isinstance(value, int | float) and math.isfinite(value) for value in figures),
        lambda: all(type(seen.new_rank) is int and seen.new_rank > 0 for seen in known),
        lambda: all(type(seen.old_rank) is int and seen.old_rank > 0 for seen in known),
        lambda: all(type(seen.propensity_ppm) is int for seen in known),
        lambda: all(type(told.taken) is bool for told in trial.counted),
        lambda: isinstance(trial.why, str) and (trial.phase is Phase.NONE or trial.shown != trial.other),
    ]
    if not all(holds() for holds in sound):
        raise BadTrial("a trial that cannot be")
