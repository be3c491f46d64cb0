"""The manifest and its photos as they lie on the disk of whoever imports them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from steward.domain.manifest import FILE_BYTES_MAX, Problem, Row
from steward.domain.photos import BadPhoto, clean_photo
from steward.errors import ConfigError

PHOTO_FILE_BYTES_MAX = 8 * 1024 * 1024  # as a camera leaves it; what is kept after cleaning is far less


@dataclass(frozen=True, slots=True)
class PhotoFiles:
    """The photos that the rows name. hashes: file name -> SHA-256 of the cleaned photo."""

    hashes: Mapping[str, str]
    problems: tuple[Problem, ...]
    _paths: Mapping[str, Path] = field(repr=False)  # by SHA-256

    def read(self, sha256: str) -> bytes:
        """The cleaned photo. Raises ConfigError if the file has changed since it was found."""
        path = self._paths[sha256]
        try:
            content = clean_photo(_read(path))
        except (OSError, BadPhoto):
            content = b""
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ConfigError(str(path), "changed while it was being imported: import again")
        return content


def read_file(path: Path) -> bytes:
    """The manifest's bytes. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read ({error.strerror}): check the path") from None
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigError(
            str(path), f"is larger than {FILE_BYTES_MAX} bytes: split it, or check that it is the CSV file"
        )
    return raw


def find_photos(rows: Sequence[Row], folder: Path | None) -> PhotoFiles:
    """Look for each row's photo, once for each file, and check it. What is wrong is a problem of its first row."""
    hashes: dict[str, str] = {}
    paths: dict[str, Path] = {}
    problems: list[Problem] = []
    first_rows: dict[str, int] = {}
    for row in rows:
        if row.photo:
            first_rows.setdefault(row.photo, row.number)
    for name, number in first_rows.items():
        try:
            content = clean_photo(_photo(name, folder))
        except BadPhoto as bad:
            problems.append(Problem(number, "photo", bad.what, bad.remedy))
            continue
        sha256 = hashlib.sha256(content).hexdigest()
        hashes[name] = sha256
        paths[sha256] = _path(name, folder)
    return PhotoFiles(hashes, tuple(problems), paths)


def _photo(name: str, folder: Path | None) -> bytes:
    """Raises BadPhoto. `name` has no folder in it: the manifest's reader refuses such names."""
    if folder is None:
        raise BadPhoto("is named, but there is no folder of photos", "give --photos")
    try:
        return _read(_path(name, folder))
    except FileNotFoundError:
        raise BadPhoto("was not found", f"put the file into {folder}") from None
    except OSError as error:
        raise BadPhoto(f"cannot be read ({error.strerror})", "check the file") from None


def _path(name: str, folder: Path | None) -> Path:
    assert folder is not None
    return folder / name


def _read(path: Path) -> bytes:
    """At most PHOTO_FILE_BYTES_MAX of a plain file. Raises OSError, BadPhoto."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise BadPhoto("is no plain file", "check the folder of --photos")
        raw = file.read(PHOTO_FILE_BYTES_MAX + 1)
    if len(raw) > PHOTO_FILE_BYTES_MAX:
        raise BadPhoto(f"is larger than {PHOTO_FILE_BYTES_MAX // 2**20} MB", "make it smaller: 600 by 800 is plenty")
    return raw
