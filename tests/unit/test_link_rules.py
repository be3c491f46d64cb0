"""Budget, turns, pacing, topics and the router: the small rules of the link."""

from __future__ import annotations

import asyncio

import pytest
from tests.linkkit import Hub, KitPipe
from tests.sim.loop import run

from steward.domain.budget import DAY_S, Budget, ShipTime, ship_time
from steward.domain.pacing import RTO_FIRST_MS, RTO_MAX_MS, RTO_MIN_MS, Pacing
from steward.domain.tally import LINK
from steward.domain.topics import (
    CLASS_WORDS,
    CLASSES,
    DOWN_KINDS,
    IDENTITY,
    INSIGHT,
    MONEY,
    SAFETY,
    TELEMETRY,
    BadTopic,
    UpTopic,
    ack_topic,
    down_topic,
    is_name,
    link_topic,
    matches,
    parse_down,
    parse_up,
    up_topic,
)
from steward.domain.turns import SAFETY_RUN_MAX, Turns
from steward.ports.sync import PipeMessage
from steward.services.router import HANDLERS_MAX, MessageRouter

# Budget

DAWN, NOON, NIGHT = ShipTime(9, 0), ShipTime(9, DAY_S // 2), ShipTime(9, DAY_S - 1)


def test_a_quarter_goes_at_once_and_the_rest_with_the_day() -> None:
    budget = Budget({TELEMETRY: 1000})
    budget.begin(9, {})
    budget.spend({TELEMETRY: 249})
    assert TELEMETRY in budget.allowed(DAWN)
    budget.spend({TELEMETRY: 1})
    assert TELEMETRY not in budget.allowed(DAWN)
    assert TELEMETRY in budget.allowed(NOON)
    budget.spend({TELEMETRY: 500})
    assert TELEMETRY not in budget.allowed(NOON)
    budget.spend({TELEMETRY: 250})
    assert TELEMETRY not in budget.allowed(NIGHT)
    assert budget.held(NIGHT, [TELEMETRY, MONEY]) == {TELEMETRY}
    budget.unsaved()
    budget.begin(10, {})
    assert TELEMETRY in budget.allowed(ShipTime(10, 0))


def test_safety_and_money_are_counted_and_never_held() -> None:
    budget = Budget(dict.fromkeys(CLASSES, 0))
    budget.begin(9, {MONEY: 7})
    budget.spend({MONEY: 10**9, LINK: 6})
    assert budget.allowed(DAWN) == {SAFETY, MONEY}
    assert budget.spent() == {1: 0, 2: 0, 3: 10**9 + 7, 4: 0, 5: 0, LINK: 6}


def test_what_is_to_be_saved_is_given_out_once() -> None:
    budget = Budget({})
    budget.begin(9, {INSIGHT: 100})
    budget.spend({INSIGHT: 5})
    budget.spend({INSIGHT: 6})
    assert budget.unsaved() == {INSIGHT: 11}
    assert budget.unsaved() == {}
    budget.not_saved(8, {INSIGHT: 11})
    assert budget.unsaved() == {}, "that day is over"
    budget.not_saved(9, {INSIGHT: 11})
    budget.spend({INSIGHT: 1, MONEY: 2})
    assert budget.unsaved() == {INSIGHT: 12, MONEY: 2}
    budget.begin(9, {INSIGHT: 112, MONEY: 2})
    assert budget.spent()[INSIGHT] == 112
    assert budget.allowed(DAWN) == set(CLASSES)


def test_the_day_is_the_ship_s() -> None:
    assert ship_time(DAY_S * 20_000 - 1, 0) == ShipTime(19_999, DAY_S - 1)
    assert ship_time(DAY_S * 20_000 - 1, 3600) == ShipTime(20_000, 3599)
    assert ship_time(DAY_S * 20_000, -1) == ShipTime(19_999, DAY_S - 1)


# Turns


def play(waiting: set[int], rounds: int, turns: Turns | None = None) -> list[int]:
    turns = turns or Turns()
    chosen = []
    for _ in range(rounds):
        cls = turns.choose(waiting)
        assert cls is not None
        turns.used(cls, 1000)
        chosen.append(cls)
    return chosen


def test_nobody_waits_nobody_is_chosen() -> None:
    assert Turns().choose(()) is None


def test_shares_follow_the_weights() -> None:
    chosen = play({MONEY, IDENTITY, INSIGHT, TELEMETRY}, 1500)
    assert [round(chosen.count(cls) / 100) for cls in (MONEY, IDENTITY, INSIGHT, TELEMETRY)] == [8, 4, 2, 1]
    assert chosen[:4] == [MONEY, IDENTITY, INSIGHT, TELEMETRY]


def test_safety_is_first_and_still_lets_one_in_nine_pass() -> None:
    turns = Turns()
    play({MONEY, TELEMETRY}, 50, turns)
    assert play({SAFETY, TELEMETRY}, SAFETY_RUN_MAX + 2, turns) == [SAFETY] * SAFETY_RUN_MAX + [TELEMETRY, SAFETY]
    assert play({SAFETY}, 50) == [SAFETY] * 50


def test_who_had_nothing_to_send_has_saved_nothing_up() -> None:
    turns = Turns()
    play({TELEMETRY}, 1000, turns)
    assert play({TELEMETRY, MONEY}, 20, turns).count(TELEMETRY) >= 2
    play({MONEY}, 1000, turns)
    assert play({TELEMETRY, MONEY}, 20, turns).count(MONEY) >= 15


# Pacing


def deliver(pacing: Pacing, rtt_ms: float, size: int, times: int) -> None:
    now_ms = 0.0
    for _ in range(times):
        left = pacing.depart(now_ms)
        now_ms += rtt_ms
        pacing.delivered(size)
        pacing.answered(left, now_ms)


def test_waiting_is_patient_and_bounded() -> None:
    pacing = Pacing(1000, 9000)
    assert (pacing.rtt_ms, pacing.rto_ms) == (None, RTO_FIRST_MS)
    deliver(pacing, 5, 10, 20)
    assert pacing.rto_ms == RTO_MIN_MS
    deliver(pacing, 200_000, 10, 20)
    assert pacing.rto_ms == RTO_MAX_MS
    pacing.forget_path()
    assert (pacing.rtt_ms, pacing.rto_ms) == (None, RTO_FIRST_MS)


def test_the_window_grows_with_what_the_path_holds() -> None:
    pacing = Pacing(1000, 90_000)
    assert pacing.window == 1000
    deliver(pacing, 700, 22_000, 5)
    assert pacing.window == pytest.approx(44_000, rel=0.01)
    deliver(pacing, 700, 1_000_000, 5)
    assert pacing.window == 90_000
    deliver(pacing, 700, 100, 300)
    assert pacing.window == 1000


# Topics


def test_topics_lead_back_to_what_they_were_made_of() -> None:
    for cls in CLASSES:
        assert parse_up(up_topic("aurora", "gw-1", cls)) == UpTopic("aurora", "gw-1", cls)
    for kind in DOWN_KINDS:
        assert parse_down(down_topic("aurora", kind)) == ("aurora", kind)
    assert ack_topic("aurora", "gw1", "shore") == "steward/1/aurora/gw1/ack/shore"
    assert link_topic("aurora", "gw1", "ship") == "steward/1/aurora/gw1/link/ship"
    assert CLASS_WORDS == {1: "identity", 2: "safety", 3: "money", 4: "telemetry", 5: "insight"}


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "steward/2/aurora/gw1/up/money",
        "steward/1/aurora/gw1/up/moneys",
        "steward/1/Aurora/gw1/up/money",
        "steward/1/aurora//up/money",
        "steward/1/aurora/gw1/up/money/x",
        "steward/1/aurora/+/up/money",
        "steward/1/au.rora/gw1/up/money",
        "steward/1/aurora/down/other",
        "steward/1//down/deny",
        "steward/1/aurora/down/deny/x",
    ],
)
def test_what_is_no_topic_of_ours(topic: str) -> None:
    for parse in (parse_up, parse_down):
        with pytest.raises(BadTopic):
            parse(topic)


