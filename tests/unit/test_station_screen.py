"""What a technician sees and hears: a word for every outcome, counts that a band cannot raise twice, bells."""

from __future__ import annotations

import asyncio
import io

import pytest
from rich.console import Console

from bandtool.bands import Place, Result, Step
from bandtool.screen import LiveScreen, PlainScreen, Tally, outcome
from steward.domain.ids import Uid

UID = Uid("04A1B2C3D4E5F6")


class Hand:
    """A clock in hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def ended(result: Result, port: str = "/dev/ttyUSB0", uid: Uid | None = UID, code: str = "") -> Place:
    return Place(port, Step.ENDED, 100, uid, result, code, "a copy, or reset")


def test_every_outcome_has_a_word() -> None:
    assert outcome(ended(Result.DONE)) == "DONE"
    assert outcome(ended(Result.FAULTY, code="uid_used")) == "FAULTY uid_used"
    assert outcome(Place("p", Step.KEYING, 40)) == "keying"
    assert outcome(Place("p", Step.GREETING, 0, tries=2)) == "greeting, try 2"


def test_a_band_counts_once_and_as_what_it_was_last() -> None:
    hand = Hand()
    tally = Tally(hand, goal=3)
    for place in (ended(Result.FAULTY, code="silent"), ended(Result.DONE), ended(Result.DONE, port="/dev/ttyUSB7")):
        tally.note(place)
    assert (tally.done, tally.faulty, tally.rate) == (1, 0, None)
    tally.note(ended(Result.FAULTY, uid=None, port="/dev/ttyUSB1", code="no_band"))
    hand.now_s += 60
    assert tally.rate == 60
    assert tally.line() == "done 1   faulty 1   left 2   60 an hour"


def test_plain_lines_tell_each_step_once() -> None:
    said: list[str] = []
    screen = PlainScreen(Tally(Hand()), said.append)
    place = Place("/dev/ttyUSB0")
    for step, percent in ((Step.WAITING, 0), (Step.GREETING, 0), (Step.KEYING, 10), (Step.KEYING, 20)):
        place.step, place.percent = step, percent
        screen.changed(place)
    place.uid = UID
    screen.changed(place)
    place.result = Result.PULLED
    screen.gone(place)
    again = ended(Result.FAULTY, code="uid_twice")
    screen.changed(again)
    assert said == [
        "/dev/ttyUSB0 waiting",
        "/dev/ttyUSB0 greeting",
        "/dev/ttyUSB0 keying",
        "/dev/ttyUSB0 D4E5F6 keying",
        "/dev/ttyUSB0 D4E5F6 pulled before it was finished: plug it in again",
        "/dev/ttyUSB0 D4E5F6 FAULTY uid_twice",
    ]


def drawn(screen: LiveScreen) -> str:
    out = io.StringIO()
    Console(file=out, width=120).print(screen.table())
    return out.getvalue()


def test_the_table_has_the_port_the_band_and_the_reason() -> None:
    screen = LiveScreen(Tally(Hand()), Console(file=io.StringIO()), "station bench-1")
    screen.changed(Place("/dev/ttyUSB3", Step.KEYING, 40, UID))
    faulty = ended(Result.FAULTY, port="/dev/ttyUSB4", uid=None, code="no_band")
    screen.changed(faulty)
    text = drawn(screen)
    assert "ttyUSB3" in text
    assert "D4E5F6" in text
    assert "FAULTY no_band" in text
    assert "/dev/ttyUSB4: a copy, or reset" in text
    assert "done 0   faulty 1" in text
    screen.gone(faulty)
    assert "no_band" not in drawn(screen)


@pytest.mark.parametrize(("result", "bells"), [(Result.DONE, 1), (Result.FAULTY, 3)])
async def test_it_rings_once_for_each_band(result: Result, bells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bandtool.screen.BELL_GAP_S", 0)
    monkeypatch.setattr("bandtool.screen.REFRESH_S", 0)
    rung: list[bool] = []
    console = Console(file=io.StringIO(), force_terminal=True)
    monkeypatch.setattr(console, "bell", lambda: rung.append(True))
    screen = LiveScreen(Tally(Hand()), console, "station bench-1")
    place = ended(result)
    screen.changed(place)
    screen.changed(place)
    running = asyncio.create_task(screen.run())
    for _ in range(50):  # it draws or rings at each
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(rung) == bells
