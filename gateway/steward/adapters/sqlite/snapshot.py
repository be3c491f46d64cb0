"""One consistent look at a database that a gateway may be using: nothing is written, nothing of a profile is read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from steward.adapters.sqlite.connect import DATABASE_ERRORS, connect, store_error
from steward.adapters.sqlite.lock import check_not_restoring
from steward.adapters.sqlite.lookups import forbid_looks
from steward.adapters.sqlite.migrations import SCHEMA_VERSION, open_keys, read_version
from steward.adapters.sqlite.tx import SqliteTx
from steward.adapters.system import OsEntropy
from steward.adapters.vault import KEY_BYTES, Chest, DataKey, MemoryChest, TxKeys
from steward.errors import StoreUnavailable


@contextlib.contextmanager
def snapshot(database: Path, data_key: DataKey | None = None) -> Iterator[SqliteTx]:
    """The store as it is at this moment, for as long as the block takes; the gateway goes on meanwhile.

    data_key: None for who needs nothing that is sealed; it reads as if its guests had been erased. Blocks. Raises
    StoreUnavailable.
    """
    if not database.exists():
        raise StoreUnavailable(f"{database} does not exist: the gateway has never run with these settings")
    check_not_restoring(database)
    connection = connect(database, query_only=True)
    try:
        version = read_version(connection, database)
        if version != SCHEMA_VERSION:
            raise StoreUnavailable(
                f"{database} has schema version {version}, not {SCHEMA_VERSION}: "
                "stop the gateway and run steward migrate"
            )
        entropy = OsEntropy()
        with contextlib.ExitStack() as opened:
            chest: Chest = MemoryChest(DataKey(entropy.token_bytes(KEY_BYTES)))
            if data_key is not None:
                chest = opened.enter_context(contextlib.closing(open_keys(connection, database, data_key, entropy)))
            forbid_looks(connection)
            connection.execute("BEGIN")
            tx = SqliteTx(connection, TxKeys(chest, entropy), read_only=True)
            try:
                yield tx
            finally:
                tx.end()
                connection.execute("ROLLBACK")
    except DATABASE_ERRORS as error:
        raise store_error(error, str(database)) from error
    finally:
        connection.close()
