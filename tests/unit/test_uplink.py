"""The sender's machine, step by step: when it asks, what it sends, what it believes."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from steward.domain.batches import OLDER_MAX, Ack, decode_batch, encode_batch
from steward.domain.digest import Compare, Digest
from steward.domain.pacing import RTO_FIRST_MS
from steward.domain.topics import CLASSES, INSIGHT, MONEY, SAFETY, TELEMETRY
from steward.domain.uplink import (
    LOSSES_FREE,
    PROBE_MS,
    RETRY_MAX_MS,
    SAFETY_FLIGHTS_MIN,
    Ask,
    Load,
    Uplink,
    UplinkLimits,
    fill,
    question,
)

EPOCH, OLDER = 200, 100
LIMITS = UplinkLimits(batch_events=10, batch_bytes=1000, window_batches=4)


class Desk:
    """A machine with its hand on the clock. The log: `newest` seq of each class, all of it in one class each."""

    def __init__(self, *, older: bool = False, covered: dict[tuple[int, int], int] | None = None) -> None:
        self.now_ms = 0.0
        self.machine = Uplink(1000, covered or {}, LIMITS)
        if older:
            self.machine.learn(OLDER, 50, {SAFETY: 50})
        self.log({})
        self.machine.connected(0)

    def log(self, newest: dict[int, int]) -> None:
        self.machine.learn(EPOCH, max(newest.values(), default=0), newest)

    def next(self) -> Ask | Load | None:
        return self.machine.next(self.now_ms)

    def ask(self) -> Ask:
        step = self.next()
        assert isinstance(step, Ask)
        return step

    def load(self, size: int = 500, events: int = 10) -> Load:
        """The next thing to send, sent: `events` of it, one seq each."""
        step = self.next()
        assert isinstance(step, Load)
        last = min(step.prev + events, step.upto or step.prev + events)
        self.machine.sent(step, last, last - step.prev, size, self.now_ms)
        return step

    def answer(self, number: int, *covered: int, held: tuple[tuple[int, int, int], ...] = (), **more: object) -> bool:
        """An acknowledgement 20 ms later; whether it made the machine go back."""
        self.now_ms += 20
        ack = Ack(EPOCH, number, (*covered, *(0,) * (5 - len(covered))), held)
        return self.machine.acknowledge(replace(ack, **more), self.now_ms).rewound  # type: ignore[arg-type]


def ready(newest: dict[int, int], **more: object) -> Desk:
    """A machine whose peer has answered the first question with: nothing yet."""
    desk = Desk(**more)  # type: ignore[arg-type]
    desk.answer(desk.ask().number)
    desk.log(newest)
    return desk


def test_it_asks_before_it_sends_and_again_ever_more_seldom() -> None:
    desk = Desk()
    desk.log({SAFETY: 5, MONEY: 9})
    assert desk.ask() == Ask(EPOCH, 1000, introduce=True)
    asked_ms = [0.0]
    while desk.now_ms < 400_000:
        desk.now_ms += 100
        step = desk.next()
        assert not isinstance(step, Load)
        if isinstance(step, Ask):
            asked_ms.append(desk.now_ms)
    pauses = [b - a for a, b in itertools.pairwise(asked_ms)]
    assert pauses[:3] == [RTO_FIRST_MS, 2 * RTO_FIRST_MS, 4 * RTO_FIRST_MS]
    assert set(pauses[3:]) == {RETRY_MAX_MS}
    desk.answer(1000 + len(asked_ms) - 1)
    assert desk.machine.is_known
    assert isinstance(desk.next(), Load)


def test_nothing_is_said_without_a_connection() -> None:
    desk = Desk()
    desk.machine.disconnected()
    assert desk.next() is None
    assert Uplink(1, {}).next(0) is None
    assert not desk.machine.is_known


def test_it_goes_on_where_the_peer_says_whatever_it_remembered() -> None:
    desk = Desk(covered={(EPOCH, MONEY): 40})
    desk.log({MONEY: 50})
    assert desk.answer(desk.ask().number, 0, 0, 44) is False
    assert desk.load() == Load(EPOCH, MONEY, 1001, 44, 10, None)
    lower = Desk(covered={(EPOCH, MONEY): 40})
    lower.log({MONEY: 50})
    assert lower.answer(lower.ask().number, 0, 0, 30) is True
    lower.answer(lower.ask().number, 0, 0, 30)  # the going back is looked at again
    assert lower.load().prev == 30


def test_older_epochs_are_asked_about_and_sent_first() -> None:
    desk = Desk(older=True)
    desk.log({SAFETY: 5})
    desk.answer(desk.ask().number)
    older = desk.ask()
    assert (older.epoch, older.introduce) == (OLDER, False)
    assert desk.load().epoch == EPOCH  # while nothing is known of the older one
    desk.answer(older.number, epoch=OLDER)
    assert [desk.load().epoch for _ in range(2)] == [OLDER, OLDER]


def test_answers_to_another_process_and_late_ones_change_nothing() -> None:
    desk = ready({MONEY: 50})
    first, second = desk.load(), desk.load()
    for number in (5, 999, 1003, 10**9):
        desk.answer(number, 0, 0, 50)
    assert desk.machine.in_flight() == 1000
    desk.answer(second.number, 0, 0, 20)
    assert desk.answer(first.number, 0, 0, 10) is False
    assert desk.machine.in_flight() == 0
    assert desk.load().prev == 20


def test_a_peer_that_went_back_is_believed_only_if_it_cannot_be_a_late_answer() -> None:
    desk = ready({MONEY: 50})
    first = desk.load()
    desk.answer(first.number, 0, 0, 10)
    second = desk.load()
    assert desk.answer(second.number, 0, 0, 4) is True
    assert isinstance(desk.next(), Ask)  # every epoch may have gone back
    assert desk.answer(second.number, 0, 0, 20) is False  # said before that, or by a broker that repeats
    desk.answer(desk.machine._number - 1, 0, 0, 4)
    assert desk.machine.complete_to(EPOCH) == 4


def test_another_boot_makes_it_ask_again_about_every_epoch() -> None:
    desk = ready({MONEY: 50}, older=True)
    desk.answer(desk.ask().number, epoch=OLDER)
    first = desk.load()
    desk.answer(first.number, 0, 0, 10, boot=b"other ID")
    assert {desk.ask().epoch for _ in range(1)} == {EPOCH}
    desk.answer(desk.machine._number - 1, 0, 0, 10, boot=b"other ID")
    assert desk.ask().epoch == OLDER


def test_a_gap_is_filled_and_nothing_else_is_sent_again() -> None:
    desk = ready({MONEY: 50})
    lost, there = desk.load(), desk.load()
    desk.answer(there.number, held=((MONEY, 10, 20),))
    assert desk.load().prev == 20
    desk.now_ms += 1000
    assert desk.load() == Load(EPOCH, MONEY, lost.number + 3, 0, 10, 10)
    assert desk.load().prev == 30
    assert desk.machine.lost_batches == 1


def test_a_peer_that_refuses_what_came_early_gets_both_again_at_once() -> None:
    desk = ready({MONEY: 20})
    desk.load()
    refused = desk.load()
    desk.answer(refused.number)
    assert [desk.load().prev for _ in range(2)] == [0, 10]


def test_silence_makes_it_ask_and_not_send() -> None:
    desk = ready({MONEY: 50})
    lost = desk.load()
    desk.now_ms += desk.machine.pacing.rto_ms
    asked = desk.ask()
    assert desk.next() is None
    desk.answer(asked.number)
    assert desk.load().prev == lost.prev
    assert desk.machine.lost_batches == 1


def test_what_gets_no_further_comes_ever_more_seldom_and_holds_nobody_up() -> None:
    desk = ready({MONEY: 10, INSIGHT: 100_000})
    sent_ms = []
    while desk.now_ms < 1_000_000:
        step = desk.next()
        if isinstance(step, Load):
            desk.machine.sent(step, step.prev + 10, 10, 500, desk.now_ms)
            if step.cls == MONEY:
                sent_ms.append(desk.now_ms)
            else:
                desk.answer(step.number, 0, 0, 0, 0, step.prev + 10)
        elif isinstance(step, Ask):
            desk.answer(step.number, 0, 0, 0, 0, desk.machine._epochs[EPOCH].lanes[INSIGHT].covered)
        desk.now_ms += 50
    pauses = [b - a for a, b in itertools.pairwise(sent_ms)]
    assert max(pauses[: LOSSES_FREE - 1]) < 1000
    assert pauses == sorted(pauses) or max(pauses[-3:]) >= RETRY_MAX_MS * 0.9
    assert len(sent_ms) < 40
    assert desk.machine._epochs[EPOCH].lanes[INSIGHT].covered > 50_000


def test_a_long_quiet_ends_with_a_question() -> None:
    desk = ready({})
    desk.now_ms += PROBE_MS - 100
    assert desk.next() is None
    desk.now_ms += 100
    asked = desk.ask()
    assert desk.next() is None
    desk.answer(asked.number)
    assert desk.next() is None


def filled(desk: Desk) -> list[int]:
    """Send whatever may go; the classes of what went."""
    classes = []
    while desk.next() is not None:
        classes.append(desk.load().cls)
    return classes


def test_the_window_bounds_what_is_on_the_way() -> None:
    assert filled(ready({TELEMETRY: 1000})) == [TELEMETRY] * LIMITS.window_batches
    bytes_bound = ready({TELEMETRY: 1000})
    assert [bytes_bound.load(size=1000).cls for _ in range(2)] == [TELEMETRY] * 2
    assert bytes_bound.next() is None


def test_safety_leaves_however_full_the_window_is() -> None:
    desk = ready({TELEMETRY: 1000})
    filled(desk)
    desk.log({TELEMETRY: 1000, SAFETY: 2000})
    assert filled(desk) == [SAFETY] * SAFETY_FLIGHTS_MIN


def test_a_backlog_of_safety_gets_most_of_the_line_and_not_all_of_it() -> None:
    desk = ready({TELEMETRY: 100_000, SAFETY: 200_000})
    covered, taken, on_the_way = {SAFETY: 0, TELEMETRY: 0}, [], []
    for _ in range(300):
        while desk.next() is not None:
            on_the_way.append(desk.load())
        load = on_the_way.pop(0)
        taken.append(load.cls)
        covered[load.cls] = load.prev + 10
        desk.answer(load.number, 0, covered[SAFETY], 0, covered[TELEMETRY])
    assert 0.75 < taken.count(SAFETY) / len(taken) < 1


def test_batches_are_cut_to_the_size_aimed_at() -> None:
    desk = ready({MONEY: 1000})
    for _ in range(20):
        load = desk.load(size=4000, events=10)
        desk.answer(load.number, 0, 0, load.prev + 10)
    step = desk.next()
    assert isinstance(step, Load)
    assert step.limit == pytest.approx(LIMITS.batch_bytes / 400, abs=1)


def test_the_budget_holds_a_class_back() -> None:
    desk = ready({INSIGHT: 5, MONEY: 5})
    step = desk.machine.next(0, frozenset({SAFETY, INSIGHT}))
    assert isinstance(step, Load)
    assert step.cls == INSIGHT
    assert desk.machine.next(0, frozenset({SAFETY})) is None
    assert desk.machine.waiting(0) == {INSIGHT, MONEY}


def test_complete_is_what_every_class_has() -> None:
    desk = ready({MONEY: 50, SAFETY: 60})
    assert desk.machine.complete_to(EPOCH) == 0
    desk.answer(1000, 0, 60, 30)
    assert desk.machine.complete_to(EPOCH) == 30
    desk.answer(1000, 0, 60, 50)
    assert desk.machine.complete_to(EPOCH) == 60


def test_what_a_peer_holds_beyond_our_log_is_not_sent_for_ever() -> None:
    """It was lost with our disk; what lies between is lost as well."""
    desk = ready({MONEY: 50})
    desk.answer(1000, 0, 0, 50, held=((MONEY, 60, 70),))
    assert desk.next() is None
    odd = ready({MONEY: 50})
    odd.answer(1000, 0, 0, 30, held=((MONEY, 40, 45),))
    step = odd.next()
    assert isinstance(step, Load)
    odd.machine.sent(step, step.prev, 0, 99, odd.now_ms)  # there was nothing in the gap
    assert odd.load().prev == 45


def test_a_digest_is_asked_for_with_a_question_that_introduces_nobody() -> None:
    desk = ready({})
    ours, bare = Digest(1, 9, bytes(32)), Digest(1, 9, bytes([1]) * 32)
    asked = desk.machine.compare(EPOCH, Compare(bare, ours), desk.now_ms)
    batch = question(asked, "aurora", "gw1", 9, "1.0", [(OLDER, 50), (EPOCH, 9)])
    assert (batch.events, batch.digest, batch.bare, batch.older, batch.version) == ((), ours, bare, None, "")
    hello = question(Ask(EPOCH, 5, introduce=True), "aurora", "gw1", 9, "1.0", [(OLDER, 50), (EPOCH, 9)])
    assert (hello.older, hello.version, hello.number, hello.head) == (((OLDER, 50),), "1.0", 5, 9)
    many = question(Ask(EPOCH, 5, introduce=True), "aurora", "gw1", 9, "1.0", [(n, 1) for n in range(1, EPOCH + 1)])
    assert decode_batch(encode_batch(many)).older == tuple((n, 1) for n in range(EPOCH - OLDER_MAX, EPOCH))
    theirs = replace(ours, sha256=b"t" * 32)
    progress = desk.machine.acknowledge(Ack(EPOCH, asked.number, (0,) * 5, digest=theirs), 5)
    assert progress.digest == theirs


def test_a_question_that_is_never_answered_is_forgotten() -> None:
    desk = ready({})
    for _ in range(100):
        desk.machine.compare(EPOCH, Compare(Digest(1, 9, bytes(32)), None), desk.now_ms)
    assert len(desk.machine._asked) < 10
    desk.now_ms += RETRY_MAX_MS
    desk.next()
    assert desk.machine._asked == {}


def test_a_batch_takes_only_what_lies_in_its_gap() -> None:
    load = Load(EPOCH, MONEY, 7, 10, 5, 20)
    batch = fill(load, "aurora", "gw1", 99, [])
    assert (batch.prev, batch.last, batch.number, batch.cls) == (10, 10, 7, MONEY)
    assert set(CLASSES) == {1, 2, 3, 4, 5}
