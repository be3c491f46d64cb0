"""The made-up ship that guests with tastes are simulated on: what it offers and when people want what.

NOTHING HERE IS MEASURED. The numbers are assumptions, in units of utility: one unit more makes a thing 2.7 times as
likely to be chosen among the same others. They were set so that rankers come in the order they have on real sequences
of visits (see taste_check.py), and each table says what it is to make happen:

WANTED_AT    meals, coffee, shows and drinks have their hours: the strongest signal there is, up to 3 units.
FOLLOWS      one thing leads to another within two hours (a starter to a main course, a show to a drink): what makes the
             last thing done worth more than the sum of all.
TIRED        nobody eats two main courses in a row or takes the same trip twice; after so many hours it is over.
INTERESTS    six latent interests that load on tags. A guest's tags follow from a few numbers, so guests resemble each
             other, which is what item-to-item methods live on.
COMPANY      the same person travels otherwise with family than for business: shifts of interests, and hours.
WEATHER      rain sends people inside, sun outside; 0.9 units, as strong as one interest.
Items differ in popularity (0.8 units) and in two hidden traits that no tag tells (0.5), so features are not everything.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from steward.domain.catalogue import Item, ItemId
from steward.domain.features import Company, Weather
from steward.domain.ids import OutletId
from steward.domain.outlets import OutletKind
from steward.domain.shorebodies import read_item

CATALOGUE = Path(__file__).with_name("offers.json")
SLOT_MIN = 30
SLOTS = 24 * 60 // SLOT_MIN
LAND = "land"  # the tag of what is done ashore: on days in port only

KINDS: Mapping[OutletId, OutletKind] = {
    OutletId("bar"): OutletKind.FOOD_AND_DRINK,
    OutletId("bistro"): OutletKind.FOOD_AND_DRINK,
    OutletId("shop"): OutletKind.RETAIL,
    OutletId("spa"): OutletKind.WELLNESS,
    OutletId("tours"): OutletKind.EXCURSIONS,
    OutletId("theatre"): OutletKind.SERVICE,
    OutletId("deck"): OutletKind.SERVICE,
}

# category -> (hour, width in hours, units): a hump, of which the highest counts.
WANTED_AT: Mapping[str, tuple[tuple[float, float, float], ...]] = {
    "breakfast": ((8.5, 1.5, 3.0),),
    "coffee": ((10, 2, 1.2), (15, 1.5, 1.4)),
    "hot-drink": ((10, 3, 0.4), (22, 2, 0.9)),
    "cold-drink": ((14, 3, 1.0),),
    "snack": ((16, 2, 0.8),),
    "starter": ((12.5, 1, 1.8), (18.5, 1, 2.0)),
    "main-course": ((13, 1, 2.6), (19.2, 1.2, 3.0)),
    "dessert": ((14, 1, 1.0), (20.2, 1.2, 1.8)),
    "beer": ((17, 2, 1.0), (22, 2, 0.8)),
    "wine": ((19, 2, 1.2),),
    "cocktail": ((18, 1.5, 0.9), (23, 2, 1.6)),
    "tasting": ((20, 2, 0.4),),
    "show": ((20.5, 1.2, 2.2), (16, 1, 0.8)),
    "concert": ((22.5, 1.5, 1.4),),
    "game": ((21, 1, 1.0),),
    "cinema": ((15.5, 2, 0.5), (21, 1, 0.6)),
    "talk": ((11, 1, 1.0), (17, 1, 0.8), (23, 1, 0.6)),
    **dict.fromkeys(("clothing", "souvenir", "toys", "books", "care"), ((15, 4, 0.1),)),
    "treatment": ((11, 3, 0.3),),
    "bathing": ((11, 3, 0.8),),
    "fitness": ((8, 1, 1.2), (17.5, 1, 0.8)),
    "sports": ((11, 2, 0.8), (16, 2, 0.6)),
    "walk": ((9, 1, 2.6),),
    "sights": ((9, 1, 2.6),),
    "tasting-tour": ((10, 1, 2.4),),
    "outdoors": ((8.5, 1, 2.4),),
    "wildlife": ((9, 1, 2.4),),
}
# category -> what it leads to within two hours, and by how much.
FOLLOWS: Mapping[str, Mapping[str, float]] = {
    "starter": {"main-course": 3.0, "wine": 0.8},
    "main-course": {"dessert": 2.2, "wine": 1.2, "coffee": 1.0, "show": 0.8},
    "dessert": {"coffee": 1.6, "hot-drink": 0.8, "show": 1.4},
    "breakfast": {"coffee": 1.6, "walk": 0.8, "sights": 0.8, "outdoors": 0.8, "wildlife": 0.8, "fitness": 0.5},
    "show": {"cocktail": 2.0, "concert": 1.2, "wine": 0.8, "dessert": 0.6},
    "concert": {"cocktail": 1.6, "tasting": 1.2},
    "game": {"beer": 2.0, "snack": 1.2},
    "beer": {"snack": 1.6, "game": 0.8},
    "wine": {"show": 0.6, "dessert": 0.8},
    "cocktail": {"snack": 0.8, "hot-drink": 0.6},
    "fitness": {"cold-drink": 2.0, "bathing": 1.6},
    "sports": {"cold-drink": 2.0, "dessert": 0.8},
    "bathing": {"treatment": 1.6, "hot-drink": 1.2, "cold-drink": 0.8},
    "treatment": {"hot-drink": 2.0, "care": 1.4},
    "talk": {"books": 1.4, "hot-drink": 0.8, "souvenir": 0.8},
    "cinema": {"snack": 1.0, "dessert": 1.0},
    "walk": {"souvenir": 1.8, "beer": 1.0, "coffee": 0.8},
    "sights": {"souvenir": 1.6, "books": 1.2, "coffee": 0.8},
    "tasting-tour": {"souvenir": 1.8, "wine": 0.8},
    "outdoors": {"bathing": 2.2, "treatment": 1.4, "hot-drink": 1.0, "main-course": 0.8},
    "wildlife": {"hot-drink": 1.6, "souvenir": 1.0, "books": 0.8},
    "coffee": {"snack": 0.6, "books": 0.5},
}
# category -> (units it is less wanted right after, of the thing itself and of its category; hours until that is over).
TIRED: Mapping[str, tuple[float, float, float]] = {
    "breakfast": (4.0, 5.0, 10.0),
    "main-course": (2.0, 4.5, 3.5),
    "starter": (2.0, 3.5, 3.5),
    "dessert": (1.5, 2.5, 4.0),
    "coffee": (0.5, 1.5, 2.0),
    **dict.fromkeys(("hot-drink", "cold-drink", "snack"), (0.6, 1.0, 2.0)),
    **dict.fromkeys(("beer", "wine", "cocktail"), (-0.4, 0.3, 3.0)),  # another of the same is likelier
    **dict.fromkeys(("walk", "sights", "tasting-tour", "outdoors", "wildlife"), (6.0, 3.0, 40.0)),
    **dict.fromkeys(("clothing", "souvenir", "toys", "books", "care"), (4.0, 1.0, 60.0)),
    **dict.fromkeys(("treatment", "show", "concert", "cinema", "talk", "game", "tasting"), (3.0, 1.5, 24.0)),
    **dict.fromkeys(("bathing", "fitness", "sports"), (1.0, 1.5, 14.0)),
}
INTERESTS: tuple[Mapping[str, float], ...] = (
    {"hearty": 0.6, "savoury": 0.5, "fish": 0.7, "luxury": 0.7, "alcohol": 0.4},  # good food
    {"active": 1.2, "nature": 0.9, "open-air": 0.7, "fresh": 0.6, "cold": 0.2},  # being outside
    {"quiet": 1.0, "relax": 1.1, "hot": 0.5, "learning": 0.3, "lively": -0.8},  # peace
    {"lively": 1.0, "alcohol": 1.1, "music": 0.8, "quiet": -0.6},  # company in the evening
    {"culture": 1.2, "learning": 0.9, "local": 0.9, "gift": 0.4},  # the places on the way
    {"sweet": 1.2, "kids": 0.3, "swift": 0.4, "luxury": -0.3},  # small pleasures
)
# company -> how much each interest is shifted, then tags of its own.
COMPANY: Mapping[Company, tuple[tuple[float, ...], Mapping[str, float]]] = {
    Company.ALONE: ((0.0, 0.0, 0.4, -0.2, 0.4, 0.0), {"kids": -1.5}),
    Company.COUPLE: ((0.4, 0.0, 0.3, 0.0, 0.1, 0.0), {"kids": -1.2, "luxury": 0.3}),
    Company.FAMILY: ((-0.3, 0.2, -0.5, -0.6, 0.0, 0.5), {"kids": 1.6, "alcohol": -0.6}),
    Company.FRIENDS: ((0.1, 0.2, -0.5, 0.8, -0.1, 0.0), {"kids": -1.2}),
    Company.BUSINESS: ((0.4, -0.6, 0.2, 0.2, -0.6, -0.2), {"kids": -2.0, "swift": 1.0, "land": -1.0}),
}
WEATHER: Mapping[Weather, Mapping[str, float]] = {
    Weather.SUNNY: {"open-air": 0.9, "cold": 0.6, "hot": -0.6, "indoor": -0.4},
    Weather.CLOUDY: {},
    Weather.RAIN: {"open-air": -0.9, "indoor": 0.6, "hot": 0.6, "cold": -0.5, "relax": 0.4, "learning": 0.4},
    Weather.ROUGH: {"open-air": -1.5, "land": -1.0, "hot": 0.5, "hearty": -0.6, "alcohol": -0.4, "quiet": 0.6},
}
FREE_SD, POPULARITY_SD, HIDDEN_SD = 0.25, 0.8, 0.5
FOLLOWS_UNITS = 1.5  # what one in the table of what follows is worth
HIDDEN = 2  # traits of an item that no tag tells
MEAN_WANTED = -0.8  # units at hours that no hump covers


@dataclass(frozen=True, slots=True)
class World:
    """Everything that is the same for all guests, by the item's place in `items`.

    open_at[in_port][slot]: what is to be had. wanted[weather][slot][item]: units by hour and weather.
    """

    items: tuple[Item, ...]
    popularity: tuple[float, ...]
    hidden: tuple[tuple[float, ...], ...]
    loads: tuple[tuple[float, ...], ...]  # [item][interest]
    open_at: tuple[tuple[tuple[int, ...], ...], ...]
    wanted: Mapping[Weather, tuple[tuple[float, ...], ...]]
    follows: tuple[tuple[float, ...], ...]  # [what was done last][what comes next]

    @property
    def ids(self) -> tuple[ItemId, ...]:
        return tuple(item.id for item in self.items)


def make_world(seed: int, items: tuple[Item, ...] | None = None) -> World:
    """The ship with the demo's catalogue. Its items' popularity and hidden traits are drawn from the seed."""
    items = read_catalogue() if items is None else items
    draw = random.Random(f"world {seed}")
    return World(
        items=items,
        popularity=tuple(draw.gauss(0, POPULARITY_SD) for _ in items),
        hidden=tuple(tuple(draw.gauss(0, 1) for _ in range(HIDDEN)) for _ in items),
        loads=tuple(tuple(sum(tags.get(tag, 0.0) for tag in item.tags) for tags in INTERESTS) for item in items),
        open_at=tuple(tuple(_open(items, slot, in_port) for slot in range(SLOTS)) for in_port in (False, True)),
        wanted={
            weather: tuple(tuple(_wanted(item, slot, likes) for item in items) for slot in range(SLOTS))
            for weather, likes in WEATHER.items()
        },
        follows=tuple(
            tuple(FOLLOWS_UNITS * FOLLOWS.get(last.category, {}).get(item.category, 0.0) for item in items)
            for last in items
        ),
    )


def read_catalogue() -> tuple[Item, ...]:
    return tuple(read_item(entry) for entry in json.loads(CATALOGUE.read_text(encoding="utf-8")))


def _open(items: tuple[Item, ...], slot: int, in_port: bool) -> tuple[int, ...]:
    minute = slot * SLOT_MIN
    return tuple(
        place for place, item in enumerate(items) if item.is_open(minute) and (in_port or LAND not in item.tags)
    )


def _wanted(item: Item, slot: int, likes: Mapping[str, float]) -> float:
    hour = (slot + 0.5) * SLOT_MIN / 60
    humps = [units * _hump(hour - at, width) for at, width, units in WANTED_AT.get(item.category, ())]
    return max(humps, default=0.0) + MEAN_WANTED * bool(humps) + sum(likes.get(tag, 0.0) for tag in item.tags)


def _hump(off: float, width: float) -> float:
    """1 at its hour, 0 from twice its width on; hours go round the clock."""
    off = abs((off + 12) % 24 - 12)
    return max(0.0, 1 - (off / (2 * width)) ** 2)
