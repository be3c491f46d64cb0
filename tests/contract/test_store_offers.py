"""Catalogue and offers in both stores."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.contract.makers import ANNA, AT_S, BAR, BOB, charge, without_tap
from tests.contract.serviceparts import (
    OFFER,
    SHOP,
    item,
    offer,
)

from steward.domain.catalogue import Catalogue, Hours, Item, ItemId
from steward.domain.charges import ChargeState
from steward.domain.offers import OfferId, OfferState
from steward.errors import Conflict
from steward.ports import Store, Tx


async def test_a_catalogue_is_replaced_whole_and_never_goes_back(store: Store) -> None:
    first = Catalogue(3, (item("latte"), item("cap", SHOP, edible=False, allergens=(), suits=()), item("tea")))
    assert await store.read(lambda tx: tx.catalogue()) == Catalogue()
    await store.write(lambda tx: tx.put_catalogue(first))
    assert await store.read(lambda tx: (tx.catalogue(), tx.catalogue_version())) == (first, 3)
    assert [i.id for i in await store.read(lambda tx: tx.items_at(BAR))] == ["latte", "tea"]
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.put_catalogue(Catalogue(2)))
    second = Catalogue(4, (item("tea", price_minor=1),))
    await store.write(lambda tx: tx.put_catalogue(second))
    assert await store.read(lambda tx: tx.catalogue()) == second
    assert await store.read(lambda tx: list(tx.items_at(SHOP))) == []


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ((item("latte"), item("latte")), "twice"),
        ((item("Latte!"),), "lower-case"),
        ((item(titles={"nb": "Kaffe"}),), "English"),
        ((item(titles={"en": ""}),), "title"),
        ((item(titles={"en": "a\x00"}),), "title"),
        ((item(titles={"en": "a", "<b>": "b"}),), "language tags"),
        ((item(price_minor=-1),), "price"),
        ((item(currency="euro"),), "price"),
        ((item(hours=(Hours(1440, 5),)),), "hours"),
        ((item(edible=False),), "edible"),
        (tuple(item(f"i{n}") for n in range(2001)), "at most 2000"),
    ],
)
async def test_a_catalogue_that_cannot_be_is_refused(store: Store, bad: tuple[Item, ...], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        await store.write(lambda tx: tx.put_catalogue(Catalogue(9, bad)))
    assert await store.read(lambda tx: tx.catalogue_version()) == 0


async def test_offers_and_what_was_taken(store: Store) -> None:
    taken = [
        offer(OfferId(f"{n}"), state=OfferState.ACCEPTED, at_s=AT_S + n, hour=hour, item=ItemId(what))
        for n, hour, what in ((1, 15, "tea"), (2, 15, "tea"), (3, 9, "tea"), (4, 15, "latte"))
    ]
    rest = [offer(OfferId("5"), outlet=SHOP, state=OfferState.ACCEPTED), offer(OfferId("6"), guest=BOB)]

    def fill(tx: Tx) -> None:
        for each in (*taken, *rest, offer()):
            tx.put_offer(each)
        tx.put_offer(replace(taken[3], answered_s=None))

    await store.write(fill)
    assert await store.read(lambda tx: tx.offer(OFFER)) == offer()
    ids = [one.id for one in await store.read(lambda tx: tx.offers_of(ANNA, AT_S))]
    assert ids == ["5", OFFER, "1", "2", "3", "4"]
    assert [one.id for one in await store.read(lambda tx: tx.offers_of(ANNA, AT_S + 3))] == ["3", "4"]
    assert (await store.read(lambda tx: tx.offers_of(ANNA, AT_S + 4)))[0].answered_s is None
    assert await store.read(lambda tx: list(tx.taken(BAR, AT_S))) == [("latte", 15, 1), ("tea", 9, 1), ("tea", 15, 2)]
    assert await store.read(lambda tx: list(tx.taken(BAR, AT_S + 4))) == [("latte", 15, 1)]


async def test_what_was_liked_is_kept_and_was_accepted(store: Store) -> None:
    liked = offer(state=OfferState.ACCEPTED, liked_s=AT_S + 60)
    await store.write(lambda tx: tx.put_offer(liked))
    assert await store.read(lambda tx: tx.offer(OFFER)) == liked
    assert await store.read(lambda tx: list(tx.taken(BAR, 0))) == [("latte", 15, 1)]
    for state in (OfferState.SHOWN, OfferState.DEFERRED, OfferState.WRONG):
        with pytest.raises(ValueError, match="accepted"):
            await store.write(lambda tx, state=state: tx.put_offer(replace(liked, state=state)))  # type: ignore[misc]
    await store.write(lambda tx: tx.put_offer(replace(liked, state=OfferState.SHOWN, answered_s=None, liked_s=None)))
    assert (await store.read(lambda tx: tx.offer(OFFER))) == offer(state=OfferState.SHOWN, answered_s=None)


async def test_offers_go_with_the_guest_and_nobody_elses(store: Store) -> None:
    def fill(tx: Tx) -> None:
        for number, ref in ((1, ANNA), (2, BOB), (3, ANNA)):
            tx.put_offer(offer(OfferId(f"{number}"), guest=ref, state=OfferState.ACCEPTED))

    await store.write(fill)
    await store.write(lambda tx: tx.drop_offers(ANNA))
    assert await store.read(lambda tx: (list(tx.offers_of(ANNA, 0)), len(tx.offers_of(BOB, 0)))) == ([], 1)
    assert await store.read(lambda tx: list(tx.taken(BAR, 0))) == [("latte", 15, 1)]


async def test_the_last_offers_and_all_that_are_never_wanted(store: Store) -> None:
    made = [
        offer(OfferId(f"{n:02}"), at_s=AT_S + n // 2, state=OfferState.WRONG if n in (0, 3, 8) else OfferState.SHOWN)
        for n in range(10)
    ]

    def fill(tx: Tx) -> None:
        for each in (*made, offer(OfferId("other"), guest=BOB, at_s=AT_S + 99)):
            tx.put_offer(each)

    await store.write(fill)

    async def last(limit: int) -> list[str]:
        return [one.id for one in await store.read(lambda tx: tx.last_offers_of(ANNA, limit))]

    assert await last(3) == ["00", "03", "07", "08", "09"]
    assert await last(0) == ["00", "03", "08"]
    assert await last(10) == await last(99) == [one.id for one in made]


async def test_what_was_sold_is_counted_by_the_ships_hour(store: Store) -> None:
    hour = AT_S // 3600 % 24

    def fill(tx: Tx) -> None:
        for number, at_s, state in (
            (1, AT_S, ChargeState.POSTED),
            (2, AT_S + 3600, ChargeState.POSTED),
            (3, AT_S, ChargeState.VOIDED),
            (4, AT_S - 1, ChargeState.POSTED),
        ):
            tx.put_charge(charge(number, at_s=at_s, state=state))
        tx.put_charge(without_tap(charge(5)))

    await store.write(fill)
    assert await store.read(lambda tx: list(tx.sold(BAR, AT_S, 0))) == sorted(
        [("two coffees", hour, 2), ("two coffees", (hour + 1) % 24, 1)]
    )
    west = await store.read(lambda tx: list(tx.sold(BAR, AT_S, -2 * 3600)))
    assert west == sorted([("two coffees", (hour - 2) % 24, 2), ("two coffees", (hour - 1) % 24, 1)])
    assert await store.read(lambda tx: list(tx.sold(SHOP, 0, 0))) == []
    assert await store.read(lambda tx: (tx.sales(BAR, AT_S), tx.sales(BAR, AT_S - 1), tx.sales(SHOP, 0))) == (3, 4, 0)
