"""The shore's settings: what is read, and what is refused with file, key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from steward.errors import ConfigError
from steward.shore.config import load

TLS = 'ca = "tls/ca.crt"\ncertificate = "tls/shore.crt"\nprivate_key = "tls/shore.key"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "shore.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_empty_file_is_a_shore_on_this_machine(tmp_path: Path) -> None:
    config = load(write(tmp_path, ""))
    assert (config.shore.name, config.shore.workers, config.shore.database) == ("shore1", 4, tmp_path / "data/shore.db")
    assert (config.store.url, config.cluster.servers) == (None, ())
    assert (config.link.host, config.link.port, config.link.user) == ("127.0.0.1", 1883, "shore")
    assert (config.http.host, config.http.port, config.http.https) == ("127.0.0.1", 8480, False)


def test_everything_can_be_set(tmp_path: Path) -> None:
    config = load(
        write(
            tmp_path,
            '[shore]\nfleet = "nordic"\nname = "shore2"\nworkers = 9\n'
            '[store]\nurl = "postgresql://steward@db.example/fleet?sslmode=verify-full"\npassword_file = "db"\n'
            f'[link]\nurl = "mqtts://[2001:db8::1]:9999"\n{TLS}'
            f'[cluster]\nservers = ["tls://n1.example:4222", "tls://n2.example"]\nreplicas = 1\n{TLS}',
        )
    )
    assert (config.link.host, config.link.port) == ("2001:db8::1", 9999)
    assert config.link.ca == tmp_path / "tls/ca.crt"
    assert config.store.password_file == tmp_path / "db"
    assert (len(config.cluster.servers), config.cluster.replicas) == (2, 1)


def test_a_credential_comes_from_systemd(tmp_path: Path) -> None:
    path = write(tmp_path, '[shore]\ncredential = "key"\n')
    assert load(path, {"CREDENTIALS_DIRECTORY": "/run/credentials/x"}).shore.credential == Path(
        "/run/credentials/x/key"
    )
    with pytest.raises(ConfigError, match="CREDENTIALS_DIRECTORY"):
        load(path, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[shore]\nfleat = "x"', r"\[shore\] fleat: is not a setting \(did you mean fleet"),
        ("[sure]\n", "sure: is not a setting"),
        ('[shore]\nname = "Shore 1"', "name: is not 1 to 32"),
        ("[shore]\nworkers = 0", "workers: is 0"),
        ('[shore]\npassphrase_file = "a"\ncredential = "b"', "both set"),
        ('[store]\nurl = "mysql://x/y"', "PostgreSQL"),
        ('[store]\nurl = "postgresql://steward:secret@db/fleet"', "holds a password"),
        ('[store]\nurl = "postgresql://db/fleet?password=secret"', "holds a password"),
        ('[store]\npassword_file = "x"', "set url too"),
        ('[link]\nurl = "http://x"', "url: is not the broker's URL"),
        ('[link]\nurl = "mqtt://user:secret@127.0.0.1"', "url: is not the broker's URL"),
        ('[link]\nurl = "mqtt://broker.example:1883"', "without TLS"),
        ('[link]\nurl = "mqtts://broker.example"', "ca: is missing"),
        (f"[link]\n{TLS}", "ca: is for TLS"),
        ('[link]\nurl = "mqtt://127.0.0.1:70000"', "port 70000"),
        ('[cluster]\nservers = ["nats://n1.example:4222"]', "without TLS"),
        ('[cluster]\nservers = ["tls://n1.example:4222"]', "ca: is missing"),
        ('[cluster]\nservers = ["http://n1.example"]', "entry that is not"),
        ('[http]\nhost = "0.0.0.0"', "no TLS"),
    ],
)
def test_what_cannot_work_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        load(write(tmp_path, text))
    assert "secret" not in str(caught.value)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="steward shore init"):
        load(tmp_path / "shore.toml")
