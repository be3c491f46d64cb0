"""No-tracking: one switch that says no to every optional purpose and keeps movements out of the logs.

Switching it off gives nothing back: what a guest agreed to before is asked for again, purpose by purpose. A yes that
is said while it is on is the later word, and counts; movements stay out all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from steward.domain.consent import ConsentPurpose
from steward.domain.context import StayCompany
from steward.domain.events import EventType, fact
from steward.domain.ids import GuestRef
from steward.domain.untracked import is_untracked, said
from steward.domain.viewing import Field
from steward.errors import Refused
from steward.ports import Clock, Store, Tx
from steward.services.bandradio import quiet_all
from steward.services.consents import record_words
from steward.services.family import PARENT_NEEDED, check_speaks_for, children_of
from steward.services.lookups import guest_in
from steward.services.ownlook import own_look

FIELD = "no_tracking"


@dataclass(frozen=True, slots=True)
class TrackedChild:
    """name: empty if nobody wrote it down."""

    ref: GuestRef
    name: str = field(repr=False)
    untracked: bool


class NoTrackingService:
    """follows: another gateway of the ship is the authority, which alone orders what guests say."""

    def __init__(self, store: Store, clock: Clock, follows: bool = False) -> None:
        self._store = store
        self._clock = clock
        self._follows = follows

    async def is_on(self, ref: GuestRef) -> bool:
        """Raises NotFound."""
        return await self._store.read(lambda tx: untracked_in(tx, ref))

    async def children(self, ref: GuestRef) -> list[TrackedChild]:
        """Whom this guest speaks for. Raises NotFound."""
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> list[TrackedChild]:
            found = []
            for child in children_of(tx, guest_in(tx, ref)):
                shown = tx.disclose(own_look(child.ref, (Field.PREFERRED_NAME,), now_s))
                found.append(TrackedChild(child.ref, shown.preferred_name or "", untracked_in(tx, child.ref)))
            return found

        return await self._store.write(work)

    async def say(self, ref: GuestRef, on: bool, by: str, adult: GuestRef | None = None) -> None:
        """The guest's word. adult: who speaks for a child; a child by itself may only switch it on.

        Raises NotFound, Refused (authority_only, parent_needed).
        """
        if self._follows:
            raise Refused("authority_only", "guests are kept at the ship's folio authority: do it there")
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> None:
            guest = guest_in(tx, ref)
            if adult is not None:
                check_speaks_for(tx, adult, ref)
            elif guest.child and not on:
                raise Refused(PARENT_NEEDED, "only an adult of the same booking has a child's movements kept")
            if on:
                object_in(tx, ref, by, now_s)
            else:
                _switch(tx, ref, False, by, now_s)

        await self._store.write(work)


def object_in(tx: Tx, ref: GuestRef, by: str, now_s: int) -> None:
    """No to every optional purpose, movements out of the logs, radios off, in the caller's transaction."""
    record_words(tx, ref, dict.fromkeys(ConsentPurpose, False), by, now_s)
    company = tx.company(ref)
    if company is not None and company.company is not None:  # the booking said it, for suggestions alone
        tx.put_company(StayCompany(ref, None))
    quiet_all(tx, ref)
    _switch(tx, ref, True, by, now_s)


def _switch(tx: Tx, ref: GuestRef, on: bool, by: str, now_s: int) -> None:
    word = said(tx.untracked(ref), ref, on, now_s)
    if word is not None:
        tx.put_untracked(word)
        tx.append_event(fact(EventType.PROFILE_SET, now_s, guest=ref, fields=FIELD, by=by))


def untracked_in(tx: Tx, ref: GuestRef) -> bool:
    """Raises NotFound."""
    return is_untracked(tx.untracked(ref), child=guest_in(tx, ref).child)
