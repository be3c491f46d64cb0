"""Everything that is held, written, shown or learnt from is walked, and what no use case names fails here."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from pydantic import BaseModel
from tests.registerkit import (
    OF_THE_REGISTER,
    TEMPLATES,
    all_columns,
    answer_fields,
    edited,
    page_facts,
    passed_on_keys,
    undeclared,
    untyped_answers,
    whole_api,
    written_keys,
)
from tests.sim.runs import outcome
from tests.vaultkit import DATA_KEY

from steward.adapters import memory_sync
from steward.adapters.sqlite import events as sqlite_events
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.store_register import check_columns, check_declared
from steward.domain import features
from steward.domain.events import ERASED_PAYLOAD, EventType, NewEvent, fact
from steward.domain.modelinputs import MODEL_CONSENTS, feature_names, may_choose, model_inputs
from steward.domain.policywords import ConsentPurpose
from steward.domain.usecases import REGISTER, Sort
from steward.errors import StoreUnavailable
from steward.ports import Store
from steward.shore.api import ShoreApi
from steward.shore.sqlite import SqliteShore
from steward.web.pages.guest_held import LINES
from steward.web.pages.guest_taken import HOMES

# The fleet's API tells what the fleet's store holds, line by line, and those columns are walked.
FLEET_LINES = {"/v1/fleet", "/v1/events/count", "/v1/aggregates", "/v1/decisions", "/v1/alarms/clear"}


# All that is held of one guest, in one document: each of its parts is a column or an event, and those are walked.
WHOLE_GUEST = {"POST /v1/guests/{ref}/export"}
# What was erased, and what is kept by law: a document with a schema of its own, signed as a whole.
CERTIFICATES = {"POST /v1/guests/{ref}/erasure", "GET /v1/erasures/{certificate}", "GET /v1/guests/{ref}/papers"}


# All that is held of one guest, on pages for that guest: lists of names and values, each made for a group of the
# register by its name (guest_held.LINES, guest_taken.HOMES), and those are walked.
WHOLE_PAGES = {"guest_data.lines", "guest_taken.lines", "guest_taken.lists", "guest_taken.rows"}


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    return whole_api().openapi()


# columns


async def test_every_column_is_named_and_every_named_column_is_there(tmp_path: Path) -> None:
    found = await all_columns(tmp_path)
    assert len(found) > 300
    assert undeclared(found, REGISTER.names(Sort.COLUMN)) == []
    assert undeclared(REGISTER.names(Sort.COLUMN), found) == []


async def test_a_column_that_nobody_declared_keeps_the_store_shut(tmp_path: Path) -> None:
    path = tmp_path / "steward.db"
    await SqliteStore.open(path, DATA_KEY).close()
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE guest ADD COLUMN shoe_size INTEGER")
    connection.close()
    with pytest.raises(StoreUnavailable, match=r"guest\.shoe_size, which no use case names"):
        SqliteStore.open(path, DATA_KEY)


async def test_nor_is_a_table_or_view_that_nobody_declared(tmp_path: Path) -> None:
    path = tmp_path / "steward.db"
    await SqliteStore.open(path, DATA_KEY).close()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE VIEW shadow AS SELECT ref AS who FROM guest")
    connection.close()
    with pytest.raises(StoreUnavailable, match=r"shadow\.who"):
        SqliteStore.open(path, DATA_KEY)


async def test_the_fleets_store_is_asked_the_same(tmp_path: Path) -> None:
    path = tmp_path / "shore.db"
    await SqliteShore.open(path, create=True).close()
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE ship ADD COLUMN passengers TEXT")
    connection.close()
    with pytest.raises(StoreUnavailable, match=r"shore\.ship\.passengers"):
        SqliteShore.open(path)


def test_a_column_taken_out_of_the_register_is_missed() -> None:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE guest_serial (guest TEXT, serial INTEGER)")
        check_columns(connection, Path("x.db"))
        with pytest.raises(StoreUnavailable, match=r"guest_serial\.serial"):
            check_columns(connection, Path("x.db"), edited(('"guest_serial: guest serial"', '"guest_serial: guest"')))
    connection.close()


# events


def test_every_key_that_the_code_writes_is_named() -> None:
    found = written_keys()
    assert len(found) > 150
    assert undeclared(found, REGISTER.names(Sort.EVENT)) == []
    passed_on = passed_on_keys()
    assert {"paid_back_minor", "tap_id"} <= passed_on
    assert undeclared(passed_on, (name.partition(".")[2] for name in REGISTER.names(Sort.EVENT))) == []


def test_the_walk_sees_a_key_wherever_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        "fact(EventType.PIN_SET, now, mood=1)\n"
        "fact(EventType.CONSENT_GIVEN if yes else EventType.CONSENT_WITHDRAWN, now, **({} if yes else {'whim': 2}))\n"
        "NewEvent(EventType.STAFF_ALERT, now, {'rumour': x} | more)\n"
    )
    found = undeclared(written_keys(tmp_path), REGISTER.names(Sort.EVENT))
    assert found == ["consent_given.whim", "consent_withdrawn.whim", "pin_set.mood", "staff_alert.rumour"]


async def test_a_store_refuses_a_key_that_nobody_declared(store: Store) -> None:
    with pytest.raises(ValueError, match=r"PIN_SET holds mood, which usecases.toml does not name"):
        await store.write(lambda tx: tx.append_event(fact(EventType.PIN_SET, 1, guest="ab" * 8, mood="good")))
    assert await store.read(lambda tx: list(tx.events(0, 9))) == []
    await store.write(lambda tx: tx.append_event(fact(EventType.PIN_SET, 1, unlocked=True)))
    assert len(await store.read(lambda tx: list(tx.events(0, 9)))) == 1


def test_an_erased_payload_may_be_kept_and_a_half_erased_one_may_not() -> None:
    check_declared(NewEvent(EventType.DOOR_OPENED, 1, ERASED_PAYLOAD))
    with pytest.raises(ValueError, match="erased"):
        check_declared(NewEvent(EventType.DOOR_OPENED, 1, {**ERASED_PAYLOAD, "guest": "ab" * 8}))


def test_a_key_taken_out_of_the_register_is_refused() -> None:
    event = fact(EventType.PIN_LOCKED, 1, guest="ab" * 8, attempts=3)
    check_declared(event)
    with pytest.raises(ValueError, match="attempts"):
        check_declared(event, edited(('"pin_locked: guest attempts"', '"pin_locked: guest"')))


def test_a_simulated_voyage_writes_nothing_but_what_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every event of several gateways over days, with faults; the walk of the code may miss what is put together."""
    seen: set[str] = set()

    def watched(event: NewEvent) -> None:
        seen.update(f"{event.type.name.lower()}.{key}" for key in event.payload)
        check_declared(event)

    for module in (memory_sync, sqlite_events):
        monkeypatch.setattr(module, "check_declared", watched)
    result = outcome(11)
    assert not isinstance(result, str), result
    assert len(seen) > 60
    assert undeclared(seen, REGISTER.names(Sort.EVENT)) == []


