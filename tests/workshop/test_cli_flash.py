"""bandtool keys, image and flash, as a technician types them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.workshop.imagekit import BASE
from tests.workshop.rombootkit import ESP32_S2, Chip, RomDouble
from typer.testing import CliRunner, Result

from bandtool.__main__ import app
from bandtool.flashing import ENROL_FILE
from bandtool.image import sha256
from bandtool.lfs import FLASH_OFFSET, unpack
from bandtool.manifest import IMAGE_FILE, MANIFEST_FILE
from bandtool.setup import new_station
from bandwire.keys import open_enrolment
from steward.adapters.system import OsEntropy
from steward.domain.records import key_fingerprint

PUBLIC = re.compile(r"public key   ([0-9a-f]{64})")


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A folder with a base firmware and a release key's passphrase."""
    (tmp_path / "base.bin").write_bytes(BASE)
    (tmp_path / "pass").write_text("a long enough passphrase\n")
    (tmp_path / "pass").chmod(0o600)
    return tmp_path


def keyed(bench: Path) -> str:
    made = run("keys", "release", "--out", bench / "release.sealed", "--passphrase-file", bench / "pass")
    assert made.exit_code == 0, made.output
    found = PUBLIC.search(made.output)
    assert found is not None
    assert key_fingerprint(bytes.fromhex(found[1])) in made.output
    return found[1]


def build(bench: Path, *more: object) -> Result:
    signed = ("--key", bench / "release.sealed", "--passphrase-file", bench / "pass")
    return run("image", "build", "--out", bench / "image", "--number", 7, "--base", bench / "base.bin", *signed, *more)


def test_from_a_new_key_to_a_flashed_board(bench: Path) -> None:
    public = keyed(bench)
    shown = run("keys", "show", "--file", bench / "release.sealed", "--passphrase-file", bench / "pass")
    assert public in shown.output
    made = build(bench)
    assert made.exit_code == 0, made.output
    assert "release 7" in made.output
    assert "production, console closed" in made.output
    checked = run("image", "verify", bench / "image", "--public", public)
    assert (checked.exit_code, "in order" in checked.output) == (0, True)
    assert key_fingerprint(bytes.fromhex(public)) in checked.output

    new_station(bench / "station", "bench-1", "ship.example/t", None, OsEntropy())
    settings = bench / "station" / "station.toml"
    settings.write_text(settings.read_text().replace('# release_key = ""', f'release_key = "{public}"'))
    chip = Chip()
    double = RomDouble(chip)
    what = ("--image", bench / "image", "--base", bench / "base.bin", "--dir", bench / "station")
    try:
        done = run("flash", "--port", double.name, *what)
    finally:
        double.stop()
    assert done.exit_code == 0, done.output
    assert f"04{chip.mac.hex().upper()}: release 7" in done.output
    assert "espefuse" in done.output
    inside = unpack(bytes(chip.flash[FLASH_OFFSET:]))
    assert len(open_enrolment(inside[ENROL_FILE], b"\x04" + chip.mac)) == 16
    for path in bench.rglob("*"):
        assert path.is_dir() or inside[ENROL_FILE][8:24] not in path.read_bytes(), path

    (bench / "image" / IMAGE_FILE).write_bytes(b"")
    refused = run("flash", "--port", double.name, *what)
    assert (refused.exit_code, "image_fault" in refused.output) == (1, True)


def test_a_board_of_another_kind_is_set_aside(bench: Path) -> None:
    assert run("image", "build", "--out", bench / "image", "--development").exit_code == 0
    double = RomDouble(Chip(magic=ESP32_S2))
    what = ("--image", bench / "image", "--base", bench / "base.bin", "--development")
    try:
        refused = run("flash", "--port", double.name, *what)
    finally:
        double.stop()
    assert (refused.exit_code, "set aside: wrong_chip" in refused.output) == (3, True)


def test_a_key_is_never_overwritten_and_never_shown(bench: Path) -> None:
    keyed(bench)
    before = (bench / "release.sealed").read_bytes()
    again = run("keys", "release", "--out", bench / "release.sealed", "--passphrase-file", bench / "pass")
    assert (again.exit_code, "never overwritten" in again.output) == (1, True)
    assert (bench / "release.sealed").read_bytes() == before
    assert (bench / "release.sealed").stat().st_mode & 0o777 == 0o600
    (bench / "pass").write_text("another passphrase\n")
    closed = run("keys", "show", "--file", bench / "release.sealed", "--passphrase-file", bench / "pass")
    assert (closed.exit_code, "does not open" in closed.output) == (1, True)
    both = ("--passphrase-file", bench / "pass", "--credential", bench / "pass")
    assert "not both" in run("keys", "show", "--file", bench / "release.sealed", *both).output
    assert "no terminal" in run("keys", "show", "--file", bench / "release.sealed").output


def test_production_is_signed_and_development_is_marked(bench: Path) -> None:
    unsigned = run("image", "build", "--out", bench / "image")
    assert (unsigned.exit_code, "keys release" in unsigned.output) == (2, True)
    assert not (bench / "image").exists()
    made = run("image", "build", "--out", bench / "image", "--development")
    assert (made.exit_code, "console open" in made.output) == (0, True)
    record = json.loads((bench / "image" / MANIFEST_FILE).read_text())
    assert (record["body"]["production"], record["signature"]) == (False, None)
    assert "not signed" in run("image", "verify", bench / "image").output
    what = ("flash", "--port", bench / "none", "--image", bench / "image", "--base", bench / "base.bin")
    refused = run(*what)
    assert (refused.exit_code, "give --development" in refused.output) == (2, True)
    assert "no bootloader" in run(*what, "--development").output


def test_what_cannot_be_is_said_before_anything_is_made(bench: Path) -> None:
    keyed(bench)
    assert "above this release" in build(bench, "--minimum", 8).output
    assert build(bench, "--number", 0).exit_code == 2
    (bench / "base.bin").write_bytes(b"PK")
    assert "begins with E9" in build(bench).output
    assert not (bench / "image").exists()
    assert "64 hexadecimal digits" in run("image", "verify", bench, "--public", "5b3c").output


def test_a_base_may_be_named_by_its_hash(bench: Path) -> None:
    made = run("image", "build", "--out", bench / "image", "--development")
    assert made.exit_code == 0
    what = ("flash", "--port", bench / "none", "--image", bench / "image", "--base", bench / "base.bin")
    assert "no bootloader" in run(*what, "--development", "--base-sha256", sha256(BASE)).output
    assert "another firmware" in run(*what, "--development", "--base-sha256", sha256(b"")).output
