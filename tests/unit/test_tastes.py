"""Made-up days: the same for a seed, possible as a ship's days, true to the chances they were drawn from, learnable."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from statistics import fmean

import pytest
from typer.testing import CliRunner

from steward.adapters.deedfiles import write_deeds
from steward.domain.features import Company, Deed, Weather
from steward.domain.offers import ASK_AGAIN_AFTER_S, OFFERS_A_DAY_MAX, PPM, OfferState
from steward.domain.pastexport import DeedLine, Shown, encode_deed, read_export
from voyage.__main__ import app
from voyage.taste_check import Case, cases_of, check
from voyage.taste_days import DAY, Stay, make_fleet, make_stays, make_voyage
from voyage.taste_guests import FOREIGN, LANGUAGES, NEVER, Age, make_traveller
from voyage.taste_world import (
    COMPANY,
    FOLLOWS,
    INTERESTS,
    KINDS,
    LAND,
    TIRED,
    WANTED_AT,
    WEATHER,
    World,
    make_world,
)

GUESTS = 400
SEED = 5


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(SEED)


@pytest.fixture(scope="module")
def stays(world: World) -> list[Stay]:
    return list(make_stays(world, SEED, GUESTS))


@pytest.fixture(scope="module")
def cases(world: World, stays: list[Stay]) -> list[list[Case]]:
    return cases_of(stays, world.items)


def taken(stays: list[Stay]) -> list[DeedLine]:
    return [deed for stay in stays for deed in stay.deeds if deed.deed is Deed.TAKEN]


def offers(stay: Stay) -> list[DeedLine]:
    return [deed for deed in stay.deeds if deed.offer is not None]


def test_a_seed_is_a_ship_and_its_first_guests_do_not_depend_on_the_others(world: World, stays: list[Stay]) -> None:
    assert make_world(SEED) == world
    assert list(make_stays(world, SEED, 3)) == stays[:3]
    assert next(make_stays(world, SEED + 1, 1)) != stays[0]
    assert make_world(SEED + 1).popularity != world.popularity


def test_the_weather_and_ports_of_a_voyage_are_its_own(world: World) -> None:
    one, other = (make_voyage(world, SEED, number, 20_000) for number in (1, 2))
    assert make_voyage(world, SEED, 1, 20_000) == one
    assert (one.weather, one.in_port) != (other.weather, other.in_port)
    assert not one.in_port[0]
    assert not one.in_port[-1]


def test_every_word_of_the_tables_is_in_the_catalogue(world: World) -> None:
    categories = {item.category for item in world.items}
    tags = {tag for item in world.items for tag in item.tags}
    assert categories == set(WANTED_AT)
    assert {*TIRED, *FOLLOWS, *(after for each in FOLLOWS.values() for after in each)} <= categories
    loads = (*INTERESTS, *(own for _, own in COMPANY.values()), *WEATHER.values(), FOREIGN, {LAND: 1.0})
    assert {tag for each in loads for tag in each} == tags
    assert {len(shifts) for shifts, _ in COMPANY.values()} == {len(INTERESTS)}
    assert {item.outlet for item in world.items} == set(KINDS)


def test_they_are_a_file_that_a_reader_takes(world: World, stays: list[Stay], tmp_path: Path) -> None:
    path = tmp_path / "deeds.jsonl"
    header = write_deeds(path, "aurora", "test", DAY, (deed for stay in stays for deed in stay.deeds))
    with path.open("rb") as file:
        read, lines = read_export(file, set(world.ids))
        found = list(lines)
    assert read == header
    assert found == [deed for stay in stays for deed in stay.deeds]
    assert header.guests <= GUESTS


def test_what_is_taken_or_offered_is_open_then_and_ashore_only_in_port(world: World, stays: list[Stay]) -> None:
    items = {item.id: item for item in world.items}
    for stay in stays:
        for deed in stay.deeds:
            item, moment = items[deed.item], deed.moment
            assert moment.place is KINDS[item.outlet]
            if deed.deed is not Deed.LIKED:
                half_hour = moment.minute // 30 * 30
                assert item.is_open(half_hour) or item.is_open((half_hour - 30) % 1440)  # a minute to ask in
                assert moment.in_port or LAND not in item.tags


def test_nobody_takes_or_is_offered_what_they_must_not_have(world: World, stays: list[Stay]) -> None:
    careful = 0
    for number, stay in enumerate(stays):
        guest = make_traveller(world, SEED, number)
        banned = {world.items[place].id for place in guest.banned}
        careful += bool(banned)
        assert banned.isdisjoint(deed.item for deed in stay.deeds)
        assert all(banned.isdisjoint(deed.offer.candidates or ()) for deed in stay.deeds if deed.offer)
        assert {place for place, units in enumerate(guest.likes(world)) if units == NEVER} == guest.banned
    assert careful > GUESTS / 10


def test_offers_keep_the_rules_aboard(stays: list[Stay]) -> None:
    for stay in stays:
        shown = offers(stay)
        assert max(Counter(DAY.number(deed.moment.now_s) for deed in shown).values(), default=0) <= OFFERS_A_DAY_MAX
        last: dict[str, int] = {}
        wrong: set[str] = set()
        for number, deed in enumerate(shown):
            assert deed.offer is not None
            assert deed.moment.shown == number
            assert deed.item not in wrong
            assert deed.moment.now_s - last.get(deed.item, -ASK_AGAIN_AFTER_S) >= ASK_AGAIN_AFTER_S
            last[deed.item] = deed.moment.now_s
            if deed.offer.outcome is OfferState.WRONG:
                wrong.add(deed.item)


def test_the_logged_propensities_are_how_often_it_happens(stays: list[Stay]) -> None:
    """Weighted by 1 / propensity, every candidate counts alike: what an off-policy estimate stands on."""
    shown = [deed.offer for stay in stays for deed in offers(stay) if deed.offer]
    assert len(shown) > 3000
    assert all(offer.candidates for offer in shown)
    weights = [PPM / offer.propensity_ppm / len(offer.candidates or ()) for offer in shown]
    assert sum(weights) / len(weights) == pytest.approx(1, abs=0.05)
    alone = [offer for offer in shown if len(offer.candidates or ()) == 1]
    assert {offer.propensity_ppm for offer in alone} <= {PPM}
    best = [offer.propensity_ppm for offer in shown if len(offer.candidates or ()) > 2]
    assert min(best) < PPM / 20 < PPM / 3 < max(best)


def test_an_off_policy_estimate_comes_near_the_truth(world: World, stays: list[Stay]) -> None:
    """From logged days: how often would anything, offered alike, be taken? Days that really do so tell."""

    def rate(of: list[Stay], weigh: Callable[[Shown], float]) -> float:
        shown = [deed.offer for stay in of for deed in offers(stay) if deed.offer]
        return sum(weigh(offer) for offer in shown if offer.outcome is OfferState.ACCEPTED) / len(shown)

    logged = rate(stays, lambda _: 1.0)
    estimate = rate(stays, lambda offer: PPM / offer.propensity_ppm / len(offer.candidates or ()))
    truth = rate(list(make_stays(world, SEED, GUESTS, sharpness=0.0)), lambda _: 1.0)
    assert estimate == pytest.approx(truth, abs=0.015)
    assert logged - truth > 0.015  # it is no small thing that is estimated


def test_a_yes_depends_on_the_guest_and_every_answer_is_there(stays: list[Stay]) -> None:
    outcomes = Counter(deed.offer.outcome for stay in stays for deed in offers(stay) if deed.offer)
    assert set(outcomes) == set(OfferState)
    assert 0.2 < outcomes[OfferState.ACCEPTED] / outcomes.total() < 0.4
    assert outcomes[OfferState.WRONG] < outcomes[OfferState.DEFERRED]


def share(deeds: list[DeedLine], items: set[str]) -> float:
    return sum(deed.item in items for deed in deeds) / len(deeds)


def test_company_weather_and_hour_change_what_is_taken(world: World, stays: list[Stay]) -> None:
    deeds = taken(stays)
    tagged: dict[str, set[str]] = defaultdict(set)
    for item in world.items:
        for tag in (*item.tags, item.category):
            tagged[tag].add(item.id)
    by_company = {c: [deed for deed in deeds if deed.moment.company is c] for c in Company}
    by_weather = {w: [deed for deed in deeds if deed.moment.weather is w] for w in Weather}
    assert share(by_company[Company.FAMILY], tagged["kids"]) > 2 * share(by_company[Company.FRIENDS], tagged["kids"])
    sunny, rough = (share(by_weather[w], tagged["open-air"]) for w in (Weather.SUNNY, Weather.ROUGH))
    assert sunny > 2 * rough
    evening = [deed for deed in deeds if 18 * 60 <= deed.moment.minute < 21 * 60]
    assert share(evening, tagged["main-course"]) > 2 * share(deeds, tagged["main-course"])
    assert None in {deed.moment.company for deed in deeds}
    assert None in {deed.moment.weather for deed in deeds}


def test_age_and_language_shift_what_is_done_and_are_in_no_deed(world: World, stays: list[Stay]) -> None:
    per_day = {age: [len(stay.choices) for stay in stays if stay.person.age is age] for age in Age}
    assert fmean(per_day[Age.OLD]) < 0.9 * fmean(per_day[Age.MIDDLE])
    own = next(iter(LANGUAGES))
    learning = {item.id for item in world.items if "learning" in item.tags}
    ours, theirs = (taken([stay for stay in stays if (stay.person.language == own) is same]) for same in (True, False))
    assert share(theirs, learning) < 0.8 * share(ours, learning)
    deeds = b"".join(encode_deed(deed) for stay in stays[:50] for deed in stay.deeds)
    words = ("age", "language", *Age, *LANGUAGES)
    assert not any(f'"{word}"'.encode() in deeds for word in words)


def test_ships_follow_one_another_and_each_is_its_own(world: World) -> None:
    fleet = list(make_fleet(SEED, 3, 4))
    assert fleet == list(make_fleet(SEED, 3, 4))
    assert [stay.guest for stay in fleet] == [f"{number:016x}" for number in range(12)]
    assert fleet[:4] == list(make_stays(world, SEED, 4))
    spans = [[deed.moment.now_s for stay in fleet[ship : ship + 4] for deed in stay.deeds] for ship in (0, 4, 8)]
    assert all(max(one) < min(other) for one, other in pairwise(spans))
    other = list(make_stays(make_world(SEED + 1), SEED + 1, 4, first=4))
    assert [stay.person for stay in fleet[4:8]] == [stay.person for stay in other]


def test_nobody_eats_two_main_courses_in_a_row(world: World, stays: list[Stay]) -> None:
    main = {item.id for item in world.items if item.category == "main-course"}
    dinner = [deed for deed in taken(stays) if deed.offer is None]
    again = sum(
        one.guest == two.guest and {one.item, two.item} <= main and two.moment.now_s - one.moment.now_s < 3600
        for one, two in pairwise(dinner)
    )
    assert again < share(dinner, main) ** 2 * len(dinner) / 10


def test_the_choices_kept_are_the_chances_that_were_drawn_from(cases: list[list[Case]]) -> None:
    """Said chances of the likeliest thing, against how often it was that: the oracle is calibrated."""
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for case in (case for stay in cases for case in stay):
        weights = case.choice.weights
        best = max(range(len(weights)), key=weights.__getitem__)
        chance = weights[best] / sum(weights)
        bins[min(3, int(chance * 5))].append((chance, case.choice.among[best] == case.choice.chosen))
    assert len(bins) == 4
    for said in bins.values():
        mean = sum(chance for chance, _ in said) / len(said)
        assert sum(hit for _, hit in said) / len(said) == pytest.approx(mean, abs=0.04)


def test_rankers_differ_in_the_order_they_do_on_real_days(world: World, cases: list[list[Case]]) -> None:
    found = check(cases, len(world.items))
    here = {each.ranker: each.ndcg5 for each in found["here"]}
    assert max(here.values()) == here["oracle"] > 1.2 * here["Markov, last three"]
    assert here["Markov, last three"] > here["popularity by hour"] > here["popularity"]
    for figures in (found["new"], found["all"]):
        ndcg5 = {each.ranker: each.ndcg5 for each in figures}
        assert all(0.001 < each.ndcg5_half < 0.03 for each in figures)
        assert ndcg5["popularity"] * 1.03 < ndcg5["item-kNN"] < ndcg5["Markov, last three"] / 1.05
        assert ndcg5["Markov, last three"] * 1.3 < ndcg5["oracle"] < 0.75  # much to learn, and chance remains
        assert min(each.cases for each in figures) > 2000


def test_a_ranking_without_a_clue_is_no_better_than_chance(world: World, cases: list[list[Case]]) -> None:
    """The oracle of shuffled truth: what the check itself would give for nothing."""
    flat = [
        [replace(case, choice=replace(case.choice, weights=(1.0,) * len(case.choice.among))) for case in stay]
        for stay in cases
    ]
    (oracle,) = (each for each in check(flat, len(world.items))["all"] if each.ranker == "oracle")
    assert oracle.hr1 < 0.12


def test_a_catalogue_with_nothing_open_makes_no_days(world: World) -> None:
    closed = replace(world, open_at=tuple(tuple(() for _ in day) for day in world.open_at))
    assert all((stay.deeds, stay.choices) == ((), ()) for stay in islice(make_stays(closed, SEED, 2), 2))


def test_one_item_is_enough() -> None:
    world = make_world(SEED, make_world(SEED).items[:1])
    stays = list(make_stays(world, SEED, 3))
    assert {deed.item for stay in stays for deed in stay.deeds} == {world.ids[0]}
    assert all(encode_deed(deed) for stay in stays for deed in stay.deeds)


def test_the_command_writes_both_files_once_and_shows_figures(tmp_path: Path) -> None:
    deeds, catalogue, groups = (tmp_path / name for name in ("deeds.jsonl", "catalogue.json", "groups.csv"))
    words = ["tastes", "--deeds", str(deeds), "--catalogue", str(catalogue), "--groups", str(groups)]
    words += ["--guests", "20", "--check"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "made-up guests" in done.output
    assert done.output.count("oracle") == 3
    assert len(groups.read_text().splitlines()) == 21
    assert read_export(deeds.read_bytes().splitlines(keepends=True))[0].made_up
    before = deeds.read_bytes(), catalogue.read_bytes()
    again = CliRunner().invoke(app, words)
    assert (again.exit_code, "never overwritten" in again.output) == (1, True)
    assert (deeds.read_bytes(), catalogue.read_bytes()) == before


@pytest.mark.parametrize("words", [[], ["--groups", "g.csv", "--check"], ["--deeds", "d", "--model", "m.model"]])
def test_the_command_asks_what_it_is_to_do(words: list[str]) -> None:
    assert CliRunner().invoke(app, ["tastes", *words]).exit_code == 2


def test_a_model_that_cannot_be_measured_is_told(tmp_path: Path) -> None:
    words = ["tastes", "--check", "--guests", "2", "--model"]
    gone = CliRunner().invoke(app, [*words, str(tmp_path / "none.model")])
    (tmp_path / "junk.model").write_bytes(b"junk")
    junk = CliRunner().invoke(app, [*words, str(tmp_path / "junk.model")])
    assert (gone.exit_code, "cannot be read" in gone.output) == (1, True)
    assert (junk.exit_code, "no mark of a preference model" in " ".join(junk.output.split())) == (1, True)
