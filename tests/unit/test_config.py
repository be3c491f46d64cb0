"""Settings: a minimal file works, and every way to get one wrong is told with file, key and remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from steward import config
from steward.config import Config
from steward.errors import ConfigError

MINIMAL = '[gateway]\nship = "aurora"\nsite = 7\n'
DOOR = '[[reader]]\nname = "a"\nkind = "link"\npurpose = "door"\ncabin = 5012\n'
TILL = '[[reader]]\nname = "b"\nkind = "pcsc"\nmatch = "ACS"\npurpose = "till"\ntill = "bar-1"\noutlet = "bar"\n'

TLS = '[http]\ncertificate = "gw1.crt"\nprivate_key = "gw1.key"\n'


def load(folder: Path, text: str, environ: dict[str, str] | None = None) -> Config:
    path = folder / "steward.toml"
    path.write_text(text, encoding="utf-8")
    return config.load(path, environ or {})


def test_a_minimal_file_works(tmp_path: Path) -> None:
    found = load(tmp_path, MINIMAL)
    gateway = found.gateway
    assert (gateway.ship, gateway.site, gateway.name) == ("aurora", 7, "gw1")
    assert gateway.database == tmp_path / "data" / "steward.db"
    assert gateway.key_file == tmp_path / "keys.sealed"
    assert gateway.passphrase_file == tmp_path / "passphrase"
    assert gateway.credential is None
    assert (found.http.host, found.http.port) == ("127.0.0.1", 8470)
    assert found.readers == ()
    assert found.charges.sun_required is True
    assert found.encoding.random_id is True


def test_a_full_file_is_read_as_written(tmp_path: Path) -> None:
    text = MINIMAL.replace("site = 7", 'site = 7\ndata_dir = "/var/lib/x"\nutc_offset_min = -210\nnumber = 3')
    text += '[http]\nport = 0\nhost = "::1"\n[zones]\ngangway = 0\nspa = 31\n[charges]\nhold_ttl_s = 30\n'
    text += (
        DOOR + 'controller = "lock.example:9000"\n' + DOOR.replace('"a"', '"z"').replace("cabin = 5012", 'zone = "spa"')
    )
    found = load(tmp_path, text + TILL)
    assert found.gateway.data_dir == Path("/var/lib/x")
    assert (found.gateway.utc_offset_min, found.gateway.number) == (-210, 3)
    assert dict(found.zones) == {"gangway": 0, "spa": 31}
    assert found.charges.hold_ttl_s == 30
    door, zone, till = found.readers
    assert (door.cabin, door.zone, door.port, door.match, door.controller) == (
        5012,
        None,
        0,
        None,
        ("lock.example", 9000),
    )
    assert (zone.cabin, zone.zone, zone.place) == (None, "spa", "z")
    assert (till.till, till.outlet, till.match, till.port, till.place) == ("bar-1", "bar", "ACS", None, "bar-1")


def test_with_tls_the_gateway_may_be_reached_from_elsewhere(tmp_path: Path) -> None:
    plain = load(tmp_path, MINIMAL).http
    assert (plain.https, plain.names) == (False, ("127.0.0.1", "localhost", "::1"))
    found = load(
        tmp_path, MINIMAL + TLS + 'host = "0.0.0.0"\nnames = ["GW1.Aurora.ship", "10.1.0.5", "FD00:0::5"]\n'
    ).http
    assert (found.https, found.names) == (True, ("gw1.aurora.ship", "10.1.0.5", "fd00::5"))
    assert (found.certificate, found.private_key) == (tmp_path / "gw1.crt", tmp_path / "gw1.key")
    assert load(tmp_path, MINIMAL + TLS + 'host = "10.1.0.5"\n').http.names == ("10.1.0.5",)


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    found = load(tmp_path, MINIMAL)
    with pytest.raises(AttributeError):
        found.gateway.site = 8  # type: ignore[misc]
    with pytest.raises(TypeError):
        found.zones["x"] = 1  # type: ignore[index]


WRONG = {
    "not TOML": ("[gateway", "is not valid TOML"),
    "no ship": ("[gateway]\nsite = 7\n", r"\[gateway\] ship.*is missing: give"),
    "no site": ('[gateway]\nship = "a"\n', r"\[gateway\] site.*is missing: give a whole number"),
    "ship with spaces": (MINIMAL.replace("aurora", "my ship"), r"\[gateway\] ship.*is not 1 to 32"),
    "site as text": (MINIMAL.replace("7", '"7"'), r"\[gateway\] site.*is text: give a whole number.*without quotes"),
    "site too large": (MINIMAL.replace("7", "65536"), r"\[gateway\] site.*is 65536: give"),
    "site a truth value": (MINIMAL.replace("7", "true"), r"site.*a truth value"),
    "site with a point": (MINIMAL.replace("7", "7.0"), r"site.*a number with a point"),
    "ship a number": (MINIMAL.replace('"aurora"', "5"), r"ship.*is a number, not text"),
    "unknown key": (MINIMAL + 'shp = "x"\n', r"\[gateway\] shp.*is not a setting \(did you mean ship\?\)"),
    "unknown table": (MINIMAL + "[htpt]\n", r"htpt.*is not a setting \(did you mean http\?\)"),
    "table as value": ("gateway = 5\n", r"gateway.*write it as a table, \[gateway\]"),
    "readers as one table": (MINIMAL + "[reader]\n", r"reader.*begin each with \[\[reader\]\]"),
    "other host": (MINIMAL + '[http]\nhost = "0.0.0.0"\n', r"\[http\] host.*no TLS.*127\.0\.0\.1"),
    "certificate alone": (MINIMAL + '[http]\ncertificate = "c"\n', r"\[http\] private_key.*go together"),
    "key alone": (MINIMAL + '[http]\nprivate_key = "k"\n', r"\[http\] certificate.*go together"),
    "names without TLS": (MINIMAL + '[http]\nnames = ["gw1.ship"]\n', r"\[http\] names.*are for TLS"),
    "no names": (MINIMAL + TLS + 'host = "0.0.0.0"\n', r"\[http\] names.*is missing: with host 0\.0\.0\.0"),
    "names as text": (MINIMAL + TLS + 'names = "gw1"\n', r"\[http\] names.*must be a list"),
    "a name with a port": (MINIMAL + TLS + 'names = ["gw1:8470"]\n', r"\[http\] names.*has gw1:8470.*without port"),
    "a name with a star": (MINIMAL + TLS + 'names = ["*.ship"]\n', r"\[http\] names.*has an entry that is not"),
    "no address": (MINIMAL + TLS + 'names = ["10.1.0.256"]\n', r"\[http\] names.*has 10\.1\.0\.256"),
    "many names": (MINIMAL + TLS + f"names = {['a'] * 17}\n", r"\[http\] names.*has 17 entries, at most 16"),
    "bad port": (MINIMAL + "[http]\nport = 70000\n", r"\[http\] port.*is 70000"),
    "flag as text": (MINIMAL + '[encoding]\nrandom_id = "yes"\n', r"random_id.*give true or false"),
    "zone number twice": (MINIMAL + "[zones]\na = 1\nb = 1\n", r"\[zones\] b.*has number 1 as a has"),
    "zone number": (MINIMAL + "[zones]\na = 32\n", r"\[zones\] a.*is 32: give a whole number from 0 to 31"),
    "zone name": (MINIMAL + "[zones]\nA = 1\n", r"\[zones\] A.*is not a zone's name"),
    "guest url with scheme": (MINIMAL + 'guest_url = "https://x/t"\n', r"guest_url.*without https://"),
    "reader without name": (MINIMAL + '[[reader]]\nkind = "link"\n', r"\[reader number 1\] name.*is missing"),
    "reader kind": (
        MINIMAL + DOOR.replace('"link"', '"lnik"'),
        r"\[reader a\] kind.*link, pcsc \(did you mean link\?\)",
    ),
    "reader purpose": (MINIMAL + DOOR.replace('"door"', '"gate"'), r"\[reader a\] purpose.*door, till, encoder"),
    "door of nothing": (MINIMAL + DOOR.replace("cabin = 5012\n", ""), r"\[reader a\] cabin.*exactly one"),
    "door of two": (MINIMAL + "[zones]\nspa = 1\n" + DOOR + 'zone = "spa"\n', r"\[reader a\] cabin.*exactly one"),
    "unknown zone": (MINIMAL + DOOR.replace("cabin = 5012", 'zone = "spa"'), r"\[reader a\] zone.*use one of: none"),
    "door with a till": (MINIMAL + DOOR + 'till = "x"\n', r"\[reader a\] till.*is not a setting"),
    "controller without port": (MINIMAL + DOOR + 'controller = "lock"\n', r"controller.*is not host:port"),
    "controller port 0": (MINIMAL + DOOR + 'controller = "lock:0"\n', r"controller.*has port 0"),
    "till without outlet": (MINIMAL + TILL.replace('outlet = "bar"\n', ""), r"\[reader b\] outlet.*is missing"),
    "till too long": (MINIMAL + TILL.replace("bar-1", "terrace-1"), r"\[reader b\] till.*is not 1 to 8"),
    "pcsc without match": (MINIMAL + TILL.replace('match = "ACS"\n', ""), r"\[reader b\] match.*is missing"),
    "pcsc with port": (MINIMAL + TILL + "port = 1\n", r"\[reader b\] port.*is not a setting"),
    "same name": (MINIMAL + DOOR + DOOR, r"\[reader a\] name.*a is taken by \[reader a\] name"),
    "same port": (
        MINIMAL + DOOR + "port = 9001\n" + DOOR.replace('"a"', '"z"') + "port = 9001\n",
        r"\[reader z\] port.*9001 is taken by \[reader a\] port",
    ),
    "port of the API": (MINIMAL + DOOR + "port = 8470\n", r"\[reader a\] port.*8470 is taken by \[http\] port"),
    "same PC/SC reader": (MINIMAL + TILL + TILL.replace('"b"', '"c"'), r"\[reader c\] match.*ACS is taken"),
    "till of two outlets": (
        MINIMAL + TILL + TILL.replace('"b"', '"c"').replace("ACS", "SCM").replace('outlet = "bar"', 'outlet = "spa"'),
        r"\[reader c\] outlet.*is spa, but another reader of till bar-1 sells for bar",
    ),
    "two secrets": (MINIMAL + 'passphrase_file = "p"\ncredential = "c"\n', r"credential.*are both set"),
    "credential without systemd": (MINIMAL + 'credential = "c"\n', r"credential.*LoadCredentialEncrypted=c"),
    "credential with a path": (MINIMAL + 'credential = "../c"\n', r"credential.*is not the name"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_file_and_key(tmp_path: Path, name: str) -> None:
    text, told = WRONG[name]
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "steward.toml"))
    assert re.search(told, str(caught.value), re.DOTALL), str(caught.value)


def test_too_many_readers_are_refused(tmp_path: Path) -> None:
    readers = "".join(DOOR.replace('"a"', f'"r{number}"') for number in range(config.READERS_MAX + 1))
    with pytest.raises(ConfigError, match="129 entries, at most 128"):
        load(tmp_path, MINIMAL + readers)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read .*steward init"):
        config.load(tmp_path / "none.toml", {})


def test_a_huge_or_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "steward.toml"
    path.write_bytes(b"#" * (config.CONFIG_BYTES_MAX + 1))
    with pytest.raises(ConfigError, match="larger than"):
        config.load(path, {})
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        config.load(path, {})


def test_ports_left_to_chance_do_not_clash(tmp_path: Path) -> None:
    text = MINIMAL + "[http]\nport = 0\n" + DOOR + DOOR.replace('"a"', '"z"')
    assert [reader.port for reader in load(tmp_path, text).readers] == [0, 0]


def test_a_credential_is_found_where_systemd_puts_it(tmp_path: Path) -> None:
    found = load(tmp_path, MINIMAL + 'credential = "keys"\n', {config.CREDENTIALS_ENV: "/run/credentials/steward"})
    assert found.gateway.credential == Path("/run/credentials/steward/keys")
    assert found.gateway.passphrase_file is None


def test_the_file_is_as_given_then_from_the_environment_then_here() -> None:
    environ = {config.CONFIG_ENV: "/etc/steward/steward.toml"}
    assert config.find_file(Path("mine.toml"), environ) == Path("mine.toml")
    assert config.find_file(None, environ) == Path("/etc/steward/steward.toml")
    assert config.find_file(None, {}) == Path("steward.toml")


def test_only_config_reads_the_environment() -> None:
    package = Path(config.__file__).parent
    readers = [
        path.name
        for path in sorted(package.rglob("*.py"))
        if re.search(r"\bos\.(environ|getenv)\b|\bimport environ\b", path.read_text(encoding="utf-8"))
    ]
    assert readers == ["config.py"]
