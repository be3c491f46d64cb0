"""The commands as an operator types them: a first run from nothing, and errors that say what to do."""

from __future__ import annotations

import json
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from importlib import resources
from pathlib import Path

import pytest
from tests.stewardkit import LIMIT_S, steward

from steward import config
from steward.config import HoldoutSettings, ModelsSettings, OffersSettings
from steward.domain.events import EventType

STEWARD = (sys.executable, "-m", "steward")


@contextmanager
def running(config: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A gateway process and the address it prints."""
    process = subprocess.Popen(
        [*STEWARD, "run", "--config", str(config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"Steward for aurora: (https?://127\.0\.0\.1:\d+/)\n", line)
        assert found, line or process.communicate(timeout=LIMIT_S)
        yield process, found[1]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=LIMIT_S)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ship's folder as `steward init` leaves it; the tests do not change it."""
    folder = tmp_path_factory.mktemp("ships") / "aurora"
    done = steward("init", folder, "--port", "0")
    assert done.returncode == 0, done.stderr
    assert "steward run --config" in done.stdout
    return folder


@pytest.fixture
def ship(made: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "ship"
    folder.mkdir()
    for file in made.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
        (folder / file.name).chmod(0o600)
    return folder


def test_init_makes_a_private_folder_with_all_that_is_needed(made: Path) -> None:
    names = {path.name for path in made.iterdir()}
    assert names == {
        "steward.toml",
        "passphrase",
        "data-key.sealed",
        "keys.sealed",
        "api-tokens.json",
        "first-tokens.env",
    }
    assert all(path.stat().st_mode & 0o077 == 0 for path in (made, *made.iterdir()))
    tokens = dict(re.findall(r"^STEWARD_TOKEN_(\w+)=(stw_\S{43})$", (made / "first-tokens.env").read_text(), re.M))
    assert set(tokens) == {"TILL", "DESK", "PURSER", "ADMIN", "MONITOR", "AUDITOR"}
    assert not any(token in (made / "api-tokens.json").read_text() for token in tokens.values())
    settings = tomllib.loads((made / "steward.toml").read_text())
    assert {reader["purpose"] for reader in settings["reader"]} == {"door", "till", "encoder", "crew"}


def test_every_commented_setting_of_init_is_one(made: Path, tmp_path: Path) -> None:
    text = (made / "steward.toml").read_text()
    other_ways = ("credential", "kind", "match")
    lines = [
        line if re.match(rf"# ({'|'.join(other_ways)}) =", line) else re.sub(r"^# (?=\[|\w+ = )", "", line)
        for line in text.splitlines()
    ]
    (tmp_path / "steward.toml").write_text("\n".join(lines))
    for name in ("keys.sealed", "passphrase", "api-tokens.json"):
        (tmp_path / name).write_bytes((made / name).read_bytes())
        (tmp_path / name).chmod(0o600)
    sections = ("charges", "purser", "offers", "holdout", "models", "monitor", "log", "link")
    assert all(f"\n[{name}]" in "\n".join(lines) for name in sections)
    packaged = resources.files("steward").joinpath("rules.toml").read_text(encoding="utf-8")
    (tmp_path / "rules.toml").write_text(packaged, encoding="utf-8")
    assert _unusual(config.load(tmp_path / "steward.toml"), "\n".join(lines)) == []
    assert steward("tls", "new-ca", tmp_path).returncode == 0
    hosts = ("--host", "gw1.aurora.ship", "--host", "10.1.0.5")
    assert steward("tls", "issue", tmp_path, "--name", "gw1", *hosts).returncode == 0
    assert steward("tls", "issue", tmp_path, "--name", "gw1", "--client", "--ship", "aurora").returncode == 0
    done = steward("check-config", "--config", tmp_path / "steward.toml")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"0\.0\.0\.0 port any free, TLS for gw1\.aurora\.ship, 10\.1\.0\.5 until \d{4}-", done.stdout)
    assert "Link to shore: mqtts://shore.example:8883." in done.stdout


def _unusual(settings: config.Config, text: str) -> list[str]:
    """Settings of suggestions that the text leaves out, or (but for paths) has with another value than without it."""
    wrong = []
    for name, usual in (("offers", OffersSettings()), ("holdout", HoldoutSettings()), ("models", ModelsSettings())):
        section, said = text.partition(f"\n[{name}]\n")[2].partition("\n[")[0], getattr(settings, name)
        for key in (field.name for field in fields(usual)):
            same = isinstance(getattr(said, key), Path) or getattr(said, key) == getattr(usual, key)
            if not same or not re.search(rf"^{key} = ", section, re.MULTILINE):
                wrong.append(f"{name}.{key}")
    return wrong


def test_init_never_overwrites(made: Path) -> None:
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    done = steward("init", made)
    assert done.returncode == 2
    assert "exists and is never overwritten" in done.stderr
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before


@pytest.mark.parametrize(("option", "value"), [("--site", "0"), ("--ship", "My Ship"), ("--ship", 'x"\n[http]')])
def test_init_leaves_nothing_behind_when_it_cannot(tmp_path: Path, option: str, value: str) -> None:
    done = steward("init", tmp_path / "new", option, value)
    assert done.returncode == 2
    assert list((tmp_path / "new").iterdir()) == []


def test_check_config_says_what_it_found(ship: Path) -> None:
    done = steward("check-config", STEWARD_CONFIG=str(ship / "steward.toml"))
    assert done.returncode == 0
    assert "good. Site 1, role authority, 6 API tokens." in done.stdout
    assert "Pages and API: 127.0.0.1 port any free, without TLS: this machine only." in done.stdout
    assert "Outlets: bar (food_and_drink)." in done.stdout
    assert "Readers: desk (encoder), gangway (door)" in done.stdout
    assert "Link to shore: none" in done.stdout


def test_wrong_settings_end_with_2_and_one_line(ship: Path) -> None:
    for change, told in (
        ("site = 1", r"steward: config: \S+steward\.toml: \[gateway\] site: is 2, but \S+ holds the keys of site 1"),
        ("port = 0", r"steward: config: \S+steward\.toml: \[http\] prt: is not a setting \(did you mean port\?\)"),
    ):
        text = (ship / "steward.toml").read_text()
        new = {"site = 1": "site = 2", "port = 0": "prt = 0"}[change]
        (ship / "steward.toml").write_text(text.replace(change, new))
        done = steward("run", "--config", ship / "steward.toml")
        (ship / "steward.toml").write_text(text)
        assert done.returncode == 2
        assert re.match(told, done.stderr), done.stderr
        assert done.stderr.count("\n") == 1


def test_a_secret_that_others_can_read_is_refused(ship: Path) -> None:
    for name in ("passphrase", "keys.sealed", "api-tokens.json"):
        (ship / name).chmod(0o644)
        done = steward("check-config", "--config", ship / "steward.toml")
        assert done.returncode in (1, 2)
        assert "chmod 600" in done.stderr, done.stderr
        (ship / name).chmod(0o600)


def test_a_first_run_serves_its_page_and_stops_in_order(ship: Path) -> None:
    with running(ship / "steward.toml") as (process, url):
        with urllib.request.urlopen(url, timeout=LIMIT_S) as answer:
            page = answer.read().decode()
        assert "<h1>aurora</h1>" in page
        busy = steward("migrate", "--config", ship / "steward.toml")
        assert (busy.returncode, "in use" in busy.stderr) == (1, True), busy.stderr
        second = steward("run", "--config", ship / "steward.toml")
        assert (second.returncode, "in use" in second.stderr) == (1, True), second.stderr
        copied = steward("backup", ship / "copy.db", "--config", ship / "steward.toml")
        assert (copied.returncode, "checked, up to event 1" in copied.stdout) == (0, True), copied.stderr
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    lines = log.splitlines()
    assert [line.split()[2] for line in lines] == ["gateway.started", "model.loaded", "gateway.stopped"]
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO ", line) for line in lines)
    restored = steward("restore", ship / "copy.db", "--yes", "--config", ship / "steward.toml")
    assert (restored.returncode, "restored, events go on in epoch" in restored.stdout) == (0, True), restored.stderr
    database = sqlite3.connect(ship / "data" / "steward.db")
    assert database.execute("SELECT count(*) FROM event").fetchone() == (2,)
    database.close()
    with running(ship / "steward.toml") as (process, _):
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0


def test_a_port_in_use_is_told_with_its_setting(ship: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        text = (ship / "steward.toml").read_text()
        (ship / "steward.toml").write_text(text.replace("port = 0 ", f"port = {port} "))
        done = steward("run", "--config", ship / "steward.toml")
    assert done.returncode == 2
    assert f"[http] port: {port} on 127.0.0.1 cannot be used" in done.stderr
    assert "set another port (0 takes any free one)" in done.stderr


def test_tokens_are_shown_once_listed_and_revoked(ship: Path) -> None:
    config = ("--config", ship / "steward.toml")
    made = steward("tokens", "add", "--role", "till", "--till", "spa-1", *config)
    assert re.fullmatch(r"stw_\S{43}\n", made.stdout)
    assert "till-spa-1 added. It is not shown again" in made.stderr
    listed = steward("tokens", "list", *config)
    assert re.search(r"till-spa-1 +till +spa-1 +\d{4}-", listed.stdout)
    assert made.stdout.strip() not in listed.stdout
    again = steward("tokens", "add", "--role", "till", "--till", "spa-1", *config)
    assert (again.returncode, "choose another --id" in again.stderr) == (2, True)
    assert steward("tokens", "add", "--role", "till", *config).returncode == 2
    assert steward("tokens", "revoke", "till-spa-1", *config).returncode == 0
    bound = steward("tokens", "add", "--role", "purser", "--id", "office", "--crew", "8f2c41d09a7be635", *config)
    assert bound.returncode == 0, bound.stderr
    assert re.search(r"office +purser +8f2c41d09a7be635 +\d{4}-", steward("tokens", "list", *config).stdout)
    assert steward("tokens", "add", "--role", "desk", "--crew", "8f2c41d09a7be635", *config).returncode == 2
    gone = steward("tokens", "revoke", "till-spa-1", *config)
    assert (gone.returncode, gone.stderr) == (1, "steward: not_found: no token till-spa-1\n")


def test_a_door_gateway_cannot_be_given_an_encoder(ship: Path) -> None:
    secret = ("--passphrase-file", ship / "passphrase")
    (ship / "door-passphrase").write_text("a passphrase of the door")
    (ship / "door-passphrase").chmod(0o600)
    out = ("--out", ship / "door.sealed", "--out-passphrase-file", ship / "door-passphrase")
    done = steward("keys", "export", "--file", ship / "keys.sealed", "--role", "door", *out, *secret)
    assert done.returncode == 0, done.stderr
    text = (ship / "steward.toml").read_text()
    text = text.replace("[http]", 'key_file = "door.sealed"\npassphrase_file = "door-passphrase"\n[http]', 1)
    (ship / "steward.toml").write_text(text)
    done = steward("check-config", "--config", ship / "steward.toml")
    assert done.returncode == 2
    assert "[reader desk] purpose: is encoder, but a gateway of role door holds no keys for that" in done.stderr


def test_a_clock_that_was_ahead_is_told_to_be_right_again(ship: Path) -> None:
    config = ship / "steward.toml"
    assert "does not exist" in steward("confirm-clock", "--config", config).stderr
    with running(config) as (process, _):
        assert "is in use by process" in steward("confirm-clock", "--config", config).stderr
        process.send_signal(signal.SIGTERM)
        process.wait(LIMIT_S)
    with closing(sqlite3.connect(ship / "data" / "steward.db")) as database:
        database.execute("UPDATE meta SET value = '4000000000' WHERE key = 'clock.high_water_s'")
        database.commit()
        done = steward("confirm-clock", "--config", config)
        assert "the clock is believed: 20" in done.stdout, done.stderr
        ((mark,),) = database.execute("SELECT value FROM meta WHERE key = 'clock.high_water_s'")
        assert int(mark) < 4_000_000_000
        (last,) = database.execute("SELECT type FROM event ORDER BY seq DESC LIMIT 1").fetchone()
        assert last == EventType.CLOCK_CONFIRMED


def test_a_data_folder_that_everybody_can_write_is_refused(ship: Path) -> None:
    (ship / "data").mkdir()
    (ship / "data").chmod(0o777)
    done = steward("run", "--config", ship / "steward.toml")
    assert done.returncode == 2
    assert "[gateway] data_dir" in done.stderr
    assert "can be written by everybody" in done.stderr


def test_certificates_from_the_command_line(ship: Path) -> None:
    ca = ship / "ca"
    (ship / "ca.passphrase").write_text("a passphrase of the CA")
    (ship / "ca.passphrase").chmod(0o600)
    sealed = ("--passphrase-file", ship / "ca.passphrase")
    done = steward("tls", "new-ca", ca, "--permit", "aurora.ship", "--permit", "127.0.0.0/8", *sealed)
    assert (done.returncode, done.stderr) == (0, "")
    assert "warning: " in steward("tls", "new-ca", ship / "other").stderr  # its key is not sealed
    gateway = ("tls", "issue", ca, "--name", "gw1", "--host", "gw1.aurora.ship", "--host", "127.0.0.1")
    assert "is sealed: give --passphrase-file" in steward(*gateway).stderr
    done = steward(*gateway, *sealed)
    assert (done.returncode, "gw1.crt and gw1.key: made, valid until 20" in done.stdout) == (0, True), done.stderr
    assert (steward(*gateway, *sealed).returncode, steward(*gateway, *sealed, "--replace").returncode) == (1, 0)
    for words, told in (
        (("--host", "gw1.hurtig.ship"), "outside what this CA may issue for: aurora.ship, 127.0.0.0/8"),
        (("--client",), "--ship is needed with --client"),
        (("--both", "--client", "--ship", "aurora"), "--both and --client exclude each other"),
        (("--both",), "at least one --host"),
        (("--host", "x", "--ship", "aurora"), "--ship is needed with --client"),
        ((), "at least one --host"),
        (("--host", "gw2.aurora.ship", "--days", "900"), "--days is 1 to 825"),
    ):
        done = steward("tls", "issue", ca, "--name", "gw2", *words, *sealed)
        assert (done.returncode, told in done.stderr) == (1, True), done.stderr
    assert steward("tls", "issue", ca, "--name", "gw1", "--client", "--ship", "aurora", *sealed).returncode == 0
    shown = steward("tls", "show", ca / "gw1.crt").stdout
    for line in (
        r"name +gw1",
        r"use +server",
        r"hosts +gw1\.aurora\.ship, 127\.0\.0\.1",
        r"valid .*, 39[67] days left",
    ):
        assert re.search(rf"^{line}$", shown, re.M), shown
    assert re.search(r"^name +aurora/gw1$", steward("tls", "show", ca / "gw1-client.crt").stdout, re.M)
    assert re.search(r"^permitted +aurora\.ship, 127\.0\.0\.0/8$", steward("tls", "show", ca / "ca.crt").stdout, re.M)
    assert "holds no certificate" in steward("tls", "show", ca / "gw1.key").stderr
    for name in ("gw1.crt", "gw1.key"):
        (ship / name).write_bytes((ca / name).read_bytes())
        (ship / name).chmod(0o600)
    text = (ship / "steward.toml").read_text().replace("# certificate = ", "certificate = ", 1)
    (ship / "steward.toml").write_text(text.replace("# private_key = ", "private_key = ", 1))
    trusted = ssl.create_default_context(cafile=str(ca / "ca.crt"))
    with running(ship / "steward.toml") as (_, url):
        assert url.startswith("https://")
        with urllib.request.urlopen(url + "healthz", timeout=LIMIT_S, context=trusted) as answer:
            assert json.load(answer)["gateway"] == "gw1"
    (ship / "gw1.key").chmod(0o644)
    done = steward("check-config", "--config", ship / "steward.toml")
    assert (done.returncode, "chmod 600" in done.stderr) == (2, True), done.stderr


COMMANDS = (
    (),
    ("init",),
    ("run",),
    ("check-config",),
    ("confirm-clock",),
    ("migrate",),
    ("backup",),
    ("restore",),
    ("tokens",),
    ("tokens", "add"),
    ("tokens", "list"),
    ("tokens", "revoke"),
    ("keys",),
    ("tls",),
    ("tls", "new-ca"),
    ("tls", "issue"),
    ("tls", "show"),
    ("import",),
    ("import", "manifest"),
    ("import", "example"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_teaches_with_an_example(command: tuple[str, ...]) -> None:
    done = steward(*command, "--help")
    assert done.returncode == 0
    if command in ((), ("tokens",), ("keys",), ("tls",), ("import",)):
        assert "Commands:" in done.stdout
    else:
        assert re.search(r"Examples?:\n +(STEWARD_CONFIG=\S+ )?(steward|systemctl)", done.stdout)


def test_what_is_not_a_command_ends_with_2() -> None:
    assert steward("rnu").returncode == 2
    assert steward("run", "--port", "1").returncode == 2


def test_no_settings_at_all_says_how_to_begin(tmp_path: Path) -> None:
    done = steward("run", "--config", tmp_path / "none.toml")
    assert done.returncode == 2
    assert "make one with `steward init DIR`" in done.stderr
