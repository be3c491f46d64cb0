"""Take it with you: a guest's own data, read for the guest and for nobody else, and the record that it was taken.

What only a logged look may read is read, and the taking recorded, in one transaction; all the rest in one snapshot
right after it. Nothing waits for a large document: taps go on while it is put together on a reader's thread.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from steward.domain.events import EventType, fact
from steward.domain.export import (
    DECISIONS_MAX,
    EVENTS_MAX,
    LOOKS_MAX,
    OFFERS_MAX,
    PROOFS_MAX,
    REQUESTS_MAX,
    Held,
    document,
    folio_csv,
)
from steward.domain.ids import GuestRef
from steward.domain.lookproof import proof_json
from steward.domain.profiles import Disclosed
from steward.domain.requests import Request
from steward.domain.usecases import REGISTER
from steward.domain.viewing import Field, LookUp, Viewer, allowed, look_at
from steward.errors import Busy, Refused
from steward.ports import Clock, Store, Tx
from steward.services.family import PARENT_NEEDED, check_speaks_for
from steward.services.folio import statement_in
from steward.services.lookproof import proof_in
from steward.services.lookups import agreed, guest_in
from steward.services.ownlook import own_look
from steward.services.pins import PinService, check_pin
from steward.services.rates import Rate
from steward.services.receipts import Receipts
from steward.services.requests import SEALED_AS, unsealed

_PERSON = frozenset({Field.PREFERRED_NAME, Field.FULL_NAME, Field.LANGUAGE, Field.ALLERGIES, Field.DIET})
_SHOWN = _PERSON | {Field.PHOTO, Field.NOTES, Field.RECOVERY}
_CHUNK = 64 * 1024
_HISTORY_MAX = 500


@dataclass(frozen=True, slots=True)
class TakeOut:
    """What a guest takes along: the document, and the folio as a table."""

    document: Mapping[str, Any] = field(repr=False)
    csv: str = field(repr=False)

    def chunks(self) -> Iterator[bytes]:
        """The document as a JSON file, piece by piece."""
        held = bytearray()
        for piece in json.JSONEncoder(ensure_ascii=False, indent=1).iterencode(self.document):
            held += piece.encode()
            if len(held) >= _CHUNK:
                yield bytes(held)
                held.clear()
        yield bytes(held) + b"\n"


class TakeoutService:
    def __init__(
        self, store: Store, clock: Clock, receipts: Receipts, pins: PinService, ship: str, gateway: str
    ) -> None:
        self._store = store
        self._clock = clock
        self._receipts = receipts
        self._pins = pins
        self._ship = ship
        self._gateway = gateway
        self._taken = Rate(clock, burst=6, per_s=1 / 60)  # by who asks: a document is work for many taps

    async def export(
        self, ref: GuestRef, by: str, *, parent: GuestRef | None = None, viewer: Viewer | None = None
    ) -> TakeOut:
        """Everything held of this guest. by: "guest", "parent", or the token of the desk; it is recorded.

        parent: the adult of the same booking who takes a child's; nobody else does, the child neither. viewer: through
        whose hands it goes, which is a look. Raises NotFound, Refused parent_needed, Busy if it is taken very often.
        """
        if not self._taken.take(parent or ref):
            raise Busy("this was taken along very often: wait some minutes")
        now_s = self._clock.now().unix_s

        def look(tx: Tx) -> Disclosed:
            guest = guest_in(tx, ref)
            if parent is not None:
                check_speaks_for(tx, parent, ref)
            elif guest.child:
                raise Refused(PARENT_NEEDED, "a child's data is handed to an adult of the same booking")
            shown = tx.disclose(own_look(ref, _SHOWN, now_s))
            if viewer is not None:
                tx.log_look_up(agreed(tx, look_at(viewer, ref, allowed(viewer), now_s)))
            tx.append_event(fact(EventType.DATA_EXPORTED, now_s, guest=ref, by=by))
            return shown

        shown = await self._store.write(look)
        held = await self._store.read(lambda tx: self._held(tx, ref, shown))
        made = document(held, REGISTER, ship=self._ship, gateway=self._gateway, by=by, now_s=now_s)
        return TakeOut(made, folio_csv(held.statement))

    async def export_with_pin(
        self, viewer: Viewer, ref: GuestRef, pin: str, *, parent: GuestRef | None = None
    ) -> TakeOut:
        """At the desk, whose staff may not see all of it by themselves: only with the guest's PIN, typed there. The
        guest sees it among the looks, with what the desk may see anyway.

        For a child it is the PIN of the adult who asks. Raises as `export`, and Refused pin_invalid, pin_not_set,
        pin_wrong, pin_locked; Busy.
        """
        check_pin(pin)
        whose, now_s = parent or ref, self._clock.now().unix_s
        with self._pins.place():
            attempt = await self._store.write(lambda tx: self._pins.begin(tx, whose))
            if attempt is None:
                raise Refused("pin_locked", "too many wrong PINs: give the guest a new one first")
            matched = await self._pins.matches(pin, attempt)
            if not await self._store.write(lambda tx: self._pins.conclude(tx, attempt, matched, now_s)):
                raise Refused("pin_wrong", "not this guest's PIN")
        return await self.export(ref, viewer.actor, parent=parent, viewer=viewer)

    def _held(self, tx: Tx, ref: GuestRef, shown: Disclosed) -> Held:
        company, untracked = tx.company(ref), tx.untracked(ref)
        return Held(
            guest=guest_in(tx, ref),
            shown=shown,
            bands=tx.bands_of(ref),
            consents=tx.consents_of(ref),
            consent_history=tx.consent_history(ref, _HISTORY_MAX),
            receipts=self._receipts.made_in(tx, ref),
            switches=tx.switch_history(ref, _HISTORY_MAX),
            company=None if company is None or company.company is None else company.company.value,
            untracked=untracked is not None and untracked.on,
            offers=tx.offers_of(ref, 0)[-OFFERS_MAX:],
            decisions=tx.decisions_of(ref, DECISIONS_MAX),
            looks=[
                _look(tx, look, self._gateway, n < PROOFS_MAX) for n, look in enumerate(tx.look_ups_of(ref, LOOKS_MAX))
            ],
            statement=statement_in(tx, ref),
            charges=tx.charges_of(ref),
            phones=tx.phones_of(ref),
            presence=tx.presence(ref),
            requests=[_request(tx, request) for request in tx.requests_of(ref, REQUESTS_MAX)],
            events=tx.events_naming(ref, EVENTS_MAX),
            erasure=tx.erasure(ref),
            counted={"events": tx.count_events_naming(ref), "offers": len(tx.offers_of(ref, 0))},
        )


def _look(tx: Tx, look: LookUp, here: str, proven: bool) -> dict[str, Any]:
    """A look as the guest is shown it: of which role, never who."""
    proof = proof_in(tx, look.seq) if proven else None
    return {
        "seq": look.seq,
        "at_s": look.at_s,
        "role": look.role,
        "outlet": look.outlet,
        "gateway": look.gateway or here,
        "purpose": look.purpose.value,
        "fields": sorted(look.fields),
        "way": look.way.value,
        "proof": None if proof is None else proof_json(proof),
    }


def _request(tx: Tx, request: Request) -> dict[str, Any]:
    said = [unsealed(tx, request.guest, SEALED_AS, step.words) for step in tx.request_steps(request.id)]
    return {
        "id": request.id,
        "right": request.right.value,
        "opened_s": request.opened_s,
        "due_s": request.due_s,
        "state": request.state.value,
        "closed_s": request.closed_s,
        "said": [words for words in said if words],
    }
