"""A band's self-test from the bench's side: asks for one part after the other, and judges what the band cannot."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bandtool.faultwords import name_of
from bandtool.serialcard import SerialCard
from bandwire import bench, faults, selftest
from bandwire.errors import BadFrame
from steward.errors import ReaderFault

CLOCK_S = 1.0
CLOCK_TOLERANCE = 0.02  # of the time between two readings; a crystal is a thousand times better, a cable is not
CLOCK_SLACK_MS = 60  # of both answers on their way
BUTTON_LIMIT_S = 10.0
_BUTTON_EACH_S = 0.05
_WRAP = 1 << 32


class State(enum.StrEnum):
    OK = "ok"
    FAILED = "failed"
    NOT_JUDGED = "not_judged"  # it takes a person, and none was asked
    ABSENT = "absent"  # this board has no such part


@dataclass(frozen=True, slots=True)
class Result:
    """code: of bandwire.faults for FAILED, else 0. said: what was measured, for a person; empty if nothing."""

    name: str
    state: State
    code: int = 0
    said: str = ""


class Hands(Protocol):
    """The technician. Each waits for a person, in its own thread."""

    def sees(self, question: str) -> bool:
        """Their answer to a question of yes or no."""
        ...

    def told(self, line: str) -> None:
        """Something that they should do now."""
        ...


async def run(
    card: SerialCard, hands: Hands | None = None, progress: Callable[[int], None] = lambda _: None
) -> list[Result]:
    """Every test, in a fixed order. hands: None: what takes a person stays NOT_JUDGED.

    Raises CardRemoved if the cable is pulled, ReaderFault if the band's firmware knows no self-test.
    """
    results = []
    for done, (test, name) in enumerate(selftest.NAMES.items()):
        results.append(await _one(card, test, name, hands))
        progress(done + 1)
    return results


async def self_test(card: SerialCard) -> dict[str, str]:
    """For a station without hands: by part `ok`, `not_judged`, `absent`, or the name of the fault."""
    return {result.name: name_of(result.code) if result.code else str(result.state) for result in await run(card)}


async def show_verdict(card: SerialCard, good: bool) -> None:
    """On the band's own light."""
    await _ask(card, selftest.SHOW, int(good))


def passed(results: list[Result]) -> bool:
    return all(result.state is not State.FAILED for result in results)


async def _one(card: SerialCard, test: int, name: str, hands: Hands | None) -> Result:
    if test == selftest.CLOCK:
        return await _clock(card, name)
    finding = await _ask(card, test)
    if finding.outcome == selftest.FAILED:
        return Result(name, State.FAILED, finding.code, _measured(finding))
    if finding.outcome == selftest.ABSENT:
        return Result(name, State.ABSENT)
    if finding.outcome == selftest.PASSED:
        return Result(name, State.OK, 0, _measured(finding))
    if hands is None:
        return Result(name, State.NOT_JUDGED)
    return await _by_hand(card, test, name, hands)


async def _by_hand(card: SerialCard, test: int, name: str, hands: Hands) -> Result:
    if test == selftest.BUTTON:
        return await _button(card, name, hands)
    question, code = {
        selftest.LIGHT: ("Do the light and the fault light blink by turns", faults.LIGHT_DARK),
        selftest.HAPTIC: ("Does the band buzz", faults.HAPTIC_STILL),
    }[test]
    if await asyncio.to_thread(hands.sees, question):
        return Result(name, State.OK)
    return Result(name, State.FAILED, code)


async def _button(card: SerialCard, name: str, hands: Hands) -> Result:
    await asyncio.to_thread(hands.told, f"Press the button and let it go, within {BUTTON_LIMIT_S:g} s.")
    loop = asyncio.get_running_loop()
    until_s = loop.time() + BUTTON_LIMIT_S
    while loop.time() < until_s:
        if (await _ask(card, selftest.BUTTON, selftest.ASK_AGAIN)).value:
            return Result(name, State.OK)
        await asyncio.sleep(_BUTTON_EACH_S)
    return Result(name, State.FAILED, faults.BUTTON_DEAD)


async def _clock(card: SerialCard, name: str) -> Result:
    """The band's second against ours."""
    loop = asyncio.get_running_loop()
    began_s, first = loop.time(), await _ask(card, selftest.CLOCK)
    await asyncio.sleep(CLOCK_S)
    second, ended_s = await _ask(card, selftest.CLOCK), loop.time()
    here_ms = (ended_s - began_s) * 1000
    there_ms = (second.value - first.value) % _WRAP
    wrong_ms = there_ms - here_ms
    said = f"{wrong_ms:+.0f} ms in {here_ms:.0f}"
    # The band reads its clock somewhere between question and answer, so some of the time here is the cable's.
    if -CLOCK_SLACK_MS - here_ms * CLOCK_TOLERANCE <= wrong_ms <= here_ms * CLOCK_TOLERANCE:
        return Result(name, State.OK, 0, said)
    return Result(name, State.FAILED, faults.CLOCK_ODD, said)


async def _ask(card: SerialCard, test: int, step: int = selftest.START) -> selftest.Finding:
    answer = await card.ask(bench.TEST, selftest.pack_request(test, step))
    try:
        finding = selftest.open_finding(answer)
    except BadFrame:
        finding = selftest.Finding(0, selftest.FAILED)
    if finding.test != test:
        raise ReaderFault("the band answers another test than it was asked: its firmware and this bandtool differ")
    return finding


def _measured(finding: selftest.Finding) -> str:
    if finding.test == selftest.BATTERY:
        return f"{finding.value / 1000:.2f} V"
    if finding.test in (selftest.FLASH, selftest.RAM) and finding.code != faults.RAM_SELFTEST and finding.value:
        return f"{finding.value // 1024} KiB free"
    return ""
