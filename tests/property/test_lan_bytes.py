"""Change sets and questions: bytes and back, and whatever a stranger sends."""

from __future__ import annotations

from dataclasses import replace

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.moneykit import ring

from steward.domain.allowance import Grant, Report
from steward.domain.context import PortCall, PortCalls, StayCompany, WeatherWord
from steward.domain.features import Company, Signal, Weather
from steward.domain.guests import Band, BandState, CabinStay, Guest, Limits, PinHash
from steward.domain.ids import GuestRef, TapId, Uid
from steward.domain.lanwire import decode_ask, encode_ask, open_changes, seal_changes
from steward.domain.replica import (
    BOOT_SIZE,
    REPORTS_MAX,
    ROWS_MAX,
    Ask,
    BadLan,
    ChangeSet,
    Counter,
    Deny,
    Fit,
    MemberRole,
    Position,
    RadioWish,
    Serial,
    Stay,
    fit,
    scoped,
)
from steward.domain.signals import Switch
from steward.domain.stock import Gone, StockWord
from steward.domain.untracked import Untracked

KEYRING = ring()
counts = st.integers(0, 2**53 - 1)
refs = st.text("0123456789abcdef", min_size=16, max_size=16).map(GuestRef)
uids = st.text("0123456789ABCDEF", min_size=14, max_size=14).map(Uid)
taps = st.text("0123456789abcdef", min_size=32, max_size=32).map(TapId)
stays = st.builds(CabinStay, counts, counts)
pins = st.builds(PinHash, st.binary(max_size=32), st.binary(max_size=32))
guests = st.builds(
    Guest,
    ref=refs,
    booking=st.just(""),
    cabins=st.lists(stays, min_size=1, max_size=2).map(tuple),
    zones=counts,
    child=st.booleans(),
    crew=st.booleans(),
    not_before_s=counts,
    not_after_s=counts,
    currency=st.sampled_from(["EUR", "NOK"]),
    limits=st.builds(Limits, counts, counts, counts),
    serial=counts,
    pin=pins,
    pin_failures=st.integers(0, 3),
    settled=st.booleans(),
)
rows = st.one_of(
    guests,
    guests.map(lambda guest: replace(guest, pin=None, pin_failures=0)),
    st.builds(Band, uids, refs, counts, st.booleans(), counts, st.booleans(), st.sampled_from(BandState)),
    st.builds(Deny, uids, counts),
    st.builds(Stay, counts, counts),
    st.builds(Serial, refs, counts),
    st.builds(Counter, uids, st.sampled_from(["charge", "sdm"]), counts),
    st.builds(
        Grant, st.just("bar"), counts, refs, *([counts] * 7), why=st.sampled_from(["", "day_limit", "stay_limit"])
    ),
    st.builds(Untracked, refs, st.booleans(), counts, counts),
    st.builds(RadioWish, uids, st.none() | st.booleans()),
    st.builds(Switch, refs, st.sampled_from(Signal), st.booleans(), counts, counts),
    st.builds(StayCompany, refs, st.none() | st.sampled_from(Company)),
    st.builds(
        lambda weather, said_s, more: WeatherWord(weather, said_s, said_s + more),
        st.none() | st.sampled_from(Weather),
        st.integers(0, 2**40),
        st.integers(1, 10**5),
    ),
    st.builds(
        lambda version, stays: PortCalls(
            version, tuple(PortCall(f"Øy {n}", n * 10**6, n * 10**6 + s) for n, s in enumerate(stays))
        ),
        st.integers(1, 2**40),
        st.lists(st.integers(1, 10**5), max_size=9),
    ),
    st.builds(
        StockWord,
        st.just("bar"),
        st.sampled_from(["lager", "a.b-c_9"]),
        st.none() | st.sampled_from(Gone),
        counts,
        counts,
    ),
)
change_sets = st.builds(
    lambda prev, more, rows, words, hello: ChangeSet(
        "aurora", "bar", 3, prev, prev + more, 9, tuple(rows), tuple(words), hello
    ),
    st.integers(0, 2**40),
    st.integers(0, 2**40),
    st.lists(rows, max_size=12),
    st.lists(taps, max_size=3),
    st.booleans(),
)
asks = st.builds(
    lambda number, epoch, have, reports, words: Ask(
        "aurora", "bar", b"b" * BOOT_SIZE, number, epoch, have, tuple(reports), tuple(words)
    ),
    counts,
    counts,
    st.builds(Position, counts, counts),
    st.lists(st.builds(Report, refs, counts, counts, counts, counts), max_size=5),
    st.lists(st.tuples(taps, st.sampled_from(["Coffee", "Blåbærsaft"])), max_size=3),
)


