"""EV2 authentication from both sides under a key that is not zero."""

from collections.abc import Callable

import pytest
from tests.unit.bandwire import reference
from tests.unit.bandwire.reference import counting
from tests.unit.bandwire.sides import AES, KENC, KEY, KMAC, MORE, OK, RND_A, RND_B, TI, carry, first, pair

from bandwire import apdu
from bandwire.errors import AuthFailed, BadArgument, BadFrame, StatusError, WireError
from bandwire.files import FULL, MAC, PLAIN
from bandwire.session import CardAuth, Channel, ReaderAuth


def test_both_sides_agree_after_first() -> None:
    reader, card = first()
    assert (reader.ti, reader.ctr, reader.key_no) == (card.ti, card.ctr, card.key_no) == (TI, 0, 1)
    for mode in (PLAIN, MAC, FULL):
        assert carry(reader, card, b"ask", b"tell", mode) == (b"ask", b"tell")
    assert reader.ctr == card.ctr == 3


def test_the_session_keys_are_the_documented_ones() -> None:
    reader, _ = first()
    kenc, kmac = reference.session_keys(KEY, RND_A, RND_B)
    assert reader.command(0x51) == Channel(AES, kenc, kmac, TI).command(0x51)
    reader.response(Channel(AES, kenc, kmac, TI, 1).seal(b"1234567", FULL) + OK)
    assert reader.ctr == 1


def test_nonfirst_keeps_identifier_and_counter_with_new_keys() -> None:
    old_reader, old_card = first()
    carry(old_reader, old_card, b"x", b"y", MAC)
    other = counting(0x77, 16)
    reader = ReaderAuth(AES, 4, other, RND_B, False, old_reader)
    card = CardAuth(AES, 4, other, RND_A, False, running=old_card)
    assert reader.start().hex() == "90770000010400"
    part2 = apdu.parse(reader.step(card.challenge() + MORE))
    answer, at_card = card.verify(part2.data)
    assert len(answer) == 16
    at_reader = reader.finish(answer + OK)
    assert (at_reader.ti, at_reader.ctr, at_reader.key_no) == (at_card.ti, at_card.ctr, at_card.key_no) == (TI, 1, 4)
    assert not old_reader.alive
    assert not old_card.alive
    assert carry(at_reader, at_card, b"ask", b"tell", FULL) == (b"ask", b"tell")
    assert at_reader.ctr == 2


@pytest.mark.parametrize(
    ("sent", "echoed"), [(b"", bytes(6)), (b"\x02", b"\x02" + bytes(5)), (counting(1, 8), counting(1, 6))]
)
def test_capabilities_are_cut_or_padded_and_echoed(sent: bytes, echoed: bytes) -> None:
    reader, card = ReaderAuth(AES, 0, KEY, RND_A), CardAuth(AES, 0, KEY, RND_B, True, sent)
    reader.start()
    answer, _ = card.verify(apdu.parse(reader.step(card.challenge() + MORE)).data, TI)
    plain = AES.cbc_decrypt(KEY, bytes(16), answer)
    assert plain == TI + RND_A[1:] + RND_A[:1] + bytes(6) + echoed


def test_card_refuses_another_key_and_never_uses_a_challenge_twice() -> None:
    reader, card = ReaderAuth(AES, 1, counting(0x12, 16), RND_A), CardAuth(AES, 1, KEY, RND_B)
    reader.start()
    part2 = apdu.parse(reader.step(card.challenge() + MORE)).data
    with pytest.raises(AuthFailed):
        card.verify(part2, TI)
    for again in (card.challenge, lambda: card.verify(part2, TI)):
        with pytest.raises(BadArgument, match="new authentication"):
            again()


@pytest.mark.parametrize("size", [0, 16, 31, 33, 48])
def test_card_refuses_part_2_of_another_size(size: int) -> None:
    card = CardAuth(AES, 1, KEY, RND_B)
    with pytest.raises(BadFrame):
        card.verify(bytes(size), TI)
    with pytest.raises(BadArgument):
        card.verify(bytes(32), TI)


def test_card_refuses_every_flipped_bit_of_the_proof() -> None:
    reader = ReaderAuth(AES, 1, KEY, RND_A)
    reader.start()
    part2 = apdu.parse(reader.step(CardAuth(AES, 1, KEY, RND_B).challenge() + MORE)).data
    for bit in range(256):
        flipped = bytearray(part2)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(AuthFailed):
            CardAuth(AES, 1, KEY, RND_B).verify(bytes(flipped), TI)


