"""After the scores: what may be offered to this guest now, in which order, and why each other thing is not.

Order of the rules. Nothing at all: an objection, service recovery, quiet hours, a busy crew, enough offers. Then item
by item: the hard stops of domain/offers.py, what the guest wants never or not today, what was asked lately, caps, quiet
hours of a category. Then variety. Last, among what is left, the purser's nudge, which orders and never brings back.

No rule of a file loosens a hard stop: a file can only hold back more, and nudge within NUDGE_PERCENT_MAX.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from steward.domain.care import Case
from steward.domain.catalogue import Item, ItemId
from steward.domain.offers import Offer, OfferState, Scored, Situation, hard_stop
from steward.domain.profiles import folded_words
from steward.domain.rulekinds import (
    EVERYTHING,
    NUDGE_PERCENT_MAX,
    AskAgain,
    Cap,
    CrewBusy,
    HelpWords,
    Nudge,
    Per,
    Quiet,
    Reach,
    Rules,
    S,
    Trouble,
    Variety,
    rules_of,
)

SCORE_MAX = 1e12  # beyond it a range could be infinite


class Effect(StrEnum):
    STOPPED = "stopped"  # nothing is offered
    REMOVED = "removed"
    LIFTED = "lifted"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Step:
    """What one rule did to one item, or to everything (item None), with the numbers that it went by."""

    rule: str
    item: ItemId | None
    effect: Effect
    numbers: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Help:
    """The next best action is to help. minutes: how long the guest has waited."""

    trouble: Trouble
    minutes: int


@dataclass(frozen=True, slots=True)
class Decision:
    """ordered: what may be offered, best first, with the scores after the nudge."""

    trace: tuple[Step, ...]
    ordered: tuple[Scored, ...]
    help: Help | None = None


def decide(items: Sequence[Item], scored: Sequence[Scored], situation: Situation, rules: Rules) -> Decision:
    """Total: whatever is asked has an answer. The order of `items` and `scored` does not matter.

    Raises ValueError for a score that is no number or beyond SCORE_MAX, and for an item that is there twice.
    """
    _check(items, scored)
    stops = _stops(situation, rules)
    if stops:
        return Decision(tuple(stops), (), _help(situation, rules))
    by_id, trace, left = {item.id: item for item in items}, list[Step](), list[Scored]()
    asked = _asked(situation)
    for one in _in_order(scored):
        item = by_id.pop(one.item, None)
        step = Step("gone", one.item, Effect.REMOVED) if item is None else _ruled_out(item, asked, situation, rules)
        if step is None:
            left.append(one)
        else:
            trace.append(step)
    trace += [Step("unscored", id_, Effect.REMOVED) for id_ in sorted(by_id)]
    known = {item.id: item for item in items}
    left = _varied(left, known, situation, rules, trace)
    ordered = _nudged(left, known, situation, rules, trace)
    return Decision(tuple(trace), tuple(ordered))


def reordered(
    decision: Decision, items: Mapping[ItemId, Item], scored: Iterable[Scored], situation: Situation, rules: Rules
) -> tuple[Scored, ...]:
    """What `decide` would order, had the same things had these scores: no score changes what may be offered.

    decision: of the same items, situation and rules. Raises ValueError for a score that is no number or beyond
    SCORE_MAX.
    """
    open_to = {one.item for one in decision.ordered}
    left = [one for one in scored if one.item in open_to]
    _check_scores(left)
    return tuple(_nudged(_in_order(left), items, situation, rules, []))


def without(kind: type[S], rules: Rules) -> Rules:
    """The rules without those of this kind."""
    return tuple(rule for rule in rules if not isinstance(rule.says, kind))


def help_first(cases: Sequence[Case], now_s: int, rules: Rules) -> Help | None:
    """Which of a guest's open cases to help with before anything else; None if there is none."""
    wordings = [words for _, words in rules_of(HelpWords, rules)]
    found = [_help_with(case, now_s, wordings) for case in cases]
    return min(found, key=lambda one: (list(Trouble).index(one.trouble), -one.minutes), default=None)


def is_twin(item: Item, refused: Item) -> bool:
    """Whether a guest who never wants `refused` would take this for the same again, at whichever outlet.

    The same title in any language; or, where they have tags at all, the same category, tags and allergens.
    """
    titles = {title.casefold() for title in refused.titles.values()}
    if any(title.casefold() in titles for title in item.titles.values()):
        return True
    alike = item.category == refused.category and set(item.allergens) == set(refused.allergens)
    return alike and bool(item.tags) and set(item.tags) == set(refused.tags)


