"""The station's frames: any payload, any split, any cut, any noise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandwire import bench
from bandwire.errors import BadArgument, BadFrame

FRAMES = st.tuples(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=bench.PAYLOAD_MAX))


def stream(frames: list[tuple[int, int, bytes]]) -> bytes:
    return b"".join(bench.pack_frame(*frame) for frame in frames)


def read(data: bytes, splits: list[int]) -> tuple[list[tuple[int, int, bytes]], int]:
    reader, found, last = bench.FrameReader(), [], 0
    for at in [*sorted(at % (len(data) + 1) for at in splits), len(data)]:
        found += reader.feed(data[last:at])
        last = at
    return found, reader.broken


@given(st.lists(FRAMES, max_size=4), st.lists(st.integers(0, 1 << 20), max_size=12))
def test_whatever_way_a_stream_is_split_the_frames_are_the_same(
    frames: list[tuple[int, int, bytes]], splits: list[int]
) -> None:
    assert read(stream(frames), splits) == (frames, 0)


@given(FRAMES)
def test_no_zero_within_and_never_longer_than_it_says(frame: tuple[int, int, bytes]) -> None:
    line = bench.pack_frame(*frame)
    assert line[:1] == line[-1:] == b"\x00"
    assert b"\x00" not in line[1:-1]
    assert len(line) - 2 <= bench.LINE_MAX


@given(FRAMES, FRAMES, st.integers(0, 1 << 20))
def test_a_frame_cut_anywhere_is_none_and_the_next_is_whole(
    torn: tuple[int, int, bytes], whole: tuple[int, int, bytes], at: int
) -> None:
    line = bench.pack_frame(*torn)
    cut = 1 + at % (len(line) - 2)
    for data in (line[:cut] + bench.pack_frame(*whole), line[cut:] + bench.pack_frame(*whole)):
        found, broken = read(data, [])
        assert found[-1] == whole
        assert len(found) == 1 or (cut == 1 and found == [torn, whole])
        assert broken <= 1


@given(FRAMES, st.integers(0, 1 << 20), st.integers(1, 255))
def test_a_byte_changed_anywhere_is_found(frame: tuple[int, int, bytes], at: int, by: int) -> None:
    line = bytearray(bench.pack_frame(*frame))
    line[1 + at % (len(line) - 2)] ^= by
    found, broken = read(bytes(line), [])
    assert found == []
    assert broken >= 1


@given(st.binary(max_size=5000), FRAMES)
def test_after_any_junk_the_next_frame_but_one_border_is_whole(junk: bytes, frame: tuple[int, int, bytes]) -> None:
    found, _ = read(junk + bench.pack_frame(*frame), [])
    assert found[-1] == frame


def test_a_flood_without_a_border_is_not_kept() -> None:
    reader = bench.FrameReader()
    for _ in range(1000):
        assert reader.feed(b"\x01" * 1000) == []
    assert len(reader._line) <= bench.LINE_MAX
    assert reader.feed(b"\x00" + bench.pack_frame(1, 2, b"x")) == [(1, 2, b"x")]
    assert reader.broken == 1


@pytest.mark.parametrize(
    "line",
    [b"", b"\x01", b"\x02\x01", b"\xff" + b"\x01" * 200, b"\x05\x01\x02\x03", b"\x01\x01\x01\x01\x01\x01"],
)
def test_what_is_no_frame_is_refused(line: bytes) -> None:
    with pytest.raises(BadFrame):
        bench.open_frame(line)


@pytest.mark.parametrize(
    ("kind", "number", "size"), [(256, 0, 0), (-1, 0, 0), (1, 256, 0), (1, -1, 0), (1, 1, bench.PAYLOAD_MAX + 1)]
)
def test_what_cannot_be_sent_is_our_own_mistake(kind: int, number: int, size: int) -> None:
    with pytest.raises(BadArgument):
        bench.pack_frame(kind, number, bytes(size))


def test_numbers_go_round_without_nought() -> None:
    seen, number = [], 0
    for _ in range(600):
        number = bench.next_number(number)
        seen.append(number)
    assert 0 not in seen
    assert seen[:255] == list(range(1, 256)) == seen[255:510]