def test_reader_refuses_a_card_without_the_key() -> None:
    reader, impostor = ReaderAuth(AES, 1, KEY, RND_A), CardAuth(AES, 1, counting(0x12, 16), RND_B)
    reader.start()
    reader.step(impostor.challenge() + MORE)
    with pytest.raises(AuthFailed, match="did not prove"):
        reader.finish(counting(5, 32) + OK)


def test_reader_refuses_its_own_words_thrown_back() -> None:
    reader = ReaderAuth(AES, 1, KEY, RND_A)
    reader.start()
    part2 = apdu.parse(reader.step(CardAuth(AES, 1, KEY, RND_B).challenge() + MORE)).data
    with pytest.raises(AuthFailed):
        reader.finish(part2 + OK)


def test_reader_refuses_a_card_that_wants_lrp() -> None:
    for r1 in (bytes(17) + MORE,):
        reader = ReaderAuth(AES, 1, KEY, RND_A)
        reader.start()
        with pytest.raises(BadFrame):
            reader.step(r1)
    reader = ReaderAuth(AES, 1, KEY, RND_A)
    reader.start()
    reader.step(CardAuth(AES, 1, KEY, RND_B).challenge() + MORE)
    answer = AES.cbc_encrypt(KEY, bytes(16), TI + RND_A[1:] + RND_A[:1] + b"\x02" + bytes(11))
    with pytest.raises(AuthFailed, match="LRP"):
        reader.finish(answer + OK)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"\x91\xad", StatusError),
        (b"\x91\xae", StatusError),
        (b"\x6a\x82", StatusError),
        (bytes(16) + OK, StatusError),
        (MORE, BadFrame),
        (bytes(15) + MORE, BadFrame),
        (b"", BadFrame),
        (b"\x91", BadFrame),
    ],
)
def test_reader_refuses_any_other_first_answer(answer: bytes, error: type[WireError]) -> None:
    running, _ = pair()
    reader = ReaderAuth(AES, 1, KEY, RND_A, False, running)
    reader.start()
    with pytest.raises(error):
        reader.step(answer)
    assert not running.alive
    for later in (lambda: reader.step(bytes(16) + MORE), lambda: reader.finish(bytes(16) + OK)):
        with pytest.raises(BadArgument, match="order"):
            later()


@pytest.mark.parametrize("answer", [bytes(16) + OK, bytes(31) + OK, bytes(33) + OK, OK, bytes(32) + MORE, b"\x91\xae"])
def test_reader_refuses_any_other_second_answer(answer: bytes) -> None:
    reader = ReaderAuth(AES, 1, KEY, RND_A)
    reader.start()
    reader.step(bytes(16) + MORE)
    with pytest.raises((StatusError, BadFrame)):
        reader.finish(answer)


def test_steps_go_in_order_and_once() -> None:
    reader = ReaderAuth(AES, 1, KEY, RND_A)
    for early in (lambda: reader.step(bytes(16) + MORE), lambda: reader.finish(bytes(32) + OK)):
        with pytest.raises(BadArgument, match="order"):
            early()
    reader.start()
    with pytest.raises(BadArgument, match="order"):
        reader.start()


def test_first_and_nonfirst_take_what_belongs_to_them() -> None:
    running, dead = pair()
    dead.wipe()
    calls: list[Callable[[], object]] = [
        lambda: ReaderAuth(AES, 1, KEY, RND_A, False),
        lambda: ReaderAuth(AES, 1, KEY, RND_A, True, running),
        lambda: ReaderAuth(AES, 1, KEY, RND_A, False, dead),
        lambda: ReaderAuth(AES, 1, KEY[:15], RND_A),
        lambda: ReaderAuth(AES, 1, KEY, RND_A[:15]),
        lambda: CardAuth(AES, 1, KEY, RND_B, False),
        lambda: CardAuth(AES, 1, KEY, RND_B, True, running=running),
        lambda: CardAuth(AES, 1, KEY, RND_B, False, running=dead),
        lambda: CardAuth(AES, 1, KEY, RND_B[:15]),
        lambda: Channel(AES, KENC, KMAC, TI[:3]),
    ]
    for call in calls:
        with pytest.raises(BadArgument):
            call()
