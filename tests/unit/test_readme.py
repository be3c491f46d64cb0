"""The README keeps its word: what it names is there, and every setting is in it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from bandtool.config import StationSettings
from steward import config
from steward.domain.access import Refusal
from steward.domain.charges import ChargeRefusal
from steward.shore import config as shore_config
from steward.web.words import plain

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "gateway" / "SETTINGS.md").read_text(encoding="utf-8")
FIGURES = (ROOT / "tools" / "bench" / "FIGURES.md").read_text(encoding="utf-8")
SECTIONS = {
    "gateway": config.GatewaySettings,
    "http": config.HttpSettings,
    "charges": config.ChargeSettings,
    "encoding": config.EncodingSettings,
    "purser": config.PurserSettings,
    "offers": config.OffersSettings,
    "holdout": config.HoldoutSettings,
    "privacy": config.PrivacySettings,
    "monitor": config.MonitorSettings,
    "log": config.LogSettings,
    "reader": config.ReaderSettings,
    "link": config.LinkSettings,
    "broker": config.BrokerSettings,
    "models": config.ModelsSettings,
    "ble": config.BleSettings,
    "station": config.TrustedStation,
}


SHORE_SECTIONS = {
    "shore": shore_config.ShoreSettings,
    "store": shore_config.StoreSettings,
    "link": shore_config.LinkSettings,
    "cluster": shore_config.ClusterSettings,
}


def table_of(file: str) -> str:
    """What SETTINGS.md says of one of the three files."""
    return SETTINGS.partition(f"`{file}`, made by")[2].partition("\n## ")[0]


@pytest.mark.parametrize("section", SHORE_SECTIONS)
def test_every_setting_of_the_shore_is_told(section: str) -> None:
    lines = [line for line in table_of("shore.toml").splitlines() if line.startswith(f"| `{section}.")]
    named = set(re.findall(r"[a-z_]+", " ".join(line.split("|")[1] for line in lines)))
    assert {f.name for f in fields(SHORE_SECTIONS[section])} - named == set()


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_of_a_gateway_is_told(section: str) -> None:
    known = re.findall(r"[a-z_]+", table_of("steward.toml"))
    assert [f.name for f in fields(SECTIONS[section]) if f.name not in known] == []


def test_every_setting_of_a_bench_is_told() -> None:
    names = {f.name for f in fields(StationSettings)} - {"folder"}
    assert names - set(re.findall(r"[a-z_]+", table_of("station.toml"))) == set()


def test_the_readmes_first_settings_are_settings() -> None:
    table = README.partition("### Settings")[2].partition("\n## ")[0]
    named = {
        key
        for line in table.splitlines()
        if line.startswith("| `")
        for key in re.findall(r"`([\w.]+)`", line.split("|")[1])
    }
    assert len(named) > 10
    assert [key for key in named if not re.search(rf"\b{re.escape(key.rpartition('.')[2])}\b", SETTINGS)] == []


def test_every_path_of_the_map_exists() -> None:
    paths = re.findall(r"`((?:firmware|gateway|models|tools|tests)/[\w/.]*)`", README + SETTINGS + FIGURES)
    assert len(paths) >= 8
    assert [p for p in paths if not (ROOT / p).exists()] == []
    assert [p for p in re.findall(r"\]\(([\w/.]+)\)", README) if not (ROOT / p).exists()] == []


def test_make_targets_and_console_scripts_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^|`)make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert set(scripts) == {"steward", "bandtool", "preference", "voyage"}


@pytest.mark.parametrize("code", [*Refusal, *ChargeRefusal])
def test_every_refusal_has_plain_words(code: str) -> None:
    fallback = str(code).replace("_", " ").capitalize() + "."
    assert plain(str(code)).said != fallback
