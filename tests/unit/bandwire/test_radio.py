"""The radio's keys, passkeys and messages, byte by byte."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.bandwire.sides import AES, KEY

from bandwire import radio
from bandwire.errors import BadArgument, BadFrame

ADDRESS = bytes.fromhex("0a1b2c3d4e5f")
KINDS = st.sampled_from([radio.BUZZ, radio.QUIET, radio.BATTERY, radio.VERSION])
UPDATES = st.sampled_from([radio.UPDATE_BEGIN, radio.UPDATE_DATA, radio.UPDATE_END])


def mac(key: bytes, message: bytes) -> bytes:
    """AES-CMAC of another implementation."""
    made = CMAC(AES128(key))
    made.update(message)
    return made.finalize()


def test_the_keys_are_the_documented_ones() -> None:
    identity = radio.identity_key(AES, KEY)
    assert identity == mac(KEY, b"band radio identity")
    full = mac(identity, b"passkey" + (7).to_bytes(4, "big") + ADDRESS)
    assert radio.passkey(AES, identity, 7 * 1024 + 1023, ADDRESS) == int.from_bytes(full[:8], "big") % 1_000_000


def test_a_passkey_is_for_one_key_one_period_and_one_address() -> None:
    identity = radio.identity_key(AES, KEY)
    first = radio.passkey(AES, identity, 1024, ADDRESS)
    assert first == radio.passkey(AES, identity, 2047, ADDRESS), "the same all through its period"
    others = {
        radio.passkey(AES, identity, 2048, ADDRESS),
        radio.passkey(AES, identity, 1024, ADDRESS[:5] + b"\x00"),
        radio.passkey(AES, bytes(16), 1024, ADDRESS),
    }
    assert first not in others
    assert len(others) == 3


def test_passkeys_spread_over_all_there_are() -> None:
    made = [radio.passkey(AES, KEY, period << radio.PERIOD_EXPONENT, ADDRESS) for period in range(2000)]
    assert all(0 <= each < 1_000_000 for each in made)
    tenths = [sum(each // 100_000 == tenth for each in made) for tenth in range(10)]
    assert sum((count - 200) ** 2 / 200 for count in tenths) < 40, "chi-square with 9 degrees of freedom"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: radio.identity_key(AES, KEY[:15]),
        lambda: radio.passkey(AES, KEY[:15], 0, ADDRESS),
        lambda: radio.passkey(AES, KEY, 0, ADDRESS[:5]),
        lambda: radio.passkey(AES, KEY, -1, ADDRESS),
        lambda: radio.buzz_data(11),
        lambda: radio.buzz_data(-1),
        lambda: radio.quiet_data(0),
        lambda: radio.quiet_data(1441),
        lambda: radio.pack_request(0x81, 0),
        lambda: radio.pack_request(radio.BUZZ, 256),
        lambda: radio.pack_request(radio.BUZZ, 0, bytes(radio.PART_MAX + 1)),
        lambda: radio.pack_request(radio.UPDATE_DATA, 0, bytes(radio.PAYLOAD_MAX + 1)),
        lambda: radio.pack_request(radio.UPDATE_DATA, 0, b"", 0),
    ],
)
def test_our_own_misuse_is_told(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(BadArgument):
        wrong()


@given(UPDATES, st.integers(0, 255), st.binary(max_size=radio.PAYLOAD_MAX), st.integers(1, radio.PART_MAX))
def test_an_update_in_parts_is_put_together_again(kind: int, number: int, data: bytes, room: int) -> None:
    opened = [radio.open_request(part) for part in radio.pack_request(kind, number, data, room)]
    assert b"".join(part for *_, part in opened) == data
    assert {(k, n) for k, n, _, _ in opened} == {(kind, number)}
    assert [more for _, _, more, _ in opened] == [True] * (len(opened) - 1) + [False]
    assert all(len(part) <= room for *_, part in opened)


@given(KINDS, st.integers(0, 255), st.binary(max_size=20))
def test_a_request_and_its_answer(kind: int, number: int, data: bytes) -> None:
    (request,) = radio.pack_request(kind, number, data)
    assert radio.open_request(request) == (kind, number, False, data)
    assert radio.open_answer(radio.pack_answer(kind, number, radio.DONE, data)) == (kind, number, radio.DONE, data)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_message_or_refused(junk: bytes) -> None:
    for reader, answer in ((radio.open_request, False), (radio.open_answer, True)):
        try:
            reader(junk)
        except BadFrame:
            continue
        assert len(junk) >= 3
        assert bool(junk[0] & radio.IS_ANSWER) is answer


@pytest.mark.parametrize("odd", ["", "01", "0101", "81010000", "010102", "010101", "0401ff"])
def test_no_request(odd: str) -> None:
    with pytest.raises(BadFrame):
        radio.open_request(bytes.fromhex(odd))
