"""What the folio authority tells the other gateways of its ship, and what they ask. Pure; the bytes are lanwire.py's.

Downwards goes one stream of change sets for each gateway, in the order of the authority's revisions and signed by it:
`rev_prev` names what the receiver must have already, `rev_to` what it has afterwards. Each role is told only what its
readers need; each gateway has a topic of its own, so that a broker can keep a door from a till's records.
Upwards go questions: "I have this much of yours", reports of allowances, and the descriptions of charges, which are
free text and therefore in no event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from types import MappingProxyType

from steward.domain.allowance import Grant, Report
from steward.domain.consent import Consent
from steward.domain.context import PortCalls, StayCompany, WeatherWord
from steward.domain.erasure import Part
from steward.domain.guests import Band, CabinStay, Guest, Limits
from steward.domain.ids import GuestRef, TapId, Uid
from steward.domain.signals import Switch
from steward.domain.stock import StockWord
from steward.domain.topics import ROOT, is_name
from steward.domain.untracked import Untracked
from steward.errors import RemoteError

ROWS_MAX = 400  # of a change set
REPORTS_MAX = 64  # of a question
WORDS_MAX = 64
BOOT_SIZE = 8
UNTOLD_CABIN = CabinStay(0, 0)  # a till is not told where a guest lives


class BadLan(RemoteError):
    """A message on the ship's network that is not to be believed. `code` says why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


class MemberRole(StrEnum):
    """What a gateway's readers do, and so what it is told."""

    DOOR = "door"
    TILL = "till"
    ENCODER = "encoder"


class Kind(IntEnum):
    """Of a replicated record. Stable codes on the wire and in the change log."""

    GUEST = 1
    BAND = 2
    DENY = 3
    STAY = 4
    SERIAL = 5
    COUNTER = 6
    GRANT = 7
    CONSENT = 8
    SIGNAL = 9
    COMPANY = 10
    WEATHER = 11
    PORT_CALLS = 12
    STOCK = 13
    ERASED = 14
    UNTRACKED = 15
    RADIO = 16


@dataclass(frozen=True, slots=True)
class Change:
    """An entry of the authority's change log: this record changed last at this revision."""

    revision: int
    kind: Kind
    name: str  # the record's key


@dataclass(frozen=True, slots=True)
class Deny:
    uid: Uid
    epoch: int


@dataclass(frozen=True, slots=True)
class Stay:
    cabin: int
    stay: int


@dataclass(frozen=True, slots=True)
class Serial:
    ref: GuestRef
    serial: int


@dataclass(frozen=True, slots=True)
class Counter:
    uid: Uid
    kind: str
    value: int


@dataclass(frozen=True, slots=True)
class RadioWish:
    """What a band's radio is to be, for every reader to tell it. None: it is what its guest wants."""

    uid: Uid
    wish: bool | None


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A guest is to be forgotten, so far. Nothing that is told later brings back what this takes away."""

    ref: GuestRef
    certificate: str
    part: Part
    at_s: int


Context = Switch | StayCompany | WeatherWord | PortCalls  # of suggestions
Told = Consent | Context | StockWord | Untracked | RadioWish | Forgotten
Row = Guest | Band | Deny | Stay | Serial | Counter | Grant | Told

_AT_DOORS = frozenset({Kind.DENY, Kind.STAY, Kind.SERIAL, Kind.UNTRACKED, Kind.ERASED, Kind.RADIO})
_SUGGESTIONS = frozenset({Kind.CONSENT, Kind.SIGNAL, Kind.COMPANY, Kind.WEATHER, Kind.PORT_CALLS})

_TOLD: Mapping[MemberRole, frozenset[Kind]] = MappingProxyType(
    {
        MemberRole.DOOR: _AT_DOORS,
        MemberRole.TILL: frozenset(Kind),
        MemberRole.ENCODER: _AT_DOORS | {Kind.GUEST, Kind.BAND} | _SUGGESTIONS,
    }
)


def told(role: MemberRole) -> frozenset[Kind]:
    """The kinds of record that a gateway of this role hears of."""
    return _TOLD[role]


def scoped(row: Row, role: MemberRole) -> Row:
    """The record with no more in it than this role's readers need. Of a kind that the role is told."""
    if not isinstance(row, Guest):
        return row
    if role is MemberRole.TILL:
        return replace(row, booking="", cabins=(UNTOLD_CABIN,), zones=0, not_before_s=0, not_after_s=0)
    return replace(row, booking="", limits=Limits(0, 0, 0), pin=None, pin_failures=0)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a gateway has followed: the authority's store and its revision."""

    epoch: int = 0
    revision: int = 0


class Fit(StrEnum):
    APPLY = "apply"
    OLD = "old"  # heard before: a repeat or a replay
    GAP = "gap"  # something before it is missing: ask


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Every change for `gateway` after rev_prev up to rev_to, in order.

    words: descriptions that have arrived. hello: the authority is back and does not know how far anybody is: ask it.
    """

    ship: str
    gateway: str
    epoch: int  # of the authority's store: higher after it was restored from a backup
    rev_prev: int
    rev_to: int
    sent_s: int
    rows: tuple[Row, ...] = ()
    words: tuple[TapId, ...] = ()
    hello: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """What a gateway says of itself: at its start, every few seconds, when it needs something."""

    ship: str
    gateway: str
    boot: bytes  # random, one for each start of its process
    number: int  # counts the questions of this boot
    epoch: int  # of its own store
    have: Position
    reports: tuple[Report, ...] = ()
    words: tuple[tuple[TapId, str], ...] = ()


def fit(have: Position, changes: ChangeSet) -> Fit:
    """Never backwards, never over a gap."""
    if changes.epoch != have.epoch:
        if changes.epoch < have.epoch:
            return Fit.OLD
        return Fit.APPLY if changes.rev_prev == 0 else Fit.GAP
    if changes.rev_prev > have.revision:
        return Fit.GAP
    return Fit.APPLY if changes.rev_to > have.revision else Fit.OLD


# topics


def ask_topic(ship: str, gateway: str) -> str:
    return f"{ROOT}/{ship}/lan/{gateway}/ask"


def changes_topic(ship: str, gateway: str) -> str:
    return f"{ROOT}/{ship}/lan/{gateway}/changes"


def parse_ask_topic(topic: str, ship: str) -> str:
    """The gateway that asks. Raises BadLan."""
    head, tail = f"{ROOT}/{ship}/lan/", "/ask"
    gateway = topic.removeprefix(head).removesuffix(tail)
    if topic != head + gateway + tail or not is_name(gateway):
        raise BadLan("lan_topic", "a topic that is no question of a gateway of this ship")
    return gateway
