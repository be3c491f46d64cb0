"""`steward shore` as an operator uses it: a first run, decisions, copies, and errors in one line."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import stat
from pathlib import Path

import pytest
from tests.releasekit import container
from tests.shore.kit import NOW_S, Sender
from tests.shore.orderkit import order, public
from typer.testing import CliRunner, Result

from steward.adapters.brokerrights import identity
from steward.cli_shore import app
from steward.cli_shore.common import run_write
from steward.domain.bandstages import Stage, decode_orders
from steward.domain.batches import open_down
from steward.domain.downs import Freezes, decode_freeze
from steward.domain.ids import GuestRef, Uid
from steward.domain.shorebodies import decode_catalogue, decode_releases
from steward.shore.arrivals import Arrival, keep
from steward.shore.config import load
from steward.shore.downs import message_of, newest
from steward.shore.ordered import print_of, spaced
from steward.shore.sqlite import SqliteShore

BAND, GUEST = "04A1B2C3D4E5F6", "3f9c0a1b2c3d4e5f"


class Operator:
    """Commands on one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "shore.toml"

    def run(self, *arguments: str, fails: int = 0) -> Result:
        result = CliRunner().invoke(app, [*arguments, "--config", str(self.file)])
        assert result.exit_code == fails, result.output
        return result

    def said(self, *arguments: str) -> str:
        return self.run(*arguments).output


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    folder = tmp_path / "shore"
    result = CliRunner().invoke(app, ["init", str(folder), "--fleet", "nordic", "--port", "0"])
    assert result.exit_code == 0, result.output
    made = Operator(folder)
    made.run("ship", "add", "aurora", "--gateway", "gw1", "--gateway", "gw2")
    return made


def bodies(operator: Operator) -> dict[str, tuple[str, bytes]]:
    """By kind, who issued the newest version and its body, as a gateway with the printed key opens it."""
    key = bytes.fromhex(operator.said("key").strip())

    async def read() -> dict[str, tuple[str, bytes]]:
        store = SqliteShore.open(load(operator.file).shore.database)
        try:
            found = await store.read(newest())
            return {line.kind: (line.by, open_down(await store.read(message_of(line)), [key]).body) for line in found}
        finally:
            await store.close()

    return asyncio.run(read())


def test_decisions_are_signed_with_the_key_that_is_told(operator: Operator) -> None:
    assert "freeze signed version" in operator.said("freeze", BAND.lower(), "--guest", GUEST, "--ship", "aurora")
    assert "nothing new" in operator.said("freeze", BAND, "--ship", "aurora")
    by, body = bodies(operator)["freeze"]
    assert by == "command"
    assert decode_freeze(body) == Freezes(((Uid(BAND), "lost"),), ((GuestRef(GUEST), "lost"),))


def test_a_first_run_keeps_its_secrets_private(operator: Operator) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in operator.folder.iterdir() if path.is_file()}
    assert set(modes.values()) == {0o600}
    assert "good" in operator.said("check-config")
    text = operator.file.read_text()
    for name in ("passphrase", "first-tokens.env"):
        secret = (operator.folder / name).read_text().strip().splitlines()[-1].rpartition("=")[2]
        assert secret not in text


def test_init_never_overwrites(operator: Operator) -> None:
    before = operator.file.read_bytes()
    result = CliRunner().invoke(app, ["init", str(operator.folder)])
    assert result.exit_code == 2
    assert "never overwritten" in result.output
    assert operator.file.read_bytes() == before


def test_a_bad_option_leaves_no_half_made_folder(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["init", str(tmp_path / "x"), "--link", "http://nonsense"])
    assert result.exit_code == 2
    assert list((tmp_path / "x").iterdir()) == []


def test_ships_and_their_state_are_shown(operator: Operator) -> None:
    assert operator.said("ship", "list") == "aurora: gw1, gw2\n  authority: not named\n"
    assert operator.said("ship", "add", "aurora", "--gateway", "gw1") == "aurora: nothing new\n"
    assert "never" in operator.said("status")
    assert "Kind" in operator.said("alarm", "list")
    assert operator.said("alarm", "clear", "garbage", "") == "0 cleared\n"


