"""A store is walked for what no use case names, and the command says what it found."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steward.__main__ import app
from steward.adapters import memory_sync
from steward.adapters.memory import MemoryStore
from steward.domain.events import ERASED_PAYLOAD, EventType, NewEvent, fact
from steward.ports import Tx
from steward.services.registercheck import held_in


async def test_every_event_of_every_page_is_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    monkeypatch.setattr(memory_sync, "check_declared", lambda event: None)

    def fill(tx: Tx) -> None:
        for number in range(2500):
            tx.append_event(fact(EventType.PIN_SET, number, unlocked=True))
        tx.append_event(fact(EventType.PIN_SET, 2500, mood="good", unlocked=True))
        tx.append_event(NewEvent(EventType.DOOR_OPENED, 2501, ERASED_PAYLOAD))

    await store.write(fill)
    held = await store.read(held_in)
    assert held.events == 2502
    assert dict(held.kinds) == {"pin_set.unlocked": 2501, "pin_set.mood": 1}
    assert dict(held.undeclared) == {"pin_set.mood": 1}


async def test_an_empty_store_holds_nothing() -> None:
    held = await MemoryStore().read(held_in)
    assert (held.events, len(held.kinds), len(held.undeclared)) == (0, 0, 0)


def test_the_command_counts_what_no_use_case_names(tmp_path: Path) -> None:
    runner, folder = CliRunner(), tmp_path / "ship"
    assert runner.invoke(app, ["init", str(folder)]).exit_code == 0
    config = ["--config", str(folder / "steward.toml")]
    assert "the gateway has never run" in runner.invoke(app, ["privacy", "check", *config]).output
    (folder / "data").mkdir()
    assert runner.invoke(app, ["migrate", *config]).exit_code == 0
    clean = runner.invoke(app, ["privacy", "check", *config])
    assert (clean.exit_code, "fields without a use case: 0" in clean.output) == (0, True)
    with sqlite3.connect(folder / "data" / "steward.db") as connection:
        connection.execute("ALTER TABLE guest ADD COLUMN shoe_size INTEGER")
    connection.close()
    found = runner.invoke(app, ["privacy", "check", *config])
    assert found.exit_code == 1
    assert "column guest.shoe_size is named by no use case" in found.output
    assert "fields without a use case: 1" in found.output
