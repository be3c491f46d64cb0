"""Files of deeds (domain/pastexport.py): written whole or not at all, never over another file, for the owner only."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import IO

from steward.adapters.sqlite.connect import sync_folder
from steward.domain.catalogue import Item
from steward.domain.pastexport import DeedLine, Header, encode_deed, encode_end, encode_header
from steward.domain.pasts import ShipDay
from steward.domain.shorebodies import item_fields
from steward.errors import ConfigError

_CHUNK_BYTES = 1 << 20


def write_deeds(
    path: Path, ship: str, source: str, day: ShipDay, deeds: Iterable[DeedLine], *, made_up: bool = False
) -> Header:
    """Write the deeds as they come, guest by guest in order of time; returns the file's header.

    They are spooled to a file without a name first, as the header counts them, so memory holds one deed and the folder
    needs room for two copies. Raises ConfigError where the file exists or cannot be written; whatever `deeds` raises
    leaves no file behind.
    """
    check_new(path)
    with _opened(path), tempfile.TemporaryFile(dir=path.parent) as body:
        header = replace(_spool(body, ship, source, day, deeds), made_up=made_up)
        with _appearing(path) as file:
            _copy(file, header, body)
    return header


def write_catalogue(path: Path, items: Iterable[Item]) -> None:
    """The catalogue that goes with the deeds, as JSON, in the same way. Raises ConfigError."""
    check_new(path)
    with _opened(path), _appearing(path) as file:
        file.write(json.dumps([item_fields(item) for item in items], ensure_ascii=False, indent=1).encode() + b"\n")


def write_lines(path: Path, lines: Iterable[bytes]) -> int:
    """Lines as they come, in the same way; how many. Raises ConfigError."""
    check_new(path)
    with _opened(path), _appearing(path) as file:
        return sum(1 for line in lines if file.write(line))


def check_new(path: Path) -> None:
    """Raises ConfigError for what is there already: better known before an hour's work than after."""
    if path.exists() or path.is_symlink():
        raise _taken(path)
    if not path.parent.is_dir():
        raise ConfigError(str(path), f"there is no folder {path.parent}: make it, or correct the path")


def _spool(body: IO[bytes], ship: str, source: str, day: ShipDay, deeds: Iterable[DeedLine]) -> Header:
    count = guests = from_s = to_s = 0
    for _, lines in groupby(deeds, lambda deed: deed.guest):
        guests += 1
        for deed in lines:
            at_s = deed.moment.now_s
            from_s = min(from_s, at_s) if count else at_s
            to_s = max(to_s, at_s)
            count += 1
            body.write(encode_deed(deed))
    return Header(ship, source, day, from_s, to_s, guests, count)


def _copy(file: IO[bytes], header: Header, body: IO[bytes]) -> None:
    running = _Hashing(file)
    running.write(encode_header(header))
    body.seek(0)
    shutil.copyfileobj(body, running, _CHUNK_BYTES)
    file.write(encode_end(header.deeds, running.sha256.hexdigest()))


class _Hashing:
    """Writes, and hashes what it wrote."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.sha256.update(content)
        return self._file.write(content)


@contextlib.contextmanager
def _appearing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name once it is whole and on disk."""
    part = path.with_name(f".{path.name}.part")
    with contextlib.ExitStack() as made:
        file = made.enter_context(open(part, "xb", opener=_private))
        made.callback(part.unlink, missing_ok=True)
        yield file
        file.flush()
        os.fsync(file.fileno())
        try:
            os.link(part, path)  # a rename would replace what appeared there meanwhile
        except FileExistsError:
            raise _taken(path) from None
        sync_folder(path.parent)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise ConfigError(
            str(path), f"another export is writing it, or one was cut short and left {error.filename}: remove that"
        ) from None
    except OSError as error:
        raise ConfigError(
            str(path), f"cannot be written ({error.strerror}): free some space, or name a file on another local disk"
        ) from None


def _taken(path: Path) -> ConfigError:
    return ConfigError(str(path), "exists and is never overwritten: move it away, or name another file")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