# answers


def test_every_field_of_an_answer_is_named_and_every_named_field_is_there(openapi: Mapping[str, Any]) -> None:
    found = answer_fields(openapi)
    assert len(found) > 200
    assert undeclared(found, REGISTER.names(Sort.ANSWER)) == []
    assert undeclared(REGISTER.names(Sort.ANSWER), found) == []


def test_no_answer_is_without_a_schema(openapi: Mapping[str, Any]) -> None:
    assert untyped_answers(openapi) == WHOLE_GUEST | CERTIFICATES


def test_the_fleets_lines_are_these() -> None:
    calls = {endpoint.path for endpoint in ShoreApi(MagicMock()).endpoints() if "{ship}" not in endpoint.path}
    assert calls == FLEET_LINES


class Nosy(BaseModel):
    birthday: str


def test_a_planted_field_of_an_answer_is_found() -> None:
    app = whole_api()
    app.add_api_route("/v1/nosy", lambda: None, response_model=list[Nosy])
    assert undeclared(answer_fields(app.openapi()), REGISTER.names(Sort.ANSWER)) == ["Nosy.birthday"]


# pages


def test_whatever_a_page_reads_is_named_and_every_named_fact_is_read() -> None:
    found = page_facts()
    assert len(found) > 600
    assert found >= WHOLE_PAGES
    assert undeclared(found - WHOLE_PAGES, REGISTER.names(Sort.PAGE)) == []
    assert undeclared(REGISTER.names(Sort.PAGE), found - WHOLE_PAGES) == []


