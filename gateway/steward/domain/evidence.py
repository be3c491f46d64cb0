"""What a tap proves: whether the band signed this very charge, and what can be shown when it is disputed."""

from __future__ import annotations

from dataclasses import dataclass

from bandwire.charge import pack_request, unpack_request
from bandwire.errors import RemoteError
from steward.domain.charges import Charge, ChargeRefusal, ChargeRequest, TapEvidence
from steward.domain.events import Scalar
from steward.domain.ids import TapId

MAC_SIZE = 8
CHARGE_COUNTER = "charge"  # an active band's, raised by every signature
SDM_COUNTER = "sdm"  # a passive band's, raised by every read of its NDEF file

_ALARMING = frozenset({ChargeRefusal.BAD_CHARGE_SIGNATURE, ChargeRefusal.COUNTER_REPLAYED})


def signed_request(request: ChargeRequest) -> bytes:
    """The 31 bytes an active band signs for this request. The request must be sound (`request_problem`)."""
    return pack_request(request.amount_minor, request.currency, request.till, bytes.fromhex(request.tap_id))


def counter_kind(evidence: TapEvidence) -> str:
    return CHARGE_COUNTER if evidence.active else SDM_COUNTER


def signature_refusal(
    request: ChargeRequest, evidence: TapEvidence, last_counter: int, sun_required: bool
) -> ChargeRefusal | None:
    """Judge the band's signature, `evidence.verified` having been filled in by whoever holds K3.

    An active band must have signed exactly this request. A passive one cannot sign; with `sun_required` it must
    have shown a fresh message (SUN), which a thief with a till's keys cannot make up.
    """
    silent = evidence.counter is None or not evidence.mac
    if silent and (evidence.active or sun_required):
        return ChargeRefusal.NO_CHARGE_SIGNATURE
    if evidence.active and evidence.signed != signed_request(request):
        return ChargeRefusal.BAD_CHARGE_SIGNATURE
    if evidence.verified is False:
        return ChargeRefusal.BAD_CHARGE_SIGNATURE
    if evidence.counter is not None and evidence.counter <= last_counter:
        return ChargeRefusal.COUNTER_REPLAYED
    return None


def is_alarming(refusal: str | None) -> bool:
    """Whether staff must look: an honest band never gives these."""
    return refusal in _ALARMING


def charge_payload(charge: Charge) -> dict[str, Scalar]:
    """The payload of a charge's event: pseudonymous, with what proves the tap later, without any free text."""
    request = charge.request
    payload: dict[str, Scalar] = {
        "tap_id": request.tap_id,
        "till": request.till,
        "outlet": request.outlet,
        "amount_minor": request.amount_minor,
        "currency": request.currency,
        "code": charge.code,
        "guest": None,
    }
    if (evidence := charge.evidence) is not None:
        payload |= {
            "guest": evidence.guest,
            "uid": evidence.uid,
            "serial": evidence.serial,
            "key_version": evidence.key_version,
            "active": evidence.active,
            "counter": evidence.counter,
            "signed": evidence.signed,
            "mac": evidence.mac,
            "verified": evidence.verified,
            "reader": evidence.reader,
        }
    return payload


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """A charge's proof, laid open for the desk. Holds no key; the MAC only convinces who holds K3."""

    tap_id: TapId
    state: str
    code: str
    at_s: int
    till: str
    outlet: str
    amount_minor: int
    currency: str
    description: str
    verification: str
    uid: str
    serial: int
    key_version: int
    active: bool
    counter: int | None
    signed_hex: str
    mac_hex: str
    signed_amount_minor: int | None  # what the band itself signed; None: a passive band signs no amount
    signed_till: str | None
    matches_charge: bool | None  # the signed bytes are this charge's; None: a passive band
    verified: bool | None  # the MAC, checked again if K3 is held here


def evidence_view(charge: Charge, verified: bool | None) -> EvidenceView | None:
    """Lay out the proof of a tap. None if no band of ours was read."""
    evidence, request = charge.evidence, charge.request
    if evidence is None:
        return None
    amount_minor, till = _signed_facts(evidence)
    return EvidenceView(
        tap_id=request.tap_id,
        state=charge.state.value,
        code=charge.code,
        at_s=charge.at_s,
        till=request.till,
        outlet=request.outlet,
        amount_minor=request.amount_minor,
        currency=request.currency,
        description=request.description,
        verification=charge.verification,
        uid=evidence.uid,
        serial=evidence.serial,
        key_version=evidence.key_version,
        active=evidence.active,
        counter=evidence.counter,
        signed_hex=evidence.signed.hex(),
        mac_hex=evidence.mac.hex(),
        signed_amount_minor=amount_minor,
        signed_till=till,
        matches_charge=evidence.signed == signed_request(request) if evidence.active else None,
        verified=verified,
    )


def _signed_facts(evidence: TapEvidence) -> tuple[int | None, str | None]:
    if not evidence.active:
        return None, None
    try:
        amount_minor, _, till, _ = unpack_request(evidence.signed)
    except RemoteError:
        return None, None  # refused at the tap for the same reason; shown as "does not match"
    return amount_minor, till
