"""Requests of guests by right, run to the end: opened, extended with a reason, answered; and the clock over them all.

What is written in them is sealed with the guest's key, so erasing the guest forgets it; that somebody asked, when, and
what came of it, stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from steward.domain.events import EventType, NewEvent, fact
from steward.domain.ids import GuestRef
from steward.domain.requests import (
    MONTHS,
    OPEN_EACH_MAX,
    TEXT_MAX,
    DueCounts,
    Request,
    RequestId,
    RequestState,
    RequestStep,
    Right,
    closed,
    count_due,
    due_after,
    extend_problem,
    extended,
    is_words,
)
from steward.domain.viewing import Field, Viewer
from steward.errors import Erased, NotFound, Refused
from steward.ports import Clock, Entropy, Store, Tx
from steward.services.lookups import LookupService, guest_in
from steward.services.notracking import object_in

ANSWERED_SHOWN = 50
OF_GUEST_SHOWN = 50
ON_REQUEST = frozenset({Field.REQUESTS})
SEALED_AS = "request"
_OBJECTS = frozenset({Right.RESTRICTION, Right.OBJECTION})


@dataclass(frozen=True, slots=True)
class SaidStep:
    """A step with its words; empty if nothing was written, or the guest was erased since."""

    step: RequestStep
    words: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RequestView:
    request: Request
    steps: tuple[SaidStep, ...]


class RequestService:
    """follows: another gateway of the ship is the authority, where guests are kept. utc_offset_s: of ship's time."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        lookups: LookupService,
        utc_offset_s: int = 0,
        follows: bool = False,
    ) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._lookups = lookups
        self._utc_offset_s = utc_offset_s
        self._follows = follows

    async def open(self, ref: GuestRef, right: Right, text: str, by: str) -> Request:
        """Record what a guest asks for; the month runs from now. by: the guest's own ref, or who wrote it down.

        text: may be empty, when naming the right says it all.
        Raises NotFound, Refused (authority_only, request_text_invalid, too_many_requests).
        """
        if self._follows:
            raise Refused("authority_only", "guests are kept at the ship's folio authority: do it there")
        words = _checked(text) if text.strip() else ""
        now_s, id_ = self._now_s(), RequestId(self._entropy.token_bytes(8).hex())
        request = Request(id_, ref, right, now_s, by, due_after(now_s, MONTHS, self._utc_offset_s))

        def work(tx: Tx) -> Request:
            guest_in(tx, ref)
            waiting = [known for known in tx.requests_of(ref, OF_GUEST_SHOWN) if known.waits]
            if len(waiting) >= OPEN_EACH_MAX:
                raise Refused("too_many_requests", f"{OPEN_EACH_MAX} requests of this guest wait: answer one first")
            _put(tx, request, now_s, by, words)
            tx.append_event(
                fact(
                    EventType.REQUEST_OPENED,
                    now_s,
                    request=id_,
                    guest=ref,
                    right=right.value,
                    due_s=request.due_s,
                    by=by,
                )
            )
            return request

        return await self._store.write(work)

    async def extend(self, id_: RequestId, reason: str, by: str) -> Request:
        """Two more months, once, and within the first. The guest reads the reason on their page.

        Raises NotFound, Refused (request_text_invalid, request_not_extended).
        """
        words, now_s = _checked(reason), self._now_s()

        def work(tx: Tx) -> Request:
            known = _found(tx, id_)
            if (problem := extend_problem(known, now_s)) is not None:
                raise Refused("request_not_extended", problem)
            request = extended(known, self._utc_offset_s)
            _put(tx, request, now_s, by, words)
            return request

        return await self._store.write(work)

    async def answer(self, id_: RequestId, state: RequestState, words: str, by: str, linked: str = "") -> Request:
        """Done, or refused for a reason that the guest reads. Answering again as before changes nothing.

        Done to who wants it restricted, or objects: from then on nothing optional is done with the guest's data.
        Raises NotFound, Refused (request_text_invalid, request_answered).
        """
        text, now_s = _checked(words), self._now_s()

        def work(tx: Tx) -> Request:
            known = _found(tx, id_)
            if not known.waits:
                if known.state is state and known.closed_by == by:
                    return known
                raise Refused("request_answered", f"it is {known.state} already, and an answer stays")
            request = closed(known, state, now_s, by, linked)
            _put(tx, request, now_s, by, text)
            tx.append_event(_closed_event(request, now_s))
            if state is RequestState.DONE and request.right in _OBJECTS and tx.guest(request.guest) is not None:
                object_in(tx, request.guest, by, now_s)
            return request

        return await self._store.write(work)

    async def of_guest(self, ref: GuestRef) -> list[RequestView]:
        """The guest's own, newest first."""
        return await self._store.read(lambda tx: [_view(tx, each) for each in tx.requests_of(ref, OF_GUEST_SHOWN)])

    async def view(self, viewer: Viewer, id_: RequestId) -> RequestView:
        """One request with its words, a look-up of the guest. Raises NotFound, Refused not_permitted."""

        def guest(tx: Tx) -> GuestRef:
            return _found(tx, id_).guest

        return await self._lookups.read_as(viewer, guest, ON_REQUEST, lambda tx: _view(tx, _found(tx, id_)))

    async def waiting(self) -> Sequence[Request]:
        """What has no answer yet, the one due first first. No words and no names."""
        return await self._store.read(lambda tx: tx.waiting_requests())

    async def answered(self) -> Sequence[Request]:
        return await self._store.read(lambda tx: tx.answered_requests(ANSWERED_SHOWN))

    async def due(self) -> DueCounts:
        """For the alarm: how many wait, are due soon, are late."""
        now_s = self._now_s()
        return await self._store.read(lambda tx: due_in(tx, now_s))

    def _now_s(self) -> int:
        return self._clock.now().unix_s


