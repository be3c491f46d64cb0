"""What a band tells of its battery, byte by byte, and what a reader makes of anything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.bandwire.sides import AES, KEY, MORE, OK, RND_A, RND_B, TI

from bandwire import apdu
from bandwire.condition import (
    BATTERY_UNKNOWN,
    NO_RADIO,
    PDCAP2_SIZE,
    RADIO_OFF,
    WISH_NONE,
    WISH_OFF,
    WISH_ON,
    put_condition,
    read_condition,
    read_wish,
)
from bandwire.errors import AuthFailed, BadArgument
from bandwire.session import CardAuth, ReaderAuth


def told(battery_percent: int, charging: bool = False, radio: int = NO_RADIO) -> bytes:
    pdcap2 = bytearray(b"\xff" * PDCAP2_SIZE)
    put_condition(pdcap2, battery_percent, charging, radio)
    return bytes(pdcap2)


def over_the_air(pdcap2: bytes) -> bytes:
    """What a reader holds after authenticating a card that tells this."""
    reader, card = ReaderAuth(AES, 1, KEY, RND_A), CardAuth(AES, 1, KEY, RND_B, pdcap2=pdcap2)
    reader.start()
    answer, _ = card.verify(apdu.parse(reader.step(card.challenge() + MORE)).data, TI)
    assert pdcap2 not in answer or pdcap2 == b"", "the condition goes under the cipher"
    reader.finish(answer + OK)
    return reader.pdcap2


def test_the_bytes_are_the_documented_ones() -> None:
    assert told(57).hex() == "000139000000"
    assert told(0).hex() == "000100000000"
    assert told(100, charging=True).hex() == "000164010000"
    assert told(BATTERY_UNKNOWN, charging=True).hex() == "0001ff010000"
    assert told(BATTERY_UNKNOWN) == bytes(6), "nothing to tell is what the plain chip sends"
    assert told(57, radio=RADIO_OFF).hex() == "000139020000"
    assert told(57, radio=0x1234).hex() == "000139061234"
    assert told(BATTERY_UNKNOWN, radio=0).hex() == "0001ff060000"


@given(st.integers(0, 100) | st.just(BATTERY_UNKNOWN), st.booleans(), st.integers(NO_RADIO, 0xFFFF))
def test_a_reader_hears_what_the_band_told(percent: int, charging: bool, radio: int) -> None:
    heard = read_condition(over_the_air(told(percent, charging, radio)))
    if percent == BATTERY_UNKNOWN and not charging and radio == NO_RADIO:
        assert heard is None
        return
    assert heard is not None
    assert heard.battery_percent == (None if percent == BATTERY_UNKNOWN else percent)
    assert heard.charging is charging
    assert heard.radio is (radio != NO_RADIO)
    assert heard.radio_on is (radio >= 0)
    assert heard.period == (radio if radio >= 0 else None)


def test_a_passive_card_tells_nothing() -> None:
    assert over_the_air(bytes(6)) == bytes(6)
    assert read_condition(bytes(6)) is None


@pytest.mark.parametrize(
    "odd",
    [
        "000239000000",  # a later format
        "000165000000",  # 101 %
        "0001fe000000",
        "0001ff000000",  # nothing, said otherwise than we say it
        "000139080000",  # a flag nobody knows
        "000139040000",  # a radio that is on, and no radio
        "000139020001",  # the period of a radio that is off
        "000139000100",
        "000139000001",
        "010139000000",
        "0001390000",  # cut
        "00013900000000",
        "",
    ],
)
def test_anything_else_is_nothing_told(odd: str) -> None:
    assert read_condition(bytes.fromhex(odd)) is None


@given(st.binary(max_size=8))
def test_no_bytes_of_a_card_are_an_error(junk: bytes) -> None:
    heard = read_condition(junk)
    if heard is not None:
        percent = BATTERY_UNKNOWN if heard.battery_percent is None else heard.battery_percent
        radio = heard.period if heard.period is not None else RADIO_OFF if heard.radio else NO_RADIO
        assert told(percent, heard.charging, radio) == junk


@pytest.mark.parametrize("radio", [-3, 0x10000])
def test_a_band_tells_no_period_that_does_not_fit(radio: int) -> None:
    with pytest.raises(BadArgument, match="period"):
        told(50, radio=radio)


@pytest.mark.parametrize("percent", [-1, 101, 254, 256])
def test_a_band_tells_no_nonsense(percent: int) -> None:
    with pytest.raises(BadArgument, match="percent"):
        told(percent)


def test_nonfirst_tells_nothing_and_a_failed_proof_neither() -> None:
    reader, impostor = ReaderAuth(AES, 1, KEY, RND_A), CardAuth(AES, 1, bytes(16), RND_B, pdcap2=told(50))
    reader.start()
    reader.step(impostor.challenge() + MORE)
    with pytest.raises(Exception, match="did not prove"):
        reader.finish(bytes(32) + OK)
    assert reader.pdcap2 == b""


def ask(wish: bytes, arrives: bytes) -> CardAuth:
    """An authentication whose first message may be changed on its way; the card's half, once the reader is content."""
    reader, card = ReaderAuth(AES, 1, KEY, RND_A, wish=wish), CardAuth(AES, 1, KEY, RND_B, True, arrives)
    assert apdu.parse(reader.start()).data == bytes((1, len(wish))) + wish
    answer, _ = card.verify(apdu.parse(reader.step(card.challenge() + MORE)).data, TI)
    reader.finish(answer + OK)
    return card


@pytest.mark.parametrize(("wish", "means"), [(WISH_ON, True), (WISH_OFF, False), (WISH_NONE, None)])
def test_a_wish_arrives(wish: bytes, means: bool | None) -> None:
    assert read_wish(ask(wish, wish).pcdcap2) is means


@pytest.mark.parametrize("wish", [WISH_NONE, WISH_ON, WISH_OFF])
@pytest.mark.parametrize("arrives", [WISH_NONE, WISH_ON, WISH_OFF, WISH_ON[:3], b"\x02"])
def test_a_reader_notices_a_wish_that_was_changed_put_in_or_taken_out(wish: bytes, arrives: bytes) -> None:
    if (wish or bytes(6)) == (arrives + bytes(6))[:6]:
        assert ask(wish, arrives).pcdcap2 == (wish or bytes(6))
        return
    with pytest.raises(AuthFailed, match="another wish"):
        ask(wish, arrives)


@given(st.binary(max_size=8))
def test_other_bytes_are_no_wish(junk: bytes) -> None:
    assert read_wish(junk) is {WISH_ON: True, WISH_OFF: False}.get(junk)


def test_a_wish_goes_with_first_alone() -> None:
    with pytest.raises(BadArgument, match="six bytes"):
        ReaderAuth(AES, 1, KEY, RND_A, wish=b"\x01")
    running = CardAuth(AES, 1, KEY, RND_B)
    reader = ReaderAuth(AES, 1, KEY, RND_A)
    reader.start()
    answer, _ = running.verify(apdu.parse(reader.step(running.challenge() + MORE)).data, TI)
    with pytest.raises(BadArgument, match="with First"):
        ReaderAuth(AES, 1, KEY, RND_A, False, reader.finish(answer + OK), WISH_ON)
