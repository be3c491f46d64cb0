"""Another data key: every guest's key is wrapped anew, and what the old one wrapped is gone from the file.

In this order, so that a cut at any moment leaves a store that opens with one of the two keys: the new key's sealed file
is written beside the old one (`.next`); all keys are wrapped by it in one transaction of their database, whose proof
says from then on that the new key is the one; the database is cleaned; the new file takes the old one's name. While
there is a `.next`, a renewal is not over: `settle` finishes it, or takes it back, before anybody opens the keys.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from steward.adapters import datakey
from steward.adapters.keyseal import KeySecret, sync_directory
from steward.adapters.sqlite.connect import DATABASE_ERRORS, store_error
from steward.adapters.sqlite.guestkeys import GuestKeys, are_wrapped_by, keys_path
from steward.adapters.sqlite.lock import DatabaseLock
from steward.adapters.vault import DataKey
from steward.errors import KeyFileError
from steward.ports import Entropy


def next_path(file: Path) -> Path:
    """Of the data key that is to follow the one in `file`; beside the file itself, not beside a link to it."""
    real = file.resolve()
    return real.with_name(f"{real.name}.next")


def renew(keys: GuestKeys, file: Path, secret: KeySecret, entropy: Entropy) -> int:
    """Another data key in `file`, and another generation of each guest's key; how many guests' there are.

    Hold the database's lock, and let nobody else write meanwhile. Raises KeyFileError or StoreUnavailable; what is left
    to do then, the next start does.
    """
    new = datakey.create_after(keys.data_key, next_path(file), secret, entropy)
    try:
        count = keys.rewrap(new)
    except DATABASE_ERRORS as error:
        raise store_error(error, str(keys.path)) from error
    _finish(keys, file)
    return count


def open_data_key(database: Path, file: Path, secret: KeySecret, entropy: Entropy, *, make: bool) -> DataKey:
    """The data key of this database, once a renewal that was cut short is settled.

    make: for a gateway that has none yet. Raises KeyFileError, and StoreUnavailable if somebody is renewing it.
    """
    settle(database, file, secret, entropy)
    if file.exists():
        return datakey.load(file, secret)
    if keys_path(database).exists():
        raise KeyFileError(
            f"data key file {file} is missing: what is kept of guests is sealed by it ({keys_path(database)}). Put it "
            f"back from its copy; nothing else opens them"
        )
    if not make:
        raise KeyFileError(
            f"data key file {file} is missing: the gateway makes it at its first start, or run: steward migrate"
        )
    return datakey.create(file, secret, entropy)


def settle(database: Path, file: Path, secret: KeySecret, entropy: Entropy) -> None:
    """End a renewal of this database's data key that was cut short. Raises KeyFileError or StoreUnavailable.

    Whose keys are in their file decides: the new data key's, and it is finished; the old one's, and it never was.
    """
    following = next_path(file)
    if not following.exists() or not keys_path(database).exists():
        return  # without the keys nobody can say; a copy of them that is put back will
    lock = DatabaseLock(database)
    try:
        if not following.exists():
            return
        if _opens(database, file, secret):
            _remove(following)
        elif (new := _opens(database, following, secret)) is not None:
            keys = GuestKeys.open(database, new, entropy, expected=None)
            try:
                _finish(keys, file)
            finally:
                keys.close()
    finally:
        lock.release()


def _opens(database: Path, file: Path, secret: KeySecret) -> DataKey | None:
    """The data key in this file, if it is the one that the guests' keys are wrapped by."""
    try:
        data_key = datakey.load(file, secret)
    except KeyFileError:
        return None
    return data_key if are_wrapped_by(keys_path(database), data_key) else None


def _finish(keys: GuestKeys, file: Path) -> None:
    """The keys are wrapped by the new data key: let nothing be left of the old one."""
    try:
        keys.clean()
    except DATABASE_ERRORS as error:
        where = f"{keys.path} has its new data key, but still holds what the old one wrapped"
        raise store_error(error, where) from error
    file = file.resolve()
    try:
        with _wiped(file):
            os.replace(next_path(file), file)
            sync_directory(file.parent)
    except OSError as error:
        raise KeyFileError(f"cannot put the new data key in the place of {file}: {error.strerror}") from None


@contextlib.contextmanager
def _wiped(file: Path) -> Iterator[None]:
    """Overwrite what had this name before the block gave it to another file.

    As far as the disk overwrites in place: what flash or a copying file system keeps of it is still sealed.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:  # it is gone, or read only: then losing its name must do
        yield
        return
    try:
        yield
        with contextlib.suppress(OSError):
            os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(following: Path) -> None:
    try:
        following.unlink()
        sync_directory(following.parent)
    except OSError as error:
        raise KeyFileError(f"{following} is left over and cannot be removed: {error.strerror}") from None
