"""Makes the model that ships with the gateway anew: made-up days, training, measuring, card.

    make starter VERSION=starter-1

Needed after a change of the features (domain/features.py), of the simulator or of the network, and only then: the files
are in the repository. Stopped, it goes on where it was. What is made on the way lies in a folder outside of the tree
(--work); what ships goes to gateway/steward/starter.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

STARTER = Path(__file__).resolve().parents[1] / "gateway" / "steward" / "starter"
MODEL, PIN = "starter.model", "starter.sha256"
BYTES_MAX = 300_000

SEED = 2001
SHIPS, GUESTS = 10, 600  # seven ships to learn from, one to tune on, two to measure on
MEASURED = 600  # guests, of about 1,200
TRAINING = (
    *("--width", "32", "--hidden", "64", "--members", "1", "--epochs", "4", "--batch", "1024"),
    *("--rate", "0.006", "--residual", "0.5", "--seed", "1", "--threads", "1"),
)
NEW_ITEMS = (  # one in eight of the catalogue, for the figures of items on their first day
    *("evening-show", "jazz-night", "gin-and-tonic", "mushroom-pasta"),
    *("ice-cream", "facial", "kayak-trip", "stargazing"),
)


def main() -> None:
    """Exit 0 once the files are in their place."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--work", type=Path, required=True, help="a folder for what is made on the way")
    options.add_argument("--version", required=True, help="of the model, such as starter-1")
    given = options.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    make(given.work, given.version)
    print(f"{STARTER}: {(STARTER / MODEL).stat().st_size} bytes; look at CARD.md before you commit it")


def make(work: Path, version: str) -> None:
    """Every step whose outcome is not in `work` yet, and then the files that ship."""
    data, model, twin = (str(work / name) for name in ("set", "model", "twin"))
    deeds, catalogue, groups = (work / name for name in ("deeds.jsonl", "catalogue.json", "groups.csv"))
    days = ("--ships", str(SHIPS), "--guests", str(GUESTS), "--seed", str(SEED))
    left_out = [word for item in NEW_ITEMS for word in ("--without", item)]
    files = ("--catalogue", str(catalogue), "--groups", str(groups))
    if not groups.exists():  # the last of the three
        for half in (deeds, catalogue):
            half.unlink(missing_ok=True)
        run("voyage", "tastes", "--deeds", str(deeds), *files, *days)
    if not (work / "set" / "set.json").exists():
        shutil.rmtree(data, ignore_errors=True)
        run("preference", "data", "deeds", str(deeds), *files, "--out", data)
    for folder, rest in ((model, []), (twin, left_out)):
        if not Path(folder, "weights.npz").exists():
            run("preference", "train", data, "--out", folder, *TRAINING, *rest)
        run("preference", "quantise", data, folder, "--version", version)
    if not Path(model, "figures.json").exists():
        run("preference", "evaluate", data, model, "--cold", twin, "--guests", str(MEASURED))
    run("preference", "card", data, model)
    ship(work / "model")


def run(module: str, *words: str) -> None:
    print("+", module, *words, flush=True)
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    subprocess.run([sys.executable, "-m", module, *words], check=True, env={**os.environ, **one_thread})


def ship(model: Path) -> None:
    """The model, its pin, its card and the card's pictures, in the place of those that were there."""
    raw = (model / "preference.model").read_bytes()
    if len(raw) > BYTES_MAX:
        sys.exit(f"{len(raw)} bytes, and {BYTES_MAX} are the most that ship: make the network smaller")
    STARTER.mkdir(exist_ok=True)
    for old in [*STARTER.glob("*.svg"), *STARTER.glob("CARD.md")]:
        old.unlink()
    for path in pictures_and_card(model):
        shutil.copy(path, STARTER / path.name)
    (STARTER / MODEL).write_bytes(raw)
    (STARTER / PIN).write_text(f"{hashlib.sha256(raw).hexdigest()}  {MODEL}\n", encoding="ascii")


def pictures_and_card(model: Path) -> Sequence[Path]:
    return [model / "CARD.md", *sorted(model.glob("*.svg"))]


if __name__ == "__main__":
    main()
