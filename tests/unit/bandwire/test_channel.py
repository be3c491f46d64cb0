"""EV2 secure messaging from both sides, and everything that must end a session."""

import pytest
from tests.unit.bandwire import reference
from tests.unit.bandwire.reference import counting
from tests.unit.bandwire.sides import AES, KENC, KEY, KMAC, OK, RND_A, RND_B, TI, carry, pair

from bandwire import apdu
from bandwire.errors import BadArgument, BadMac, BadPadding, RemoteError, StatusError
from bandwire.files import FULL, MAC, PLAIN
from bandwire.session import CardAuth, Channel, ReaderAuth


def test_full_mode_on_the_wire_is_the_documented_one() -> None:
    reader, card = pair(0x0102)
    raw = reader.command(0x8D, b"\x03", b"data", FULL)
    bound = b"\x02\x01" + TI
    iv = reference.ecb(KENC, b"\xa5\x5a" + TI + b"\x02\x01" + bytes(8))
    ct = reference.cbc(KENC, iv, b"data\x80" + bytes(11))
    mac = reference.short_cmac(KMAC, b"\x8d" + bound + b"\x03" + ct)
    assert raw == b"\x90\x8d\x00\x00\x19\x03" + ct + mac + b"\x00"
    card.open(0x8D, b"\x03", ct + mac, FULL)
    bound = b"\x03\x01" + TI
    iv = reference.ecb(KENC, b"\x5a\xa5" + TI + b"\x03\x01" + bytes(8))
    ct = reference.cbc(KENC, iv, b"answer\x80" + bytes(9))
    assert card.seal(b"answer", FULL) == ct + reference.short_cmac(KMAC, b"\x00" + bound + ct)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 128, 239])
