"""[ship_link]: read, checked, and what it says when it cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest

from steward.config import Config, load
from steward.domain.allowance import Sizing
from steward.domain.replica import MemberRole
from steward.errors import ConfigError

GATEWAY = '[gateway]\nship = "aurora"\nsite = 7\n'
LINK = '[ship_link]\nurl = "mqtt://127.0.0.1:1883"\n'
BAR = '[[ship_link.gateway]]\nname = "bar"\nrole = "till"\ntills = ["bar-1", "bar-2"]\n'
DECK = '[[ship_link.gateway]]\nname = "deck"\nrole = "door"\n'


def read(tmp_path: Path, *parts: str) -> Config:
    path = tmp_path / "steward.toml"
    path.write_text(GATEWAY + "".join(parts))
    return load(path, {})


def test_without_the_section_a_gateway_is_by_itself(tmp_path: Path) -> None:
    assert read(tmp_path).ship is None


def test_the_authority_names_every_other_gateway(tmp_path: Path) -> None:
    ship = read(tmp_path, LINK, "advance_minor = 1\nlow_minor = 3\nsettle_wait_ms = 9\n", BAR, DECK).ship
    assert ship is not None
    assert [(m.name, m.role, sorted(m.tills)) for m in ship.members] == [
        ("bar", MemberRole.TILL, ["bar-1", "bar-2"]),
        ("deck", MemberRole.DOOR, []),
    ]
    assert ship.allowances.sizing == Sizing(advance_minor=1, grant_minor=5000, low_minor=3, percent_max=25)
    assert (ship.allowances.wait_ms, ship.allowances.settle_wait_ms) == (1000, 9)
    assert (ship.link.host, ship.link.port) == ("127.0.0.1", 1883)


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        (["[ship_link]\nlow_minor = 1\n"], "url: is missing"),
        ([LINK.replace("127.0.0.1", "10.0.0.9")], "without TLS"),
        ([LINK, "shore_keys = []\n"], "belongs to"),
        ([LINK, "low_minor = -1\n"], "give a whole number"),
        ([LINK, "lowest = 1\n"], "is not a setting"),
        ([LINK, BAR.replace("till", "bar", 1)], "role: must be one of"),
        ([LINK, BAR.replace('tills = ["bar-1", "bar-2"]', "")], "tills"),
        ([LINK, DECK, 'tills = ["bar-1"]\n'], "tills"),
        ([LINK, BAR, BAR], "there twice"),
        ([LINK, DECK.replace("deck", "gw1")], "this gateway itself"),
        ([LINK, DECK.replace("deck", "lan")], "a topic's word"),
        ([LINK, BAR, BAR.replace('"bar"', '"spa"')], "at two gateways"),
    ],
)
def test_what_cannot_work_is_told(tmp_path: Path, parts: list[str], problem: str) -> None:
    with pytest.raises(ConfigError) as told:
        read(tmp_path, *parts)
    assert problem in str(told.value)
