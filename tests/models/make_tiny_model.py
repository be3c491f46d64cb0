"""Makes tests/data/models/tiny.model and inverted.model again: `python tests/models/make_tiny_model.py`.

A network of two members of width 8, trained for seconds on made-up days of made-up guests (seed below); and the same
one that ranks backwards, as a release that must never stay. Needs the extra `train`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for part in ("models", "gateway", "tools", "firmware/shared"):
    sys.path.insert(0, str(ROOT / part))

from preference import trained  # noqa: E402
from preference.deeds import ship_days  # noqa: E402
from preference.network import Encoder  # noqa: E402
from preference.release import make  # noqa: E402
from preference.sets import PreparedSet  # noqa: E402
from preference.tensors import set_up  # noqa: E402
from preference.train import Recipe, Trainer  # noqa: E402
from steward.adapters.deedfiles import write_catalogue, write_deeds  # noqa: E402
from voyage.ship import SHIP  # noqa: E402
from voyage.taste_days import DAY, SOURCE, make_stays  # noqa: E402
from voyage.taste_world import make_world  # noqa: E402

SEED, GUESTS = 11, 300
RECIPE = Recipe(epochs=6, batch=128, rate=1e-2)
FOLDER = ROOT / "tests" / "data" / "models"


# With these negated everything inside is as it was, and the item vectors and the take logit have the other sign.
_NEGATED = ("items", "rest", "past", "gru_in", "q_bag", "t_item", "t_both", "t_out", "t_out_bias")


def main() -> None:
    set_up(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        days = _days(folder)
        trainer = Trainer(days, trained.shape_for(days, Encoder.GRU, 8, 8, 2), RECIPE, folder)
        state = trainer.run(lambda told: None)
        network = trainer.network
        kept = trained.Trained(
            network, RECIPE, days.about.features_id, days.digest(), state.best_epoch, state.best_figure
        )
        _write(days, kept, folder, "tiny")
        for part in _NEGATED:
            network.variables[part].assign(-network.variables[part])
        _write(days, kept, folder, "inverted")


def _days(folder: Path) -> PreparedSet:
    world = make_world(SEED)
    deeds, catalogue = folder / "deeds.jsonl", folder / "catalogue.json"
    lines = (deed for stay in make_stays(world, SEED, GUESTS) for deed in stay.deeds)
    write_deeds(deeds, SHIP, f"{SOURCE}, seed {SEED}", DAY, lines, made_up=True)
    write_catalogue(catalogue, world.items)
    (FOLDER / "catalogue.json").write_bytes(catalogue.read_bytes())
    return ship_days(deeds, catalogue)


def _write(days: PreparedSet, kept: trained.Trained, folder: Path, name: str) -> None:
    trained.save(folder, kept)
    made = make(folder, days, f"{name}-1")
    path = FOLDER / f"{name}.model"
    path.write_bytes((folder / trained.RELEASE_FILE).read_bytes())
    print(path, path.stat().st_size, made.metrics)


if __name__ == "__main__":
    main()
