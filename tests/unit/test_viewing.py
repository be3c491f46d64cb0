"""The policy as a table written out: every role, purpose and kind of outlet, and every field of each."""

from __future__ import annotations

import pytest

from steward.domain.ids import GuestRef, OutletId
from steward.domain.outlets import OutletKind
from steward.domain.viewing import (
    DESK,
    GUEST,
    CrewRole,
    Field,
    Purpose,
    Viewer,
    Way,
    break_glass_fields,
    look_at,
    look_up_problem,
    permitted,
    purposes_of,
)

# Columns: what may be seen. Rows: role, purpose, kinds of outlet where it is a purpose at all. What is not a row here
# shows nothing.
COLUMNS = ["photo", "preferred_name", "full_name", "language", "cabin", "age_group", "allergies", "diet"]
COLUMNS += ["notes", "recovery", "suggestions", "folio", "charges", "evidence", "bands", "consents", "requests"]
COLUMNS += ["presence"]
ANYWHERE = tuple(OutletKind)
FOOD, TOURS, POINT = (OutletKind.FOOD_AND_DRINK,), (OutletKind.EXCURSIONS,), (OutletKind.SERVICE,)
TABLE = {
    #                                               ph pn fn la ca ag al di no re su fo ch ev ba cs rq pr
    ("service", "food_and_drink", FOOD):           "x  x  -  x  -  x  x  x  x  x  x  -  -  -  -  -  -  -",
    ("service", "guest_services", ANYWHERE):       "x  x  -  x  -  x  -  -  x  x  x  -  -  -  -  -  -  -",
    ("service", "excursions", TOURS):              "x  x  -  x  -  x  -  -  x  x  x  -  -  -  -  -  -  -",
    ("housekeeping", "housekeeping", POINT):       "-  x  -  x  x  -  -  -  x  x  -  -  -  -  -  -  -  -",
    ("guest_services", "guest_services", ANYWHERE): "x x  x  x  x  x  -  -  x  x  x  -  -  -  x  -  -  x",
    ("guest_services", "excursions", TOURS):       "x  x  x  x  x  x  -  -  x  x  x  -  -  -  -  -  -  -",
    ("guest_services", "check_in", POINT):         "x  x  x  x  x  x  -  -  -  -  -  -  -  -  x  -  -  -",
    ("purser", "billing", POINT):                  "x  x  x  x  x  x  -  -  x  x  -  x  x  x  x  -  -  -",
    ("purser", "guest_services", ANYWHERE):        "x  x  x  x  x  x  -  -  x  x  x  -  -  -  x  -  -  -",
    ("purser", "check_in", POINT):                 "x  x  x  x  x  x  -  -  -  -  -  -  -  -  x  -  -  -",
    ("safety", "safety", ANYWHERE):                "x  x  x  x  x  x  x  x  -  -  -  -  -  -  -  -  -  -",
    ("privacy_officer", "privacy", POINT):         "-  -  x  x  x  -  -  -  -  -  -  -  -  -  -  x  x  -",
    ("desk", "check_in", POINT):                   "x  x  x  x  x  x  -  -  -  -  -  -  -  -  x  x  -  -",
    ("guest", "own_data", ANYWHERE):               "x  x  x  x  x  x  x  x  x  x  x  x  x  x  x  x  x  x",
}  # fmt: skip
ROLES = [*(role.value for role in CrewRole), DESK, GUEST, "monitor", "till", "", "Service"]


def expected(role: str, purpose: Purpose, kind: OutletKind) -> set[str]:
    marks = [row for (r, p, kinds), row in TABLE.items() if r == role and p == purpose and kind in kinds]
    assert len(marks) <= 1
    return {column for column, mark in zip(COLUMNS, marks[0].split(), strict=True) if mark == "x"} if marks else set()


@pytest.mark.parametrize("kind", OutletKind)
@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("role", ROLES)
def test_every_role_purpose_and_field(role: str, purpose: Purpose, kind: OutletKind) -> None:
    assert {str(field) for field in permitted(role, purpose, kind)} == expected(role, purpose, kind)


def test_the_table_names_every_field_and_every_role() -> None:
    assert sorted(COLUMNS) == sorted(str(field) for field in Field)
    assert {role for role, _, _ in TABLE} == {*(str(role) for role in CrewRole), DESK, GUEST}


def test_health_is_for_food_and_for_safety_only() -> None:
    shown = {
        (role, purpose, kind)
        for role in ROLES
        for purpose in Purpose
        for kind in OutletKind
        if permitted(role, purpose, kind) & {Field.ALLERGIES, Field.DIET}
    }
    food = {("service", Purpose.FOOD_AND_DRINK, OutletKind.FOOD_AND_DRINK)}
    own = {("guest", Purpose.OWN_DATA, kind) for kind in OutletKind}
    assert shown == food | own | {("safety", Purpose.SAFETY, kind) for kind in OutletKind}


@pytest.mark.parametrize("role", ROLES)
def test_the_purposes_of_a_role_are_those_it_can_work_for(role: str) -> None:
    usable = {p for p in Purpose for kind in OutletKind if permitted(role, p, kind)}
    assert purposes_of(role) == usable


@pytest.mark.parametrize("role", ROLES)
def test_only_safety_breaks_glass_and_never_to_money(role: str) -> None:
    opened = break_glass_fields(role)
    assert bool(opened) == (role == CrewRole.SAFETY)
    assert not opened & {Field.FOLIO, Field.CHARGES, Field.EVIDENCE, Field.SUGGESTIONS}


ALMA = GuestRef("ab" * 8)
MEDIC = Viewer("c1", CrewRole.SAFETY, OutletId("bridge"), OutletKind.SERVICE, Purpose.SAFETY)
BAR = Viewer("c2", CrewRole.SERVICE, OutletId("bar"), OutletKind.FOOD_AND_DRINK, Purpose.FOOD_AND_DRINK)


@pytest.mark.parametrize(
    ("viewer", "fields", "way", "reason", "problem"),
    [
        (BAR, {Field.ALLERGIES}, Way.TAPPED, "", None),
        (BAR, {Field.ALLERGIES, Field.CABIN}, Way.TAPPED, "", "may not see cabin"),
        (BAR, set(), Way.OPENED, "", "may see nothing"),
        (BAR, {Field.PHOTO}, Way.BROKE_GLASS, "man overboard", "does not break the glass"),
        (MEDIC, {Field.NOTES}, Way.BROKE_GLASS, "man overboard", None),
        (MEDIC, {Field.NOTES}, Way.OPENED, "", "may not see notes"),
        (MEDIC, {Field.NOTES}, Way.BROKE_GLASS, "", "has a reason"),
        (MEDIC, {Field.PHOTO}, Way.OPENED, "because", "nothing else has one"),
        (MEDIC, {Field.FOLIO}, Way.BROKE_GLASS, "man overboard", "may not see folio"),
        (MEDIC, {Field.NOTES}, Way.BROKE_GLASS, "x" * 201, "1 to 200"),
    ],
)
def test_what_the_policy_says_of_a_look(
    viewer: Viewer, fields: set[Field], way: Way, reason: str, problem: str | None
) -> None:
    said = look_up_problem(look_at(viewer, ALMA, fields, 5, way=way, reason=reason))
    assert said is None if problem is None else problem in str(said)


def test_a_reason_is_not_in_a_repr() -> None:
    look = look_at(MEDIC, ALMA, {Field.NOTES}, 5, way=Way.BROKE_GLASS, reason="secret")
    assert "secret" not in repr(look)
    assert look.viewer == MEDIC
