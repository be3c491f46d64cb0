"""Crew of each role try every field of a guest, for every purpose, at every kind of outlet, in every way there is.

Not through a page, which asks for nothing that it may not have, but at the store itself: whoever builds a look-up by
hand is refused what no use case shows, and what the guest has not agreed to, and nothing is read or logged.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import pytest_asyncio
from tests.contract.conftest import open_store, store  # noqa: F401 fixtures
from tests.contract.makers import AT_S, guest
from tests.contract.serviceparts import ANNA, JPEG, case, note, profile

from steward.domain.consent import Consent, ConsentPurpose, Source
from steward.domain.ids import GuestRef, OutletId
from steward.domain.outlets import OutletKind
from steward.domain.policywords import ROLES
from steward.domain.profiles import Photo
from steward.domain.usecases import REGISTER
from steward.domain.viewing import GUEST, Field, Purpose, Viewer, Way, look_at, own_actor
from steward.ports import Store, Tx

WAYS = [way for way in Way if way is not Way.BROKE_GLASS]
STRANGERS = ("monitor", "till", "captain", "Service", "")


@pytest_asyncio.fixture
async def aboard(store: Store) -> Store:  # noqa: F811
    def fill(tx: Tx) -> None:
        tx.put_guest(guest(ANNA))
        tx.put_profile(profile())
        tx.put_photo(Photo(ANNA, JPEG))
        tx.put_note(note())
        tx.open_case(case())

    await store.write(fill)
    return store


def shown_by_the_register(role: str, purpose: Purpose, kind: OutletKind, given: set[ConsentPurpose]) -> set[Field]:
    """By the register's rows alone, not by the code that is attacked."""
    if kind not in REGISTER.only_at.get(purpose, frozenset(OutletKind)):
        return set()
    return {
        field
        for case_ in REGISTER.use_cases.values()
        if case_.consent is None or case_.consent in given
        for row in case_.shown
        if (row.role, row.purpose, row.broken_glass) == (role, purpose, False)
        for field in row.fields
    }


def attempt(tx: Tx, viewer: Viewer, field: Field, way: Way, reason: str = "") -> bool:
    """Whether the store let it be seen. A refusal is a ValueError, and it leaves no row."""
    before = len(tx.look_ups(0, 9999))
    try:
        tx.disclose(look_at(viewer, ANNA, {field}, AT_S, way=way, reason=reason))
    except ValueError:
        assert len(tx.look_ups(0, 9999)) == before
        return False
    assert len(tx.look_ups(0, 9999)) == before + (viewer.role != GUEST)
    return True


@pytest.mark.parametrize("role", [*sorted(ROLES), *STRANGERS])
@pytest.mark.parametrize("agreed", [False, True], ids=["said nothing", "agreed to all"])
async def test_each_role_sees_what_the_register_shows_and_nothing_else(aboard: Store, role: str, agreed: bool) -> None:
    given = set(ConsentPurpose) if agreed else set()
    actor = own_actor(ANNA) if role == GUEST else "c117"

    def try_all(tx: Tx) -> list[Any]:
        for purpose in given:
            tx.put_consent(Consent(ANNA, purpose, True, AT_S, Source.ABOARD, 1))
        wrong = []
        for purpose, kind, field in product(Purpose, OutletKind, Field):
            may = field in shown_by_the_register(role, purpose, kind, given)
            viewer = Viewer(actor, role, OutletId("somewhere"), kind, purpose)
            if attempt(tx, viewer, field, WAYS[len(wrong) % len(WAYS)]) != may:
                wrong.append((purpose, kind, field, may))
        return wrong

    assert await aboard.write(try_all) == []


@pytest.mark.parametrize("role", sorted(ROLES - {"safety"}))
async def test_nobody_but_safety_breaks_the_glass(aboard: Store, role: str) -> None:
    def try_all(tx: Tx) -> list[Any]:
        return [
            (purpose, kind, field)
            for purpose, kind, field in product(Purpose, OutletKind, Field)
            if attempt(tx, Viewer("c117", role, OutletId("x"), kind, purpose), field, Way.BROKE_GLASS, "fire")
        ]

    assert await aboard.write(try_all) == []


async def test_a_broken_glass_opens_no_money_and_no_suggestion(aboard: Store) -> None:
    def opened(tx: Tx) -> set[Field]:
        medic = Viewer("c9", "safety", OutletId("bridge"), OutletKind.SERVICE, Purpose.SAFETY)
        return {field for field in Field if attempt(tx, medic, field, Way.BROKE_GLASS, "man overboard")}

    assert set(Field) - await aboard.write(opened) == {
        Field.SUGGESTIONS, Field.FOLIO, Field.CHARGES, Field.EVIDENCE, Field.CONSENTS, Field.REQUESTS,
        Field.PRESENCE,
    }  # fmt: skip


async def test_a_guest_sees_nothing_of_another(aboard: Store) -> None:
    def try_all(tx: Tx) -> list[Field]:
        other = own_actor(GuestRef("cd" * 8))
        viewer = Viewer(other, GUEST, OutletId("phone"), OutletKind.SERVICE, Purpose.OWN_DATA)
        return [field for field in Field if attempt(tx, viewer, field, Way.OPENED)]

    assert await aboard.write(try_all) == []