def test_whose_orders_are_obeyed_is_said_and_shown(operator: Operator) -> None:
    digits = print_of(public(1))
    said = operator.said("ship", "authority", "aurora", "gw1", "--key", digits.upper())
    assert said == "aurora: orders to forget a guest are obeyed from gw1; 0 had waited for that\n"
    listed = f"aurora: gw1, gw2\n  authority: gw1, by the key {spaced(digits)}\n"
    assert operator.said("ship", "list") == listed
    settings = load(operator.file)
    event = order(1, gateway="gw2")
    run_write(settings, keep(Arrival(Sender([event], gateway="gw2").batch(1, (event,), 0), 99, NOW_S)))
    assert "not obeyed: 00112233445566aa (aurora gw2, event 1 of epoch 100" in operator.said("erasures")
    assert "no gateway gw9" in operator.run("ship", "authority", "aurora", "gw9", "--key", digits, fails=1).output
    unfit = operator.run("ship", "authority", "aurora", "gw2", "--key", "4f0c", fails=1).output
    assert "32 hex digits" in unfit
    took_over = operator.said("ship", "authority", "aurora", "gw2", "--key", digits)
    assert took_over.endswith("obeyed from gw2; 1 had waited for that\n")
    assert "1 pending" in operator.said("erasures")


def test_a_model_is_measured_and_a_catalogue_checked(operator: Operator, tmp_path: Path) -> None:
    model, offers = tmp_path / "model.tflite", tmp_path / "offers.json"
    model.write_bytes(b"model" * 1000)
    item = {"id": "cider", "outlet": "bar", "titles": {"en": "Cider"}, "category": "drink"}
    offers.write_text(json.dumps([item | {"price_minor": 650, "currency": "EUR"}]))
    operator.run("release", str(model), "--name", "preference", "--version", "2.1.0", "--every-ship")
    operator.run("catalogue", str(offers), "--ship", "aurora")
    made = bodies(operator)
    (release,) = decode_releases(made["release"][1])
    assert (release.size, release.sha256) == (5000, hashlib.sha256(b"model" * 1000).hexdigest())
    assert [entry.id for entry in decode_catalogue(made["catalogue"][1])] == ["cider"]
    offers.write_text(json.dumps([item]))
    assert "price_minor" in operator.run("catalogue", str(offers), "--ship", "aurora", fails=2).output
    offers.write_text("{")
    assert "is not JSON" in operator.run("catalogue", str(offers), "--ship", "aurora", fails=2).output


@pytest.mark.parametrize(
    ("arguments", "said", "status"),
    [
        (("freeze", "nonsense", "--ship", "aurora"), "UID: is not 14 hex digits", 2),
        (("freeze", "--ship", "aurora"), "or --guest says whom", 2),
        (("freeze", BAND), "exactly one of them", 2),
        (("freeze", BAND, "--ship", "aurora", "--every-ship"), "exactly one of them", 2),
        (("freeze", BAND, "--ship", "nowhere"), "no ship nowhere", 1),
        (("freeze", BAND, "--ship", "aurora", "--reason", "Anna lost it"), "--reason: is not", 2),
        (("deny", BAND, "--ship", "Bad Name"), "no ship", 1),
        (("consent", "xx", "--purpose", "suggestions", "--given", "--ship", "aurora"), "guest: is not 16", 2),
        (("ship", "add", "Bad Name", "--gateway", "gw1"), "name is 1 to 32", 1),
        (("release", "/nowhere", "--name", "x", "--version", "1", "--ship", "aurora"), "cannot be read", 2),
        (("band-release", "/nowhere", "--ship", "aurora"), "cannot be read", 2),
        (("band-release", "--ship", "aurora"), "or --withdraw says what", 2),
        (("band-release", "/dev/null", "--ship", "aurora"), "release's header", 1),
        (("backup", "/nowhere/x.db"), "there is no folder", 1),
        (("restore", "/nowhere/x.db", "--yes"), "is no file", 1),
        (("token", "revoke", "nobody"), "no token nobody", 1),
    ],
)
def test_errors_are_one_line_with_a_remedy(
    operator: Operator, arguments: tuple[str, ...], said: str, status: int
) -> None:
    output = operator.run(*arguments, fails=status).output
    assert said in output
    assert output.count("\n") == 1


