"""A day at sea: what everybody does, in ship's time. One seed, one day.

The stories written out here are the ones the checks need; `_everyday` fills the hours between with ordinary taps.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from voyage.cast import Cast, Person
from voyage.steps import (
    KILLED,
    PHOTO,
    BreakGlass,
    Buy,
    CheckIn,
    Dispute,
    Door,
    Encode,
    EveryDoor,
    Find,
    Freeze,
    FreezeAshore,
    Greet,
    Note,
    Recover,
    Refund,
    SignIn,
    Step,
    Story,
    TakeBack,
    Torn,
    Void,
)

DAY_STARTS, DAY_ENDS = 8 * 60, 24 * 60
FILL_MAX = 12  # everyday taps of one person

_MENU = {
    "pool-bar": (("lemonade", 450), ("sandwich", 980), ("iced coffee", 560), ("fruit plate", 890)),
    "atrium": (("espresso", 380), ("glass of wine", 920), ("cocktail", 1250), ("mineral water", 350)),
    "bistro": (("soup of the day", 1100), ("lunch", 2450), ("cake", 690), ("dinner", 3980)),
    "shop": (("postcards", 520), ("sun cream", 1890), ("paperback", 1290), ("umbrella", 2200)),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """boarding: done first, as fast as the desk can, of guests who are on the manifest. day: stories, side by side."""

    boarding: tuple[Encode, ...]
    day: tuple[Story, ...]

    @property
    def steps(self) -> int:
        return sum(len(story.steps) for story in self.day)


def build_plan(cast: Cast, seed: int, fill: int) -> Plan:
    """The day of `seed`. fill: everyday taps a person, 0..FILL_MAX: more for a longer day."""
    if not 0 <= fill <= FILL_MAX:
        raise ValueError(f"fill {fill}: choose 0 to {FILL_MAX}")
    boarding = tuple(Encode(DAY_STARTS, person.key, person.band) for person in cast.people if not person.late)
    # A draw of its own for every person: one more cabin does not change the day of the others.
    days = {person.key: _everyday(person, random.Random(f"{seed}/{person.key}"), fill) for person in cast.people}
    told = _told_stories()
    days = {key: steps for key, steps in days.items() if key not in _TOLD_WHOLE}
    stories = [_story(title, [*steps, *days.pop(key, ())]) for title, key, steps in told]
    stories += [_story(f"{cast.person(key).label}: a day on board", steps) for key, steps in days.items()]
    return Plan(boarding, tuple(stories))


# Their bands change hands, run out or are counted to the cent: nothing is added to these days.
_TOLD_WHOLE = frozenset({"5014-c", "5014-d", "5016-a", "5018-a", "5020-c", "5026-a", "5026-z", "5010-x"})


def _at(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _told_stories() -> list[tuple[str, str, list[Step]]]:
    """(title, whose everyday taps are mixed in, steps)."""
    return [
        ("family in connecting cabins", "5012-a", _family()),
        ("5014 child 1: a child's doors", "", _child_doors()),
        ("5014 child 2: pocket money", "", _child_doors_active()),
        ("5016 a loses the band", "", _lost_band()),
        ("5018 a swaps a worn-out band", "", _swapped_band()),
        ("5018 b: killed in mid-charge", "5018-b", _killed()),
        ("5020 a: void and refund", "5020-a", _corrections()),
        ("5020 child: a daily limit", "", _child_limit()),
        ("5022 solo: PIN and second round", "5022-a", _pin_and_duplicate()),
        ("5024 solo: pulled away in mid-charge", "5024-a", _pulled()),
        ("5026 changes hands", "", _turnaround()),
        ("5010 of last week: a kept band", "", _kept_band()),
        ("a band nobody was given", "", _blank()),
        ("5012 b: disputes a charge, upheld", "5012-b", _dispute_upheld()),
        ("crew 1: a shift at the bar", "crew-1", _at_the_bar()),
        ("crew 2: a shift at the purser's desk", "crew-2", [SignIn(_at("08:02"), "crew-2")]),
        ("crew 3: an emergency", "crew-3", _emergency()),
        ("crew 4: watches the look-ups", "crew-4", [SignIn(_at("08:40"), "crew-4")]),
    ]


def _family() -> list[Step]:
    return [
        Door(_at("08:05"), "5012-a", "gangway-1"),
        Door(_at("08:20"), "5012-a", "cabin-5012"),
        Door(_at("08:25"), "5012-a", "cabin-5014"),
        Door(_at("10:40"), "5012-a", "spa", "zone_not_allowed"),
        Greet(_at("11:30"), "5012-a", "crew-1", "accept"),
        Buy(_at("12:30"), "5012-a", "bistro", "family lunch", 8640, name="family-lunch"),
        Door(_at("15:10"), "5012-a", "kids-club"),
        Dispute(_at("16:30"), "family-lunch", "reject"),
        Greet(_at("18:40"), "5012-a", "crew-1", "not_now"),
        Buy(_at("19:30"), "5012-a", "bistro", "family dinner", 14250, proof=(PHOTO,)),
        Door(_at("21:40"), "5012-a", "cabin-5014"),
    ]


def _at_the_bar() -> list[Step]:
    return [
        SignIn(_at("08:04"), "crew-1"),
        Find(_at("10:00"), "crew-1", "5018-b"),
        Note(_at("12:05"), "crew-1", "5022-a", "prefers the table by the window"),
        Recover(_at("15:00"), "crew-1", "5024-a", "lunch came late", "apologised, lunch on the house"),
        TakeBack(_at("16:00"), "crew-1", "5024-a"),
    ]


def _emergency() -> list[Step]:
    return [
        SignIn(_at("08:20"), "crew-3"),
        BreakGlass(_at("17:00"), "crew-3", "5016-b", "unwell on deck 5, medical team asks"),
    ]


def _dispute_upheld() -> list[Step]:
    return [
        Door(_at("08:06"), "5012-b", "gangway-2"),
        Buy(_at("11:15"), "5012-b", "pool-bar", "deck chair", 1500, name="deck-chair"),
        Dispute(_at("13:30"), "deck-chair", "uphold"),
        Greet(_at("18:05"), "5012-b", "crew-1", "accept"),
        Greet(_at("19:10"), "5012-b", "crew-1", "accept"),
        Door(_at("20:15"), "5012-b", "cabin-5012"),
    ]


def _child_doors() -> list[Step]:
    return [
        Door(_at("08:07"), "5014-c", "gangway-1"),
        Door(_at("08:30"), "5014-c", "cabin-5014"),
        Door(_at("09:20"), "5014-c", "cabin-5012", "wrong_cabin"),
        Door(_at("09:50"), "5014-c", "kids-club"),
        Door(_at("11:30"), "5014-c", "spa", "zone_not_allowed"),
        Door(_at("14:20"), "5014-c", "crew-deck", "zone_not_allowed"),
        Buy(_at("15:40"), "5014-c", "pool-bar", "ice cream", 450),
        Door(_at("20:30"), "5014-c", "cabin-5014"),
    ]


def _child_doors_active() -> list[Step]:
    return [
        Door(_at("08:08"), "5014-d", "gangway-2"),
        Door(_at("08:32"), "5014-d", "cabin-5014"),
        Door(_at("10:00"), "5014-d", "kids-club"),
        Buy(_at("13:10"), "5014-d", "bistro", "pasta", 890),
        Buy(_at("16:10"), "5014-d", "atrium", "glass of wine", 920, "age_restricted", age_restricted=True),
        Door(_at("17:20"), "5014-d", "pool"),
        Door(_at("20:32"), "5014-d", "cabin-5014"),
    ]


def _child_limit() -> list[Step]:
    return [
        Door(_at("08:35"), "5020-c", "gangway-1"),
        Door(_at("08:50"), "5020-c", "cabin-5020"),
        Buy(_at("10:30"), "5020-c", "pool-bar", "lemonade", 450),
        Buy(_at("12:10"), "5020-c", "bistro", "burger", 1190),
        Buy(_at("14:40"), "5020-c", "shop", "plush whale", 1450, "child_limit"),
        Buy(_at("16:20"), "5020-c", "pool-bar", "beer", 350, "age_restricted", age_restricted=True),
        Buy(_at("17:10"), "5020-c", "pool-bar", "ice cream", 360),
        Buy(_at("18:00"), "5020-c", "pool-bar", "one more lolly", 10, "child_limit"),
        Door(_at("20:00"), "5020-c", "cabin-5020"),
    ]


def _lost_band() -> list[Step]:
    return [
        Door(_at("08:10"), "5016-a", "gangway-2"),
        Door(_at("08:26"), "5016-a", "cabin-5016"),
        Door(_at("09:30"), "5016-a", "spa"),
        Buy(_at("11:00"), "5016-a", "atrium", "espresso", 380),
        Freeze(_at("12:00"), "5016-a"),
        EveryDoor(_at("12:20"), "5016-a"),
        Buy(_at("13:40"), "5016-a", "shop", "watch", 9_900, "frozen"),
        Encode(_at("14:00"), "5016-a", "spare-1", replaces="5016-a"),
        Door(_at("14:20"), "spare-1", "cabin-5016"),
        Door(_at("14:40"), "5016-a", "cabin-5016", "frozen"),
        Door(_at("15:00"), "5016-b", "cabin-5016"),
        Greet(_at("15:10"), "5016-b", "crew-1", "accept"),
        Door(_at("15:20"), "spare-1", "spa"),
        Buy(_at("18:40"), "spare-1", "bistro", "dinner for two", 7960),
        Door(_at("22:00"), "5016-a", "gangway-1", "frozen"),
        Door(_at("22:10"), "spare-1", "cabin-5016"),
        FreezeAshore(_at("22:30"), "spare-1"),
        Door(_at("22:50"), "spare-1", "cabin-5016", "frozen"),
    ]


def _swapped_band() -> list[Step]:
    return [
        Door(_at("08:12"), "5018-a", "gangway-1"),
        Door(_at("08:40"), "5018-a", "cabin-5018"),
        Buy(_at("09:40"), "5018-a", "pool-bar", "fruit plate", 890),
        Encode(_at("11:20"), "5018-a", "spare-2"),
        Door(_at("11:40"), "5018-a", "cabin-5018", "superseded"),
        Door(_at("12:00"), "spare-2", "cabin-5018"),
        EveryDoor(_at("12:40"), "5018-a"),
        Buy(_at("15:30"), "5018-a", "atrium", "cocktail", 1250, "superseded"),
        Greet(_at("16:50"), "spare-2", "crew-1", "wrong"),
        Buy(_at("17:30"), "spare-2", "atrium", "cocktail", 1250),
        Greet(_at("18:20"), "spare-2", "crew-1", "not_now"),
        Greet(_at("20:30"), "spare-2", "crew-1", "accept"),
        Door(_at("21:20"), "spare-2", "cabin-5018"),
    ]


def _killed() -> list[Step]:
    return [
        Door(_at("08:14"), "5018-b", "gangway-2"),
        Torn(_at("13:20"), "5018-b", "atrium", "lunch menu", 2150, how=KILLED),
        Door(_at("13:50"), "5018-b", "cabin-5018"),
        Greet(_at("16:15"), "5018-b", "crew-1", "not_now"),
        Greet(_at("17:45"), "5018-b", "crew-1", "accept"),
    ]


def _pulled() -> list[Step]:
    return [
        Door(_at("08:16"), "5024-a", "gangway-1"),
        Torn(_at("10:50"), "5024-a", "pool-bar", "smoothie", 780),
        Torn(_at("16:40"), "5024-a", "shop", "sun hat", 2990, new_tap=True),
        Door(_at("17:40"), "5024-a", "cabin-5022", "wrong_cabin"),
        Door(_at("17:50"), "5024-a", "cabin-5024"),
    ]


def _corrections() -> list[Step]:
    return [
        Door(_at("08:34"), "5020-a", "gangway-2"),
        Door(_at("08:48"), "5020-a", "cabin-5020"),
        Greet(_at("09:10"), "5020-a", "crew-1", "accept"),
        Buy(_at("09:55"), "5020-a", "shop", "sun cream, wrong price", 8190, name="sun-cream"),
        Void(_at("10:20"), "sun-cream"),
        Buy(_at("12:50"), "5020-a", "bistro", "lunch for two", 4900, name="lunch"),
        Refund(_at("14:10"), "lunch", 1450),
        Buy(_at("18:20"), "5020-a", "shop", "binoculars", 18_900, proof=(PHOTO,), name="binoculars"),
        Void(_at("19:40"), "binoculars", second="crew-2"),
    ]


def _pin_and_duplicate() -> list[Step]:
    return [
        Door(_at("08:18"), "5022-a", "gangway-2"),
        Door(_at("08:44"), "5022-a", "cabin-5022"),
        Buy(_at("10:10"), "5022-a", "shop", "camera", 28_900, proof=("0000", "4711")),
        Buy(_at("13:00"), "5022-a", "atrium", "round of drinks", 2750),
        Buy(_at("13:05"), "5022-a", "atrium", "round of drinks", 2750, "duplicate_tap"),
        Buy(_at("13:10"), "5022-a", "atrium", "second round", 2750, allow_duplicate=True),
        Greet(_at("17:20"), "5022-a", "crew-1", "wrong"),
        Greet(_at("18:10"), "5022-a", "crew-1", "accept"),
        Door(_at("18:30"), "5022-a", "cabin-5024", "wrong_cabin"),
        Door(_at("18:35"), "5022-a", "cabin-5022"),
    ]


def _turnaround() -> list[Step]:
    return [
        Door(_at("08:22"), "5026-a", "cabin-5026"),
        Buy(_at("09:10"), "5026-a", "bistro", "breakfast", 1450),
        CheckIn(_at("11:50"), "5026-z"),
        Encode(_at("12:10"), "5026-z", "5026-z"),
        Door(_at("12:50"), "5026-z", "gangway-1"),
        Door(_at("13:15"), "5026-z", "cabin-5026"),
        Door(_at("14:30"), "5026-a", "cabin-5026", "superseded"),
        Buy(_at("16:00"), "5026-z", "atrium", "welcome drink", 920),
        Door(_at("23:00"), "5026-z", "cabin-5026"),
    ]


def _kept_band() -> list[Step]:
    return [
        Door(_at("09:00"), "5010-x", "gangway-2", "expired"),
        Door(_at("09:10"), "5010-x", "cabin-5010", "expired"),
        Buy(_at("09:15"), "5010-x", "shop", "postcards", 520, "expired"),
    ]


def _blank() -> list[Step]:
    return [
        Door(_at("10:15"), "blank", "gangway-1", "auth_failed"),
        Door(_at("18:10"), "blank", "cabin-5020", "auth_failed"),
    ]


def _everyday(person: Person, draw: random.Random, fill: int) -> list[Step]:
    """`fill` ordinary taps: own cabin, the decks this person may enter, and tills."""
    doors = [f"cabin-{cabin}" for cabin in person.cabins] * 2 + [zone for zone in person.zones if zone != "gangway"]
    steps: list[Step] = []
    bought: set[tuple[str, int]] = set()
    for _ in range(fill):
        at = draw.randrange(_at("09:00"), _at("22:45"))
        till = draw.choice(sorted(_MENU))
        item, amount_minor = draw.choice(_MENU[till])
        if draw.random() < 0.6 or (till, amount_minor) in bought:
            steps.append(Door(at, person.band, draw.choice(doors or ["gangway-1"])))
        else:
            # Twice the same within the duplicate window would rightly be refused.
            bought.add((till, amount_minor))
            steps.append(Buy(at, person.band, till, item, amount_minor))
    return steps


def _story(title: str, steps: Iterable[Step]) -> Story:
    return Story(title, tuple(sorted(steps, key=lambda step: step.at)))
