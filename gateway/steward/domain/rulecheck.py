"""What is wrong with a file of rules that can be read: rules that contradict each other, and rules that never act."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from steward.domain.catalogue import DAY_MIN, Hours, Item
from steward.domain.rulekinds import (
    EVERYTHING,
    NUDGE_PERCENT_MAX,
    AskAgain,
    Cap,
    CrewBusy,
    HelpWords,
    Nudge,
    Of,
    Per,
    Quiet,
    Reach,
    Rule,
    Rules,
    Trouble,
    Variety,
)


class Kind(StrEnum):
    CONFLICT = "conflict"  # together they do what nobody can have meant
    DEAD = "dead"  # never does anything


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one rule, and what to do."""

    line: int
    rule: str
    kind: Kind
    says: str


def check_rules(rules: Rules, items: Sequence[Item] | None = None) -> list[Finding]:
    """By line. items: the whole catalogue, to tell what no item has; None: not known, so not looked at."""
    found = [*_caps(rules), *_asking(rules), *_quiet(rules), *_nudges(rules), *_single(rules), *_help(rules)]
    if items is not None:
        found += _nobodys(rules, items)
    return sorted(found, key=lambda one: (one.line, one.rule, one.kind, one.says))


def _dead(rule: Rule, says: str) -> Finding:
    return Finding(rule.line, rule.name, Kind.DEAD, says)


def _conflict(rule: Rule, says: str) -> Finding:
    return Finding(rule.line, rule.name, Kind.CONFLICT, says)


def _named(rule: Rule) -> str:
    return f"{rule.name} (line {rule.line})"


# caps


def _caps(rules: Rules) -> Iterator[Finding]:
    caps = [(rule, rule.says) for rule in rules if isinstance(rule.says, Cap)]
    for rule, cap in caps:
        if cap.most == 0 and cap.of.reach in (Reach.ALL, Reach.EVERY_CATEGORY, Reach.EVERY_ITEM):
            yield _conflict(rule, "a cap of 0 on everything: nothing is ever offered to anybody")
        elif cap.most == 0:
            yield _conflict(rule, f"a cap of 0: {cap.of} is never offered; take it out of the catalogue instead")
        for other, wider in caps:
            if other is not rule and _holds_first(other, wider, rule, cap):
                yield _dead(rule, f"never reached: {_named(other)} stops at {wider.most} per {wider.per} before")
                break


def _holds_first(other: Rule, wider: Cap, rule: Rule, cap: Cap) -> bool:
    """Whether `wider` always acts before `cap` could. Of two that say the same, the later is the dead one."""
    if not _covers(wider.of, cap.of) or wider.most > cap.most or (wider.per is Per.DAY and cap.per is Per.STAY):
        return False
    same = (wider.most, wider.per, wider.of) == (cap.most, cap.per, cap.of)
    return not same or other.line < rule.line


def _covers(wide: Of, narrow: Of) -> bool:
    """Whether every offer that counts for the narrow one counts for the wide one, too."""
    if wide in (narrow, EVERYTHING):
        return True
    if wide.reach is Reach.EVERY_CATEGORY:
        return narrow.reach is not Reach.ALL
    return wide.reach is Reach.EVERY_ITEM and narrow.reach is Reach.ITEM


# asking again, quiet hours, nudges


def _asking(rules: Rules) -> Iterator[Finding]:
    asking = [(rule, rule.says) for rule in rules if isinstance(rule.says, AskAgain)]
    for rule, again in asking:
        for other, wider in asking:
            longer = (wider.after_s, -other.line) > (again.after_s, -rule.line)
            if other is not rule and longer and (wider.of == again.of or wider.of == EVERYTHING):
                yield _dead(rule, f"{_named(other)} always holds longer: {wider.after_s // 3600} hours")
                break


