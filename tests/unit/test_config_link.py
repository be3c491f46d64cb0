"""[link] and [broker]: what works, and that every way to get them wrong is told with file, key and remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from steward import config
from steward.config import Config
from steward.domain.topics import IDENTITY, TELEMETRY
from steward.errors import ConfigError

MINIMAL = '[gateway]\nship = "aurora"\nsite = 7\n'
TLS = 'ca = "ca.crt"\ncertificate = "gw1-client.crt"\nprivate_key = "gw1-client.key"\n'
BROKER_TLS = 'certificate = "a"\nprivate_key = "b"\nclient_ca = "c"\n'
KEY = "ab" * 32


def load(folder: Path, text: str) -> Config:
    path = folder / "steward.toml"
    path.write_text(MINIMAL + text, encoding="utf-8")
    return config.load(path, {})


def test_without_the_sections_there_is_no_link_and_no_broker(tmp_path: Path) -> None:
    found = load(tmp_path, "")
    assert (found.link, found.broker) == (None, None)


def test_a_link_over_tls(tmp_path: Path) -> None:
    more = f'keep_alive_s = 60\nshore_keys = ["{KEY}"]\n[link.budget_kib_per_day]\ntelemetry = 10\nidentity = 0\n'
    link = load(tmp_path, f'[link]\nurl = "mqtts://shore.example"\n{TLS}{more}').link
    assert link is not None
    assert link.tls is not None
    assert (link.host, link.port, link.keep_alive_s) == ("shore.example", 8883, 60)
    assert link.tls.private_key == tmp_path / "gw1-client.key"
    assert link.shore_keys == (bytes.fromhex(KEY),)
    assert dict(link.budget_kib_per_day) == {TELEMETRY: 10, IDENTITY: 0}


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("mqtt://127.0.0.1", ("127.0.0.1", 1883)),
        ("mqtt://localhost:1", ("localhost", 1)),
        ("mqtt://[::1]:1884/", ("::1", 1884)),
        ("embedded", (None, None)),
    ],
)
def test_links_that_stay_on_this_machine(tmp_path: Path, url: str, place: tuple[str | None, int | None]) -> None:
    found = load(tmp_path, f'[link]\nurl = "{url}"\n')
    assert found.link is not None
    assert (found.link.host, found.link.port) == place
    assert (found.broker is not None) == (url == "embedded")


def test_a_link_with_several_addresses(tmp_path: Path) -> None:
    link = load(tmp_path, f'[link]\nurl = ["mqtts://a.example", "mqtts://b.example:1234"]\n{TLS}').link
    assert link is not None
    assert (link.host, link.port, link.others) == ("a.example", 8883, (("b.example", 1234),))
    assert link.url == "mqtts://a.example, mqtts://b.example:1234"
    alone = load(tmp_path, '[link]\nurl = ["mqtt://127.0.0.1"]\n').link
    assert alone is not None
    assert (alone.host, alone.others) == ("127.0.0.1", ())


def test_a_broker_for_the_ships_other_gateways(tmp_path: Path) -> None:
    broker = load(tmp_path, f'[broker]\nhost = "0.0.0.0"\nport = 8883\ngateways = ["gw2"]\n{BROKER_TLS}').broker
    assert broker is not None
    assert (broker.host, broker.port, broker.gateways, broker.client_ca) == ("0.0.0.0", 8883, ("gw2",), tmp_path / "c")


WRONG = [
    ("[link]\nkeep_alive_s = 60\n", "[link] url", "is missing"),
    ('[link]\nurl = "mqtt://shore.example"\n', "[link] url", "without TLS"),
    ('[link]\nurl = ["mqtt://127.0.0.1", "mqtt://b.example"]\n', "[link] url", "has b.example without TLS"),
    ('[link]\nurl = ["mqtt://127.0.0.1", "mqtts://b.example"]\n', "[link] url", "take one of them for all"),
    ('[link]\nurl = ["mqtt://127.0.0.1", "embedded"]\n', "[link] url", "stands alone"),
    ('[link]\nurl = ["embedded", "mqtt://127.0.0.1"]\n', "[link] url", "stands alone"),
    ("[link]\nurl = []\n", "[link] url", "is an empty list"),
    ('[link]\nurl = ["mqtt://127.0.0.1", 5]\n', "[link] url", "must be a list of texts"),
    ('[link]\nurl = ["mqtt://127.0.0.1", "mqtt://user@127.0.0.1"]\n', "[link] url", "never with a user"),
    (f"[link]\nurl = {['mqtt://127.0.0.1'] * 5}\n", "[link] url", "at most 4"),
    ('[link]\nurl = "mqtts://shore.example"\n', "[link] ca", "is missing"),
    (f'[link]\nurl = "mqtt://127.0.0.1"\n{TLS}', "[link] ca", "is for TLS"),
    ('[link]\nurl = "mqtts://user:secret@shore.example"\n', "[link] url", "never with a user or password"),
    ('[link]\nurl = "mqtt://127.0.0.1?x=1"\n', "[link] url", "is not mqtts://"),
    ('[link]\nurl = "http://127.0.0.1"\n', "[link] url", "is not mqtts://"),
    ('[link]\nurl = "mqtt://127.0.0.1:0"\n', "[link] url", "1 to 65535"),
    ('[link]\nurl = "mqtt://127.0.0.1:99999"\n', "[link] url", "1 to 65535"),
    (f'[link]\nurl = "mqtts://h"\npassword_file = "x"\n{TLS}', "[link] password_file", "remove it"),
    ('[link]\nurl = "embedded"\npassword_file = "x"\n', "[link] password_file", "remove it"),
    ('[link]\nurl = "embedded"\nshore_keys = ["AB"]\n', "[link] shore_keys", "64 hex digits"),
    ('[link]\nurl = "embedded"\nkeep_alive_s = 5\n', "[link] keep_alive_s", "10 to 3600"),
    ('[link]\nurl = "embedded"\nkeepalive = 1\n', "[link] keepalive", "is not a setting"),
    ('[link]\nurl = "embedded"\n[link.budget_kib_per_day]\nmoney = 1\n', "] money", "always sent"),
    ('[link]\nurl = "embedded"\n[link.budget_kib_per_day]\nradio = 1\n', "] radio", "is not a setting"),
    ('[broker]\nhost = "0.0.0.0"\n', "[broker] host", "there is no TLS"),
    ('[broker]\ncertificate = "a"\n', "[broker] private_key", "go together"),
    ('[broker]\ngateways = ["gw1"]\n', "[broker] gateways", "this gateway itself"),
    ('[broker]\ngateways = ["gw2", "gw2"]\n', "[broker] gateways", "there twice"),
    ('[broker]\ngateways = ["lan"]\n', "[broker] gateways", "a topic's word"),
    ('[broker]\ngateways = ["a/b"]\n', "[broker] gateways", "a gateway's name"),
    (f'[link]\nurl = "embedded"\n[broker]\n{BROKER_TLS}', "[broker] certificate", "cannot be embedded"),
    ("[broker]\ndisk_mb = 1\n", "[broker] disk_mb", "16"),
]


@pytest.mark.parametrize(("text", "where", "problem"), WRONG)
def test_what_cannot_work_is_told(tmp_path: Path, text: str, where: str, problem: str) -> None:
    with pytest.raises(ConfigError) as told:
        load(tmp_path, text)
    assert where in told.value.where
    assert re.search(re.escape(problem), told.value.problem)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("section", ['[link]\nurl = "embedded"\n', "[broker]\nport = 0\n"])
def test_a_gateway_whose_name_is_a_topics_word_cannot_be_linked(tmp_path: Path, section: str) -> None:
    path = tmp_path / "steward.toml"
    path.write_text(f'{MINIMAL}name = "down"\n{section}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"change \[gateway\] name"):
        config.load(path, {})
