"""Who may publish and read what on a broker: one list for every kind of broker, written out by brokerfiles.py.

Everything not listed is refused. A gateway's rights name its own ship and itself, so that no gateway can act as
another and no ship sees another's topics. Names hold no dot, slash or wildcard: none can reach beyond its level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steward.domain.topics import CLASS_WORDS, PEERS, ROOT, is_name

SHORE = "shore"
TAKEN = ("lan", "down")  # levels beside the gateways' names


@dataclass(frozen=True, slots=True)
class Grant:
    """One identity: the user a certificate or a password stands for. Topics as MQTT filters."""

    user: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def identity(ship: str, gateway: str) -> str:
    """The user name of a gateway on any broker, and the common name of its client certificate."""
    if not is_name(ship) or not is_name(gateway) or gateway in TAKEN:
        raise ValueError(f"{ship!r}, {gateway!r} cannot be the names of a ship and its gateway")
    return f"{ship}/{gateway}"


def shore_broker(ships: Mapping[str, Sequence[str]]) -> tuple[Grant, ...]:
    """On shore's broker. ships: the names of each ship's gateways."""
    shore = Grant(
        SHORE,
        publish=(f"{ROOT}/+/+/ack/shore", f"{ROOT}/+/down/+"),
        subscribe=(f"{ROOT}/+/+/up/+", f"{ROOT}/+/+/link/+"),
    )
    return (shore, *(_at_shore(ship, name) for ship, names in ships.items() for name in names))


def ship_broker(ship: str, gateways: Sequence[str], authority: str) -> tuple[Grant, ...]:
    """On a ship's own broker: its gateways, of which the folio authority also takes in what the others send.

    Shore is a user here too: on a ship with one machine, or in a demo, it may read from the ship's broker.
    """
    return (*shore_broker({ship: ()}), *(_aboard(ship, name, name == authority) for name in gateways))


def _at_shore(ship: str, gateway: str) -> Grant:
    """Topics to publish on are few and named: each may hold a retained message, so there must be no end of none."""
    own = f"{ROOT}/{ship}/{gateway}"
    return Grant(
        identity(ship, gateway),
        publish=(*(f"{own}/up/{word}" for word in CLASS_WORDS.values()), *(f"{own}/link/{peer}" for peer in PEERS)),
        subscribe=(f"{own}/ack/+", f"{ROOT}/{ship}/down/+"),
    )


def _aboard(ship: str, gateway: str, is_authority: bool) -> Grant:
    base, lan = _at_shore(ship, gateway), f"{ROOT}/{ship}/lan"
    asks = (*base.publish, f"{lan}/{gateway}/ask", f"{lan}/{gateway}/heard")
    hears = (*base.subscribe, f"{lan}/{gateway}/changes", f"{lan}/{gateway}/radio")
    if not is_authority:
        return Grant(base.user, asks, hears)
    return Grant(
        base.user,
        publish=(*asks, f"{lan}/+/changes", f"{lan}/+/radio", f"{ROOT}/{ship}/+/ack/ship", f"{ROOT}/{ship}/down/+"),
        subscribe=(*hears, f"{lan}/+/ask", f"{lan}/+/heard", f"{ROOT}/{ship}/+/up/+", f"{ROOT}/{ship}/+/link/+"),
    )
