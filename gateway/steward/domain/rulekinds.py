"""What a file of rules can say, kind by kind; what they do: domain/rules.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from steward.domain.catalogue import Hours, Item

NUDGE_PERCENT_MAX = 10  # of the range of the scores, however many nudges meet
SALES_WITHIN_S = 600

# What no file sets. The codes of hard_stop are among them.
BUILT_IN = frozenset(
    {
        "consent",
        "recovery",
        "age",
        "allergens",
        "diet",
        "closed",
        "sold_out",
        "full",
        "never",
        "twin_of_never",
        "not_now",
        "unscored",
        "gone",
        "displaced",
    }
)


class Per(StrEnum):
    DAY = "day"
    STAY = "stay"


class Reach(StrEnum):
    """What a rule is about. EVERY_*: each category, or each item, by itself."""

    ALL = "all"
    EVERY_CATEGORY = "every_category"
    EVERY_ITEM = "every_item"
    CATEGORY = "category"
    ITEM = "item"


class Trouble(StrEnum):
    """What went wrong for a guest, the most pressing first."""

    LOST_LUGGAGE = "lost_luggage"
    DELAYED_CABIN = "delayed_cabin"
    LONG_WAIT = "long_wait"
    OPEN_CASE = "open_case"


@dataclass(frozen=True, slots=True)
class Of:
    """name: of the category or the item; empty otherwise."""

    reach: Reach
    name: str = ""

    def holds(self, item: Item) -> bool:
        if self.reach is Reach.CATEGORY:
            return item.category == self.name
        return self.reach is not Reach.ITEM or item.id == self.name

    def __str__(self) -> str:
        return f"{self.reach}:{self.name}" if self.name else str(self.reach)


EVERYTHING = Of(Reach.ALL)


@dataclass(frozen=True, slots=True)
class Cap:
    """No more offers than this to one guest."""

    of: Of
    per: Per
    most: int


@dataclass(frozen=True, slots=True)
class AskAgain:
    """The same item not again before so much time has passed, whatever the guest said."""

    of: Of
    after_s: int


@dataclass(frozen=True, slots=True)
class Variety:
    """Not the category of the last offers again, if there is another."""

    last: int


@dataclass(frozen=True, slots=True)
class Quiet:
    of: Of
    hours: Hours


@dataclass(frozen=True, slots=True)
class CrewBusy:
    """No offers at an outlet with more than this to do. sales: within SALES_WITHIN_S. None: does not matter."""

    open_cases_most: int | None
    sales_most: int | None


@dataclass(frozen=True, slots=True)
class HelpWords:
    """How help is worded. A phrase fits if each of its words begins some word of the case's text."""

    late_after_min: int
    phrases: Mapping[Trouble, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Nudge:
    """What the purser would like to see offered: lifted by this much of the range of the scores."""

    of: Of
    percent: int


Saying = Cap | AskAgain | Variety | Quiet | CrewBusy | HelpWords | Nudge
S = TypeVar("S", Cap, AskAgain, Variety, Quiet, CrewBusy, HelpWords, Nudge)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a file: what it says, why by language, and the line it begins at."""

    name: str
    says: Saying
    why: Mapping[str, str]
    line: int = 0


Rules = tuple[Rule, ...]


def rules_of(kind: type[S], rules: Rules) -> Iterable[tuple[str, S]]:
    """Name and content of the rules of this kind."""
    return [(rule.name, rule.says) for rule in rules if isinstance(rule.says, kind)]
