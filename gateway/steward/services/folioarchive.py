"""What bookkeeping law wants kept of a guest who is forgotten: who was billed for what. Sealed, apart, and for a time.

The papers of all folios that end in one year have one key, which is destroyed when their time is over: no copy of the
database made in between can be read afterwards. The purser and the privacy officer open one by its reference alone.
"""

from __future__ import annotations

import json
from typing import Any

from steward.domain.charges import Charge
from steward.domain.erasure import Part, archive_key, folio_until_s, utc
from steward.domain.guests import Guest
from steward.domain.ids import GuestRef
from steward.domain.ledger import guest_account
from steward.domain.viewing import Field
from steward.errors import Erased
from steward.ports import Tx
from steward.ports.erasure import Archived
from steward.services.ownlook import own_look

_KIND = "folio papers"


def keep_papers(tx: Tx, guest: Guest, part: Part, now_s: int) -> Archived | None:
    """Seal what an invoice needs, before it is forgotten. None: nothing was ever posted, so nothing is kept.

    While the stay goes on only name and booking are put aside: what was sold is still in the charges themselves.
    """
    ledger = tx.ledger_of(guest_account(guest.ref))
    if part is Part.ALL and not ledger:
        tx.drop_archived(guest.ref)
        return None
    until_s = folio_until_s(max((posted.at_s for posted in ledger), default=now_s))
    papers = {
        "format": "steward-folio-papers-1",
        "guest": guest.ref,
        "name": _name(tx, guest.ref, now_s) or papers_of(tx, guest.ref).get("name", ""),
        "booking": guest.booking,
        "charges": [_line(charge) for charge in tx.charges_of(guest.ref)] if part is Part.ALL else [],
    }
    key = archive_key(until_s)
    sealed = tx.seal(key, _KIND, json.dumps(papers, ensure_ascii=False).encode())
    archived = Archived(guest.ref, key, until_s, sealed)
    tx.put_archived(archived)
    return archived


def papers_of(tx: Tx, ref: GuestRef) -> dict[str, Any]:
    """The papers as they were sealed; empty if there are none, or their time is over."""
    archived = tx.archived(ref)
    if archived is None:
        return {}
    try:
        papers = json.loads(tx.unseal(archived.key, _KIND, archived.sealed))
    except Erased:
        return {}
    assert isinstance(papers, dict)
    return papers


def sweep_archives(tx: Tx, now_s: int) -> int:
    """Destroy the papers whose time is over, with their keys; how many. now_s: by retention's own time."""
    gone = 0
    for key in tx.archive_keys_before(now_s):
        gone += tx.drop_archives(key)
        tx.destroy_key(key)
    return gone


def _name(tx: Tx, ref: GuestRef, now_s: int) -> str:
    return tx.disclose(own_look(ref, {Field.FULL_NAME}, now_s)).full_name or ""


def _line(charge: Charge) -> dict[str, Any]:
    request = charge.request
    return {
        "charge": request.tap_id,
        "at": utc(charge.at_s),
        "outlet": request.outlet,
        "what": request.description,
        "amount_minor": request.amount_minor,
        "currency": request.currency,
        "state": charge.state.value,
        "reason": charge.reason,
    }
