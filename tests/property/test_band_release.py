"""Releases for bands: headers read as written and nothing else, and stages that only widen until too many failed."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandwire import release as wire
from bandwire.errors import BadArgument, BadRelease
from steward.domain.bandrelease import ReleaseFault, open_release, read_told
from steward.domain.bandstages import (
    FAILURES_MIN,
    TRIES_MAX,
    BandState,
    BandUpdate,
    Halt,
    Order,
    Stage,
    Tally,
    after,
    begun,
    decode_orders,
    encode_orders,
    may_take,
    read_stages,
    resumed,
    step,
    wants,
)
from steward.domain.batches import BadDown
from steward.domain.ids import Uid

names = st.text("abcxyz019_", min_size=1, max_size=12)
paths = st.builds(
    lambda top, folders, name: "/".join([top, *folders, name + ".mpy"]),
    st.sampled_from(["band", "bandwire"]),
    st.lists(names, max_size=1),
    names,
)
programs = st.dictionaries(paths, st.binary(min_size=1, max_size=60), min_size=1, max_size=12)
texts = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=32)


def packed(files: dict[str, bytes], number: int = 7, minimum: int = 3, board: str = "esp32", name: str = "v") -> bytes:
    listed = [(path, len(data), hashlib.sha256(data).digest()) for path, data in files.items()]
    return wire.pack_header(number, minimum, board, name, listed)


@given(programs, st.integers(1, wire.NUMBER_MAX), texts, texts)
def test_a_header_reads_as_it_was_written(files: dict[str, bytes], number: int, board: str, name: str) -> None:
    header = wire.Header(packed(files, number, number // 2, board, name))
    assert (header.number, header.minimum, header.board, header.name) == (number, number // 2, board, name)
    assert {path: size for path, size, _ in header.files()} == {path: len(data) for path, data in files.items()}
    assert header.size == sum(map(len, files.values()))


@given(programs, st.data())
@settings(max_examples=150)
def test_a_changed_header_is_refused_or_says_something_else(files: dict[str, bytes], data: st.DataObject) -> None:
    raw = bytearray(packed(files))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        header = wire.Header(bytes(raw))
    except BadRelease:
        return
    for path, size, _ in header.files():
        wire.check_path(path)
        assert 0 < size <= wire.FILE_MAX
    assert header.size <= wire.TOTAL_MAX


@given(st.binary(max_size=200), st.booleans())
def test_junk_is_refused(junk: bytes, ours: bool) -> None:
    raw = b"SBR1" + (6 + len(junk)).to_bytes(2, "little") + junk if ours else junk
    try:
        header = wire.Header(raw)
    except BadRelease:
        pass
    else:
        assert header.size > 0
    with pytest.raises(ReleaseFault):
        open_release(junk)


@pytest.mark.parametrize(
    "path",
    [
        "boot.py",
        "main.py",
        "loader.py",
        "build.py",
        "band/app.py",
        "band/../main.mpy",
        "/band/app.mpy",
        "band//app.mpy",
        "band/.mpy",
        "band/a/b/c/d.mpy",
        "card/keys.mpy",
        "band/A.mpy",
        "band/a b.mpy",
        "band",
        "band/" + "a" * 60 + ".mpy",
        "band\\app.mpy",
        "slots/slot.mpy",
    ],
)
def test_no_release_names_another_file(path: str) -> None:
    with pytest.raises((BadRelease, BadArgument)):
        wire.pack_header(7, 1, "esp32", "v", [(path, 1, bytes(32))])


@pytest.mark.parametrize(
    "listed",
    [
        [],
        [("band/a.mpy", 0, bytes(32))],
        [("band/a.mpy", wire.FILE_MAX + 1, bytes(32))],
        [("band/a.mpy", 1, bytes(32))] * 2,
        [(f"band/a{n}.mpy", wire.FILE_MAX, bytes(32)) for n in range(3)],
        [(f"band/a{n:03}.mpy", 1, bytes(32)) for n in range(wire.FILES_MAX + 1)],
    ],
)
def test_what_no_slot_holds_is_no_release(listed: list[tuple[str, int, bytes]]) -> None:
    with pytest.raises((BadRelease, BadArgument)):
        wire.pack_header(7, 1, "esp32", "v", listed)


@pytest.mark.parametrize(("number", "minimum"), [(0, 0), (1 << 32, 1), (5, 6), (5, -1)])
def test_numbers_that_make_no_sense(number: int, minimum: int) -> None:
    with pytest.raises((BadRelease, BadArgument)):
        wire.pack_header(number, minimum, "esp32", "v", [("band/a.mpy", 1, bytes(32))])


@given(st.binary(max_size=24))
def test_what_a_band_tells_is_read_or_refused(raw: bytes) -> None:
    try:
        told = read_told(raw)
    except ReleaseFault:
        return
    assert len(raw) == wire.TOLD_SIZE
    assert told.running <= 1
    assert not told.failed(told.number)
    assert not (told.on_trial and told.failed(told.other))


# stages

stages = st.lists(
    st.one_of(
        st.builds(lambda p, h, s: Stage(p, None, h, s), st.integers(1, 100), st.integers(0, 48), st.integers(0, 40)),
        st.builds(
            lambda a, n, h, s: Stage(None, (a, a + n), h, s),
            st.integers(1, 9000),
            st.integers(0, 500),
            st.integers(0, 48),
            st.integers(0, 40),
        ),
    ),
    min_size=1,
    max_size=6,
)
orders = st.builds(
    lambda chosen, limit, seed: Order(7, hashlib.sha256(bytes([seed])).hexdigest(), 100, "", limit, tuple(chosen)),
    stages,
    st.integers(0, 100),
    st.integers(0, 255),
)
uids = st.integers(0, 1 << 40).map(lambda number: Uid(f"04{number:012X}"))
cabins = st.one_of(st.none(), st.integers(1, 9999))


@given(orders)
def test_an_order_arrives_as_it_was_written(order: Order) -> None:
    assert decode_orders(encode_orders(order)) == order
    assert decode_orders(encode_orders(None)) is None


@given(st.binary(max_size=120))
def test_other_bodies_are_refused(body: bytes) -> None:
    with contextlib.suppress(BadDown):
        assert decode_orders(body) is None


@given(orders, uids, cabins)
def test_whoever_may_take_it_still_may_at_every_later_stage(order: Order, uid: Uid, cabin: int | None) -> None:
    rollout = begun(order, 0)
    could = False
    for stage in range(len(order.stages)):
        can = may_take(order, replace(rollout, stage=stage), uid, cabin)
        assert can or not could
        could = can
        assert not may_take(order, replace(rollout, stage=stage, halted=Halt.OPERATOR), uid, cabin)
    if any(stage.percent == 100 for stage in order.stages):
        assert could


def test_a_share_is_of_the_cabins_and_a_cabin_goes_together() -> None:
    order = Order(7, "ab" * 32, 1, "", 5, (Stage(10, None, 1, 1),))
    rollout = begun(order, 0)
    chosen = [cabin for cabin in range(1, 5001) if may_take(order, rollout, Uid("04" + "0" * 12), cabin)]
    assert 400 < len(chosen) < 600
    others = [cabin for cabin in range(1, 5001) if may_take(order, rollout, Uid("04" + "F" * 12), cabin)]
    assert chosen == others


@given(
    orders,
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2), st.integers(0, 100_000)), max_size=30),
)
def test_it_widens_one_stage_at_a_time_and_never_past_its_limit(
    order: Order, news: list[tuple[int, int, int, int]]
) -> None:
    rollout, tally, now_s = begun(order, 0), Tally(), 0
    for kept, failed, silent, passed_s in news:
        tally, now_s = Tally(tally.kept + kept, tally.failed + failed, silent), now_s + passed_s
        before, rollout = rollout, step(order, rollout, tally, now_s)
        past_limit = tally.failed * 100 > order.limit_percent * (tally.kept + tally.failed)
        assert rollout.stage - before.stage in (0, 1)
        if rollout.halted and not before.halted:
            assert past_limit
        if past_limit and (tally.failed >= FAILURES_MIN or tally.failed > max(tally.kept, 1)):
            assert rollout.halted
        if tally.failed == 1 and tally.kept:
            assert rollout.halted == before.halted  # one bad band among sound ones
        if rollout.stage > before.stage:
            was, bad = order.stages[before.stage], tally.failed + silent
            assert tally.kept >= was.successes
            assert now_s - before.since_s >= was.hours * 3600
            assert bad < 2 - (not tally.kept) or bad * 100 <= order.limit_percent * (tally.kept + bad)


@given(
    orders, st.sampled_from([Halt.OPERATOR, Halt.FAILURES]), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9**9)
)
def test_what_is_halted_stands_still_whatever_comes(
    order: Order, halt: Halt, kept: int, failed: int, now_s: int
) -> None:
    halted = replace(begun(order, 0), halted=halt)
    assert step(order, halted, Tally(kept, failed), now_s) == halted


SMALL = Order(7, "ab" * 32, 1, "", 10, (Stage(1, None, 24, 0), Stage(100, None, 24, 0)))


@pytest.mark.parametrize(
    ("kept", "failed", "silent", "at_once", "at_the_end"),
    [
        (0, 0, 0, "goes on", "widens"),
        (0, 1, 0, "goes on", "halts"),  # a group of one
        (0, 2, 0, "halts", "halts"),  # of two, of three: all of it
        (0, 3, 0, "halts", "halts"),
        (1, 1, 0, "goes on", "widens"),  # one bad band and a sound one
        (1, 2, 0, "halts", "halts"),
        (2, 2, 0, "goes on", "halts"),
        (4, 2, 0, "goes on", "halts"),
        (4, 3, 0, "halts", "halts"),
        (18, 2, 0, "goes on", "widens"),  # just the limit
        (17, 2, 0, "goes on", "halts"),
        (27, 3, 0, "goes on", "widens"),
        (26, 3, 0, "halts", "halts"),
        (0, 0, 1, "goes on", "goes on"),  # silence widens nothing and halts nothing
        (0, 0, 3, "goes on", "goes on"),
        (0, 1, 1, "goes on", "halts"),
        (9, 0, 1, "goes on", "widens"),
        (9, 1, 1, "goes on", "goes on"),
    ],
)
def test_a_small_stage_halts_as_well(kept: int, failed: int, silent: int, at_once: str, at_the_end: str) -> None:
    tally = Tally(kept, failed, silent)
    for now_s, expected in ((24 * 3600 - 1, at_once), (24 * 3600, at_the_end)):
        rollout = step(SMALL, begun(SMALL, 0), tally, now_s)
        assert ("halts" if rollout.halted else "widens" if rollout.stage else "goes on") == expected
        assert not step(replace(SMALL, limit_percent=100), begun(SMALL, 0), tally, now_s).halted


def test_a_clock_that_was_put_back_makes_no_stage_longer() -> None:
    rollout = begun(SMALL, 1_000_000)
    rollout = step(SMALL, rollout, Tally(5), 0)
    assert (rollout.stage, rollout.since_s) == (0, 0)
    assert step(SMALL, rollout, Tally(5), 24 * 3600).stage == 1


@given(orders, st.integers(FAILURES_MIN, 200), st.integers(0, 5))
def test_resumed_it_forgives_what_was_looked_at_and_no_more(order: Order, failed: int, more: int) -> None:
    order = replace(order, limit_percent=0, stages=(replace(order.stages[0], hours=1), *order.stages[1:]))
    halted = step(order, begun(order, 0), Tally(0, failed), 0)
    assert halted.halted is Halt.FAILURES
    again = resumed(halted, Tally(0, failed), 10)
    later = step(order, again, Tally(0, failed + more), 10)
    assert bool(later.halted) == (more >= 2)
    assert step(order, halted, Tally(10_000, failed), 1 << 30) == halted  # nothing but a hand resumes it
    # the forgiven ones leave with the voyage, and take the pardon along
    left = step(order, again, Tally(0, 0), 20)
    assert step(order, left, Tally(0, 2), 30).halted is Halt.FAILURES


@given(st.lists(st.tuples(st.sampled_from(BandState), st.integers(7, 8)), max_size=40))
def test_a_band_counts_once_whatever_it_says(said: list[tuple[BandState, int]]) -> None:
    uid, update = Uid("04" + "0" * 12), None
    for at_s, (state, number) in enumerate(said):
        before: BandUpdate | None = update
        update = after(before, uid, number, state, at_s)
        assert update.number == number
        if before is not None and before.number == number and before.state is BandState.KEPT:
            assert update == before
        if update.state is not BandState.TRYING or update.tries >= TRIES_MAX:
            assert not wants(update, number)
        assert wants(update, 9)


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("1%", Stage(1, None, 24, 5)),
        ("all", Stage(100, None, 24, 5)),
        ("10%:48", Stage(10, None, 48, 5)),
        ("8000-8999:0:20", Stage(None, (8000, 8999), 0, 20)),
    ],
)
def test_stages_are_read(text: str, stage: Stage) -> None:
    assert read_stages([text]) == (stage,)


@pytest.mark.parametrize(
    "text", ["", "0%", "101%", "9-8", "0-5", "5", "x%", "1%:x", "1%:1:x", "1%:1000", "-5", "1%:-1"]
)
def test_no_stages(text: str) -> None:
    with pytest.raises(ValueError, match="is no stage"):
        read_stages([text])
