"""The link's parts: a broker of our own if the settings ask for one, the pipe to shore, and what runs on it."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from steward import __version__
from steward.adapters.broker import BrokerFault, BrokerSetup, EmbeddedBroker, read_password
from steward.adapters.brokerfiles import BrokerTls
from steward.adapters.brokerrights import identity, ship_broker
from steward.adapters.certificates import read_chain, read_key
from steward.adapters.dial import ClientTls
from steward.adapters.mqtt import MqttPipe, MqttSettings
from steward.config import Config
from steward.config_link import BrokerSettings, LinkSettings, TlsFiles
from steward.domain.recipients import Projection
from steward.domain.topics import down_topic, link_topic
from steward.domain.usecases import REGISTER
from steward.errors import CertificateError, ConfigError, StoreUnavailable
from steward.ports import Clock, Entropy, Store, Tx
from steward.ports.sync import PipeMessage
from steward.services.downlink import DownlinkService, DownlinkSettings
from steward.services.fromshore import APPLIERS
from steward.services.lookwitness import witness_applier
from steward.services.router import MessageRouter
from steward.services.uplink import UplinkService, UplinkSettings
from steward.web.bundle import LinkStatus

SHORE = "shore"
KIB = 1024
_CLIENT = "link.client"

Run = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ShoreLink:
    """The pipe to shore and what runs on it."""

    url: str
    pipe: MqttPipe
    uplink: UplinkService
    downlink: DownlinkService
    router: MessageRouter

    async def status(self) -> LinkStatus:
        snapshot = await self.uplink.snapshot()
        return LinkStatus(
            url=self.url,
            trouble=self.pipe.trouble,
            uplink=snapshot,
            socket=snapshot.socket,
            down_versions=await self.downlink.versions(),
        )


@dataclass(frozen=True, slots=True)
class Link:
    """None is what the settings do not ask for. `tasks` are for a supervisor."""

    broker: EmbeddedBroker | None = None
    shore: ShoreLink | None = None

    def tasks(self) -> dict[str, Run]:
        found: dict[str, Run] = {}
        if self.broker is not None:
            found["broker"] = self.broker.run
        if self.shore is not None:
            shore = self.shore
            found |= {"link": shore.pipe.run, "link messages": shore.router.run, "uplink": shore.uplink.run}
        return found

    async def status(self) -> LinkStatus | None:
        return None if self.shore is None else await self.shore.status()

    async def close(self) -> None:
        """After the tasks have ended, and before the store is closed."""
        if self.shore is not None:
            with contextlib.suppress(StoreUnavailable):  # a full disk must not keep us from closing
                await self.shore.uplink.save()
        if self.broker is not None:
            self.broker.close()


async def open_link(config: Config, store: Store, clock: Clock, entropy: Entropy) -> Link:
    """Make the parts; connect nothing. Raises ConfigError."""
    check_link(config)
    broker = None if config.broker is None else await _open_broker(config, config.broker)
    if config.link is None:
        return Link(broker)
    with contextlib.ExitStack() as unless_done:
        if broker is not None:
            unless_done.callback(broker.close)
        secret = await store.write(client_secret)
        pipe = MqttPipe(mqtt_settings(config, config.link, broker, secret))
        link = Link(broker, _shore_link(config, config.link, store, clock, entropy, pipe))
        unless_done.pop_all()
    return link


def client_secret(tx: Tx) -> str:
    """A part of our client ids that nobody can guess: a client of the same id would end our connection."""
    found = tx.meta(_CLIENT)
    if found is None:
        found = secrets.token_hex(8)
        tx.set_meta(_CLIENT, found)
    return found


def check_link(config: Config) -> None:
    """What can be told without connecting. Raises ConfigError."""
    if config.link is not None and config.link.tls is not None:
        check_files(config, config.link.tls, "link")


def check_files(config: Config, tls: TlsFiles, section: str) -> None:
    """Missing, damaged or readable by others: told at the start. Dates are not: doors open whatever the link does."""
    try:
        read_chain(tls.ca)
        chain, key = read_chain(tls.certificate), read_key(tls.private_key)
    except CertificateError as error:
        raise ConfigError(f"{config.file}: [{section}] certificate", str(error)) from None
    if chain[0].public_key() != key.public_key():
        problem = f"{tls.private_key} is not the key of {tls.certificate}: name the pair that was made together"
        raise ConfigError(f"{config.file}: [{section}] private_key", problem)


async def _open_broker(config: Config, settings: BrokerSettings) -> EmbeddedBroker:
    own = config.gateway
    tls = None
    if settings.certificate is not None and settings.private_key is not None and settings.client_ca is not None:
        tls = BrokerTls(settings.certificate, settings.private_key, settings.client_ca)
    setup = BrokerSetup(
        name=f"steward-{own.ship}-{own.name}",
        folder=settings.data_dir or own.data_dir / "broker",
        grants=ship_broker(own.ship, (own.name, *settings.gateways), own.name),
        host=settings.host,
        port=settings.port,
        tls=tls,
        disk_bytes_max=settings.disk_mb * KIB * KIB,
    )
    try:
        return await EmbeddedBroker.open(setup)
    except BrokerFault as error:
        raise ConfigError(f"{config.file}: [broker]", str(error)) from None


def mqtt_settings(
    config: Config, link: LinkSettings, broker: EmbeddedBroker | None, secret: str, peer: str = SHORE
) -> MqttSettings:
    """peer: whom the connection is for, "shore" or "ship"."""
    own = config.gateway
    user = identity(own.ship, own.name)
    login = None
    if link.host is None:
        assert broker is not None
        login = (user, broker.password(user))
    elif link.password_file is not None:
        try:
            login = (user, read_password(link.password_file))
        except BrokerFault as error:
            section = "link" if peer == SHORE else "ship_link"
            raise ConfigError(f"{config.file}: [{section}] password_file", str(error)) from None
    return MqttSettings(
        host=link.host or "127.0.0.1",
        port=link.port or (0 if broker is None else broker.port),
        client_id=f"{own.ship}-{own.name}-{peer}-{secret}",
        tls=None if link.tls is None else ClientTls(link.tls.ca, link.tls.certificate, link.tls.private_key),
        login=login,
        presence=link_topic(own.ship, own.name, peer),
        keep_alive_s=link.keep_alive_s,
        others=link.others,
    )


def _shore_link(
    config: Config, link: LinkSettings, store: Store, clock: Clock, entropy: Entropy, pipe: MqttPipe
) -> ShoreLink:
    own = config.gateway
    uplink = UplinkService(
        store,
        clock,
        entropy,
        pipe,
        UplinkSettings(
            ship=own.ship,
            gateway=own.name,
            peer=SHORE,
            version=__version__,
            projection=Projection.by(REGISTER.shore_fields),
            budget={cls: kib * KIB for cls, kib in link.budget_kib_per_day.items()},
            utc_offset_s=own.utc_offset_min * 60,
        ),
    )
    witness = witness_applier(own.ship, own.name, link.shore_keys)
    downlink = DownlinkService(
        store, clock, DownlinkSettings(own.ship, link.shore_keys), {**APPLIERS, "witness": witness}
    )
    router = MessageRouter(pipe, uplink.overheard)
    router.on(uplink.topic, uplink.receive)

    async def decide(message: PipeMessage) -> None:
        await downlink.receive(message)

    router.on(down_topic(own.ship, "+"), decide)
    return ShoreLink(link.url, pipe, uplink, downlink, router)
