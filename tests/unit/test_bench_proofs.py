"""The bench of proofs on a small log: it checks what it makes, and its sizes are those of a tree."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from bench import proofs


def test_a_small_log_is_measured_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(proofs, "APPENDS", 50)
    found = proofs.run(rows=1000, proofs=20)
    figures = {row["what"]: row for row in found["figures"]}
    assert found["rows"] == 1000
    made, checked, peer, extends, bare, leaf, disk = figures.values()
    assert (made["hashes"], extends["hashes"], peer["hashes"]) == (10, 11, 2000)
    assert 1000 < made["size_bytes"] == checked["size_bytes"] < 2000
    assert peer["size_bytes"] > 100 * made["size_bytes"]
    assert all(row["p50_ms"] > 0 for row in (made, checked, peer, extends, bare, leaf))
    assert disk["size_bytes"] > 1000 * 64
    assert list(tmp_path.iterdir()) == []
    console = Console(file=io.StringIO(), width=150)
    proofs.show(found, console)
