"""[models]: what may be set, and what a gateway does with it when it starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.modelkit import TINY, request
from tests.unit.test_config import MINIMAL, load

from steward.adapters import litert
from steward.adapters.memory import MemoryStore
from steward.errors import ConfigError
from steward.wiring_models import make_rankers


def test_without_models_popularity_ranks(tmp_path: Path) -> None:
    found = load(tmp_path, MINIMAL)
    assert (found.models.file, found.models.folder, found.models.threads, found.models.wait_ms) == (None, None, 1, 250)
    assert make_rankers(found, MemoryStore()).watch is None


async def test_the_named_file_is_shown_from_the_start(tmp_path: Path) -> None:
    (tmp_path / "first.model").write_bytes(TINY.read_bytes())
    found = load(
        tmp_path, MINIMAL + '[models]\nfile = "first.model"\nfolder = "arrivals"\nthreads = 2\nwait_ms = 2000\n'
    )
    store = MemoryStore()
    rankers = make_rankers(found, store)
    assert rankers.watch is not None
    await rankers.watch.look()
    orders = await rankers.ranking.rank(request(), await store.read(rankers.ranking.read))
    assert orders.shown is not None
    assert orders.best(personal=True).ranker == "preference-tiny-1"
    assert orders.best(personal=False).ranker == "popularity-1"
    rankers.ranking.close()


async def test_a_damaged_file_leaves_the_gateway_running(tmp_path: Path) -> None:
    (tmp_path / "first.model").write_bytes(TINY.read_bytes()[:-5])
    store = MemoryStore()
    rankers = make_rankers(load(tmp_path, MINIMAL + '[models]\nfile = "first.model"\n'), store)
    assert rankers.watch is not None
    await rankers.watch.look()
    orders = await rankers.ranking.rank(request(), await store.read(rankers.ranking.read))
    assert orders.best(personal=True).ranker == "popularity-1"
    assert rankers.ranking.fallbacks == {"not_loaded": 1}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('file = "none.model"', r"\[models\] file.*cannot be read"),
        ("threads = 0", r"\[models\] threads.*is 0"),
        ("wait_ms = 5000", r"\[models\] wait_ms.*is 5000"),
        ("folder = 3", r"\[models\] folder.*is a number"),
        ('url = "https://x"', r"\[models\] url.*is not a setting"),
    ],
)
def test_what_cannot_be_set(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        make_rankers(load(tmp_path, f"{MINIMAL}[models]\n{text}\n"), MemoryStore())


def test_without_a_runtime_it_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litert, "_RUNTIMES", ("steward.no_such_runtime",))
    with pytest.raises(ConfigError, match=r"\[models\].*pip install steward-edge"):
        make_rankers(load(tmp_path, MINIMAL + '[models]\nfolder = "arrivals"\n'), MemoryStore())