def _quiet(rules: Rules) -> Iterator[Finding]:
    quiet = [(rule, rule.says) for rule in rules if isinstance(rule.says, Quiet)]
    for rule, one in quiet:
        same = [(other, each.hours) for other, each in quiet if each.of == one.of]
        if _whole_day([one.hours]):
            yield _conflict(rule, f"quiet hours that cover the whole day: {one.of} is never offered")
        elif _whole_day([hours for _, hours in same]) and same[-1][0] is rule:
            names = ", ".join(_named(other) for other, _ in same if other is not rule)
            yield _conflict(rule, f"with {names} the quiet hours cover the whole day: {one.of} is never offered")
        for other, each in quiet:
            within = _minutes(one.hours) < _minutes(each.hours) or (
                _minutes(one.hours) == _minutes(each.hours) and (each.of != one.of or other.line < rule.line)
            )
            if other is not rule and within and each.of in (one.of, EVERYTHING):
                yield _dead(rule, f"{_named(other)} is quiet at all of these hours already")
                break


def _minutes(hours: Hours) -> frozenset[int]:
    return frozenset(minute for minute in range(DAY_MIN) if hours.holds(minute))


def _whole_day(windows: Iterable[Hours]) -> bool:
    covered: frozenset[int] = frozenset()
    return len(covered.union(*(_minutes(hours) for hours in windows))) == DAY_MIN


def _nudges(rules: Rules) -> Iterator[Finding]:
    nudges = [(rule, rule.says) for rule in rules if isinstance(rule.says, Nudge)]
    never = {rule.says.of: rule for rule in rules if isinstance(rule.says, Cap) and rule.says.most == 0}
    never |= {rule.says.of: rule for rule in rules if isinstance(rule.says, Quiet) and _whole_day([rule.says.hours])}
    for rule, nudge in nudges:
        if nudge.of in never:
            yield _conflict(rule, f"nudges {nudge.of}, which {_named(never[nudge.of])} never lets be offered")
        before = sum(each.percent for other, each in nudges if each.of == nudge.of and other.line < rule.line)
        if before >= NUDGE_PERCENT_MAX:
            yield _dead(
                rule, f"{nudge.of} is nudged by {before} % already, and more than {NUDGE_PERCENT_MAX} never count"
            )
        elif before + nudge.percent > NUDGE_PERCENT_MAX:
            total = before + nudge.percent
            yield _conflict(rule, f"{nudge.of} would be nudged by {total} %: only {NUDGE_PERCENT_MAX} count")


# kinds of which one is enough


def _single(rules: Rules) -> Iterator[Finding]:
    variety = [(rule, rule.says.last) for rule in rules if isinstance(rule.says, Variety)]
    for rule, last in variety:
        for other, longer in variety:
            if other is not rule and (longer, -other.line) > (last, -rule.line):
                yield _dead(rule, f"{_named(other)} looks further back: {longer} offers")
                break
    busy = [(rule, rule.says) for rule in rules if isinstance(rule.says, CrewBusy)]
    for rule, one in busy:
        for other, each in busy:
            if other is not rule and _stops_first(each, one) and (each != one or other.line < rule.line):
                yield _dead(rule, f"{_named(other)} stops at as little or less")
                break


def _stops_first(each: CrewBusy, one: CrewBusy) -> bool:
    pairs = ((each.open_cases_most, one.open_cases_most), (each.sales_most, one.sales_most))
    return all(mine is None or (theirs is not None and theirs <= mine) for theirs, mine in pairs)


def _help(rules: Rules) -> Iterator[Finding]:
    """A phrase that begins with another of a more pressing trouble, or of its own, is never what tells."""
    wordings = [(rule, rule.says) for rule in rules if isinstance(rule.says, HelpWords)]
    known: dict[str, Trouble] = {}
    for trouble in Trouble:
        for rule, words in wordings:
            for phrase in words.phrases.get(trouble, ()):
                before = next((each for each in known if phrase.casefold().startswith(each)), None)
                if before is not None:
                    yield _dead(rule, f"the phrase {phrase!r} is told by {before!r} of {known[before]} before")
                known.setdefault(phrase.casefold(), trouble)


def _nobodys(rules: Rules, items: Sequence[Item]) -> Iterator[Finding]:
    categories, ids = {item.category for item in items}, {str(item.id) for item in items}
    for rule in rules:
        of = getattr(rule.says, "of", EVERYTHING)
        if of.reach is Reach.CATEGORY and of.name not in categories:
            yield _dead(rule, f"no item of the catalogue has the category {of.name}")
        if of.reach is Reach.ITEM and of.name not in ids:
            yield _dead(rule, f"the catalogue has no item {of.name}")
