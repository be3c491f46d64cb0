"""Lots and the log of decisions, the same in memory and on SQLite: drawn once, logged once, never changed."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.contract.makers import ANNA, AT_S, BOB, guest
from tests.contract.serviceparts import offer
from tests.vaultkit import DATA_KEY

from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.store_rules import ReadOnlyError
from steward.domain.catalogue import ItemId
from steward.domain.holdout import KEPT_DAYS_MIN, Arm, Decision, LoggedDecision, Lot
from steward.domain.ids import GuestRef
from steward.domain.offers import OfferId, OfferState
from steward.errors import Conflict
from steward.ports import Store, Tx

DAY_S = 86_400
LOTS = (Lot(ANNA, "north", Arm.PERSONAL, AT_S), Lot(BOB, "north", Arm.HOLDOUT, AT_S + 1))


def decision(number: int = 1, **changes: Any) -> Decision:
    made = Decision(
        offer=OfferId(f"{number:032x}"),
        guest=ANNA,
        voyage="north",
        arm=Arm.PERSONAL,
        at_s=AT_S + number,
        ranker="gru-3",
        features="f" * 64,
        candidates=7,
        item=ItemId("latte"),
        propensity_ppm=925_000,
        popular_ppm=12_500,
        named=((ItemId("latte"), 925_000), (ItemId("tea"), 40_000), (ItemId("cake"), 15_000)),  # four more, 5,000 each
    )
    return replace(made, **changes)


async def fill(store: Store, *decisions: Decision, lots: tuple[Lot, ...] = LOTS) -> None:
    def work(tx: Tx) -> None:
        for lot in lots:
            tx.put_lot(lot)
        for each in decisions:
            tx.log_decision(each)

    await store.write(work)


async def log_of(store: Store) -> list[LoggedDecision]:
    return list(await store.read(lambda tx: tx.decisions(0, 99)))


async def test_a_lot_is_drawn_once_for_a_voyage_and_never_moves(store: Store) -> None:
    await fill(store)
    assert await store.read(lambda tx: tx.lot(ANNA, "north")) == LOTS[0]
    assert await store.read(lambda tx: (tx.lot(ANNA, "south"), tx.lot(GuestRef("c" * 16), "north"))) == (None, None)
    for again in (LOTS[0], replace(LOTS[0], arm=Arm.HOLDOUT)):
        with pytest.raises(Conflict, match="never moves"):
            await store.write(lambda tx, again=again: tx.put_lot(again))  # type: ignore[misc]
    await store.write(lambda tx: tx.put_lot(replace(LOTS[0], voyage="south", arm=Arm.HOLDOUT)))
    assert await store.read(lambda tx: tx.lot(ANNA, "north")) == LOTS[0]


@pytest.mark.parametrize("bad", [{"guest": GuestRef("")}, {"voyage": ""}, {"arm": Arm.EVERYBODY}])
async def test_a_lot_of_nobody_or_of_no_arm_is_none(store: Store, bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="lot"):
        await store.write(lambda tx: tx.put_lot(replace(LOTS[0], **bad)))


async def test_decisions_come_in_order_with_what_became_of_them(store: Store) -> None:
    made = (
        decision(),
        decision(2, arm=Arm.EVERYBODY, popular_ppm=None, features=""),
        decision(3, guest=BOB, arm=Arm.HOLDOUT),
    )
    await fill(store, *made)
    shown = offer(made[2].offer, guest=BOB, state=OfferState.SHOWN, answered_s=None)
    await store.write(lambda tx: tx.put_offer(shown))
    found = await log_of(store)
    assert [one.decision for one in found] == list(made)
    assert [(one.seq, one.state, one.answered_s) for one in found] == [
        (1, None, None),
        (2, None, None),
        (3, OfferState.SHOWN, None),
    ]
    await store.write(lambda tx: tx.put_offer(replace(shown, state=OfferState.ACCEPTED, answered_s=AT_S + 9)))
    assert (await log_of(store))[2] == LoggedDecision(3, made[2], OfferState.ACCEPTED, AT_S + 9)
    assert [one.seq for one in await store.read(lambda tx: tx.decisions(1, 1))] == [2]
    assert list(await store.read(lambda tx: tx.decisions(0, 0))) == []


@pytest.mark.parametrize(
    "bad",
    [
        {"propensity_ppm": 0},
        {"propensity_ppm": -1},
        {"propensity_ppm": 1_000_001},
        {"popular_ppm": -1},
        {"popular_ppm": 1_000_001},
        {"candidates": 0},
        {"named": ((ItemId("latte"), 925_000), (ItemId("latte"), 75_000))},
        {"named": ((ItemId("latte"), 925_001), (ItemId("tea"), 40_000))},
        {"named": ((ItemId("latte"), 925_000), (ItemId("tea"), 75_001))},
        {"named": ((ItemId("latte"), 925_000), (ItemId("tea"), 0))},
        {"named": ((ItemId("latte"), 925_000), (ItemId(""), 75_000))},
        {"named": ((ItemId("tea"), 925_000),), "candidates": 2},
        {"named": ((ItemId("latte"), 925_000),), "candidates": 1},
        {"ranker": ""},
        {"item": ItemId("")},
        {"offer": OfferId("")},
    ],
)
async def test_a_decision_that_cannot_be_is_not_logged(store: Store, bad: dict[str, Any]) -> None:
    await fill(store)
    with pytest.raises(ValueError, match="decision"):
        await store.write(lambda tx: tx.log_decision(decision(**bad)))
    assert await log_of(store) == []


async def test_the_chance_of_every_candidate_follows_from_those_that_are_named(store: Store) -> None:
    other = decision(2, item=ItemId("soup"), propensity_ppm=5_000)
    alone = decision(3, candidates=1, propensity_ppm=1_000_000, named=((ItemId("latte"), 1_000_000),))
    old = decision(4, named=())
    await fill(store, decision(), other, alone, old)
    found = [one.decision for one in await log_of(store)]
    assert found == [decision(), other, alone, old]
    assert [found[0].chance_ppm(ItemId(name)) for name in ("latte", "tea", "cake", "any other")] == [
        925_000,
        40_000,
        15_000,
        5_000,
    ]
    assert sum(ppm for _, ppm in found[0].named) + 4 * 5_000 == 1_000_000
    assert found[2].chance_ppm(ItemId("tea")) == 0
    with pytest.raises(ValueError, match="without"):
        old.chance_ppm(ItemId("latte"))


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({}, "already"),
        ({"item": ItemId("tea"), "propensity_ppm": 40_000}, "already"),
        ({"offer": OfferId("9"), "arm": Arm.HOLDOUT}, "drawn"),
        ({"offer": OfferId("9"), "voyage": "south"}, "drawn"),
        ({"offer": OfferId("9"), "guest": GuestRef("c" * 16)}, "drawn"),
    ],
)
async def test_a_decision_is_logged_once_and_in_the_arm_that_was_drawn(
    store: Store, bad: dict[str, Any], why: str
) -> None:
    await fill(store, decision())
    with pytest.raises(Conflict, match=why):
        await store.write(lambda tx: tx.log_decision(decision(**bad)))
    assert [one.decision for one in await log_of(store)] == [decision()]


async def test_decisions_are_forgotten_by_age_and_no_more_at_a_time_than_asked(store: Store) -> None:
    old = [decision(number, at_s=AT_S + number) for number in (1, 2, 3)]
    new = decision(9, guest=BOB, arm=Arm.HOLDOUT, at_s=AT_S + 100 * DAY_S)
    await fill(store, *old, new)
    assert await store.write(lambda tx: tx.forget_decisions(AT_S + 50 * DAY_S, 2)) == 2
    assert [one.decision for one in await log_of(store)] == [old[2], new]
    assert await store.read(lambda tx: tx.lot(ANNA, "north")) == LOTS[0]  # a decision still needs it
    assert await store.write(lambda tx: tx.forget_decisions(AT_S + 50 * DAY_S, 99)) == 1
    assert await store.write(lambda tx: tx.forget_decisions(AT_S + 50 * DAY_S, 99)) == 0
    assert [one.decision for one in await log_of(store)] == [new]
    assert await store.read(lambda tx: (tx.lot(ANNA, "north"), tx.lot(BOB, "north"))) == (None, LOTS[1])


async def test_what_is_young_is_never_forgotten_whatever_the_clock_said(store: Store) -> None:
    newest = AT_S + 40 * DAY_S
    kept = [decision(1, at_s=newest - KEPT_DAYS_MIN * DAY_S), decision(2, at_s=newest - 1), decision(3, at_s=newest)]
    await fill(store, *kept)
    with pytest.raises(Conflict, match="young"):
        await store.write(lambda tx: tx.forget_decisions(newest + 999 * DAY_S, 99))
    assert len(await log_of(store)) == 3
    assert await store.write(lambda tx: tx.forget_decisions(newest + 999 * DAY_S, 1)) == 1
    assert [one.decision for one in await log_of(store)] == kept[1:]


async def test_all_of_it_goes_with_the_guest_and_nobody_elses(store: Store) -> None:
    await fill(store, decision(), decision(2, guest=BOB, arm=Arm.HOLDOUT))
    await store.write(lambda tx: tx.drop_decisions(ANNA))
    assert [one.decision.guest for one in await log_of(store)] == [BOB]
    assert await store.read(lambda tx: (tx.lot(ANNA, "north"), tx.lot(BOB, "north"))) == (None, LOTS[1])


async def test_what_fails_leaves_nothing_and_what_reads_writes_nothing(store: Store) -> None:
    def fail(tx: Tx) -> None:
        tx.put_lot(LOTS[0])
        tx.log_decision(decision())
        tx.drop_decisions(BOB)
        raise Conflict("planned")

    with pytest.raises(Conflict, match="planned"):
        await store.write(fail)
    assert await log_of(store) == []
    assert await store.read(lambda tx: tx.lot(ANNA, "north")) is None
    await fill(store, decision())
    for work in (
        lambda tx: tx.put_lot(replace(LOTS[0], voyage="south")),
        lambda tx: tx.log_decision(decision(2)),
        lambda tx: tx.drop_decisions(ANNA),
    ):
        with pytest.raises(ReadOnlyError):
            await store.read(work)


async def test_the_database_keeps_the_log_from_whoever_writes_to_it(tmp_path: Path) -> None:
    path = tmp_path / "steward.db"
    store = SqliteStore.open(path, DATA_KEY)
    await store.write(lambda tx: tx.put_guest(guest()))
    await fill(store, decision(), decision(2, guest=BOB, arm=Arm.HOLDOUT))
    await store.close()
    connection = sqlite3.connect(path, isolation_level=None)
    row = "SELECT {}, offer, guest, voyage, {}, at_s, ranker, features, candidates, item, {}, popular_ppm, named"
    replacing = f"INSERT OR REPLACE INTO decision {row} FROM decision"
    for statement in (
        "UPDATE decision SET propensity_ppm = 1",
        "UPDATE decision SET arm = 'holdout'",
        "UPDATE decision_lot SET arm = 'holdout'",
        "INSERT OR REPLACE INTO decision_lot SELECT guest, voyage, 'holdout', at_s FROM decision_lot",
        "DELETE FROM decision",
        replacing.format("seq", "arm", "1"),
        replacing.format("9", "arm", "1"),
        replacing.replace("offer, guest", "'x', guest").format("seq", "arm", "1"),
        replacing.replace("offer, guest", "'x', guest").format("NULL", "arm", "0"),
        replacing.replace("offer, guest", "'x', guest").format("NULL", "arm", "1000001"),
        replacing.replace("offer, guest", "'x', guest").format("NULL", "'holdout'", "1"),
    ):
        before = list(connection.iterdump())
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
        assert list(connection.iterdump()) == before
    connection.execute("DELETE FROM guest WHERE ref = ?", (ANNA,))
    left = connection.execute("SELECT guest FROM decision UNION ALL SELECT guest FROM decision_lot")
    assert left.fetchall() == [(BOB,), (BOB,)]
    connection.close()
