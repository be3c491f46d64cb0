"""What a technician makes of an image, and brings to a band: a release file, looked over and told apart."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest
from tests.workshop.slotkit import KEY, QUICK, SlottedBoard, program, released
from typer.testing import CliRunner, Result

from bandtool import release, signing
from bandtool.__main__ import app
from bandtool.lfs import ImageFault
from bandtool.signing import ReleaseKey
from bandwire import release as wire
from steward.adapters.keyseal import KeySecret
from steward.adapters.system import OsEntropy
from steward.domain.bandrelease import ReleaseFault, open_release
from steward.errors import ConfigError

FILES = {"band/app.mpy": b"app", "band/boards/esp32.mpy": b"board", "bandwire/wire.mpy": b"wire" * 500}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release key, and an image that it signed."""
    folder = tmp_path_factory.mktemp("workshop")
    (folder / "credential").write_bytes(bytes(range(64)))
    (folder / "credential").chmod(0o600)
    signing.create(folder / "key", KeySecret.from_credential(folder / "credential"), OsEntropy())
    made = run("image", "build", "--out", folder / "image", *sealed(folder), "--number", 7, "--minimum", 3)
    assert made.exit_code == 0, made.output
    return folder


def sealed(folder: Path) -> tuple[object, ...]:
    return ("--key", folder / "key", "--credential", folder / "credential")


def test_a_release_is_made_of_an_image_and_is_the_same_each_time(workshop: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for out in (first, second):
        made = run("release", "build", "--image", workshop / "image", *sealed(workshop), "--out", out)
        assert made.exit_code == 0, made.output
    assert first.read_bytes() == second.read_bytes()
    assert hashlib.sha256(first.read_bytes()).hexdigest() in made.output
    key = signing.load(workshop / "key", KeySecret.from_credential(workshop / "credential"))
    found = release.read(first, key.public)
    assert (found.number, found.minimum, found.board) == (7, 3, "esp32")
    assert "band/app.mpy" in found.files
    assert "bandwire/release.mpy" in found.files
    assert not any(path.endswith(".py") for path in found.files)
    assert len(found.content) < wire.TOTAL_MAX
    shown = run("release", "show", first, "--public", key.public.hex())
    assert shown.exit_code == 0
    assert "release 7 for esp32" in shown.output
    stranger = run("release", "show", first, "--public", "00" * 32)
    assert stranger.exit_code == 1
    assert "release_fault" in stranger.output


def test_an_image_of_another_key_or_for_developers_makes_none(workshop: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageFault, match="not signed by the release key"):
        release.from_image(workshop / "image", KEY)
    made = run("image", "build", "--out", tmp_path / "open", *sealed(workshop), "--development")
    assert made.exit_code == 0, made.output
    refused = run("release", "build", "--image", tmp_path / "open", *sealed(workshop), "--out", tmp_path / "out")
    assert refused.exit_code == 1
    assert "development build" in refused.output
    assert not (tmp_path / "out").exists()


def test_every_changed_byte_is_found() -> None:
    content = release.pack(FILES, 7, 3, KEY, name="v")
    opened = open_release(content, KEY.public)
    assert opened.files == FILES
    assert opened.piece(5, 3) == b"\5\0\0\0" + content[5:8]
    for at in range(len(content)):
        changed = bytearray(content)
        changed[at] ^= 0x01
        with pytest.raises(ReleaseFault):
            open_release(bytes(changed), KEY.public)
    for cut in (0, 3, 6, 100, opened.head_size, len(content) - 1):
        with pytest.raises(ReleaseFault):
            open_release(content[:cut], KEY.public)
    with pytest.raises(ReleaseFault, match="at most"):
        open_release(bytes(wire.TOTAL_MAX * 2))


def test_what_bands_would_not_take_is_not_packed() -> None:
    with pytest.raises(ConfigError, match=r"band/\*\.mpy"):
        release.pack({"boot.py": b"x"}, 7, 3, KEY, name="v")
    with pytest.raises(ConfigError, match="minimum"):
        release.pack(FILES, 2, 3, KEY, name="v")
    with pytest.raises(ReleaseFault, match="cannot be read"):
        release.read(Path("/nowhere/x.release"))
    with pytest.raises(ReleaseFault, match="has not signed"):
        open_release(release.pack(FILES, 7, 3, ReleaseKey(bytes(32)), name="v"), KEY.public)


async def test_a_band_is_updated_by_one_command(tmp_path: Path) -> None:
    """The board restarts by itself in the middle; its port stays."""
    file = tmp_path / "nine.release"
    file.write_bytes(released(9, 8, files=program(QUICK)).content)
    board = SlottedBoard(tmp_path / "band", program())
    await board.power_on()
    done = await asyncio.to_thread(run, "update", "--port", board.plug_in(), "--release", file, "--no-wait")
    assert done.exit_code == 0, done.output
    assert "tries it now" in done.output
    await board.ended()
    await board.power_on()
    again = await asyncio.to_thread(run, "update", "--port", board.plug_in(), "--release", file)
    assert again.exit_code == 0, again.output
    assert "runs the new program" in again.output
    assert board.number == 9
    file.write_bytes(b"junk")
    refused = await asyncio.to_thread(run, "update", "--port", board.plug_in(), "--release", file)
    assert refused.exit_code == 1
    assert refused.output.count("\n") == 1
    await board.power_off()
