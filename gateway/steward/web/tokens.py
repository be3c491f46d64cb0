"""API tokens: a private JSON file that holds no token, only the SHA-256 of each, with its role.

A token is 32 random bytes, so a plain hash of it cannot be guessed back. The file is read again when it changes:
a revoked token stops working at the next request. A file that cannot be trusted lets nobody in.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import hmac
import json
import logging
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from steward.domain.ids import GuestRef
from steward.errors import ConfigError, NotFound
from steward.ports import Entropy
from steward.web.roles import Principal, Role

_LOG = logging.getLogger(__name__)

TOKEN_PREFIX = "stw_"  # noqa: S105 what every token begins with, so that scanners can find a leaked one
TOKENS_MAX = 256
FILE_BYTES_MAX = 262_144
_TOKEN_BYTES = 32
_TOKEN = re.compile(r"stw_[A-Za-z0-9_-]{43}")
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_TILL = re.compile(r"[!-~]{1,8}")
_HASH = re.compile(r"[0-9a-f]{64}")
_CREW = re.compile(r"[0-9a-f]{16}")
_VERSION = 1


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """One line of the file: whose token, and the hash it is known by. crew: see Principal."""

    id: str
    role: Role
    till: str | None
    sha256: str
    created_s: int
    crew: GuestRef | None = None

    @property
    def principal(self) -> Principal:
        return Principal(self.id, self.role, self.till, self.crew)


class TokenFile:
    """The tokens of one gateway, for the API."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._entries: tuple[TokenEntry, ...] = ()

    def find(self, token: str) -> Principal | None:
        """Whose token this is; None if it is nobody's. Takes as long for a wrong one as for a right one."""
        self._refresh()
        known = hash_token(token) if _TOKEN.fullmatch(token) else ""
        found = None
        for entry in self._entries:
            if hmac.compare_digest(entry.sha256, known):
                found = entry.principal
        return found

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            if stamp == self._stamp:
                return
            self._entries = read_tokens(self._path)
            self._stamp = stamp
        except (OSError, ConfigError) as error:
            if self._entries or self._stamp is not None:
                _LOG.error("tokens.unreadable file=%s error=%s", self._path, type(error).__name__)
            self._entries, self._stamp = (), None


def new_token(entropy: Entropy) -> str:
    """A fresh token. It exists nowhere else: show it once."""
    return TOKEN_PREFIX + base64.urlsafe_b64encode(entropy.token_bytes(_TOKEN_BYTES)).rstrip(b"=").decode()


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def read_tokens(path: Path) -> tuple[TokenEntry, ...]:
    """The file's entries. Raises ConfigError if it cannot be read, others can read it, or it is not such a file."""
    raw = _read_private(path)
    try:
        top = json.loads(raw)
        if top["version"] != _VERSION or len(top["tokens"]) > TOKENS_MAX:
            raise _unfit(path)
        entries = tuple(_entry(path, item) for item in top["tokens"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _unfit(path) from None
    if len({entry.id for entry in entries}) != len(entries):
        raise _unfit(path)
    return entries


def add_token(path: Path, entry: TokenEntry) -> None:
    """Add to the file, making it if there is none. Raises ConfigError if the id is taken or the file is full."""
    if not _ID.fullmatch(entry.id):
        raise ConfigError("token id", "is not 1 to 32 lower-case letters, digits, dots, dashes, underscores")
    if (entry.role is Role.TILL) != (entry.till is not None):
        raise ConfigError("till", "is needed by a token of role till, and by no other: give --till with --role till")
    if entry.till is not None and not _TILL.fullmatch(entry.till):
        raise ConfigError("till", "is not 1 to 8 printable ASCII characters without spaces")
    if entry.crew is not None and entry.role is not Role.PURSER:
        raise ConfigError("crew", "is for a token of role purser, and for no other: leave --crew away")
    if entry.crew is not None and not _CREW.fullmatch(entry.crew):
        raise ConfigError("crew", "is not a crew member's reference, 16 hex digits: see GET /v1/crew")
    with _locked(path):
        entries = read_tokens(path) if path.exists() else ()
        if any(known.id == entry.id for known in entries):
            raise ConfigError(str(path), f"has a token {entry.id} already: choose another --id, or revoke that one")
        if len(entries) >= TOKENS_MAX:
            raise ConfigError(str(path), f"holds {TOKENS_MAX} tokens, the most it can: revoke some")
        _write(path, (*entries, entry))


def revoke_token(path: Path, id_: str) -> None:
    """Take a token out of the file. Raises NotFound if there is none of this id."""
    with _locked(path):
        entries = read_tokens(path)
        left = tuple(entry for entry in entries if entry.id != id_)
        if len(left) == len(entries):
            raise NotFound("token", id_)
        _write(path, left)


def _entry(path: Path, item: dict[str, object]) -> TokenEntry:
    id_, till, sha256, created_s = item["id"], item["till"], item["sha256"], item["created_s"]
    crew = item.get("crew")  # a file of before tokens could name somebody has none
    role = Role(str(item["role"]))
    shaped = (
        isinstance(id_, str)
        and _ID.fullmatch(id_)
        and isinstance(sha256, str)
        and _HASH.fullmatch(sha256)
        and isinstance(created_s, int)
        and (till is None or (isinstance(till, str) and _TILL.fullmatch(till)))
        and (role is Role.TILL) == (till is not None)
        and (crew is None or (role is Role.PURSER and isinstance(crew, str) and _CREW.fullmatch(crew)))
    )
    if not shaped:
        raise _unfit(path)
    holder = None if crew is None else GuestRef(str(crew))
    return TokenEntry(str(id_), role, None if till is None else str(till), str(sha256), int(str(created_s)), holder)


def _unfit(path: Path) -> ConfigError:
    return ConfigError(str(path), "is not a file of API tokens: restore it, or move it away and add tokens again")


def _read_private(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigError(
            str(path), f"cannot be read ({error.strerror}): make it with `steward tokens add --role ROLE`"
        ) from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise ConfigError(str(path), "is not a plain file: check the path")
        if mode & 0o077:
            raise ConfigError(
                str(path), f"can be read or written by others (mode {stat.S_IMODE(mode):04o}): run chmod 600 on it"
            )
        with open(descriptor, "rb", closefd=False) as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read ({error.strerror}): check the disk") from None
    finally:
        os.close(descriptor)
    if len(raw) > FILE_BYTES_MAX:
        raise _unfit(path)
    return raw


def _write(path: Path, entries: Sequence[TokenEntry]) -> None:
    """Replace the file whole or not at all, mode 0600, on disk when this returns."""
    lines = [
        {"id": e.id, "role": str(e.role), "till": e.till, "sha256": e.sha256, "created_s": e.created_s, "crew": e.crew}
        for e in entries
    ]
    text = json.dumps({"version": _VERSION, "tokens": lines}, indent=1) + "\n"
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with open(descriptor, "w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(descriptor)
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be written ({error.strerror}): check the folder") from None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One change at a time: two commands at once must not lose each other's token."""
    try:
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be reached ({error.strerror}): make its folder first") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
