"""Who is held out: by lot, for a voyage, and whatever the settings become; what is logged of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.moneykit import NOON_S, ring

from steward.adapters.keyfile import Role
from steward.adapters.memory import MemoryStore
from steward.config import load
from steward.domain.catalogue import ItemId
from steward.domain.exploring import Chances
from steward.domain.holdout import KEPT_DAYS_MIN, Arm, LoggedDecision, draw
from steward.domain.ids import GuestRef, OutletId
from steward.domain.offers import Offer, OfferId, Reason
from steward.errors import ConfigError, Conflict
from steward.ports import Tx
from steward.services.decisions import DecisionLog, HoldoutSettings
from steward.wiring import offer_settings_of

KEY = bytes(range(16))
DAY_S = 86_400
DRAWN = Chances(((ItemId("tea"), 900_000), (ItemId("cake"), 60_000)), (ItemId("beer"),), 40_000)
REFS = [GuestRef(f"{number:016x}") for number in range(4000)]


def drawn(percent: int = 10, key: bytes = KEY, voyage: str = "north") -> list[Arm]:
    return [draw(key, voyage, ref, percent) for ref in REFS]


def log_of(percent: int = 50, key: bytes = KEY, keep_days: int = 180) -> DecisionLog:
    return DecisionLog(key, HoldoutSettings("north", percent, keep_days))


def offer(number: int, ref: GuestRef = REFS[1], at_s: int = NOON_S) -> Offer:
    id_, item = OfferId(f"{number:032x}"), ItemId("tea")
    return Offer(id_, ref, OutletId("bar"), item, "drink", at_s, 12, 900_000, "gru-3", (Reason("popular_now"),))


def note(tx: Tx, log: DecisionLog, made: Offer, *, agreed: bool = True, trusted: bool = True) -> Arm:
    log.note(tx, made, agreed=agreed, chances=DRAWN, popular_ppm=50_000, features="f", clock_trusted=trusted)
    return log.arm(tx, made.guest, agreed=agreed)


async def logged(store: MemoryStore) -> list[LoggedDecision]:
    return list(await store.read(lambda tx: tx.decisions(0, 999)))


# the lot


@pytest.mark.parametrize("percent", [1, 10, 50, 90])
def test_the_share_is_the_one_that_is_stated(percent: int) -> None:
    spread = (percent * (100 - percent) / 10_000 / len(REFS)) ** 0.5
    assert drawn(percent).count(Arm.HOLDOUT) / len(REFS) == pytest.approx(percent / 100, abs=4 * spread)


def test_none_and_all() -> None:
    assert set(drawn(0)) == {Arm.PERSONAL}
    assert set(drawn(100)) == {Arm.HOLDOUT}


def test_the_lot_is_the_same_each_time_and_known_only_with_the_key() -> None:
    assert drawn() == drawn()
    for other in (drawn(key=b"another"), drawn(voyage="south")):
        both = sum(a is b is Arm.HOLDOUT for a, b in zip(drawn(), other, strict=True))
        assert both / len(REFS) == pytest.approx(0.01, abs=0.007)  # as two lots that know nothing of each other
    assert draw(KEY, "a", GuestRef("b\x00c"), 50) is draw(KEY, "a", GuestRef("b\x00c"), 50)


def test_a_larger_share_keeps_whoever_was_held_out() -> None:
    assert all(b is Arm.HOLDOUT for a, b in zip(drawn(10), drawn(20), strict=True) if a is Arm.HOLDOUT)


# in the store


async def arms(store: MemoryStore, log: DecisionLog) -> list[Arm]:
    return await store.read(lambda tx: [log.arm(tx, ref, agreed=True) for ref in REFS[:40]])


async def test_nobody_moves_within_a_voyage_whatever_the_settings_become() -> None:
    store, first = MemoryStore(), log_of()

    def fill(tx: Tx) -> list[Arm]:
        return [note(tx, first, offer(number, ref)) for number, ref in enumerate(REFS[:40])]

    as_drawn = await store.write(fill)
    assert set(as_drawn) == {Arm.PERSONAL, Arm.HOLDOUT}
    for later in (log_of(0), log_of(100), log_of(key=b"another")):
        assert await arms(store, later) == as_drawn
    fresh = log_of(100)
    assert await store.read(lambda tx: fresh.arm(tx, REFS[99], agreed=True)) is Arm.HOLDOUT


async def test_who_did_not_agree_is_in_no_arm_and_is_drawn_all_the_same() -> None:
    store, everybody = MemoryStore(), log_of(100)
    assert await store.write(lambda tx: note(tx, everybody, offer(1), agreed=False)) is Arm.EVERYBODY
    lot = await store.read(lambda tx: tx.lot(REFS[1], "north"))
    assert lot is not None
    assert (lot.arm, lot.at_s) == (Arm.HOLDOUT, NOON_S)
    assert await store.write(lambda tx: note(tx, log_of(0), offer(2))) is Arm.HOLDOUT  # agreed later: the same lot
    assert [one.decision.arm for one in await logged(store)] == [Arm.EVERYBODY, Arm.HOLDOUT]


async def test_what_is_logged_is_what_was_decided() -> None:
    store = MemoryStore()
    await store.write(lambda tx: note(tx, log_of(0), offer(7)))
    (found,) = await logged(store)
    made = found.decision
    assert (made.offer, made.guest, made.voyage, made.arm) == (offer(7).id, REFS[1], "north", Arm.PERSONAL)
    assert (made.at_s, made.ranker, made.features, made.item) == (NOON_S, "gru-3", "f", "tea")
    assert (made.candidates, made.propensity_ppm, made.popular_ppm) == (3, 900_000, 50_000)


async def test_twice_the_same_is_refused() -> None:
    store = MemoryStore()
    await store.write(lambda tx: note(tx, log_of(0), offer(1)))
    with pytest.raises(Conflict, match="already"):
        await store.write(lambda tx: note(tx, log_of(0), offer(1)))
    assert len(await logged(store)) == 1


async def test_old_decisions_go_when_a_new_guest_comes_unless_the_clock_is_in_doubt() -> None:
    store, log = MemoryStore(), log_of(0, keep_days=KEPT_DAYS_MIN)
    later_s = NOON_S + (KEPT_DAYS_MIN + 1) * DAY_S
    await store.write(lambda tx: note(tx, log, offer(1)))
    await store.write(lambda tx: note(tx, log, offer(2, REFS[2], later_s), trusted=False))
    assert len(await logged(store)) == 2
    await store.write(lambda tx: note(tx, log, offer(3, REFS[2], later_s)))
    assert len(await logged(store)) == 2 + 1  # no new guest: nothing is looked for
    await store.write(lambda tx: note(tx, log, offer(4, REFS[3], later_s)))
    assert [one.decision.offer for one in await logged(store)] == [offer(n).id for n in (2, 3, 4)]


async def test_a_clock_set_back_loses_nothing() -> None:
    store, log = MemoryStore(), log_of(0, keep_days=KEPT_DAYS_MIN)
    await store.write(lambda tx: note(tx, log, offer(1, at_s=NOON_S + 400 * DAY_S)))
    await store.write(lambda tx: note(tx, log, offer(2, REFS[2], NOON_S)))
    assert [one.decision.at_s for one in await logged(store)] == [NOON_S + 400 * DAY_S, NOON_S]


def test_the_key_shows_in_no_repr() -> None:
    assert not re.search("key|x00|0001", repr(log_of()))


# settings


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("percent = 91", "0 to 90"),
        ("percent = 2.5", "whole number"),
        ('voyage = "North Cape"', "lower-case"),
        ("keep_days = 27", "28 to 1000"),
        ("share = 10", "not a setting"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(tmp_path: Path, written: str, said: str) -> None:
    file = tmp_path / "steward.toml"
    file.write_text(f'[gateway]\nship = "north"\nsite = 7\n[holdout]\n{written}\n')
    with pytest.raises(ConfigError, match=rf"\[holdout\].*{said}"):
        load(file)


def test_the_settings_as_they_are_documented(tmp_path: Path) -> None:
    file = tmp_path / "steward.toml"
    file.write_text('[gateway]\nship = "north"\nsite = 7\n')
    assert load(file).holdout == HoldoutSettings() == HoldoutSettings("all", 10, 180)
    file.write_text('[gateway]\nship = "n"\nsite = 7\n[holdout]\nvoyage = "2026-11"\npercent = 0\nkeep_days = 28\n')
    assert load(file).holdout == HoldoutSettings("2026-11", 0, 28)


@pytest.mark.parametrize("role", list(Role))
async def test_gateways_of_every_role_draw_the_same_lot(tmp_path: Path, role: Role) -> None:
    file = tmp_path / "steward.toml"
    file.write_text('[gateway]\nship = "north"\nsite = 7\n')
    here, authority = (offer_settings_of(load(file), ring(each)).decisions for each in (role, Role.AUTHORITY))
    drawn_here = await arms(MemoryStore(), here)
    assert drawn_here == await arms(MemoryStore(), authority)
    assert set(drawn_here) == {Arm.PERSONAL, Arm.HOLDOUT}
