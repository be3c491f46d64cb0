"""The demo's checks must be able to fail: each is shown a good day, then the same day with one thing wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.trustkit import BAD_TRUST, good_trust

from voyage.checks import CHECKS, OUTAGE_CHECKS, run_checks
from voyage.observed import (
    AshoreSeen,
    BandFacts,
    CareSeen,
    Correction,
    DoorTry,
    EpochAshore,
    EventSeen,
    FlipSeen,
    Folio,
    FolioLine,
    FoundSeen,
    FreezeSeen,
    LedgerFacts,
    LinkSeen,
    LooksSeen,
    Observed,
    OutageSeen,
    Served,
    Signal,
    SuggestionSeen,
    TillTry,
    WorkshopSeen,
)
from voyage.reasons import crowded

DOORS = ("cabin-1", "cabin-2", "pool")
TORN_LINES = (("charge", "a", 210), ("charge", "c", 220))
KEYED = tuple(f"04{number:012X}" for number in range(8))
NAMES = [name for name, _, _ in CHECKS + OUTAGE_CHECKS]


def door(band: str, name: str, code: str = "granted", **changes: object) -> DoorTry:
    opened = code == "granted"
    made = DoorTry(
        door=name,
        cabin=int(name[-1]) if name.startswith("cabin") else None,
        band=band,
        person=band,
        passive=band == "b",
        may_open=opened,
        expect=code,
        signals=(Signal(name, opened, code, "green" if opened else "red"),),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def till(tap_id: str, band: str, amount_minor: int, told: str = "posted", **changes: object) -> TillTry:
    made = TillTry(
        tap_id=tap_id,
        till="bar",
        band=band,
        person=band,
        passive=band == "b",
        child=band == "c",
        age_restricted=False,
        amount_minor=amount_minor,
        expect=told,
        told=told,
        purchase=int(tap_id, 36),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def good_day() -> Observed:
    """a: an active band, b: a passive one, c: a child's; f: lost and frozen, r: replaced."""
    doors = [door("a", "cabin-1"), door("b", "cabin-2"), door("a", "cabin-2", "wrong_cabin"), door("c", "pool")]
    doors += [door("f", name, "frozen", frozen=True, retired=True) for name in ("cabin-1", "pool")]
    doors.append(door("f", "cabin-2", "wrong_cabin", frozen=True, expect=None, would_suit=False))
    doors += [door("r", name, "superseded", retired=True) for name in ("cabin-2", "pool")]
    doors.append(door("r", "cabin-1", "wrong_cabin", retired=True, expect=None, would_suit=False))
    tills = [
        till("1", "a", 500),
        till("2", "b", 300),
        till("3", "c", 900),
        till("4", "c", 900, "child_limit"),
        till("5", "c", 100, "age_restricted", age_restricted=True),
        till("6", "f", 700, "frozen"),
        till("7", "a", 500, "duplicate_tap"),
        till("8", "a", 20_000, held=True, wrong_pins=1),
        till("9", "b", 15_000, held=True),
        till("a", "a", 210, torn="killed"),
        till("b", "a", 220, "cancelled", torn="pulled"),
        till("c", "a", 220, purchase=11),
    ]
    corrections = [
        Correction("void", "1", 500, ok=True),
        Correction("refund", "9", 5_000, ok=True),
        Correction("dispute", "8", 0, ok=True, evidence=True, waited=True, approved=1),
    ]
    folios = [
        folio("a", ("charge", "1", 500), ("void", "1", -500), ("charge", "8", 20_000), *TORN_LINES),
        folio("b", ("charge", "2", 300), ("charge", "9", 15_000), ("refund", "9", -5_000)),
        folio("c", ("charge", "3", 900)),
    ]
    posted = [t for t in tills if t.posted]
    events = [("CHARGE_POSTED", {"tap_id": t.tap_id}) for t in posted]
    events += [("DOOR_OPENED", {"place": d.door}) for d in doors if d.opened]
    events += [(name, {"guest": "a"}) for name in ("OFFER_ACCEPTED", "OFFER_DEFERRED", "OFFER_WRONG")]
    events += [("APPROVAL_ASKED", {"guest": "b"}), ("APPROVAL_GIVEN", {"guest": "b"})]
    events += [("BAND_ISSUED", {"uid": uid}) for uid in KEYED]
    log: list[tuple[str, dict[str, object]]] = [(name, {**payload}) for name, payload in events]
    log.append(("DOWN_APPLIED", {"kind": "catalogue", "version": 7}))
    return Observed(
        doors=DOORS,
        door_tries=doors,
        till_tries=tills,
        corrections=corrections,
        child_limits={"c": 1_000},
        folios=folios,
        ledger=LedgerFacts(True, 0, len(posted), sum(t.amount_minor for t in posted) - 5_500),
        events=[EventSeen(1, seq, *event) for seq, event in enumerate(log, 1)],
        workshop=WorkshopSeen(KEYED, 8, 3.0, stocked=8, taken=8),
        bands=[BandFacts(f"band-{n}", 1_000 + n, n % 3 == 0, "/usr/bin/micropython") for n in range(22)],
        served=[served("accept"), served("not_now", title="Lemonade"), served("wrong", allergies=())],
        suggestions=[suggestion("model"), suggestion("popular", flips=()), suggestion("chance", flips=())],
        care=[
            CareSeen(kind, True, "seen") for kind in ("note", "recovery", "put right", "search", "emergency", "consent")
        ],
        freezes=[FreezeSeen("desk", "f", (), 0.2), FreezeSeen("shore", "g", (0.1,), 0.4)],
        looks=LooksSeen({"token:desk": 2, "c1": 1}, {"token:desk": 2, "c1": 1}, 3, 3, 1),
        ashore=AshoreSeen((EpochAshore("gw1", 1, len(log), 1, len(log)),), 0, (), (7, 7), 0),
        link=LinkSeen(2_000, 900, 2_040, 901, len(log), 9_000),
        trust=good_trust(),
        found=FoundSeen(True, True, True, 1.5),
        outage_asked=True,
        outage=OutageSeen(5.0, 5.1, 2, 60, 0, 0, 1.5),
        steps_done=30,
        steps_planned=30,
    )


