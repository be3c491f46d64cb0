"""The folder where files of signed releases arrive: one in parts, and the whole ones as fetched-SHA256.ENDING."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from steward.adapters.modelfolder import hash_file
from steward.ports.fetching import Arrivals, Part, SourceFailed

_PART = ".part"
_NAME = "fetched-"


class FolderArrivals:
    """disk_floor_bytes: what the disk keeps free whatever is to be fetched. ending: of whole files."""

    def __init__(self, folder: Path, disk_floor_bytes: int, ending: str = ".model") -> None:
        self._folder = folder
        self._floor = disk_floor_bytes
        self._whole = ending

    async def begun(self, sha256: str) -> int:
        return await asyncio.to_thread(self._begun, sha256)

    async def add(self, sha256: str, part: Part) -> None:
        await asyncio.to_thread(self._add, sha256, part)

    async def finish(self, sha256: str) -> bool:
        return await asyncio.to_thread(self._finish, sha256)

    async def room(self, size: int) -> bool:
        return await asyncio.to_thread(self._room, size)

    async def keep_only(self, wanted: frozenset[str]) -> None:
        await asyncio.to_thread(self._keep_only, wanted)

    def _begun(self, sha256: str) -> int:
        for other in self._ours(_PART):
            if other != self._path(sha256, _PART):
                _remove(other)
        try:
            return self._path(sha256, _PART).stat().st_size
        except OSError:
            return 0

    def _add(self, sha256: str, part: Part) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._path(sha256, _PART).open("ab") as file:
                if part.offset > file.tell():
                    raise SourceFailed("a part that does not follow what is here")
                file.truncate(part.offset)
                file.write(part.data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise SourceFailed(f"{self._folder}: cannot be written: {error.strerror}") from error

    def _finish(self, sha256: str) -> bool:
        path = self._path(sha256, _PART)
        try:
            if hash_file(path) != sha256:
                path.unlink()
                return False
            path.replace(self._path(sha256, self._whole))
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise SourceFailed(f"{self._folder}: cannot be written: {error.strerror}") from error
        return True

    def _room(self, size: int) -> bool:
        there = next(path for path in (self._folder, *self._folder.parents) if path.exists())
        return shutil.disk_usage(there).free - size >= self._floor

    def _keep_only(self, wanted: frozenset[str]) -> None:
        kept = {self._path(sha256, self._whole) for sha256 in wanted}
        for path in self._ours(self._whole):
            if path not in kept:
                _remove(path)

    def _ours(self, ending: str) -> list[Path]:
        try:
            return [path for path in self._folder.iterdir() if path.name.startswith(_NAME) and path.suffix == ending]
        except OSError:
            return []

    def _path(self, sha256: str, ending: str) -> Path:
        return self._folder / f"{_NAME}{sha256}{ending}"


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # it may be gone already; else it is tried again
        path.unlink()


if TYPE_CHECKING:

    def _are_arrivals(arrivals: FolderArrivals) -> Arrivals:
        return arrivals
