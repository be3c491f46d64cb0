"""Who is on board and where a band can be tapped: pure data, and what ought to open for whom.

Nobody here is a real person: a guest is a cabin and a letter. The ship's own truth (`Cast`) is what the demo
believes, written down before the gateway is asked anything, so that the gateway can be wrong against it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

BANDS_MIN = 22
BANDS_DEFAULT = 24
BANDS_MAX = 120
CURRENCY = "EUR"

ZONES = {"gangway": 0, "pool": 1, "spa": 2, "kids-club": 3, "crew-deck": 4}
GUEST_ZONES = ("gangway", "pool")
FAMILY_ZONES = ("gangway", "pool", "kids-club")
SPA_ZONES = ("gangway", "pool", "spa")
CREW_ZONES = tuple(ZONES)

DOOR, TILL, ENCODER, CREW = "door", "till", "encoder", "crew"

# name -> (kind, title)
OUTLETS = {
    "bar": ("food_and_drink", "Bar"),
    "bistro": ("food_and_drink", "Bistro"),
    "shop": ("retail", "Shop"),
    "reception": ("service", "Reception"),
}
BAR_STATION, DESK_STATION = "crew-bar", "crew-desk"


@dataclass(frozen=True, slots=True)
class Place:
    """One reader of the ship. A door has a cabin or a zone; a till and a crew station have their outlet."""

    name: str
    purpose: str  # DOOR, TILL, ENCODER or CREW
    cabin: int | None = None
    zone: str | None = None
    outlet: str | None = None


@dataclass(frozen=True, slots=True)
class Purse:
    """Limits and deposit in minor units of CURRENCY."""

    stay_minor: int = 250_000
    day_minor: int = 120_000
    verify_above_minor: int = 10_000
    deposit_minor: int = 0
    pin: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Duty:
    """What a crew member does at a handheld: the role, the station where they log in, and the shift they choose."""

    role: str
    station: str
    shift: str  # outlet and purpose, as the page's form names them
    pin: str = field(repr=False)
    sells: bool = False  # sees suggestions


@dataclass(frozen=True, slots=True)
class Person:
    """A guest or crew member, and the first band they wear."""

    key: str
    label: str
    booking: str
    band: str
    cabins: tuple[int, ...] = ()
    zones: tuple[str, ...] = GUEST_ZONES
    child: bool = False
    duty: Duty | None = None  # of crew
    stay_over: bool = False  # checked in for a stay that ended yesterday
    late: bool = False  # checks in during the day
    purse: Purse = field(default_factory=Purse)

    @property
    def crew(self) -> bool:
        return self.duty is not None


@dataclass(frozen=True, slots=True)
class Band:
    """One virtual band: a process of its own. `passive`: an NTAG 424 DNA that signs no charges."""

    key: str
    passive: bool


@dataclass(frozen=True, slots=True)
class Cast:
    people: tuple[Person, ...]
    bands: tuple[Band, ...]
    places: tuple[Place, ...]

    def person(self, key: str) -> Person:
        return next(person for person in self.people if person.key == key)

    def band(self, key: str) -> Band:
        return next(band for band in self.bands if band.key == key)

    def place(self, name: str) -> Place:
        return next(place for place in self.places if place.name == name)

    @property
    def crew(self) -> tuple[Person, ...]:
        return tuple(person for person in self.people if person.duty is not None)

    def of(self, purpose: str) -> tuple[Place, ...]:
        return tuple(place for place in self.places if place.purpose == purpose)


CHILD_PURSE = Purse(stay_minor=5_000, day_minor=2_000, verify_above_minor=5_000)
DEPOSIT_PURSE = Purse(deposit_minor=20_000)
PIN_PURSE = Purse(pin="4711", verify_above_minor=10_000)
CREW_PURSE = Purse(stay_minor=20_000, day_minor=10_000, verify_above_minor=10_000)

SERVICE = Duty("service", BAR_STATION, "bar food_and_drink", "2580", sells=True)
PURSER = Duty("purser", DESK_STATION, "reception billing", "1470")
SAFETY = Duty("safety", DESK_STATION, "reception safety", "3690")
PRIVACY_OFFICER = "crew-4"
OFFICE = Person("office", "purser's office", "C1003", "", (1003,), CREW_ZONES, duty=PURSER)  # wears no band today
PRIVACY = Duty("privacy_officer", DESK_STATION, "reception privacy", "8520")


def build_cast(bands: int) -> Cast:
    """The party that the stories of plan.py need (22 bands), and couples until there are `bands` of them."""
    if not BANDS_MIN <= bands <= BANDS_MAX:
        raise ValueError(f"{bands} bands: choose {BANDS_MIN} to {BANDS_MAX}")
    people = _party()
    passive = set(_PASSIVE)
    worn = [person.band for person in people]
    spares = ["spare-1", "spare-2", "blank"]
    for number in range(bands - len(worn) - len(spares)):
        cabin, letter = 5028 + 2 * (number // 2), "ab"[number % 2]
        key = f"{cabin}-{letter}"
        purse = DEPOSIT_PURSE if number % 3 == 0 else Purse()
        people.append(Person(key, f"{cabin} {letter}", f"B{cabin}", key, (cabin,), SPA_ZONES, purse=purse))
        worn.append(key)
        if number % 2:
            passive.add(key)
    all_bands = tuple(Band(key, key in passive) for key in (*worn, *spares))
    return Cast(tuple(people), all_bands, _places(people))


_PASSIVE = ("5012-b", "5014-c", "5016-b", "5018-a", "5020-c", "5026-a", "crew-2")


def _party() -> list[Person]:
    """Two adults and two children in connecting cabins, couples, a parent and child, solo travellers, crew."""
    return [
        Person("5012-a", "5012 a", "B5012", "5012-a", (5012, 5014), FAMILY_ZONES, purse=DEPOSIT_PURSE),
        Person("5012-b", "5012 b", "B5012", "5012-b", (5012, 5014), FAMILY_ZONES),
        Person("5014-c", "5014 child 1", "B5012", "5014-c", (5014,), FAMILY_ZONES, child=True, purse=CHILD_PURSE),
        Person("5014-d", "5014 child 2", "B5012", "5014-d", (5014,), FAMILY_ZONES, child=True, purse=CHILD_PURSE),
        Person("5016-a", "5016 a", "B5016", "5016-a", (5016,), SPA_ZONES, purse=DEPOSIT_PURSE),
        Person("5016-b", "5016 b", "B5016", "5016-b", (5016,), SPA_ZONES),
        Person("5018-a", "5018 a", "B5018", "5018-a", (5018,)),
        Person("5018-b", "5018 b", "B5018", "5018-b", (5018,)),
        Person("5020-a", "5020 a", "B5020", "5020-a", (5020,), FAMILY_ZONES, purse=DEPOSIT_PURSE),
        Person("5020-c", "5020 child", "B5020", "5020-c", (5020,), FAMILY_ZONES, child=True, purse=CHILD_PURSE),
        Person("5022-a", "5022 solo", "B5022", "5022-a", (5022,), purse=PIN_PURSE),
        Person("5024-a", "5024 solo", "B5024", "5024-a", (5024,), SPA_ZONES),
        Person("5026-a", "5026 leaving", "B5026", "5026-a", (5026,)),
        Person("5026-z", "5026 late", "B5026Z", "5026-z", (5026,), late=True),
        Person("5010-x", "5010 of last week", "B5010", "5010-x", (5010,), stay_over=True),
        _crew("crew-1", 1001, SERVICE),
        _crew("crew-2", 1001, PURSER),
        _crew("crew-3", 1002, SAFETY),
        _crew(PRIVACY_OFFICER, 1002, PRIVACY),
    ]


def _crew(key: str, cabin: int, duty: Duty) -> Person:
    label = key.replace("-", " ")
    return Person(key, label, f"C{cabin}", key, (cabin,), CREW_ZONES, duty=duty, purse=CREW_PURSE)


def _places(people: list[Person]) -> tuple[Place, ...]:
    cabins = sorted({cabin for person in people for cabin in person.cabins})
    return (
        Place("gangway-1", DOOR, zone="gangway"),
        Place("gangway-2", DOOR, zone="gangway"),
        Place("pool", DOOR, zone="pool"),
        Place("spa", DOOR, zone="spa"),
        Place("kids-club", DOOR, zone="kids-club"),
        Place("crew-deck", DOOR, zone="crew-deck"),
        *(Place(f"cabin-{cabin}", DOOR, cabin=cabin) for cabin in cabins),
        Place("pool-bar", TILL, outlet="bar"),
        Place("atrium", TILL, outlet="bar"),
        Place("bistro", TILL, outlet="bistro"),
        Place("shop", TILL, outlet="shop"),
        Place(BAR_STATION, CREW, outlet="bar"),
        Place(DESK_STATION, CREW, outlet="reception"),
        Place("desk-1", ENCODER),
        Place("desk-2", ENCODER),
    )


@dataclass(slots=True)
class Truth:
    """What ought to open now, kept by the demo itself from what happened in front of its eyes.

    A band opens a door if it is the one its wearer wears now, its stay runs, and the door is the wearer's: of
    a cabin it must be the last booking that has moved in.
    """

    cast: Cast
    wearer: dict[str, str] = field(default_factory=dict)  # band -> person, once it was issued
    worn: dict[str, str] = field(default_factory=dict)  # person -> the band worn now
    frozen: set[str] = field(default_factory=set)
    party_in: dict[int, str] = field(default_factory=dict)  # cabin -> booking that opened it last

    def issued(self, band: str, person: str) -> None:
        """`band` now belongs to `person`; an older band of theirs is retired."""
        self.wearer[band] = person
        self.worn[person] = band

    def retired(self, band: str) -> bool:
        person = self.wearer.get(band)
        return person is not None and self.worn[person] != band

    def may_open(self, band: str, door: str) -> bool:
        place, person = self.cast.place(door), self._wearer(band)
        if person is None or band in self.frozen or self.retired(band) or person.stay_over:
            return False
        if place.cabin is None:
            return place.zone in person.zones
        return place.cabin in person.cabins and self._bookings(place.cabin, person)

    def would_suit(self, band: str, door: str) -> bool:
        """Whether the door is one for this band's wearer at all, whatever became of the band."""
        place, person = self.cast.place(door), self._wearer(band)
        return person is not None and (place.cabin in person.cabins or place.zone in person.zones)

    def opened(self, band: str, door: str) -> None:
        """A door opened for `band`: a new party may just have moved in."""
        place, person = self.cast.place(door), self._wearer(band)
        if place.cabin is not None and person is not None:
            self.party_in[place.cabin] = person.booking

    def _wearer(self, band: str) -> Person | None:
        key = self.wearer.get(band)
        return None if key is None else self.cast.person(key)

    def _bookings(self, cabin: int, person: Person) -> bool:
        """A party that checked in late and has moved in ends the stay of the one before."""
        inside = self.party_in.get(cabin)
        return person.late or inside in (None, person.booking)
