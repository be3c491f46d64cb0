"""The folder where releases of the bands' program arrive: fetched in parts, or carried aboard as NAME.release."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from steward.domain.bandrelease import CONTAINER_MAX
from steward.ports.bandupdates import ReleaseFiles

ENDING = ".release"
FILES_MAX = 64  # looked at


class FolderReleases:
    """Files are known by their hash, whatever their names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._hashes: dict[tuple[Path, int, int], str] = {}  # of files as they were: name, time of change, size

    async def read(self, sha256: str) -> bytes | None:
        return await asyncio.to_thread(self._read, sha256)

    async def here(self, sha256: str) -> bool:
        return await self.read(sha256) is not None

    def _read(self, sha256: str) -> bytes | None:
        """Asked every few seconds: a file whose hash is another one is not read again until it changes."""
        try:
            paths = sorted(path for path in self._folder.iterdir() if path.suffix == ENDING)[:FILES_MAX]
        except OSError:
            return None
        known, self._hashes = self._hashes, {}
        for path in paths:
            try:
                with path.open("rb") as file:
                    state = os.fstat(file.fileno())
                    mark = path, state.st_mtime_ns, state.st_size
                    if known.get(mark, sha256) != sha256:
                        self._hashes[mark] = known[mark]
                        continue
                    content = file.read(CONTAINER_MAX + 1)
            except OSError:
                continue
            self._hashes[mark] = hashlib.sha256(content).hexdigest()
            if self._hashes[mark] == sha256:
                return content
        return None


if TYPE_CHECKING:

    def _are_releases(folder: FolderReleases) -> ReleaseFiles:
        return folder
