"""What the privacy officer reads and decides: the look-up log searched, odd patterns, broken glass, consent history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from steward.domain.consent import Consent
from steward.domain.guests import Guest
from steward.domain.ids import GuestRef
from steward.domain.incident import Incident, IncidentId, IncidentStep
from steward.domain.requests import DueCounts, is_words
from steward.domain.retention import RetentionRun
from steward.domain.viewing import Field, LookUp, Viewer
from steward.errors import Erased, NotFound, Refused
from steward.ports import Clock, Store, Tx
from steward.ports.privacy import ActorLooks, Finding, GlassReview, LookQuery
from steward.services.lookups import LookupService, guest_in
from steward.services.requests import due_in, unsealed

LOOKS_SHOWN = 50
ACTORS_SHOWN = 40
PATTERN_S = 24 * 3600
HISTORY_SHOWN = 100
RUNS_SHOWN = 200
INCIDENTS_SHOWN = 50
SEALED_AS = "glass_review"
# Worth a question: so many guests looked at, and hardly any of them tapped there.
ODD_GUESTS_MIN = 25
ODD_UNTAPPED_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Overview:
    """What waits for the officer."""

    due: DueCounts
    unreviewed: int
    odd: int  # crew members with an odd pattern of looks in the last day


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A broken glass, and what came of it. words: empty if none, or the guest was erased since."""

    look: LookUp
    review: GlassReview | None
    words: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class IncidentPage:
    incident: Incident
    steps: tuple[IncidentStep, ...]


class OfficerDesk:
    def __init__(self, store: Store, clock: Clock, lookups: LookupService) -> None:
        self._store = store
        self._clock = clock
        self._lookups = lookups

    async def overview(self) -> Overview:
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Overview:
            odd = [row for row in tx.looks_by_actor(now_s - PATTERN_S, now_s + 1, ACTORS_SHOWN) if is_odd(row)]
            return Overview(due_in(tx, now_s), tx.unreviewed_glass(), len(odd))

        return await self._store.read(work)

    async def find(self, query: LookQuery, before_seq: int) -> tuple[list[LookUp], Mapping[int, GlassReview]]:
        """A page of the log, newest first, and what was found of its emergencies."""

        def work(tx: Tx) -> tuple[list[LookUp], Mapping[int, GlassReview]]:
            looks = list(tx.find_looks(query, before_seq, LOOKS_SHOWN))
            return looks, tx.reviews([look.seq for look in looks if look.broke_glass])

        return await self._store.read(work)

    async def reviewed_alone(self) -> Sequence[GlassReview]:
        """Findings about emergencies of which the log says nothing any more, newest first."""
        return await self._store.read(lambda tx: tx.reviews_alone(LOOKS_SHOWN))

    async def patterns(self) -> Sequence[ActorLooks]:
        """Who looked at most guests in the last day."""
        now_s = self._clock.now().unix_s
        return await self._store.read(lambda tx: tx.looks_by_actor(now_s - PATTERN_S, now_s + 1, ACTORS_SHOWN))

    async def glass(self, seq: int) -> Reviewed:
        """One emergency with its review. Raises NotFound."""

        def work(tx: Tx) -> Reviewed:
            look = _glass(tx, seq)
            review = tx.reviews([seq]).get(seq)
            return Reviewed(look, review, unsealed(tx, look.guest, SEALED_AS, review.words if review else b""))

        return await self._store.read(work)

    async def review(self, seq: int, finding: Finding, words: str, by: str) -> None:
        """The officer's finding. `unclear` may be followed by another, and nothing else may.

        Raises NotFound, Refused (request_text_invalid, glass_own, glass_reviewed).
        """
        text, now_s = words.replace("\r\n", "\n").strip(), self._clock.now().unix_s
        if not is_words(text):
            raise Refused("request_text_invalid", "say in some words what was found")

        def work(tx: Tx) -> None:
            look = _glass(tx, seq)
            if look.actor == by:
                raise Refused("glass_own", "nobody reviews their own emergency: another officer does")
            known = tx.reviews([seq]).get(seq)
            if known is not None and known.finding is not Finding.UNCLEAR:
                raise Refused("glass_reviewed", f"{known.finding} already, and a finding stays")
            try:
                sealed = tx.seal(look.guest, SEALED_AS, text.encode())
            except Erased:
                sealed = b""  # the guest is forgotten: the finding is kept, the words are not
            tx.put_review(GlassReview(seq, by, now_s, finding, sealed))

        await self._store.write(work)

    async def consents(self, viewer: Viewer, ref: GuestRef) -> tuple[Guest, Sequence[Consent], Sequence[Consent]]:
        """How a guest's consent stands and every word of it, newest first: a look-up.

        Raises NotFound, Refused not_permitted.
        """

        def work(tx: Tx) -> tuple[Guest, Sequence[Consent], Sequence[Consent]]:
            return guest_in(tx, ref), tx.consents_of(ref), tx.consent_history(ref, HISTORY_SHOWN)

        return await self._lookups.read_as(viewer, ref, {Field.CONSENTS}, work)

    async def runs(self) -> Sequence[RetentionRun]:
        return await self._store.read(lambda tx: tx.runs(RUNS_SHOWN))

    async def incidents(self) -> list[IncidentPage]:
        def work(tx: Tx) -> list[IncidentPage]:
            return [IncidentPage(each, tuple(tx.incident_steps(each.id))) for each in tx.incidents(INCIDENTS_SHOWN)]

        return await self._store.read(work)

    async def incident(self, id_: IncidentId) -> IncidentPage:
        """Raises NotFound."""

        def work(tx: Tx) -> IncidentPage:
            found = tx.incident(id_)
            if found is None:
                raise NotFound("incident", id_)
            return IncidentPage(found, tuple(tx.incident_steps(id_)))

        return await self._store.read(work)


def is_odd(row: ActorLooks) -> bool:
    """Whether somebody should be asked about these looks. A hint, never a verdict: some work is like that."""
    return row.guests >= ODD_GUESTS_MIN and row.untapped > row.looks * ODD_UNTAPPED_SHARE


def _glass(tx: Tx, seq: int) -> LookUp:
    found = list(tx.look_ups(seq - 1, 1))
    if not found or found[0].seq != seq or not found[0].broke_glass:
        raise NotFound("emergency", str(seq))
    return found[0]