@given(change_sets)
def test_a_change_set_comes_back_as_it_was(changes: ChangeSet) -> None:
    assert open_changes(seal_changes(changes, KEYRING.sign_lan), "aurora", "bar", KEYRING.verify_lan) == changes


@given(asks)
def test_a_question_comes_back_as_it_was(ask: Ask) -> None:
    assert decode_ask(encode_ask(ask), "aurora", "bar") == ask


@given(change_sets, st.data())
def test_no_changed_bit_of_a_change_set_is_believed(changes: ChangeSet, data: st.DataObject) -> None:
    sealed = bytearray(seal_changes(changes, KEYRING.sign_lan))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BadLan):
        open_changes(bytes(sealed), "aurora", "bar", KEYRING.verify_lan)


@given(st.binary(max_size=300))
def test_strangers_bytes_are_refused_with_a_code(junk: bytes) -> None:
    for body in (junk, b"\x01" + junk):
        with pytest.raises(BadLan):
            decode_ask(body, "aurora", "bar")
        with pytest.raises(BadLan):
            open_changes(body, "aurora", "bar", KEYRING.verify_lan)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.binary(max_size=9) | st.text(max_size=9) | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=12,
)


@given(st.lists(plain, min_size=7, max_size=10))
@settings(max_examples=300)
def test_any_values_in_the_fields_are_refused_with_a_code_even_if_they_are_signed(values: list[object]) -> None:
    body = cbor2.dumps(values)
    version, signature = KEYRING.sign_lan(body)
    for read in (
        lambda: open_changes(bytes((1, version)) + signature + body, "aurora", "bar", KEYRING.verify_lan),
        lambda: decode_ask(b"\x01" + body, "aurora", "bar"),
    ):
        with pytest.raises(BadLan):
            read()


@given(asks, st.integers(0, 8), plain)
def test_a_question_with_one_field_of_another_kind(ask: Ask, at: int, other: object) -> None:
    values = cbor2.loads(encode_ask(ask)[1:])
    values[at] = other
    try:
        read = decode_ask(b"\x01" + cbor2.dumps(values), "aurora", "bar")
    except BadLan:
        return
    assert decode_ask(encode_ask(read), "aurora", "bar") == read


def test_bounds() -> None:
    many = ChangeSet("aurora", "bar", 1, 0, 1, 0, tuple(Stay(1, 1) for _ in range(ROWS_MAX + 1)))
    with pytest.raises(BadLan):
        open_changes(seal_changes(many, KEYRING.sign_lan), "aurora", "bar", KEYRING.verify_lan)
    reports = tuple(Report(GuestRef(f"{n:016x}"), 0, 0) for n in range(REPORTS_MAX + 1))
    with pytest.raises(BadLan):
        decode_ask(encode_ask(Ask("aurora", "bar", bytes(8), 1, 1, Position(), reports)), "aurora", "bar")


@given(guests)
def test_a_role_is_told_no_more_than_it_needs(guest: Guest) -> None:
    full = replace(guest, booking="B-1", cabins=(CabinStay(8104, 3),))
    till, encoder = scoped(full, MemberRole.TILL), scoped(full, MemberRole.ENCODER)
    assert isinstance(till, Guest)
    assert isinstance(encoder, Guest)
    assert (till.booking, till.cabins, till.zones) == ("", (CabinStay(0, 0),), 0)
    assert (till.not_before_s, till.not_after_s) == (0, 0)
    assert (till.pin, till.limits) == (guest.pin, guest.limits)
    assert (encoder.booking, encoder.pin, encoder.limits) == ("", None, Limits(0, 0, 0))
    assert (encoder.cabins, encoder.zones) == (full.cabins, full.zones)


@pytest.mark.parametrize(
    ("have", "epoch", "prev", "to", "fits"),
    [
        (Position(), 5, 0, 9, Fit.APPLY),
        (Position(), 5, 3, 9, Fit.GAP),
        (Position(5, 9), 5, 9, 12, Fit.APPLY),
        (Position(5, 9), 5, 4, 12, Fit.APPLY),
        (Position(5, 9), 5, 10, 12, Fit.GAP),
        (Position(5, 9), 5, 0, 9, Fit.OLD),
        (Position(5, 9), 5, 9, 9, Fit.OLD),
        (Position(5, 9), 4, 0, 99, Fit.OLD),
        (Position(5, 9), 6, 0, 3, Fit.APPLY),
        (Position(5, 9), 6, 9, 12, Fit.GAP),
    ],
)
def test_never_backwards_and_never_over_a_gap(have: Position, epoch: int, prev: int, to: int, fits: Fit) -> None:
    assert fit(have, ChangeSet("aurora", "bar", epoch, prev, to, 0)) is fits
