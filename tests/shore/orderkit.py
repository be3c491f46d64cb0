"""Orders to forget a guest, as a ship's folio authority signs them with the keys of its voyages."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.shore.kit import NOW_S

from steward.domain.erasure import Part
from steward.domain.erasureorder import OrderSaid, Signature, order_message, order_payload
from steward.domain.events import EventType, Scalar, StoredEvent
from steward.domain.ids import GuestRef
from steward.domain.records import ERASURE_ORDER, record_input
from steward.shore.ordered import Why, held, name_authority, print_of
from steward.shore.store import ShoreStore

GONE = GuestRef("00112233445566aa")


def voyage_key(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def public(number: int) -> bytes:
    return voyage_key(number).public_key().public_bytes_raw()


def proof(said: OrderSaid, ship: str = "aurora", gateway: str = "gw1", keys: Sequence[int] = (1,)) -> dict[str, Scalar]:
    """What the keys of these voyages, newest first, make an order of."""
    message = record_input(ERASURE_ORDER, order_message(said, ship, gateway, [public(key) for key in keys]))
    return order_payload([Signature(public(key), voyage_key(key).sign(message)) for key in keys])


def order(
    seq: int,
    ref: str = GONE,
    part: int = 2,
    epoch: int = 100,
    *,
    ship: str = "aurora",
    gateway: str = "gw1",
    keys: Sequence[int] = (1,),
) -> StoredEvent:
    """The authority's order; with no keys, another gateway's word that it has done its part."""
    said = OrderSaid(GuestRef(ref), Part(part), "cert-1", NOW_S + seq)
    signed = proof(said, ship, gateway, keys) if keys else {}
    payload: dict[str, Scalar] = {"ref": ref, "certificate": "cert-1", "part": part, "gateway": gateway, **signed}
    return StoredEvent(epoch, seq, EventType.GUEST_ERASED, NOW_S + seq, payload)


async def named(store: ShoreStore, ship: str = "aurora", gateway: str = "gw1", key: int = 1) -> int:
    """As an operator says it: whose orders are obeyed. How many had waited."""
    return await store.write(name_authority(ship, gateway, print_of(public(key)), NOW_S))


async def reasons(store: ShoreStore) -> list[Why]:
    """Why what is held is not obeyed, oldest event first."""
    found = await store.read(held(999))
    return [one.why for one in sorted(found, key=lambda one: (one.ship, one.gateway, one.epoch, one.seq))]
