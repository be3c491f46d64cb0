"""The demo's day without tracking: its checks and its search must find what must not be there."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.test_voyage_checks import NAMES, door, failed, good_day, served, till

from steward.domain.events import EventType
from voyage.cast import build_cast
from voyage.checks import PERSONAL, UNTRACKED_CHECKS
from voyage.observed import CareSeen, EventSeen, FreezeSeen, Observed, UntrackedSeen
from voyage.plan import build_plan
from voyage.steps import Encode, Freeze
from voyage.taps import planned_taps, seen_taps
from voyage.untracked import look_for_optional, may_ask

REF, CREW, UID = "a1" * 8, "c1" * 8, "04A1B2C3D4E5F6"


def untracked_day() -> Observed:
    seen = good_day()
    seen.untracked_asked, seen.untracked = True, UntrackedSeen(14, (), ())
    seen.served = [replace(served(""), title="", photo_bytes=0)]
    seen.events = [
        replace(e, payload={**e.payload, "guest": None}) if e.type == "DOOR_OPENED" else e for e in seen.events
    ]
    return seen


def _served(**changes: Any) -> Callable[[Observed], object]:
    return lambda seen: setattr(seen, "served", [replace(one, **changes) for one in seen.served])


def _found(**changes: Any) -> Callable[[Observed], object]:
    def spoil(seen: Observed) -> None:
        assert seen.untracked is not None
        seen.untracked = replace(seen.untracked, **changes)

    return spoil


def _refused_at_the_pool(seen: Observed) -> None:
    seen.door_tries[-1] = door("a", "pool", "zone_not_allowed", may_open=True, expect="granted")


BAD_DAYS: list[tuple[str, str, Callable[[Observed], object]]] = [
    ("a door refuses who is not tracked", "day_complete", _refused_at_the_pool),
    ("a suggestion is made", "guests_recognised", _served(title="Espresso")),
    ("a photo is shown", "guests_recognised", _served(photo_bytes=400)),
    ("nobody is known any more", "guests_recognised", _served(named=False)),
    ("the full name is shown", "guests_recognised", _served(discreet=False)),
    ("nobody was served", "guests_recognised", lambda seen: seen.served.clear()),
    ("a note was taken", "guests_recognised", lambda seen: seen.care.append(CareSeen("note", False, "taken"))),
    ("no emergency", "guests_recognised", lambda seen: seen.care.clear()),
    ("something is kept", "nothing_optional", _found(kept=("1 offers",))),
    ("somebody could not ask", "nothing_optional", _found(missing=("5012-a",))),
    ("nobody asked", "nothing_optional", _found(guests=0)),
    ("nothing was searched", "nothing_optional", lambda seen: setattr(seen, "untracked", None)),
    ("every door says for whom", "nothing_optional", lambda seen: setattr(
        seen, "events", [replace(e, payload={**e.payload, "guest": "a"}) for e in seen.events])),
]  # fmt: skip


def test_a_day_without_tracking_has_checks_of_its_own() -> None:
    assert failed(untracked_day()) == set()
    assert set(NAMES) >= PERSONAL
    nothing = Observed(steps_planned=30, outage_asked=True, untracked_asked=True)
    assert failed(nothing) == (set(NAMES) - PERSONAL) | {name for name, _, _ in UNTRACKED_CHECKS}


@pytest.mark.parametrize(("what", "name", "spoil"), BAD_DAYS, ids=[what for what, _, _ in BAD_DAYS])
def test_a_bad_day_without_tracking_fails(what: str, name: str, spoil: Callable[[Observed], object]) -> None:
    seen = untracked_day()
    spoil(seen)
    assert name in failed(seen), what


# the search


def ship(folder: Path) -> Path:
    """The tables that are searched, empty but for one guest with a band; and shore's."""
    (folder / "data").mkdir()
    (folder / "shore" / "data").mkdir(parents=True)
    for log in ("gateway.log", "shore.log"):
        (folder / log).write_text(f"INFO tap.done reader=pool purpose=door code=granted\nINFO desk.asked guest={REF}\n")
    with closing(sqlite3.connect(folder / "data" / "steward.db")) as made:
        for table in ("offer", "decision", "decision_lot", "signal_switch", "signal_change", "note"):
            made.execute(f"CREATE TABLE {table} (guest TEXT)")
        made.execute("CREATE TABLE stay_company (guest TEXT, company TEXT)")
        made.execute("CREATE TABLE consent (guest TEXT, given INTEGER)")
        made.execute("CREATE TABLE presence (guest TEXT)")
        made.execute("CREATE TABLE band_radio (uid TEXT, is_on INTEGER)")
        made.execute("CREATE TABLE band (uid TEXT, guest TEXT)")
        made.execute("CREATE TABLE look_up (guest TEXT, role TEXT, fields TEXT, way TEXT)")
        made.execute("INSERT INTO band VALUES (?, ?)", (UID, REF))
        made.execute("INSERT INTO consent VALUES (?, 0), (?, 1)", (REF, CREW))
        made.execute("INSERT INTO stay_company VALUES (?, NULL)", (REF,))
        made.execute("INSERT INTO look_up VALUES (?, 'service', 'diet preferred_name', 'tapped')", (REF,))
        made.execute("INSERT INTO look_up VALUES (?, 'safety', 'notes full_name', 'broke_glass')", (REF,))
        made.execute("INSERT INTO look_up VALUES (?, 'service', 'photo', 'tapped')", (CREW,))
        made.commit()
    with closing(sqlite3.connect(folder / "shore" / "data" / "shore.db")) as made:
        made.execute("CREATE TABLE event (type INTEGER)")
        made.execute("INSERT INTO event VALUES (?)", (int(EventType.DOOR_OPENED),))
        made.commit()
    return folder