def served(says: str, **changes: object) -> Served:
    made = Served("c1", "a", 80.0, True, True, 400, "Espresso", says, allergies=("nuts",), diet=("vegan",))
    return replace(made, **changes)  # type: ignore[arg-type]


def suggestion(means: str, **changes: object) -> SuggestionSeen:
    told, found = ("lemonade", 2), ("lemonade", 2)
    flips = (FlipSeen("history", told, found),)
    return replace(SuggestionSeen("a", "espresso", "m", "accept", means, flips, flips), **changes)  # type: ignore[arg-type]


def folio(person: str, *lines: tuple[str, str | None, int]) -> Folio:
    """Settled to zero by one last line."""
    made = [FolioLine(*line) for line in lines]
    made.append(FolioLine("settlement", None, -sum(line.amount_minor for line in made)))
    return Folio(person, True, 0, tuple(made))


def failed(seen: Observed) -> set[str]:
    return {check.name for check in run_checks(seen) if not check.ok}


def swap_door(seen: Observed, band: str, name: str, **changes: object) -> None:
    seen.door_tries = [
        replace(t, **changes) if (t.band, t.door) == (band, name) else t  # type: ignore[arg-type]
        for t in seen.door_tries
    ]


def swap_till(seen: Observed, tap_id: str, **changes: object) -> None:
    seen.till_tries = [replace(t, **changes) if t.tap_id == tap_id else t for t in seen.till_tries]  # type: ignore[arg-type]


def swap_folio(seen: Observed, person: str, change: Callable[[Folio], Folio]) -> None:
    seen.folios = [change(f) if f.person == person else f for f in seen.folios]


def without_charge(tap_id: str) -> Callable[[Folio], Folio]:
    return lambda f: replace(f, lines=tuple(x for x in f.lines if (x.kind, x.tap_id) != ("charge", tap_id)))


def with_line(kind: str, tap_id: str | None, amount_minor: int) -> Callable[[Folio], Folio]:
    return lambda f: replace(f, lines=(*f.lines, FolioLine(kind, tap_id, amount_minor)))


OPEN = (Signal("cabin-1", True, "granted", "green"),)


def test_a_good_day_passes_every_check() -> None:
    checks = run_checks(good_day())
    assert [(c.name, c.detail) for c in checks if not c.ok] == []
    assert [c.name for c in checks] == NAMES
    assert all(c.detail and c.claim for c in checks)


