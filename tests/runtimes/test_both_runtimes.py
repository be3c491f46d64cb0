"""The same model file in ai-edge-litert and in tflite-runtime: the same bits out, or it never gets to a gateway."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.runtimes import bits
from tests.unit.modelkit import INVERTED, TINY

import steward
from preference.quantise import PORTABLE
from preference.runner import Runner
from steward.domain.modelfile import OUTPUTS, pack, unpack

ROOT = Path(__file__).resolve().parents[2]
OTHER = ROOT / ".venv-tflite" / "bin" / "python"
SHIPPED = sorted(Path(steward.__file__).parent.rglob("*.model"))
FILES = [TINY, INVERTED, *SHIPPED]
RANDOM = 1000
LIMIT_S = 240

pytestmark = [pytest.mark.tflite, pytest.mark.xdist_group("runtimes")]


def elsewhere(*words: str | Path) -> dict[str, Any]:
    """bits.py in the other environment, with this project's sources and nothing installed of it."""
    paths = (ROOT, ROOT / "gateway", ROOT / "firmware" / "shared")
    done = subprocess.run(
        [str(OTHER), "-W", "error", str(ROOT / "tests" / "runtimes" / "bits.py"), *map(str, words)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def both(path: Path, folder: Path, given: bits.Tensors) -> tuple[bits.Tensors, bits.Tensors]:
    """What the bare network gives here and there."""
    np.savez(folder / "given.npz", **given)
    told = elsewhere("invoke", path, folder / "given.npz", folder / "found.npz")
    assert (told["runtime"], told["numpy"].split(".")[0]) == ("tflite_runtime.interpreter", "1")
    with np.load(folder / "found.npz") as found:
        return bits.invoke(unpack(path.read_bytes())[1], given), dict(found)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_thousand_random_inputs_give_the_same_bits(path: Path, tmp_path: Path) -> None:
    manifest, _ = unpack(path.read_bytes())
    given = bits.random_inputs(manifest.shape, len(manifest.items), RANDOM, seed=41)
    here, there = both(path, tmp_path, given)
    for name in OUTPUTS:
        assert here[name].dtype == there[name].dtype == np.int8
        assert np.array_equal(here[name], there[name]), name
    assert len(np.unique(here["query"], axis=0)) > RANDOM // 2  # of inputs that the network does tell apart


@pytest.mark.parametrize("candidates", [1, 33])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_inputs_at_their_ends_give_the_same_bits(path: Path, candidates: int, tmp_path: Path) -> None:
    manifest, _ = unpack(path.read_bytes())
    here, there = both(path, tmp_path, bits.edge_inputs(manifest.shape, len(manifest.items), candidates))
    assert here["vectors"].shape[1] == candidates
    for name in OUTPUTS:
        assert np.array_equal(here[name], there[name]), name


def test_the_gateways_own_adapter_ranks_alike_in_both(tmp_path: Path) -> None:
    """Scores to the last bit, order, reasons and chances, of guests of all kinds."""
    found = elsewhere("rank", *FILES)
    assert found["runtime"] == "tflite_runtime.interpreter"
    here = [json.loads(json.dumps(bits.rank(path))) for path in FILES]
    assert [len(ranked) for ranked in here] == [bits.RANKED] * len(FILES)
    assert found["ranked"] == here
    assert found["ranked"][0] != found["ranked"][1]


def test_a_file_that_is_not_portable_is_refused_in_both(tmp_path: Path) -> None:
    manifest, network = unpack(TINY.read_bytes())
    path = tmp_path / "lab.model"
    path.write_bytes(pack(replace(manifest, portable=False), network))
    (there,) = elsewhere("rank", path)["ranked"]
    assert there == bits.rank(path)
    assert there[0] == "refused"
    assert "for measuring, not for a gateway" in there[1]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_calls_itself_portable_has_only_operators_that_are(path: Path) -> None:
    manifest, network = unpack(path.read_bytes())
    assert manifest.portable
    assert Runner(network).operators <= PORTABLE


def test_the_extra_asks_for_the_runtime_that_is_tested() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["tflite-runtime"]
    pinned = (ROOT / "constraints-tflite.txt").read_text().splitlines()
    assert [line.partition(";")[0] for line in extra] == ["tflite-runtime==2.14.0", "numpy<2"]
    assert {"tflite-runtime==2.14.0", "numpy==1.26.4"} <= set(pinned)
