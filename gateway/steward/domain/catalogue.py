"""What the ship offers, as a snapshot with a version. Prices are shown, never made here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NewType

from steward.domain.ids import OutletId
from steward.domain.ledger import AMOUNT_MAX_MINOR, is_currency
from steward.domain.profiles import AgeGroup, Allergen, Diet

ITEMS_MAX = 2000
TITLE_MAX = 80
DAY_MIN = 24 * 60
FALLBACK_LANGUAGE = "en"

ItemId = NewType("ItemId", str)

CODE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,31}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,4})?")


@dataclass(frozen=True, slots=True)
class Hours:
    """From and to in minutes of the ship's day; past midnight if `to_min` is not after `from_min`."""

    from_min: int  # 0..1439
    to_min: int  # 0..1440

    def holds(self, minute: int) -> bool:
        if self.from_min < self.to_min:
            return self.from_min <= minute < self.to_min
        return minute >= self.from_min or minute < self.to_min


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to offer. `suits`: the diets it is fit for. No hours: always to be had."""

    id: ItemId
    outlet: OutletId
    titles: Mapping[str, str]  # language -> title; "en" is always there
    category: str
    tags: tuple[str, ...]
    allergens: tuple[Allergen, ...]
    suits: tuple[Diet, ...]
    price_minor: int
    currency: str
    min_age_group: AgeGroup = AgeGroup.CHILD
    hours: tuple[Hours, ...] = ()
    edible: bool = False  # food or drink: diets and allergies apply

    def title(self, language: str) -> str:
        """In this language, else its base language, else English."""
        base = language.partition("-")[0]
        return self.titles.get(language) or self.titles.get(base) or self.titles[FALLBACK_LANGUAGE]

    def is_open(self, minute: int) -> bool:
        return not self.hours or any(hours.holds(minute) for hours in self.hours)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Version 0 is the empty one a new store has."""

    version: int = 0
    items: tuple[Item, ...] = ()


def catalogue_problem(catalogue: Catalogue) -> str | None:
    """The first thing that cannot be, with the item it is in."""
    if len(catalogue.items) > ITEMS_MAX:
        return f"a catalogue has at most {ITEMS_MAX} items"
    if len({item.id for item in catalogue.items}) != len(catalogue.items):
        return "an item id appears twice"
    for item in catalogue.items:
        if (problem := item_problem(item)) is not None:
            return f"item {item.id[:32]!r}: {problem}"
    return None


def item_problem(item: Item) -> str | None:
    codes = (item.id, item.category, *item.tags)
    if not all(CODE.fullmatch(code) for code in codes):
        return "id, category and tags are 1 to 32 lower-case letters, digits, dots, dashes, underscores"
    if FALLBACK_LANGUAGE not in item.titles:
        return "an English title (en) is needed"
    if not all(_LANGUAGE.fullmatch(language) for language in item.titles):
        return "titles are under language tags such as en or nb"
    if not all(0 < len(title) <= TITLE_MAX and title.isprintable() for title in item.titles.values()):
        return f"a title is 1 to {TITLE_MAX} printable characters"
    if not 0 <= item.price_minor <= AMOUNT_MAX_MINOR or not is_currency(item.currency):
        return "a price is in minor units, 0 or more, of an ISO 4217 currency"
    if not all(0 <= h.from_min < DAY_MIN and 0 <= h.to_min <= DAY_MIN for h in item.hours):
        return "hours are minutes of the day, 0 to 1440"
    if (item.allergens or item.suits) and not item.edible:
        return "only what is eaten or drunk has allergens and diets: set edible"
    return None