def kept(folder: Path, *events: EventSeen) -> tuple[str, ...]:
    return look_for_optional(folder, {"5012-a": REF}, {"5012-a"}, events).kept


def event(type_: str, **payload: object) -> EventSeen:
    return EventSeen(1, 1, type_, payload)


def test_what_must_be_kept_is_no_fault(tmp_path: Path) -> None:
    quiet = event("DOOR_OPENED", guest=None, place="pool", code="granted")
    lost = event("DOOR_REFUSED", guest=REF, place="pool", code="frozen")
    crews = event("OFFER_SHOWN", guest=CREW)
    assert look_for_optional(ship(tmp_path), {"5012-a": REF}, {"5012-a"}, [quiet, lost, crews]) == UntrackedSeen(
        1, (), ()
    )


def test_who_did_not_get_to_ask_is_told(tmp_path: Path) -> None:
    assert look_for_optional(ship(tmp_path), {"5012-a": REF, "5012-b": "b1" * 8}, {"5012-a"}, ()).missing == ("5012-b",)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        *((f"INSERT INTO {table} VALUES (:ref)", f"1 {table}s") for table in ("offer", "decision", "note")),
        ("INSERT INTO decision_lot VALUES (:ref)", "1 lots"),
        ("INSERT INTO signal_switch VALUES (:ref)", "1 signals"),
        ("INSERT INTO signal_change VALUES (:ref)", "1 signals"),
        ("INSERT INTO stay_company VALUES (:ref, 'sealed')", "1 companies"),
        ("INSERT INTO consent VALUES (:ref, 1)", "1 consents"),
        ("INSERT INTO presence VALUES (:ref)", "1 places"),
        (f"INSERT INTO band_radio SELECT '{UID}', 1 FROM (SELECT :ref)", "1 radios"),
        ("INSERT INTO look_up VALUES (:ref, 'service', 'diet notes', 'tapped')", "a look of service at notes"),
        ("INSERT INTO look_up VALUES (:ref, 'service', 'photo', 'opened')", "a look of service at photo"),
    ],
)
def test_a_row_too_many_is_found(tmp_path: Path, row: str, said: str) -> None:
    folder = ship(tmp_path)
    with closing(sqlite3.connect(folder / "data" / "steward.db")) as made:
        made.execute(row, {"ref": REF})
        made.commit()
    assert kept(folder) == (said,)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (event("OFFER_SHOWN", guest=REF), "event OFFER_SHOWN"),
        (event("SIGNAL_SET", guest=REF), "event SIGNAL_SET"),
        (event("NOTE_ADDED", guest=REF), "event NOTE_ADDED"),
        (event("DOOR_OPENED", guest=REF, place="spa", code="granted"), "event DOOR_OPENED at spa says for whom"),
        (event("DOOR_REFUSED", guest=REF, place="spa", code="expired"), "event DOOR_REFUSED at spa says for whom"),
    ],
)
def test_an_event_too_many_is_found(tmp_path: Path, told: EventSeen, said: str) -> None:
    assert kept(ship(tmp_path), told) == (said,)


