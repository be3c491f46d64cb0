"""What a station shows of one band at a time: where it is, how far, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from steward.domain.ids import Uid

SHORT = 6  # last digits of a UID: what a technician reads and a label shows


class Step(StrEnum):
    WAITING = "waiting"  # for a free place
    GREETING = "greeting"
    FLASHING = "flashing"
    KEYING = "keying"
    TESTING = "testing"
    ENDED = "ended"


class Result(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAULTY = "faulty"  # set aside: its code says why
    PULLED = "pulled"  # before it was finished; it may come again at any port


@dataclass(slots=True)
class Place:
    """A band at a port. percent: of all that is done with it. tries: how often it was begun, since plugged in."""

    port: str
    step: Step = Step.WAITING
    percent: int = 0
    uid: Uid | None = None
    result: Result = Result.RUNNING
    code: str = ""
    detail: str = ""
    tries: int = 0

    @property
    def short(self) -> str:
        return "" if self.uid is None else short_id(self.uid)


@dataclass(frozen=True, slots=True)
class Tell:
    """How whoever works on a band says how far it is. meet: its UID is known; CardRefused if it must not go on."""

    step: Callable[[Step, int], None]
    meet: Callable[[Uid], None]


def short_id(uid: Uid) -> str:
    return uid[-SHORT:]
