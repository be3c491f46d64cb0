"""File settings: the documents' examples, then every rule ChangeFileSettings has, each broken alone."""

import pytest

from bandwire import files
from bandwire.errors import BadFrame, BadParameter, WireError
from bandwire.files import FREE, FULL, MAC, NEVER, PLAIN

SIZE = 256


def le(*values: int) -> str:
    return "".join(value.to_bytes(3, "little").hex() for value in values)


def change(fields: str, option: str = "40", rights: str = "00E0", options: str = "C1", sdm: str = "F121") -> bytes:
    """ChangeFileSettings CmdData in wire order; by default the worked example's head."""
    return bytes.fromhex(option + rights + options + sdm + fields)


def refusal(data: bytes, counter: int = 0, size: int = SIZE) -> type[WireError] | None:
    try:
        files.parse_change(data, size, counter)
    except WireError as error:
        return type(error)
    return None


def test_the_three_factory_answers() -> None:
    for number, answer, rights, size, mode in (
        (files.FILE_CC, "0000" + "00E0" + "200000", (FREE, 0, 0, 0), 32, PLAIN),
        (files.FILE_NDEF, "0000" + "E0EE" + "000100", (FREE, FREE, FREE, 0), 256, PLAIN),
        (files.FILE_TOKEN, "0003" + "3023" + "800000", (2, 3, 3, 0), 128, FULL),
    ):
        settings = files.parse_settings(bytes.fromhex(answer))
        assert (settings.read, settings.write, settings.rw, settings.change) == rights, number
        assert (settings.size, settings.mode, settings.sdm) == (size, mode, False)
        made = files.FileSettings(mode, files.rights_word(*rights), size)
        assert made.encode_settings().hex().upper() == answer


def test_the_published_answer_with_sdm() -> None:
    raw = bytes.fromhex("0040EEEE000100D1FE001F00004400004400002000006A0000")
    settings = files.parse_settings(raw)
    assert settings.sdm
    assert (settings.meta, settings.sdm_read, settings.ctr_ret) == (0, 0, FREE)
    assert (settings.picc_offset, settings.mac_input_offset) == (0x1F, 0x44)
    assert (settings.enc_offset, settings.enc_length, settings.mac_offset) == (0x44, 0x20, 0x6A)
    assert settings.encode_settings() == raw
    settings.check(0)  # raises unless a card would take it


def test_the_published_change() -> None:
    raw = bytes.fromhex("4000E0C1F121200000430000430000")
    settings = files.parse_change(raw, SIZE, 0)
    assert (settings.meta, settings.sdm_read, settings.ctr_ret) == (2, 1, 1)
    assert (settings.read, settings.write, settings.rw, settings.change) == (FREE, 0, 0, 0)
    assert settings.encode_change() == raw


def test_the_worked_example() -> None:
    rights = files.rights_word(FREE, 0, 0, 0)
    settings = files.sun_settings(rights, SIZE, files.sdm_rights_word(2, 1, 1), 24, 59, 59)
    assert settings.encode_change().hex().upper() == "4000E0C1F1211800003B00003B0000"
    assert settings.encode_settings().hex().upper() == "004000E0000100C1F1211800003B00003B0000"
    covering = files.sun_settings(rights, SIZE, files.sdm_rights_word(2, 1, 1), 24, 24, 59)
    assert covering.encode_change().hex().upper() == "4000E0C1F1211800001800003B0000"
    assert refusal(settings.encode_change()) is refusal(covering.encode_change()) is None


@pytest.mark.parametrize(("option", "mode"), [(0, PLAIN), (1, MAC), (2, PLAIN), (3, FULL), (0x40, PLAIN), (0x43, FULL)])
def test_mode_bits(option: int, mode: int) -> None:
    assert files.FileSettings(option, 0, 32).mode == mode


def test_transfer_limits() -> None:
    assert [files.read_limit(mode) for mode in (PLAIN, MAC, FULL)] == [256, 248, 239]
    assert [files.write_limit(mode) for mode in (PLAIN, MAC, FULL)] == [248, 240, 239]


@pytest.mark.parametrize("option", ["04", "08", "10", "20", "80"])
def test_reserved_option_bits_are_refused(option: str) -> None:
    assert refusal(bytes.fromhex(option + "00E0")) is BadParameter


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("nibble", range(16))
def test_access_rights_name_a_key_or_all_or_none(place: int, nibble: int) -> None:
    word = nibble << 4 * place
    data = b"\x00" + word.to_bytes(2, "little")
    assert refusal(data) is (None if nibble <= 4 or nibble >= 14 else BadParameter)


@pytest.mark.parametrize("nibble", range(16))
def test_sdm_nibbles(nibble: int) -> None:
    meta = files.FileSettings(0x40, 0xE000, SIZE)
    meta.sdm_options, meta.sdm_rights = 0x41, files.sdm_rights_word(nibble, NEVER, NEVER)
    assert refusal(meta.encode_change()) is (None if nibble <= 4 or nibble >= 14 else BadParameter)
    read = files.FileSettings(0x40, 0xE000, SIZE)
    read.sdm_options, read.sdm_rights = 0x41, files.sdm_rights_word(NEVER, nibble, NEVER)
    assert refusal(read.encode_change()) is (None if nibble <= 4 or nibble == NEVER else BadParameter)
    counter = files.FileSettings(0x40, 0xE000, SIZE)
    counter.sdm_options, counter.sdm_rights = 0x41, files.sdm_rights_word(NEVER, NEVER, nibble)
    assert refusal(counter.encode_change()) is (None if nibble <= 4 or nibble >= 14 else BadParameter)


