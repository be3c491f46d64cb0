"""Where model files lie, and how one is read: whole, once, and by its hash before anything in it is believed."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from pathlib import Path
from typing import TYPE_CHECKING

from steward.adapters.litert import LitertModel, find_runtime
from steward.domain.features import FEATURES_ID
from steward.domain.modelfile import (
    MANIFEST_BYTES_MAX,
    NETWORK_BYTES_MAX,
    BadModelFile,
    FeaturesDiffer,
    check_features,
    unpack,
)
from steward.errors import ModelRefused
from steward.ports.service import Models

FILES_MAX = 64  # looked at in the folder
STARTER = Path(__file__).resolve().parents[1] / "starter" / "starter.model"  # it ships with this program
PIN = "starter.sha256"  # beside it
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILE_BYTES_MAX = MANIFEST_BYTES_MAX + NETWORK_BYTES_MAX + 64


class FolderModels:
    """The settings' own file, and the files NAME.model in one folder, which are known by their hash."""

    def __init__(self, folder: Path | None, file: Path | None = None, threads: int = 1) -> None:
        """Raises ModelRefused: no runtime is installed."""
        find_runtime()
        self._folder = folder
        self._file = file
        self._threads = threads
        self._hashes: dict[Path, tuple[tuple[int, int], str]] = {}  # by size and time of change

    async def here(self, sha256: str) -> bool:
        return await asyncio.to_thread(self._find, sha256) is not None

    async def load(self, sha256: str, size: int | None) -> LitertModel:
        return await asyncio.to_thread(self._load, sha256, size)

    def _load(self, sha256: str, size: int | None) -> LitertModel:
        path = self._find(sha256)
        if path is None:
            raise ModelRefused(f"{self._lacks()} the SHA-256 {sha256[:12]}: put that one there")
        return open_model(path, sha256, size, self._threads)

    def _lacks(self) -> str:
        return f"{self._file} has not" if self._folder is None else f"no file NAME.model in {self._folder} has"

    def _find(self, sha256: str) -> Path | None:
        paths = [*([] if self._file is None else [self._file]), *self._arrived()]
        self._hashes = {path: known for path, known in self._hashes.items() if path in paths}
        return next((path for path in paths if self._hash(path) == sha256), None)

    def _arrived(self) -> list[Path]:
        if self._folder is None:
            return []
        try:
            return sorted(path for path in self._folder.iterdir() if path.suffix == ".model")[:FILES_MAX]
        except OSError:
            return []

    def _hash(self, path: Path) -> str | None:
        try:
            found = path.stat()
            mark = (found.st_size, found.st_mtime_ns)
            known = self._hashes.get(path)
            if known is None or known[0] != mark:
                known = self._hashes[path] = (mark, hash_file(path))
        except OSError:
            return None
        return known[1]


def pinned(path: Path) -> str:
    """SHA-256 in hex of the model that ships, by the file PIN beside it. Raises ModelRefused."""
    pin = path.with_name(PIN)
    try:
        told = pin.read_text(encoding="ascii").split()
    except (OSError, ValueError) as error:
        raise ModelRefused(f"{pin}: cannot be read: install this program again") from error
    if told[1:] != [path.name] or not _SHA256.fullmatch(told[0]):
        raise ModelRefused(f"{pin}: says no SHA-256 of {path.name}: install this program again")
    return told[0]


def hash_file(path: Path) -> str:
    """SHA-256 in hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_model(path: Path, sha256: str, size: int | None, threads: int = 1) -> LitertModel:
    """Read the file once and check all of it: size, hash, manifest, features, tensors. Raises ModelRefused."""
    try:
        with path.open("rb") as file:
            raw = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ModelRefused(f"{path}: cannot be read: {error.strerror}") from error
    if size is not None and len(raw) != size:
        raise ModelRefused(f"{path}: not the {size} bytes that were signed: fetch the file again")
    if not hmac.compare_digest(hashlib.sha256(raw).hexdigest(), sha256):
        raise ModelRefused(f"{path}: not the bytes that were signed: fetch the file again")
    try:
        manifest, network = unpack(raw)
        check_features(manifest, FEATURES_ID)
        return LitertModel(manifest, network, threads)
    except (BadModelFile, FeaturesDiffer, ModelRefused) as error:
        raise ModelRefused(f"{path}: {error}") from error


if TYPE_CHECKING:

    def _are_models(models: FolderModels) -> Models:
        return models
