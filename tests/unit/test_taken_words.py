"""The export in words: nothing that it can hold is without them, in either language, and each has a home."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib import resources
from pathlib import Path
from types import SimpleNamespace, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest

from steward.domain.consent import Consent, Source
from steward.domain.events import ERASED_PAYLOAD, EventType
from steward.domain.export import _OTHERS, EVENTS, SECTIONS
from steward.domain.features import Company, Signal
from steward.domain.guests import Band, BandState, Guest
from steward.domain.guestsession import Level
from steward.domain.holdout import Arm, LoggedDecision
from steward.domain.ledger import TransactionKind
from steward.domain.offers import Offer, OfferState
from steward.domain.outlets import OutletKind
from steward.domain.profiles import Allergen, Diet
from steward.domain.reasons import Why
from steward.domain.requests import RequestState, Right
from steward.domain.signals import Switch
from steward.domain.statement import Statement
from steward.domain.usecases import REGISTER, Sort
from steward.domain.viewing import CrewRole, Field, Purpose, Way
from steward.web.pages.guest_taken import CODES, HOMES, NOT_HERE, home_of, readable
from steward.web.pages.language import LANGUAGES, Catalogue, read_texts

SCHEMA = json.loads(resources.files("steward").joinpath("export.schema.json").read_text(encoding="utf-8"))
LOCALES = Path(str(resources.files("steward").joinpath("web/locales")))
TEXTS = {language: read_texts(LOCALES / language) for language in LANGUAGES}
AROUND = {"format", "ship", "gateway", "made_at", "asked_by", "left_out", "shortened", "use_cases"}
RECORDS = (Band, Consent, Switch, Offer, LoggedDecision, Statement)
WHOLE = {"decisions", "lines", "totals"}  # whose records are walked
SAID_AS_ONE = {"reasons"}
CODED: Mapping[str, type[Enum]] = {
    "role": CrewRole,
    "allergies": Allergen,
    "diet": Diet,
    "company": Company,
    "signal": Signal,
    "way": Way,
    "kind": TransactionKind,
    "right": Right,
    "source": Source,
    "level": Level,
    "arm": Arm,
    "bands.state": BandState,
    "offers.state": OfferState,
    "decisions.state": OfferState,
    "requests.state": RequestState,
    "request_opened.state": RequestState,
    "request_closed.state": RequestState,
}


def of_schema(node: Mapping[str, Any]) -> Iterator[str]:
    """Names of what is no object itself."""
    for name, inner in node.get("properties", {}).items():
        below = [*of_schema(referred(inner)), *of_schema(referred(inner.get("items", {})))]
        yield from below or [name]


def referred(node: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = SCHEMA["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    return found


def of_record(kind: type) -> Iterator[str]:
    for each in fields(kind):
        if each.name not in _OTHERS | NOT_HERE:
            inner = () if each.name in SAID_AS_ONE else records_in(get_type_hints(kind)[each.name])
            below = [name for part in inner for name in of_record(part)]
            yield from below or [each.name]


def records_in(hint: Any) -> Iterator[type]:
    if isinstance(hint, type) and is_dataclass(hint):
        yield hint
    elif get_origin(hint) in (UnionType, Union, tuple):
        for part in get_args(hint):
            yield from records_in(part)


def exported() -> set[str]:
    """Every name that a field of the document can have."""
    sections = {name: part for name, part in SCHEMA["properties"].items() if name not in AROUND | {EVENTS}}
    events = {
        name.partition(".")[2] for name in REGISTER.names(Sort.EVENT) if f"{name.partition('.')[0]}.guest" in NAMING
    }
    names = {*of_schema({"properties": sections}), *(name for kind in RECORDS for name in of_record(kind)), *events}
    return names - _OTHERS - NOT_HERE - WHOLE | {"guest", *ERASED_PAYLOAD}


NAMING = {name for name in REGISTER.names(Sort.EVENT) if name.endswith(".guest")}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_of_the_export_has_words(language: str) -> None:
    found = exported()
    assert len(found) > 100
    assert {"preferred_name", "balance_minor", "popular_ppm", "liked_s", "deposit_id", "verify_above_minor"} <= found
    worded = {key.split(".")[-1] for key in TEXTS[language] if key.startswith("guest_taken.field.")}
    assert sorted(found - worded) == []


def test_no_words_are_of_a_field_that_is_nowhere() -> None:
    changed = {"photo", "no_tracking", "company", "cabin"}  # what PROFILE_SET can name
    stems = ("guest_taken.field.", "guest_taken.field_of.")
    worded = {key.split(".")[-1] for key in TEXTS["en"] if key.startswith(stems)}
    assert sorted(worded - exported() - changed) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_event_that_names_a_guest_has_words_and_a_home(language: str) -> None:
    types = {name.partition(".")[0] for name in NAMING}
    assert len(types) > 40
    assert sorted(type_ for type_ in types if f"guest_taken.event.{type_}" not in TEXTS[language]) == []
    homes = {f"{case.id}.{group.id}" for case, group in REGISTER.groups() if case.about == "guests"}
    assert {home_of(type_) for type_ in types} <= homes
    assert home_of("door_opened") == "keys.doors"
    assert home_of("staff_alert") == "security.alerts"
    assert all(home_of(type_.name.lower()) in homes for type_ in EventType)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_words(language: str) -> None:
    for name, codes in CODED.items():
        for code in codes:
            assert f"{CODES[name]}{code.value}" in TEXTS[language], (name, code)
    for way in ("link", "pin", "tap"):
        assert f"{CODES['guest_signed_in.way']}{way}" in TEXTS[language]
    for codes, stem in ((Purpose, "words.purpose"), (Field, "words.field")):
        assert all(f"{stem}.{code.value}" in TEXTS[language] for code in codes)
    for kind in OutletKind:
        assert f"{CODES['looked_up.kind']}{kind.value}" in TEXTS[language]
    more = {"charges.state", "verification", "guest_signed_in.way", "band_frozen.reason", "looked_up.kind"}
    assert set(CODES) - set(CODED) == more  # also of other sources


def test_every_part_of_the_document_has_a_home_of_its_tables() -> None:
    groups = {f"{case.id}.{group.id}": group for case, group in REGISTER.groups()}
    assert set(HOMES.values()) <= groups.keys()
    assert {path.partition(".")[0] for path in HOMES} == SCHEMA["properties"].keys() - AROUND - {EVENTS}
    for path, home in HOMES.items():
        section = path.partition(".")[0]
        if section in SECTIONS and path != "stay.no_tracking":
            assert not SECTIONS[section].isdisjoint(groups[home].tables), path
    for section in ("stay", "profile", "consents", "folio"):
        told = {path.split(".")[1] for path in HOMES if path.startswith(f"{section}.")}
        assert told == SCHEMA["properties"][section]["properties"].keys() - NOT_HERE, section
    statement = {each.name for each in fields(Statement)} - NOT_HERE
    assert {path.split(".")[2] for path in HOMES if path.startswith("folio.statement.")} == statement


def test_each_list_of_the_document_has_a_title() -> None:
    for language in LANGUAGES:
        for path in (*HOMES, "x.events", "x.offers"):
            node = SCHEMA
            if path.split(".")[0] in ("bands", "notes", "cases", "offers", "signals", "requests", "phones", "look_ups"):
                assert f"guest_taken.part.{path}" in TEXTS[language], (path, node["title"])
        for name in ("cabins", "charges", "lines", "now", "history", "decisions", "events"):
            assert f"guest_taken.part.{name}" in TEXTS[language]


def test_the_walk_sees_what_is_new() -> None:
    rows: dict[str, Any] = {"items": {"properties": {"x": {}}}}
    shoe = {"type": "object", "properties": {"size": {}}}
    said = {"items": {"$ref": "#/$defs/consent"}}
    found = set(of_schema({"properties": {"shoe": shoe, "rows": rows, "said": said}}))
    assert found == {"size", "x", *SCHEMA["$defs"]["consent"]["properties"]}
    assert "means" in set(of_record(Why))
    assert {"serial", "cabin", "day_minor"} <= set(of_record(Guest))
    assert issubclass(BandState, Enum)


def bare(**held: Any) -> dict[str, Any]:
    """A document of a guest of whom hardly anything is held."""
    lists = ("bands", "notes", "cases", "signals", "offers", "decisions", "look_ups", "phones", "requests", EVENTS)
    statement = {"currency": "EUR", "settled": False, "lines": [], "totals": {}, "held": [], "disputes": []}
    return {
        **{name: [] for name in lists},
        "guest": "ab" * 8,
        "stay": {"not_before_s": 0, "not_after_s": 86_400, "zones": 0, "child": False, "cabins": [], "limits": {}},
        **dict.fromkeys(("profile", "photo", "company", "erasure")),
        "consents": {"now": [], "history": [], "receipts": []},
        "folio": {"statement": statement, "charges": []},
        **held,
    }


def read(document: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The lines and rows of each group by its title, in English."""
    identity = SimpleNamespace(utc_offset_min=0)
    services = SimpleNamespace(outlets={}, zones={"gangway": 0}, identity=identity)
    call = SimpleNamespace(t=Catalogue().translator("en", ""), services=services)
    uses = readable(call, document, {})  # type: ignore[arg-type]
    return {
        group["title"]: [*group["lines"], *(row for each in group["lists"] for row in each["rows"])]
        for use in uses
        for group in use["groups"]
    }


