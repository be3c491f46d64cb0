"""The folder where releases of the bands' program arrive: fetched in parts, or carried aboard as NAME.release."""

from __future__ import annotations

import asyncio
import hashlib
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

    async def read(self, sha256: str) -> bytes | None:
        return await asyncio.to_thread(self._read, sha256)

    async def here(self, sha256: str) -> bool:
        return await self.read(sha256) is not None

    def _read(self, sha256: str) -> bytes | None:
        try:
            paths = sorted(path for path in self._folder.iterdir() if path.suffix == ENDING)[:FILES_MAX]
        except OSError:
            return None
        for path in paths:
            try:
                with path.open("rb") as file:
                    content = file.read(CONTAINER_MAX + 1)
            except OSError:
                continue
            if hashlib.sha256(content).hexdigest() == sha256:
                return content
        return None


if TYPE_CHECKING:

    def _are_releases(folder: FolderReleases) -> ReleaseFiles:
        return folder
