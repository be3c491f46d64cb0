"""Forget me: the authority's side. What it decides is domain/erasure.py, what is done services/forgetting.py.

A guest who has left is forgotten altogether, in one transaction. Of one who is aboard everything optional goes in one
transaction at once, under a key that is destroyed with it, and the rest when nothing stands in its way any more: `run`
looks every minute. The certificate is issued anew each time it is asked for, so it always says how far things are.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from steward.domain.charges import ChargeState
from steward.domain.consent import Consent, ConsentPurpose
from steward.domain.erasure import (
    Erasure,
    Keeping,
    Kept,
    Part,
    Standing,
    Wait,
    carried_out,
    certificate,
    certificate_id,
    confirmed_ashore,
    waits,
)
from steward.domain.erasureorder import OrderSaid
from steward.domain.guests import BandState, Guest
from steward.domain.ids import GuestRef
from steward.domain.ledger import guest_account
from steward.domain.requests import Right
from steward.domain.signedrecord import canonical, envelope
from steward.domain.untracked import Untracked
from steward.errors import Busy, NotFound, Refused, StoreUnavailable
from steward.ports import Clock, KeyRing, Store, Tx
from steward.ports.erasure import Archived
from steward.services.family import PARENT_NEEDED, check_speaks_for
from steward.services.folio import late_in
from steward.services.folioarchive import keep_papers, papers_of, sweep_archives
from steward.services.forgetting import append_erased, destroy, finish_obeying, has_all, object_to_all
from steward.services.lookups import guest_in
from steward.services.requests import close_in
from steward.services.retention import read_passage
from steward.services.shoreorder import signed_order

_LOG = logging.getLogger(__name__)
LOOK_EVERY_S = 60.0
AT_ONCE = 100  # erasures looked at in one transaction
REASON_MAX = 200
BY_GUEST, BY_PARENT, BY_DESK, BY_OFFICER, BY_RESTORE = "guest", "parent", "desk", "officer", "restore"
_OUT = (BandState.ENCODING, BandState.ISSUED, BandState.FROZEN)
_NOBODY = GuestRef("")
_REF = re.compile(r"[0-9a-f]{16}")
_AFRESH = frozenset({"profile", "photo", "note", "recovery_case", "offer", "decision", "signal_switch", "stay_company"})


@dataclass(frozen=True, slots=True)
class Scene:
    """Where erasures happen. members: gateways that follow this one. shore: there is a link."""

    ship: str
    gateway: str
    members: tuple[str, ...] = ()
    shore: bool = False
    follows: bool = False


class ErasureService:
    def __init__(self, store: Store, clock: Clock, keyring: KeyRing, scene: Scene) -> None:
        self._store = store
        self._clock = clock
        self._keyring = keyring
        self._scene = scene

    async def erase(self, ref: GuestRef, by: str, reason: str = "", *, parent: GuestRef | None = None) -> Erasure:
        """Forget this guest, now as far as can be. Asked again it goes on from where it is.

        by: whose wish, one of the BY_ codes. parent: the adult of the same booking who asks for a child. Raises
        NotFound for nobody we know, Refused (authority_only, crew_member, parent_needed, reason_invalid).
        """
        if self._scene.follows:
            raise Refused("authority_only", "guests are kept at the ship's folio authority: do it there")
        if len(reason) > REASON_MAX or not reason.isprintable():
            raise Refused("reason_invalid", f"a reason is at most {REASON_MAX} characters on one line")
        clock = self._clock.now()

        def work(tx: Tx) -> Erasure:
            guest, known = tx.guest(ref), tx.erasure(ref)
            if guest is None:
                if known is None:
                    raise NotFound("guest", ref)
                return known
            _check_may(tx, guest, by, parent)
            asked = known or Erasure(ref, certificate_id(ref), clock.unix_s, by, reason)
            return self._go_on(tx, guest, asked, clock.unix_s, clock_trusted=clock.trusted)

        return await self._store.write(work)

    async def standing(self, ref: GuestRef) -> tuple[Wait, ...]:
        """What would have to wait if the guest asked now. Raises NotFound."""
        clock = self._clock.now()

        def work(tx: Tx) -> tuple[Wait, ...]:
            guest = tx.guest(ref)
            if guest is None:
                raise NotFound("guest", ref)
            return waits(standing_of(tx, guest), clock.unix_s, clock_trusted=clock.trusted)

        return await self._store.read(work)

    async def asked(self, ref: GuestRef) -> Erasure | None:
        """How far it is with a guest who asked; None: nobody did."""
        return await self._store.read(lambda tx: tx.erasure(ref))

    async def is_child(self, ref: GuestRef) -> bool:
        """Whether an adult has to ask. Raises NotFound."""
        return await self._store.read(lambda tx: guest_in(tx, ref).child)

    async def certificate(self, ref: GuestRef) -> dict[str, Any]:
        """The certificate as things stand, signed. Raises NotFound."""
        return await self._issue(lambda tx: tx.erasure(ref), ref)

    async def certificate_of(self, certificate_id: str) -> dict[str, Any]:
        """The same by the certificate's own id: who has that may have it. Raises NotFound."""
        return await self._issue(lambda tx: tx.erasure_of(certificate_id), certificate_id)

    async def _issue(self, find: Callable[[Tx], Erasure | None], name: str) -> dict[str, Any]:
        now_s, scene = self._clock.now().unix_s, self._scene

        def work(tx: Tx) -> dict[str, Any]:
            erasure = find(tx)
            if erasure is None:
                raise NotFound("erasure", name)
            return certificate(
                erasure,
                tx.obeyed(erasure.ref),
                ship=scene.ship,
                gateways=scene.members,
                shore=scene.shore,
                now_s=now_s,
            )

        body = await self._store.read(work)
        version, signature = self._keyring.sign_record("erasure", canonical(body))
        return envelope("erasure", body, version, self._keyring.verify_keys()[version], signature)

    async def erasures(self, after: GuestRef, limit: int) -> Sequence[Erasure]:
        """All there are, by reference: for the privacy officer."""
        return await self._store.read(lambda tx: tx.erasures(after, limit))

    async def papers(self, ref: GuestRef) -> dict[str, Any]:
        """What is kept by law of a folio, opened. Whoever shows it to a person logs that. Raises NotFound."""
        papers = await self._store.read(lambda tx: papers_of(tx, ref))
        if not papers:
            raise NotFound("papers of guest", ref)
        return papers

    # in the background

    async def run(self) -> None:
        """For the supervisor: go on with what waited."""
        while True:
            try:
                await self.go_on()
            except (StoreUnavailable, Busy) as error:
                _LOG.error("erasure.not_now detail=%s", error)
            await asyncio.sleep(LOOK_EVERY_S)

    async def go_on(self) -> int:
        """Do what nothing stands in the way of any more; how many erasures came further."""
        clock, further, after = self._clock.now(), 0, _NOBODY
        while waiting := await self._store.read(partial(_open, after=after)):
            for erasure in waiting:
                step = partial(self._step, ref=erasure.ref, now_s=clock.unix_s, clock_trusted=clock.trusted)
                if await self._store.read(partial(self._is_due, erasure=erasure, now_s=clock.unix_s, ok=clock.trusted)):
                    further += await self._store.write(step)
            after = waiting[-1].ref
        passage = await self._store.read(read_passage)  # retention's own time: no clock that was set ahead ends papers
        over_s = 0 if passage is None else passage.mark_s
        if await self._store.read(lambda tx: tx.archive_keys_before(over_s)):
            gone = await self._store.write(partial(sweep_archives, now_s=over_s))
            _LOG.info("erasure.papers_over count=%d", gone)
        return further

    async def sweep(self) -> int:
        """At start, before anybody is served: erase again what a restored backup brought back; how many guests.

        Whose key was destroyed is kept beside the keys, and no backup of the database changes that.
        """
        now_s, swept, after = self._clock.now().unix_s, 0, ""
        while gone := await self._store.read(partial(_destroyed, after=after)):
            for ref in gone:
                swept += await self._store.write(partial(self._again, ref=ref, now_s=now_s))
            after = gone[-1]
        return swept + await self._sweep_renewed()

    async def _sweep_renewed(self) -> int:
        """The same of guests whose stay goes on: of them the first part is done again."""
        clock, swept, after = self._clock.now(), 0, ""

        def work(tx: Tx, ref: GuestRef) -> bool:
            guest = tx.guest(ref)
            if guest is None or tx.erasure(ref) is not None or self._scene.follows:
                return False
            erasure = Erasure(ref, certificate_id(ref), clock.unix_s, BY_RESTORE, again_s=clock.unix_s)
            self._go_on(tx, guest, erasure, clock.unix_s, clock_trusted=clock.trusted)
            return True

        while refs := await self._store.read(partial(_renewed, after=after)):
            for ref in refs:
                swept += await self._store.write(partial(work, ref=ref))
            after = refs[-1]
        return swept

    def _is_due(self, tx: Tx, erasure: Erasure, now_s: int, *, ok: bool) -> bool:
        """Whether a step would change anything."""
        if erasure.mark is not None:
            return has_all(tx, *erasure.mark)
        guest = tx.guest(erasure.ref)
        return guest is None or waits(standing_of(tx, guest), now_s, clock_trusted=ok) != erasure.waits

    def _step(self, tx: Tx, ref: GuestRef, now_s: int, *, clock_trusted: bool) -> bool:
        erasure = tx.erasure(ref)
        if erasure is None or not erasure.is_open:
            return False
        if erasure.mark is not None:
            return finish_obeying(tx, erasure, self._scene.gateway, now_s)
        guest = tx.guest(ref)
        if guest is None:
            return self._again(tx, ref, now_s)
        waiting = waits(standing_of(tx, guest), now_s, clock_trusted=clock_trusted)
        if waiting:
            tx.put_erasure(replace(erasure, waits=waiting))
            return False
        self._all_of(tx, guest, erasure, now_s)
        return True

    def _go_on(self, tx: Tx, guest: Guest, erasure: Erasure, now_s: int, *, clock_trusted: bool) -> Erasure:
        waiting = waits(standing_of(tx, guest), now_s, clock_trusted=clock_trusted)
        if not waiting:
            return self._all_of(tx, guest, erasure, now_s)
        if erasure.part is not None and _AFRESH.isdisjoint(tx.rows_of(guest.ref)):
            tx.put_erasure(kept := replace(erasure, waits=waiting))
            return kept
        return self._optional_of(tx, guest, erasure, waiting, now_s)

    def _optional_of(self, tx: Tx, guest: Guest, erasure: Erasure, waiting: Sequence[Wait], now_s: int) -> Erasure:
        ref = guest.ref
        said: Mapping[ConsentPurpose, Consent] = {consent.purpose: consent for consent in tx.consents_of(ref)}
        papers = keep_papers(tx, guest, Part.OPTIONAL, now_s)
        done = destroy(tx, ref, Part.OPTIONAL, now_s)
        kept = [Keeping(Kept.STAY, guest.not_after_s), *_papers(papers), Keeping(Kept.LOOK_LEAVES), Keeping(Kept.PROOF)]
        erased = carried_out(erasure, done, waiting, kept)
        tx.put_erasure(erased)
        object_to_all(tx, ref, said, now_s)
        untracked = tx.untracked(ref)
        if untracked is None or not untracked.on:
            version, at_s = (1, now_s) if untracked is None else (untracked.version + 1, max(now_s, untracked.at_s + 1))
            tx.put_untracked(Untracked(ref, True, at_s, version))
        self._append(tx, erased, Part.OPTIONAL, now_s)
        return erased

    def _all_of(self, tx: Tx, guest: Guest, erasure: Erasure, now_s: int) -> Erasure:
        ref = guest.ref
        papers = keep_papers(tx, guest, Part.ALL, now_s)
        listed = any(record.ref == ref for record in tx.imported(guest.booking))
        refused = any(tx.denied_at(band.uid) is not None for band in tx.bands_of(ref))
        close_in(tx, ref, Right.ERASURE, now_s, erasure.by, f"certificate:{erasure.certificate}")
        done = destroy(tx, ref, Part.ALL, now_s)
        folio = [Keeping(Kept.FOLIO), *_papers(papers)] if papers is not None else []
        marks = {Kept.BANDS_REFUSED: refused, Kept.LIST_MARK: listed}
        marked = [Keeping(what) for what, stays in marks.items() if stays]
        kept = [*folio, *marked, Keeping(Kept.LOOK_LEAVES), Keeping(Kept.PROOF)]
        erased = carried_out(erasure, done, (), kept)
        tx.put_erasure(erased)
        self._append(tx, erased, Part.ALL, now_s)
        return erased

    def _again(self, tx: Tx, ref: GuestRef, now_s: int) -> bool:
        """A guest whose key is gone, in a store that came back from a backup. False: there is nothing to do.

        The store itself has swept the tables at its opening; what is left to do is the rest, and the record of it.
        """
        if not _REF.fullmatch(ref):  # not a guest's key, but that of a year's papers whose time was over
            return tx.drop_archives(ref) > 0
        known = tx.erasure(ref)
        if known is not None and known.part is Part.ALL and not tx.rows_of(ref):
            return False
        if self._scene.follows and not tx.rows_of(ref):
            return False  # the authority tells it once more
        erasure = known or Erasure(ref, certificate_id(ref), now_s, BY_RESTORE)
        done = destroy(tx, ref, Part.ALL, now_s)
        kept = (*(keeping for keeping in erasure.kept if keeping.what is not Kept.STAY), Keeping(Kept.PROOF))
        again = replace(carried_out(erasure, done, (), kept), again_s=now_s, wanted=Part.ALL, mark=None)
        tx.put_erasure(again)
        self._append(tx, again, Part.ALL, now_s)
        return True

    def _append(self, tx: Tx, erasure: Erasure, part: Part, now_s: int) -> None:
        """The event; an order that shore obeys if this is the ship's folio authority."""
        scene, said = self._scene, OrderSaid(erasure.ref, part, erasure.certificate, now_s)
        order = None if scene.follows else signed_order(self._keyring, said, scene.ship, scene.gateway)
        append_erased(tx, erasure, part, now_s, scene.gateway, order)


