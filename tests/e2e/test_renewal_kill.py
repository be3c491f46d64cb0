"""kill -9 at each step of a renewal of the data key: one of the two keys opens the store, and the start knows which."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from tests.e2e.killkit import READY, run_and_kill

from steward.adapters import datakey, keyseal
from steward.adapters.keyseal import KeySecret
from steward.adapters.sqlite import guestkeys, renewal
from steward.adapters.sqlite.guestkeys import GuestKeys, keys_path
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.system import OsEntropy
from steward.adapters.vault import DataKey
from steward.domain.ids import GuestRef

SEED = 20_261_123
ROUNDS = 5
REFS = [GuestRef(f"{number:016x}") for number in range(3)]
SECRET = KeySecret("credential", b"\x05" * 32)
STEPS_MAX = 2000
SETTLE_STEPS = 80  # lines of a start that finishes a renewal: killed as well
LIMIT_S = 300.0
_AT_WORK = {str(module.__file__) for module in (guestkeys, renewal, datakey)}
_WRITES = keyseal.write_private.__code__


def data_key_of(database: Path) -> DataKey:
    return renewal.open_data_key(database, database.with_name("data-key.sealed"), SECRET, OsEntropy(), make=True)


async def fill(database: Path) -> list[bytes]:
    """What was sealed of each."""
    store = SqliteStore.open(database, data_key_of(database))
    try:
        return await store.write(lambda tx: [tx.seal(ref, "note", ref.encode()) for ref in REFS])
    finally:
        await store.close()


def renew(database: Path) -> None:
    keys = GuestKeys.open(database, data_key_of(database), OsEntropy(), expected=None)
    renewal.renew(keys, database.with_name("data-key.sealed"), SECRET, OsEntropy())
    keys.close()


async def opened(database: Path, sealed: list[bytes]) -> tuple[str, list[int]]:
    """The data key's fingerprint and each guest's newest generation, once all of it was read."""
    data_key = data_key_of(database)
    assert not database.with_name("data-key.sealed.next").exists()
    store = SqliteStore.open(database, data_key)
    try:
        pairs = list(zip(REFS, sealed, strict=True))
        notes = await store.read(lambda tx: [tx.unseal(ref, "note", each) for ref, each in pairs])
        assert notes == [ref.encode() for ref in REFS]
        newest = [each[0] for each in await store.write(lambda tx: [tx.seal(ref, "x", b"") for ref in REFS])]
    finally:
        await store.close()
    return data_key.fingerprint, newest


def killed_at(step: int, work: Callable[[Path], object], database: Path) -> bool:
    """Do this in a child that is killed at the first line after so many others; False if it came to its end."""
    child = os.fork()
    if not child:
        seen: set[tuple[str, int]] = set()

        def count(frame: FrameType, event: str, _argument: Any) -> Any:
            if frame.f_code.co_filename not in _AT_WORK and frame.f_code is not _WRITES:
                return None
            if event == "line":
                seen.add((frame.f_code.co_filename, frame.f_lineno))
                if len(seen) > step:
                    os.kill(os.getpid(), signal.SIGKILL)
            return count

        sys.settrace(count)
        work(database)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0, status
    return os.WIFSIGNALED(status)


def every_step(folder: Path) -> dict[str, int]:
    """Renew with a kill at each line, and one in the start after it; how often which key was the one."""
    rng = random.Random(SEED)
    whole = folder / "whole" / "steward.db"
    whole.parent.mkdir()
    sealed = asyncio.run(fill(whole))
    before, _ = asyncio.run(opened(whole, sealed))
    counts, newer = {"old": 0, "new": 0}, False
    for step in range(STEPS_MAX):
        place = folder / str(step)
        shutil.copytree(whole.parent, place)
        database = place / "steward.db"
        old_file = (place / "data-key.sealed").read_bytes()
        old_rows = keys_path(database).read_bytes()
        was_killed = killed_at(step, renew, database)
        killed_at(rng.randrange(SETTLE_STEPS), data_key_of, database)
        print_, newest = asyncio.run(opened(database, sealed))
        is_new = print_ != before
        assert set(newest) == ({2} if is_new else {1}), step
        assert is_new or not newer, step  # once it is the new one it stays so
        if is_new:
            assert (place / "data-key.sealed").read_bytes() != old_file
            assert keys_path(database).read_bytes() != old_rows
        counts["new" if is_new else "old"] += 1
        newer = is_new
        shutil.rmtree(place)
        if not was_killed:
            assert is_new
            return counts
    raise AssertionError(f"more than {STEPS_MAX} steps")


async def child(database: Path, count: int) -> None:
    """Renewal after renewal."""
    os.write(1, READY)
    for _ in range(count):
        renew(database)
        os.write(1, b"renewed\n")
    await asyncio.sleep(LIMIT_S)  # a fast machine is done before it is killed


def test_a_renewal_killed_before_any_of_its_lines_leaves_one_key_that_opens_all(tmp_path: Path) -> None:
    """In a program of its own, which has no threads that a fork would leave behind."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    command = [sys.executable, "-W", "error", __file__, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    print("seed", SEED, counts)
    assert counts["old"] > 20
    assert counts["new"] > 10


def test_renewals_survive_kill_9_at_any_moment(tmp_path: Path) -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    database = tmp_path / "steward.db"
    sealed = asyncio.run(fill(database))
    done, generation = 0, 1
    for _ in range(ROUNDS):
        done += len(run_and_kill(__file__, database, 30, rng.uniform(0.0, 0.3)))
        _, newest = asyncio.run(opened(database, sealed))
        (now,) = set(newest)
        assert generation <= now
        generation = now
    assert done <= generation - 1 <= done + ROUNDS  # one more than was told for each kill, at most


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print(json.dumps(every_step(Path(sys.argv[1]))))
    else:
        asyncio.run(child(Path(sys.argv[1]), int(sys.argv[2])))
