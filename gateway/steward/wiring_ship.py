"""One of several gateways: what the folio authority or a follower has beyond a gateway by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from bandwire.aes import Aes
from steward import __version__
from steward.adapters.mqtt import MqttPipe
from steward.config import Config
from steward.config_ship import ShipSettings
from steward.domain.recipients import WHOLE
from steward.domain.replica import MemberRole
from steward.errors import ConfigError
from steward.ports import Clock, Entropy, KeyRing, Store
from steward.services.allowances import AllowanceBook, Bell, EscrowDesk, Funds, Member
from steward.services.chargebook import ChargeBook, PaymentSettings
from steward.services.peerbooks import PeerBooks
from steward.services.peers import AWAY_MS, PEER, Peers, Watched
from steward.services.replica import Replica, position
from steward.services.router import MessageRouter
from steward.services.uplink import UplinkService, UplinkSettings
from steward.web.bundle import FollowedStatus, GatewayStatus, ShipStatus
from steward.wiring_link import Link, check_files, client_secret, mqtt_settings

Run = Callable[[], Awaitable[None]]
AUTHORITY = "authority"
# What a follower's readers may be for: it is told no more than they need.
_PURPOSES = {"door": ("door",), "till": ("door", "till", "crew"), "encoder": ("door", "encoder")}


async def _alone() -> ShipStatus | None:
    return None


@dataclass(frozen=True, slots=True)
class Ship:
    """What the other services are made with. A gateway by itself has none of it."""

    store: Store
    payment_settings: PaymentSettings
    funds: Funds | None = None
    allowances: AllowanceBook | None = None
    follows: bool = False
    tasks: dict[str, Run] = field(default_factory=dict)  # for a supervisor
    status: Callable[[], Awaitable[ShipStatus | None]] = _alone
    router: MessageRouter | None = None  # to hear more of the ship's messages by, before it runs


async def open_ship_pipe(config: Config, store: Store, link: Link) -> MqttPipe | None:
    """The connection to the ship's broker, not connected yet; None without [ship_link]. Raises ConfigError."""
    if config.ship is None:
        return None
    settings = config.ship.link
    if settings.tls is not None:
        check_files(config, settings.tls, "ship_link")
    if settings.host is None and link.broker is None:
        raise ConfigError(f"{config.file}: [ship_link] url", "is embedded, so this gateway needs a section [broker]")
    secret = await store.write(client_secret)
    return MqttPipe(mqtt_settings(config, settings, link.broker, secret, PEER))


def make_ship(
    config: Config,
    store: Store,
    clock: Clock,
    entropy: Entropy,
    keyring: KeyRing,
    aes: Aes,
    settings: PaymentSettings,
    pipe: MqttPipe | None,
    on_alert: Callable[[str], None],
) -> Ship:
    """By the role of the key file: the authority, or a gateway that follows it. Raises ConfigError."""
    if config.ship is None or pipe is None:
        return Ship(store, settings)
    _check_role(config, config.ship, keyring.role)
    tasks: dict[str, Run] = {"ship link": pipe.run}
    own, wanted = config.gateway, config.ship.allowances
    if keyring.role == AUTHORITY:
        changed = Bell(clock)
        watched = Watched(store, changed)
        settings = replace(settings, has_peers=True)
        members = config.ship.members
        allowances = AllowanceBook(
            watched, clock, ChargeBook(settings), {member.name: member for member in members}, wanted
        )
        books = PeerBooks(watched, clock, entropy, keyring, aes, allowances, settings.sun_required, on_alert)
        peers = Peers(own.ship, members, watched, clock, keyring, pipe, allowances, books, changed)
        router = MessageRouter(pipe)
        for topic in peers.topics:
            router.on(topic, peers.receive)
        status = partial(_as_authority, members, peers)
        tasks |= {"ship messages": router.run, "ship peers": peers.run}
        return Ship(watched, settings, allowances, allowances, False, tasks, status, router)
    settings, role = replace(settings, on_allowance=True), MemberRole(keyring.role)
    desk = EscrowDesk(store, clock, entropy, ChargeBook(settings), wanted) if role is MemberRole.TILL else None
    replica = Replica(own.ship, own.name, role, store, clock, entropy, keyring, pipe, desk)
    said = UplinkSettings(own.ship, own.name, PEER, __version__, WHOLE, utc_offset_s=own.utc_offset_min * 60)
    uplink = UplinkService(store, clock, entropy, pipe, said)
    router = MessageRouter(pipe, uplink.overheard)
    router.on(replica.topic, replica.receive)
    router.on(uplink.topic, uplink.receive)
    tasks |= {"ship messages": router.run, "ship replica": replica.run, "ship uplink": uplink.run}
    return Ship(store, settings, desk, None, True, tasks, partial(_as_follower, store, replica, uplink), router)


async def _as_authority(members: Sequence[Member], peers: Peers) -> ShipStatus:
    behind = await peers.behind()
    return ShipStatus(
        tuple(
            GatewayStatus(
                member.name,
                member.role.value,
                peers.is_here(member.name),
                _seconds(peers.heard_ago_ms(member.name)),
                behind.get(member.name),
            )
            for member in members
        )
    )


async def _as_follower(store: Store, replica: Replica, uplink: UplinkService) -> ShipStatus:
    at, ago_ms = await store.read(position), replica.heard_ago_ms
    here = ago_ms is not None and ago_ms < AWAY_MS
    waiting = (await uplink.snapshot()).waiting
    return ShipStatus(authority=FollowedStatus(here, _seconds(ago_ms), at.epoch, at.revision, waiting))


def _seconds(ago_ms: float | None) -> int | None:
    return None if ago_ms is None else int(ago_ms / 1000)


def _check_role(config: Config, ship: ShipSettings, role: str) -> None:
    where = f"{config.file}: [ship_link] gateway"
    if role == AUTHORITY and not ship.members:
        raise ConfigError(where, "is missing: the folio authority names every other gateway, [[ship_link.gateway]]")
    if role != AUTHORITY and ship.members:
        raise ConfigError(where, f"is for the folio authority, and the key file here is of role {role}: remove it")
    for reader in config.readers:
        if role != AUTHORITY and reader.purpose not in _PURPOSES[role]:
            raise ConfigError(
                f"{config.file}: [reader {reader.name}] purpose",
                f"is {reader.purpose}, but beside a folio authority a gateway of role {role} is not told enough "
                f"for that: move the reader, or export a key file of another role",
            )