def standing_of(tx: Tx, guest: Guest) -> Standing:
    """What decides, read in the decision's own transaction."""
    account, bands = guest_account(guest.ref), tx.bands_of(guest.ref)
    states = [charge.state for charge in tx.charges_of(guest.ref)]
    return Standing(
        not_after_s=guest.not_after_s,
        settled=guest.settled,
        has_folio=bool(tx.ledger_of(account)),
        balance_minor=abs(tx.balance(account)) + sum(late.open_minor for late in late_in(tx, guest.ref)),
        held=states.count(ChargeState.HELD),
        disputed=states.count(ChargeState.DISPUTED),
        approvals=sum(approval.guest == guest.ref for approval in tx.pending_approvals()),
        outstanding_minor=tx.outstanding(guest.ref),
        bands=len(bands),
        bands_out=sum(band.state in _OUT for band in bands),
    )


def confirm_ashore(tx: Tx, done: Iterable[tuple[GuestRef, int, int]], now_s: int) -> None:
    """Shore's word: (guest, part, when). Of what was not asked for it means nothing; told again it changes nothing."""
    for ref, part, at_s in done:
        erasure = tx.erasure(ref)
        if erasure is not None and part in (Part.OPTIONAL, Part.ALL) and (erasure.part or 0) >= part:
            confirmed = confirmed_ashore(erasure, Part(part), min(at_s, now_s))
            if confirmed != erasure:
                tx.put_erasure(confirmed)


def _check_may(tx: Tx, guest: Guest, by: str, parent: GuestRef | None) -> None:
    """Raises Refused."""
    if guest.crew or tx.crew(guest.ref) is not None:
        raise Refused("crew_member", "crew are not erased as guests are: their employer keeps their data")
    if parent is not None:
        check_speaks_for(tx, parent, guest.ref)
    elif guest.child and by in (BY_GUEST, BY_DESK):
        raise Refused(PARENT_NEEDED, "a child is forgotten when an adult of the same booking asks for it")


def _papers(papers: Archived | None) -> list[Keeping]:
    return [] if papers is None else [Keeping(Kept.INVOICE, papers.until_s)]


def _open(tx: Tx, after: GuestRef) -> Sequence[Erasure]:
    return tx.open_erasures(after, AT_ONCE)


def _destroyed(tx: Tx, after: str) -> Sequence[GuestRef]:
    return tx.destroyed_refs(after, AT_ONCE)


def _renewed(tx: Tx, after: str) -> Sequence[GuestRef]:
    return tx.renewed_refs(after, AT_ONCE)