def test_a_day_without_anything_to_judge_fails_them_all() -> None:
    """Nothing seen is not the same as nothing wrong."""
    assert failed(Observed(steps_planned=30, outage_asked=True)) == set(NAMES)


def test_an_outage_is_judged_only_if_one_was_asked_for() -> None:
    seen = good_day()
    seen.outage_asked, seen.outage = False, None
    assert "outage_survived" not in {check.name for check in run_checks(seen)}
    assert failed(seen) == set()


def with_more_by_hand(seen: Observed) -> None:
    swap(seen, "looks", logged={"token:desk": 2, "c1": 9}, by_hand=frozenset({"c1"}))


def test_look_ups_of_whoever_watches_are_theirs() -> None:
    seen = good_day()
    with_more_by_hand(seen)
    assert failed(seen) == set()
    swap(seen, "looks", logged={"token:desk": 2})
    assert failed(seen) == {"look_ups_logged"}  # made by the demo, and not logged


def swap(seen: Observed, name: str, **changes: object) -> None:
    setattr(seen, name, replace(getattr(seen, name), **changes))


def swap_each(seen: Observed, name: str, **changes: object) -> None:
    setattr(seen, name, [replace(item, **changes) for item in getattr(seen, name)])


def cut_event(seen: Observed) -> None:
    del seen.events[3]


def second_epoch(seen: Observed) -> None:
    seen.events[-1] = replace(seen.events[-1], epoch=2)


def lose_door_event(seen: Observed) -> None:
    last = max(number for number, event in enumerate(seen.events) if event.type == "DOOR_OPENED")
    seen.events[last] = replace(seen.events[last], type="DOOR_REFUSED")


def charge_event_twice(seen: Observed) -> None:
    first = seen.events[0]
    seen.events.append(replace(first, seq=len(seen.events) + 1))


def drop_doors(band: str) -> Callable[[Observed], None]:
    def change(seen: Observed) -> None:
        seen.door_tries = [t for t in seen.door_tries if not (t.band == band and t.door == "pool")]

    return change


def share_a_pid(seen: Observed) -> None:
    seen.bands[1] = replace(seen.bands[1], pid=seen.bands[0].pid)


def not_micropython(seen: Observed) -> None:
    seen.bands[1] = replace(seen.bands[1], interpreter="/usr/bin/python3")


def child_over_limit(seen: Observed) -> None:
    swap_till(seen, "4", told="posted")


def double_torn(seen: Observed) -> None:
    swap_till(seen, "b", told="posted")
    swap_folio(seen, "a", with_line("charge", "b", 220))


def workshop(**changes: object) -> Callable[[Observed], object]:
    def spoil(seen: Observed) -> None:
        assert seen.workshop is not None
        seen.workshop = replace(seen.workshop, **changes)  # type: ignore[arg-type]

    return spoil


