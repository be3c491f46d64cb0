"""Sheets of labels: every band once, on as many pages as it takes, and codes that hold what stands beside them."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
import segno

from bandtool.label import PAGE_MM, QUIET, Sheet, code_of, document, is_code, sheet_of
from steward.domain.ids import Uid
from steward.errors import ConfigError

UIDS = [Uid(f"04A1B2{number:08X}") for number in range(1, 141)]
SVG = "{http://www.w3.org/2000/svg}"
STROKE = re.compile(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z")


def pages(text: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(page) for page in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]


def modules(path: str) -> set[tuple[int, int]]:
    """The dark ones, as they are drawn, without the border."""
    assert STROKE.sub("", path) == ""
    dark = set()
    for x, y, width, back in STROKE.findall(path):
        assert width == back
        dark |= {(int(x) - QUIET + step, int(y) - QUIET) for step in range(int(width))}
    return dark


def test_every_code_is_the_one_of_its_text() -> None:
    (page,) = pages(document(UIDS[:10], sheet_of("5x13", 10), "bench"))
    for group, uid in zip(page.findall(f"{SVG}g"), UIDS[:10], strict=True):
        text = group.findtext(f"{SVG}text")
        assert text == code_of(uid)
        path = group.find(f"{SVG}path")
        assert path is not None
        wanted = segno.make(text, error="h", micro=False, boost_error=False).matrix
        assert modules(path.attrib["d"]) == {
            (x, y) for y, row in enumerate(wanted) for x, dark in enumerate(row) if dark
        }


def test_a_code_tells_no_more_than_the_last_digits_and_notices_a_slip() -> None:
    code = code_of(Uid("04A1B2C3D4E5F6"))
    assert code.startswith("D4E5F6-")
    assert len(code) == 9
    assert is_code(code)
    for slip in ("", "D4E5F6", "D4E5F6-", code[:-1], "E4D5F6" + code[6:], code.replace("-", ""), code + "0"):
        assert not is_code(slip)


@pytest.mark.parametrize(("count", "expected"), [(0, []), (1, [1]), (65, [65]), (66, [65, 1]), (140, [65, 65, 10])])
def test_sheets_paginate(count: int, expected: list[int]) -> None:
    found = pages(document(UIDS[:count], sheet_of("5x13", 10), "bench"))
    assert [len(page.findall(f"{SVG}g")) for page in found] == expected
    told = [text for page in found for text in (group.findtext(f"{SVG}text") for group in page.findall(f"{SVG}g"))]
    assert told == [code_of(uid) for uid in UIDS[:count]]


@pytest.mark.parametrize(("sheet", "margin"), [("5x13", 10.0), ("1x1", 0.0), ("3x8", 8.0), ("8x20", 0.0)])
def test_every_label_lies_within_the_margins_and_its_text_within_the_label(sheet: str, margin: float) -> None:
    plan = sheet_of(sheet, margin)
    width, height = plan.label_mm
    (page,) = pages(document(UIDS[: plan.count][:60], plan, "bench"))
    for place, group in enumerate(page.findall(f"{SVG}g")):
        row, column = divmod(place, plan.columns)
        left, top = margin + column * width, margin + row * height
        path, text = group.find(f"{SVG}path"), group.find(f"{SVG}text")
        assert path is not None
        assert text is not None
        x, y, scale = (float(part) for part in re.findall(r"[\d.]+", path.attrib["transform"]))
        side = scale * (21 + 2 * QUIET)
        letters = float(text.attrib["font-size"]) * 0.62 * len(str(text.text))
        assert left <= x
        assert top <= y
        assert y + side <= top + height + 0.01
        assert x + side <= float(text.attrib["x"])
        assert float(text.attrib["x"]) + letters <= left + width + 0.01
    assert margin + plan.columns * width <= PAGE_MM[0] - margin + 0.01


@pytest.mark.parametrize("text", ["", "5", "x", "5x", "0x4", "5x0", "-1x4", "axb", "5x13x2", "50x60"])
def test_a_sheet_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--sheet"):
        sheet_of(text, 10)


def test_a_title_does_no_harm() -> None:
    assert "<b>" not in document(UIDS[:1], Sheet(2, 2, 5), "<b>")
