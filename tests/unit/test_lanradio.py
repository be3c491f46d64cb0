"""Radios at other gateways: what travels, what is refused, and that nothing but the authority is obeyed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.lankit import Lan, LanPipe
from tests.unit.moneykit import CountingEntropy, HandClock, ring
from tests.unit.radiokit import FakeRadio, RadioShip

from bandwire import radio
from steward.adapters.keyfile import Role
from steward.domain.lanradio import (
    LATE_S,
    NAMES_MAX,
    HeardName,
    HeardNames,
    RadioAnswer,
    RadioAsk,
    decode_heard,
    encode_heard,
    heard_topic,
    open_ask,
    radio_topic,
    seal_ask,
)
from steward.domain.lanwire import open_changes
from steward.domain.replica import BadLan
from steward.errors import BandAway, KeyNotHeld
from steward.ports.radio import Sighting
from steward.ports.sync import PipeMessage
from steward.services.lanradio import ASKS_MAX, AWAY_MS, RadioForwarder, RadioPeers, summed

SHIP, GW = "aurora", "gw2"
NAME = HeardName(b"12345678", "C1:00:00:00:00:01", -60, 2, 40)
HEARD = HeardNames(SHIP, GW, "spa", "on", 7, 0, (NAME,), (RadioAnswer(3, 0, b""),))
ASK = RadioAsk(SHIP, GW, b"b" * 8, 1, 1_800_000_000, NAME.address, 123456, radio.BUZZ, b"\x05")
AUTHORITY, DOOR = ring(), ring(Role.DOOR)


class Pair:
    """The authority and a door's gateway with a radio, and what is between them."""

    def __init__(self) -> None:
        self.clock, self.lan = HandClock(), Lan()
        pipes = LanPipe(self.lan, "gw1"), LanPipe(self.lan, GW)
        self.peers = RadioPeers(SHIP, [GW], self.clock, CountingEntropy(), AUTHORITY, pipes[0])
        self.ears = FakeRadio(GW, "spa")
        self.forwarder = RadioForwarder(SHIP, GW, self.ears, self.clock, DOOR, pipes[1])
        self.radio = self.peers.radios[GW]

    async def deliver(self) -> None:
        flight, self.lan.flight = self.lan.flight, []
        for topic, payload in flight:
            await self.hand(topic, payload)

    async def hand(self, topic: str, payload: bytes) -> None:
        message = PipeMessage(topic, payload)
        await (self.peers if topic.endswith("/heard") else self.forwarder).receive(message)

    async def ask(self) -> tuple[int, bytes]:
        """With the network going on meanwhile."""
        asked = asyncio.ensure_future(self.radio.ask(NAME.address, 123456, radio.BUZZ, b"\x05"))
        for _ in range(20):
            await asyncio.sleep(0)
            await self.deliver()
        return await asked


def test_what_is_said_arrives() -> None:
    assert decode_heard(encode_heard(HEARD), SHIP, GW) == HEARD
    assert open_ask(seal_ask(ASK, AUTHORITY.sign_lan), SHIP, GW, DOOR.verify_lan) == ASK
    assert "123456" not in repr(ASK)


@pytest.mark.parametrize(
    "odd",
    [
        replace(HEARD, zone="no zone"),
        replace(HEARD, state="x" * 16),
        replace(HEARD, heard=-1),
        replace(HEARD, names=(replace(NAME, name=b"1234567"),)),
        replace(HEARD, names=(replace(NAME, address="<script>"),)),
        replace(HEARD, names=(replace(NAME, rssi=21),)),
        replace(HEARD, names=(replace(NAME, age_ms=-1),)),
        replace(HEARD, names=(NAME,) * (NAMES_MAX + 1)),
        replace(HEARD, answers=(RadioAnswer(1, 256, b""),)),
        replace(HEARD, answers=(RadioAnswer(1, 0, b"x" * 2000),)),
        replace(HEARD, gateway="gw3"),
        replace(HEARD, ship="other"),
    ],
)
def test_a_radio_s_word_that_does_not_fit_is_refused(odd: HeardNames) -> None:
    with pytest.raises(BadLan):
        decode_heard(encode_heard(odd), SHIP, GW)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(junk: bytes) -> None:
    for payload in (junk, b"\x01" + junk):
        with pytest.raises(BadLan):
            decode_heard(payload, SHIP, GW)
        with pytest.raises(BadLan):
            open_ask(payload, SHIP, GW, DOOR.verify_lan)


@pytest.mark.parametrize(
    "odd",
    [
        replace(ASK, gateway="gw3"),
        replace(ASK, passkey=1_000_000),
        replace(ASK, address=""),
        replace(ASK, boot=b"b"),
        replace(ASK, kind=128),
        replace(ASK, data=b"x" * 2000),
    ],
)
def test_a_question_that_does_not_fit_is_refused(odd: RadioAsk) -> None:
    with pytest.raises(BadLan):
        open_ask(seal_ask(odd, AUTHORITY.sign_lan), SHIP, GW, DOOR.verify_lan)


