"""What a training needs to go on after a kill as if it had never stopped: written whole or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preference.arrays import Arrays, read_arrays, write_arrays
from preference.errors import NotResumable


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """step: done so far; best: the variables of the best epoch yet, and its figure on the valid part."""

    step: int
    variables: Arrays
    moments: Arrays
    best: Arrays
    best_figure: float
    best_epoch: int


def write(path: Path, state: Checkpoint, recipe: str) -> None:
    """recipe: a digest of data, settings and seed; what is read back must have the same."""
    facts = {"recipe": recipe, "step": state.step, "best_figure": state.best_figure, "best_epoch": state.best_epoch}
    arrays = {
        f"{kind}:{name}": values
        for kind, held in (("variable", state.variables), ("moment", state.moments), ("best", state.best))
        for name, values in held.items()
    }
    write_arrays(path, {"facts": np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays})


def read(path: Path, recipe: str) -> Checkpoint | None:
    """None: there is none yet. Raises NotResumable."""
    if not path.exists():
        return None
    try:
        arrays = read_arrays(path)
        facts = json.loads(arrays.pop("facts").tobytes())
    except (OSError, ValueError, KeyError) as error:
        raise NotResumable(path, "is no checkpoint, or damaged") from error
    if facts["recipe"] != recipe:
        raise NotResumable(path, "belongs to a training of other data or settings")
    variables, moments, best = (_of(arrays, kind) for kind in ("variable", "moment", "best"))
    return Checkpoint(facts["step"], variables, moments, best, facts["best_figure"], facts["best_epoch"])


def _of(arrays: Arrays, kind: str) -> dict[str, NDArray[Any]]:
    return {name.partition(":")[2]: values for name, values in arrays.items() if name.startswith(f"{kind}:")}