def test_of_a_guest_of_whom_hardly_anything_is_held_there_is_little_to_read() -> None:
    found = read(bare())
    assert list(found) == [
        "Booking number, and the random reference that stands for you in all records",
        "Whether you are a child",
        "Your cabin, the areas you may enter, and from when until when",
        "Your account aboard: postings, deposits, settlement",
    ]
    assert ("Doors beside your cabin", "none") in found["Your cabin, the areas you may enter, and from when until when"]


def test_what_nobody_foresaw_is_shown_as_it_is_and_what_was_emptied_says_so() -> None:
    said = {"place": "engine-room", "code": "quite_new", "colour_of_door": "red", "stays": 0}
    events = [
        {"type": "door_opened", "at_s": 0, "said": {"erased": True}},
        {"type": "door_opened", "at_s": 60, "said": said},
    ]
    emptied, odd = read(bare(events=events))["Which door was opened or stayed shut, when, and why"]
    assert emptied[2:] == [("Emptied, because its time was over", "yes")]
    assert odd == [
        ("What", "A door opened"),
        ("When", "1 January 1970, 00:01"),
        ("Where", "engine-room"),
        ("Result", "Quite new."),
        ("colour of door", "red"),
        ("Numbers of the stay", "0"),
    ]


def test_amounts_are_in_the_currency_of_the_line() -> None:
    charge = {"amount_minor": 500, "refunded_minor": 0, "currency": "JPY", "state": "posted", "what": "Tea"}
    folio = {"statement": bare()["folio"]["statement"], "charges": [charge]}
    (row,) = read(bare(folio=folio))["What you paid, where and when, with the proof of the tap"]
    assert ("Amount", "500 JPY") in row
    assert ("State", "On the folio") in row
