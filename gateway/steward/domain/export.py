"""Take it with you: everything held of one guest as one JSON document, to the schema export.schema.json. Pure.

Numbers are whole: amounts in minor units, times as unix seconds. What would tell of somebody else is left out and named
in `left_out`: crew are people too, and so are the others of a booking. What is more than a document can hold is counted
in `shortened`.
"""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

from steward.domain.care import Case, Note
from steward.domain.charges import Charge
from steward.domain.consent import Consent
from steward.domain.erasure import Erasure, utc
from steward.domain.events import StoredEvent
from steward.domain.guests import Band, Guest
from steward.domain.guestsession import Phone
from steward.domain.holdout import LoggedDecision
from steward.domain.offers import Offer
from steward.domain.presence import Presence
from steward.domain.profiles import Disclosed
from steward.domain.signals import Switch
from steward.domain.statement import Statement
from steward.domain.usecases import Keep, Register, UseCase

FORMAT = "steward-export-1"
EVENTS_MAX = 20_000
LOOKS_MAX = 5_000
PROOFS_MAX = 500  # of the newest looks; the others' are had one by one
OFFERS_MAX = 5_000
DECISIONS_MAX = 5_000
REQUESTS_MAX = 200

# Who of the crew did something, or another guest: no business of whoever takes their own data along.
_OTHERS = frozenset(
    {"by", "actor", "author", "opened_by", "closed_by", "decided_by", "asked_by", "said_by", "second", "parent", "crew"}
)
LEFT_OUT = ("crew_identities", "other_guests", "keys_and_proofs_of_bands", "passwords")

# In which tables the sections of the document lie: so the register says why, by what right and for how long.
SECTIONS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "stay": frozenset({"guest"}),
        "bands": frozenset({"band"}),
        "profile": frozenset({"profile"}),
        "photo": frozenset({"photo"}),
        "notes": frozenset({"note"}),
        "cases": frozenset({"recovery_case"}),
        "consents": frozenset({"consent", "consent_change"}),
        "signals": frozenset({"signal_switch", "signal_change"}),
        "company": frozenset({"stay_company"}),
        "offers": frozenset({"offer"}),
        "decisions": frozenset({"decision"}),
        "look_ups": frozenset({"look_up"}),
        "folio": frozenset({"charge", "posting"}),
        "phones": frozenset({"guest_phone"}),
        "presence": frozenset({"presence"}),
        "requests": frozenset({"request"}),
    }
)
EVENTS = "events"  # of every use that has any


@dataclass(frozen=True, slots=True)
class Held:
    """What was read of one guest, in one snapshot but for what only a logged look may read."""

    guest: Guest
    shown: Disclosed = field(repr=False)
    bands: Sequence[Band]
    consents: Sequence[Consent]
    consent_history: Sequence[Consent]
    receipts: Sequence[Mapping[str, Any]]
    switches: Sequence[Switch]
    company: str | None
    untracked: bool
    offers: Sequence[Offer]
    decisions: Sequence[LoggedDecision]
    looks: Sequence[Mapping[str, Any]]
    statement: Statement
    charges: Sequence[Charge]
    phones: Sequence[Phone]
    presence: Presence | None
    requests: Sequence[Mapping[str, Any]]
    events: Sequence[StoredEvent]
    erasure: Erasure | None
    counted: Mapping[str, int]  # by section: how many there are, where that may be more than are given


def document(held: Held, register: Register, *, ship: str, gateway: str, by: str, now_s: int) -> dict[str, Any]:
    """The whole document. by: whose wish, as a code."""
    sections = _sections(held)
    return {
        "format": FORMAT,
        "ship": ship,
        "gateway": gateway,
        "guest": held.guest.ref,
        "made_at": utc(now_s),
        "asked_by": by,
        "left_out": list(LEFT_OUT),
        "shortened": _shortened(held.counted, sections),
        "use_cases": [_use_case(case, register) for case in register.use_cases.values() if case.about == "guests"],
        **sections,
    }


