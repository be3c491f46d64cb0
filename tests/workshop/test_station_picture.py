"""The README's picture of a station: the one that is kept, and one taken now of real bands, are of the same screen."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console

import voyage
from bandtool.bands import Place
from bandtool.screen import LiveScreen, Tally
from voyage.stationpicture import BANDS, taken

KEPT = Path(voyage.__file__).parent / "pictures" / "station.svg"
AGAIN = "make it anew: python -m voyage.stationpicture tools/voyage/pictures/station.svg"
SVG = "{http://www.w3.org/2000/svg}"
BYTES_MAX = 60_000


def lines(svg: str) -> list[str]:
    """What is written in it, line by line."""
    found: dict[float, list[tuple[float, str]]] = {}
    for text in ElementTree.fromstring(svg).iter(f"{SVG}text"):
        found.setdefault(float(text.get("y", "0")), []).append((float(text.get("x", "0")), text.text or ""))
    return ["".join(word for _, word in sorted(found[y])).replace("\xa0", " ").strip() for y in sorted(found)]


def check(svg: str) -> None:
    assert len(svg.encode()) < BYTES_MAX
    assert re.findall(r"[a-z]+://[^\"]*", svg) == ["http://www.w3.org/2000/svg"], "it asks nobody for anything"
    assert not re.search(r"@import|@font-face|<script|url\((?!#)|href", svg)
    said = lines(svg)
    heads = next(line for line in said if "outcome" in line)
    assert re.findall(r"[a-z]+", heads) == ["port", "band", "step", "outcome"], AGAIN
    rows = [line for line in said if line.startswith("│")]
    assert len(rows) == BANDS
    assert all("━" in row for row in rows), "a bar for each"
    assert sum("DONE" in row for row in rows) >= 1
    assert sum("FAULTY not_enrolled" in row for row in rows) == 1
    assert any(re.search("keying|testing|greeting", row) for row in rows), "and some at work"
    assert said[-1] == "q or Ctrl-C: finish what is begun, then end", AGAIN


def test_the_kept_picture_is_of_the_screen_as_it_is() -> None:
    check(KEPT.read_text())


async def test_a_picture_is_of_real_bands_at_a_real_station(tmp_path: Path) -> None:
    check(await taken(tmp_path))


def test_ports_are_in_the_order_people_count() -> None:
    console = Console(width=100)
    screen = LiveScreen(Tally(lambda: 0.0), console, "station bench-1")
    for number in (10, 2, 1):
        screen.changed(Place(f"/dev/ttyUSB{number}"))
    with console.capture() as caught:
        console.print(screen.table())
    assert re.findall(r"ttyUSB(\d+)", caught.get()) == ["1", "2", "10"]
