"""What is deleted when its time is over, and by which clock. Pure.

The clock. Retention has a time of its own, which only goes forward: `Passage.mark_s`. A clock that was set back does
not stop it, for the machine's uptime is added to it all the same. A clock that jumps ahead does not drag it along: what
the uptime cannot account for fills a bucket that empties as fast as the gateway runs, and when it is full the clock's
word waits until somebody confirms it. So nobody escapes retention, or forces it, by setting a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from steward.domain.events import EventType
from steward.domain.usecase_shapes import Register, Since

DAY_S = 86_400
JUMP_MAX_S = 3 * DAY_S  # beyond what the uptime accounts for: a gateway may be off for a long weekend
UNKNOWN_STAY_DAYS = 200  # longer than any stay: a crew member's contract
HELD_DAYS_MAX = 30  # what a peer has not acknowledged is kept so much longer, and no longer


class Part(StrEnum):
    """What of a guest is deleted as one. Stable codes, in the store's table of runs."""

    PROFILE = "profile"
    HEALTH = "health"  # allergies and diet, of the profile
    PHOTO = "photo"
    NOTE = "note"
    CASE = "case"
    OFFER = "offer"
    DECISION = "decision"
    CONSENT = "consent"
    SIGNAL = "signal"
    COMPANY = "company"
    REQUEST = "request"
    REVIEW = "review"  # the finding about an emergency; its words go with the guest
    LOOK_UP = "look_up"  # what a row says; that there was one stays in the tree


# What has a time of its own, row by row; of everything else the end of the stay counts.
AGED = frozenset({Part.NOTE, Part.CASE, Part.OFFER, Part.REQUEST, Part.REVIEW})
# The tables, or the column, that each part is made of: the register says how long a table's columns are kept.
TABLES: Mapping[Part, frozenset[str]] = MappingProxyType(
    {
        Part.PROFILE: frozenset({"profile"}),
        Part.HEALTH: frozenset({"profile.health"}),
        Part.PHOTO: frozenset({"photo"}),
        Part.NOTE: frozenset({"note"}),
        Part.CASE: frozenset({"recovery_case"}),
        Part.OFFER: frozenset({"offer"}),
        Part.DECISION: frozenset({"decision", "decision_lot"}),
        Part.CONSENT: frozenset({"consent", "consent_change"}),
        Part.SIGNAL: frozenset({"signal_switch", "signal_change"}),
        Part.COMPANY: frozenset({"stay_company"}),
        Part.REQUEST: frozenset({"request", "request_step"}),
        Part.REVIEW: frozenset({"glass_review.finding"}),
        Part.LOOK_UP: frozenset({"look_up"}),
    }
)


@dataclass(frozen=True, slots=True)
class PartRule:
    """Delete this part so many days after the guest's stay; `aged`: row by row, so many days after its own time."""

    part: Part
    days: int
    aged: bool = False

    @property
    def id(self) -> str:
        return self.part.value


@dataclass(frozen=True, slots=True)
class EventRule:
    """Make the payloads of this type's events unreadable so many days after they were written.

    by_stay: so many days after the stay of the guest they are about; UNKNOWN_STAY_DAYS later than they were written if
    they name none.
    """

    type: EventType
    days: int
    by_stay: bool = False

    @property
    def id(self) -> str:
        return f"event:{self.type.name.lower()}"


Rule = PartRule | EventRule


@dataclass(frozen=True, slots=True)
class RetentionRun:
    """What one rule deleted at one time. before_s: of everything older. held: a peer's queue kept some of it back."""

    at_s: int
    rule: str
    deleted: int
    before_s: int
    held: bool = False


@dataclass(frozen=True, slots=True)
class Passage:
    """Retention's own time. ahead_s: what of it the uptime did not account for. waits_s: a clock's word that waits."""

    mark_s: int
    ahead_s: int = 0
    waits_s: int | None = None


def passed(known: Passage | None, reading_s: int, *, trusted: bool, elapsed_s: int) -> Passage:
    """Retention's time after `elapsed_s` of uptime, with the clock reading `reading_s`. known: None at the very first.

    elapsed_s: since the last call; 0 at the first of a process.
    """
    elapsed_s = max(elapsed_s, 0)
    if known is None:
        return Passage(reading_s if trusted else 0)
    by_uptime_s = known.mark_s + elapsed_s
    left_s = max(known.ahead_s - elapsed_s, 0)
    gain_s = max(reading_s - by_uptime_s, 0) if trusted else 0
    if left_s + gain_s > JUMP_MAX_S:
        return Passage(by_uptime_s, left_s, reading_s)
    return Passage(by_uptime_s + gain_s, left_s + gain_s)


def confirmed(reading_s: int) -> Passage:
    """Somebody said that the clock is right, also if it goes back: nothing is deleted for a time that was wrong."""
    return Passage(reading_s)


def event_cutoff(now_s: int, days: int, oldest_waiting_s: int | None) -> tuple[int, bool]:
    """Before which time this type's events are made unreadable, and whether a peer's queue held that back."""
    due_s = now_s - days * DAY_S
    if oldest_waiting_s is None or oldest_waiting_s >= due_s:
        return due_s, False
    return max(oldest_waiting_s, due_s - HELD_DAYS_MAX * DAY_S), True


def rules_of(register: Register) -> tuple[Rule, ...]:
    """What the register's times of keeping come to. Where two uses keep the same row, the longer one counts."""
    parts = (_part_rule(register, part) for part in Part)
    events: dict[EventType, EventRule] = {}
    for _, group in register.groups():
        for type_ in group.event_types:
            known = events.get(type_, EventRule(type_, 0))
            by_stay = known.by_stay or group.keep.since is Since.STAY
            events[type_] = EventRule(type_, max(group.keep.days, known.days), by_stay)
    return (*(rule for rule in parts if rule is not None), *(events[type_] for type_ in sorted(events)))


def days_of_all(register: Register) -> int:
    """How long after the stay the last of what is kept of a guest is over, but for what the law keeps apart."""
    keeps = (group.keep for case, group in register.groups() if case.about == "guests")
    return max(keep.days for keep in keeps if keep.since is Since.STAY and keep.law is None)


def _part_rule(register: Register, part: Part) -> PartRule | None:
    keeps = [group.keep for _, group in register.groups() if TABLES[part] & (group.tables | group.columns)]
    if not keeps:
        return None
    by_stay = part not in AGED or any(keep.since is Since.STAY for keep in keeps)
    return PartRule(part, max(keep.days for keep in keeps), aged=not by_stay)
