"""What the shore service needs of a store. sqlite.py and postgres.py have it; contract tests run on both."""

from __future__ import annotations

from importlib.resources import files
from typing import Protocol, TypeVar

from steward.shore.script import Script

T = TypeVar("T")

SCHEMA_SCRIPTS = ("schema_v1.sql", "schema_v2.sql", "schema_v3.sql", "schema_v4.sql")
SCHEMA_VERSION = len(SCHEMA_SCRIPTS)


class ShoreStore(Protocol):
    """Runs scripts, each in one transaction: everything in it is kept, or nothing."""

    async def write(self, script: Script[T]) -> T:
        """Run a script and return its result once it is durable.

        Raises what the script raises, StoreUnavailable if the database cannot be reached or refuses, and Busy if
        too many wait: in each case nothing of the script is kept. Scripts of several workers and processes may run
        at once; those about the same gateway's epoch run one after the other.
        """
        ...

    async def read(self, script: Script[T]) -> T:
        """Run a script on one consistent snapshot. It must not write."""
        ...

    async def scrub(self) -> bool:
        """Take what was overwritten out of the store's own files, as far as it can; False: not yet, ask again."""
        ...

    async def close(self) -> None:
        """Finish what runs, then let go of the database."""
        ...


def schema_scripts() -> tuple[str, ...]:
    """In SQLite's words, each bringing the schema one version further; postgres.py translates the types."""
    folder = files("steward.shore")
    return tuple(folder.joinpath(name).read_text(encoding="utf-8") for name in SCHEMA_SCRIPTS)
