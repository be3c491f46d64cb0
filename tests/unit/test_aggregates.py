"""Questions over many guests: who is counted, how far one of them can move an answer, and that the budget ends."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.moneykit import NOON_S, HandClock
from tests.unit.servicekit import guest

from steward.adapters.memory import MemoryStore
from steward.adapters.opendpnoise import OpenDpNoise
from steward.adapters.spentfile import SpentFile
from steward.domain.aggregates import (
    ANSWER_CHARS_MAX,
    HOURS,
    QUESTIONS,
    Past,
    Terms,
    bounded,
    make_answer,
    shown_from,
    totals,
)
from steward.domain.charges import Charge, ChargeRequest, ChargeState, TapEvidence
from steward.domain.consent import Consent, ConsentPurpose, Source
from steward.domain.events import EventType
from steward.domain.ids import GuestRef, OutletId, TapId, TillId, Uid
from steward.errors import NotFound, Refused, StoreUnavailable
from steward.ports import Tx
from steward.ports.aggregates import Spent
from steward.services.aggregates import AggregateService, AggregateSettings

BAR, SHOP = OutletId("bar"), OutletId("shop")
TERMS = Terms("EUR", 0)
SETTINGS = AggregateSettings("v1", outlets=(BAR, SHOP))
GROUPS = ("bar", "shop")


class NoNoise:
    """Shows what lies under the noise, with the scale it would have had."""

    def __init__(self, add: int = 0) -> None:
        self.add = add
        self.seen: list[tuple[list[int], float]] = []

    def laplace(self, values: Sequence[int], scale: float) -> list[int]:
        self.seen.append((list(values), scale))
        return [value + self.add for value in values]

    def epsilon(self, scale: float, sensitivity: int) -> float:
        return sensitivity / scale


def ref_of(n: int) -> GuestRef:
    return GuestRef(f"{n:016x}")


def charge(ref: GuestRef, outlet: str = BAR, minor: int = 500, n: int = 1, at_s: int = NOON_S, **more: Any) -> Charge:
    request = ChargeRequest(TapId(f"{ref}{n:016x}"), TillId("T1"), OutletId(outlet), minor, "EUR")
    evidence = TapEvidence(Uid("04A1B2C3D4E5F6"), ref, 1, 1, False, n, b"", b"", None)
    return replace(Charge(request, at_s, ChargeState.POSTED, "posted", evidence), **more)


def agrees(tx: Tx, ref: GuestRef, given: bool = True, version: int = 1) -> None:
    tx.put_consent(Consent(ref, ConsentPurpose.ANALYTICS_ASHORE, given, NOON_S + version, Source.ABOARD, version))


async def ship(agreeing: int, silent: int = 0, outlet: str = BAR) -> MemoryStore:
    """Guests 1.. agree; those after them were never asked, or said no. Each has bought once."""
    store = MemoryStore()

    def work(tx: Tx) -> None:
        for n in range(1, agreeing + silent + 1):
            tx.put_guest(guest(ref_of(n)))
            tx.put_charge(charge(ref_of(n), outlet))
            if n <= agreeing:
                agrees(tx, ref_of(n))
            elif n % 2:
                agrees(tx, ref_of(n), given=False)

    await store.write(work)
    return store


def service(store: MemoryStore, folder: Path, noise: Any = None, **changes: Any) -> AggregateService:
    book = SpentFile(folder / "spent")
    return AggregateService(store, HandClock(), noise or NoNoise(), book, replace(SETTINGS, **changes))


# One guest's part


def past(*charges: Charge, **changes: Any) -> Past:
    return Past(guest(ref_of(1), **changes), charges)


def test_a_guest_counts_in_few_groups_and_for_no_more_than_the_cap() -> None:
    question = QUESTIONS["spending_by_outlet"]
    outlets = [f"o{n}" for n in range(9)]
    bought = past(*(charge(ref_of(1), outlet, 10_000 * (n + 1), n) for n, outlet in enumerate(outlets)))
    assert bounded(question, bought, TERMS, frozenset(outlets)) == {"o8": 20_000, "o7": 20_000}


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.integers(1, 10**9), st.integers(0, 86_399))))
def test_nobody_moves_an_answer_by_more_than_what_the_noise_is_made_for(bought: list[tuple[str, int, int]]) -> None:
    charges = [charge(ref_of(1), o, minor, n, NOON_S + s) for n, (o, minor, s) in enumerate(bought)]
    groups = {"outlet": ("a", "b", "c", "d"), "hour": HOURS, "kind": ("adult", "child"), "item": ("x",)}
    for question in QUESTIONS.values():
        mine = groups[question.over.value]
        found = totals(mine, [bounded(question, past(*charges), TERMS, frozenset(mine))])
        assert sum(found.counts) <= question.groups_max
        assert sum(found.sums) <= question.sum_sensitivity
        assert min(found.sums, default=0) >= 0


@pytest.mark.parametrize("state", [s for s in ChargeState if s is not ChargeState.POSTED])
def test_what_is_not_posted_does_not_count(state: ChargeState) -> None:
    for name in ("guests_by_outlet", "guests_by_hour", "spending_by_outlet"):
        groups = frozenset({*GROUPS, *HOURS})
        assert bounded(QUESTIONS[name], past(charge(ref_of(1), state=state)), TERMS, groups) == {}


def test_refunds_other_money_and_unknown_groups_are_left_out() -> None:
    spending, groups = QUESTIONS["spending_by_outlet"], frozenset(GROUPS)
    assert bounded(spending, past(charge(ref_of(1), refunded_minor=200)), TERMS, groups) == {"bar": 300}
    assert bounded(spending, past(charge(ref_of(1), refunded_minor=500)), TERMS, groups) == {}
    assert bounded(spending, past(charge(ref_of(1))), Terms("NOK", 0), groups) == {}
    assert bounded(QUESTIONS["guests_by_outlet"], past(charge(ref_of(1), "elsewhere")), TERMS, groups) == {}


def test_hours_are_the_ship_s_and_kinds_are_two() -> None:
    by_hour = QUESTIONS["guests_by_hour"]
    bought = past(*(charge(ref_of(1), n=n, at_s=NOON_S + 3600 * h) for n, h in enumerate((0, 0, 1, 2, 2, 2))))
    noon = NOON_S // 3600 % 24
    hours = {HOURS[(noon + 2 + 5) % 24], HOURS[(noon + 5) % 24]}
    assert set(bounded(by_hour, bought, Terms("EUR", 5 * 3600), frozenset(HOURS))) == hours
    assert set(bounded(by_hour, bought, Terms("EUR", 5 * 3600), frozenset(HOURS)).values()) == {1}
    by_kind = QUESTIONS["guests_by_kind"]
    assert bounded(by_kind, past(child=True), TERMS, frozenset({"adult", "child"})) == {"child": 1}


# Minimum size


def test_a_group_is_shown_from_the_minimum_and_a_margin_and_nothing_says_which_are_not() -> None:
    question = QUESTIONS["guests_by_outlet"]
    least = shown_from(question, 20)
    answer = make_answer(question, GROUPS, [least, least - 1], None, 20)
    assert [(line.group, line.guests, line.total) for line in answer.lines] == [("bar", least, None)]
    assert answer.withheld == 1
    assert "shop" not in answer.text()
    assert make_answer(question, GROUPS, [-5, 0], None, 20).lines == ()
    assert make_answer(question, (), [], None, 20).withheld == 0


def test_a_group_below_the_minimum_is_hardly_ever_shown() -> None:
    """By the mechanism itself: 19 guests, 40,000 draws. At most one in 10,000 is shown: 4; 40 would be absurd."""
    noise, question = OpenDpNoise(), QUESTIONS["guests_by_outlet"]
    least = shown_from(question, 20)
    shown = sum(count >= least for count in noise.laplace([19] * 40_000, question.count_scale))
    assert shown < 40


def test_an_answer_fits_into_an_event() -> None:
    question = QUESTIONS["guests_by_accepted_item"]
    groups = [f"item-{n:027}" for n in range(4096)]
    answer = make_answer(question, groups, list(range(1000, 5096)), None, 20)
    assert len(answer.text()) <= ANSWER_CHARS_MAX
    assert answer.lines[0].guests == 5095
    assert answer.withheld == 4096 - len(answer.lines)


# Noise


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_library_proves_what_a_question_is_said_to_cost(name: str) -> None:
    noise, question = OpenDpNoise(), QUESTIONS[name]
    assert noise.epsilon(question.count_scale, question.groups_max) == pytest.approx(question.count_milli / 1000)
    if question.sum_milli:
        proven = noise.epsilon(question.sum_scale, question.sum_sensitivity)
        assert proven == pytest.approx(question.sum_milli / 1000)


def test_the_noise_has_the_scale_of_the_question() -> None:
    """Mean 0 and mean distance about the scale, over 40,000 draws: bounds lie more than ten standard errors away."""
    scale = QUESTIONS["guests_by_outlet"].count_scale
    drawn = OpenDpNoise().laplace([100] * 40_000, scale)
    assert abs(statistics.fmean(drawn) - 100) < 0.1 * scale
    assert 0.93 * scale < statistics.fmean(abs(value - 100) for value in drawn) < 1.07 * scale
    assert OpenDpNoise().laplace([], scale) == []


def test_with_and_without_one_guest_answers_can_hardly_be_told_apart() -> None:
    """The odds of any answer differ by e^epsilon at most: counted over 40,000 answers each, with room for chance."""
    noise, question = OpenDpNoise(), QUESTIONS["guests_by_kind"]
    least = shown_from(question, 20)
    most = 2.718281828 ** (question.count_milli / 1000)
    with_one = noise.laplace([least] * 40_000, question.count_scale)
    without = noise.laplace([least - 1] * 40_000, question.count_scale)
    for bound in range(least - 4, least + 5, 2):
        a, b = (sum(value >= bound for value in drawn) / 40_000 for drawn in (with_one, without))
        assert 1 / (most * 1.1) < a / b < most * 1.1


# Who is counted


async def test_only_guests_who_agreed_are_counted(tmp_path: Path) -> None:
    store = await ship(agreeing=30, silent=50)
    await store.write(lambda tx: [tx.put_guest(guest(ref_of(900), crew=True)), agrees(tx, ref_of(900))])
    noise = NoNoise()
    await service(store, tmp_path, noise).ask("guests_by_outlet", "token 1")
    assert noise.seen == [([30, 0], QUESTIONS["guests_by_outlet"].count_scale)]
    noise = NoNoise()
    await service(store, tmp_path, noise).ask("guests_by_kind", "token 1")
    assert noise.seen[0][0] == [30, 0]


class Between(MemoryStore):
    """Somebody changes their mind after the reading and before the answer."""

    meanwhile: Callable[[Tx], object] | None = None

    async def write(self, work: Callable[[Tx], Any]) -> Any:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await super().write(meanwhile)
        return await super().write(work)


async def test_who_takes_consent_back_between_reading_and_answering_is_left_out(tmp_path: Path) -> None:
    store, noise = Between(), NoNoise()
    await store.write(lambda tx: [tx.put_guest(guest(ref_of(n))) for n in range(1, 41)])
    await store.write(lambda tx: [agrees(tx, ref_of(n)) for n in range(1, 41)])
    store.meanwhile = lambda tx: [agrees(tx, ref_of(n), given=False, version=2) for n in range(1, 11)]
    await service(store, tmp_path, noise).ask("guests_by_kind", "token 1")
    assert noise.seen[0][0] == [30, 0]


async def test_the_answer_is_an_event_without_anything_exact(tmp_path: Path) -> None:
    store = await ship(agreeing=200)
    answer = await service(store, tmp_path, NoNoise(7)).ask("spending_by_outlet", "token 1")
    (event,) = await store.read(lambda tx: tx.events(0, 9))
    assert event.type is EventType.AGGREGATE_ANSWERED
    assert event.payload["cost_milli"] == 1000
    told = json.loads(str(event.payload["answer"]))
    assert told["lines"] == [["bar", 207, 200 * 500 + 7]]
    assert (answer.lines[0].group, answer.withheld, answer.currency) == ("bar", 1, "EUR")


async def test_noise_is_drawn_anew_each_time(tmp_path: Path) -> None:
    store = await ship(agreeing=300)
    asking = service(store, tmp_path, OpenDpNoise())
    seen = [(await asking.ask("guests_by_kind", "token 1")).lines for _ in range(8)]
    assert len({line.guests for lines in seen for line in lines}) > 1


# The budget


async def test_the_budget_ends_and_says_so_and_no_answer_is_made(tmp_path: Path) -> None:
    store = await ship(agreeing=30)
    asking = service(store, tmp_path, budget_milli=1100)
    for _ in range(2):
        await asking.ask("guests_by_outlet", "token 1")
    with pytest.raises(Refused, match=r"budget_spent: it costs 500, and 100 of 1100 are left"):
        await asking.ask("guests_by_outlet", "token 1")
    assert len(await store.read(lambda tx: tx.events(0, 9))) == 2
    budget = await asking.budget()
    assert (budget.spent_milli, budget.left_milli, len(budget.asked)) == (1000, 100, 2)


async def test_neither_a_restart_nor_a_restored_store_nor_a_clock_gives_it_back(tmp_path: Path) -> None:
    store = await ship(agreeing=30)
    clock = HandClock()
    book = SpentFile(tmp_path / "spent")
    settings = replace(SETTINGS, budget_milli=500)
    await AggregateService(store, clock, NoNoise(), book, settings).ask("guests_by_outlet", "token 1")
    older = await ship(agreeing=30)  # a store that knows nothing of it
    for step in (-10 * 365 * 86_400, 20 * 365 * 86_400):
        clock.step(step)
        for kept in (store, older):
            again = AggregateService(kept, clock, NoNoise(), SpentFile(tmp_path / "spent"), settings)
            with pytest.raises(Refused, match="budget_spent"):
                await again.ask("guests_by_kind", "token 1")


async def test_a_lost_file_does_not_give_it_back_either(tmp_path: Path) -> None:
    store = await ship(agreeing=30)
    await service(store, tmp_path, budget_milli=500).ask("guests_by_outlet", "token 1")
    (tmp_path / "spent").unlink()
    asking = service(store, tmp_path, budget_milli=500)
    assert (await asking.budget()).left_milli == 0
    with pytest.raises(Refused, match="budget_spent"):
        await asking.ask("guests_by_kind", "token 1")


async def test_two_at_once_do_not_spend_more_than_there_is(tmp_path: Path) -> None:
    store = await ship(agreeing=30)
    asking = service(store, tmp_path, budget_milli=1000)
    ended = await asyncio.gather(*(asking.ask("guests_by_outlet", "token 1") for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(end, Refused) for end in ended) == 4
    assert (await asking.budget()).spent_milli == 1000


def spend_often(path: Path) -> None:
    for _ in range(20):
        try:
            SpentFile(path).spend(Spent("v1", "guests_by_kind", 100, NOON_S, "token 1"), 1500, 0)
        except Refused:
            continue


def test_nor_do_two_processes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=spend_often, args=(tmp_path / "spent",)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert sum(spent.cost_milli for spent in SpentFile(tmp_path / "spent").spent()) == 1500
    assert (tmp_path / "spent").stat().st_mode & 0o777 == 0o600


async def test_nobody_bears_more_than_one_voyage_s_budget_whatever_the_voyages_are_called(tmp_path: Path) -> None:
    """Also with the clock set back in between: no question is older than the one before it."""
    store, clock = await ship(agreeing=30), HandClock()
    came_s = clock.now().unix_s + 100
    await store.write(lambda tx: [tx.put_guest(guest(ref_of(n), not_before_s=came_s)) for n in range(1, 11)])

    async def counted(voyage: str) -> int:
        noise, settings = NoNoise(), replace(SETTINGS, voyage=voyage, budget_milli=500)
        book = SpentFile(tmp_path / "spent")
        await AggregateService(store, clock, noise, book, settings).ask("guests_by_kind", "token 1")
        return noise.seen[0][0][0]

    assert [await counted("v1"), await counted("v2")] == [30, 30]
    clock.step(200)
    assert await counted("v3") == 10  # who came since: the others have borne two of 250
    clock.step(-10 * 365 * 86_400)
    assert [await counted("v4"), await counted("v5")] == [10, 0]


async def test_a_fault_after_paying_costs_the_budget_and_gives_no_answer(tmp_path: Path) -> None:
    store = await ship(agreeing=30)

    class Broken(NoNoise):
        def laplace(self, values: Sequence[int], scale: float) -> list[int]:
            raise StoreUnavailable("the disk is full")

    asking = service(store, tmp_path, Broken())
    with pytest.raises(StoreUnavailable):
        await asking.ask("guests_by_outlet", "token 1")
    assert (await asking.budget()).spent_milli == 500
    assert list(await store.read(lambda tx: tx.events(0, 9))) == []


async def test_what_cannot_be_asked_costs_nothing(tmp_path: Path) -> None:
    store = await ship(agreeing=30)
    asking = service(store, tmp_path)
    with pytest.raises(NotFound, match="guests_by_outlet"):
        await asking.ask("everything", "token 1")
    with pytest.raises(Refused, match="currency_unfit"):
        await asking.ask("spending_by_outlet", "token 1", "euro")
    book = SpentFile(tmp_path / "spent")
    with pytest.raises(Refused, match="library_missing"):
        await AggregateService(store, HandClock(), None, book, SETTINGS).ask("guests_by_kind", "token 1")
    with pytest.raises(Refused, match="authority_only"):
        await AggregateService(store, HandClock(), NoNoise(), book, SETTINGS, True).ask("guests_by_kind", "token 1")
    assert (await asking.budget()).spent_milli == 0


async def test_a_mechanism_that_would_cost_more_than_is_said_is_not_used(tmp_path: Path) -> None:
    class Dear(NoNoise):
        def epsilon(self, scale: float, sensitivity: int) -> float:
            return 2 * sensitivity / scale

    asking = service(await ship(agreeing=30), tmp_path, Dear())
    with pytest.raises(AssertionError, match="would cost"):
        await asking.ask("guests_by_kind", "token 1")
    assert (await asking.budget()).spent_milli == 0


async def test_nobody_aboard_is_an_answer_too(tmp_path: Path) -> None:
    answer = await service(MemoryStore(), tmp_path).ask("guests_by_accepted_item", "token 1")
    assert (answer.lines, answer.withheld) == ((), 0)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense\n",
        "\n",
        "[]\n",
        '{"voyage": "v1"}\n',
        '{"at_s": 1, "by": "t", "cost_milli": -500, "question": "q", "voyage": "v1"}\n',
        '{"at_s": 1, "by": "t", "cost_milli": true, "question": "q", "voyage": "v1"}\n',
        '{"at_s": 1, "by": "t", "cost_mi',
    ],
)
def test_a_damaged_account_answers_nothing_more(tmp_path: Path, text: str) -> None:
    (tmp_path / "spent").write_text(text)
    with pytest.raises(StoreUnavailable, match="line 1"):
        SpentFile(tmp_path / "spent").spend(Spent("v1", "q", 1, 1, "t"), 1000, 0)


def test_what_is_spent_is_on_disk_before_anybody_is_told_that_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr("os.fsync", lambda _descriptor: synced.append((tmp_path / "spent").read_text()))
    SpentFile(tmp_path / "spent").spend(Spent("v1", "q", 900, 1, "t"), 1000, 0)
    assert [json.loads(text)["cost_milli"] for text in synced] == [900]


def test_another_voyage_has_a_budget_of_its_own(tmp_path: Path) -> None:
    book = SpentFile(tmp_path / "spent")
    assert book.spend(Spent("v1", "q", 900, 1, "t"), 1000, 0) == 900
    assert book.spend(Spent("v2", "q", 900, 1, "t"), 1000, 0) == 900
    assert book.spend(Spent("v1", "q", 100, 1, "t"), 1000, 0) == 1000
    with pytest.raises(StoreUnavailable):
        SpentFile(tmp_path / "missing" / "spent").spent()