BAD_DAYS: list[tuple[str, str, Callable[[Observed], object]]] = [
    ("a step failed", "day_complete", lambda s: s.steps_failed.append("story: step")),
    ("a step is missing", "day_complete", lambda s: setattr(s, "steps_done", 29)),
    ("a door said something else", "day_complete", lambda s: swap_door(s, "a", "cabin-2", expect="expired")),
    ("a door said nothing", "day_complete", lambda s: swap_door(s, "a", "cabin-1", signals=())),
    ("a door spoke twice", "day_complete", lambda s: swap_door(s, "a", "cabin-1", signals=OPEN + OPEN)),
    ("a till was told something else", "day_complete", lambda s: swap_till(s, "7", told="day_limit")),
    ("the books are wrong", "ledger_sum_zero", lambda s: setattr(s, "ledger", replace(s.ledger, ok=False))),  # type: ignore[type-var]
    ("a cent is gone", "ledger_sum_zero", lambda s: setattr(s, "ledger", replace(s.ledger, sum_minor=1))),  # type: ignore[type-var]
    ("the ledger was not read", "ledger_sum_zero", lambda s: setattr(s, "ledger", None)),
    ("a charge is not on the folio", "every_charge_once", lambda s: swap_folio(s, "b", without_charge("2"))),
    ("a charge nobody was told of", "every_charge_once", lambda s: swap_folio(s, "b", with_line("charge", "z", 1))),
    ("a charge is there twice", "every_charge_once", lambda s: swap_folio(s, "b", with_line("charge", "2", 300))),
    ("a charge of another amount", "every_charge_once", lambda s: swap_till(s, "2", amount_minor=301)),
    ("a charge event twice", "every_charge_once", charge_event_twice),
    ("the ledger knows another sum", "every_charge_once", lambda s: setattr(
        s, "ledger", replace(s.ledger, left_minor=1))),  # type: ignore[type-var]
    ("the ledger counts more", "every_charge_once", lambda s: setattr(s, "ledger", replace(s.ledger, charges=99))),  # type: ignore[type-var]
    ("a frozen band opened", "frozen_band_refused", lambda s: swap_door(s, "f", "cabin-1", signals=OPEN)),
    ("a frozen band got another code", "frozen_band_refused", lambda s: swap_door(
        s, "f", "pool", signals=(Signal("pool", False, "superseded", "red"),))),
    ("a door heard nothing of it", "frozen_band_refused", lambda s: swap_door(s, "f", "cabin-2", signals=())),
    ("a door was left out", "frozen_band_refused", drop_doors("f")),
    ("the frozen band paid", "frozen_band_refused", lambda s: swap_till(s, "6", told="posted")),
    ("it was not tried at a till", "frozen_band_refused", lambda s: swap_till(s, "6", expect="expired")),
    ("a replaced band opened", "retired_band_refused", lambda s: swap_door(s, "r", "cabin-2", signals=OPEN)),
    ("a replaced band was frozen instead", "retired_band_refused", lambda s: swap_door(
        s, "r", "pool", signals=(Signal("pool", False, "frozen", "red"),))),
    ("a door was left out for it", "retired_band_refused", drop_doors("r")),
    ("a wrong cabin opened", "no_wrong_cabin_opened", lambda s: swap_door(s, "a", "cabin-2", signals=OPEN)),
    ("a door opened for nobody", "no_wrong_cabin_opened", lambda s: s.stray_signals.append(OPEN[0])),
    ("another door opened", "no_wrong_cabin_opened", lambda s: swap_door(s, "b", "cabin-2", signals=OPEN)),
    ("no wrong cabin was tried", "no_wrong_cabin_opened", lambda s: setattr(
        s, "door_tries", [t for t in s.door_tries if t.may_open or t.cabin is None])),
    ("an opening is not in the log", "doors_agree", lose_door_event),
    ("the log knows one more", "doors_agree", lambda s: s.events.append(
        EventSeen(1, len(s.events) + 1, "DOOR_OPENED", {"place": "pool"}))),
    ("a torn charge is doubled", "torn_not_doubled", double_torn),
    ("a torn charge is lost", "torn_not_doubled", lambda s: swap_folio(s, "a", without_charge("a"))),
    ("nobody was killed", "torn_not_doubled", lambda s: swap_till(s, "a", torn="pulled")),
    ("no new tap id was tried", "torn_not_doubled", lambda s: swap_till(s, "c", purchase=99)),
    ("a child spent too much", "child_limit_held", child_over_limit),
    ("a child was sold a drink", "child_limit_held", lambda s: swap_till(s, "5", told="posted")),
    ("no child reached the limit", "child_limit_held", lambda s: swap_till(s, "4", told="stay_limit")),
    ("a wrong PIN was enough", "verification_held", lambda s: swap_till(s, "8", expect="pin_wrong")),
    ("no PIN was asked", "verification_held", lambda s: swap_till(s, "8", held=False)),
    ("no photo was asked", "verification_held", lambda s: swap_till(s, "9", held=False)),
    ("the second tap was charged", "duplicate_caught", lambda s: swap_till(s, "7", told="posted")),
    ("there was no second tap", "duplicate_caught", lambda s: swap_till(s, "7", expect="frozen", told="frozen")),
    ("a refund is missing", "corrections_balanced", lambda s: swap_folio(s, "b", with_line("refund", "9", 5_000))),
    ("a void failed", "corrections_balanced", lambda s: s.corrections.append(Correction("void", "2", 300, ok=False))),
    ("no dispute could be proved", "corrections_balanced", lambda s: setattr(
        s, "corrections", [replace(c, evidence=None) for c in s.corrections])),
    ("there was no refund", "corrections_balanced", lambda s: setattr(
        s, "corrections", [c for c in s.corrections if c.kind != "refund"])),
    ("money is left", "folios_settled", lambda s: swap_folio(s, "b", lambda f: replace(f, balance_minor=5))),
    ("a folio is open", "folios_settled", lambda s: swap_folio(s, "b", lambda f: replace(f, settled=False))),
    ("the lines do not add up", "folios_settled", lambda s: swap_folio(s, "b", with_line("refund", None, -5))),
    ("no passive band paid", "passive_bands_worked", lambda s: [
        swap_till(s, tap, passive=False) for tap in ("2", "9")]),
    ("no passive band opened", "passive_bands_worked", lambda s: swap_door(s, "b", "cabin-2", passive=False)),
    ("an event is missing", "events_contiguous", cut_event),
    ("the log began anew", "events_contiguous", second_epoch),
    ("two bands are one process", "bands_are_real", share_a_pid),
    ("a band is something else", "bands_are_real", not_micropython),
    ("a band too few", "bands_are_real", lambda s: s.bands.pop()),
    ("another guest's card", "crew_served", lambda s: swap_each(s, "served", named=False)),
    ("a full name at the bar", "crew_served", lambda s: swap_each(s, "served", discreet=False)),
    ("a card without a photo", "crew_served", lambda s: swap_each(s, "served", photo_bytes=0)),
    ("nobody took a suggestion", "crew_served", lambda s: swap_each(s, "served", says="wrong")),
    ("an answer was lost", "crew_served", lambda s: s.served.append(served("accept"))),
    ("a note was lost", "crew_served", lambda s: swap_each(s, "care", ok=False)),
    ("nothing was put right", "crew_served", lambda s: s.care.pop(2)),
    ("against an allergy", "suggestions_safe", lambda s: swap_each(s, "served", title="Cake")),
    ("against a diet", "suggestions_safe", lambda s: swap_each(s, "served", title="Iced coffee")),
    ("not in the catalogue", "suggestions_safe", lambda s: swap_each(s, "served", title="Yacht")),
    ("nobody to be careful with", "suggestions_safe", lambda s: swap_each(s, "served", allergies=(), diet=())),
    ("the same again after a no", "suggestions_follow", lambda s: s.served.append(served("accept"))),
    ("the same for everybody", "suggestions_follow", lambda s: swap_each(s, "served", title="Espresso", says="accept")),
    ("a suggestion without a reason", "suggestions_explained", lambda s: s.suggestions.append(suggestion(""))),
    ("a model that could not say why", "suggestions_explained", lambda s: s.suggestions.append(suggestion("unsaid"))),
    ("no model at all", "suggestions_explained", lambda s: swap_each(s, "suggestions", means="popular")),
    ("a switch that did something else", "reasons_hold", lambda s: swap_each(
        s, "suggestions", flips=(FlipSeen("hour", ("lemonade", 2), ("lemonade", 3)),))),
    ("a claim that does not hold", "reasons_hold", lambda s: swap_each(
        s, "suggestions", claims=(FlipSeen("as it was", ("espresso", 1), ("lemonade", 1)),))),
    ("no switch was tried", "reasons_hold", lambda s: swap_each(s, "suggestions", flips=())),
    ("nobody was asked", "second_person", lambda s: swap_each(s, "corrections", approved=0)),
    ("one person was enough", "second_person", lambda s: swap_each(s, "corrections", waited=False)),
    ("a look-up is not logged", "look_ups_logged", lambda s: swap(s, "looks", logged={"token:desk": 1, "c1": 1})),
    ("a look-up nobody made", "look_ups_logged", lambda s: swap(
        s, "looks", logged={"token:desk": 2, "c1": 1, "c2": 1})),
    ("the log itself has fewer", "look_ups_logged", lambda s: swap(s, "looks", counted=2)),
    ("the officer sees fewer", "look_ups_logged", lambda s: swap(s, "looks", listed=2)),
    ("the emergency does not stand out", "look_ups_logged", lambda s: swap(s, "looks", emergencies=0)),
    ("a door opened too late", "freeze_in_time", lambda s: swap_each(s, "freezes", opened_s=(6.0,))),
    ("it opened after the desk's freeze", "freeze_in_time", lambda s: swap_each(s, "freezes", opened_s=(0.2,))),
    ("it was never refused", "freeze_in_time", lambda s: swap_each(s, "freezes", refused_s=None)),
    ("shore froze nothing", "freeze_in_time", lambda s: s.freezes.pop()),
    ("an old catalogue", "catalogue_applied", lambda s: swap(s, "ashore", catalogue=(8, 7))),
    ("the catalogue came twice", "catalogue_applied", lambda s: s.events.append(s.events[-1])),
    ("a message from shore was refused", "catalogue_applied", lambda s: s.events.append(
        EventSeen(1, len(s.events) + 1, "DOWN_REFUSED", {}))),
    ("an event is not ashore", "events_ashore_once", lambda s: s.events.append(
        EventSeen(1, len(s.events) + 1, "DOOR_REFUSED", {}))),
    ("shore has one too many", "events_ashore_once", lambda s: s.events.pop()),
    ("another epoch ashore", "events_ashore_once", second_epoch),
    ("shore raises an alarm", "events_ashore_once", lambda s: swap(s, "ashore", alarms=("conflict gw1",))),
    ("some still wait", "events_ashore_once", lambda s: swap(s, "ashore", waiting=3)),
    ("bytes nobody counted", "link_counted", lambda s: swap(s, "link", up_bytes=2_100)),
    ("bytes that never passed", "link_counted", lambda s: swap(s, "link", received_bytes=90_000)),
    ("the queue did not grow", "outage_survived", lambda s: swap(s, "outage", most=2)),
    ("it never caught up", "outage_survived", lambda s: swap(s, "outage", after=4, caught_up_s=None)),
    ("bytes passed a cut link", "outage_survived", lambda s: swap(s, "outage", passed_bytes=1)),
    ("the cut was too short", "outage_survived", lambda s: swap(s, "outage", cut_s=4.0)),
    *BAD_TRUST,
    ("nobody looked", "band_found", lambda seen: setattr(seen, "found", None)),
    ("a radio that was on", "band_found", lambda seen: setattr(seen, "found", FoundSeen(False, True, True, 1.0))),
    ("a band not found", "band_found", lambda seen: setattr(seen, "found", FoundSeen(True, False, True, 1.0))),
    ("no buzz", "band_found", lambda seen: setattr(seen, "found", FoundSeen(True, True, False, 1.0))),
    ("no station", "bands_from_workshop", lambda s: setattr(s, "workshop", None)),
    ("a band was set aside", "bands_from_workshop", workshop(done=7)),
    ("a band stayed out of the stock", "bands_from_workshop", workshop(stocked=7, left_out=1)),
    ("a band stayed in the drawer", "bands_from_workshop", workshop(taken=7)),
    ("a band is nobody's", "bands_from_workshop", workshop(uids=(*KEYED[1:], "04FFFFFFFFFFFF"))),
]  # fmt: skip


