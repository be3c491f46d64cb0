"""What a technician types: a station made, bands keyed, the journal listed; and what is said when it cannot be."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
import stat
from pathlib import Path

import pytest
from rich.console import Console
from tests.workshop.benchkit import AUTHORITY, UID, BoardOnCable, on_flash, ours
from typer.testing import CliRunner, Result

from bandtool import config, setup, stationkeys
from bandtool.__main__ import app
from bandtool.stationkeys import Enrolment
from bandwire.keys import KEY_COUNT
from bench import provisioning
from steward.adapters import keyfile
from steward.adapters.aes import HostAes
from steward.adapters.keyseal import KeySecret
from steward.adapters.system import OsEntropy
from steward.errors import ConfigError, KeyFileError

CREDENTIAL = "bench"
FILES = {"station.toml", "passphrase", "station-key.sealed", "enrolment.sealed", "station.db"}


@pytest.fixture(autouse=True)
def _credential(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What opens a station's files without the time that a passphrase takes."""
    folder = tmp_path_factory.mktemp("credentials")
    (folder / CREDENTIAL).write_bytes(bytes(range(32)))
    (folder / CREDENTIAL).chmod(0o600)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def station(folder: Path, *, development: bool = True, role: keyfile.Role = keyfile.Role.STATION) -> Enrolment:
    """A station that has its ship's keys."""
    made = run("init", folder, "--credential", CREDENTIAL)
    assert made.exit_code == 0, made.output
    if development:
        file = folder / config.FILE
        file.write_text(file.read_text().replace("# development = false", "development = true"))
    settings = config.load(folder)
    keys = keyfile.export(AUTHORITY, role, 1_700_000_000)
    keyfile.create(settings.key_file, keys, settings.secret(), OsEntropy())
    return stationkeys.load_enrolment(settings.enrolment, settings.secret(), HostAes())


async def ran(*arguments: object) -> Result:
    return await asyncio.to_thread(run, *arguments)


async def provision(board: BoardOnCable, folder: Path) -> Result:
    return await ran("provision", "--port", board.plug_in(), "--dir", folder)


