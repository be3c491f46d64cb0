"""The public sets are read as their protocols say, and one run makes all figures, the same ones twice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.models.publickit import EVENTS, FILMS, PEOPLE, clicks_wheel, events, films_wheel, many_coupons
from tests.models.test_wheels import packed

from preference import policies
from preference.errors import BadData, NoWheel
from preference.movies import ml100k
from preference.openbandit import CAMPAIGNS, Log, as_set, choices, open_bandit
from preference.plots_reproduced import draw
from preference.reproduce import FIGURES_FILE, Plan, Reproduction, Size, reproduce
from preference.train import Progress, Recipe

# Of TensorFlow's converter, while it calibrates: it says that its own interpreter will go.
pytestmark = pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")


def test_the_last_film_of_each_in_time_is_the_test(tmp_path: Path) -> None:
    told = [(7, 3, 5, 30), (7, 1, 1, 10), (9, 2, 3, 5), (7, 2, 3, 30), (9, 1, 4, 5), (9, 3, 2, 5)]
    found = ml100k(tmp_path / films_wheel(tmp_path, told).file, history=4)
    train, valid, test = (found.parts[part] for part in ("train", "valid", "test"))
    assert test.index.tolist() == [[0, 0, 1, 3], [0, 0, 2, 1]]  # of one second: in the order of the file
    assert test.target[:, 0].tolist() == [2, 3]
    assert valid.target[:, 0].tolist() == [3, 1]
    assert np.flatnonzero(~test.bars(3)[0]).tolist() == [2]
    assert test.past[0, -2:].tolist() == [[1, -1, 0], [1, 1, pytest.approx(np.log10(21) / 7)]]
    assert not test.past[0, :2].any()
    assert len(train) == 0  # the first film of each is known, and the second tunes
    assert found.about.items == ("1", "2", "3")
    assert found.item_features[1:].sum(1).tolist() == [4, 3, 4]  # a film, of a decade, a drama of war or a comedy


def test_every_event_of_everybody_is_used_once(tmp_path: Path) -> None:
    found = ml100k(tmp_path / films_wheel(tmp_path).file, history=6)
    assert int((found.train.target > 0).sum()) == PEOPLE * (EVENTS - 3)
    assert len(found.parts["valid"]) == len(found.parts["test"]) == PEOPLE
    assert found.about.count == FILMS
    assert set(found.parts["test"].group.tolist()) == {0, 1, 2}


@pytest.mark.parametrize("told", [[(1, 1, 5, 1), (1, 2, 5, 2)], [(1, 1, 5, 1), (1, 99, 5, 2), (1, 2, 5, 3)]])
def test_people_or_films_that_cannot_be_are_refused(tmp_path: Path, told: list[tuple[int, int, int, int]]) -> None:
    with pytest.raises(BadData):
        ml100k(tmp_path / films_wheel(tmp_path, told).file)


def test_a_wheel_of_something_else_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "t.whl", {"a.csv": "a\n"})
    for read in (ml100k, lambda wheel: open_bandit(wheel, "all")):
        with pytest.raises(BadData, match="another package or version"):
            read(path)


def _campaign(tmp_path: Path) -> tuple[Log, Log]:
    found = open_bandit(tmp_path / clicks_wheel(tmp_path).file, "all")
    return found.uniform, found.thompson


def test_both_logs_know_the_same_contexts_and_items(tmp_path: Path) -> None:
    uniform, thompson = _campaign(tmp_path)
    assert (uniform.contexts == thompson.contexts).all()
    assert uniform.contexts.shape == (6, 2 + 1 + 1 + 1 + 3)  # two kinds of people at three places
    assert (uniform.contexts.sum(1) == 5).all()
    assert len(uniform.items) == 6
    assert np.abs(uniform.items).max() == 1
    assert len(set(uniform.unit)) == len(uniform) == 600


@pytest.mark.parametrize(("old", "new"), [(",0.16666666666666666,", ",0,"), (",0.16666666666666666,", ",2,")])
def test_a_propensity_that_cannot_be_is_refused(tmp_path: Path, old: str, new: str) -> None:
    import zipfile

    path = tmp_path / clicks_wheel(tmp_path).file
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name).decode().replace(old, new) for name in archive.namelist()}
    with pytest.raises(BadData, match="propensity"):
        open_bandit(packed(tmp_path / "bad.whl", members), "all")


def test_a_policys_chances_are_chances_and_the_best_have_most(tmp_path: Path) -> None:
    uniform, _ = _campaign(tmp_path)
    worth = policies.popular(uniform)
    chances = policies.best_of(worth)
    assert np.allclose(chances.sum(1), 1)
    assert (chances.argmax(1) == 2).all()
    assert chances.min() == pytest.approx(policies.EXPLORED / 6)
    ties = policies.best_of(np.zeros((1, 10)))
    assert ties[0].argsort(kind="stable")[::-1][:2].tolist() == [1, 0]  # the lower rows


def test_what_is_valued_is_what_would_have_been_earned(tmp_path: Path) -> None:
    uniform, thompson = _campaign(tmp_path)
    best = policies.best_of(policies.popular(thompson))
    found = policies.value(policies.rounds_of(uniform, best, policies.click_shares(thompson)))
    truth = 0.9 * (0.6 + 0.05) / 2 + 0.1 * (0.65 / 2 + 5 * 0.05) / 6
    for each in (found.ips, found.snips, found.doubly_robust):
        assert each.low < truth < each.high
    logged = policies.value(policies.as_logged(uniform))
    assert logged.ips.value == logged.snips.value == pytest.approx(uniform.click.mean())


def test_vowpal_wabbit_finds_who_clicks_what(tmp_path: Path) -> None:
    uniform, thompson = _campaign(tmp_path)
    worth = policies.vowpal_wabbit(thompson)
    of_kind_a = uniform.contexts[:, 0] == 1
    assert (worth[of_kind_a].argmax(1) == 2).all()
    assert worth[of_kind_a, 2].min() > worth[~of_kind_a, 2].max()


def test_every_choice_is_asked_in_the_order_of_contexts_then_items(tmp_path: Path) -> None:
    found = open_bandit(tmp_path / clicks_wheel(tmp_path).file, "men")
    asked, prepared = choices(found.thompson), as_set(found)
    assert asked.offered[:7].tolist() == [1, 2, 3, 4, 5, 6, 1]
    assert (asked.moment[6] == found.thompson.contexts[1]).all()
    assert [len(held) for held in prepared.parts.values()] == [480, 120, 600]
    assert (prepared.train.took == found.thompson.click[:480]).all()


def _plan(folder: Path) -> Plan:
    size = Size(Recipe(epochs=2, batch=64, rate=1e-2), 8, 8, 1)
    return Plan(films=size, clicks=size, offers=size, recbole=films_wheel(folder), obp=clicks_wheel(folder))


one_worker = pytest.mark.xdist_group("reproduce")  # or each worker trains all that `run` does


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan, Reproduction, list[str]]:
    folder, told = tmp_path_factory.mktemp("reproduced"), list[str]()
    plan = _plan(folder / "packages")
    coupons = many_coupons(folder / "coupons.csv.gz")
    return folder, plan, reproduce(plan, folder, told.append, lambda name, _: told.append(name), coupons), told


@one_worker
def test_one_run_makes_every_figure(run: tuple[Path, Plan, Reproduction, list[str]]) -> None:
    folder, plan, found, told = run
    assert list(found.films.rankings) == [
        *("popularity", "item-kNN", "Markov", "Markov, last 3", "EASE"),
        *("network, float", "network, int8"),
    ]
    assert found.films.cases == PEOPLE
    for row in found.films.rankings.values():
        assert all(0 <= each.low <= each.mean <= each.high <= 1 for each in row.values())
    theirs, ours = (found.films.rankings[name]["MRR"].mean for name in (found.films.best_peer, "network, int8"))
    assert found.films.ahead["MRR"].mean == pytest.approx(ours - theirs)
    assert list(found.clicks.policies) == ["anything", "popularity", "Vowpal Wabbit", "network"]
    assert found.clicks.rounds == 600 * len(CAMPAIGNS)
    anything, observed = found.clicks.policies["anything"], found.clicks.observed["anything"]
    assert anything.ips.value == pytest.approx(observed.value)
    assert {"ml-100k", "open-bandit-all", "open bandit: network"} <= set(told)
    assert json.loads((folder / FIGURES_FILE).read_text())["plan"]["recbole"]["sha256"] == plan.recbole.sha256


@one_worker
def test_the_coupons_are_measured_beside_trees_and_a_linear_learner(
    run: tuple[Path, Plan, Reproduction, list[str]],
) -> None:
    offers = run[2].offers
    assert offers is not None
    assert list(offers.forecasts) == [
        *("share taken", "boosted trees", "Vowpal Wabbit"),
        *("network, float", "network, int8"),
    ]
    assert offers.forecasts["boosted trees"].low > 0.6
    assert offers.ahead["share taken"].low > 0
    ours = offers.forecasts["network, int8"].mean
    assert offers.ahead["boosted trees"].mean == pytest.approx(ours - offers.forecasts["boosted trees"].mean)


@one_worker
def test_the_same_command_again_trains_nothing_and_finds_the_same(
    run: tuple[Path, Plan, Reproduction, list[str]],
) -> None:
    folder, plan, found, _ = run
    steps: list[Progress] = []
    again = reproduce(plan, folder, lambda _: None, lambda _, done: steps.append(done))
    assert not steps
    assert (again.films, again.clicks, again.offers) == (found.films, found.clicks, None)


@one_worker
def test_its_picture_is_the_same_twice(run: tuple[Path, Plan, Reproduction, list[str]], tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        draw(run[2], tmp_path / name)
    raw = (tmp_path / "a.svg").read_bytes()
    assert raw == (tmp_path / "b.svg").read_bytes()
    assert raw.startswith(b"<?xml")


def test_another_package_stops_it_before_anything_is_trained(tmp_path: Path) -> None:
    plan = _plan(tmp_path / "packages")
    (tmp_path / "packages" / plan.obp.file).write_bytes(b"junk")
    with pytest.raises(NoWheel, match="SHA-256"):
        reproduce(plan, tmp_path, lambda _: None, lambda _, __: None)
    assert [each.name for each in tmp_path.iterdir()] == ["packages"]


def test_the_order_of_the_events_in_the_file_does_not_matter_but_within_a_second(tmp_path: Path) -> None:
    told = [(person, film, rating, 7 * place) for place, (person, film, rating, _) in enumerate(events())]
    one = ml100k(tmp_path / films_wheel(tmp_path, told).file)
    other = ml100k(tmp_path / films_wheel(tmp_path, told[::-1]).file)
    assert one.digest() == other.digest()
