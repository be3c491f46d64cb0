"""Bands keyed over a cable, which is pulled at every byte there is to pull it at: no band is half-keyed unknown."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from tests.workshop.benchkit import (
    UID,
    VERSION,
    BoardOnCable,
    first_keys,
    forget,
    on_flash,
    on_port,
    ours,
    rekey,
    unkey,
    workbench,
)

from bandtool.journal import BandStage
from bandtool.line import Line
from bandtool.provision import KEYING_STEPS, Bench, provision
from bandtool.serialcard import SerialCard
from bandwire import apdu
from bandwire.keys import KEY_COUNT
from steward.domain.ids import uid_from
from steward.errors import CardRefused, CardRemoved, StoreUnavailable

CHUNKS = 12
WHOLE_BYTES_MIN = 2_300  # a band keyed and proven


async def keyed(bench: Bench, port: str) -> list[int]:
    """Key the band at this port; the steps told."""
    async with on_port(port) as line:
        return await keyed_on(bench, line)


async def keyed_on(bench: Bench, line: Line) -> list[int]:
    steps: list[int] = []
    await provision(bench, await SerialCard.greet(line), bench.enrolled, steps.append)
    return steps


async def test_a_band_is_keyed_and_proves_it(tmp_path: Path) -> None:
    board = BoardOnCable(tmp_path / "flash", UID)
    await board.power_on()
    async with workbench(tmp_path) as bench:
        assert on_flash(board.state) == first_keys()
        assert await keyed(bench, board.plug_in()) == list(range(1, KEYING_STEPS + 1))
        band = await bench.journal.band(uid_from(UID))
        assert band is not None
        assert (band.stage, band.active, band.key_version) == (BandStage.DONE, True, VERSION)
        assert on_flash(board.state) == ours()
    await board.power_off()


@pytest.mark.parametrize("first", range(CHUNKS))
async def test_a_cable_pulled_at_any_byte_leaves_no_band_half_keyed_unknown(first: int, tmp_path: Path) -> None:
    """The band runs on from its own cell: whatever had reached it is done, and the station has not heard."""
    board = BoardOnCable(tmp_path / "flash", UID)
    await board.power_on()
    cut_after, cuts, finished = first, 0, False
    async with workbench(tmp_path) as bench:
        while not finished:
            try:
                await keyed_on(bench, board.plug_direct(cut_after))
                finished = True
            except CardRemoved:
                cuts += 1
            known = {change.key_no for change in await bench.journal.changes(uid_from(UID))}
            for number, (key, version) in enumerate(on_flash(board.state)):
                assert (key, version) == first_keys()[number] or number in known, f"cut after {cut_after}"
            await keyed_on(bench, board.plug_direct())
            assert on_flash(board.state) == ours(), f"cut after {cut_after}"
            assert all(change.done for change in await bench.journal.changes(uid_from(UID)))
            band = await bench.journal.band(uid_from(UID))
            assert band is not None
            assert (band.stage, band.finished) == (BandStage.DONE, True)
            await unkey(board.plug_direct())
            await forget(bench)
            cut_after += CHUNKS
    assert cuts > WHOLE_BYTES_MIN / CHUNKS
    await board.power_off()


def watched(card: SerialCard, board: BoardOnCable, ins: int, *, pulled: bool = False) -> list[tuple[int, int]]:
    """Between which bytes of the cable such a command is asked and answered; pulled: just before it."""
    spans: list[tuple[int, int]] = []
    exchange = card.exchange

    async def counted(capdu: bytes) -> bytes:
        before = board.passed
        if pulled and capdu[1] == ins:
            raise CardRemoved("pulled")
        rapdu = await exchange(capdu)
        if capdu[1] == ins:
            spans.append((before, board.passed))
        return rapdu

    card.exchange = counted  # type: ignore[method-assign]
    return spans


async def test_a_cable_pulled_at_any_byte_of_the_last_step_is_gone_on_with(tmp_path: Path) -> None:
    """Random ID is for good, so each of these is another band, whose first steps were done before."""
    first = BoardOnCable(tmp_path / "first", UID)
    await first.power_on()
    async with workbench(tmp_path, random_id=True, name="first.db") as bench:
        card = await SerialCard.greet(first.plug_direct())
        watched(card, first, apdu.INS_SET_CONFIGURATION, pulled=True)
        with pytest.raises(CardRemoved):
            await provision(bench, card, bench.enrolled, lambda _: None)
    await first.power_off()
    whole = await again(first, tmp_path, "whole")
    async with workbench(tmp_path, random_id=True, name="whole.db") as bench:
        card = await SerialCard.greet(whole.plug_direct())
        spans = watched(card, whole, apdu.INS_SET_CONFIGURATION)
        await provision(bench, card, bench.enrolled, lambda _: None)
    await whole.power_off()
    ((start, end),) = spans
    shown = set()
    for cut_after in range(start, end + 1):
        board = await again(first, tmp_path, str(cut_after))
        async with workbench(tmp_path, random_id=True, name=f"{cut_after}.db") as bench:
            with pytest.raises(CardRemoved):
                await keyed_on(bench, board.plug_direct(cut_after))
            shown.add(len((await SerialCard.greet(board.plug_direct())).anticollision_id))
            await keyed_on(bench, board.plug_direct())
            (band,) = await bench.journal.bands()
            assert (band.stage, band.uid, band.finished) == (BandStage.DONE, uid_from(UID), True)
        assert on_flash(board.state) == ours()
        await board.power_off()
    assert shown == {4, 7}  # some had taken it and some had not


async def again(board: BoardOnCable, folder: Path, name: str) -> BoardOnCable:
    """A band in the same state, and the journal that knows it."""
    shutil.copytree(board.state, folder / name)
    shutil.copy(folder / "first.db", folder / f"{name}.db")
    copy = BoardOnCable(folder / name, UID)
    await copy.power_on()
    return copy


@pytest.mark.parametrize("cut_after", range(150, 2_250, 150))
async def test_a_band_that_loses_its_power_is_finished_the_next_time(cut_after: int, tmp_path: Path) -> None:
    board = BoardOnCable(tmp_path / "flash", UID)
    await board.power_on()
    async with workbench(tmp_path) as bench:
        with pytest.raises(CardRemoved):
            await keyed(bench, board.plug_in(cut_after))
        await board.power_off()
        await board.power_on()
        await keyed(bench, board.plug_in())
        assert on_flash(board.state) == ours()
    await board.power_off()


async def test_a_journal_that_was_closed_goes_on_where_it_was(tmp_path: Path) -> None:
    board = BoardOnCable(tmp_path / "flash", UID)
    await board.power_on()
    for cut_after in (700, 1_000, 1_300):
        async with workbench(tmp_path) as bench:
            with pytest.raises(CardRemoved):
                await keyed(bench, board.plug_in(cut_after))
    async with workbench(tmp_path) as bench:
        await keyed(bench, board.plug_in())
    assert on_flash(board.state) == ours()
    await board.power_off()


async def test_a_finished_band_may_come_again_and_a_copy_of_it_may_not(tmp_path: Path) -> None:
    first, copy = BoardOnCable(tmp_path / "first", UID), BoardOnCable(tmp_path / "copy", UID)
    await first.power_on()
    await copy.power_on()
    async with workbench(tmp_path) as bench:
        await keyed(bench, first.plug_in())
        done = await bench.journal.bands()
        await keyed(bench, first.plug_in())
        assert [band.uid for band in await bench.journal.bands()] == [band.uid for band in done]
        with pytest.raises(CardRefused) as refused:
            await keyed(bench, copy.plug_in())
        assert refused.value.code == "uid_used"
    assert on_flash(copy.state) == first_keys()
    await first.power_off()
    await copy.power_off()


async def test_a_band_of_another_ship_is_set_aside_and_stays_as_it_is(tmp_path: Path) -> None:
    board = BoardOnCable(tmp_path / "flash", UID)
    await board.power_on()
    before = [(bytes([number + 1] * 16), VERSION) for number in range(KEY_COUNT)]
    async with workbench(tmp_path) as bench:
        await keyed(bench, board.plug_in())
        async with on_port(board.plug_in()) as line:
            await rekey(line, before)
        with pytest.raises(CardRefused):
            await keyed(bench, board.plug_in())
        band = await bench.journal.band(uid_from(UID))
        assert band is not None
        assert (band.stage, band.finished) == (BandStage.FAULTY, True)
    assert on_flash(board.state) == before
    await board.power_off()


async def test_a_cable_that_is_plugged_in_again_at_once_is_not_pulled_for_the_cut_before(tmp_path: Path) -> None:
    """Of the rig itself: else what comes after a cut would have no port now and then."""
    board = BoardOnCable(tmp_path / "flash", UID)
    await board.power_on()
    board.plug_in()
    board.pull_soon()
    port = board.plug_in()
    await asyncio.sleep(0)
    async with on_port(port) as line:
        assert (await SerialCard.greet(line)).anticollision_id == UID
    await board.power_off()


async def test_two_benches_on_one_journal_are_one_too_many(tmp_path: Path) -> None:
    async with workbench(tmp_path):
        with pytest.raises(StoreUnavailable, match="close the other bandtool"):
            async with workbench(tmp_path):
                pass
