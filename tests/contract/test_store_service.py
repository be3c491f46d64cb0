"""Transactions about guest service in both stores: what fails leaves nothing, what only reads writes nothing."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from typing import Any

import pytest
from tests.contract.makers import ANNA, AT_S
from tests.contract.serviceparts import (
    CASE,
    NOTE,
    SESSION,
    WRITES,
    case,
    everything,
    item,
    look,
    member,
    note,
    offer,
    profile,
    session,
)

from steward.adapters.store_rules import ReadOnlyError, TransactionOverError
from steward.domain.catalogue import Catalogue, ItemId
from steward.domain.offers import OfferState
from steward.domain.reasons import Means, Why
from steward.domain.viewing import Field, Way
from steward.errors import Refused
from steward.ports import Store, Tx
from steward.ports.looktree import LookTreeTx
from steward.ports.service import ServiceTx


def test_every_method_of_the_port_is_in_one_of_the_lists() -> None:
    parts = [part for part in ServiceTx.__mro__ if part is not LookTreeTx]  # test_store_looktree.py is about that
    methods = {name for part in parts for name in vars(part) if not name.startswith("_")} - {"mro"}
    assert methods - set(WRITES) == set(everything.__code__.co_names) & methods
    assert set(WRITES) <= methods


@pytest.mark.parametrize(
    "made",
    [
        profile(),
        note(),
        case(),
        member(),
        session(),
        item(),
        offer(state=OfferState.ACCEPTED, liked_s=AT_S + 60, why=Why(Means.CHANCE, 3, 2, ItemId("cake"))),
        replace(look({Field.NOTES}, way=Way.BROKE_GLASS, reason="x"), gateway="bar"),
    ],
)
def test_the_records_of_these_tests_show_every_field(made: Any) -> None:
    """A field left at its default would come back right from a store that forgets it."""
    forgettable = [f.name for f in fields(made) if f.default is not MISSING and getattr(made, f.name) == f.default]
    assert set(forgettable) <= {"seq", "closed_by", "closed_s", "outcome"}


@pytest.mark.parametrize("name", WRITES)
async def test_a_failed_closure_leaves_nothing(store: Store, name: str) -> None:
    before = await store.read(everything)

    def fail(tx: Tx) -> None:
        WRITES[name](tx)
        assert everything(tx) != before
        raise Refused("late")

    with pytest.raises(Refused, match="late"):
        await store.write(fail)
    assert await store.read(everything) == before


async def test_a_failed_closure_restores_what_it_had_replaced_or_removed(store: Store) -> None:
    def fill(tx: Tx) -> None:
        for name in ("put_profile", "put_photo", "put_note", "open_case", "put_crew", "put_session", "put_offer"):
            WRITES[name](tx)
        tx.put_catalogue(Catalogue(3, (item(),)))

    def undo_all(tx: Tx) -> None:
        tx.put_profile(profile(preferred_name="Other"))
        tx.drop_profile(ANNA)
        tx.drop_note(NOTE)
        tx.close_case(CASE, "c", AT_S, "done")
        tx.drop_crew(ANNA)
        tx.drop_session(SESSION)
        tx.put_offer(offer(state=OfferState.ACCEPTED))
        tx.put_catalogue(Catalogue(4))
        tx.disclose(look({Field.PREFERRED_NAME}))
        raise Refused("late")

    await store.write(fill)
    before = await store.read(everything)
    with pytest.raises(Refused, match="late"):
        await store.write(undo_all)
    assert await store.read(everything) == before
    shown = await store.write(lambda tx: tx.disclose(look({Field.PREFERRED_NAME})))
    assert shown.preferred_name == "Anna"


@pytest.mark.parametrize("name", WRITES)
async def test_a_reading_transaction_refuses(store: Store, name: str) -> None:
    with pytest.raises(ReadOnlyError):
        await store.read(WRITES[name])


@pytest.mark.parametrize("name", WRITES)
async def test_a_transaction_that_is_over_is_of_no_use(store: Store, name: str) -> None:
    kept: list[Tx] = []
    await store.write(kept.append)
    with pytest.raises(TransactionOverError):
        WRITES[name](kept[0])
