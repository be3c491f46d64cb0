"""A guest's link and session by themselves, no pages about them: junk, floods, clocks, gateways that keep no guests."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.e2e.gatewaykit import aboard, prepare
from tests.pages.guestkit import RING, sun_link
from tests.pages.pagekit import SETTINGS
from tests.unit.moneykit import NOON_S

from bandwire.keys import K_FILE
from steward.adapters import keyfile
from steward.adapters.aes import HostAes
from steward.adapters.memory import MemoryStore
from steward.domain.guestsession import (
    CLOCK_BACK_S,
    IDLE_S,
    PHONE_S,
    PROVEN_S,
    GuestSession,
    Level,
    Phone,
    PhoneId,
    is_alive,
    is_proven,
    session_of,
)
from steward.domain.ids import GuestRef, Uid
from steward.errors import Refused
from steward.ports import ClockReading
from steward.services.feed import TapFeed
from steward.services.guestaccess import LINK_OFTEN, LINK_REFUSED, GuestAccess
from steward.services.pins import PinService


@settings(max_examples=300, deadline=None)
@given(e=st.text(max_size=40), c=st.text(max_size=20))
def test_junk_is_no_link(e: str, c: str) -> None:
    access, _ = alone()
    assert access._read(e, c) is None


@settings(max_examples=300, deadline=None)
@given(e=st.binary(min_size=16, max_size=16), c=st.binary(min_size=8, max_size=8))
def test_random_bytes_are_no_link(e: bytes, c: bytes) -> None:
    access, _ = alone()
    assert access._read(e.hex(), c.hex()) is None


@settings(max_examples=200, deadline=None)
@given(counter=st.integers(0, 2**24 - 1), bit=st.integers(0, 191))
def test_a_link_with_one_bit_changed_is_none(counter: int, bit: int) -> None:
    access, _ = alone()
    uid = b"\x04\x01\x02\x03\x04\x05\x06"
    e, c = sun_link(uid, counter)
    shown = access._read(e, c)
    assert shown is not None
    assert (shown.uid, shown.counter, shown.key_version) == (Uid(uid.hex().upper()), counter, 1)
    whole = bytearray.fromhex(e + c)
    whole[bit // 8] ^= 1 << bit % 8
    assert access._read(bytes(whole[:16]).hex(), bytes(whole[16:]).hex()) is None


# how often


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.ms = 0.0

    def now(self) -> ClockReading:
        return ClockReading(NOON_S + int(self.ms / 1000), True)

    def monotonic_ms(self) -> float:
        return self.ms


class Counting:
    def __init__(self) -> None:
        self.n = 0

    def token_bytes(self, n: int) -> bytes:
        self.n += 1
        return self.n.to_bytes(n, "big")


def alone() -> tuple[GuestAccess, Hands]:
    clock, entropy = Hands(), Counting()
    pins = PinService(entropy)
    return GuestAccess(MemoryStore(), clock, entropy, RING, HostAes(), pins, TapFeed(), "/t"), clock


async def test_ten_times_too_many_wrong_links_of_one_address() -> None:
    access, clock = alone()
    codes = []
    for _ in range(400):
        with pytest.raises(Refused) as refused:
            await access.open_link("00" * 16, "00" * 8, "10.0.0.9")
        codes.append(refused.value.code)
        clock.ms += 100
    assert codes.count(LINK_REFUSED) <= 30 + 400 * 0.1 * 0.5 + 1
    assert codes.count(LINK_OFTEN) >= 300
    with pytest.raises(Refused, match="once more"):  # another address is told nothing of it
        await access.open_link("00" * 16, "00" * 8, "10.0.0.10")
    clock.ms += 60_000
    with pytest.raises(Refused, match="once more"):
        await access.open_link("00" * 16, "00" * 8, "10.0.0.9")


async def test_ten_times_too_many_readings_of_one_band() -> None:
    access, _ = alone()
    codes = []
    for counter in range(1, 101):
        e, c = sun_link(b"\x04\x01\x02\x03\x04\x05\x06", counter)
        with pytest.raises(Refused) as refused:
            await access.open_link(e, c, f"10.0.0.{counter}")
        codes.append(refused.value.code)
    assert codes == [LINK_REFUSED] * 10 + [LINK_OFTEN] * 90


async def test_a_link_that_was_used_keeps_its_guest_out_of_nothing() -> None:
    """Whoever finds one in a phone's history plays it from many addresses: the band's own measure stays untouched."""
    access, _ = alone()
    uid = b"\x04\x01\x02\x03\x04\x05\x06"
    old, fresh = sun_link(uid, 7), sun_link(uid, 8)
    for n in range(100):
        with pytest.raises(Refused, match=LINK_REFUSED):
            await access.open_link(*old, f"10.0.1.{n}")
    assert access._opened.take(Uid(uid.hex().upper()))  # nine are left of ten: the first was one of them
    with pytest.raises(Refused, match=LINK_REFUSED):  # not LINK_OFTEN: it is told that nobody wears this band
        await access.open_link(*fresh, "10.0.2.1")


# clocks


@pytest.mark.parametrize("back_s", [1, CLOCK_BACK_S, CLOCK_BACK_S + 1, 3600, 12 * 3600, 10**6])
def test_a_clock_set_back_makes_no_session_live_longer(back_s: int) -> None:
    """Used every minute from its beginning: at the latest so long after it, as real time goes, it is over."""
    at = Phone(PhoneId("0" * 64), GuestRef("a" * 16), Uid("04"), 1, NOON_S, NOON_S, NOON_S)
    lived_s = proven_s = 0
    for real_s in range(0, 2 * PHONE_S, 60):
        clock_s = NOON_S + real_s - (back_s if real_s > 300 else 0)
        if not is_alive(at, clock_s):
            break
        proven_s = real_s if is_proven(at, clock_s) else proven_s
        at, lived_s = replace(at, seen_s=max(at.seen_s, clock_s)), real_s
    assert lived_s <= PHONE_S + CLOCK_BACK_S
    assert proven_s <= PROVEN_S + CLOCK_BACK_S


def test_a_session_ends_when_it_says() -> None:
    at = Phone(PhoneId("0" * 64), GuestRef("a" * 16), Uid("04"), 1, NOON_S, NOON_S, NOON_S + 60)
    assert is_alive(at, NOON_S + IDLE_S - 1)
    assert not is_alive(at, NOON_S + IDLE_S)
    busy = replace(at, seen_s=NOON_S + PHONE_S - 1)
    assert is_alive(busy, NOON_S + PHONE_S - 1)
    assert not is_alive(busy, NOON_S + PHONE_S)
    assert session_of(at, NOON_S + 61) == GuestSession(
        at.id, at.guest, Level.PROVEN, NOON_S + 60, NOON_S + 60 + PROVEN_S
    )
    assert session_of(at, NOON_S + 60 + PROVEN_S).level is Level.BAND
    assert session_of(at, NOON_S + 59).level is Level.BAND  # proven later than now: a clock went back


# gateways that keep no guests


@pytest.mark.parametrize("role", [keyfile.Role.TILL, keyfile.Role.DOOR])
async def test_a_gateway_without_the_keys_says_where_not_and_nothing_else(tmp_path: Path, role: keyfile.Role) -> None:
    text = SETTINGS.replace('purpose = "encoder"', 'purpose = "crew"\noutlet = "reception"', 1)
    async with aboard(tmp_path, prepare(tmp_path, text, role)) as running:
        assert not running.gateway.parts.services.guest_access._keyring.holds(K_FILE)
        for link in ("/t", "/t?e={}&c={}".format(*sun_link(b"\x04" + os.urandom(6), 3))):
            answer = await running.client.get(link)
            assert answer.status_code == 429
            assert "not on this machine" in answer.text
