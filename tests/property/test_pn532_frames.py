"""The NFC chip's frames: byte for byte by the figures of its manual, and whatever a line does to them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.micropython.pn532kit import ACK, NACK, SYNTAX_ERROR, bodies, frame
from tests.sim import bands as _device_path  # noqa: F401 - puts the device's code on the path

from band import pn532frames as frames  # type: ignore[import-not-found,unused-ignore]

CODES = st.integers(0, 127).map(lambda half: 2 * half)
DATA = st.binary(max_size=frames.DATA_MAX)
NOISE = st.binary(max_size=60)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    marks = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[low:high] for low, high in pairwise(marks)]


def read(pieces: list[bytes]) -> list[tuple[int, int, bytes]]:
    reader = frames.FrameReader()
    return [found for piece in pieces for found in reader.feed(piece)]


# The manual's own figures: commands and answers as they stand in its examples and tables.
@pytest.mark.parametrize(
    ("code", "data", "written"),
    [
        (0x02, "", "00 00FF 02 FE D4 02 2A 00"),  # GetFirmwareVersion
        (0x14, "01", "00 00FF 03 FD D4 14 01 17 00"),  # SAMConfiguration, normal mode
        (0x14, "010001", "00 00FF 05 FB D4 14 01 00 01 16 00"),
        (0x12, "20", "00 00FF 03 FD D4 12 20 FA 00"),  # SetParameters, ISO 14443-4 card
        (0x86, "", "00 00FF 02 FE D4 86 A6 00"),  # TgGetData
        (0x8E, "9000", "00 00FF 04 FC D4 8E 90 00 0E 00"),  # TgSetData
        (0x04, "", "00 00FF 02 FE D4 04 28 00"),  # GetGeneralStatus
    ],
)
def test_a_command_is_written_as_the_manual_writes_it(code: int, data: str, written: str) -> None:
    assert frames.pack_command(code, bytes.fromhex(data)) == bytes.fromhex(written)


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, "02 FE"),
        (253, "FF 01"),  # the longest normal frame: 255 with TFI and code
        (254, "FF FF 01 00 FF"),
        (262, "FF FF 01 08 F7"),  # the longest one of all
    ],
)
def test_from_256_bytes_on_a_frame_is_an_extended_one(size: int, head: str) -> None:
    packed = frames.pack_command(0x8E, bytes(size))
    begin = bytes.fromhex("0000FF" + head)
    assert packed.startswith(begin + b"\xd4\x8e")
    assert len(packed) == len(begin) + 2 + size + 2


def test_a_command_longer_than_the_chip_takes_is_a_mistake() -> None:
    with pytest.raises(AssertionError):
        frames.pack_command(0x8E, bytes(264))


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("0000FF00FF00", [(frames.ACK, 0, b"")]),
        ("0000FFFF0000", [(frames.NACK, 0, b"")]),
        ("0000FF01FF7F8100", [(frames.ERROR, 0, b"")]),
        ("0000FF06FAD50332010607E800", [(frames.ANSWER, 0x03, bytes.fromhex("32010607"))]),
        ("0000FF02FED5151600", [(frames.ANSWER, 0x15, b"")]),
        ("0000FF05FBD58D08E0803600", [(frames.ANSWER, 0x8D, bytes.fromhex("08E080"))]),
        ("0000FF03FDD587297B00", [(frames.ANSWER, 0x87, b"\x29")]),
        ("0000FFFFFF000700", []),  # extended, its length not whole yet
        ("0000FF02FED4022A00", []),  # our own command, come back
        ("0000FF000000", []),  # a length of nothing
        ("0000FFFFFF0200FE" + "D5", []),  # longer than the chip's longest
        ("0000FF06FBD50332010607E800", []),  # LCS wrong
        ("0000FF06FAD50332010607E900", [(frames.DAMAGED, 0, b"")]),  # DCS wrong
        ("0000FF01FF7E8200", []),  # one byte that is no error
        ("0000FF01FFD52B00", []),  # an answer without a code
        ("", []),
    ],
)
def test_what_the_chip_sends_is_read_byte_by_byte(raw: str, found: list[tuple[int, int, bytes]]) -> None:
    data = bytes.fromhex(raw)
    assert read([data]) == found
    assert read([bytes([byte]) for byte in data]) == found


@given(CODES, DATA)
def test_what_is_written_is_what_the_chip_reads(code: int, data: bytes) -> None:
    assert bodies(frames.pack_command(code, data)) == ([bytes([code]) + data], b"\x00")


ANSWERS = st.lists(st.tuples(CODES, DATA), min_size=1, max_size=4)


@given(ANSWERS, st.lists(st.integers(0, 1 << 20), max_size=10))
def test_whatever_way_a_stream_is_split_the_answers_are_the_same(
    answers: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(ACK + frame(bytes([code + 1]) + data) for code, data in answers)
    expected = [found for code, data in answers for found in ((frames.ACK, 0, b""), (frames.ANSWER, code + 1, data))]
    assert read(split(stream, cuts)) == expected


@given(NOISE, st.lists(st.tuples(CODES, DATA, NOISE), min_size=1, max_size=3), st.integers(0, 1 << 20))
def test_an_answer_is_found_in_noise(noise: bytes, rest: list[tuple[int, bytes, bytes]], cut: int) -> None:
    """Noise may make up a frame that has begun: the reader then waits, and what it waited for is found in it."""
    stream = noise + b"".join(frame(bytes([code + 1]) + data) + behind for code, data, behind in rest)
    reader = frames.FrameReader()
    found = [each for piece in split(stream, [cut]) for each in reader.feed(piece)]
    found += reader.feed(bytes(frames.FRAME_MAX))
    for code, data, _ in rest:
        assert (frames.ANSWER, code + 1, data) in found


@given(CODES, DATA, st.integers(0, 1 << 20), st.integers(1, 255))
def test_a_bent_byte_never_makes_another_answer(code: int, data: bytes, at: int, flip: int) -> None:
    whole = bytearray(frame(bytes([code + 1]) + data))
    whole[at % len(whole)] ^= flip
    found = [each for each in read([bytes(whole), bytes(frames.FRAME_MAX)]) if each[0] == frames.ANSWER]
    assert found in ([], [(frames.ANSWER, code + 1, data)])


@given(CODES, DATA, st.integers(0, 1 << 20))
@example(0x86, b"\x00\xa4", 7)  # a 00 adds nothing to a checksum: the one after it takes its place
def test_a_lost_byte_never_makes_another_answer(code: int, data: bytes, at: int) -> None:
    whole = bytearray(frame(bytes([code + 1]) + data))
    at %= len(whole)
    del whole[at]
    found = [each for each in read([bytes(whole)]) if each[0] == frames.ANSWER]
    assert found == ([(frames.ANSWER, code + 1, data)] if at < 2 else [])


@given(st.binary(max_size=2000))
def test_noise_is_never_held_beyond_the_longest_frame(data: bytes) -> None:
    reader = frames.FrameReader()
    for at in range(0, len(data), 64):
        reader.feed(data[at : at + 64])
        assert len(reader._held) <= frames.FRAME_MAX + 64


def test_a_reader_that_is_cleared_starts_anew() -> None:
    reader = frames.FrameReader()
    reader.feed(bytes.fromhex("0000FF06FAD503"))
    assert reader.torn
    reader.clear()
    assert not reader.torn
    assert reader.feed(ACK) == [(frames.ACK, 0, b"")]


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (ACK + frame(b"\x87\x00"), 6),
        (NACK, 6),
        (SYNTAX_ERROR + b"\x00", 8),
        (frame(b"\x87\x00\x90\x00")[:9], 12),  # cut: longer than what is there
        (frame(b"\x87" + bytes(260))[:40], 272),
        (b"", 0),
        (b"\x00" * 40, 0),
        (b"\x00\x00\xff\xff\xff\x01", 0),
    ],
)
def test_where_a_frame_ends_is_known_from_its_head(data: bytes, end: int) -> None:
    assert frames.first_end(data) == end
    if 0 < end <= len(data):
        assert len(read([data[:end]])) == 1
