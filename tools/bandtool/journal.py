"""What a station has begun and finished, on disk before a band is told: one SQLite file, no key in it.

A band that was cut off is gone on with from here, and a UID that was finished once is never keyed as a new band again.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from steward.domain.guests import KeyChange
from steward.domain.ids import Uid
from steward.errors import StoreUnavailable

T = TypeVar("T")
APPLICATION_ID = 0x53545742  # "STWB"
SCHEMA_VERSION = 1
_LOCK_WAIT_S = 1.0  # a bandtool that is just ending
_DAMAGED = (sqlite3.Error, ValueError)  # the second: text or a row that no bandtool wrote
_SCHEMA = """
BEGIN EXCLUSIVE;
CREATE TABLE bench (
    station BLOB NOT NULL CHECK (length(station) = 32)  -- the public key that signs its reports
) STRICT;
CREATE TABLE key_change (
    uid TEXT NOT NULL CHECK (length(uid) = 14),
    key_no INTEGER NOT NULL CHECK (key_no BETWEEN 0 AND 4),
    old_version INTEGER NOT NULL CHECK (old_version BETWEEN 0 AND 255),
    new_version INTEGER NOT NULL CHECK (new_version BETWEEN 1 AND 255),
    done INTEGER NOT NULL CHECK (done IN (0, 1)),
    PRIMARY KEY (uid, key_no)
) STRICT, WITHOUT ROWID;
CREATE TABLE band (
    uid TEXT PRIMARY KEY CHECK (length(uid) = 14),
    state TEXT NOT NULL CHECK (state IN ('begun', 'done', 'faulty')),
    active INTEGER NOT NULL CHECK (active IN (0, 1)),
    key_version INTEGER NOT NULL CHECK (key_version BETWEEN 1 AND 255),
    begun_s INTEGER NOT NULL,
    ended_s INTEGER NOT NULL DEFAULT 0,
    what TEXT NOT NULL DEFAULT '',
    finished INTEGER NOT NULL DEFAULT 0 CHECK (finished IN (0, 1)),
    firmware TEXT NOT NULL DEFAULT '',
    tests TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE TABLE flashed (
    uid TEXT PRIMARY KEY CHECK (length(uid) = 14),
    image TEXT NOT NULL CHECK (length(image) = 16),
    number INTEGER NOT NULL CHECK (number > 0),
    base TEXT NOT NULL CHECK (length(base) = 64),
    at_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
PRAGMA application_id = 1398036290;
PRAGMA user_version = 1;
COMMIT;
"""


class BandStage(StrEnum):
    BEGUN = "begun"
    DONE = "done"
    FAULTY = "faulty"


@dataclass(frozen=True, slots=True)
class BenchBand:
    """One band that was on this bench. what: why it is faulty, a code.

    finished: it was done once, so its UID is used up, whatever becomes of it. firmware: what it said that it runs.
    tests: what came of each, as JSON.
    """

    uid: Uid
    stage: BandStage
    active: bool
    key_version: int
    begun_s: int
    ended_s: int = 0
    what: str = ""
    finished: bool = False
    firmware: str = ""
    tests: str = ""


@dataclass(frozen=True, slots=True)
class BoardFlash:
    """What was written to a board last, and proven to be on it. base: SHA-256 of MicroPython's own firmware, in hex."""

    uid: Uid
    image: str
    number: int
    base: str
    at_s: int


class BenchJournal:
    """One process at a time: the file is held exclusively. A steward.services.personalise.KeyJournal."""

    def __init__(self, path: Path, connection: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self.path = path
        self._connection = connection
        self._thread = thread

    @classmethod
    async def open(cls, path: Path) -> BenchJournal:
        """Raises StoreUnavailable, also if there is none: an empty one would take a finished band for a new one."""
        thread = ThreadPoolExecutor(1, "bench journal")
        try:
            connection = await asyncio.get_running_loop().run_in_executor(thread, _open, path)
        except (*_DAMAGED, OSError) as error:
            thread.shutdown()
            raise _unusable(path, error) from None
        return cls(path, connection, thread)

    async def close(self) -> None:
        await self._do(self._connection.close)
        self._thread.shutdown()

    async def check_station(self, public: bytes) -> None:
        """Raises StoreUnavailable for the journal of another station: this one would sign for bands it never saw."""
        found = await self._do(lambda: self._connection.execute("SELECT station FROM bench").fetchall())
        if found != [(public,)]:
            raise StoreUnavailable(
                f"the journal {self.path} is another station's: bring back this bench's own copy. "
                "Nothing was changed on a band"
            )

    async def changes(self, uid: Uid) -> Sequence[KeyChange]:
        sql = "SELECT key_no, old_version, new_version, done FROM key_change WHERE uid = ? ORDER BY key_no"
        rows = await self._do(lambda: self._connection.execute(sql, (uid,)).fetchall())
        return [KeyChange(uid, key_no, old, new, bool(done)) for key_no, old, new, done in rows]

    async def note(self, change: KeyChange) -> None:
        row = (change.uid, change.key_no, change.old_version, change.new_version, int(change.done))
        await self._do(
            lambda: self._connection.execute("INSERT OR REPLACE INTO key_change VALUES (?, ?, ?, ?, ?)", row)
        )

    async def band(self, uid: Uid) -> BenchBand | None:
        found = await self._bands("SELECT * FROM band WHERE uid = ?", uid)
        return found[0] if found else None

    async def bands(self) -> Sequence[BenchBand]:
        """All there are, in the order they were begun."""
        return await self._bands("SELECT * FROM band ORDER BY begun_s, uid")

    async def _bands(self, sql: str, *values: str) -> Sequence[BenchBand]:
        return await self._do(lambda: [_band(row) for row in self._connection.execute(sql, values)])

    async def put(self, band: BenchBand) -> None:
        row = (
            band.uid,
            band.stage.value,
            int(band.active),
            band.key_version,
            band.begun_s,
            band.ended_s,
            band.what,
            int(band.finished),
            band.firmware,
            band.tests,
        )
        await self._do(
            lambda: self._connection.execute("INSERT OR REPLACE INTO band VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        )

    async def flashed(self, board: BoardFlash) -> None:
        row = (board.uid, board.image, board.number, board.base, board.at_s)
        await self._do(lambda: self._connection.execute("INSERT OR REPLACE INTO flashed VALUES (?, ?, ?, ?, ?)", row))

    async def flashes(self) -> Mapping[Uid, BoardFlash]:
        rows = await self._do(lambda: self._connection.execute("SELECT * FROM flashed ORDER BY uid").fetchall())
        return {Uid(uid): BoardFlash(Uid(uid), image, number, base, at_s) for uid, image, number, base, at_s in rows}

    async def _do(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except _DAMAGED as error:
            raise _unusable(self.path, error) from None


def create(path: Path, public: bytes) -> None:
    """An empty journal, for the new station of this key. Raises StoreUnavailable, also if something is there."""
    try:
        path.touch(mode=0o600, exist_ok=False)
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.executescript(_SCHEMA)
            connection.execute("INSERT INTO bench VALUES (?)", (public,))
        finally:
            connection.close()
    except (sqlite3.Error, OSError) as error:
        raise _unusable(path, error) from None


def _open(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise OSError("it is not there; bring it back from its copy")
    connection = sqlite3.connect(path, timeout=_LOCK_WAIT_S, isolation_level=None)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if (application, version) != (APPLICATION_ID, SCHEMA_VERSION):
            raise sqlite3.DatabaseError("it is not a station's journal that this bandtool knows")
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(f"it is damaged, bring it back from its copy ({found})")
    except _DAMAGED:
        connection.close()
        raise
    return connection


def _band(row: tuple[str, str, int, int, int, int, str, int, str, str]) -> BenchBand:
    """Raises ValueError."""
    uid, stage, active, version, begun_s, ended_s, what, finished, firmware, tests = row
    bytes.fromhex(uid)
    if tests and not isinstance(json.loads(tests), dict):
        raise ValueError("tests")
    return BenchBand(
        Uid(uid), BandStage(stage), bool(active), version, begun_s, ended_s, what, bool(finished), firmware, tests
    )


def _said(error: Exception) -> str:
    return "it is damaged, bring it back from its copy" if isinstance(error, ValueError) else str(error)


def _unusable(path: Path, error: sqlite3.Error | OSError | ValueError) -> StoreUnavailable:
    return StoreUnavailable(
        f"the station's journal {path} cannot be used: {_said(error)}. Nothing was changed on a band; free the disk, "
        "or close the other bandtool that has it"
    )