def test_the_lists_of_all_that_is_held_are_made_group_by_group() -> None:
    groups = {f"{case.id}.{group.id}" for case, group in REGISTER.groups() if case.about == "guests"}
    assert LINES.keys() <= groups
    assert set(HOMES.values()) <= groups


PLANTED = {
    "crew_card.shoe_size": "{{ shoe_size }}",
    "crew_card.birthday": "{% if card.birthday %}x{% endif %}",
    "crew_card.mood": "{% for row in rows %}{{ t('a.' ~ row['mood']) }}{% endfor %}",
    "crew_card.gait": "{{ row.get('gait') }}",
    "crew_card.partner": "{% set who = person.partner %}{{ who }}",
    "crew_card.weight": "{% include 'x.html' %}{{ t('a.b', n=person.body.weight) }}",
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_fact_of_a_page_is_found(tmp_path: Path, planted: str) -> None:
    (tmp_path / "crew_card.html").write_text(PLANTED[planted], encoding="utf-8")
    assert planted in undeclared(page_facts(tmp_path), REGISTER.names(Sort.PAGE))


def test_a_fact_that_one_page_shows_is_not_named_for_another(tmp_path: Path) -> None:
    assert "crew_card.diet" in REGISTER.names(Sort.PAGE)
    (tmp_path / "crew_search.html").write_text("{{ diet }}", encoding="utf-8")
    assert undeclared(page_facts(tmp_path), REGISTER.names(Sort.PAGE)) == ["crew_search.diet"]


def test_what_implies_health_is_read_by_these_pages_alone() -> None:
    special = {
        name.partition(".")[0]
        for _, group in REGISTER.groups()
        if group.category.special
        for name in group.items[Sort.PAGE]
    }
    assert special == {"crew_card", "guest_correct"}


def test_pages_that_are_not_walked_are_made_of_the_register_and_the_settings_alone() -> None:
    skipped = {file.stem for file in TEMPLATES.glob(f"{OF_THE_REGISTER}*.html")}
    assert skipped == {"report", "report_dpia", "report_notice", "report_parts", "report_record"}


# features


def test_every_feature_of_the_model_is_named_and_every_named_one_is_there() -> None:
    assert set(feature_names()) == REGISTER.names(Sort.FEATURE)


def test_each_has_its_use_case_its_consent_and_a_switch() -> None:
    inputs = model_inputs(REGISTER, feature_names())
    of_guests = [each for each in inputs.values() if each.use_case is not None]
    assert {each.use_case for each in of_guests} == {"suggestions"}
    assert {each.consent for each in of_guests} == {ConsentPurpose.SUGGESTIONS} == set(MODEL_CONSENTS)
    assert all(each.switches for each in of_guests)
    assert inputs["past.here"].switches == {features.Signal.PLACE}
    assert inputs["moment.accept_rate"].switches == {features.Signal.HABIT}
    assert inputs["item.tag"].use_case is None


def test_a_planted_feature_is_refused() -> None:
    with pytest.raises(ValueError, match=r"moment\.mood is named by no use case"):
        model_inputs(REGISTER, {*feature_names(), "moment.mood"})


def test_a_feature_of_a_guest_without_a_consent_to_ask_for_is_refused() -> None:
    moved = ('"moment: stay_known day_of_stay days_left"', '"moment: stay_known day_of_stay"')
    keys = (
        'id = "cabin"\ntitle = { en = "Your cabin, the',
        'id = "cabin"\nfeatures = ["moment: days_left"]\ntitle = { en = "Your cabin, the',
    )
    with pytest.raises(ValueError, match=r"moment\.days_left of keys needs a consent"):
        model_inputs(edited(moved, keys), feature_names())


def test_one_without_a_switch_is_refused() -> None:
    declared = edited(('"moment: stay_known', '"moment: gait stay_known'))
    with pytest.raises(ValueError, match=r"moment\.gait of suggestions needs a consent to ask for and a switch"):
        model_inputs(declared, {*feature_names(), "moment.gait"})


def test_the_model_is_told_of_a_guest_only_with_every_consent_it_needs() -> None:
    assert may_choose({ConsentPurpose.SUGGESTIONS, ConsentPurpose.PHOTO})
    assert not may_choose(set(ConsentPurpose) - {ConsentPurpose.SUGGESTIONS})
    assert not may_choose(())