GOOD = {
    "picc and mac": change(le(24, 59, 59)),
    "mac input before the mac": change(le(24, 24, 59)),
    "plain uid and counter": change(le(20, 40, 60, 60), sdm="F1E1"),
    "plain uid alone": change(le(20, 60, 60), options="81", sdm="FFE1"),
    "counted, not mirrored": change(le(20, 0xFFFFFF, 60, 60), sdm="F1E1"),
    "nothing mirrored but counted": change("", options="41", sdm="F1FF"),
    "mirrors without a mac": change(le(24), sdm="F12F"),
    "encrypted data": change(le(24, 60, 60, 32, 100), options="D1"),
    "encrypted data up to the mac": change(le(24, 60, 60, 64, 124), options="D1"),
    "limit": change(le(24, 59, 59, 1), options="E1"),
    "everything at the very end": change(le(0, 32, 32, 64, 240), options="D1"),
    "mac first": change(le(16, 0, 0)),
}


@pytest.mark.parametrize("name", GOOD)
def test_taken_and_given_back_unchanged(name: str) -> None:
    settings = files.parse_change(GOOD[name], SIZE, 0)
    assert settings.encode_change() == GOOD[name]
    assert files.parse_settings(settings.encode_settings()).encode_change() == GOOD[name]


@pytest.mark.parametrize("name", GOOD)
def test_one_byte_more_or_less_is_a_wrong_length(name: str) -> None:
    data = GOOD[name]
    for other in (data + b"\x00", data[:-1], data + bytes(3), data[:-3], data[:5], data[:4], data[:2], b""):
        assert refusal(other) is BadFrame, len(other)


def test_without_sdm_there_are_three_bytes() -> None:
    assert refusal(bytes.fromhex("0000E0")) is None
    assert refusal(bytes.fromhex("0000E0C1")) is BadFrame
    assert refusal(bytes.fromhex("0000")) is BadFrame


BROKEN = {
    "not ascii": change(le(24, 59, 59), options="C0"),
    "reserved option bit 1": change(le(24, 59, 59), options="C3"),
    "reserved option bit 2": change(le(24, 59, 59), options="C5"),
    "reserved option bit 3": change(le(24, 59, 59), options="C9"),
    "reserved rights nibble": change(le(24, 59, 59), sdm="0121"),
    "meta without uid or counter": change(le(24, 59, 59), options="01", sdm="FF21"),
    "free meta without uid or counter": change(le(59, 59), options="01", sdm="FFE1"),
    "uid nobody may read": change(le(59, 59), sdm="F1F1"),
    "counter right without a counter": change(le(24, 59, 59), options="81"),
    "limit without a counter": change(le(24, 59, 59, 9), options="A1", sdm="FF21"),
    "encryption without a file key": change(le(24), options="D1", sdm="F12F"),
    "encryption without the uid": change(le(24, 60, 60, 32, 100), options="51"),
    "encryption without the counter": change(le(24, 60, 60, 32, 100), options="91", sdm="FF21"),
    "uid past the end": change(le(243, 40, 60, 60), sdm="F1E1"),
    "counter past the end": change(le(20, 251, 60, 60), sdm="F1E1"),
    "uid has no such thing as not mirrored": change(le(0xFFFFFF, 40, 60, 60), sdm="F1E1"),
    "picc past the end": change(le(225, 59, 59)),
    "mac past the end": change(le(24, 59, 241)),
    "mac input after the mac": change(le(24, 60, 59)),
    "encryption before the mac input": change(le(24, 61, 60, 32, 100), options="D1"),
    "encryption into the mac": change(le(24, 60, 69, 32, 100), options="D1"),
    "encryption of nothing": change(le(24, 60, 60, 0, 100), options="D1"),
    "encryption of half a block": change(le(24, 60, 60, 16, 100), options="D1"),
    "picc over mac": change(le(24, 55, 55)),
    "mac over picc": change(le(24, 9, 9)),
    "uid over counter": change(le(20, 33, 60, 60), sdm="F1E1"),
    "counter over mac": change(le(20, 55, 60, 60), sdm="F1E1"),
    "picc over encrypted data": change(le(70, 60, 60, 32, 150), options="D1"),
    "same place twice": change(le(20, 20, 60, 60), sdm="F1E1"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_rule_broken_alone_is_a_wrong_value(name: str) -> None:
    assert refusal(BROKEN[name]) is BadParameter


def test_the_limit_must_be_above_the_present_counter() -> None:
    data = change(le(24, 59, 59, 100), options="E1")
    assert refusal(data, counter=99) is None
    assert refusal(data, counter=100) is BadParameter


def test_offsets_are_held_against_this_files_size() -> None:
    data = change(le(0, 32, 32))
    assert refusal(data, size=48) is None
    assert refusal(data, size=47) is BadParameter


@pytest.mark.parametrize(
    "raw", ["", "000000E02000", "010000E0200000", "000000E020000000", "004000E0000100", "004000E0000100C1F1"]
)
def test_answers_of_another_shape_are_refused(raw: str) -> None:
    with pytest.raises(BadFrame):
        files.parse_settings(bytes.fromhex(raw))
