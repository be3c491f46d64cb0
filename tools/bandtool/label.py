"""Labels for finished bands: a short id and a QR code, on sheets for a printer. For the bag or the box it lies in.

The code holds what stands beside it and nothing more: the last six digits of the UID, a dash and two check digits.
No key, no guest, no address. Who has a band in hand could read as much from it; still, take the label off before the
band is worn, because it is the same every day.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Sequence
from dataclasses import dataclass

from bandtool.bands import SHORT, short_id
from steward.domain.ids import Uid
from steward.errors import ConfigError

PAGE_MM = (210.0, 297.0)
LABEL_MIN_MM = (20.0, 12.0)
QUIET = 4  # light modules around a code, as its standard asks
_PAD_MM = 1.5
_CHECK = 2
_STYLE = "@page{size:A4;margin:0}body{margin:0}svg{display:block;width:210mm;height:297mm;break-after:page}"


@dataclass(frozen=True, slots=True)
class Sheet:
    """Labels across and down, and the margin on every side in mm."""

    columns: int
    rows: int
    margin_mm: float

    @property
    def label_mm(self) -> tuple[float, float]:
        width, height = (side - 2 * self.margin_mm for side in PAGE_MM)
        return width / self.columns, height / self.rows

    @property
    def count(self) -> int:
        return self.columns * self.rows


def sheet_of(text: str, margin_mm: float) -> Sheet:
    """Of COLSxROWS. Raises ConfigError."""
    columns, found, rows = text.lower().partition("x")
    if not found or not (columns.isdecimal() and rows.isdecimal()) or not (int(columns) and int(rows)):
        raise ConfigError("--sheet", f"is {text!r}: give labels across and down, such as 5x13")
    sheet = Sheet(int(columns), int(rows), margin_mm)
    width, height = sheet.label_mm
    if width < LABEL_MIN_MM[0] or height < LABEL_MIN_MM[1]:
        least = " x ".join(f"{side:g}" for side in LABEL_MIN_MM)
        raise ConfigError("--sheet", f"makes labels of {width:.0f} x {height:.0f} mm: at least {least} can be read")
    return sheet


def code_of(uid: Uid) -> str:
    """What the QR code of a band holds."""
    short = short_id(uid)
    return f"{short}-{_check(short)}"


def is_code(text: str) -> bool:
    """Whether a scanner read such a code whole."""
    short, dash, check = text.partition("-")
    return dash == "-" and len(short) == SHORT and check == _check(short)


def document(uids: Sequence[Uid], sheet: Sheet, title: str) -> str:
    """An HTML page to print: a sheet of A4 for each sheet.count labels. Prints at its own size: choose no scaling."""
    pages = [uids[at : at + sheet.count] for at in range(0, len(uids), sheet.count)]
    body = "\n".join(_page(page, sheet) for page in pages)
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def _page(uids: Sequence[Uid], sheet: Sheet) -> str:
    width, height = sheet.label_mm
    labels = []
    for place, uid in enumerate(uids):
        row, column = divmod(place, sheet.columns)
        labels.append(_label(uid, sheet.margin_mm + column * width, sheet.margin_mm + row * height, (width, height)))
    view = " ".join(f"{side:g}" for side in (0, 0, *PAGE_MM))
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view}">\n' + "\n".join(labels) + "\n</svg>"


def _label(uid: Uid, left: float, top: float, size: tuple[float, float]) -> str:
    """The code at the left, its text beside it."""
    text = code_of(uid)
    side = min(size[1], size[0] / 2) - 2 * _PAD_MM
    room = size[0] - side - 3 * _PAD_MM
    letters = min(room / (len(text) * 0.62), size[1] / 3)
    at = f"{left + side + 2 * _PAD_MM:.2f}", f"{top + size[1] / 2 + letters / 3:.2f}"
    words = f'<text x="{at[0]}" y="{at[1]}" font-family="monospace" font-size="{letters:.2f}">{text}</text>'
    return f'<g id="band-{text}">{_code(text, left + _PAD_MM, top + (size[1] - side) / 2, side)}{words}</g>'


def _code(text: str, left: float, top: float, side: float) -> str:
    """Each run of dark modules is one stroke of a path, counted in modules with the light border."""
    import segno

    matrix = segno.make(text, error="h", micro=False, boost_error=False).matrix
    scale = side / (len(matrix) + 2 * QUIET)
    strokes = []
    for y, row in enumerate(matrix):
        x = 0
        while x < len(row):
            run = x
            while run < len(row) and row[run]:
                run += 1
            if run > x:
                strokes.append(f"M{x + QUIET} {y + QUIET}h{run - x}v1h-{run - x}z")
            x = max(run, x + 1)
    place = f"translate({left:.3f} {top:.3f}) scale({scale:.5f})"
    return f'<path transform="{place}" d="{"".join(strokes)}"/>'


def _check(short: str) -> str:
    return hashlib.sha256(short.encode()).hexdigest()[:_CHECK].upper()