def test_what_went_ashore_and_what_a_log_tells_is_found(tmp_path: Path) -> None:
    folder = ship(tmp_path)
    with closing(sqlite3.connect(folder / "shore" / "data" / "shore.db")) as made:
        made.execute("INSERT INTO event VALUES (?)", (int(EventType.OFFER_SHOWN),))
        made.commit()
    with (folder / "gateway.log").open("a") as log:
        log.write(f"INFO tap.done reader=pool purpose=door uid={UID}\n")
    assert kept(folder) == ("1 events OFFER_SHOWN ashore", "gateway.log: a door's line says whose band it was")


# taps, planned and seen


def test_every_planned_tap_is_one_line() -> None:
    cast = build_cast(22)
    plan = build_plan(cast, 1, 0)
    taps = planned_taps(cast, plan)
    assert taps == sorted(taps)
    assert "5014-c at cabin-5012: wrong_cabin" in taps
    assert "5016-a at cabin-5016: frozen" in taps
    assert "5016-a, frozen by the desk: refused" in taps
    assert "5016-a at cabin-5020: refused" in taps  # somebody else's, whatever became of the band
    assert "5018-a at cabin-5018: superseded" in taps
    assert "spare-1, frozen by the shore: refused" in taps
    assert "5018-b at atrium: 2150 posted" in taps  # torn, and charged once
    assert "5018-a at crew-bar: known" in taps  # by the band that replaced the first
    assert planned_taps(cast, build_plan(cast, 2, 3)) != taps
    encoded = {step.band for story in plan.day for step in story.steps if isinstance(step, Encode)}
    frozen = {step.band for story in plan.day for step in story.steps if isinstance(step, Freeze)}
    assert encoded
    assert frozen


def test_what_was_seen_is_told_in_the_same_words() -> None:
    seen = Observed(
        door_tries=[
            door("a", "cabin-1"),
            door("f", "cabin-2", "wrong_cabin", expect=None),
            door("a", "cabin-1", may_open=True, expect=None),  # until shore's decision arrives
        ],
        till_tries=[
            till("1", "a", 500, "cancelled", purchase=1),
            till("2", "a", 500, purchase=1),
            till("3", "c", 900, "child_limit"),
        ],
        served=[served(""), replace(served(""), person="b", named=False)],
        freezes=[FreezeSeen("desk", "f", (), 0.2), FreezeSeen("shore", "g", (0.1,), None)],
    )
    assert seen_taps(seen) == sorted(
        [
            "a at cabin-1: granted",
            "f at cabin-2: refused",
            "a at bar: 500 posted",
            "c at bar: 900 child_limit",
            "a at crew-bar: known",
            "b at crew-bar: not known",
            "f, frozen by the desk: refused",
            "g, frozen by the shore: opened",
        ]
    )


def test_who_asks_not_to_be_tracked() -> None:
    cast = build_cast(22)
    asking = {person.key for person in cast.people if may_ask(person)}
    assert {"5012-a", "5014-c", "5026-z"} <= asking
    assert not asking & {"crew-1", "5010-x"}
