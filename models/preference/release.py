"""Both files, the manifest, and the one file that a fleet's release carries."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from preference import peers
from preference import trained as trained_files
from preference.coldstart import leave_out, rows_of
from preference.errors import BadData
from preference.evaluate import Cold, Model, measure_cold
from preference.forward import Forward
from preference.metrics import auc, means, ranks
from preference.quantise import Files, quantise
from preference.runner import Runner
from preference.sets import PreparedSet
from preference.trained import FLOAT_FILE, INT8_FILE, RELEASE_FILE, Trained
from steward.domain.modelfile import Manifest, pack

_COMPARED_MAX = 5000  # windows, evenly chosen
PURPOSE = "to rank what a ship offers a guest, and to forecast whether it is taken; not for prices, denials or children"


@dataclass(frozen=True, slots=True)
class Made:
    """What was written, and how the int8 file did beside the float network on the valid part."""

    files: Files
    sha256: str  # of the release file
    size: int
    metrics: dict[str, float]


def make(folder: Path, prepared: PreparedSet, version: str, purpose: str = PURPOSE) -> Made:
    """Quantise the network in `folder` and write its files there. Raises BadData, NotPortable, ValueError."""
    trained = trained_files.load(folder, prepared)
    prepared = leave_out(prepared, trained.without)
    files = quantise(trained.network, prepared, prepared.train, trained.recipe.seed)
    metrics = _compare(trained, files, prepared)
    int8_hash, float_hash = files.hashes
    manifest = Manifest(
        version=version,
        purpose=purpose,
        features_id=prepared.about.features_id,
        network_sha256=int8_hash,
        float_sha256=float_hash,
        shape=files.shape,
        query=files.query,
        vectors=files.vectors,
        take=files.take,
        items=prepared.about.items,
        data=f"{prepared.about.name}: {prepared.about.source}, {len(prepared.train)} windows",
        licence=prepared.about.licence,
        portable=files.portable,
        metrics=metrics,
    )
    release = pack(manifest, files.int8)
    for name, raw in ((INT8_FILE, files.int8), (FLOAT_FILE, files.float32), (RELEASE_FILE, release)):
        (folder / name).write_bytes(raw)
    return Made(files, hashlib.sha256(release).hexdigest(), len(release), metrics)


def models_of(folder: Path, prepared: PreparedSet) -> list[Model]:
    """The float file and the int8 file of a folder, as LiteRT runs them. Raises BadData."""
    members = trained_files.load(folder, prepared).network.config.members
    return [
        _model(name, folder / file, prepared, members) for name, file in (("float", FLOAT_FILE), ("int8", INT8_FILE))
    ]


def new_items(folder: Path, twin: Path, prepared: PreparedSet, part: str, guests_max: int | None = None) -> Cold:
    """The int8 file of `folder` on cases whose answer its twin never had, beside the twin's and popularity.

    Raises BadData: the twin was trained with everything.
    """
    without = trained_files.load(twin, prepared).without
    if not without:
        raise BadData(twin, 0, "was trained with every item: train it with `preference train --without ITEM`")
    rest = leave_out(prepared, without)
    tells = {
        "popularity": peers.popularity(rest),
        "int8, new item": models_of(twin, prepared)[1].interest,
        "int8, known item": models_of(folder, prepared)[1].interest,
    }
    return measure_cold(prepared, part, rows_of(prepared, without), tells, guests_max)


def _model(name: str, path: Path, prepared: PreparedSet, members: int) -> Model:
    try:
        runner = Runner(path.read_bytes())
    except OSError as error:
        raise BadData(path, 0, "is not there: make it with `preference quantise`") from error
    except ValueError as error:
        raise BadData(path, 0, "is no network: make it with `preference quantise`") from error
    features = prepared.item_features
    return Model(
        name=name,
        interest=lambda held: runner.interest(held, features, members),
        take=lambda held: runner.take(held, features),
    )


def _compare(trained: Trained, files: Files, prepared: PreparedSet) -> dict[str, float]:
    """Figures of float and int8 on windows of the valid part, under the names of the manifest."""
    held = prepared.parts["valid"]
    held = held.take(np.linspace(0, len(held) - 1, min(len(held), _COMPARED_MAX)).astype(np.int64))
    forward, runner, members = Forward(trained.network, prepared), Runner(files.int8), trained.network.config.members
    found: dict[str, float] = {}
    ranked = held.take(held.target[:, -1] > 0)
    if len(ranked):
        bars, target = ranked.bars(prepared.about.count), ranked.target[:, -1]
        for name, scores in (
            ("float", forward.interest(ranked)),
            ("int8", runner.interest(ranked, prepared.item_features, members)),
        ):
            found |= {f"valid.{name}.{metric}": value for metric, value in means(ranks(scores, bars, target)).items()}
    offered = held.take((held.offered > 0) & (held.took >= 0))
    if len(set(offered.took.tolist())) == 2:
        found["valid.float.AUC"] = auc(forward.take(offered), offered.took)
        found["valid.int8.AUC"] = auc(runner.take(offered, prepared.item_features), offered.took)
    return found
