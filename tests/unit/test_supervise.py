"""Restarts: what fails comes back after a growing pause, what ends stays ended, what is stopped stops in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from steward.errors import Busy, ReaderFault, StewardError, StoreUnavailable
from steward.services.supervise import TASKS_MAX, Backoff, Supervisor, TaskState, describe, look_again


class Lab:
    """A clock in hand, and every pause the supervisor made."""

    def __init__(self, backoff: Backoff | None = None) -> None:
        self.now_s = 0.0
        self.pauses: list[float] = []
        self.quiet = asyncio.Event()  # set when as many pauses were made as the test wants
        self.enough = 1
        self.supervisor = Supervisor(lambda: self.now_s, backoff or Backoff(1.0, 8.0, 60.0), self._sleep)

    async def _sleep(self, pause_s: float) -> None:
        self.pauses.append(pause_s)
        if len(self.pauses) >= self.enough:
            self.quiet.set()
            await asyncio.Event().wait()

    async def run(self, work: Callable[[], object], pauses: int) -> None:
        async def once() -> None:
            work()

        self.enough = pauses
        self.supervisor.start("door", once)
        await self.quiet.wait()


def fail() -> None:
    raise ReaderFault("unplugged")


async def test_pauses_double_up_to_the_cap() -> None:
    lab = Lab()
    await lab.run(fail, 6)
    assert lab.pauses == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    status = lab.supervisor.status("door")
    assert status is not None
    assert (status.state, status.failures, status.restarts, status.error) == (TaskState.PAUSED, 6, 5, "reader_fault")
    assert await lab.supervisor.stop(1.0) == []


async def test_a_task_that_ran_well_for_a_while_starts_from_the_first_pause() -> None:
    lab = Lab()
    runs = iter([0.0, 0.0, 60.0, 0.0])

    def work() -> None:
        lab.now_s += next(runs)
        fail()

    await lab.run(work, 4)
    assert lab.pauses == [1.0, 2.0, 1.0, 2.0]
    await lab.supervisor.stop(1.0)


async def test_a_task_that_returns_is_finished() -> None:
    lab = Lab()
    done = asyncio.Event()

    async def work() -> None:
        done.set()

    lab.supervisor.start("once", work)
    await done.wait()
    assert await lab.supervisor.stop(1.0) == []
    status = lab.supervisor.status("once")
    assert status is not None
    assert (status.state, status.restarts) == (TaskState.STOPPED, 0)
    assert lab.pauses == []


async def test_one_failing_task_does_not_disturb_another() -> None:
    lab = Lab()
    beats = asyncio.Queue[int]()

    async def steady() -> None:
        for beat in range(3):
            await beats.put(beat)
        await asyncio.Event().wait()

    lab.supervisor.start("steady", steady)
    await lab.run(lambda: 1 / 0, 3)
    assert [await beats.get() for _ in range(3)] == [0, 1, 2]
    status = lab.supervisor.status("steady")
    assert status is not None
    assert (status.state, status.failures) == (TaskState.RUNNING, 0)
    await lab.supervisor.stop(1.0)


async def test_stopping_lets_a_task_finish_what_it_has_begun() -> None:
    lab = Lab()
    begun, ended = asyncio.Event(), asyncio.Event()

    async def tap() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.set()
            raise

    lab.supervisor.start("tap", tap)
    await begun.wait()
    assert await lab.supervisor.stop(5.0) == []
    assert ended.is_set()


async def test_stopping_does_not_wait_for_ever_and_names_who_is_late() -> None:
    lab = Lab()
    begun, release = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await release.wait()

    lab.supervisor.start("stubborn", stubborn)
    await begun.wait()
    assert await lab.supervisor.stop(0.01) == ["stubborn"]
    release.set()
    assert await lab.supervisor.stop(5.0) == []


async def test_what_failed_is_logged_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    def leak() -> None:
        raise ValueError("the key is 00112233")

    lab = Lab()
    with caplog.at_level(logging.DEBUG):
        await lab.run(leak, 1)
    await lab.supervisor.stop(1.0)
    assert "task.failed name=door error=ValueError@test_supervise.py:" in caplog.text
    assert "00112233" not in caplog.text


async def test_names_are_unique_and_tasks_are_bounded() -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    supervisor = Supervisor(lambda: 0.0)
    for number in range(TASKS_MAX):
        supervisor.start(f"t{number}", wait)
    with pytest.raises(ValueError, match="runs already"):
        supervisor.start("t0", wait)
    with pytest.raises(ValueError, match=str(TASKS_MAX)):
        supervisor.start("one more", wait)
    assert await supervisor.stop(5.0) == []


def test_a_pause_never_overflows() -> None:
    assert Backoff().pause_s(10_000) == Backoff().max_s


def test_our_errors_are_described_by_their_code() -> None:
    assert describe(ReaderFault("secret")) == "reader_fault"
    assert describe(KeyError("secret")) == "KeyError"


@pytest.mark.parametrize("error", [StoreUnavailable("full"), Busy("later")])
async def test_a_store_that_is_away_ends_no_looking(error: StewardError, caplog: pytest.LogCaptureFixture) -> None:
    outcomes: list[Exception | None] = [None, error, None, ReaderFault("gone")]

    async def look() -> None:
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome

    with caplog.at_level(logging.ERROR, "steward.services.supervise"), pytest.raises(ReaderFault):
        await look_again(look, 0)
    assert outcomes == []
    assert [record.getMessage() for record in caplog.records] == [f"store.unavailable detail={error}"]
