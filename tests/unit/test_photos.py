"""Photos keep the picture and lose everything else; what is no whole picture is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.manifestkit import SECRET, chunk, exif, jpeg, png, segment

from steward.domain.photos import SIDE_MAX, BadPhoto, clean_photo
from steward.domain.profiles import PHOTO_BYTES_MAX


@pytest.mark.parametrize("raw", [jpeg(), png()], ids=["jpeg", "png"])
def test_only_the_picture_is_left(raw: bytes) -> None:
    cleaned = clean_photo(raw)
    assert raw.count(SECRET) >= 4
    assert SECRET not in cleaned
    for part in (SECRET[:8], b"phone-7", b"ABCD", b"http", b"MPF", b"Photoshop", b"tIME", b"eXIf"):
        assert part not in cleaned
    assert clean_photo(cleaned) == cleaned


def test_a_jpegs_picture_is_untouched() -> None:
    cleaned = clean_photo(jpeg(scan=b"\x00\xff\x00\xff\xd7\x99" * 7))
    assert cleaned.count(b"\x00\xff\x00\xff\xd7\x99" * 7) == 2  # both scans
    kinds = [mark for mark in re.findall(rb"\xff([\xc0-\xfe])", cleaned) if not 0xD0 <= mark[0] <= 0xD7]
    assert [mark[0] for mark in kinds] == [0xD8, 0xE0, 0xEE, 0xDB, 0xC0, 0xC4, 0xDA, 0xDA, 0xD9]
    assert b"JFIF\x00\x01\x02\x00\x00\x01\x00\x01\x00\x00\xff" in cleaned  # without thumbnail
    assert b"Adobe\x00\x64\x00\x00\x00\x00\x01\xff" in cleaned  # says how colours are coded


@pytest.mark.parametrize("turned", [2, 3, 6, 8])
@pytest.mark.parametrize("big", [True, False])
def test_a_photo_taken_upright_stays_upright(turned: int, big: bool) -> None:
    plain = clean_photo(jpeg())
    raw = plain[:2] + segment(0xE1, exif(turned, big=big)) + plain[2:]
    cleaned = clean_photo(raw)
    assert cleaned.count(b"Exif") == 1
    assert b"\x01\x12\x00\x03\x00\x00\x00\x01\x00" + bytes([turned]) in cleaned
    assert b"\x88\x25" not in cleaned
    assert b"\x25\x88" not in cleaned
    assert clean_photo(cleaned) == cleaned


@pytest.mark.parametrize("odd", [0, 1, 9, 0xFFFF])
def test_an_orientation_that_means_nothing_is_dropped(odd: int) -> None:
    assert b"Exif" not in clean_photo(jpeg(orientation=odd))


@pytest.mark.parametrize(
    "block", [b"Exif\x00\x00", b"Exif\x00\x00MM\x00\x2a\xff\xff\xff\xff", b"Exif\x00\x00XX\x00\x2a" * 4]
)
def test_a_broken_exif_block_is_dropped(block: bytes) -> None:
    plain = clean_photo(jpeg())
    assert clean_photo(plain[:2] + segment(0xE1, block) + plain[2:]) == plain


WRONG = {
    "empty": (b"", "neither a JPEG nor a PNG"),
    "gif": (b"GIF89a" + bytes(64), "neither"),
    "script": (b"<svg onload=alert(1)>", "neither"),
    "head only": (b"\xff\xd8\xff", "damaged"),
    "no picture": (b"\xff\xd8\xff\xd9", "damaged"),
    "no frame": (b"\xff\xd8" + segment(0xDA, b"\x01") + b"\x00\xff\xd9", "damaged"),
    "too wide": (jpeg(width=SIDE_MAX + 1), f"{SIDE_MAX + 1} by 800"),
    "no height": (jpeg(height=0), "600 by 0"),
    "png bomb": (png()[:8] + chunk(b"IHDR", b"\x00\x00\xff\xff" * 2 + b"\x08\x00\x00\x00\x00"), "65535 by 65535"),
    "png without head": (b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", b"x") + chunk(b"IEND", b""), "damaged"),
    "png without data": (png()[:33] + chunk(b"IEND", b""), "damaged"),
    "too large": (jpeg(scan=bytes(PHOTO_BYTES_MAX)), "400 kB, at most 200"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_photo_is_refused_with_a_remedy(name: str) -> None:
    raw, told = WRONG[name]
    with pytest.raises(BadPhoto, match=told) as caught:
        clean_photo(raw)
    assert caught.value.remedy


@pytest.mark.parametrize("raw", [jpeg(), png()], ids=["jpeg", "png"])
def test_a_photo_cut_off_anywhere_is_refused(raw: bytes) -> None:
    whole = clean_photo(raw)
    for end in range(len(whole)):
        with pytest.raises(BadPhoto):
            clean_photo(whole[:end])


@given(st.binary(max_size=200), st.integers(0, 400), st.booleans())
def test_no_bytes_do_more_than_be_refused(junk: bytes, at: int, is_png: bool) -> None:
    raw = png() if is_png else jpeg()
    torn = raw[: min(at, len(raw))] + junk + raw[at:]
    try:
        cleaned = clean_photo(torn)
    except BadPhoto:
        return
    assert clean_photo(cleaned) == cleaned
    assert SECRET not in cleaned or SECRET in junk