def test_only_the_authority_asks_and_its_other_words_are_no_questions() -> None:
    payload = seal_ask(ASK, AUTHORITY.sign_lan)
    for at in (1, 5, 70, len(payload) - 1):
        forged = bytearray(payload)
        forged[at] ^= 1
        with pytest.raises(BadLan):
            open_ask(bytes(forged), SHIP, GW, DOOR.verify_lan)
    with pytest.raises(BadLan):
        open_changes(payload, SHIP, GW, DOOR.verify_lan)
    body = cbor2.dumps([SHIP, GW, b"b" * 8, 1, 1, NAME.address, 1, 1, b""])
    version, signature = AUTHORITY.sign_lan(body)  # as change sets are signed
    with pytest.raises(BadLan, match="lan_forged"):
        open_ask(bytes((1, version)) + signature + body, SHIP, GW, DOOR.verify_lan)


def test_very_many_names_are_told_as_the_strongest() -> None:
    many = [Sighting(n.to_bytes(8, "big"), -100 + n % 60, NAME.address, 1.0) for n in range(NAMES_MAX + 50)]
    told = summed(many, 2.0)
    assert len(told) == NAMES_MAX
    assert min(each.rssi for each in told) > min(each.rssi for each in many)
    assert len(encode_heard(replace(HEARD, names=told))) < 64 * 1024


async def test_what_another_gateway_hears_is_heard_at_the_authority() -> None:
    pair = Pair()
    assert pair.radio.status().state == "away"
    pair.ears.heard = [
        Sighting(NAME.name, -60, NAME.address, pair.clock.ms),
        Sighting(NAME.name, -62, NAME.address, pair.clock.ms),
    ]
    await pair.forwarder.tell()
    await pair.deliver()
    taken = pair.radio.take()
    assert [(each.name, each.rssi, each.address) for each in taken] == [(NAME.name, -61, NAME.address)] * 2
    assert (pair.radio.zone, pair.radio.status().state) == ("spa", "on")
    pair.clock.ms += AWAY_MS
    assert pair.radio.status().state == "away"


async def test_a_band_is_asked_through_the_gateway_that_hears_it() -> None:
    pair = Pair()
    assert await pair.ask() == (radio.DONE, b"")
    assert pair.ears.asked == [(NAME.address, 123456, radio.BUZZ, b"\x05")]
    pair.ears.answer = None
    with pytest.raises(BandAway):
        await pair.ask()


async def test_each_question_is_obeyed_once_and_none_that_is_old() -> None:
    pair = Pair()
    payload = seal_ask(replace(ASK, sent_s=pair.clock.unix_s), AUTHORITY.sign_lan)
    for _ in range(3):
        await pair.hand(radio_topic(SHIP, GW), payload)
        await asyncio.sleep(0)
    assert len(pair.ears.asked) == 1
    late = seal_ask(replace(ASK, number=2, sent_s=pair.clock.unix_s - LATE_S - 1), AUTHORITY.sign_lan)
    await pair.hand(radio_topic(SHIP, GW), late)
    await asyncio.sleep(0)
    assert len(pair.ears.asked) == 1


async def test_a_flood_of_questions_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    pair, held = Pair(), asyncio.Event()

    async def slow(*_: Any) -> tuple[int, bytes]:
        await held.wait()
        return 0, b""

    monkeypatch.setattr(pair.ears, "ask", slow)
    for number in range(1, 12):
        ask = replace(ASK, number=number, sent_s=pair.clock.unix_s)
        await pair.hand(radio_topic(SHIP, GW), seal_ask(ask, AUTHORITY.sign_lan))
    assert len(pair.forwarder._asking) == ASKS_MAX
    held.set()
    await asyncio.gather(*pair.forwarder._asking)


async def test_a_stranger_and_a_flood_are_not_listened_to() -> None:
    pair = Pair()
    await pair.hand(heard_topic(SHIP, "gw9"), encode_heard(replace(HEARD, gateway="gw9")))
    assert list(pair.peers.radios) == [GW]
    for _ in range(500):
        await pair.hand(heard_topic(SHIP, GW), encode_heard(HEARD))
    assert len(pair.radio.take()) <= 60


async def test_without_a_network_what_was_heard_is_let_go() -> None:
    pair = Pair()
    pair.lan.cut = {GW, "gw1"}
    pair.ears.heard = [Sighting(NAME.name, -60, NAME.address, 0.0)]
    await pair.forwarder.tell()
    pair.lan.cut = set()
    await pair.forwarder.tell()
    await pair.deliver()
    assert pair.radio.take() == type(pair.radio.take())()
    pair.lan.cut = {"gw1"}
    with pytest.raises(BandAway):
        await pair.radio.ask(NAME.address, 1, radio.BUZZ, b"")


def test_a_door_s_gateway_has_no_key_to_resolve_with() -> None:
    """The attack of a gateway without the role: there is nothing to ask for, and no message that hands a key over."""
    ship = RadioShip(Role.DOOR)
    with pytest.raises(KeyNotHeld):
        ship.identity()
