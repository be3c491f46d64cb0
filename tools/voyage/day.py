"""The running of a day: boarding, the stories side by side in compressed time, and settlement at its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from voyage.acts import Acts, StepFailed, Tell
from voyage.client import Purser, Refused
from voyage.crewacts import PLAIN
from voyage.observed import Folio, FolioLine, LedgerFacts, Observed
from voyage.plan import DAY_ENDS, DAY_STARTS, Plan
from voyage.steps import Step, Story, clock

ON_FOLIO = ("posted", "voided", "refunded", "disputed")  # states of a charge that was on a folio once
OVERTIME_S = 180.0  # a busy machine may need longer than the plan; then it is a fault


class ShipClock:
    """The ship's time, in minutes after midnight: a day in `seconds` real ones, then as fast as any clock."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._per_second = (DAY_ENDS - DAY_STARTS) / seconds
        self._start: float | None = None

    def start(self) -> None:
        self._start = time.monotonic()

    def now(self) -> int:
        if self._start is None:
            return DAY_STARTS
        gone_s = time.monotonic() - self._start
        if gone_s < self._seconds:
            return DAY_STARTS + int(gone_s * self._per_second)
        return DAY_ENDS + int((gone_s - self._seconds) / 60)

    def __str__(self) -> str:
        return clock(self.now())

    async def until(self, at: int) -> None:
        """Return when it is `at`; at once if it is later already."""
        assert self._start is not None
        await asyncio.sleep(self._start + (at - DAY_STARTS) / self._per_second - time.monotonic())


async def board(plan: Plan, acts: Acts, encoders: int, boarded: Callable[[], None]) -> None:
    """Encode the bands of everybody who was imported, at as many desks as there are encoders."""
    waiting = list(reversed(plan.boarding))

    async def desk() -> None:
        while waiting:
            await acts.do(waiting.pop())
            boarded()

    async with asyncio.TaskGroup() as group:
        for _ in range(encoders):
            group.create_task(desk())


async def live(plan: Plan, acts: Acts, ship_clock: ShipClock, limit_s: float, seen: Observed, tell: Tell) -> None:
    """All stories, each in its own task. A story that cannot go on is recorded and ends; the others go on."""

    async def tell_story(story: Story) -> None:
        for step in story.steps:
            await ship_clock.until(step.at)
            if not await _carry_out(step, story, acts, seen, tell):
                return

    ship_clock.start()
    try:
        async with asyncio.timeout(limit_s + OVERTIME_S), asyncio.TaskGroup() as group:
            for story in plan.day:
                group.create_task(tell_story(story), name=story.title)
    except TimeoutError:
        seen.steps_failed.append(f"the day was not over {OVERTIME_S:g} s after its planned end")


async def _carry_out(step: Step, story: Story, acts: Acts, seen: Observed, tell: Tell) -> bool:
    try:
        await acts.do(step)
    except StepFailed as error:
        seen.steps_failed.append(f"{story.title}: {error}")
        tell(f"{story.title}: a step failed", "bad")
        return False
    return True


async def settle(acts: Acts, purser: Purser, seen: Observed, settled: Callable[[], None], tell: Tell) -> None:
    """Every folio is settled and read again; then the ledger is read."""
    for person, ref in acts.refs.items():
        try:
            await purser.settle(ref)
        except Refused as error:
            seen.steps_failed.append(f"settling {person}: {error}")
        seen.folios.append(folio_of(person, await purser.statement(ref)))
        settled()
    tell(f"purser · {len(seen.folios)} folios settled", PLAIN)
    seen.ledger = ledger_of(await purser.ledger())


def folio_of(person: str, statement: dict[str, Any]) -> Folio:
    lines = tuple(FolioLine(line["kind"], line["tap_id"], line["amount_minor"]) for line in statement["lines"])
    return Folio(person, statement["settled"], statement["totals"]["balance_minor"], lines)


def ledger_of(answer: dict[str, Any]) -> LedgerFacts:
    charges = sum(answer["by_state"].get(state, 0) for state in ON_FOLIO)
    return LedgerFacts(answer["ok"], answer["sum_minor"], charges, answer["posted_minor"])
