"""What a gateway ranks is what one outlet has: a ship's days are measured on that too."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from preference import evaluate as evaluation
from preference.deeds import ship_days
from preference.evaluate import Model, Ranking
from preference.sets import Floats, PreparedSet, Windows
from steward.domain.features import ITEM_NAMES
from voyage.__main__ import app as voyage


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    path = tmp_path_factory.mktemp("days")
    words = ["tastes", "--guests", "20", "--deeds", str(path / "deeds"), "--catalogue", str(path / "catalogue")]
    assert CliRunner().invoke(voyage, words).exit_code == 0
    return ship_days(path / "deeds", path / "catalogue")


def _ranked(prepared: PreparedSet, interest: evaluation.Tells) -> Ranking:
    model = Model("one", interest, lambda held: np.full(len(held), 0.5, np.float32))
    found = evaluation.evaluate(prepared, "test", [model], lambda name: None, with_peers=False)
    return found.rankings["one"]


def test_what_other_outlets_have_is_not_ahead(prepared: PreparedSet) -> None:
    """A ranker that knows where the guest stands, and nothing else: at the outlet that is worth nothing."""
    columns = [place for place, name in enumerate(ITEM_NAMES) if name.startswith("outlet=")]
    outlet = prepared.item_features[:, columns]

    def place(held: Windows) -> Floats:
        return (outlet[held.target[:, -1]] @ outlet.T).astype(np.float32)

    def nothing(held: Windows) -> Floats:
        return np.zeros((len(held), len(outlet)), np.float32)

    told, blind = _ranked(prepared, place), _ranked(prepared, nothing)
    assert told.figures["NDCG@5"].mean > 1.5 * blind.figures["NDCG@5"].mean
    assert told.here is not None
    assert blind.here is not None
    assert told.here["NDCG@5"].mean == blind.here["NDCG@5"].mean > blind.figures["NDCG@5"].mean


def test_a_perfect_ranker_is_perfect_there_too(prepared: PreparedSet) -> None:
    perfect = np.eye(prepared.about.count + 1, dtype=np.float32)
    found = _ranked(prepared, lambda held: perfect[held.target[:, -1]])
    assert found.here is not None
    assert found.here["HR@1"].mean == found.figures["HR@1"].mean == 1
