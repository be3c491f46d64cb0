"""[[outlet]] and readers of purpose crew: what may be set, what is refused and with which remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.test_config import DOOR, MINIMAL, TILL, load
from tests.unit.test_readme import SETTINGS

from steward.config_outlets import OUTLETS_MAX
from steward.domain.outlets import OutletKind
from steward.errors import ConfigError

BAR = '[[outlet]]\nname = "bar"\nkind = "food_and_drink"\ntitle = "Sky bar"\n'
SPA = '[[outlet]]\nname = "spa"\nkind = "wellness"\n'
STATION = '[[reader]]\nname = "bar-crew"\nkind = "link"\npurpose = "crew"\noutlet = "bar"\n'


def test_outlets_and_a_crew_station(tmp_path: Path) -> None:
    found = load(tmp_path, MINIMAL + BAR + SPA + STATION + TILL + DOOR)
    assert [(o.id, o.kind, o.title) for o in found.outlets.values()] == [
        ("bar", OutletKind.FOOD_AND_DRINK, "Sky bar"),
        ("spa", OutletKind.WELLNESS, "spa"),
    ]
    station = found.readers[0]
    assert (station.purpose, station.outlet, station.till, station.cabin, station.place) == (
        *("crew", "bar", None, None),
        "bar-crew",
    )


def test_without_outlets_tills_sell_as_before(tmp_path: Path) -> None:
    found = load(tmp_path, MINIMAL + TILL)
    assert (dict(found.outlets), found.readers[0].outlet) == ({}, "bar")


WRONG = {
    "no such kind": (BAR.replace("food_and_drink", "casino"), r"\[outlet bar\] kind: must be one of: food_and_drink,"),
    "a kind misspelt": (BAR.replace("food_and_drink", "food_and_drinks"), r"did you mean food_and_drink\?"),
    "no kind": ('[[outlet]]\nname = "bar"\n', r"kind: is missing: give one of"),
    "no name": ('[[outlet]]\nkind = "retail"\n', r"\[outlet number 1\] name: is missing"),
    "a name with blanks": (BAR.replace('"bar"', '"sky bar"'), r"name: is not 1 to 32 letters"),
    "two of a name": (BAR + BAR, r"\[outlet bar\] name: bar is taken by another"),
    "a title of two lines": (BAR.replace("Sky bar", "Sky\\nbar"), r"title: is not 1 to 40 characters"),
    "an unknown key": (BAR + "open = true\n", r"\[outlet bar\] open: is not a setting"),
    "a till nobody named": (SPA + TILL, r"\[reader b\] outlet: is bar, which no \[\[outlet\]\] names: .* spa"),
    "a station nobody named": (STATION, r"\[reader bar-crew\] outlet: is bar, which no .* one of: none"),
    "a station without outlet": (BAR + STATION.replace('outlet = "bar"\n', ""), r"outlet: is missing"),
    "a station with a cabin": (BAR + STATION + "cabin = 5\n", r"cabin: is not a setting"),
    "a door with an outlet": (BAR + DOOR + 'outlet = "bar"\n', r"outlet: is not a setting"),
    "too many": (
        "".join(BAR.replace('"bar"', f'"bar{n}"') for n in range(OUTLETS_MAX + 1)),
        r"outlet: has 257 entries, at most 256",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(tmp_path: Path, case: str) -> None:
    text, message = WRONG[case]
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, MINIMAL + text)
    assert re.search(message, str(caught.value)), str(caught.value)


def test_the_readme_names_each_key_and_kind() -> None:
    (row,) = [line for line in SETTINGS.splitlines() if line.startswith("| `[[outlet]]`")]
    assert [word for word in ("name", "kind", "title", *OutletKind) if f"`{word}`" not in row] == []
