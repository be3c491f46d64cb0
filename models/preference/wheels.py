"""Public sets that lie inside packages: which file of which package, had with pip, checked, and never installed."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from preference.errors import BadData, NoWheel

_DOWNLOAD_S_MAX = 300
_MEMBER_BYTES_MAX = 64 * 1024 * 1024
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Wheel:
    """One file, to the byte."""

    package: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        return f"{self.package}-{self.version}-py3-none-any.whl"

    @property
    def command(self) -> tuple[str, ...]:
        """What has pip fetch it into the folder it is run in."""
        return ("pip", "download", "--no-deps", "--only-binary", ":all:", f"{self.package}=={self.version}")


RECBOLE = Wheel("recbole", "1.2.1", "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407")
OBP = Wheel("obp", "0.4.1", "87dec9caf4283c25ab13036532e0a24566f1c7bdcad1653a8ded43b2f5ef8208")


def fetch(wheel: Wheel, folder: Path) -> Path:
    """The wheel in `folder`, downloaded if it is not there yet. Raises NoWheel."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / wheel.file
    if not path.exists():
        _download(wheel, path)
    try:
        found = _sha256(path)
    except OSError as error:
        raise NoWheel(path, f"cannot be read: {error.strerror}") from error
    if found != wheel.sha256:
        raise NoWheel(
            path,
            f"is not the {wheel.package} {wheel.version} that the figures are of (SHA-256 {found[:12]}, wanted "
            f"{wheel.sha256[:12]}): remove it and run again",
        )
    return path


def rows_in(path: Path, member: str, delimiter: str = ",") -> Iterator[Mapping[str, str]]:
    """The rows of a table inside a wheel. Raises BadData."""
    lines = io.StringIO(_member(path, member), newline="")
    reader = csv.DictReader(
        lines, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
    )
    for row in reader:
        if None in row or None in row.values():
            raise BadData(path, reader.line_num, f"a row of {member} has more or fewer fields than its header")
        yield row


def _member(path: Path, member: str) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(member).file_size > _MEMBER_BYTES_MAX:
                raise BadData(path, 0, f"{member} is larger than {_MEMBER_BYTES_MAX} bytes")
            return archive.read(member).decode()
    except KeyError as error:
        raise BadData(path, 0, f"has no {member} in it: it is another package or version") from error
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, UnicodeDecodeError) as error:
        raise BadData(path, 0, f"{member} cannot be read: it is no wheel, or a damaged one") from error


def _download(wheel: Wheel, path: Path) -> None:
    """pip's own words are not passed on: they may hold the address, and the password, of an index."""
    beside = path.parent / f"{path.name}.part"
    beside.mkdir(exist_ok=True)
    told = " ".join(wheel.command)
    try:
        done = subprocess.run(
            [sys.executable, "-m", *wheel.command, "--no-input", "--quiet", "--dest", str(beside)],
            capture_output=True,
            timeout=_DOWNLOAD_S_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NoWheel(path, f"pip took longer than {_DOWNLOAD_S_MAX} s: run `{told}` in {path.parent}") from error
    if done.returncode or not (beside / wheel.file).exists():
        raise NoWheel(
            path,
            f"pip could not fetch it: there is no pip, no network, or an index without {wheel.package} "
            f"{wheel.version}. Run `{told}` where it works, put {wheel.file} into {path.parent}, and run again",
        )
    os.replace(beside / wheel.file, path)
    beside.rmdir()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