def test_a_release_for_bands_is_read_and_staged(operator: Operator, tmp_path: Path) -> None:
    file, content = tmp_path / "band.release", container(9)
    file.write_bytes(content)
    operator.run("band-release", str(file), "--every-ship")
    ordered = decode_orders(bodies(operator)["band-release"][1])
    assert ordered is not None
    assert (ordered.number, ordered.size) == (9, len(content))
    assert ordered.sha256 == hashlib.sha256(content).hexdigest()
    assert [stage.percent for stage in ordered.stages] == [1, 10, 100]
    more = ("--stage", "8000-8999:48:20", "--stage", "all", "--limit", "3", "--url", "https://fleet.example/9")
    operator.run("band-release", str(file), *more, "--ship", "aurora")
    ordered = decode_orders(bodies(operator)["band-release"][1])
    assert ordered is not None
    assert (ordered.limit_percent, ordered.stages[0]) == (3, Stage(None, (8000, 8999), 48, 20))
    assert "is no stage" in operator.run("band-release", str(file), "--stage", "1", "--ship", "aurora", fails=2).output
    operator.run("band-release", "--withdraw", "--every-ship")
    assert decode_orders(bodies(operator)["band-release"][1]) is None


def test_a_copy_is_checked_and_comes_back(operator: Operator, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    assert "checked, 0 events" in operator.said("backup", str(copy))
    operator.run("ship", "add", "boreal", "--gateway", "gw1")
    before = operator.said("check-config")
    operator.run("restore", str(copy), "--yes")
    assert operator.said("ship", "list") == "aurora: gw1, gw2\n  authority: not named\n"
    assert operator.said("check-config") != before  # the store has another name
    restored = operator.said("check-config")
    operator.run("restored")
    assert operator.said("check-config") != restored
    damaged = bytearray(copy.read_bytes())
    damaged[4096:8192] = bytes(4096)
    copy.write_bytes(damaged)
    operator.run("restore", str(copy), "--yes", fails=1)
    copy.write_bytes(b"something else entirely")
    operator.run("restore", str(copy), "--yes", fails=1)
    assert operator.said("ship", "list") == "aurora: gw1, gw2\n  authority: not named\n"
    assert "the database itself" in operator.run("backup", str(load(operator.file).shore.database), fails=1).output


def test_the_clusters_users_are_the_registered_gateways(operator: Operator) -> None:
    text = operator.said("nats-users")
    assert re.findall(r'"user": "CN=([^"]+)"', text) == ["shore", identity("aurora", "gw1"), identity("aurora", "gw2")]
    gateway = next(line for line in text.splitlines() if f'CN={identity("aurora", "gw1")}"' in line)
    rights = json.loads(gateway.strip().rstrip(","))
    assert rights["allowed_connection_types"] == ["MQTT"]
    granted = rights["permissions"]["publish"]["allow"] + rights["permissions"]["subscribe"]["allow"]
    assert granted
    assert all(subject.startswith("steward.1.aurora.") for subject in granted)


def test_tokens_are_shown_once(operator: Operator) -> None:
    token = operator.said("token", "add", "--role", "monitor", "--id", "prometheus").splitlines()[0]
    assert token.startswith("stw_")
    assert "prometheus  monitor" in operator.said("token", "list")
    assert token not in (operator.folder / "api-tokens.json").read_text()
    operator.run("token", "revoke", "prometheus")
    assert "prometheus" not in operator.said("token", "list")


def test_every_command_explains_itself() -> None:
    top = CliRunner().invoke(app, ["--help"])
    assert top.exit_code == 0
    for command in app.registered_commands:
        shown = CliRunner().invoke(app, [str(command.name), "--help"]).output
        assert "Example" in shown, command.name
