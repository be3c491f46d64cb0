"""What a guest asks for by right, and the statutory clock that runs from then on. Pure.

GDPR Art. 12(3): an answer within one month of receipt. It may be extended by two more where that is necessary, if the
guest is told within the first month, and why. A month is a calendar month: it ends with the day of the same number, or
with the last day of a shorter month. Days that are holidays ashore do not make it longer here: a ship has none.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NewType

from steward.domain.ids import GuestRef

RequestId = NewType("RequestId", str)  # 16 hex digits

TEXT_MAX = 1000
OPEN_EACH_MAX = 12  # of one guest at once
DUE_SOON_S = 7 * 86_400
MONTHS, MONTHS_EXTENDED = 1, 3


class Right(StrEnum):
    """Stable codes, in the store and on the wire. GDPR Art. 15 to 21."""

    ACCESS = "access"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    PORTABILITY = "portability"
    OBJECTION = "objection"


class RequestState(StrEnum):
    OPEN = "open"
    EXTENDED = "extended"
    DONE = "done"
    REFUSED = "refused"


WAITING = frozenset({RequestState.OPEN, RequestState.EXTENDED})


class Lateness(StrEnum):
    FINE = "fine"
    SOON = "soon"  # due within DUE_SOON_S
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, without the words: those are sealed in its steps. linked: what was made for it, "export:ID"."""

    id: RequestId
    guest: GuestRef
    right: Right
    opened_s: int
    opened_by: str
    due_s: int  # the first second that is too late
    state: RequestState = RequestState.OPEN
    closed_s: int | None = None
    closed_by: str = ""
    linked: str = ""

    @property
    def waits(self) -> bool:
        return self.state in WAITING


@dataclass(frozen=True, slots=True)
class RequestStep:
    """Who did what when. state: what the request became. words: sealed with the guest's key, or empty."""

    request: RequestId
    at_s: int
    by: str
    state: RequestState
    words: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class DueCounts:
    """Of the requests that wait for an answer."""

    waiting: int = 0
    soon: int = 0
    late: int = 0


def due_after(opened_s: int, months: int, utc_offset_s: int) -> int:
    """The end of the day, ship's time, that is `months` calendar months after the day of `opened_s`."""
    zone = timedelta(seconds=utc_offset_s)
    opened = datetime.fromtimestamp(opened_s, UTC) + zone
    index = opened.year * 12 + opened.month - 1 + months
    year, month = divmod(index, 12)
    day = min(opened.day, calendar.monthrange(year, month + 1)[1])
    last_day = datetime(year, month + 1, day, tzinfo=UTC)
    return int((last_day + timedelta(days=1) - zone).timestamp())


def lateness(request: Request, now_s: int) -> Lateness:
    """How near the end of the statutory time is. What is closed is never late."""
    if not request.waits or request.due_s - now_s > DUE_SOON_S:
        return Lateness.FINE
    return Lateness.LATE if now_s >= request.due_s else Lateness.SOON


def count_due(requests: Iterable[Request], now_s: int) -> DueCounts:
    late = [lateness(request, now_s) for request in requests if request.waits]
    return DueCounts(len(late), late.count(Lateness.SOON), late.count(Lateness.LATE))


def extend_problem(request: Request, now_s: int) -> str | None:
    """Why this request's time cannot be extended; None if it can."""
    if request.state is not RequestState.OPEN:
        return f"it is {request.state} already: the time is extended once, while the request is open"
    if now_s >= request.due_s:
        return "the first month is over: the guest had to be told within it"
    return None


def extended(request: Request, utc_offset_s: int) -> Request:
    due_s = due_after(request.opened_s, MONTHS_EXTENDED, utc_offset_s)
    return replace(request, state=RequestState.EXTENDED, due_s=due_s)


def closed(request: Request, state: RequestState, at_s: int, by: str, linked: str = "") -> Request:
    """Answered: done or refused. A clock that went back does not date the answer before the question."""
    assert state not in WAITING
    return replace(request, state=state, closed_s=max(at_s, request.opened_s), closed_by=by, linked=linked)


def is_words(text: str) -> bool:
    """Whether this may be kept as what somebody wrote: some lines of text, and no control characters."""
    return 0 < len(text) <= TEXT_MAX and all(char.isprintable() or char == "\n" for char in text)
