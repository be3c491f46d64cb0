"""[models]: what may be set, and what a gateway does with it when it starts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.modelkit import TINY, request
from tests.unit.test_config import MINIMAL, load

from steward.adapters import litert, modelfolder
from steward.adapters.memory import MemoryStore
from steward.config import Config, ModelsSettings
from steward.errors import ConfigError
from steward.services.ranking import RankingSettings
from steward.wiring_models import Rankers, make_rankers


async def _ranker(config: Config, *, personal: bool = True) -> tuple[str, Rankers]:
    """Who ranks on a gateway with these settings, right after it has started."""
    store = MemoryStore()
    rankers = make_rankers(config, store)
    rankers.ranking._settings = RankingSettings(wait_s=60)  # how busy this machine is, is no matter of this test
    if rankers.watch is not None:
        await rankers.watch.look()
    orders = await rankers.ranking.rank(request(), await store.read(rankers.ranking.read))
    rankers.ranking.close()
    return orders.best(personal).ranker, rankers


async def test_without_settings_the_model_that_ships_ranks_for_who_agreed(tmp_path: Path) -> None:
    found = load(tmp_path, MINIMAL)
    assert found.models == ModelsSettings(None, None, True, 1, 250)
    ranker, rankers = await _ranker(found)
    assert re.fullmatch(r"preference-starter-[0-9.]+", ranker)
    assert (rankers.ranking.ranked["model"], rankers.ranking.fallbacks) == (1, {})
    assert (await _ranker(found, personal=False))[0] == "popularity-1"


async def test_it_can_be_switched_off(tmp_path: Path) -> None:
    ranker, rankers = await _ranker(load(tmp_path, f"{MINIMAL}[models]\nstarter = false\n"))
    assert (ranker, rankers.watch) == ("popularity-1", None)


async def test_a_folder_for_releases_does_not_switch_it_off(tmp_path: Path) -> None:
    text = f'{MINIMAL}[models]\nfolder = "arrivals"\n'
    assert (await _ranker(load(tmp_path, text)))[0].startswith("preference-starter-")
    assert (await _ranker(load(tmp_path, f"{text}starter = false\n")))[0] == "popularity-1"


@pytest.mark.parametrize("harm", ["cut", "changed", "gone", "another", "pin gone", "pin of another", "pin is junk"])
async def test_one_that_is_not_what_was_pinned_ranks_nothing_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    whole, pin = modelfolder.STARTER.read_bytes(), modelfolder.STARTER.with_name(modelfolder.PIN).read_text()
    file, beside = tmp_path / "starter.model", tmp_path / modelfolder.PIN
    harmed = {"cut": whole[:-1], "changed": whole[:-1] + bytes([whole[-1] ^ 1]), "another": TINY.read_bytes()}
    pins = {"pin of another": pin.replace("starter.model", "other.model"), "pin is junk": "ÿ" * 64}
    file.write_bytes(harmed.get(harm, whole))
    beside.write_text(pins.get(harm, pin))
    for path, missing in ((file, "gone"), (beside, "pin gone")):
        if harm == missing:
            path.unlink()
    monkeypatch.setattr(modelfolder, "STARTER", file)
    ranker, _ = await _ranker(load(tmp_path, MINIMAL))
    assert ranker == "popularity-1"
    assert "model.refused" in caplog.text
    assert str(beside if harm.startswith("pin") else file) in caplog.text


async def test_one_of_other_features_than_this_program_ranks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(modelfolder, "FEATURES_ID", "0" * 64)
    ranker, rankers = await _ranker(load(tmp_path, MINIMAL))
    assert (ranker, rankers.ranking.fallbacks) == ("popularity-1", {"not_loaded": 1})
    assert "was trained with features" in caplog.text


async def test_without_a_runtime_popularity_ranks_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(litert, "_RUNTIMES", ("steward.no_such_runtime",))
    ranker, rankers = await _ranker(load(tmp_path, MINIMAL))
    assert (ranker, rankers.watch) == ("popularity-1", None)
    assert "pip install steward-edge[models]" in caplog.text


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
        ("starter = 1", r"\[models\] starter.*is a number"),
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
