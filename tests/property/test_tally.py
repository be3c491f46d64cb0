"""Whose bytes they are: whatever is sent, counted, lost and in whatever order, every byte is somebody's, once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from steward.domain.tally import LINK, PUBACK_BYTES, RECORD_BYTES, SPENDERS, Tally, publish_bytes, share
from steward.domain.topics import CLASSES, INSIGHT, MONEY, TELEMETRY

SIZES = st.integers(0, 100_000)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("sent"), st.sampled_from(SPENDERS), SIZES),
        st.tuples(st.just("received"), st.sampled_from(SPENDERS), SIZES),
        st.tuples(st.just("settle"), SIZES, SIZES),
        st.tuples(st.just("forget"), st.just(0), st.just(0)),
    ),
    max_size=40,
)


@given(STEPS)
def test_the_classes_add_up_to_the_socket_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    tally, sent, received = Tally(), 0, 0
    kept = dict.fromkeys(SPENDERS, 0)
    for what, one, other in steps:
        if what == "settle":
            sent, received = sent + one, received + other
            shares = tally.settle(sent, received)
            assert sum(shares.values()) == one + other
            assert all(size > 0 for size in shares.values())
            for cls, size in shares.items():
                kept[cls] += size
        elif what == "forget":
            tally.forget()
        else:
            getattr(tally, what)(one, other)
        assert tally.totals() == kept
        assert sum(kept.values()) == sent + received


@given(st.dictionaries(st.sampled_from(SPENDERS), st.integers(0, 10**9), min_size=1), st.integers(0, 10**9))
def test_shares_are_whole_and_within_one_of_the_proportion(weights: dict[int, int], amount: int) -> None:
    total = sum(weights.values())
    if total == 0:
        assert share(0, weights) == dict.fromkeys(weights, 0)
        return
    shares = share(amount, weights)
    assert sum(shares.values()) == amount
    assert all(abs(shares[cls] * total - amount * weight) < total for cls, weight in weights.items())
    if amount <= total:
        assert all(shares[cls] <= weight for cls, weight in weights.items())


@given(
    st.lists(st.tuples(st.sampled_from(CLASSES), st.integers(1, 5_000)), min_size=1, max_size=20),
    st.lists(st.floats(0, 1), max_size=20),
)
def test_what_leaves_bit_by_bit_is_its_sender_s_in_the_end(messages: list[tuple[int, int]], cuts: list[float]) -> None:
    """With no overhead at all, each class is charged what it sent, however the socket was read meanwhile."""
    tally, total = Tally(), sum(size for _, size in messages)
    for cls, size in messages:
        tally.sent(cls, size)
    for cut in (*sorted(cuts), 1.0):
        tally.settle(round(total * cut), 0)
    expected = {cls: sum(size for of, size in messages if of == cls) for cls in SPENDERS}
    assert tally.totals() == expected


def test_overhead_goes_with_what_was_sent_and_the_rest_is_the_link_s() -> None:
    tally = Tally()
    assert tally.settle(4_000, 3_000) == {LINK: 7_000}, "connecting"
    tally.sent(MONEY, 300)
    tally.sent(TELEMETRY, 100)
    assert tally.settle(4_480, 3_000) == {MONEY: 360, TELEMETRY: 120}
    assert tally.settle(4_480, 3_000 + 2 * PUBACK_BYTES + 44) == {MONEY: 26, TELEMETRY: 26}
    assert tally.settle(4_482, 3_054) == {LINK: 4}, "a ping and its answer"


def test_a_flood_from_below_empties_no_budget() -> None:
    tally = Tally()
    tally.sent(INSIGHT, 100)
    shares = tally.settle(100, 1_000_000)
    assert shares[INSIGHT] == 100 + 2 * PUBACK_BYTES + RECORD_BYTES
    assert shares[LINK] == 1_000_000 - 2 * PUBACK_BYTES - RECORD_BYTES


def test_what_was_on_the_way_when_the_connection_broke_takes_nothing_from_the_next() -> None:
    tally = Tally()
    tally.sent(MONEY, 50_000)
    tally.settle(10_000, 0)
    tally.forget()
    assert tally.settle(14_000, 3_000) == {LINK: 7_000}


def test_the_size_of_a_message_is_the_protocol_s() -> None:
    assert publish_bytes("a", b"") == 1 + 1 + 2 + 1 + 2
    assert publish_bytes("a", bytes(122)) == 1 + 1 + 127
    assert publish_bytes("a", bytes(123)) == 1 + 2 + 128
    assert publish_bytes("a", bytes(16_384)) == 1 + 3 + 16_389
