"""What stands behind consent in both stores: kept as it was, gone with the guest's words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.consentkit import word
from tests.contract.makers import ANNA, BOB, guest

from steward.adapters.store_rules import ReadOnlyError
from steward.domain.consent import Basis, ConsentPurpose, Said
from steward.domain.viewing import Field
from steward.errors import Conflict, Refused
from steward.ports import Store, Tx
from steward.ports.basis import BasisTx
from steward.services.ownlook import own_look

PHOTO, NOTES = ConsentPurpose.PHOTO, ConsentPurpose.PERSONAL_SERVICE
TOLD = "a" * 64
BASIS = Basis(ANNA, PHOTO, 1, TOLD, Said.PAGE)


@pytest.fixture
async def said(store: Store) -> Store:
    """Anna said yes to one purpose, having been told of it."""

    def work(tx: Tx) -> None:
        tx.put_consent(word(ANNA, PHOTO))
        tx.put_notice(TOLD, "what guests were told")
        tx.put_basis(BASIS)

    await store.write(work)
    return store


async def test_it_comes_back_whole_and_for_nobody_else(said: Store) -> None:
    assert await said.read(lambda tx: dict(tx.bases_of(ANNA))) == {(PHOTO, 1): BASIS}
    assert await said.read(lambda tx: dict(tx.bases_of(BOB))) == {}
    assert await said.read(lambda tx: (tx.notice(TOLD), tx.notice("b" * 64))) == ("what guests were told", None)


@pytest.mark.parametrize("way", Said)
async def test_every_way_of_saying_it_is_kept(said: Store, way: Said) -> None:
    basis = Basis(ANNA, NOTES, 2, TOLD, way)
    await said.write(lambda tx: (tx.put_consent(word(ANNA, NOTES, True, 9, 2)), tx.put_basis(basis)))
    assert (await said.read(lambda tx: tx.bases_of(ANNA)))[NOTES, 2] == basis


async def test_a_notice_stays_as_it_was(said: Store) -> None:
    await said.write(lambda tx: tx.put_notice(TOLD, "something else"))
    assert await said.read(lambda tx: tx.notice(TOLD)) == "what guests were told"


@pytest.mark.parametrize(("digest", "document"), [("a" * 63, "told"), ("b" * 64, "")])
async def test_a_notice_has_words_and_their_hash(store: Store, digest: str, document: str) -> None:
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_notice(digest, document))


@pytest.mark.parametrize(
    "basis", [BASIS, Basis(ANNA, PHOTO, 2, "c" * 64, Said.PAGE), Basis(type(ANNA)(""), PHOTO, 1, TOLD, Said.PAGE)]
)
async def test_a_word_has_one_basis_and_it_names_a_notice(said: Store, basis: Basis) -> None:
    with pytest.raises(Conflict):
        await said.write(lambda tx: tx.put_basis(basis))
    assert await said.read(lambda tx: dict(tx.bases_of(ANNA))) == {(PHOTO, 1): BASIS}


async def test_all_of_it_goes_with_the_consents(said: Store) -> None:
    def more(tx: Tx) -> None:
        tx.put_browser_objection(ANNA, 5)
        tx.put_own_words(ANNA, 6)
        tx.put_browser_objection(BOB, 7)
        tx.put_consent(word(BOB, PHOTO))
        tx.put_basis(Basis(BOB, PHOTO, 1, TOLD, Said.DESK))

    await said.write(more)
    await said.write(lambda tx: tx.drop_consents(ANNA))
    left = await said.read(lambda tx: (dict(tx.bases_of(ANNA)), tx.browser_objection(ANNA), tx.own_words(ANNA)))
    assert left == ({}, None, None)
    assert await said.read(lambda tx: (len(tx.bases_of(BOB)), tx.browser_objection(BOB))) == (1, 7)
    assert await said.read(lambda tx: tx.notice(TOLD)) is not None  # it names nobody


async def test_a_browser_is_heard_once_and_own_words_last(store: Store) -> None:
    def work(tx: Tx) -> None:
        for at_s in (5, 9):
            tx.put_browser_objection(ANNA, at_s)
            tx.put_own_words(ANNA, at_s)

    await store.write(work)
    assert await store.read(lambda tx: (tx.browser_objection(ANNA), tx.own_words(ANNA))) == (5, 9)
    assert await store.read(lambda tx: (tx.browser_objection(BOB), tx.own_words(BOB))) == (None, None)


async def test_a_party_is_who_travels_under_the_booking(store: Store) -> None:
    party = [replace(guest(ref), booking="B-7") for ref in (BOB, ANNA)]
    await store.write(lambda tx: [tx.put_guest(each) for each in party])
    assert [each.ref for each in await store.read(lambda tx: tx.party("B-7"))] == sorted([ANNA, BOB])
    assert list(await store.read(lambda tx: tx.party("B-8"))) == []


async def test_a_guests_own_look_leaves_no_row_and_no_other_may_make_it(store: Store) -> None:
    await store.write(lambda tx: tx.put_guest(guest(ANNA)))
    shown = await store.write(lambda tx: tx.disclose(own_look(ANNA, {Field.PREFERRED_NAME, Field.NOTES}, 5)))
    assert shown.look.seq == 0
    assert list(await store.read(lambda tx: tx.look_ups(0, 9))) == []
    assert list(await store.read(lambda tx: tx.events(0, 9))) == []

    def somebody_elses(tx: Tx) -> None:
        look = own_look(ANNA, {Field.PREFERRED_NAME}, 5)
        object.__setattr__(look, "guest", BOB)
        tx.disclose(look)

    with pytest.raises(ValueError, match="nobody else"):
        await store.write(somebody_elses)


WRITES: dict[str, Callable[[Tx], object]] = {
    "put_notice": lambda tx: tx.put_notice("d" * 64, "told otherwise"),
    "put_basis": lambda tx: (tx.put_consent(word(ANNA, NOTES)), tx.put_basis(Basis(ANNA, NOTES, 1, TOLD, Said.DESK))),
    "put_browser_objection": lambda tx: tx.put_browser_objection(ANNA, 5),
    "put_own_words": lambda tx: tx.put_own_words(ANNA, 5),
}


def everything(tx: Tx) -> tuple[object, ...]:
    return (dict(tx.bases_of(ANNA)), tx.notice("d" * 64), tx.browser_objection(ANNA), tx.own_words(ANNA))


def test_every_method_of_the_port_is_in_one_of_the_lists() -> None:
    methods = {name for name in vars(BasisTx) if not name.startswith("_")}
    assert methods - set(WRITES) == set(everything.__code__.co_names) & methods
    assert set(WRITES) <= methods


@pytest.mark.parametrize("name", WRITES)
async def test_a_failed_closure_leaves_nothing_and_a_reader_writes_nothing(said: Store, name: str) -> None:
    before = await said.read(everything)

    def fail(tx: Tx) -> None:
        WRITES[name](tx)
        assert everything(tx) != before
        raise Refused("late")

    with pytest.raises(Refused, match="late"):
        await said.write(fail)
    with pytest.raises(ReadOnlyError):
        await said.read(WRITES[name])
    assert await said.read(everything) == before