def test_a_station_is_made_whole_private_and_once(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "bench"
    made = run("init", folder, "--name", "dock-2", "--guest-url", "ms-example.ship/t")
    assert (made.exit_code, made.stderr) == (0, "")
    assert {path.name for path in folder.iterdir()} == FILES
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    settings = config.load(folder)
    assert (settings.name, settings.guest_url, settings.development) == ("dock-2", "ms-example.ship/t", False)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    again = run("init", folder)
    assert again.exit_code == 2
    assert "never overwritten" in again.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["bench"]  # nothing half-made beside it


@pytest.mark.parametrize(
    "words",
    [
        ("--name", "Bench 1"),
        ("--guest-url", "https://ship.example/t"),
        ("--credential", "a/b"),
        ("--name", 'b"\nrandom_id = false\n#'),
    ],
)
def test_a_station_with_settings_that_cannot_work_is_not_made(words: tuple[str, str], tmp_path: Path) -> None:
    made = run("init", tmp_path / "bench", *words)
    assert made.exit_code == 2
    assert "station" in made.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_station_may_have_a_credential_instead_of_a_passphrase(tmp_path: Path) -> None:
    settings = setup.new_station(tmp_path / "bench", "bench-1", "ship.example/t", CREDENTIAL, OsEntropy())
    assert {path.name for path in settings.folder.iterdir()} == FILES - {"passphrase"}
    assert len(stationkeys.load_station(settings.station_key, settings.secret()).public) == 32
    with pytest.raises(ConfigError):
        setup.new_station(tmp_path / "other", "bench-1", "ship.example/t", "absent", OsEntropy(), {})
    assert not (tmp_path / "other").exists()


def test_no_two_stations_have_a_secret_in_common_and_none_opens_as_another(tmp_path: Path) -> None:
    first, second = (
        config.load(setup.new_station(tmp_path / n, "b", "s.example/t", None, OsEntropy()).folder) for n in "ab"
    )
    enrolments = [stationkeys.load_enrolment(one.enrolment, one.secret(), HostAes()) for one in (first, second)]
    assert enrolments[0].file(UID) != enrolments[1].file(UID)
    with pytest.raises(KeyFileError, match="does not open"):
        stationkeys.load_enrolment(first.enrolment, second.secret(), HostAes())
    with pytest.raises(KeyFileError, match="holds no enrolment master"):
        stationkeys.load_enrolment(first.station_key, first.secret(), HostAes())
    with pytest.raises(KeyFileError, match="holds no station key"):
        stationkeys.load_station(first.enrolment, first.secret())
    with pytest.raises(KeyFileError):
        stationkeys.load_station(first.station_key, KeySecret.from_passphrase("a passphrase that is another"))


async def test_a_band_is_keyed_from_the_command_line_and_listed(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    enrolment = station(folder)
    board = BoardOnCable(tmp_path / "flash", UID, enrolment)
    await board.power_on()
    for _ in range(2):  # a finished one only proves itself again
        done = await provision(board, folder)
        assert done.exit_code == 0, done.output
        assert done.stdout == "04112233445566 done: keys of version 1, firmware source\n"
        assert on_flash(board.state) == ours()
    listed = await ran("journal", "--dir", folder)
    assert listed.exit_code == 0
    assert "04112233445566" in listed.stdout
    assert "done" in listed.stdout
    assert (await ran("journal", "--dir", folder, "--open")).stdout == "No band is half-done.\n"
    await board.power_off()


async def test_each_outcome_has_a_line_and_a_code_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    enrolment = station(folder)
    assert (await ran("journal", "--dir", folder)).stdout == "No band was on this bench yet.\n"
    foreign = BoardOnCable(tmp_path / "foreign", UID, Enrolment(bytes(16), HostAes()))
    await foreign.power_on()
    aside = await provision(foreign, folder)
    assert aside.exit_code == 3
    assert "bandtool: set aside: not_enrolled: 04112233445566 does not have the first key" in aside.stderr
    assert aside.stdout == ""
    assert "not_enrolled" in (await ran("journal", "--dir", folder, "--open")).stdout
    await foreign.power_off()

    absent = await ran("provision", "--port", tmp_path / "ttyNONE", "--dir", folder)
    assert absent.exit_code == 1
    assert "bandtool ports" in absent.stderr
    nowhere = await ran("provision", "--port", tmp_path / "ttyNONE", "--dir", tmp_path / "nowhere")
    assert nowhere.exit_code == 2
    assert "bandtool init" in nowhere.stderr

    board = BoardOnCable(tmp_path / "flash", UID, enrolment)
    await board.power_on()
    (folder / "station.db").rename(folder / "kept.db")
    without = await provision(board, folder)
    assert without.exit_code == 1
    assert "bring it back from its copy" in without.stderr
    assert [version for _, version in on_flash(board.state)] == [0] * KEY_COUNT
    (folder / "station.db").write_bytes(b"")
    assert (await provision(board, folder)).exit_code == 1
    (folder / "station.db").unlink()
    (folder / "kept.db").rename(folder / "station.db")
    other = sqlite3.connect(folder / "station.db")
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    busy = await provision(board, folder)
    assert busy.exit_code == 1
    assert "close the other bandtool" in busy.stderr
    other.close()
    assert (await provision(board, folder)).exit_code == 0
    await board.power_off()


async def test_a_production_station_keys_no_board_with_an_open_console(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    board = BoardOnCable(tmp_path / "flash", UID, station(folder, development=False))
    await board.power_on()
    aside = await provision(board, folder)
    assert aside.exit_code == 3
    assert "console_open" in aside.stderr
    await board.power_off()


def test_a_key_file_of_another_role_keys_no_band(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    station(folder, role=keyfile.Role.DOOR)
    refused = run("provision", "--port", tmp_path / "ttyNONE", "--dir", folder)
    assert refused.exit_code == 2
    assert "--role station" in refused.stderr


def test_the_journal_of_another_station_is_not_signed_for(tmp_path: Path) -> None:
    """Somebody brings back the wrong copy: the bands in it were keyed with secrets that this bench does not hold."""
    ours_, theirs = tmp_path / "bench", tmp_path / "other"
    station(ours_)
    station(theirs)
    config.load(ours_).journal.write_bytes(config.load(theirs).journal.read_bytes())
    for words in (("report", "--dir", ours_), ("provision", "--port", tmp_path / "ttyNONE", "--dir", ours_)):
        refused = run(*words)
        assert refused.exit_code != 0
        assert "another station's: bring back this bench's own copy" in refused.stderr
    assert list(ours_.glob("*-report.*")) == []
    assert run("report", "--dir", theirs).exit_code == 0


@pytest.mark.parametrize("command", ["init", "provision", "journal"])
def test_help_teaches_with_an_example(command: str) -> None:
    text = run(command, "--help").stdout
    assert "Example" in text
    assert f"bandtool {command}" in text


def test_the_bench_of_provisioning_counts_what_goes_over_the_cable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    result = json.loads(json.dumps(provisioning.run(bands=1)))
    new, again = result["rows"]
    assert new["round_trips"] > again["round_trips"] > 20
    for row in (new, again):
        assert row["up"] + row["down"] > row["commands"] > 500  # frames cost something, and not as much again
        assert row["up"] + row["down"] < 2 * row["commands"]
        assert row["line_ms"] == pytest.approx((row["up"] + row["down"]) / 11.52)
    shown = io.StringIO()
    provisioning.show(result, Console(file=shown, width=140))
    assert f"{new['up']:,}" in shown.getvalue()
    assert list(tmp_path.iterdir()) == []
