"""Reads another gateway's events: what its payload must hold for the folio authority to act on it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from steward.domain.charges import (
    Charge,
    ChargeRequest,
    ChargeState,
    TapEvidence,
    TapFacts,
    request_problem,
)
from steward.domain.events import EventType, Scalar, StoredEvent
from steward.domain.ids import GuestRef, OutletId, TapId, TillId, Uid
from steward.errors import RemoteError

_TEXT_MAX = 64
_COUNT_MAX = 2**53 - 1
_UID_LENGTH = 14
_VERIFIED_BY = ("none", "pin", "photo")


class BadPeerEvent(RemoteError):
    """An event that says what cannot be. It is kept as told, and not acted on."""

    code = "bad_peer_event"


def charge_of(event: StoredEvent) -> Charge:
    """The charge of a charge event, without its description, which is in no event. Raises BadPeerEvent."""
    payload = event.payload
    amount_minor = number_of(payload, "amount_minor")
    request = ChargeRequest(
        TapId(text_of(payload, "tap_id")),
        TillId(text_of(payload, "till")),
        OutletId(text_of(payload, "outlet")),
        amount_minor,
        text_of(payload, "currency"),
    )
    if request_problem(request) is not None:
        raise BadPeerEvent("a charge that no till could have asked for")
    verification = payload.get("verification", "none")
    if verification not in _VERIFIED_BY:
        raise BadPeerEvent("no way to verify a charge")
    posted = event.type is EventType.CHARGE_POSTED
    state = ChargeState.POSTED if posted else ChargeState.REFUSED
    evidence = None if payload.get("uid") is None else _evidence(payload)
    return Charge(request, event.at_s, state, text_of(payload, "code"), evidence, str(verification))


def _evidence(payload: Mapping[str, Scalar]) -> TapEvidence:
    counter, signed, mac = payload.get("counter"), payload.get("signed"), payload.get("mac")
    if not isinstance(signed, bytes) or not isinstance(mac, bytes):
        raise BadPeerEvent("evidence without bytes")
    uid = text_of(payload, "uid")
    if len(uid) != _UID_LENGTH or not all(char in "0123456789ABCDEF" for char in uid):
        raise BadPeerEvent("evidence of no band")
    evidence = TapEvidence(
        uid=Uid(uid),
        guest=GuestRef(text_of(payload, "guest")),
        serial=number_of(payload, "serial"),
        key_version=number_of(payload, "key_version"),
        active=payload.get("active") is True,
        counter=None if counter is None else number_of(payload, "counter"),
        signed=signed,
        mac=mac,
        verified=None,
        reader=text_of(payload, "reader"),
    )
    try:
        TapFacts(evidence)
    except ValueError as error:
        raise BadPeerEvent("evidence that no card could have given") from error
    return evidence


def text_of(payload: Mapping[str, Scalar], key: str) -> str:
    """A short printable text; empty if it is not there. Raises BadPeerEvent."""
    value = payload.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _TEXT_MAX or not value.isprintable():
        raise BadPeerEvent(f"{key} is no short text")
    return value


def number_of(payload: Mapping[str, Scalar], key: str, default: int = 0) -> int:
    """A whole number, 0 or more; `default` if it is not there. Raises BadPeerEvent."""
    value = payload.get(key, default)
    if type(value) is not int or not 0 <= value <= _COUNT_MAX:
        raise BadPeerEvent(f"{key} is no whole number")
    return value
