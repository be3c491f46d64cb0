"""Change sets and questions as bytes. Strict: what is not exactly one of them is refused with a code. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import Any

import cbor2

from steward.domain.allowance import Grant, Report
from steward.domain.catalogue import ItemId
from steward.domain.cborwire import NotPlain, plain_loads
from steward.domain.charges import DESCRIPTION_MAX
from steward.domain.consent import Consent, ConsentPurpose, Source
from steward.domain.context import PortCall, PortCalls, StayCompany, WeatherWord, port_calls_problem
from steward.domain.erasure import Part
from steward.domain.features import Company, Signal, Weather
from steward.domain.guests import Band, BandState, CabinStay, Guest, Limits, PinHash
from steward.domain.ids import GuestRef, OutletId, TapId, Uid
from steward.domain.replica import (
    BOOT_SIZE,
    REPORTS_MAX,
    ROWS_MAX,
    WORDS_MAX,
    Ask,
    BadLan,
    ChangeSet,
    Counter,
    Deny,
    Forgotten,
    Kind,
    Position,
    RadioWish,
    Row,
    Serial,
    Stay,
)
from steward.domain.signals import Switch
from steward.domain.stock import Gone, StockWord
from steward.domain.untracked import Untracked

VERSION = 1
CHANGES_BYTES_MAX = 256 * 1024
ASK_BYTES_MAX = 64 * 1024
SIGNATURE_SIZE = 64
_COUNT_MAX = 2**53 - 1
_TEXT_MAX = 64

Sign = Callable[[bytes], tuple[int, bytes]]  # (key version, signature)
Verify = Callable[[int, bytes, bytes], bool]


def seal_changes(changes: ChangeSet, sign: Sign) -> bytes:
    """version | key version | signature | CBOR."""
    rows = [[_KIND_OF[type(row)], *_row_fields(row)] for row in changes.rows]
    head = [changes.ship, changes.gateway, changes.epoch, changes.rev_prev, changes.rev_to, changes.sent_s]
    body = cbor2.dumps([*head, rows, list(changes.words), changes.hello])
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
        to_ship, to_gateway, epoch, rev_prev, rev_to, sent_s, rows, words, hello = plain_loads(body)
        _counts(epoch, rev_prev, rev_to, sent_s)
        if len(rows) > ROWS_MAX or len(words) > WORDS_MAX or rev_prev > rev_to:
            raise ValueError("too much")
        taps = tuple(TapId(_text(tap)) for tap in words)
        head = (_text(to_ship), _text(to_gateway), epoch, rev_prev, rev_to, sent_s)
        changes = ChangeSet(*head, _rows(rows), taps, _flag(hello))
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
    if isinstance(row, PortCalls):
        return [row.version, [[call.port, call.from_s, call.to_s] for call in row.calls]]
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


def _consent(ref: Any, purpose: Any, given: Any, at_s: Any, source: Any, version: Any) -> Consent:
    _counts(at_s, version)
    return Consent(GuestRef(_text(ref)), ConsentPurpose(purpose), _flag(given), at_s, Source(source), version)


def _switch(ref: Any, signal: Any, on: Any, at_s: Any, version: Any) -> Switch:
    _counts(at_s, version)
    return Switch(GuestRef(_text(ref)), Signal(signal), _flag(on), at_s, version)


def _company(ref: Any, company: Any) -> StayCompany:
    return StayCompany(GuestRef(_text(ref)), None if company is None else Company(company))


def _weather(weather: Any, said_s: Any, until_s: Any) -> WeatherWord:
    _counts(said_s, until_s)
    if until_s <= said_s:
        raise ValueError("weather that holds for no time")
    return WeatherWord(None if weather is None else Weather(weather), said_s, until_s)


def _port_calls(version: Any, calls: Any) -> PortCalls:
    _counts(version)
    read = tuple(PortCall(_text(port), *_counts(from_s, to_s)) for port, from_s, to_s in calls)
    if version < 1 or port_calls_problem(read) is not None:
        raise ValueError("an itinerary that cannot be")
    return PortCalls(version, read)


def _stock(outlet: Any, item: Any, gone: Any, said_s: Any, until_s: Any) -> StockWord:
    _counts(said_s, until_s)
    held = None if gone is None else Gone(gone)
    return StockWord(OutletId(_text(outlet)), ItemId(_text(item)), held, said_s, until_s)


def _untracked(ref: Any, on: Any, at_s: Any, version: Any) -> Untracked:
    _counts(at_s, version)
    return Untracked(GuestRef(_text(ref)), _flag(on), at_s, version)


def _radio_wish(uid: Any, wish: Any) -> RadioWish:
    return RadioWish(Uid(_text(uid)), None if wish is None else _flag(wish))


def _forgotten(ref: Any, certificate: Any, part: Any, at_s: Any) -> Forgotten:
    _counts(part, at_s)
    return Forgotten(GuestRef(_text(ref)), _text(certificate), Part(part), at_s)


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
        Consent: Kind.CONSENT,
        Switch: Kind.SIGNAL,
        StayCompany: Kind.COMPANY,
        WeatherWord: Kind.WEATHER,
        PortCalls: Kind.PORT_CALLS,
        StockWord: Kind.STOCK,
        Untracked: Kind.UNTRACKED,
        RadioWish: Kind.RADIO,
        Forgotten: Kind.ERASED,
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
        Kind.CONSENT: _consent,
        Kind.SIGNAL: _switch,
        Kind.COMPANY: _company,
        Kind.WEATHER: _weather,
        Kind.PORT_CALLS: _port_calls,
        Kind.STOCK: _stock,
        Kind.UNTRACKED: _untracked,
        Kind.RADIO: _radio_wish,
        Kind.ERASED: _forgotten,
    }
)
