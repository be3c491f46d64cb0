"""The privacy officer's tables: ports.privacy on SQLite."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from steward.adapters.sqlite.statements import Statements, select
from steward.adapters.sqlite.vault import ERASED_BYTES
from steward.adapters.store_items import encode_pair
from steward.adapters.vault import OVERHEAD_BYTES
from steward.domain.events import EventType
from steward.domain.ids import GuestRef
from steward.domain.incident import DeviceKind, Incident, IncidentId, IncidentStep, StepState
from steward.domain.requests import Request, RequestId, RequestState, RequestStep, Right
from steward.domain.retention import Part, RetentionRun
from steward.domain.viewing import LookUp
from steward.ports.privacy import ActorLooks, Finding, GlassReview, LookQuery

_ASKED = ("id", "guest", "right", "opened_s", "opened_by")
_ANSWER = ("due_s", "state", "closed_s", "closed_by", "linked")
_REQUEST = (*_ASKED, *_ANSWER)
_STEP = ("request", "at_s", "by", "state", "words")
_REVIEW = ("look", "by", "at_s", "finding", "words")
_RUN = ("at_s", "rule", "deleted", "before_s", "held")
_INCIDENT = ("id", "kind", "device", "from_s", "to_s", "declared_s", "by", "guests")
_INCIDENT_STEP = ("incident", "step", "state", "at_s", "detail")

# Not an upsert: the triggers tell what was asked from its answer.
ANSWER_REQUEST = (
    f"UPDATE request SET {', '.join(f'{name} = ?' for name in (*_ASKED[1:], *_ANSWER))} "  # noqa: S608
    "WHERE id = ? RETURNING seq"
)
ASK_REQUEST = f"INSERT INTO request ({', '.join(_REQUEST)}) VALUES ({', '.join('?' * len(_REQUEST))})"  # noqa: S608
ADD_STEP = f"INSERT INTO request_step ({', '.join(_STEP)}) VALUES ({', '.join('?' * len(_STEP))})"  # noqa: S608
REQUEST = select(_REQUEST, "FROM request WHERE id = ?")
WAITING = select(_REQUEST, "FROM request WHERE closed_s IS NULL ORDER BY due_s, seq")
ANSWERED = select(_REQUEST, "FROM request WHERE closed_s IS NOT NULL ORDER BY closed_s DESC, seq DESC LIMIT ?")
REQUESTS_OF = select(_REQUEST, "FROM request WHERE guest = ? ORDER BY seq DESC LIMIT ?")
STEPS = select(_STEP, "FROM request_step WHERE request = ? ORDER BY seq")
DROP_STEP_WORDS = """
UPDATE request_step SET words = x'' WHERE request IN (SELECT id FROM request WHERE guest = ?) AND length(words) > 0
RETURNING seq
"""
DROP_REVIEW_WORDS = "UPDATE glass_review SET words = x'' WHERE guest = ? AND length(words) > 0 RETURNING look"

_FOUND = """
WHERE seq < ?1 AND (?2 IS NULL OR guest = ?2) AND (?3 = '' OR actor = ?3) AND (?4 = '' OR role = ?4)
AND (?5 IS NULL OR purpose = ?5) AND at_s >= ?6 AND at_s < ?7 AND (?8 = 0 OR way = 'broke_glass')
AND (?9 IS NULL OR gateway = ?9) AND way <> 'erased' ORDER BY seq DESC LIMIT ?10
"""
# Each of them has an index to walk: the planner cannot choose one from parameters that may be NULL.
FIND_LOOKS = f"SELECT seq FROM look_up {_FOUND}"  # noqa: S608
FIND_LOOKS_OF_GUEST = f"SELECT seq FROM look_up INDEXED BY look_up_of_guest {_FOUND}".replace(  # noqa: S608
    "(?2 IS NULL OR guest = ?2)", "guest = ?2"
)
FIND_LOOKS_OF_ACTOR = f"SELECT seq FROM look_up INDEXED BY look_up_by_actor {_FOUND}".replace(  # noqa: S608
    "(?3 = '' OR actor = ?3)", "actor = ?3"
)
BY_ACTOR = """
SELECT actor, role, count(DISTINCT guest), count(*), sum(way <> 'tapped'), sum(way = 'broke_glass') FROM look_up
WHERE at_s >= ? AND at_s < ? AND way <> 'erased' GROUP BY actor, role ORDER BY 3 DESC, 4 DESC, actor, role LIMIT ?
"""
GLASS_OF = "SELECT guest FROM look_up WHERE seq = ? AND way = 'broke_glass'"
ADD_REVIEW = """
INSERT INTO glass_review (look, by, at_s, finding, words, guest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (look) DO UPDATE SET by = ?2, at_s = ?3, finding = ?4, words = ?5
"""
REVIEWS = select(_REVIEW, "FROM glass_review WHERE look IN (SELECT value FROM json_each(?))")
_ALONE = "NOT EXISTS (SELECT 1 FROM look_up WHERE seq = look AND way = 'broke_glass')"
REVIEWS_ALONE = select(_REVIEW, f"FROM glass_review WHERE {_ALONE} ORDER BY at_s DESC, look DESC LIMIT ?")
UNREVIEWED = """
SELECT count(*) FROM look_up AS l WHERE l.way = 'broke_glass'
AND NOT EXISTS (SELECT 1 FROM glass_review AS r WHERE r.look = l.seq AND r.finding <> 'unclear')
"""
# As a literal: with it an index of what can still be read will do.
COUNT_EVENTS = f"SELECT count(*) FROM event WHERE type = ? AND at_s < ? AND payload <> x'{ERASED_BYTES.hex()}'"  # noqa: S608
# What is younger than `before_s` cannot be of a stay that was over by then: so little more than what goes is looked at.
_LEFT = f"""
FROM event AS e LEFT JOIN guest AS g ON g.ref = e.guest
WHERE e.type = ?1 AND e.at_s < ?2 AND e.payload <> x'{ERASED_BYTES.hex()}'
AND CASE WHEN g.ref IS NULL THEN e.at_s < ?3 ELSE g.not_after_s <= ?2 END
"""
REDACT_LEFT = f"""
UPDATE event SET payload = ?4, guest = NULL
WHERE (epoch, seq) IN (SELECT e.epoch, e.seq {_LEFT} ORDER BY e.at_s, e.epoch, e.seq LIMIT ?5) RETURNING seq
"""  # noqa: S608
COUNT_LEFT = f"SELECT count(*) {_LEFT}"
PUT_RUN = f"INSERT INTO retention_run ({', '.join(_RUN)}) VALUES ({', '.join('?' * len(_RUN))})"  # noqa: S608
RUNS = select(_RUN, "FROM retention_run ORDER BY seq DESC LIMIT ?")
PUT_INCIDENT = f"INSERT INTO incident ({', '.join(_INCIDENT)}) VALUES ({', '.join('?' * len(_INCIDENT))})"  # noqa: S608
INCIDENT = select(_INCIDENT, "FROM incident WHERE id = ?")
INCIDENTS = select(_INCIDENT, "FROM incident ORDER BY seq DESC LIMIT ?")
PUT_STEP = """
INSERT INTO incident_step (incident, step, state, at_s, detail) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (incident, step) DO UPDATE SET state = ?3, at_s = ?4, detail = ?5
"""
INCIDENT_STEPS = select(_INCIDENT_STEP, "FROM incident_step WHERE incident = ? ORDER BY at_s, step")

# The tables of each part with their column of the guest, in the order in which rows may go.
_TABLES: Mapping[Part, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        Part.PROFILE: (("profile", "ref"),),
        Part.PHOTO: (("photo", "ref"),),
        Part.NOTE: (("note", "guest"),),
        Part.CASE: (("recovery_case", "guest"),),
        Part.OFFER: (("offer", "guest"),),
        Part.DECISION: (("decision_lot", "guest"), ("decision", "guest")),
        Part.CONSENT: (("consent", "guest"), ("consent_change", "guest")),
        Part.SIGNAL: (("signal_switch", "guest"), ("signal_change", "guest")),
        Part.COMPANY: (("stay_company", "guest"),),
        Part.REQUEST: (("request", "guest"),),
        Part.REVIEW: (("glass_review", "guest"),),
        Part.LOOK_UP: (("look_up", "guest"),),
    }
)


# An empty one sealed is as long as this, and whatever is in it makes it longer.
_NO_HEALTH_BYTES = OVERHEAD_BYTES + len(encode_pair("", ""))


def _left_with(part: Part) -> str:
    if part is Part.HEALTH:
        has = f"EXISTS (SELECT 1 FROM profile WHERE ref = g.ref AND length(health) > {_NO_HEALTH_BYTES})"  # noqa: S608
        return f"FROM guest AS g WHERE g.crew = 0 AND g.not_after_s <= ? AND {has}"
    has = " OR ".join(f"EXISTS (SELECT 1 FROM {table} WHERE {guest} = g.ref)" for table, guest in _TABLES[part])  # noqa: S608
    return f"FROM guest AS g WHERE g.crew = 0 AND g.not_after_s <= ? AND ({has})"


LEFT_WITH = {part: f"SELECT g.ref {_left_with(part)} ORDER BY g.ref LIMIT ?" for part in Part}
COUNT_LEFT_WITH = {part: f"SELECT count(*) {_left_with(part)}" for part in Part}
FORGOTTEN_NEXT = """
SELECT ref FROM guest AS g WHERE crew = 0 AND not_after_s <= ?
AND NOT EXISTS (SELECT 1 FROM erasure AS e WHERE e.ref = g.ref) ORDER BY ref LIMIT ?
"""
DROP_PART = {
    part: tuple(f"DELETE FROM {table} WHERE {guest} = ? RETURNING 1" for table, guest in tables)  # noqa: S608
    for part, tables in _TABLES.items()
    if part is not Part.LOOK_UP
}
# The table of each part, its key, and what is over. A finding goes no sooner than the look it is about: else that
# emergency would wait for a review again.
_AGED: Mapping[Part, tuple[str, str, str]] = MappingProxyType(
    {
        Part.NOTE: ("note", "id", "at_s < ?"),
        Part.CASE: ("recovery_case", "id", "coalesce(closed_s, opened_s) < ?"),
        Part.OFFER: ("offer", "id", "at_s < ?"),
        Part.REQUEST: ("request", "id", "closed_s < ?"),
        Part.REVIEW: ("glass_review", "look", f"at_s < ? AND {_ALONE}"),
    }
)
DROP_AGED = {
    part: f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {over} LIMIT ?) RETURNING 1"  # noqa: S608
    for part, (table, key, over) in _AGED.items()
}
COUNT_AGED = {part: f"SELECT count(*) FROM {table} WHERE {over}" for part, (table, _, over) in _AGED.items()}  # noqa: S608


class PrivacyTx(Statements):
    if TYPE_CHECKING:

        def look_ups(self, after_seq: int, limit: int) -> Sequence[LookUp]:
            """Of LookUpTx."""
            ...

        def drop_health(self, ref: GuestRef) -> None: ...
        def drop_look_contents(self, ref: GuestRef) -> int:
            """Of LookTreeTx."""
            ...

    # requests

    def put_request(self, request: Request, step: RequestStep) -> None:
        asked = (request.guest, request.right.value, request.opened_s, request.opened_by)
        answer = (request.due_s, request.state.value, request.closed_s, request.closed_by, request.linked)
        if not self._change(ANSWER_REQUEST, (*asked, *answer, request.id)):
            self._change(ASK_REQUEST, (request.id, *asked, *answer))
        self._change(ADD_STEP, (step.request, step.at_s, step.by, step.state.value, step.words))

    def request(self, id_: RequestId) -> Request | None:
        row = self._one(REQUEST, (id_,))
        return None if row is None else _request(row)

    def waiting_requests(self) -> Sequence[Request]:
        return [_request(row) for row in self._all(WAITING)]

    def answered_requests(self, limit: int) -> Sequence[Request]:
        return [_request(row) for row in self._all(ANSWERED, (max(limit, 0),))]

    def requests_of(self, ref: GuestRef, limit: int) -> Sequence[Request]:
        return [_request(row) for row in self._all(REQUESTS_OF, (ref, max(limit, 0)))]

    def request_steps(self, id_: RequestId) -> Sequence[RequestStep]:
        return [
            RequestStep(RequestId(request), at_s, by, RequestState(state), words)
            for request, at_s, by, state, words in self._all(STEPS, (id_,))
        ]

    def drop_request_words(self, ref: GuestRef) -> int:
        return len(self._change(DROP_STEP_WORDS, (ref,))) + len(self._change(DROP_REVIEW_WORDS, (ref,)))

    # look-ups, searched

    def find_looks(self, query: LookQuery, before_seq: int, limit: int) -> Sequence[LookUp]:
        statement = FIND_LOOKS_OF_GUEST if query.guest else FIND_LOOKS_OF_ACTOR if query.actor else FIND_LOOKS
        purpose = None if query.purpose is None else query.purpose.value
        who = (query.guest, query.actor, query.role, purpose)
        what = (query.from_s, query.to_s, query.only_glass, query.gateway)
        rows = self._all(statement, (before_seq, *who, *what, max(limit, 0)))
        return [look for (seq,) in rows for look in self.look_ups(seq - 1, 1)]

    def looks_by_actor(self, from_s: int, to_s: int, limit: int) -> Sequence[ActorLooks]:
        return [ActorLooks(*row) for row in self._all(BY_ACTOR, (from_s, to_s, max(limit, 0)))]

    # broken glass

    def put_review(self, review: GlassReview) -> None:
        row = self._one(GLASS_OF, (review.look,))
        guest = "" if row is None else row[0]
        values = (review.look, review.by, review.at_s, review.finding.value, review.words, guest)
        self._change(ADD_REVIEW, values)

    def reviews(self, looks: Collection[int]) -> Mapping[int, GlassReview]:
        rows = self._all(REVIEWS, (json.dumps(sorted(looks)),))
        return {row[0]: _review(row) for row in rows}

    def reviews_alone(self, limit: int) -> Sequence[GlassReview]:
        return [_review(row) for row in self._all(REVIEWS_ALONE, (max(limit, 0),))]

    def unreviewed_glass(self) -> int:
        count: int = self._one(UNREVIEWED)[0]
        return count

    # retention

    def left_with(self, part: Part, left_before_s: int, limit: int) -> Sequence[GuestRef]:
        return [GuestRef(ref) for (ref,) in self._all(LEFT_WITH[part], (left_before_s, max(limit, 0)))]

    def count_left_with(self, part: Part, left_before_s: int) -> int:
        count: int = self._one(COUNT_LEFT_WITH[part], (left_before_s,))[0]
        return count

    def forgotten_next(self, left_before_s: int, limit: int) -> Sequence[GuestRef]:
        return [GuestRef(ref) for (ref,) in self._all(FORGOTTEN_NEXT, (left_before_s, max(limit, 0)))]

    def drop_part(self, part: Part, ref: GuestRef) -> int:
        if part is Part.LOOK_UP:
            return self.drop_look_contents(ref)
        if part is Part.HEALTH:
            self.drop_health(ref)
            return 1
        return sum(len(self._change(statement, (ref,))) for statement in DROP_PART[part])

    def drop_aged(self, part: Part, before_s: int, limit: int) -> int:
        return len(self._change(DROP_AGED[part], (before_s, max(limit, 0))))

    def count_aged(self, part: Part, before_s: int) -> int:
        count: int = self._one(COUNT_AGED[part], (before_s,))[0]
        return count

    def redact_left(self, type_: EventType, before_s: int, unknown_before_s: int, limit: int) -> int:
        values = (int(type_), before_s, unknown_before_s, ERASED_BYTES, max(limit, 0))
        return len(self._change(REDACT_LEFT, values))

    def count_events_before(self, type_: EventType, before_s: int) -> int:
        count: int = self._one(COUNT_EVENTS, (int(type_), before_s))[0]
        return count

    def count_events_left(self, type_: EventType, before_s: int, unknown_before_s: int) -> int:
        count: int = self._one(COUNT_LEFT, (int(type_), before_s, unknown_before_s))[0]
        return count

    def put_run(self, run: RetentionRun) -> None:
        self._change(PUT_RUN, (run.at_s, run.rule, run.deleted, run.before_s, run.held))

    def runs(self, limit: int) -> Sequence[RetentionRun]:
        return [
            RetentionRun(at_s, rule, deleted, before_s, bool(held))
            for at_s, rule, deleted, before_s, held in self._all(RUNS, (max(limit, 0),))
        ]

    # incidents

    def put_incident(self, incident: Incident) -> None:
        if self.incident(incident.id) == incident:
            return
        window = (incident.from_s, incident.to_s, incident.declared_s)
        values = (incident.id, incident.kind.value, incident.device, *window, incident.by, incident.guests)
        self._change(PUT_INCIDENT, values)

    def incident(self, id_: IncidentId) -> Incident | None:
        row = self._one(INCIDENT, (id_,))
        return None if row is None else _incident(row)

    def incidents(self, limit: int) -> Sequence[Incident]:
        return [_incident(row) for row in self._all(INCIDENTS, (max(limit, 0),))]

    def put_incident_step(self, step: IncidentStep) -> None:
        known = {each.step: each for each in self.incident_steps(step.incident)}
        if known.get(step.step) != step:
            self._change(PUT_STEP, (step.incident, step.step, step.state.value, step.at_s, step.detail))

    def incident_steps(self, id_: IncidentId) -> Sequence[IncidentStep]:
        return [
            IncidentStep(IncidentId(incident), step, StepState(state), at_s, detail)
            for incident, step, state, at_s, detail in self._all(INCIDENT_STEPS, (id_,))
        ]


def _request(row: Sequence[Any]) -> Request:
    id_, guest, right, opened_s, opened_by, due_s, state, closed_s, closed_by, linked = row
    return Request(
        id=RequestId(id_),
        guest=GuestRef(guest),
        right=Right(right),
        opened_s=opened_s,
        opened_by=opened_by,
        due_s=due_s,
        state=RequestState(state),
        closed_s=closed_s,
        closed_by=closed_by,
        linked=linked,
    )


def _review(row: Sequence[Any]) -> GlassReview:
    look, by, at_s, found, words = row
    return GlassReview(look, by, at_s, Finding(found), words)


def _incident(row: Sequence[Any]) -> Incident:
    id_, kind, device, from_s, to_s, declared_s, by, guests = row
    return Incident(IncidentId(id_), DeviceKind(kind), device, from_s, to_s, declared_s, by, guests)
