"""`steward shore witness`: how far each gateway's look-up log is witnessed."""

from __future__ import annotations

import asyncio

from tests.shore.kit import FixedClock
from tests.shore.test_cli import Operator, operator
from tests.shore.test_decisions import KEY
from tests.shore.test_witness import Log

from steward.domain.records import key_fingerprint
from steward.shore.config import load
from steward.shore.ingest import Ingest
from steward.shore.sqlite import SqliteShore
from steward.shore.witness import Witness

__all__ = ["operator"]


async def hear(operator: Operator, log: Log, first: int) -> None:
    store = SqliteShore.open(load(operator.file).shore.database)
    try:
        await Ingest(store, FixedClock()).batch(*log.batch(first, len(log.events)))
        await Witness(store, FixedClock(), KEY).look()
    finally:
        await store.close()


def test_what_is_witnessed_and_what_is_refused(operator: Operator) -> None:
    assert "aurora" not in operator.said("witness")
    log = Log()
    log.look("a", "b", "c")
    said = log.head()
    asyncio.run(hear(operator, log, 1))
    shown = " ".join(operator.said("witness").split())
    assert "aurora gw1: 3 look-ups, witnessed" in shown
    assert key_fingerprint(said.key) in shown
    assert "refused" not in shown
    log.leaves[0] = b"other"
    log.look("d")
    log.head()
    asyncio.run(hear(operator, log, 2))
    shown = " ".join(operator.said("witness").split())
    assert "aurora gw1: 3 look-ups" in shown
    assert "rows were removed, changed or put in" in shown
    assert "look_log" in operator.said("alarm", "list")
