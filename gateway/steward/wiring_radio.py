"""Bands on the air: the radio of this gateway, who resolves what it hears, find-me and the guests' wishes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from bandwire.aes import Aes
from bandwire.keys import K_MASTER
from steward.adapters.eidaes import encrypt_blocks
from steward.config import Config
from steward.errors import ConfigError
from steward.ports import Clock, Entropy, KeyRing
from steward.ports.radio import Radio
from steward.ports.sync import Pipe
from steward.services.findme import FindMe
from steward.services.lanradio import RadioForwarder, RadioPeers
from steward.services.presence import PresenceService
from steward.services.radiowishes import RadioWishes
from steward.wiring_ship import Ship

Run = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RadioParts:
    wishes: RadioWishes
    presence: PresenceService
    find_me: FindMe
    tasks: dict[str, Run] = field(default_factory=dict)  # for a supervisor


def make_radio(
    config: Config,
    ship: Ship,
    clock: Clock,
    entropy: Entropy,
    keyring: KeyRing,
    aes: Aes,
    pipe: Pipe | None = None,
    radio: Radio | None = None,
) -> RadioParts:
    """radio: in place of the platform's, for whoever starts a gateway in its own process. Raises ConfigError."""
    wishes = RadioWishes(ship.store, clock, partial(_heard_ago_ms, ship) if ship.follows else None)
    tasks: dict[str, Run] = {"band wishes": wishes.run}
    if config.ble is not None and radio is None:
        _check(config, keyring, follows=ship.follows)
        radio, tasks["radio"] = _own_radio(config, clock)
    own, radios = config.gateway, list[Radio]() if radio is None else [radio]
    if ship.router is not None and pipe is not None and config.ship is not None:
        if not ship.follows:
            peers = RadioPeers(own.ship, [member.name for member in config.ship.members], clock, entropy, keyring, pipe)
            ship.router.on(peers.topic, peers.receive)
            radios += peers.radios.values()
        elif radio is not None:
            forwarder = RadioForwarder(own.ship, own.name, radio, clock, keyring, pipe)
            ship.router.on(forwarder.topic, forwarder.receive)
            tasks["radio words"] = forwarder.run
    heard_here, passed_on = ([], radios) if ship.follows else (radios, [])
    presence = PresenceService(ship.store, clock, keyring, aes, encrypt_blocks, heard_here, passed_on)
    if heard_here:
        tasks["presence"] = presence.run
    return RadioParts(wishes, presence, FindMe(ship.store, clock, presence), tasks)


async def _heard_ago_ms(ship: Ship) -> float | None:
    """Since the authority was last heard here."""
    status = await ship.status()
    ago_s = None if status is None or status.authority is None else status.authority.heard_ago_s
    return None if ago_s is None else ago_s * 1000


def _own_radio(config: Config, clock: Clock) -> tuple[Radio, Run]:
    assert config.ble is not None
    try:  # of the extra that only gateways with a radio install
        from steward.adapters.bleclient import BandLink
        from steward.adapters.blescan import BleRadio
        from steward.adapters.bluezagent import BluezAgent
    except ImportError:
        problem = "is true, but what listens is not installed: pip install 'steward[ble]'"
        raise ConfigError(f"{config.file}: [ble] scan", problem) from None
    settings = config.ble
    link = BandLink(BluezAgent(), settings.adapter)
    radio = BleRadio(config.gateway.name, settings.zone, clock, link, settings.adapter)
    return radio, radio.run


def _check(config: Config, keyring: KeyRing, *, follows: bool) -> None:
    where = f"{config.file}: [ble] scan"
    if not follows and not keyring.holds(K_MASTER):
        raise ConfigError(
            where,
            f"is true, but a gateway of role {keyring.role} by itself cannot tell whose name it hears: "
            f"let it follow the ship's folio authority ([ship_link]), or move the radio there",
        )