def test_padding_is_always_added_but_never_to_nothing(size: int) -> None:
    reader, card = pair()
    data = counting(1, size)
    sealed_size = (size // 16 + 1) * 16 + 8 if size else 8
    reader.command(0xAD, b"", b"", FULL)
    card.open(0xAD, b"", Channel(AES, KENC, KMAC, TI).command(0xAD)[5:-1], FULL)
    sealed = card.seal(data, FULL)
    assert len(sealed) == sealed_size
    assert reader.response(sealed + OK) == data


@pytest.mark.parametrize("data", [b"\x80", bytes(16), b"\x80" + bytes(15), b"a\x80\x00", bytes(15) + b"\x80"])
def test_data_that_looks_like_padding_survives(data: bytes) -> None:
    reader, card = pair()
    assert carry(reader, card, data, data, FULL) == (data, data)


def sealed_command(data: bytes, mode: int) -> bytes:
    return apdu.parse(pair()[0].command(0x8D, b"\x03", data, mode)).data[1:]


@pytest.mark.parametrize("mode", [MAC, FULL])
def test_card_refuses_every_flipped_bit_and_ends(mode: int) -> None:
    body = sealed_command(b"hello", mode)
    for bit in range(len(body) * 8):
        flipped = bytearray(body)
        flipped[bit // 8] ^= 1 << bit % 8
        _, card = pair()
        with pytest.raises(BadMac):
            card.open(0x8D, b"\x03", bytes(flipped), mode)
        assert not card.alive
        with pytest.raises(BadArgument, match="over"):
            card.open(0x8D, b"\x03", body, mode)


@pytest.mark.parametrize("mode", [MAC, FULL])
def test_reader_refuses_every_flipped_bit_and_ends(mode: int) -> None:
    _, card = pair()
    card.open(0x8D, b"\x03", sealed_command(b"hello", mode), mode)
    answer = card.seal(b"world", mode)
    for bit in range(len(answer) * 8):
        flipped = bytearray(answer)
        flipped[bit // 8] ^= 1 << bit % 8
        reader, _ = pair()
        reader.command(0x8D, b"\x03", b"hello", mode)
        with pytest.raises(BadMac):
            reader.response(bytes(flipped) + OK, mode)
        assert not reader.alive
        with pytest.raises(BadArgument, match="over"):
            reader.command(0x51)


def test_the_mac_covers_instruction_header_counter_identifier_and_keys() -> None:
    body = sealed_command(b"hello", FULL)
    for channel, ins, header in (
        (pair()[1], 0x8C, b"\x03"),
        (pair()[1], 0x8D, b"\x02"),
        (pair()[1], 0x8D, b""),
        (pair(1)[1], 0x8D, b"\x03"),
        (Channel(AES, KENC, KMAC, b"\xde\xad\xbe\xee"), 0x8D, b"\x03"),
        (Channel(AES, KENC, KENC, TI), 0x8D, b"\x03"),
    ):
        with pytest.raises(BadMac):
            channel.open(ins, header, body, FULL)


@pytest.mark.parametrize("size", range(9))
def test_a_missing_or_cut_mac_is_refused_on_both_sides(size: int) -> None:
    reader, card = pair()
    with pytest.raises(BadMac):
        card.open(0x8D, b"\x03", bytes(size), MAC)
    reader.command(0x8D, b"\x03", b"", MAC)
    with pytest.raises(BadMac):
        reader.response(bytes(size) + OK, MAC)


def test_an_old_command_or_answer_is_refused() -> None:
    reader, card = pair()
    body = sealed_command(b"hello", FULL)
    card.open(0x8D, b"\x03", body, FULL)
    answer = card.seal(b"", FULL)
    with pytest.raises(BadMac):
        card.open(0x8D, b"\x03", body, FULL)
    reader.command(0x8D, b"\x03", b"hello", FULL)
    reader.response(answer + OK, FULL)
    reader.command(0x8D, b"\x03", b"hello", FULL)
    with pytest.raises(BadMac):
        reader.response(answer + OK, FULL)


@pytest.mark.parametrize("block", [bytes(16), b"\x80" * 15 + b"\x01", b"\x00" * 15 + b"\x81", b"\x01" + bytes(15)])
def test_padding_is_checked_under_a_right_mac(block: bytes) -> None:
    iv = reference.ecb(KENC, b"\xa5\x5a" + TI + bytes(10))
    ct = reference.cbc(KENC, iv, block)
    mac = reference.short_cmac(KMAC, b"\x8d\x00\x00" + TI + ct)
    _, card = pair()
    with pytest.raises(BadPadding):
        card.open(0x8D, b"", ct + mac, FULL)
    assert not card.alive


@pytest.mark.parametrize("size", [1, 8, 24, 31])
def test_cipher_text_in_pieces_of_blocks_is_refused_under_a_right_mac(size: int) -> None:
    mac = reference.short_cmac(KMAC, b"\x8d\x00\x00" + TI + bytes(size))
    with pytest.raises(BadPadding):
        pair()[1].open(0x8D, b"", bytes(size) + mac, FULL)


def test_padding_of_a_whole_block_of_zeros_before_it_is_not_searched() -> None:
    # 80 must stand in the last block: one block earlier is data.
    iv = reference.ecb(KENC, b"\xa5\x5a" + TI + bytes(10))
    ct = reference.cbc(KENC, iv, bytes(15) + b"\x80" + bytes(16))
    mac = reference.short_cmac(KMAC, b"\x8d\x00\x00" + TI + ct)
    with pytest.raises(BadPadding):
        pair()[1].open(0x8D, b"", ct + mac, FULL)


@pytest.mark.parametrize("mode", [PLAIN, MAC, FULL])
def test_the_counter_runs_out(mode: int) -> None:
    reader, card = pair(0xFFFE)
    assert carry(reader, card, b"a", b"b", mode) == (b"a", b"b")
    assert reader.ctr == card.ctr == 0xFFFF
    with pytest.raises(BadMac, match="used up"):
        card.open(0x8D, b"\x03", b"", mode)
    with pytest.raises(BadArgument, match="authenticate again"):
        reader.command(0x8D, b"\x03", b"", mode)
    assert not card.alive
    assert not reader.alive


@pytest.mark.parametrize("sw", ["911E", "91AE", "6982", "91AF", "9000"])
def test_any_other_status_ends_the_readers_session(sw: str) -> None:
    reader, card = pair()
    card.open(0x51, b"", apdu.parse(reader.command(0x51)).data, FULL)
    with pytest.raises(StatusError) as caught:
        reader.response(card.seal(b"1234567", FULL) + bytes.fromhex(sw))
    assert caught.value.sw == int(sw, 16)
    assert not reader.alive


def test_a_command_waits_for_its_answer() -> None:
    reader, _ = pair()
    with pytest.raises(BadArgument, match="without a command"):
        reader.response(OK)
    reader, _ = pair()
    reader.command(0x51)
    with pytest.raises(BadArgument, match="before the last answer"):
        reader.command(0x51)
    assert not reader.alive


def test_a_command_too_long_to_send_leaves_the_session_as_it_was() -> None:
    reader, card = pair()
    with pytest.raises(BadArgument, match="255"):
        reader.command(0x8D, b"\x03", bytes(240), FULL)
    assert carry(reader, card, b"a", b"b", FULL) == (b"a", b"b")


def test_getversion_is_maced_once_over_its_three_frames() -> None:
    reader, card = pair()
    version = counting(0, 28)
    card.open(0x60, b"", apdu.parse(reader.command(0x60, mode=MAC)).data, MAC)
    sealed = card.seal(version, MAC)
    assert reader.response(sealed[:7] + sealed[7:14] + sealed[14:] + OK, MAC) == version
    assert reader.ctr == card.ctr == 1


def test_closing_response_ends_the_session_whatever_comes() -> None:
    reader, _ = pair()
    reader.closing_response(OK)
    assert not reader.alive
    for answer in (b"\x91\x1e", bytes(8) + OK, b""):
        reader, _ = pair()
        with pytest.raises(RemoteError):
            reader.closing_response(answer)
        assert not reader.alive


def test_wipe_forgets_the_keys_and_may_be_repeated() -> None:
    reader, _ = pair()
    reader.wipe()
    reader.wipe()
    held = [getattr(reader, name) for name in Channel.__slots__ if name != "_aes"]
    assert KENC not in held
    assert KMAC not in held
    assert TI not in held
    for call in (lambda: reader.command(0x51), lambda: reader.response(OK), lambda: reader.seal(b"", MAC)):
        with pytest.raises(BadArgument, match="over"):
            call()


def test_no_key_shows_in_a_repr_or_a_message() -> None:
    reader, card = pair()
    texts = [repr(reader), repr(ReaderAuth(AES, 1, KEY, RND_A)), repr(CardAuth(AES, 1, KEY, RND_B))]
    with pytest.raises(BadMac) as caught:
        card.open(0x51, b"", bytes(8), FULL)
    texts.append(str(caught.value))
    for secret in (KEY, KENC, KMAC, RND_B):
        for text in texts:
            assert secret.hex() not in text.lower()
            assert repr(secret) not in text