def _check(items: Sequence[Item], scored: Sequence[Scored]) -> None:
    _check_scores(scored)
    if len({one.item for one in scored}) != len(scored) or len({item.id for item in items}) != len(items):
        raise ValueError("an item is there twice")


def _check_scores(scored: Iterable[Scored]) -> None:
    for one in scored:
        if not -SCORE_MAX <= one.score <= SCORE_MAX:  # what is no number is not, either
            raise ValueError(f"item {one.item}: a score is a number of at most {SCORE_MAX:g} either way")


def _in_order(scored: Iterable[Scored]) -> list[Scored]:
    return sorted(scored, key=lambda one: (-one.score, one.item))


def _help(situation: Situation, rules: Rules) -> Help | None:
    """Nothing for who objects: that nothing is offered is not because of a case."""
    if situation.objects:
        return None
    unseen = Help(Trouble.OPEN_CASE, 0) if situation.in_recovery else None
    return help_first(situation.cases, situation.now_s, rules) or unseen


def _help_with(case: Case, now_s: int, wordings: Sequence[HelpWords]) -> Help:
    minutes = max(0, now_s - case.opened_s) // 60
    words = folded_words(case.what)
    for trouble in Trouble:
        if any(_fits(phrase, words) for one in wordings for phrase in one.phrases.get(trouble, ())):
            return Help(trouble, minutes)
    late = any(minutes >= one.late_after_min for one in wordings)
    return Help(Trouble.LONG_WAIT if late else Trouble.OPEN_CASE, minutes)


def _fits(phrase: str, words: Sequence[str]) -> bool:
    return all(any(word.startswith(wanted) for word in words) for wanted in folded_words(phrase))


# nothing at all


def _stops(situation: Situation, rules: Rules) -> list[Step]:
    """Every rule by which nothing is offered now. An objection is the only one there is need to name."""
    if situation.objects:
        return [Step("consent", None, Effect.STOPPED)]
    steps = list[Step]()
    if situation.in_recovery or situation.cases:
        steps.append(Step("recovery", None, Effect.STOPPED, (("open_cases", max(1, len(situation.cases))),)))
    for name, quiet in rules_of(Quiet, rules):
        if quiet.of == EVERYTHING and quiet.hours.holds(situation.minute):
            steps.append(Step(name, None, Effect.STOPPED, (("minute", situation.minute),)))
    steps += _busy(situation, rules)
    for name, cap in rules_of(Cap, rules):
        made = len(_within(cap.per, situation))
        if cap.of == EVERYTHING and made >= cap.most:
            steps.append(Step(name, None, Effect.STOPPED, (("offers", made), ("most", cap.most))))
    return steps


def _busy(situation: Situation, rules: Rules) -> Iterable[Step]:
    load = situation.workload
    for name, busy in rules_of(CrewBusy, rules):
        for label, count, most in (
            ("open_cases", load.open_cases, busy.open_cases_most),
            ("sales", load.sales, busy.sales_most),
        ):
            if most is not None and count > most:
                yield Step(name, None, Effect.STOPPED, ((label, count), ("most", most)))


def _within(per: Per, situation: Situation) -> list[Offer]:
    since_s = situation.day_start_s if per is Per.DAY else None
    return [offer for offer in situation.offers if since_s is None or offer.at_s >= since_s]


# item by item


@dataclass(frozen=True, slots=True)
class _Asked:
    """The guest's offers, gone through once: by item, and counted by item and by category, of the day and the stay."""

    by_item: Mapping[ItemId, Sequence[Offer]]
    items: Mapping[Per, Counter[str]]
    categories: Mapping[Per, Counter[str]]

    def made(self, cap: Cap, item: Item) -> int:
        """How many count for this item, which the cap is about."""
        if cap.of.reach in (Reach.EVERY_CATEGORY, Reach.CATEGORY):
            return self.categories[cap.per][item.category]
        return self.items[cap.per][item.id]


def _asked(situation: Situation) -> _Asked:
    by_item = dict[ItemId, list[Offer]]()
    for offer in situation.offers:
        by_item.setdefault(offer.item, []).append(offer)
    within = {per: _within(per, situation) for per in Per}
    return _Asked(
        by_item,
        {per: Counter(offer.item for offer in offers) for per, offers in within.items()},
        {per: Counter(offer.category for offer in offers) for per, offers in within.items()},
    )


