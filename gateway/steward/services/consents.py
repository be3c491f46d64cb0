"""Consent: the guest's word aboard, and what was said ashore, recorded and told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from steward.domain.consent import Basis, Consent, ConsentPurpose, Said, said_aboard, told_by_shore
from steward.domain.events import EventType, fact
from steward.domain.guests import Guest
from steward.domain.ids import GuestRef
from steward.domain.receipt import notice_of
from steward.domain.shorebodies import ConsentChange
from steward.errors import Refused
from steward.ports import Clock, Store, Tx
from steward.services.family import PARENT_NEEDED, speaks_for
from steward.services.lookups import guest_in

BY_SHORE = "shore"


class ConsentService:
    """follows: another gateway of the ship is the authority, which alone orders what guests say."""

    def __init__(self, store: Store, clock: Clock, follows: bool = False) -> None:
        self._store = store
        self._clock = clock
        self._follows = follows

    async def say(
        self,
        ref: GuestRef,
        words: Mapping[ConsentPurpose, bool],
        by: str,
        parent: GuestRef | None = None,
        way: Said = Said.DESK,
    ) -> Sequence[Consent]:
        """The guest's word on these purposes; on others it stays. What was said already changes nothing.

        parent: who says yes for a child, an adult of the same booking; anybody may say no for one. Returns all of
        them. Raises NotFound, Refused (authority_only, parent_needed).
        """
        if self._follows:
            raise Refused("authority_only", "guests are kept at the ship's folio authority: do it there")
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Sequence[Consent]:
            if any(words.values()):
                _check_parent(guest_in(tx, ref), None if parent is None else guest_in(tx, parent))
            else:
                guest_in(tx, ref)
            record_words(tx, ref, words, by, now_s, parent, way)
            return tx.consents_of(ref)

        return await self._store.write(work)


def _check_parent(guest: Guest, parent: Guest | None) -> None:
    """Raises Refused."""
    if not guest.child:
        return
    if parent is None or not speaks_for(parent, guest):
        raise Refused(PARENT_NEEDED, "a yes for a child is an adult's of the same booking: name them as said_by")


def record_words(
    tx: Tx,
    ref: GuestRef,
    words: Mapping[ConsentPurpose, bool],
    by: str,
    now_s: int,
    parent: GuestRef | None = None,
    way: Said = Said.DESK,
) -> None:
    """The guest's word, in the caller's transaction. A manifest's word on a child is whose booking it is."""
    for purpose, given in sorted(words.items()):
        said = said_aboard(tx.consent(ref, purpose), ref, purpose, given, now_s)
        if said is not None:
            _record(tx, said, by, now_s, way, parent)


def record_shore(tx: Tx, changes: Iterable[ConsentChange], now_s: int) -> None:
    """What was said ashore, in the caller's transaction.

    Of a purpose that this program does not know nothing is done: nothing here does it either.
    """
    for change in changes:
        if change.purpose not in set(ConsentPurpose):
            continue
        purpose = ConsentPurpose(change.purpose)
        known = tx.consent(change.guest, purpose)
        told = told_by_shore(known, change.guest, purpose, change.given, change.at_s, now_s)
        if told is not None:
            _record(tx, told, BY_SHORE, now_s, Said.SHORE)


def _record(tx: Tx, consent: Consent, by: str, now_s: int, way: Said, parent: GuestRef | None = None) -> None:
    """With what the guest was told of the purpose at this moment: receipts of it say that, whatever is said later."""
    tx.put_consent(consent)
    told = notice_of(consent.purpose)
    tx.put_notice(told.digest, told.document)
    tx.put_basis(Basis(consent.guest, consent.purpose, consent.version, told.digest, way))
    company = tx.company(consent.guest)
    if consent.purpose is ConsentPurpose.SUGGESTIONS and company is not None:
        tx.put_company(company)  # other gateways are told it, or told to forget it
    tx.append_event(
        fact(
            EventType.CONSENT_GIVEN if consent.given else EventType.CONSENT_WITHDRAWN,
            now_s,
            guest=consent.guest,
            purpose=consent.purpose.value,
            said_s=consent.at_s,
            source=consent.source.value,
            version=consent.version,
            by=by,
            **({} if parent is None else {"parent": parent}),
        )
    )
