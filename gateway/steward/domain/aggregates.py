"""Questions that may be asked about many guests at once, and how little each guest may matter to an answer. Pure.

Only guests who agreed to analytics ashore are counted, and only by the questions declared here, over groups that are
known without looking at anybody: outlets, hours, the catalogue, adults and children. A guest counts in at most
`groups_max` groups of a question, and in each for at most `cap`. So taking one guest in or out moves the answer by a
known number at most, and noise of the discrete Laplace distribution, scaled by that number over the question's
epsilon, makes the answers with and without any one guest hard to tell apart (epsilon-differential privacy).

A group of fewer than the minimum is not shown. That must not be decided by the true count, or the showing itself would
tell of a single guest; so the noisy count is held against the minimum and a margin, which a group that is too small
passes once in ten thousand times at most.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from steward.domain.charges import Charge, ChargeState
from steward.domain.guests import Guest
from steward.domain.offers import Offer, OfferState

MIN_GROUP_DEFAULT = 20
BUDGET_MILLI_DEFAULT = 4000  # of a voyage
SHOWN_TOO_SMALL = 1e-4  # how often, at most, a group below the minimum is shown
GROUPS_MAX = 4096
ANSWER_CHARS_MAX = 3000  # an event's payload bounds it


class Over(StrEnum):
    """What a question's groups are."""

    OUTLET = "outlet"
    HOUR = "hour"
    ITEM = "item"
    KIND = "kind"


KINDS = ("adult", "child")
HOURS = tuple(f"{hour:02}" for hour in range(24))


@dataclass(frozen=True, slots=True)
class Past:
    """What is read of one guest for a question; it does not leave the gateway."""

    guest: Guest
    charges: Sequence[Charge] = ()
    offers: Sequence[Offer] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """What a question is asked with. utc_offset_s: of the ship's hours; currency: of sums."""

    currency: str
    utc_offset_s: int


@dataclass(frozen=True, slots=True)
class Question:
    """count_milli, sum_milli: thousandths of epsilon that its counts, and its sums, cost. sum_milli 0: no sums."""

    id: str
    over: Over
    groups_max: int
    count_milli: int
    read: Callable[[Past, Terms], Mapping[str, int]]
    cap: int = 1
    sum_milli: int = 0

    @property
    def cost_milli(self) -> int:
        return self.count_milli + self.sum_milli

    @property
    def count_scale(self) -> float:
        return self.groups_max / (self.count_milli / 1000)

    @property
    def sum_sensitivity(self) -> int:
        """By how much one guest moves all sums together at most."""
        return self.groups_max * self.cap

    @property
    def sum_scale(self) -> float:
        return self.sum_sensitivity / (self.sum_milli / 1000)


def _live(past: Past) -> list[Charge]:
    return [charge for charge in past.charges if charge.state is ChargeState.POSTED]


def _outlets(past: Past, terms: Terms) -> Mapping[str, int]:
    return {str(charge.request.outlet): 1 for charge in _live(past)}


def _spent(past: Past, terms: Terms) -> Mapping[str, int]:
    spent: dict[str, int] = {}
    for charge in _live(past):
        if charge.request.currency == terms.currency:
            spent[charge.request.outlet] = spent.get(charge.request.outlet, 0) + charge.left_minor
    return spent


def _hours(past: Past, terms: Terms) -> Mapping[str, int]:
    """The hours in which the guest bought most often."""
    often: dict[str, int] = {}
    for charge in _live(past):
        hour = HOURS[(charge.at_s + terms.utc_offset_s) // 3600 % 24]
        often[hour] = often.get(hour, 0) + 1
    return often


def _accepted(past: Past, terms: Terms) -> Mapping[str, int]:
    return {str(offer.item): 1 for offer in past.offers if offer.state is OfferState.ACCEPTED}


def _kind(past: Past, terms: Terms) -> Mapping[str, int]:
    return {"child" if past.guest.child else "adult": 1}


QUESTIONS: Mapping[str, Question] = {
    question.id: question
    for question in (
        Question("guests_by_kind", Over.KIND, 1, 250, _kind),
        Question("guests_by_outlet", Over.OUTLET, 2, 500, _outlets),
        Question("guests_by_hour", Over.HOUR, 2, 500, _hours),
        Question("guests_by_accepted_item", Over.ITEM, 2, 500, _accepted),
        Question("spending_by_outlet", Over.OUTLET, 2, 500, _spent, cap=20_000, sum_milli=500),
    )
}


def bounded(question: Question, past: Past, terms: Terms, groups: frozenset[str]) -> dict[str, int]:
    """What one guest adds to each group: to `groups_max` of them at most, where it is most, and `cap` to each."""
    found = {group: value for group, value in question.read(past, terms).items() if group in groups and value > 0}
    most = sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))[: question.groups_max]
    return {group: min(value, question.cap) for group, value in most}


@dataclass(frozen=True, slots=True)
class Totals:
    """Over all guests, by group in the groups' order. Exact: never to be shown."""

    counts: list[int]
    sums: list[int]


def totals(groups: Sequence[str], contributions: Iterable[Mapping[str, int]]) -> Totals:
    place = {group: n for n, group in enumerate(groups)}
    found = Totals([0] * len(groups), [0] * len(groups))
    for contribution in contributions:
        for group, value in contribution.items():
            found.counts[place[group]] += 1
            found.sums[place[group]] += value
    return found


def shown_from(question: Question, min_group: int) -> int:
    """The noisy count from which a group is shown."""
    return min_group + math.ceil(question.count_scale * math.log(1 / SHOWN_TOO_SMALL))


@dataclass(frozen=True, slots=True)
class Line:
    """A group's noisy figures. total: None for a question without sums."""

    group: str
    guests: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What may be told to anybody. withheld: groups that are too small, or did not fit; which, nobody learns.

    currency: of the totals; empty for a question without.
    """

    question: str
    lines: tuple[Line, ...]
    withheld: int
    shown_from: int
    cost_milli: int
    currency: str = ""

    def text(self) -> str:
        """For an event: JSON, each line [group, guests] or [group, guests, total]."""
        lines = [[line.group, line.guests, *([] if line.total is None else [line.total])] for line in self.lines]
        return json.dumps(
            {"lines": lines, "withheld": self.withheld, "from": self.shown_from, "currency": self.currency},
            separators=(",", ":"),
        )


def make_answer(
    question: Question,
    groups: Sequence[str],
    counts: Sequence[int],
    sums: Sequence[int] | None,
    min_group: int,
    currency: str = "",
) -> Answer:
    """From noisy figures, in the groups' order, the most guests first. What lies below the minimum is left out."""
    least = shown_from(question, min_group)
    lines = [
        Line(group, count, None if sums is None else max(sums[n], 0))
        for n, (group, count) in enumerate(zip(groups, counts, strict=True))
        if count >= least
    ]
    lines.sort(key=lambda line: (-line.guests, line.group))
    said = currency if sums is not None else ""
    answer = Answer(question.id, tuple(lines), len(groups) - len(lines), least, question.cost_milli, said)
    while len(answer.text()) > ANSWER_CHARS_MAX:
        kept = answer.lines[:-1]
        answer = replace(answer, lines=kept, withheld=len(groups) - len(kept))
    return answer
