"""The shape of the register of use cases, and what the code asks of it. See domain/usecases.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType

from steward.domain.events import EventType
from steward.domain.outlets import OutletKind
from steward.domain.policywords import ConsentPurpose, Field, Purpose

LANGUAGES = ("en", "nb")

Words = Mapping[str, str]  # a text by language, all of LANGUAGES


class Sort(StrEnum):
    """What the register names things by."""

    COLUMN = "columns"  # "guest.cabin_a"; of the fleet's store "shore.event.payload"
    EVENT = "events"  # "band_issued.uid"
    ANSWER = "answers"  # "GuestView.booking"
    FEATURE = "features"  # "moment.weekend"
    PAGE = "pages"  # "crew_card.allergies": what a template reads


class Since(StrEnum):
    """From when a time of keeping is counted."""

    RECORDED = "recorded"
    STAY = "stay"  # its end
    CLOSED = "closed"  # a case, a request
    USED = "used"  # last


class Place(StrEnum):
    ABOARD = "aboard"
    ASHORE = "ashore"


@dataclass(frozen=True, slots=True)
class Keep:
    """How long: days, or hours where less than a day. law: why it may not be deleted before, even if the guest asks."""

    days: int
    since: Since
    law: Words | None = None
    hours: int = 0

    @property
    def wording(self) -> tuple[str, int]:
        """Which words say it, and the number in them."""
        return ("hours", self.hours) if self.hours else (self.since.value, self.days)


@dataclass(frozen=True, slots=True)
class Category:
    """A kind of personal data. term: of DPV or of its extension PD. special: GDPR Art. 9."""

    id: str
    title: Words
    term: str
    special: bool


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who is given something. third: another controller. place: where they are."""

    id: str
    title: Words
    term: str
    place: Place
    third: bool


@dataclass(frozen=True, slots=True)
class FieldGroup:
    """Fields that are one thing to a guest. items: their names in the code. ashore: of events, what may leave the ship.

    seen: what of it crew can be shown. events_of: payload keys by the type of event.
    """

    id: str
    title: Words
    category: Category
    keep: Keep
    items: Mapping[Sort, frozenset[str]]
    seen: frozenset[Field]
    ashore: frozenset[str]

    @property
    def columns(self) -> frozenset[str]:
        return self.items[Sort.COLUMN]

    @property
    def events(self) -> frozenset[str]:
        return self.items[Sort.EVENT]

    @property
    def tables(self) -> frozenset[str]:
        return frozenset(column.rpartition(".")[0] for column in self.columns)

    @property
    def event_types(self) -> frozenset[EventType]:
        return frozenset(EventType[key.partition(".")[0].upper()] for key in self.events)


@dataclass(frozen=True, slots=True)
class Shown:
    """These fields, to this role, for this work. broken_glass: only in an emergency that was stated."""

    role: str
    purpose: Purpose
    fields: frozenset[Field]
    broken_glass: bool = False


@dataclass(frozen=True, slots=True)
class UseCase:
    """One use of personal data. consent: what must be given; None: the legal basis is another one."""

    id: str
    title: Words
    why: Words
    gives: Words  # what the guest gets back
    purpose: str
    basis: str
    special_basis: str | None
    explicit: Words | None  # how special categories are agreed to, where no consent purpose says it
    consent: ConsentPurpose | None
    about: str  # "guests" | "crew"
    recipients: tuple[Recipient, ...]
    places: tuple[Place, ...]
    groups: tuple[FieldGroup, ...]
    shown: tuple[Shown, ...]
    uses: tuple[str, ...] = ()  # groups of other use cases, "payment.sales"

    def group(self, id_: str) -> FieldGroup:
        """Raises KeyError."""
        return {group.id: group for group in self.groups}[id_]


@dataclass(frozen=True, slots=True)
class Impersonal:
    """What is about nobody, and why it is not."""

    reason: str
    items: Mapping[Sort, frozenset[str]]
    ashore: frozenset[str]


@dataclass(frozen=True)
class Register:
    """only_at: purposes that are one at some kinds of outlet only."""

    categories: Mapping[str, Category]
    recipients: Mapping[str, Recipient]
    use_cases: Mapping[str, UseCase]
    impersonal: tuple[Impersonal, ...]
    only_at: Mapping[Purpose, frozenset[OutletKind]] = field(default_factory=lambda: MappingProxyType({}))

    def names(self, sort: Sort) -> frozenset[str]:
        """Everything of this sort that may be there."""
        return frozenset(self._homes[sort])

    def use_case_of(self, sort: Sort, name: str) -> UseCase | None:
        """None: it is about nobody. Raises KeyError for what the register does not name."""
        home = self._homes[sort][name]
        return None if home is None else home[0]

    def group_of(self, sort: Sort, name: str) -> FieldGroup | None:
        """As use_case_of."""
        home = self._homes[sort][name]
        return None if home is None else home[1]

    def keys_of(self, type_: EventType) -> frozenset[str]:
        """What an event of this type may hold."""
        return self._keys.get(type_, frozenset())

    def shore_fields(self, type_: EventType) -> frozenset[str]:
        """What of an event may go ashore."""
        return self._shore.get(type_, frozenset())

    def asked_for(self, purpose: ConsentPurpose) -> tuple[UseCase, ...]:
        """What this consent is about."""
        return tuple(case for case in self.use_cases.values() if case.consent is purpose)

    def used_by(self, case: UseCase) -> tuple[FieldGroup, ...]:
        """All that a use case works with: its own groups, and those of others that it names."""
        others = (name.partition(".") for name in case.uses)
        return (*case.groups, *(self.use_cases[owner].group(id_) for owner, _, id_ in others))

    def groups(self) -> Iterator[tuple[UseCase, FieldGroup]]:
        for case in self.use_cases.values():
            for group in case.groups:
                yield case, group

    @cached_property
    def special_fields(self) -> frozenset[Field]:
        """What implies health or belief."""
        return frozenset(field for _, group in self.groups() if group.category.special for field in group.seen)

    @cached_property
    def _homes(self) -> Mapping[Sort, Mapping[str, tuple[UseCase, FieldGroup] | None]]:
        homes: dict[Sort, dict[str, tuple[UseCase, FieldGroup] | None]] = {sort: {} for sort in Sort}
        for case, group in self.groups():
            for sort, names in group.items.items():
                homes[sort].update(dict.fromkeys(names, (case, group)))
        for part in self.impersonal:
            for sort, names in part.items.items():
                homes[sort].update(dict.fromkeys(names))
        return homes

    @cached_property
    def _keys(self) -> Mapping[EventType, frozenset[str]]:
        return _by_type(self._homes[Sort.EVENT])

    @cached_property
    def _shore(self) -> Mapping[EventType, frozenset[str]]:
        named = [*(group.ashore for _, group in self.groups()), *(part.ashore for part in self.impersonal)]
        return _by_type(name for names in named for name in names)


def _by_type(names: Iterable[str]) -> Mapping[EventType, frozenset[str]]:
    found: dict[EventType, set[str]] = {}
    for name in names:
        type_, _, key = name.partition(".")
        found.setdefault(EventType[type_.upper()], set()).add(key)
    return {type_: frozenset(keys) for type_, keys in found.items()}
