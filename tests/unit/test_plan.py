"""The demo's day before it happens: a seed decides it, and it agrees with itself about who may open what."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator

import pytest

from voyage.cast import BANDS_DEFAULT, BANDS_MAX, BANDS_MIN, DOOR, TILL, ZONES, Cast, Truth, build_cast
from voyage.plan import DAY_ENDS, DAY_STARTS, FILL_MAX, Plan, build_plan
from voyage.steps import (
    GRANTED,
    KILLED,
    POSTED,
    PULLED,
    BreakGlass,
    Buy,
    CheckIn,
    Dispute,
    Door,
    Encode,
    EveryDoor,
    Find,
    Freeze,
    FreezeAshore,
    Greet,
    Note,
    Recover,
    Refund,
    SignIn,
    Step,
    TakeBack,
    Torn,
    Void,
    clock,
)

SIZES = [(BANDS_MIN, 0), (BANDS_DEFAULT, 5), (41, FILL_MAX), (BANDS_MAX, FILL_MAX)]


@pytest.fixture(params=SIZES, ids=[f"{bands}-bands-fill-{fill}" for bands, fill in SIZES])
def ship(request: pytest.FixtureRequest) -> tuple[Cast, Plan]:
    bands, fill = request.param
    cast = build_cast(bands)
    return cast, build_plan(cast, seed=7, fill=fill)


def steps_of(plan: Plan) -> Iterator[Step]:
    for story in plan.day:
        yield from story.steps


def bands_of(step: Step) -> set[str]:
    match step:
        case Encode():
            return {step.band} | ({step.replaces} if step.replaces else set())
        case Door() | EveryDoor() | Buy() | Torn() | Freeze() | FreezeAshore() | Greet():
            return {step.band}
        case _:
            return set()


def test_same_seed_same_day() -> None:
    cast = build_cast(24)
    assert build_plan(cast, 3, 8) == build_plan(cast, 3, 8)
    assert build_plan(cast, 3, 8) != build_plan(cast, 4, 8)


def test_one_more_cabin_changes_nobody_elses_day() -> None:
    few = {story.title: story for story in build_plan(build_cast(24), 3, 8).day}
    many = {story.title: story for story in build_plan(build_cast(30), 3, 8).day}
    assert few.items() <= many.items()


@pytest.mark.parametrize("bands", [BANDS_MIN - 1, BANDS_MAX + 1])
def test_too_few_or_many_bands_are_refused(bands: int) -> None:
    with pytest.raises(ValueError, match=f"{BANDS_MIN} to {BANDS_MAX}"):
        build_cast(bands)


@pytest.mark.parametrize("bands", [BANDS_MIN, 23, 24, 25, BANDS_MAX])
def test_cast_has_as_many_bands_as_asked_some_passive(bands: int) -> None:
    cast = build_cast(bands)
    keys = [band.key for band in cast.bands]
    assert len(keys) == len(set(keys)) == bands
    assert 0 < sum(band.passive for band in cast.bands) < bands
    assert {person.band for person in cast.people} <= set(keys)


def test_names_fit_the_gateways_limits(ship: tuple[Cast, Plan]) -> None:
    cast, _ = ship
    names = [place.name for place in cast.places]
    assert len(names) == len(set(names)) <= 128
    assert all(len(place.name) <= 8 for place in cast.of(TILL))
    assert all((place.cabin is None) != (place.zone is None) for place in cast.of(DOOR))
    assert all(set(person.zones) <= set(ZONES) and len(person.cabins) <= 2 for person in cast.people)


def test_stories_share_no_band_and_run_forward(ship: tuple[Cast, Plan]) -> None:
    """Each story is a task of its own: two of them must not hold the same band, nor wait for one another."""
    _, plan = ship
    held: Counter[str] = Counter()
    for story in plan.day:
        times = [step.at for step in story.steps]
        assert times == sorted(times)
        assert all(DAY_STARTS <= at < DAY_ENDS for at in times)
        held.update(set().union(*map(bands_of, story.steps)))
    shared = {band for band, stories in held.items() if stories > 1}
    assert shared <= {"5016-b"}  # only held to its own door by the room-mate's story, which changes nothing of it


def test_corrections_name_a_charge_made_before_in_the_same_story(ship: tuple[Cast, Plan]) -> None:
    _, plan = ship
    for story in plan.day:
        made: dict[str, int] = {}
        for step in story.steps:
            if isinstance(step, Buy) and step.name:
                made[step.name] = step.amount_minor
            elif isinstance(step, Void | Refund | Dispute):
                back = step.amount_minor if isinstance(step, Refund) else 0
                assert back <= made[step.charge], step


def test_every_expected_door_is_what_the_truth_says(ship: tuple[Cast, Plan]) -> None:
    """Walk the plan without a gateway: what the plan expects of each door is what its guests may do."""
    cast, plan = ship
    truth = Truth(cast)
    for encode in plan.boarding:
        truth.issued(encode.band, encode.person)
    for step in sorted(steps_of(plan), key=lambda step: step.at):
        match step:
            case Encode():
                truth.issued(step.band, step.person)
            case Freeze() | FreezeAshore():
                truth.frozen.add(step.band)
            case Door():
                assert truth.may_open(step.band, step.door) == (step.expect == GRANTED), step
                if step.expect == GRANTED:
                    truth.opened(step.band, step.door)
            case EveryDoor():
                assert step.band in truth.frozen or truth.retired(step.band)
                assert not any(truth.may_open(step.band, place.name) for place in cast.of(DOOR))


def test_nobody_buys_the_same_twice_by_accident(ship: tuple[Cast, Plan]) -> None:
    """Within the duplicate window it would be refused, and rightly."""
    _, plan = ship
    buys = [s for s in steps_of(plan) if isinstance(s, Buy | Torn)]
    meant = [s for s in buys if isinstance(s, Buy) and (s.allow_duplicate or s.expect == "duplicate_tap")]
    counted = Counter((s.band, s.till, s.amount_minor) for s in buys if s not in meant)
    assert max(counted.values()) == 1
    assert len(meant) == 2


def test_limits_of_the_day_are_met_exactly_where_planned(ship: tuple[Cast, Plan]) -> None:
    """Nobody is refused for a limit unless the plan says so, and children are refused at the limit, not near it."""
    cast, plan = ship
    spent: Counter[str] = Counter()
    wearer = {person.band: person for person in cast.people}
    wearer |= {s.band: cast.person(s.person) for s in steps_of(plan) if isinstance(s, Encode)}
    for step in sorted(steps_of(plan), key=lambda step: step.at):
        if not isinstance(step, Buy | Torn) or step.band not in wearer:
            continue
        person = wearer[step.band]
        expect = step.expect if isinstance(step, Buy) else POSTED
        over = spent[person.key] + step.amount_minor > person.purse.day_minor
        if expect == POSTED:
            assert not over, step
            spent[person.key] += step.amount_minor
            proof = isinstance(step, Buy) and step.proof
            assert bool(proof) == (step.amount_minor > person.purse.verify_above_minor), step
        elif expect == "child_limit":
            assert person.child
            assert over, step


def test_the_day_holds_what_the_checks_look_for(ship: tuple[Cast, Plan]) -> None:
    _, plan = ship
    steps = list(steps_of(plan))
    kinds = {type(step) for step in steps}
    crews = {SignIn, Greet, Note, Recover, Find, BreakGlass, TakeBack}
    assert kinds == {CheckIn, Encode, Door, EveryDoor, Buy, Torn, Freeze, FreezeAshore, Void, Refund, Dispute} | crews
    assert {step.says for step in steps if isinstance(step, Greet)} == {"accept", "not_now", "wrong"}
    assert [step.second for step in steps if isinstance(step, Void)] == ["", "crew-2"]
    expects = {step.expect for step in steps if isinstance(step, Door | Buy)}
    assert {"wrong_cabin", "zone_not_allowed", "frozen", "superseded", "expired", "auth_failed"} <= expects
    assert {"child_limit", "age_restricted", "duplicate_tap"} <= expects
    torn = {(step.how, step.new_tap) for step in steps if isinstance(step, Torn)}
    assert torn == {(PULLED, False), (PULLED, True), (KILLED, False)}


def test_crew_are_signed_in_for_what_they_do_and_guests_are_on_the_manifest(ship: tuple[Cast, Plan]) -> None:
    cast, plan = ship
    signed_in = {step.crew: step.at for step in steps_of(plan) if isinstance(step, SignIn)}
    issued = {step.band: step.person for step in steps_of(plan) if isinstance(step, Encode)}
    wearer = {person.band: person.key for person in cast.people} | issued
    assert set(signed_in) == {person.key for person in cast.crew}
    for step in steps_of(plan):
        if isinstance(step, Greet | Note | Recover | Find | BreakGlass | TakeBack):
            assert signed_in[step.crew] < step.at, step
            guest = wearer[step.band] if isinstance(step, Greet) else step.person
            assert not cast.person(guest).late
        elif isinstance(step, Void) and step.second:
            assert cast.person(step.second).duty.role == "purser"  # type: ignore[union-attr]


def test_torn_charges_are_of_active_bands(ship: tuple[Cast, Plan]) -> None:
    """A passive band signs nothing, so there is no such moment to tear it away in."""
    cast, plan = ship
    assert not [s for s in steps_of(plan) if isinstance(s, Torn) and cast.band(s.band).passive]


def test_passive_bands_open_doors_and_pay(ship: tuple[Cast, Plan]) -> None:
    cast, plan = ship
    passive = {band.key for band in cast.bands if band.passive}
    assert any(isinstance(s, Door) and s.band in passive and s.expect == GRANTED for s in steps_of(plan))
    assert any(isinstance(s, Buy) and s.band in passive and s.expect == POSTED for s in steps_of(plan))


def test_fill_adds_ordinary_taps_only() -> None:
    cast = build_cast(24)
    quiet, busy = (build_plan(cast, 1, fill) for fill in (0, FILL_MAX))
    added = Counter(steps_of(busy)) - Counter(steps_of(quiet))
    assert added.total() > 10 * FILL_MAX
    assert all(isinstance(step, Door | Buy) for step in added)
    assert not Counter(steps_of(quiet)) - Counter(steps_of(busy))
    with pytest.raises(ValueError, match=f"0 to {FILL_MAX}"):
        build_plan(cast, 1, FILL_MAX + 1)


def test_a_new_party_ends_the_old_stay_only_once_it_is_in() -> None:
    cast = build_cast(BANDS_MIN)
    truth = Truth(cast)
    truth.issued("5026-a", "5026-a")
    truth.issued("5026-z", "5026-z")
    assert truth.may_open("5026-a", "cabin-5026")
    truth.opened("5026-z", "cabin-5026")
    assert not truth.may_open("5026-a", "cabin-5026")
    assert truth.may_open("5026-z", "cabin-5026")


def test_a_band_nobody_was_given_opens_nothing() -> None:
    cast = build_cast(BANDS_MIN)
    truth = Truth(cast)
    assert not any(truth.may_open("blank", place.name) for place in cast.of(DOOR))


def test_pins_stay_out_of_reprs() -> None:
    person = build_cast(BANDS_MIN).person("5022-a")
    assert person.purse.pin is not None
    assert person.purse.pin not in repr(dataclasses.replace(person))
    for crew in build_cast(BANDS_MIN).crew:
        assert crew.duty is not None
        assert crew.duty.pin not in repr(crew)


def test_clock_reads_like_a_clock() -> None:
    assert [clock(at) for at in (DAY_STARTS, 8 * 60 + 5, DAY_ENDS)] == ["08:00", "08:05", "00:00"]
