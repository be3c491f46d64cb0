"""A passenger list that comes again brings back nothing of a guest who asked to be forgotten."""

from __future__ import annotations

import pytest
from tests.contract.test_manifest_import import Desk
from tests.unit.manifestkit import guest
from tests.unit.moneykit import ring

from steward.domain.erasure import Part
from steward.ports import Store
from steward.services.erasure import BY_GUEST, ErasureService, Scene


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


def erasures(desk: Desk) -> ErasureService:
    return ErasureService(desk.store, desk.clock, ring(), Scene("aurora", "bridge"))


@pytest.mark.parametrize("changes", [{}, {"allergies": "eggs"}, {"cabin": "5013"}, {"preferred_name": "Maria"}])
async def test_who_is_aboard_keeps_the_stay_and_gets_no_name_back(desk: Desk, changes: dict[str, str]) -> None:
    await desk.take(guest(company="family"))
    known = await desk.guest()
    ref, desk.clock.unix_s = known.ref, known.not_before_s + 1
    assert (await erasures(desk).erase(ref, BY_GUEST)).part is Part.OPTIONAL
    report = await desk.take(guest(company="family", **changes))
    assert report.committed
    found = await desk.guest()
    assert found.ref == ref
    assert found.cabins[0].cabin == int(changes.get("cabin", "5012"))
    left = await desk.store.read(lambda tx: (tx.has_profile(ref), tx.company(ref)))
    assert left == (False, None)


async def test_who_has_left_is_not_checked_in_again(desk: Desk) -> None:
    await desk.take(guest())
    ref = (await desk.guest()).ref
    desk.clock.unix_s = (await desk.guest()).not_after_s + 1
    assert (await erasures(desk).erase(ref, BY_GUEST)).part is Part.ALL
    for changes in ({}, {"cabin": "5013"}, {"preferred_name": "Maria"}):
        report = await desk.take(guest(**changes))
        assert report.committed
        assert list(await desk.store.read(lambda tx: tx.guests())) == []
    await desk.take(guest(guest="2", cabin="5013"))  # somebody else of the booking
    assert len(await desk.store.read(lambda tx: tx.guests())) == 1
