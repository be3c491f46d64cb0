"""What a band tells of its battery, byte by byte, and what a reader makes of anything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.bandwire.sides import AES, KEY, MORE, OK, RND_A, RND_B, TI

from bandwire import apdu
from bandwire.condition import BATTERY_UNKNOWN, PDCAP2_SIZE, put_condition, read_condition
from bandwire.errors import BadArgument
from bandwire.session import CardAuth, ReaderAuth


def told(battery_percent: int, charging: bool = False) -> bytes:
    pdcap2 = bytearray(b"\xff" * PDCAP2_SIZE)
    put_condition(pdcap2, battery_percent, charging)
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


@given(st.integers(0, 100) | st.just(BATTERY_UNKNOWN), st.booleans())
def test_a_reader_hears_what_the_band_told(percent: int, charging: bool) -> None:
    heard = read_condition(over_the_air(told(percent, charging)))
    if percent == BATTERY_UNKNOWN and not charging:
        assert heard is None
        return
    assert heard is not None
    assert heard.battery_percent == (None if percent == BATTERY_UNKNOWN else percent)
    assert heard.charging is charging


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
        "000139020000",  # a flag nobody knows
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
        assert told(percent, heard.charging) == junk


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
