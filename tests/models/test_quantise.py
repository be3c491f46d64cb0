"""Both files say what the network says; the int8 one takes only what both runtimes round alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from tests.models.modelkit import ITEMS, tiny_set

from preference import evaluate as evaluation
from preference import figuresfile, sets
from preference import quantise as quantising
from preference.__main__ import app
from preference.card import write
from preference.errors import BadData, NotPortable
from preference.forward import Forward
from preference.metrics import means, ranks
from preference.network import Encoder, Network
from preference.peers import popularity
from preference.quantise import PORTABLE, Files, quantise
from preference.release import make, models_of
from preference.runner import Runner, feed, to_int8
from preference.sets import PreparedSet
from preference.tensors import set_up
from preference.train import Recipe, Trainer
from preference.trained import FIGURES_FILE, RELEASE_FILE, Trained, save, shape_for
from steward.domain.modelfile import INPUT_SCALE, unpack

set_up(1)
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning"),
    pytest.mark.xdist_group("quantise"),  # or each worker trains, converts and packs for itself
]
RECIPE = Recipe(epochs=4, batch=100, rate=2e-2, dropout=0.0, residual=0.1)


@pytest.fixture(scope="module")
def prepared() -> PreparedSet:
    return tiny_set(800)


@pytest.fixture(scope="module")
def network(prepared: PreparedSet, tmp_path_factory: pytest.TempPathFactory) -> Network:
    config = shape_for(prepared, Encoder.GRU, 16, 16, 2)
    trainer = Trainer(prepared, config, RECIPE, tmp_path_factory.mktemp("trained"))
    trainer.run(lambda progress: None)
    return trainer.network


@pytest.fixture(scope="module")
def files(network: Network, prepared: PreparedSet) -> Files:
    return quantise(network, prepared, prepared.train)


@pytest.fixture(scope="module")
def folder(network: Network, prepared: PreparedSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    save(path, Trained(network, RECIPE, prepared.about.features_id, prepared.digest(), 3, 0.5))
    make(path, prepared, "1.0")
    return path


def test_the_float_file_is_the_network(network: Network, prepared: PreparedSet, files: Files) -> None:
    held = prepared.parts["test"].take(np.arange(100))
    forward, runner = Forward(network, prepared), Runner(files.float32)
    np.testing.assert_allclose(
        runner.interest(held, prepared.item_features, 2), forward.interest(held), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(runner.take(held, prepared.item_features), forward.take(held), atol=1e-4)


def test_int8_loses_one_percent_at_most(network: Network, prepared: PreparedSet, files: Files) -> None:
    held = prepared.parts["test"]
    bars, target = held.bars(ITEMS), held.target[:, -1]
    whole = means(ranks(Forward(network, prepared).interest(held), bars, target))
    small = means(ranks(Runner(files.int8).interest(held, prepared.item_features, 2), bars, target))
    assert whole["NDCG@5"] > 0.6
    for metric in ("HR@1", "NDCG@5", "MRR"):
        assert small[metric] >= 0.99 * whole[metric], metric
    taken = Runner(files.int8).take(held, prepared.item_features)
    assert np.abs(taken - Forward(network, prepared).take(held)).mean() < 0.03


def test_only_operators_that_both_runtimes_round_alike(files: Files) -> None:
    assert files.portable
    assert Runner(files.int8).operators <= PORTABLE
    assert Runner(files.int8).is_int8
    assert not Runner(files.float32).is_int8


def test_inputs_have_the_one_scale(files: Files) -> None:
    scales = Runner(files.int8).input_scales()
    assert set(scales) == {"items", "moment", "past", "past_items"}
    for scale, zero in scales.values():
        assert (scale, zero) == (pytest.approx(INPUT_SCALE, rel=1e-5), 0)
    assert to_int8(np.array([-1.0, 0.0, 0.5, 1.0, 2.0], np.float32)).tolist() == [-127, 0, 64, 127, 127]


def test_any_number_of_candidates_and_each_on_its_own(prepared: PreparedSet, files: Files) -> None:
    runner, held = Runner(files.int8), prepared.parts["test"]
    rows = np.arange(ITEMS + 1, dtype=np.int32)
    query, vectors, take = runner.outputs(feed(held, 3, rows, prepared.item_features))
    for chosen in (rows[:1], rows[5:7], np.tile(rows, 800)):
        some_query, some, some_take = runner.outputs(feed(held, 3, chosen, prepared.item_features))
        np.testing.assert_array_equal(some_query, query)
        np.testing.assert_array_equal(some, vectors[chosen])
        np.testing.assert_array_equal(some_take, take[chosen])


def test_padding_stays_silent_in_int8(prepared: PreparedSet, files: Files) -> None:
    """Whatever the rows under padding hold once their features are zero, row 0 has no vector."""
    runner, held = Runner(files.int8), prepared.parts["test"].take(np.arange(1))
    held.index[:], held.past[:] = 0, 0
    _, vectors, _ = runner.outputs(feed(held, 0, np.zeros(1, np.int32), prepared.item_features))
    assert (vectors == files.vectors.zero).all()


def test_a_gru_of_other_operators_is_refused(
    network: Network, prepared: PreparedSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantising, "PORTABLE", PORTABLE - {"TANH"})
    with pytest.raises(NotPortable, match="TANH"):
        quantise(network, prepared, prepared.train)


def test_attention_is_for_measuring_only(prepared: PreparedSet) -> None:
    network = Network(shape_for(prepared, Encoder.ATTENTION, 8, 8, 1), 0)
    files = quantise(network, prepared, prepared.train)
    assert not files.portable
    held = prepared.parts["test"].take(np.arange(30))
    whole = Forward(network, prepared).interest(held)
    float_error = Runner(files.float32).interest(held, prepared.item_features, 1) - whole
    assert np.abs(float_error).max() < 1e-2  # padding is not quite silent at this narrow a mask
    int8_error = Runner(files.int8).interest(held, prepared.item_features, 1) - whole
    assert np.abs(int8_error).mean() < 0.2 * whole.std()


def test_the_release_is_whole_and_says_what_it_is(folder: Path, prepared: PreparedSet) -> None:
    manifest, network = unpack((folder / RELEASE_FILE).read_bytes())
    assert network == (folder / "int8.tflite").read_bytes()
    assert manifest.items == prepared.about.items
    assert (manifest.shape.query, manifest.shape.members, manifest.portable) == (32, 2, True)
    assert manifest.metrics["valid.int8.NDCG@5"] >= 0.99 * manifest.metrics["valid.float.NDCG@5"]
    assert "made up" in manifest.licence


def test_evaluation_has_model_and_peers_and_is_read_back(folder: Path, prepared: PreparedSet) -> None:
    said: list[str] = []
    found = evaluation.evaluate(prepared, "test", models_of(folder, prepared), said.append)
    assert list(found.rankings)[-2:] == ["float", "int8"]
    assert {"popularity", "EASE", "boosted trees", "Vowpal Wabbit"} <= set(said)
    assert found.rankings["int8"].figures["HR@1"].mean > found.rankings["popularity"].figures["HR@1"].mean
    assert set(found.rankings["int8"].groups) == {"parity: even", "parity: odd"}
    assert set(found.rankings["int8"].gaps) == {"parity"}
    found = replace(found, cold=evaluation.measure_cold(prepared, "test", [3], {"popularity": popularity(prepared)}))
    figuresfile.save(folder / FIGURES_FILE, found)
    assert figuresfile.load(folder / FIGURES_FILE) == found


def test_figures_of_another_version_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="no figures here.*preference evaluate"):
        figuresfile.load(tmp_path / FIGURES_FILE)
    for junk in ("{}", "junk", '{"rankings": {"int8": {}}, "forecasts": {}, "cold": null}'):
        (tmp_path / FIGURES_FILE).write_text(junk)
        with pytest.raises(BadData, match="of this version"):
            figuresfile.load(tmp_path / FIGURES_FILE)


def test_groups_that_are_too_small_are_not_spoken_of(folder: Path, prepared: PreparedSet) -> None:
    held = prepared.parts["test"].take(np.arange(90))  # 45 of each, and 50 are the least
    few = replace(prepared, parts={**prepared.parts, "test": held})
    found = evaluation.evaluate(few, "test", models_of(folder, few), lambda name: None, with_peers=False)
    assert (found.rankings["int8"].groups, found.rankings["int8"].gaps) == ({}, {})
    manifest, _ = unpack((folder / RELEASE_FILE).read_bytes())
    assert "By group" not in write(folder, manifest, found, "a recipe").read_text()


def test_a_guest_may_be_in_a_group_of_each_way(folder: Path, prepared: PreparedSet) -> None:
    held = prepared.parts["test"]
    two = replace(held, group=np.stack([held.group, 2 + (held.guest % 3)], 1).astype(np.int32))
    about = replace(prepared.about, groups=(*prepared.about.groups, "third: a", "third: b", "third: c"))
    grouped = PreparedSet(about, prepared.item_features, {**prepared.parts, "test": two})
    one, other = (
        evaluation.evaluate(each, "test", models_of(folder, prepared), lambda name: None, with_peers=False)
        for each in (prepared, grouped)
    )
    assert set(other.rankings["int8"].gaps) == {"parity", "third"}
    assert other.rankings["int8"].gaps["parity"] == one.rankings["int8"].gaps["parity"]
    cases = {name: group.cases for name, group in other.rankings["int8"].groups.items()}
    assert cases["third: a"] + cases["third: b"] + cases["third: c"] == other.cases == one.cases


def test_some_guests_are_evenly_chosen_and_wholly_measured(folder: Path, prepared: PreparedSet) -> None:
    found = evaluation.evaluate(
        prepared, "test", models_of(folder, prepared), lambda name: None, with_peers=False, guests_max=60
    )
    assert (found.guests, found.cases) == (60, 120)  # a guest of this set has two
    assert list(found.rankings) == ["popularity", "float", "int8"]
    assert list(found.forecasts) == ["share taken", "float", "int8"]


def test_what_had_been_done_before_parts_the_cases(folder: Path, prepared: PreparedSet) -> None:
    found = evaluation.evaluate(prepared, "test", models_of(folder, prepared), lambda name: None, with_peers=False)
    pasts = found.rankings["int8"].pasts
    assert set(pasts) == {"1 to 4", "5 to 11"}
    assert sum(group.cases for group in pasts.values()) == found.cases


def test_the_card_says_what_was_measured(folder: Path, prepared: PreparedSet) -> None:
    found = evaluation.evaluate(prepared, "test", models_of(folder, prepared), lambda name: None, with_peers=False)
    manifest, _ = unpack((folder / RELEASE_FILE).read_bytes())
    card = write(folder, manifest, found, "a recipe").read_text()
    for told in (manifest.network_sha256, manifest.licence, "a recipe", "### By group", "| int8 |", "by chance up to"):
        assert told in card
    assert str(found.rankings["int8"].figures["NDCG@5"]) in card
    for name in ("recall", "calibration", "float_int8", "groups", "pasts", "exposure"):
        assert f"({name}.svg)" in card
        assert (folder / f"{name}.svg").read_bytes().startswith(b"<?xml")
    before = (folder / "recall.svg").read_bytes()
    write(folder, manifest, found, "a recipe")
    assert (folder / "recall.svg").read_bytes() == before
    lab = write(folder, replace(manifest, portable=False), found, "a recipe").read_text()
    assert "no gateway takes it" in lab


def test_a_damaged_file_is_named(folder: Path, prepared: PreparedSet, tmp_path: Path) -> None:
    for name in ("model.json", "weights.npz", "float.tflite", "int8.tflite"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "int8.tflite").write_bytes(b"TFL3 junk")
    with pytest.raises(BadData, match="int8.tflite"):
        models_of(tmp_path, prepared)
    (tmp_path / "int8.tflite").unlink()
    with pytest.raises(BadData, match="int8.tflite.*quantise"):
        models_of(tmp_path, prepared)


def test_every_command_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("data", "train", "quantise", "evaluate", "card"):
        with pytest.raises(SystemExit) as ended:
            app([command, "--help"])
        assert ended.value.code == 0
        assert f"preference {command} " in capsys.readouterr().out.split("Example")[1]


def test_a_whole_run_by_commands(tmp_path: Path, prepared: PreparedSet, capsys: pytest.CaptureFixture[str]) -> None:
    data, model = str(tmp_path / "set"), str(tmp_path / "model")
    small = prepared.parts["train"].take(np.arange(200))
    sets.save(PreparedSet(prepared.about, prepared.item_features, dict.fromkeys(sets.PARTS, small)), tmp_path / "set")
    twin, sizes = str(tmp_path / "twin"), ["--epochs", "1", "--width", "8", "--hidden", "8"]
    for command in (
        ["train", data, "--out", model, *sizes],
        ["train", data, "--out", twin, *sizes, "--without", "item-3", "--without", "item-7"],
        ["quantise", data, model, "--version", "7"],
        ["quantise", data, twin, "--version", "7-cold"],
        ["evaluate", data, model, "--no-peers", "--cold", twin],
        ["card", data, model],
    ):
        app(command, standalone_mode=False)
    card = (tmp_path / "model" / "CARD.md").read_text()
    assert card.startswith("# Preference model 7")
    assert "item-3, item-7" in card
    assert "(new_items.svg)" in card
    assert "int8, new item" in capsys.readouterr().out
    with pytest.raises(BadData, match="trained with every item"):
        app(["evaluate", data, model, "--no-peers", "--cold", model], standalone_mode=False)
    with pytest.raises(typer.BadParameter, match="not in the set: item-99"):
        app(["train", data, "--out", twin, "--without", "item-99"], standalone_mode=False)