def folio_csv(statement: Statement) -> str:
    """The folio's lines as CSV (RFC 4180), for a spreadsheet. A text that it could take for a formula is quoted."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(("at", "kind", "text", "outlet", "amount_minor", "balance_minor", "currency", "disputed"))
    for line in statement.lines:
        text = ("'" if line.text[:1] in ("=", "+", "-", "@", "\t", "\r") else "") + line.text
        amounts = (line.amount_minor, line.balance_minor, statement.currency)
        writer.writerow((utc(line.at_s), line.kind.value, text, line.outlet, *amounts, int(line.disputed)))
    return out.getvalue()


def _sections(held: Held) -> dict[str, Any]:
    guest, shown = held.guest, held.shown
    return {
        "stay": {
            "booking": guest.booking,
            "cabins": plain(guest.cabins),
            "zones": guest.zones,
            "child": guest.child,
            "not_before_s": guest.not_before_s,
            "not_after_s": guest.not_after_s,
            "limits": plain(guest.limits),
            "has_pin": guest.pin is not None,
            "no_tracking": held.untracked,
        },
        "bands": plain(held.bands),
        "profile": _profile(shown),
        "photo": _photo(shown),
        "notes": [_note(note) for note in shown.notes],
        "cases": [_case(case) for case in shown.cases],
        "consents": {
            "now": plain(held.consents),
            "history": plain(held.consent_history),
            "receipts": [dict(receipt) for receipt in held.receipts],
        },
        "signals": plain(held.switches),
        "company": held.company,
        "offers": plain(held.offers),
        "decisions": plain(held.decisions),
        "look_ups": [dict(look) for look in held.looks],
        "folio": {
            "statement": plain(held.statement),
            "charges": [_charge(charge) for charge in held.charges],
        },
        "phones": [
            {"created_s": phone.created_s, "seen_s": phone.seen_s, "proven_s": phone.proven_s} for phone in held.phones
        ],
        "presence": plain(held.presence),
        "requests": [dict(request) for request in held.requests],
        "events": [_event(event) for event in held.events],
        "erasure": None if held.erasure is None else held.erasure.certificate,
    }


def _profile(shown: Disclosed) -> dict[str, Any] | None:
    if shown.full_name is None:
        return None
    return {
        "preferred_name": shown.preferred_name,
        "full_name": shown.full_name,
        "language": shown.language,
        "allergies": plain(shown.allergies),
        "diet": plain(shown.diet),
    }


def _photo(shown: Disclosed) -> dict[str, Any] | None:
    photo = shown.photo
    if photo is None:
        return None
    kind = "image/png" if photo.content.startswith(b"\x89PNG") else "image/jpeg"
    return {"media_type": kind, "base64": base64.b64encode(photo.content).decode("ascii")}


def _note(note: Note) -> dict[str, Any]:
    return {
        "text": note.text,
        "purpose": note.purpose.value,
        "outlet": note.outlet,
        "at_s": note.at_s,
        "expires_s": note.expires_s,
    }


def _case(case: Case) -> dict[str, Any]:
    return {
        "outlet": case.outlet,
        "what": case.what,
        "opened_s": case.opened_s,
        "closed_s": case.closed_s,
        "outcome": case.outcome,
    }


def _charge(charge: Charge) -> dict[str, Any]:
    request, evidence = charge.request, charge.evidence
    return {
        "tap_id": request.tap_id,
        "at_s": charge.at_s,
        "outlet": request.outlet,
        "till": request.till,
        "what": request.description,
        "amount_minor": request.amount_minor,
        "refunded_minor": charge.refunded_minor,
        "currency": request.currency,
        "state": charge.state.value,
        "code": charge.code,
        "verification": charge.verification,
        "reason": charge.reason,
        "band": None if evidence is None else evidence.uid,
    }


def _event(event: StoredEvent) -> dict[str, Any]:
    payload = {key: plain(value) for key, value in sorted(event.payload.items()) if key not in _OTHERS}
    return {"type": event.type.name.lower(), "at_s": event.at_s, "said": payload}


def _use_case(case: UseCase, register: Register) -> dict[str, Any]:
    return {
        "id": case.id,
        "title": dict(case.title),
        "why": dict(case.why),
        "gives": dict(case.gives),
        "purpose": case.purpose,
        "basis": case.basis,
        "special_basis": case.special_basis,
        "consent": None if case.consent is None else case.consent.value,
        "recipients": [dict(recipient.title) for recipient in case.recipients],
        "kept": [{"what": dict(group.title), **_keep(group.keep)} for group in case.groups],
        "sections": sorted(_sections_of(case)),
    }


def _sections_of(case: UseCase) -> Iterable[str]:
    own = {table for group in case.groups for table in group.tables}
    yield from (name for name, tables in SECTIONS.items() if not tables.isdisjoint(own))
    if any(group.events for group in case.groups):
        yield EVENTS


def _keep(keep: Keep) -> dict[str, Any]:
    law = None if keep.law is None else dict(keep.law)
    return {"days": keep.days, "hours": keep.hours, "since": keep.since.value, "law": law}


def _shortened(counted: Mapping[str, int], sections: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    given = {name: len(rows) for name, rows in sections.items() if isinstance(rows, list)}
    more = {name: count for name, count in counted.items() if count > given.get(name, count)}
    return {name: {"held": count, "given": given[name]} for name, count in more.items()}


def plain(value: Any) -> Any:
    """As JSON holds it: records as objects, codes as texts, bytes as hex, sets in order."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value) if each.name not in _OTHERS}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(each) for key, each in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(plain(each) for each in value)
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return round(value * 1_000_000)  # of scores, which are nobody's amounts: in millionths
    return value