@pytest.mark.parametrize(("name", "good"), [("a", True), ("a-1", True), ("-a", False), ("a" * 33, False), (5, False)])
def test_names(name: object, good: bool) -> None:
    assert is_name(name) is good


@pytest.mark.parametrize(
    ("wanted", "topic", "good"),
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("a/+/c", "a/b/c", True),
        ("a/#", "a/b/c", True),
        ("#", "a/b/c", True),
        ("a/+", "a/b/c", False),
        ("a/b/c", "a/b", False),
        ("a/b", "a/b/c", False),
        ("a/+/d", "a/b/c", False),
    ],
)
def test_filters(wanted: str, topic: str, good: bool) -> None:
    assert matches(wanted, topic) is good


# Router


def test_messages_go_to_whoever_asked_in_order() -> None:
    async def main() -> None:
        hub = Hub()
        pipe, other = hub.pipe(), hub.pipe()
        heard: list[tuple[str, bytes]] = []

        def listener(name: str):  # type: ignore[no-untyped-def]
            async def hear(message: PipeMessage) -> None:
                heard.append((name, message.payload))

            return hear

        router = MessageRouter(pipe)
        router.on("a/+", listener("one level"))
        router.on("a/#", listener("all"))
        running = asyncio.create_task(router.run())
        await asyncio.sleep(0)
        for topic, payload in (("a/b", b"1"), ("a/b/c", b"2"), ("x", b"3")):
            await other.publish(topic, payload)
            await asyncio.sleep(0.1)
        running.cancel()
        assert heard == [("one level", b"1"), ("all", b"1"), ("all", b"2")]

    run(main())


def test_handlers_are_bounded() -> None:
    async def nothing(message: PipeMessage) -> None:
        return None

    async def main() -> None:
        router = MessageRouter(KitPipe(Hub()))
        for _ in range(HANDLERS_MAX):
            router.on("a", nothing)
        with pytest.raises(ValueError, match=str(HANDLERS_MAX)):
            router.on("a", nothing)

    run(main())
