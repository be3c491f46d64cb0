"""The data key of the tests' databases, and the one of a gateway that made its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import cbor2

from steward.adapters import datakey, keyseal
from steward.adapters.keyseal import KeySecret
from steward.adapters.sqlite.guestkeys import GuestKeys, keys_path
from steward.adapters.sqlite.migrations import migrate_file
from steward.adapters.sqlite.sealing import Sealing
from steward.adapters.system import OsEntropy
from steward.adapters.vault import DataKey

MATERIAL = bytes(range(32))
DATA_KEY = DataKey(MATERIAL)


def lay_data_key(path: Path, secret: KeySecret) -> None:
    """Seal the tests' data key where a gateway will look for it, so that a test can read what it kept."""
    plain = cbor2.dumps({"what": "steward data key", "schema": 1, "key": MATERIAL}, canonical=True)
    keyseal.write_private(path, keyseal.seal(plain, secret, OsEntropy(), keyseal.SCRYPT_N_RANGE[0]), replace=False)


def data_key_of(folder: Path) -> DataKey:
    """The data key of a gateway whose settings, passphrase and keys are in this folder."""
    return datakey.load(folder / "data-key.sealed", KeySecret.from_passphrase_file(folder / "passphrase"))


@contextmanager
def guest_keys(database: Path, data_key: DataKey = DATA_KEY) -> Iterator[GuestKeys]:
    """The keys of a database, for a test that goes behind the store's back."""
    keys = GuestKeys.open(database, data_key, OsEntropy(), expected=None)
    try:
        yield keys
    finally:
        keys.close()


@contextmanager
def sealing(database: Path) -> Iterator[Sealing]:
    """What a migration of this database seals with."""
    with guest_keys(database) as keys:
        yield Sealing(keys, OsEntropy())


def lend_keys(database: Path, copy: Path) -> None:
    """Put the keys of a database beside a copy of it, so that the copy can be opened."""
    shutil.copy(keys_path(database), keys_path(copy))


def lay_store(path: Path) -> Path:
    """Put a new, empty database and its keys here: copies of what `steward migrate` made once in this process.

    For tests of what comes after the first start, which would else go through every version of the schema again. All
    such databases have one id: a test in which two meet, or of the making itself, opens the store where nothing is.
    """
    for target, content in zip((path, keys_path(path)), _new_store(), strict=True):
        target.touch(0o600, exist_ok=False)
        target.write_bytes(content)
    return path


@cache
def _new_store() -> tuple[bytes, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "steward.db"
        migrate_file(path, DATA_KEY)
        return path.read_bytes(), keys_path(path).read_bytes()