def _ruled_out(item: Item, asked: _Asked, situation: Situation, rules: Rules) -> Step | None:
    """The first rule that takes this item away."""
    own = asked.by_item.get(item.id, ())
    code = hard_stop(item, situation) or _refused(item, own, situation)
    if code is not None:
        return Step(code, item.id, Effect.REMOVED)
    lately = _asked_lately(item, own, situation, rules)
    return lately or _capped(item, asked, rules) or _quiet(item, situation, rules)


def _refused(item: Item, own: Sequence[Offer], situation: Situation) -> str | None:
    if any(offer.state is OfferState.WRONG for offer in own):
        return "never"
    if any(is_twin(item, refused) for refused in situation.refused):
        return "twin_of_never"
    # Later than now: by a clock that was ahead. It was said all the same.
    if any(offer.state is OfferState.DEFERRED and offer.at_s >= situation.day_start_s for offer in own):
        return "not_now"
    return None


def _asked_lately(item: Item, own: Sequence[Offer], situation: Situation, rules: Rules) -> Step | None:
    last_s = max((offer.at_s for offer in own), default=None)
    if last_s is None:
        return None
    for name, again in rules_of(AskAgain, rules):
        ago_s = situation.now_s - last_s
        if again.of.holds(item) and ago_s < again.after_s:
            return Step(name, item.id, Effect.REMOVED, (("asked_ago_s", ago_s), ("after_s", again.after_s)))
    return None


def _capped(item: Item, asked: _Asked, rules: Rules) -> Step | None:
    for name, cap in rules_of(Cap, rules):
        if cap.of == EVERYTHING or not cap.of.holds(item):
            continue
        made = asked.made(cap, item)
        if made >= cap.most:
            return Step(name, item.id, Effect.REMOVED, (("offers", made), ("most", cap.most)))
    return None


def _quiet(item: Item, situation: Situation, rules: Rules) -> Step | None:
    for name, quiet in rules_of(Quiet, rules):
        if quiet.of.holds(item) and quiet.hours.holds(situation.minute):
            return Step(name, item.id, Effect.REMOVED, (("minute", situation.minute),))
    return None


# among what is left


def _varied(
    left: list[Scored], known: Mapping[ItemId, Item], situation: Situation, rules: Rules, trace: list[Step]
) -> list[Scored]:
    """By own history, so only for who agrees to it."""
    if not situation.personal:
        return left
    for name, variety in rules_of(Variety, rules):
        lately = {offer.category for offer in situation.offers[-variety.last :]}
        other = [one for one in left if known[one.item].category not in lately]
        if other:
            gone = [one.item for one in left if known[one.item].category in lately]
            trace += [Step(name, item, Effect.REMOVED, (("last", variety.last),)) for item in gone]
            left = other
    return left


def _nudged(
    left: list[Scored], known: Mapping[ItemId, Item], situation: Situation, rules: Rules, trace: list[Step]
) -> list[Scored]:
    """What the guest has put off this stay is not nudged: "not now" is not an invitation to press."""
    every = list(rules_of(Nudge, rules))
    if not every:
        return left
    put_off = {offer.item for offer in situation.offers if offer.state is OfferState.DEFERRED}
    spread = max((one.score for one in left), default=0.0) - min((one.score for one in left), default=0.0)
    lifted, by = list[Scored](), dict[ItemId, tuple[str, int]]()
    for one in left:
        nudges = [(name, nudge.percent) for name, nudge in every if nudge.of.holds(known[one.item])]
        percent = min(sum(each for _, each in nudges), NUDGE_PERCENT_MAX)
        if percent and one.item not in put_off:
            by[one.item] = (" + ".join(name for name, _ in nudges), percent)
            lifted.append(replace(one, score=one.score + spread * percent / 100))
        else:
            lifted.append(one)
    ordered = _in_order(lifted)
    before = {one.item: place for place, one in enumerate(left, 1)}
    for place, one in enumerate(ordered, 1):
        places = (("from_place", before[one.item]), ("to_place", place))
        if one.item in by:
            name, percent = by[one.item]
            trace.append(Step(name, one.item, Effect.LIFTED, (("percent", percent), *places)))
        elif place != before[one.item]:
            trace.append(Step("displaced", one.item, Effect.MOVED, places))
    return ordered
