"""The privacy officer's tables: ports.privacy in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from steward.adapters.memory_consent import ConsentState
from steward.adapters.memory_context import ContextState
from steward.adapters.memory_decisions import DecisionState
from steward.adapters.memory_lookups import LookUpState
from steward.adapters.memory_service import ServiceState
from steward.adapters.memory_sync import EventLog
from steward.adapters.memory_tables import Tables
from steward.adapters.store_rules import encode_payload
from steward.domain.erasure import Erasure
from steward.domain.events import ERASED_PAYLOAD, EventType
from steward.domain.guests import Guest
from steward.domain.ids import GuestRef
from steward.domain.incident import Incident, IncidentId, IncidentStep, StepState
from steward.domain.requests import Request, RequestId, RequestState, RequestStep
from steward.domain.retention import Part, RetentionRun
from steward.domain.viewing import LookUp
from steward.errors import Conflict
from steward.ports.privacy import ActorLooks, Finding, GlassReview, LookQuery

_ALL = 2**53


class PrivacyState:
    """What this part of the store keeps; each in the order it came."""

    def __init__(self) -> None:
        self.requests: dict[RequestId, Request] = {}
        self.steps: dict[RequestId, tuple[RequestStep, ...]] = {}
        self.reviews: dict[int, tuple[GuestRef, GlassReview]] = {}
        self.runs: dict[int, RetentionRun] = {}
        self.incidents: dict[IncidentId, Incident] = {}
        self.incident_steps: dict[tuple[IncidentId, str], IncidentStep] = {}


class MemoryPrivacyTx(Tables):
    """Part of MemoryTx."""

    if TYPE_CHECKING:

        def look_ups(self, after_seq: int, limit: int) -> Sequence[LookUp]:
            """Of other parts, and likewise below."""
            ...

        def guests(self) -> Sequence[Guest]: ...
        def erasure(self, ref: GuestRef) -> Erasure | None: ...
        def _redact(self, epoch: int, seq: int) -> None: ...
        def drop_look_contents(self, ref: GuestRef) -> int: ...
        def drop_health(self, ref: GuestRef) -> None: ...
        def drop_photo(self, ref: GuestRef) -> None: ...
        def drop_offers(self, ref: GuestRef) -> None: ...
        def drop_decisions(self, ref: GuestRef) -> None: ...
        def drop_consents(self, ref: GuestRef) -> None: ...

    @property
    def _privacy(self) -> PrivacyState:
        return self._part(PrivacyState)

    # requests

    def put_request(self, request: Request, step: RequestStep) -> None:
        state = self._privacy
        _check_request(state.requests.get(request.id), request)
        self._put(state.requests, request.id, request)
        self._put(state.steps, request.id, (*state.steps.get(request.id, ()), step))

    def request(self, id_: RequestId) -> Request | None:
        return self._privacy.requests.get(id_)

    def waiting_requests(self) -> Sequence[Request]:
        return sorted((r for r in self._privacy.requests.values() if r.waits), key=lambda request: request.due_s)

    def answered_requests(self, limit: int) -> Sequence[Request]:
        answered = [r for r in self._privacy.requests.values() if r.closed_s is not None]
        newest = sorted(answered, key=lambda request: request.closed_s or 0)[::-1]
        return newest[: max(limit, 0)]

    def requests_of(self, ref: GuestRef, limit: int) -> Sequence[Request]:
        own = [request for request in self._privacy.requests.values() if request.guest == ref]
        return own[::-1][: max(limit, 0)]

    def request_steps(self, id_: RequestId) -> Sequence[RequestStep]:
        return self._privacy.steps.get(id_, ())

    def drop_request_words(self, ref: GuestRef) -> int:
        state, count = self._privacy, 0
        for request in [r for r in state.requests.values() if r.guest == ref]:
            steps = state.steps[request.id]
            count += sum(step.words != b"" for step in steps)
            self._put(state.steps, request.id, tuple(replace(step, words=b"") for step in steps))
        for look, (guest, review) in list(state.reviews.items()):
            if guest == ref and review.words:
                count += 1
                self._put(state.reviews, look, (guest, replace(review, words=b"")))
        return count

    # look-ups, searched

    def find_looks(self, query: LookQuery, before_seq: int, limit: int) -> Sequence[LookUp]:
        found = [look for look in self.look_ups(0, _ALL) if look.seq < before_seq and _is_wanted(look, query)]
        return found[::-1][: max(limit, 0)]

    def looks_by_actor(self, from_s: int, to_s: int, limit: int) -> Sequence[ActorLooks]:
        groups: defaultdict[tuple[str, str], list[LookUp]] = defaultdict(list)
        for look in self.find_looks(LookQuery(from_s=from_s, to_s=to_s), _ALL, _ALL):
            groups[look.actor, look.role].append(look)
        rows = [
            ActorLooks(
                actor,
                role,
                len({look.guest for look in looks}),
                len(looks),
                sum(not look.tapped for look in looks),
                sum(look.broke_glass for look in looks),
            )
            for (actor, role), looks in groups.items()
        ]
        return sorted(rows, key=lambda row: (-row.guests, -row.looks, row.actor, row.role))[: max(limit, 0)]

    # broken glass

    def put_review(self, review: GlassReview) -> None:
        look = next(iter(self.look_ups(review.look - 1, 1)), None)
        if look is None or look.seq != review.look or not look.broke_glass or look.actor == review.by:
            raise Conflict("review: no broken glass of somebody else")
        known = self._privacy.reviews.get(review.look)
        if known is not None and known[1].finding is not Finding.UNCLEAR:
            raise Conflict("review: a finding stays as it was")
        self._put(self._privacy.reviews, review.look, (look.guest, review))

    def reviews(self, looks: Collection[int]) -> Mapping[int, GlassReview]:
        return {look: self._privacy.reviews[look][1] for look in looks if look in self._privacy.reviews}

    def reviews_alone(self, limit: int) -> Sequence[GlassReview]:
        glass = self._glass()
        alone = [review for _, review in self._privacy.reviews.values() if review.look not in glass]
        return sorted(alone, key=lambda review: (-review.at_s, -review.look))[: max(limit, 0)]

    def _glass(self) -> set[int]:
        """Emergencies that can still be read."""
        return {look.seq for look in self.look_ups(0, _ALL) if look.broke_glass}

    def unreviewed_glass(self) -> int:
        known = self._privacy.reviews
        closed = {look for look, (_, review) in known.items() if review.finding is not Finding.UNCLEAR}
        return len(self._glass() - closed)

    # retention

    def left_with(self, part: Part, left_before_s: int, limit: int) -> Sequence[GuestRef]:
        left = {guest.ref for guest in self.guests() if not guest.crew and guest.not_after_s <= left_before_s}
        return sorted(left & self._holders(part).keys())[: max(limit, 0)]

    def count_left_with(self, part: Part, left_before_s: int) -> int:
        return len(self.left_with(part, left_before_s, _ALL))

    def forgotten_next(self, left_before_s: int, limit: int) -> Sequence[GuestRef]:
        left = {guest.ref for guest in self.guests() if not guest.crew and guest.not_after_s <= left_before_s}
        return sorted(ref for ref in left if self.erasure(ref) is None)[: max(limit, 0)]

    def drop_part(self, part: Part, ref: GuestRef) -> int:
        count = self._holders(part).get(ref, 0)
        if part is Part.LOOK_UP:
            return self.drop_look_contents(ref)
        drops: Mapping[Part, Callable[[GuestRef], None]] = {
            Part.PROFILE: lambda ref: self._drop(self._part(LookUpState).profiles, ref),
            Part.HEALTH: self.drop_health,
            Part.PHOTO: self.drop_photo,
            Part.NOTE: self._drop_notes,
            Part.CASE: self._drop_cases,
            Part.OFFER: self.drop_offers,
            Part.DECISION: self.drop_decisions,
            Part.CONSENT: self.drop_consents,
            Part.SIGNAL: self._drop_signals,
            Part.COMPANY: lambda ref: self._drop(self._part(ContextState).companies, ref),
            Part.REQUEST: self._drop_requests,
            Part.REVIEW: self._drop_reviews,
        }
        drops[part](ref)
        return count

    def _holders(self, part: Part) -> Mapping[GuestRef, int]:
        """Of whom there is something, and how many rows."""
        looks, decisions = self._part(LookUpState), self._part(DecisionState)
        consents, context = self._part(ConsentState), self._part(ContextState)
        rows: Mapping[Part, Callable[[], list[GuestRef]]] = {
            Part.PROFILE: lambda: [*looks.profiles],
            Part.HEALTH: lambda: [ref for ref, known in looks.profiles.items() if known.allergies or known.diet],
            Part.PHOTO: lambda: [*looks.photos],
            Part.NOTE: lambda: [note.guest for note in looks.notes.values()],
            Part.CASE: lambda: [case.guest for case in looks.cases.values()],
            Part.OFFER: lambda: [offer.guest for offer in self._part(ServiceState).offers.values()],
            Part.DECISION: lambda: [*(ref for ref, _ in decisions.lots), *(d.guest for _, d in decisions.log.values())],
            Part.CONSENT: lambda: [
                *(ref for ref, _ in consents.consents),
                *(ref for ref, said in consents.history.items() for _ in said),
            ],
            Part.SIGNAL: lambda: [
                *(ref for ref, _ in context.switches),
                *(ref for ref, said in context.history.items() for _ in said),
            ],
            Part.COMPANY: lambda: [*context.companies],
            Part.REQUEST: lambda: [request.guest for request in self._privacy.requests.values()],
            Part.REVIEW: lambda: [guest for guest, _ in self._privacy.reviews.values()],
            Part.LOOK_UP: lambda: [look.guest for look in self.look_ups(0, _ALL)],
        }
        counts: defaultdict[GuestRef, int] = defaultdict(int)
        for ref in rows[part]():
            counts[ref] += 1
        return counts

    def _drop_notes(self, ref: GuestRef) -> None:
        notes = self._part(LookUpState).notes
        for id_ in [note.id for note in notes.values() if note.guest == ref]:
            self._drop(notes, id_)

    def _drop_cases(self, ref: GuestRef) -> None:
        cases = self._part(LookUpState).cases
        for id_ in [case.id for case in cases.values() if case.guest == ref]:
            self._drop(cases, id_)

    def _drop_signals(self, ref: GuestRef) -> None:
        state = self._part(ContextState)
        for key in [key for key in state.switches if key[0] == ref]:
            self._drop(state.switches, key)
        self._drop(state.history, ref)

    def _drop_requests(self, ref: GuestRef) -> None:
        for id_ in [request.id for request in self._privacy.requests.values() if request.guest == ref]:
            self._drop(self._privacy.requests, id_)
            self._drop(self._privacy.steps, id_)

    def _drop_reviews(self, ref: GuestRef) -> None:
        reviews = self._privacy.reviews
        for look in [look for look, (guest, _) in reviews.items() if guest == ref]:
            self._drop(reviews, look)

    def drop_aged(self, part: Part, before_s: int, limit: int) -> int:
        table, old = self._aged(part, before_s)
        for key in old[: max(limit, 0)]:
            self._drop(table, key)
            if part is Part.REQUEST:
                self._drop(self._privacy.steps, key)
        return len(old[: max(limit, 0)])

    def count_aged(self, part: Part, before_s: int) -> int:
        return len(self._aged(part, before_s)[1])

    def _aged(self, part: Part, before_s: int) -> tuple[dict[Any, Any], list[Any]]:
        """The table, and the keys of what is older."""
        looks, offers, requests = self._part(LookUpState), self._part(ServiceState).offers, self._privacy.requests
        glass = self._glass() if part is Part.REVIEW else set()
        tables: Mapping[Part, tuple[dict[Any, Any], Callable[[Any], int | None]]] = {
            Part.NOTE: (looks.notes, lambda note: note.at_s),
            Part.CASE: (looks.cases, lambda case: case.opened_s if case.closed_s is None else case.closed_s),
            Part.OFFER: (offers, lambda offer: offer.at_s),
            Part.REQUEST: (requests, lambda request: request.closed_s),
            Part.REVIEW: (self._privacy.reviews, lambda row: None if row[1].look in glass else row[1].at_s),
        }
        table, time = tables[part]
        return table, [key for key, row in table.items() if (at_s := time(row)) is not None and at_s < before_s]

    def redact_left(self, type_: EventType, before_s: int, unknown_before_s: int, limit: int) -> int:
        due = self._events_left(type_, before_s, unknown_before_s)[: max(limit, 0)]
        for _, epoch, seq in due:
            self._redact(epoch, seq)
        return len(due)

    def count_events_before(self, type_: EventType, before_s: int) -> int:
        return len(self._events_before(type_, before_s))

    def count_events_left(self, type_: EventType, before_s: int, unknown_before_s: int) -> int:
        return len(self._events_left(type_, before_s, unknown_before_s))

    def _events_before(self, type_: EventType, before_s: int) -> list[tuple[int, int, int]]:
        erased = encode_payload(ERASED_PAYLOAD)
        return sorted(
            (at_s, epoch, seq)
            for epoch, rows in self._part(EventLog).rows.items()
            for seq, (kind, at_s, payload) in rows.items()
            if kind is type_ and at_s < before_s and payload != erased
        )

    def _events_left(self, type_: EventType, before_s: int, unknown_before_s: int) -> list[tuple[int, int, int]]:
        guests, named = {guest.ref: guest for guest in self.guests()}, self._part(EventLog).guests

        def is_due(at_s: int, epoch: int, seq: int) -> bool:
            guest = guests.get(named.get((epoch, seq), GuestRef("")))
            return at_s < unknown_before_s if guest is None else guest.not_after_s <= before_s

        return [event for event in self._events_before(type_, before_s) if is_due(*event)]

    def put_run(self, run: RetentionRun) -> None:
        if run.deleted < 1:
            raise Conflict("retention: a run that deleted nothing is not kept")
        self._put(self._privacy.runs, len(self._privacy.runs), run)

    def runs(self, limit: int) -> Sequence[RetentionRun]:
        return list(self._privacy.runs.values())[::-1][: max(limit, 0)]

    # incidents

    def put_incident(self, incident: Incident) -> None:
        known = self.incident(incident.id)
        if known is not None and known != incident:
            raise Conflict("incident: it stays as it was declared")
        self._put(self._privacy.incidents, incident.id, incident)

    def incident(self, id_: IncidentId) -> Incident | None:
        return self._privacy.incidents.get(id_)

    def incidents(self, limit: int) -> Sequence[Incident]:
        return list(self._privacy.incidents.values())[::-1][: max(limit, 0)]

    def put_incident_step(self, step: IncidentStep) -> None:
        key = (step.incident, step.step)
        known = self._privacy.incident_steps.get(key)
        if step.incident not in self._privacy.incidents:
            raise Conflict("incident: unknown")
        if known is not None and known != step and known.state is StepState.DONE:
            raise Conflict("incident: what is done is done")
        self._put(self._privacy.incident_steps, key, step)

    def incident_steps(self, id_: IncidentId) -> Sequence[IncidentStep]:
        own = [step for (incident, _), step in self._privacy.incident_steps.items() if incident == id_]
        return sorted(own, key=lambda step: (step.at_s, step.step))


def _is_wanted(look: LookUp, query: LookQuery) -> bool:
    return (
        (query.guest is None or look.guest == query.guest)
        and query.actor in ("", look.actor)
        and query.role in ("", look.role)
        and query.purpose in (None, look.purpose)
        and query.from_s <= look.at_s < query.to_s
        and (look.broke_glass or not query.only_glass)
        and query.gateway in (None, look.gateway)
    )


def _check_request(known: Request | None, request: Request) -> None:
    """What the database's triggers and checks hold."""
    answered = request.closed_s is not None
    timely = request.opened_s < request.due_s and (request.closed_s is None or request.opened_s <= request.closed_s)
    if answered is request.waits or answered is not bool(request.closed_by) or not timely:
        raise Conflict("request: an answer has a time and somebody who gave it")
    if known is None:
        return
    asked = replace(
        request,
        state=known.state,
        due_s=known.due_s,
        closed_s=known.closed_s,
        closed_by=known.closed_by,
        linked=known.linked,
    )
    extends = request.state is RequestState.EXTENDED
    moved = request.due_s != known.due_s
    if asked != known or known.closed_s is not None or request.state is RequestState.OPEN or moved is not extends:
        raise Conflict("request: what was asked stays, and it is answered once")
    if extends and (known.state is not RequestState.OPEN or request.due_s <= known.due_s):
        raise Conflict("request: what was asked stays, and it is answered once")
