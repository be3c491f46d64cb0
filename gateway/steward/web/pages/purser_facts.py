"""A folio, a charge and its evidence in the words of the pages. Codes become texts; nothing is added or guessed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steward.domain.approvals import Approval
from steward.domain.charges import Charge, ChargeState
from steward.domain.evidence import EvidenceView
from steward.domain.guests import Band, BandState
from steward.domain.ledger import TransactionKind
from steward.domain.statement import StatementLine
from steward.services.desk import ChargePage, FolioPage, Person
from steward.web.pages.amounts import write_amount
from steward.web.pages.base import PageCall

_USABLE = (BandState.ISSUED, BandState.ENCODING)
_LIGHTS: Mapping[ChargeState, str] = {
    ChargeState.POSTED: "ok",
    ChargeState.HELD: "wait",
    ChargeState.DISPUTED: "wait",
    ChargeState.REFUSED: "off",
    ChargeState.VOIDED: "off",
    ChargeState.REFUNDED: "off",
}


def person_facts(call: PageCall, person: Person) -> dict[str, Any]:
    name = person.name or call.t("purser.unnamed")
    return {"ref": person.ref, "name": name, "booking": person.booking, "cabins": person.cabins}


def folio_facts(call: PageCall, found: FolioPage) -> dict[str, Any]:
    guest, totals = found.guest, found.statement.totals

    def money(minor: int) -> str:
        return call.t.money(minor, guest.currency)

    spent = (("charged", totals.charged_minor), ("credited", -totals.credited_minor))
    paid = (("deposits", -totals.deposits_minor), ("returned", totals.returned_minor))
    return {
        "person": person_facts(call, found.person),
        "balance": money(totals.balance_minor),
        "in_credit": totals.balance_minor < 0,
        "settled": guest.settled,
        "settle_owed": money(max(totals.balance_minor, 0)),
        "settle_back": money(max(-totals.balance_minor, 0)),
        "held_count": len(found.statement.held),
        "sums": [(name, money(minor)) for name, minor in (*spent, *paid, ("settled", -totals.settled_minor)) if minor],
        "held": money(totals.held_minor) if totals.held_minor else "",
        "disputed": money(totals.disputed_minor) if totals.disputed_minor else "",
        "limits": {"day": money(guest.limits.day_minor), "stay": money(guest.limits.stay_minor)},
        "child": guest.child,
        "pin_set": guest.pin is not None,
        "pin_locked": found.pin_locked,
        "charges": [charge_row(call, charge) for charge in found.charges],
        "bands": [band_row(band) for band in reversed(found.bands)],
        "usable": any(band.state in _USABLE for band in found.bands),
        "encoders": sorted(call.services.encoders),
        "pending": [approval_row(call, approval, {}) for approval in found.pending],
        "mark": found.mark,
        "own": call.signed_in.crew == guest.ref,
    }


def charge_row(call: PageCall, charge: Charge) -> dict[str, Any]:
    request = charge.request
    return {
        "tap": request.tap_id,
        "at": call.time(charge.at_s),
        "what": request.description or outlet_title(call, request.outlet),
        "outlet": outlet_title(call, request.outlet),
        "till": request.till,
        "amount": call.t.money(request.amount_minor, request.currency),
        "refunded": call.t.money(charge.refunded_minor, request.currency) if charge.refunded_minor else "",
        "state": charge.state.value,
        "said": call.t(f"purser.state.{charge.state.value}"),
        "light": _LIGHTS[charge.state],
        "reason": charge.reason,
    }


def charge_facts(call: PageCall, found: ChargePage, numbers: Mapping[str, str]) -> dict[str, Any]:
    charge = found.charge
    currency = charge.request.currency
    posted, disputed = charge.state is ChargeState.POSTED, charge.state is ChargeState.DISPUTED
    return {
        "person": person_facts(call, found.person),
        "charge": charge_row(call, charge),
        "currency": currency,
        "left": call.t.money(charge.left_minor, currency),
        "left_field": write_amount(charge.left_minor, currency),
        "may_void": posted and not charge.refunded_minor and not found.settled,
        "may_refund": posted,
        "may_dispute": posted,
        "may_resolve": disputed,
        "late": call.t.money(found.late_minor, currency) if found.late_minor else "",
        "evidence": evidence_facts(call, found.evidence),
        "pending": [approval_row(call, approval, numbers) for approval in found.pending],
        "corrections": [
            {
                "at": call.t.day_time(c.at_s, call.services.identity.utc_offset_min),
                "amount": call.t.money(c.amount_minor, currency),
                "by": who(call, c.by, numbers),
                "second": who(call, c.second, numbers) if c.second else "",
            }
            for c in found.corrections
        ],
        "limit": call.t.money(call.services.second_person_above_minor, currency),
        "limit_minor": call.services.second_person_above_minor,
        "own": call.signed_in.crew == found.person.ref,
    }


def evidence_facts(call: PageCall, proof: EvidenceView) -> dict[str, Any]:
    """The verdict in one code, and beneath it what it rests on."""
    money = call.t.money
    signed = None if proof.signed_amount_minor is None else money(proof.signed_amount_minor, proof.currency)
    return {
        "verdict": verdict(proof),
        "band": proof.serial,
        "uid": proof.uid,
        "kind": "active" if proof.active else "passive",
        "counter": proof.counter,
        "key_version": proof.key_version,
        "till": proof.till,
        "asked": money(proof.amount_minor, proof.currency),
        "signed": signed,
        "signed_till": proof.signed_till,
        "verification": proof.verification,
        "signed_hex": proof.signed_hex,
        "mac_hex": proof.mac_hex,
        "tap": proof.tap_id,
    }


def verdict(proof: EvidenceView) -> str:
    """signed, differs, forged, fresh, silent or unchecked: what a dispute may rest on."""
    if not proof.mac_hex:
        return "silent"
    if proof.matches_charge is False:
        return "differs"
    if proof.verified is None:
        return "unchecked"
    if not proof.verified:
        return "forged"
    return "signed" if proof.active else "fresh"


def band_row(band: Band) -> dict[str, Any]:
    return {
        "uid": band.uid,
        "serial": band.serial,
        "kind": "active" if band.active else "passive",
        "state": band.state.value,
        "usable": band.state in _USABLE,
    }


def approval_row(call: PageCall, approval: Approval, numbers: Mapping[str, str]) -> dict[str, Any]:
    offset_min = call.services.identity.utc_offset_min
    return {
        "id": approval.id,
        "tap": approval.tap_id,
        "kind": approval.kind.value,
        "amount": call.t.money(approval.amount_minor, approval.currency),
        "reason": approval.reason,
        "by": who(call, approval.asked_by, numbers),
        "said_by": approval.said_by,
        "own": call.signed_in.crew in (approval.asked_by, approval.said_by),
        "at": call.time(approval.asked_at_s),
        "until": call.time(approval.expires_at_s),
        "state": approval.state.value,
        "decided_by": who(call, approval.decided_by, numbers) if approval.decided_by else "",
        "decided_at": call.t.day_time(approval.decided_at_s, offset_min) if approval.decided_at_s is not None else "",
    }


def who(call: PageCall, actor: str, numbers: Mapping[str, str]) -> str:
    """A crew member's number, "you", or the program that holds a token."""
    if actor == call.signed_in.crew:
        return call.t("purser.you")
    if actor.startswith("token:"):
        return call.t("purser.program", name=actor.partition(":")[2])
    return call.t("purser.crew_number", number=numbers.get(actor, actor[:6] or "?"))


def outlet_title(call: PageCall, outlet: str) -> str:
    known = {str(id_): place.title for id_, place in call.services.outlets.items()}
    return known.get(outlet, outlet)


def statement_facts(call: PageCall, found: FolioPage) -> dict[str, Any]:
    statement, guest = found.statement, found.guest
    return folio_facts(call, found) | {
        "lines": [_line(call, line, guest.currency) for line in statement.lines],
        "printed": call.t.day_time(call.now_s(), call.services.identity.utc_offset_min),
        "year": call.t.year(call.now_s(), call.services.identity.utc_offset_min),
        "currency": guest.currency,
    }


def _line(call: PageCall, line: StatementLine, currency: str) -> dict[str, Any]:
    is_sale = line.kind is TransactionKind.CHARGE
    outlet = outlet_title(call, line.outlet) if line.outlet else ""
    return {
        "at": call.t.day_time(line.at_s, call.services.identity.utc_offset_min),
        "kind": call.t(f"purser.kind.{line.kind.value}"),
        "is_sale": is_sale,
        "text": line.text,
        "outlet": outlet,
        "amount": call.t.money(line.amount_minor, currency),
        "balance": call.t.money(line.balance_minor, currency),
        "disputed": line.disputed,
    }
