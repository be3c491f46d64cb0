"""The order to forget a guest ashore, as the ship's folio authority signs it and shore reads it. Pure.

An event that says that a guest was forgotten is an order when it is signed: by the newest voyage's key, and by the keys
before it, which vouch for the new one. Without a signature it is another gateway's word that it has done its part.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from steward.domain.erasure import Part
from steward.domain.events import Scalar, StoredEvent
from steward.domain.ids import GuestRef
from steward.domain.records import ERASURE_ORDER, record_input
from steward.domain.signednote import verifies
from steward.domain.signedrecord import canonical

SIGNERS_MAX = 8  # voyages: so many may begin between one order and the next
CERTIFICATE_MAX = 64
_KEY, _SIGNATURE = 32, 64
_AT_MAX = 10**11
_REF = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Signature:
    """One voyage's key and what it signed."""

    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class OrderSaid:
    """What an event orders, or only tells. signatures: newest key first; none: it is no order."""

    ref: GuestRef
    part: Part
    certificate: str
    at_s: int
    signatures: tuple[Signature, ...] = ()

    def holds(self, ship: str, gateway: str) -> bool:
        """Whether each of its keys has signed exactly this, for this ship, at this gateway."""
        keys = [signature.key for signature in self.signatures]
        message = record_input(ERASURE_ORDER, order_message(self, ship, gateway, keys))
        return bool(keys) and all(verifies(each.key, each.value, message) for each in self.signatures)


def order_message(said: OrderSaid, ship: str, gateway: str, keys: list[bytes]) -> bytes:
    """What is signed, all of it: an order of another ship, gateway, guest, part or time is another order.

    keys: all that sign, newest first: so the older ones vouch for it.
    """
    return canonical(
        {
            "ship": ship,
            "gateway": gateway,
            "guest": said.ref,
            "part": int(said.part),
            "certificate": said.certificate,
            "at_s": said.at_s,
            "keys": [key.hex() for key in keys],
        }
    )


def order_payload(signatures: list[Signature]) -> dict[str, Scalar]:
    """What makes the event an order."""
    if not signatures:
        return {}
    return {
        "keys": b"".join(each.key for each in signatures),
        "signatures": b"".join(each.value for each in signatures),
    }


def order_said(event: StoredEvent) -> OrderSaid | None:
    """Read strictly, whether the signatures hold or not. None: it is nothing that shore could do."""
    match dict(event.payload):
        case {"ref": str(ref), "part": int(part), "certificate": str(certificate)} if (
            _REF.fullmatch(ref)
            and type(part) is int
            and part in set(Part)
            and len(certificate) <= CERTIFICATE_MAX
            and certificate.isprintable()
            and 0 <= event.at_s <= _AT_MAX
        ):
            signatures = _signatures(event.payload.get("keys", b""), event.payload.get("signatures", b""))
            if signatures is not None:
                return OrderSaid(GuestRef(ref), Part(part), certificate, event.at_s, signatures)
    return None


def _signatures(keys: Scalar, values: Scalar) -> tuple[Signature, ...] | None:
    if not isinstance(keys, bytes) or not isinstance(values, bytes):
        return None
    count = len(keys) // _KEY
    if count > SIGNERS_MAX or (len(keys), len(values)) != (count * _KEY, count * _SIGNATURE):
        return None
    return tuple(
        Signature(keys[n * _KEY : (n + 1) * _KEY], values[n * _SIGNATURE : (n + 1) * _SIGNATURE]) for n in range(count)
    )
