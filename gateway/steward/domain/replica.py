"""What the folio authority tells the other gateways of its ship, and what they ask. Pure: records and bytes.

Downwards goes one stream of change sets for each gateway, in the order of the authority's revisions and signed by it:
`rev_prev` names what the receiver must have already, `rev_to` what it has afterwards. Each role is told only what its
readers need; each gateway has a topic of its own, so that a broker can keep a door from a till's records.
Upwards go questions: "I have this much of yours", reports of allowances, and the descriptions of charges, which are
free text and therefore in no event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import cbor2

from steward.domain.allowance import Grant, Report
from steward.domain.cborwire import NotPlain, plain_loads
from steward.domain.charges import DESCRIPTION_MAX
from steward.domain.guests import Band, BandState, CabinStay, Guest, Limits, PinHash
from steward.domain.ids import GuestRef, TapId, Uid
from steward.domain.topics import ROOT, is_name
from steward.errors import RemoteError

VERSION = 1
ROWS_MAX = 400  # of a change set
REPORTS_MAX = 64  # of a question
WORDS_MAX = 64
CHANGES_BYTES_MAX = 256 * 1024
ASK_BYTES_MAX = 64 * 1024
BOOT_SIZE = 8
SIGNATURE_SIZE = 64
_COUNT_MAX = 2**53 - 1
_TEXT_MAX = 64
UNTOLD_CABIN = CabinStay(0, 0)  # a till is not told where a guest lives

Sign = Callable[[bytes], tuple[int, bytes]]  # (key version, signature)
Verify = Callable[[int, bytes, bytes], bool]


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


Row = Guest | Band | Deny | Stay | Serial | Counter | Grant

_TOLD: Mapping[MemberRole, frozenset[Kind]] = MappingProxyType(
    {
        MemberRole.DOOR: frozenset({Kind.DENY, Kind.STAY, Kind.SERIAL}),
        MemberRole.TILL: frozenset(Kind),
        MemberRole.ENCODER: frozenset({Kind.DENY, Kind.STAY, Kind.SERIAL, Kind.GUEST, Kind.BAND}),
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
    """Every change for `gateway` after rev_prev up to rev_to, in order. words: descriptions that have arrived."""

    ship: str
    gateway: str
    epoch: int  # of the authority's store: higher after it was restored from a backup
    rev_prev: int
    rev_to: int
    sent_s: int
    rows: tuple[Row, ...] = ()
    words: tuple[TapId, ...] = ()


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


# bytes


def seal_changes(changes: ChangeSet, sign: Sign) -> bytes:
    """version | key version | signature | CBOR."""
    rows = [[_KIND_OF[type(row)], *_row_fields(row)] for row in changes.rows]
    head = [changes.ship, changes.gateway, changes.epoch, changes.rev_prev, changes.rev_to, changes.sent_s]
    body = cbor2.dumps([*head, rows, list(changes.words)])
    key_version, signature = sign(body)
    return bytes((VERSION, key_version)) + signature + body


def open_changes(payload: bytes, ship: str, gateway: str, verify: Verify) -> ChangeSet:
    """Check the signature, then read. Raises BadLan: garbage, forged, or meant for somebody else."""
    if not 2 + SIGNATURE_SIZE < len(payload) <= CHANGES_BYTES_MAX or payload[0] != VERSION:
        raise BadLan("lan_garbage", f"{len(payload)} bytes that are no change set")
    body = payload[2 + SIGNATURE_SIZE :]
    if not verify(payload[1], body, payload[2 : 2 + SIGNATURE_SIZE]):
        raise BadLan("lan_forged", "not signed by the ship's authority")
    try:
        to_ship, to_gateway, epoch, rev_prev, rev_to, sent_s, rows, words = plain_loads(body)
        _counts(epoch, rev_prev, rev_to, sent_s)
        if len(rows) > ROWS_MAX or len(words) > WORDS_MAX or rev_prev > rev_to:
            raise ValueError("too much")
        taps = tuple(TapId(_text(tap)) for tap in words)
        changes = ChangeSet(_text(to_ship), _text(to_gateway), epoch, rev_prev, rev_to, sent_s, _rows(rows), taps)
    except (NotPlain, TypeError, ValueError, KeyError) as error:
        raise BadLan("lan_garbage", "signed, and yet no change set: another version?") from error
    if (changes.ship, changes.gateway) != (ship, gateway):
        raise BadLan("lan_foreign", "a change set for another gateway")
    return changes


def encode_ask(ask: Ask) -> bytes:
    reports = [[getattr(report, field.name) for field in fields(Report)] for report in ask.reports]
    head = [ask.ship, ask.gateway, ask.boot, ask.number, ask.epoch, ask.have.epoch, ask.have.revision]
    return bytes((VERSION,)) + cbor2.dumps([*head, reports, [list(pair) for pair in ask.words]])


def decode_ask(payload: bytes, ship: str, gateway: str) -> Ask:
    """Raises BadLan. The figures of its reports may be anything that is a number: report_problem judges them."""
    if not 1 < len(payload) <= ASK_BYTES_MAX or payload[0] != VERSION:
        raise BadLan("lan_garbage", f"{len(payload)} bytes that are no question")
    try:
        of_ship, of_gateway, boot, number, epoch, have_epoch, revision, reports, words = plain_loads(payload[1:])
        _counts(number, epoch, have_epoch, revision)
        if type(boot) is not bytes or len(boot) != BOOT_SIZE or len(reports) > REPORTS_MAX or len(words) > WORDS_MAX:
            raise ValueError("a field that does not fit")
        said = tuple(_report(*report) for report in reports)
        told_words = tuple((TapId(_text(tap)), _words(text)) for tap, text in words)
        have = Position(have_epoch, revision)
        ask = Ask(_text(of_ship), _text(of_gateway), boot, number, epoch, have, said, told_words)
    except (NotPlain, TypeError, ValueError) as error:
        raise BadLan("lan_garbage", "bytes that are no question") from error
    if (ask.ship, ask.gateway) != (ship, gateway):
        raise BadLan("lan_foreign", "a question in another gateway's name")
    return ask


# records


def _row_fields(row: Row) -> list[Any]:
    if isinstance(row, Guest):
        cabins = [[held.cabin, held.stay] for held in row.cabins]
        limits = [row.limits.stay_minor, row.limits.day_minor, row.limits.verify_above_minor]
        pin = None if row.pin is None else [row.pin.salt, row.pin.digest, row.pin_failures]
        flags = [row.child, row.crew, row.settled]
        return [
            row.ref,
            cabins,
            row.zones,
            flags,
            row.not_before_s,
            row.not_after_s,
            row.currency,
            limits,
            row.serial,
            pin,
        ]
    return [getattr(row, field.name) for field in fields(row)]


def _rows(rows: Sequence[Sequence[Any]]) -> tuple[Row, ...]:
    return tuple(_READ[Kind(kind)](*values) for kind, *values in rows)


def _guest(
    ref: Any,
    cabins: Any,
    zones: Any,
    flags: Any,
    begin_s: Any,
    end_s: Any,
    currency: Any,
    limits: Any,
    serial: Any,
    pin: Any,
) -> Guest:
    stay_minor, day_minor, verify_above_minor = limits
    child, crew, settled = flags
    _counts(zones, begin_s, end_s, serial, stay_minor, day_minor, verify_above_minor)
    salt, digest, failures = pin if pin is not None else (b"", b"", 0)
    _counts(failures)
    if type(salt) is not bytes or type(digest) is not bytes or not 1 <= len(cabins) <= 2:
        raise ValueError("a guest that cannot be")
    return Guest(
        ref=GuestRef(_text(ref)),
        booking="",
        cabins=tuple(CabinStay(*_counts(*held)) for held in cabins),
        zones=zones,
        child=_flag(child),
        crew=_flag(crew),
        not_before_s=begin_s,
        not_after_s=end_s,
        currency=_text(currency),
        limits=Limits(stay_minor, day_minor, verify_above_minor),
        serial=serial,
        pin=None if pin is None else PinHash(salt, digest),
        pin_failures=failures,
        settled=_flag(settled),
    )


def _band(uid: Any, guest: Any, serial: Any, active: Any, key_version: Any, random_id: Any, state: Any) -> Band:
    _counts(serial, key_version)
    return Band(
        Uid(_text(uid)), GuestRef(_text(guest)), serial, _flag(active), key_version, _flag(random_id), BandState(state)
    )


def _deny(uid: Any, epoch: Any) -> Deny:
    return Deny(Uid(_text(uid)), *_counts(epoch))


def _stay(cabin: Any, stay: Any) -> Stay:
    return Stay(*_counts(cabin, stay))


def _serial(ref: Any, serial: Any) -> Serial:
    return Serial(GuestRef(_text(ref)), *_counts(serial))


def _counter(uid: Any, kind: Any, value: Any) -> Counter:
    return Counter(Uid(_text(uid)), _text(kind), *_counts(value))


def _grant(gateway: Any, epoch: Any, ref: Any, *figures: Any) -> Grant:
    granted, returned, booked, used, recall, from_s, answered, why = figures
    _counts(epoch, granted, returned, booked, used, recall, from_s, answered)
    ref = GuestRef(_text(ref))
    return Grant(_text(gateway), epoch, ref, granted, returned, booked, used, recall, from_s, answered, _text(why))


def _report(ref: Any, *figures: Any) -> Report:
    if not all(type(figure) is int for figure in figures):
        raise ValueError("a figure is no whole number")
    return Report(GuestRef(_text(ref)), *figures)


def _counts(*values: Any) -> tuple[int, ...]:
    if not all(type(value) is int and 0 <= value <= _COUNT_MAX for value in values):
        raise ValueError("a number out of range")
    return values


def _text(value: Any) -> str:
    if type(value) is not str or len(value) > _TEXT_MAX or not value.isprintable():
        raise ValueError("no short text")
    return value


def _words(value: Any) -> str:
    if type(value) is not str or not 0 < len(value) <= DESCRIPTION_MAX or not value.isprintable():
        raise ValueError("no description")
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("neither true nor false")
    return value


_KIND_OF: Mapping[type, Kind] = MappingProxyType(
    {
        Guest: Kind.GUEST,
        Band: Kind.BAND,
        Deny: Kind.DENY,
        Stay: Kind.STAY,
        Serial: Kind.SERIAL,
        Counter: Kind.COUNTER,
        Grant: Kind.GRANT,
    }
)
_READ: Mapping[Kind, Callable[..., Row]] = MappingProxyType(
    {
        Kind.GUEST: _guest,
        Kind.BAND: _band,
        Kind.DENY: _deny,
        Kind.STAY: _stay,
        Kind.SERIAL: _serial,
        Kind.COUNTER: _counter,
        Kind.GRANT: _grant,
    }
)
