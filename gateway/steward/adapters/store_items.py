"""How both stores write what is not a plain column: catalogue items as JSON, sets of codes as words."""

from __future__ import annotations

import json
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

import cbor2

from steward.domain.catalogue import Hours, Item, ItemId
from steward.domain.ids import OutletId
from steward.domain.profiles import AgeGroup, Allergen, Diet


def words(codes: Iterable[str]) -> str:
    """Codes sorted, a blank between."""
    return " ".join(sorted(codes))


def encode_item(item: Item) -> str:
    return _dump(
        {
            "titles": dict(item.titles),
            "category": item.category,
            "tags": item.tags,
            "allergens": item.allergens,
            "suits": item.suits,
            "price_minor": item.price_minor,
            "currency": item.currency,
            "min_age_group": item.min_age_group,
            "hours": [[hours.from_min, hours.to_min] for hours in item.hours],
            "edible": item.edible,
        }
    )


def decode_item(id_: str, outlet: str, body: str) -> Item:
    values = json.loads(body)
    return Item(
        id=ItemId(id_),
        outlet=OutletId(outlet),
        titles=MappingProxyType(values["titles"]),
        category=values["category"],
        tags=tuple(values["tags"]),
        allergens=tuple(Allergen(code) for code in values["allergens"]),
        suits=tuple(Diet(code) for code in values["suits"]),
        price_minor=values["price_minor"],
        currency=values["currency"],
        min_age_group=AgeGroup(values["min_age_group"]),
        hours=tuple(Hours(from_min, to_min) for from_min, to_min in values["hours"]),
        edible=values["edible"],
    )


def encode_pair(first: str, second: str) -> bytes:
    """Two texts that are sealed together."""
    return cbor2.dumps([first, second])


def decode_pair(plain: bytes) -> tuple[str, str]:
    first, second = cbor2.loads(plain)
    return first, second


def encode_named(named: Iterable[tuple[ItemId, int]]) -> str:
    return _dump([list(one) for one in named])


def decode_named(text: str) -> tuple[tuple[ItemId, int], ...]:
    return tuple((ItemId(item), ppm) for item, ppm in json.loads(text))


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
