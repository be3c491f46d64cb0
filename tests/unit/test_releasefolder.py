"""Files of releases, found by their hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from steward.adapters.releasefolder import ENDING, FolderReleases


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def test_a_file_that_was_another_one_is_seen_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / f"seven{ENDING}"
    file.write_bytes(b"old bytes")
    releases = FolderReleases(tmp_path)
    assert await releases.read(sha(b"new bytes")) is None
    assert await releases.read(sha(b"old bytes")) == b"old bytes"
    file.write_bytes(b"new bytes")
    assert await releases.read(sha(b"new bytes")) == b"new bytes"
    assert await releases.read(sha(b"old bytes")) is None


async def test_what_is_not_asked_for_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[bytes] = []
    real = hashlib.sha256

    def counted(content: bytes) -> object:
        hashed.append(content)
        return real(content)

    for name in ("five", "six", "seven"):
        (tmp_path / f"{name}{ENDING}").write_bytes(name.encode())
    releases, wanted = FolderReleases(tmp_path), sha(b"six")
    monkeypatch.setattr("steward.adapters.releasefolder.hashlib.sha256", counted)
    for _ in range(3):
        assert await releases.here(wanted)
    assert hashed == [b"five", b"seven", b"six", b"six", b"six"]


async def test_no_folder_holds_nothing(tmp_path: Path) -> None:
    assert not await FolderReleases(tmp_path / "gone").here(sha(b""))
