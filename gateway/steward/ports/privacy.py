"""What the privacy officer's work keeps: requests with their steps, reviews of broken glass, retention, incidents."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from steward.domain.events import EventType
from steward.domain.ids import GuestRef
from steward.domain.incident import Incident, IncidentId, IncidentStep
from steward.domain.requests import Request, RequestId, RequestStep
from steward.domain.retention import Part, RetentionRun
from steward.domain.viewing import LookUp, Purpose


class Finding(StrEnum):
    """What came of looking at an emergency again."""

    JUSTIFIED = "justified"
    NOT_JUSTIFIED = "not_justified"
    UNCLEAR = "unclear"  # somebody is asked


@dataclass(frozen=True, slots=True)
class GlassReview:
    """The officer's word on one broken glass. words: sealed with the guest's key."""

    look: int
    by: str
    at_s: int
    finding: Finding
    words: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class LookQuery:
    """Which look-ups are wanted; None and empty ask for nothing. Times are from, and up to but not at.

    gateway: only those that were made at this other gateway; empty: here.
    """

    guest: GuestRef | None = None
    actor: str = ""
    role: str = ""
    purpose: Purpose | None = None
    from_s: int = 0
    to_s: int = 2**53
    only_glass: bool = False
    gateway: str | None = None


@dataclass(frozen=True, slots=True)
class ActorLooks:
    """How much one crew member or program looked: at how many guests, how often, how often not tapped."""

    actor: str
    role: str
    guests: int
    looks: int
    untapped: int
    glass: int


class PrivacyTx(Protocol):
    """Part of ports.Tx."""

    # requests
    def put_request(self, request: Request, step: RequestStep) -> None:
        """A new request, or what became of one, with the step that did it.

        Raises Conflict if what was asked changes, if it was answered already, or if it is extended twice.
        """
        ...

    def request(self, id_: RequestId) -> Request | None: ...
    def waiting_requests(self) -> Sequence[Request]:
        """Those that have no answer yet, the one due first first."""
        ...

    def answered_requests(self, limit: int) -> Sequence[Request]:
        """Answered last first."""
        ...

    def requests_of(self, ref: GuestRef, limit: int) -> Sequence[Request]:
        """Newest first."""
        ...

    def request_steps(self, id_: RequestId) -> Sequence[RequestStep]:
        """In the order they were made."""
        ...

    def drop_request_words(self, ref: GuestRef) -> int:
        """Forget what was written in this guest's requests and reviews; that there were some stays. How many rows."""
        ...

    # look-ups, searched
    def find_looks(self, query: LookQuery, before_seq: int, limit: int) -> Sequence[LookUp]:
        """Newest first, below `before_seq`."""
        ...

    def looks_by_actor(self, from_s: int, to_s: int, limit: int) -> Sequence[ActorLooks]:
        """Who looked at most guests in this time, most first."""
        ...

    # broken glass
    def put_review(self, review: GlassReview) -> None:
        """Raises Conflict if this look is no broken glass, or has been reviewed by a final word."""
        ...

    def reviews(self, looks: Collection[int]) -> Mapping[int, GlassReview]: ...
    def reviews_alone(self, limit: int) -> Sequence[GlassReview]:
        """Of emergencies whose look says nothing any more, because its guest was forgotten; newest first."""
        ...

    def unreviewed_glass(self) -> int:
        """How many broken glasses nobody has come to a finding about."""
        ...

    # retention
    def left_with(self, part: Part, left_before_s: int, limit: int) -> Sequence[GuestRef]:
        """Guests, not crew, whose stay was over by then and of whom this part is still here; by ref.

        Of Part.HEALTH only while writing: who only reads is not told who has any.
        """
        ...

    def count_left_with(self, part: Part, left_before_s: int) -> int: ...
    def forgotten_next(self, left_before_s: int, limit: int) -> Sequence[GuestRef]:
        """Guests, not crew, whose stay was over by then and whom nobody has asked to forget yet; by ref."""
        ...

    def drop_part(self, part: Part, ref: GuestRef) -> int:
        """Delete this part of a guest. How many rows."""
        ...

    def drop_aged(self, part: Part, before_s: int, limit: int) -> int:
        """Delete rows of this part (one of domain.retention.AGED) whose own time is before `before_s`; how many."""
        ...

    def count_aged(self, part: Part, before_s: int) -> int: ...
    def redact_left(self, type_: EventType, before_s: int, unknown_before_s: int, limit: int) -> int:
        """Make events of this type unreadable whose guest's stay was over at `before_s`; how many.

        Those that name no guest that is here: if they were recorded before `unknown_before_s`.
        """
        ...

    def count_events_before(self, type_: EventType, before_s: int) -> int:
        """Events of this type and older than this whose payload can still be read."""
        ...

    def count_events_left(self, type_: EventType, before_s: int, unknown_before_s: int) -> int:
        """As redact_left would make unreadable, without a limit."""
        ...

    def put_run(self, run: RetentionRun) -> None: ...
    def runs(self, limit: int) -> Sequence[RetentionRun]:
        """Newest first."""
        ...

    # incidents
    def put_incident(self, incident: Incident) -> None:
        """Raises Conflict if its id is known and it says something else."""
        ...

    def incident(self, id_: IncidentId) -> Incident | None: ...
    def incidents(self, limit: int) -> Sequence[Incident]:
        """Newest first."""
        ...

    def put_incident_step(self, step: IncidentStep) -> None:
        """Insert or replace by incident and step. Raises Conflict if it is done already and this says otherwise."""
        ...

    def incident_steps(self, id_: IncidentId) -> Sequence[IncidentStep]: ...