def close_in(tx: Tx, ref: GuestRef, right: Right, at_s: int, by: str, linked: str) -> int:
    """In the caller's transaction: the guest's requests of this right are done, `linked` says by what; how many."""
    waiting = [known for known in tx.requests_of(ref, OF_GUEST_SHOWN) if known.waits and known.right is right]
    for known in waiting:
        request = closed(known, RequestState.DONE, at_s, by, linked)
        _put(tx, request, at_s, by, "")
        tx.append_event(_closed_event(request, at_s))
    return len(waiting)


def due_in(tx: Tx, now_s: int) -> DueCounts:
    return count_due(tx.waiting_requests(), now_s)


def unsealed(tx: Tx, ref: GuestRef, kind: str, words: bytes) -> str:
    """What was sealed; empty once the guest was erased."""
    try:
        return tx.unseal(ref, kind, words).decode() if words else ""
    except Erased:
        return ""


def _put(tx: Tx, request: Request, at_s: int, by: str, words: str) -> None:
    sealed = tx.seal(request.guest, SEALED_AS, words.encode()) if words else b""
    tx.put_request(request, RequestStep(request.id, at_s, by, request.state, sealed))


def _view(tx: Tx, request: Request) -> RequestView:
    steps = tx.request_steps(request.id)
    said = (SaidStep(step, unsealed(tx, request.guest, SEALED_AS, step.words)) for step in steps)
    return RequestView(request, tuple(said))


def _found(tx: Tx, id_: RequestId) -> Request:
    request = tx.request(id_)
    if request is None:
        raise NotFound("request", id_)
    return request


def _closed_event(request: Request, at_s: int) -> NewEvent:
    return fact(
        EventType.REQUEST_CLOSED,
        at_s,
        request=request.id,
        guest=request.guest,
        right=request.right.value,
        state=request.state.value,
        by=request.closed_by,
    )


def _checked(text: str) -> str:
    """Raises Refused."""
    words = text.replace("\r\n", "\n").strip()
    if not is_words(words):
        raise Refused("request_text_invalid", f"write 1 to {TEXT_MAX} characters of plain text")
    return words