@pytest.mark.parametrize(("what", "name", "spoil"), BAD_DAYS, ids=[what for what, _, _ in BAD_DAYS])
def test_a_bad_day_fails_its_check(what: str, name: str, spoil: Callable[[Observed], object]) -> None:
    seen = good_day()
    spoil(seen)
    assert name in failed(seen), what


def test_every_check_is_shown_a_bad_day() -> None:
    assert {name for _, name, _ in BAD_DAYS} == set(NAMES)


def test_details_name_what_was_seen_and_stay_short() -> None:
    seen = good_day()
    seen.steps_failed = [f"step {number}" for number in range(40)]
    check = run_checks(seen)[0]
    assert "step 0" in check.detail
    assert "35 more" in check.detail
    frozen = next(c for c in run_checks(good_day()) if c.name == "frozen_band_refused")
    assert set(frozen.listed) == {"cabin-1: frozen", "cabin-2: wrong_cabin", "pool: frozen"}


def test_a_second_with_something_else_in_it_tells_nothing_for_sure() -> None:
    shown = EventSeen(1, 5, "OFFER_SHOWN", {"guest": "a", "offer": "1"}, at_s=9)
    alone = [
        shown,
        EventSeen(1, 6, "LOOKED_UP", {"guest": "a"}, 9),
        EventSeen(1, 7, "CHARGE_POSTED", {"guest": "b"}, 9),
    ]
    assert not crowded(shown, alone)
    for offer, at_s, unsure in (("1", 9, False), ("2", 9, True), ("2", 10, False)):
        said = EventSeen(1, 8, "OFFER_ACCEPTED", {"guest": "a", "offer": offer}, at_s)
        assert crowded(shown, [*alone, said]) is unsure
    assert crowded(shown, [*alone, EventSeen(1, 8, "OFFER_SHOWN", {"guest": "a", "offer": "2"}, 9)])
