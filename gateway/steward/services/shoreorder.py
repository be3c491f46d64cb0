"""Signs the order to forget a guest ashore: with every voyage's key that this gateway holds, up to a bound."""

from __future__ import annotations

from steward.domain.erasureorder import SIGNERS_MAX, OrderSaid, Signature, order_message, order_payload
from steward.domain.events import Scalar
from steward.domain.records import ERASURE_ORDER
from steward.errors import KeyNotHeld
from steward.ports import KeyRing


def signed_order(keyring: KeyRing, said: OrderSaid, ship: str, gateway: str) -> dict[str, Scalar]:
    """What makes the event an order; nothing where no key signs: shore waits for the authority's then."""
    keys = keyring.verify_keys()
    versions = sorted(keys, reverse=True)[:SIGNERS_MAX]
    message = order_message(said, ship, gateway, [keys[version] for version in versions])
    try:
        values = [keyring.sign_record(ERASURE_ORDER, message, version)[1] for version in versions]
    except KeyNotHeld:
        return {}
    return order_payload([Signature(keys[version], value) for version, value in zip(versions, values, strict=True)])
