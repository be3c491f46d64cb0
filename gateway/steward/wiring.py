"""Settings in, a whole gateway out: every object made once and handed what it needs. Only app.py calls this."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from bandwire.keys import K_META
from steward import __version__
from steward.adapters.aes import HostAes
from steward.adapters.certificates import end_of
from steward.adapters.doorline import DoorLineActuator
from steward.adapters.keyfile import RIGHTS, Role
from steward.adapters.keyfile import load as load_key_file
from steward.adapters.keyring import FileKeyRing
from steward.adapters.keyseal import KeySecret
from steward.adapters.mqtt import MqttPipe
from steward.adapters.servertls import ServerTls
from steward.adapters.sqlite import renewal
from steward.adapters.sqlite.migrations import SCHEMA_VERSION
from steward.adapters.system import OsEntropy
from steward.adapters.vault import DataKey
from steward.adapters.vitals import read_vitals
from steward.config import Config, ReaderSettings
from steward.domain.ids import DoorId, OutletId, TillId
from steward.domain.receipt import Issuer
from steward.domain.retention import days_of_all, rules_of
from steward.domain.topics import PEERS
from steward.domain.usecases import REGISTER
from steward.errors import CertificateError, ConfigError
from steward.ports import Clock, ClockReading, KeyRing, Store
from steward.ports.radio import Radio
from steward.services.blanks import BlankService
from steward.services.board import TapBoard
from steward.services.browsersignal import BrowserSignal
from steward.services.certificates import CertificateWatch
from steward.services.checkin import CheckinService
from steward.services.clockmark import last_time
from steward.services.consents import ConsentService
from steward.services.context import ContextService
from steward.services.crew import CrewService
from steward.services.crewtaps import CrewTapService
from steward.services.decisions import DecisionLog
from steward.services.desk import PurserDesk
from steward.services.doors import DoorService
from steward.services.encoder import EncodeService, EncodeSettings
from steward.services.erasure import ErasureService, Scene
from steward.services.feed import TapFeed
from steward.services.filefetch import FileFetch
from steward.services.folio import FolioService
from steward.services.health import HealthService, Machine, Versions
from steward.services.lookheads import HeadSigner, LookHeads, RingSigner
from steward.services.lookproof import LookProofs
from steward.services.lookups import LookupService
from steward.services.manifest import ManifestService
from steward.services.mydata import MyData
from steward.services.notes import NoteService
from steward.services.offers import OfferService
from steward.services.officer import OfficerDesk
from steward.services.ownoffers import OwnOfferService
from steward.services.payments import PaymentService, PaymentSettings
from steward.services.pins import PinService
from steward.services.receipts import Receipts
from steward.services.recovery import RecoveryService
from steward.services.requests import RequestService
from steward.services.retention import Forget, RetentionService
from steward.services.rulewatch import RuleWatch
from steward.services.settling import SettleAll
from steward.services.signals import SignalService
from steward.services.situation import OfferSettings
from steward.services.stock import StockService
from steward.services.supervise import Supervisor
from steward.services.takeout import TakeoutService
from steward.services.taps import TapHandler, TapLoop
from steward.services.tills import TillService
from steward.web.bundle import CertificateStatus, Front, Identity, Services
from steward.web.tokens import TokenFile
from steward.wiring_aggregates import make_aggregates
from steward.wiring_bands import BandParts, make_bands
from steward.wiring_fetch import make_fetch
from steward.wiring_guest import make_guest
from steward.wiring_link import Link
from steward.wiring_models import Rankers, make_rankers
from steward.wiring_radio import RadioParts, make_radio
from steward.wiring_readers import Reader, make_reader, place_of, status_of
from steward.wiring_ship import Ship, make_ship

# What a role's keys allow its readers to do.
_PURPOSES: Mapping[str, tuple[str, ...]] = {
    "authority": ("door", "till", "encoder", "crew"),
    "encoder": ("door", "till", "encoder", "crew"),
    "till": ("door", "till", "crew"),
    "door": ("door", "till", "crew"),
}


@dataclass(frozen=True, slots=True)
class Parts:
    """A gateway that is not running yet."""

    config: Config
    store: Store
    services: Services
    supervisor: Supervisor
    actuator: DoorLineActuator
    readers: tuple[Reader, ...]
    loops: tuple[TapLoop, ...]
    tls: ServerTls | None
    link: Link
    ship: Ship
    certificates: CertificateWatch
    rankers: Rankers
    fetch: FileFetch | None
    on_air: RadioParts
    on_bands: BandParts


def open_key_ring(config: Config) -> FileKeyRing:
    """Unseal the key file. Raises KeyFileError, and ConfigError if it does not fit the settings."""
    settings = config.gateway
    ring = FileKeyRing(load_key_file(settings.key_file, key_secret(config)), HostAes())
    if ring.site != settings.site:
        problem = f"is {settings.site}, but {settings.key_file} holds the keys of site {ring.site}: correct one of them"
        raise ConfigError(f"{config.file}: [gateway] site", problem)
    for reader in config.readers:
        if reader.purpose not in _PURPOSES[ring.role]:
            raise ConfigError(
                f"{config.file}: [reader {reader.name}] purpose",
                f"is {reader.purpose}, but a gateway of role {ring.role} holds no keys for that: "
                f"export a key file of another role (steward keys export), or remove the reader",
            )
    return ring


def open_data_key(config: Config, *, make: bool = False) -> DataKey:
    """Unseal the data key. make: for a gateway that has none yet. Raises KeyFileError or StoreUnavailable."""
    settings = config.gateway
    return renewal.open_data_key(settings.database, settings.data_key_file, key_secret(config), OsEntropy(), make=make)


def head_signer(keyring: KeyRing, data_key: DataKey) -> HeadSigner:
    """The ship's key where the role holds it. Else one of this gateway's own: a stolen till signs for itself alone."""
    return RingSigner(keyring) if RIGHTS[Role(keyring.role)].signs else data_key


def key_secret(config: Config) -> KeySecret:
    settings = config.gateway
    if settings.credential is not None:
        return KeySecret.from_credential(settings.credential)
    assert settings.passphrase_file is not None
    return KeySecret.from_passphrase_file(settings.passphrase_file)


def open_tls(config: Config, now: ClockReading) -> ServerTls | None:
    """The certificate that the settings name, checked; None without one. Raises ConfigError."""
    http = config.http
    if http.certificate is None or http.private_key is None:
        return None
    try:
        return ServerTls.open(http.certificate, http.private_key, http.names, now)
    except CertificateError as error:
        raise ConfigError(f"{config.file}: [http] certificate", str(error)) from None


def build(
    config: Config,
    store: Store,
    clock: Clock,
    keyring: KeyRing,
    data_key: DataKey,
    link: Link,
    ship_pipe: MqttPipe | None = None,
    radio: Radio | None = None,
) -> Parts:
    """Make everything and connect nothing. radio: in place of the platform's."""
    entropy, aes, board = OsEntropy(), HostAes(), TapBoard()
    ship = make_ship(config, store, clock, entropy, keyring, aes, _payment_settings(config), ship_pipe, board.alert)
    store, payment_settings = ship.store, ship.payment_settings
    tls = open_tls(config, clock.now())
    certificates = _certificates(config, tls, clock)
    settings, template = config.gateway, config.gateway.sun_template
    pins = PinService(entropy)
    trusted = [station.fingerprint for station in config.stations]
    encode_settings = EncodeSettings(settings.site, template, config.encoding.random_id, settings.number, trusted)
    payments = PaymentService(store, clock, entropy, keyring, aes, payment_settings, pins, ship.funds)
    encoder = EncodeService(store, clock, entropy, keyring, aes, encode_settings)
    actuator = DoorLineActuator(
        {DoorId(reader.name): reader.controller for reader in config.readers if reader.controller is not None}
    )
    supervisor = Supervisor(lambda: clock.monotonic_ms() / 1000)
    machine = _machine(config, store, keyring, supervisor)
    feed = TapFeed()
    folio, lookups = FolioService(store, clock, payment_settings, ship.allowances), LookupService(store, clock, feed)
    heads = LookHeads(store, clock, head_signer(keyring, data_key), settings.ship, settings.name, board.alert)
    stations = {r.name: OutletId(str(r.outlet)) for r in config.readers if r.purpose == "crew"}
    crew = CrewService(store, clock, entropy, pins, config.outlets, stations)
    rankers = make_rankers(config, store)
    offer_settings = offer_settings_of(config, keyring)
    receipts = Receipts(store, keyring, _issuer(config, keyring))
    offers = OfferService(store, clock, entropy, rankers.ranking, config.rules, offer_settings)

    on_air = make_radio(config, ship, clock, entropy, keyring, aes, ship_pipe, radio)
    ears = on_air.presence if "presence" in on_air.tasks else None
    on_bands = make_bands(config, store, clock, ears, follows=ship.follows)

    def handler(reader: ReaderSettings) -> TapHandler:
        if reader.purpose == "door":
            return DoorService(store, clock, entropy, keyring, aes, template)
        if reader.purpose == "encoder":
            return encoder.handler(reader.name)
        if reader.purpose == "crew":
            return CrewTapService(stations[reader.name], crew, feed, store, clock, entropy, keyring, aes, template)
        return TillService(TillId(str(reader.till)), payments, store, clock, entropy, keyring, aes, template, feed)

    readers = tuple(make_reader(reader) for reader in config.readers)
    loops = tuple(
        TapLoop(device, place_of(config, reader), handler(reader), clock, actuator, board, on_air.wishes.wish_of)
        for reader, device in zip(config.readers, readers, strict=True)
    )
    erasures = ErasureService(store, clock, keyring, _scene(config, ship))
    forget = None if ship.follows else partial(erasures.erase, by="retention")
    guest = make_guest(
        config, store, clock, entropy, keyring, aes, pins, feed, payments, payment_settings, ship.follows
    )
    services = Services(
        identity=_identity(config, keyring, clock),
        store=store,
        clock=clock,
        keys=keyring,
        checkin=CheckinService(store, clock, entropy, pins, config.zones, ship.follows),
        manifests=ManifestService(
            store, clock, entropy, config.zones, config.outlets.keys(), settings.utc_offset_min * 60, ship.follows
        ),
        band_releases=on_bands.releases,
        blanks=BlankService(store, keyring, config.stations, settings.site, template),
        encoder=encoder,
        payments=payments,
        folio=folio,
        lookups=lookups,
        look_heads=heads,
        look_proofs=LookProofs(store, clock, heads),
        desk=PurserDesk(store, clock, lookups, payments),
        requests=RequestService(store, clock, entropy, lookups, settings.utc_offset_min * 60, ship.follows),
        officer=OfficerDesk(store, clock, lookups),
        retention=make_retention(config, store, clock, forget),
        settling=SettleAll(store, clock, folio),
        aggregates=make_aggregates(config, store, clock, ship.follows),
        notes=NoteService(store, clock, entropy),
        recovery=RecoveryService(store, clock, entropy),
        offers=offers,
        own_offers=OwnOfferService(store, offers),
        rule_watch=RuleWatch(config.rules),
        stock=StockService(store, clock, offer_settings),
        consents=ConsentService(store, clock, ship.follows),
        receipts=receipts,
        erasures=erasures,
        takeouts=TakeoutService(store, clock, receipts, pins, settings.ship, settings.name),
        browser_signal=BrowserSignal(store, clock, ship.follows),
        my_data=MyData(store, clock, ship.follows),
        signals=SignalService(store, clock, ship.follows),
        context=ContextService(store, clock, ship.follows),
        crew=crew,
        guest_access=guest.access,
        own_band=guest.band,
        own_folio=guest.folio,
        no_tracking=guest.no_tracking,
        radio_wishes=on_air.wishes,
        presence=on_air.presence,
        find_me=on_air.find_me,
        feed=feed,
        board=board,
        machine=machine,
        health=HealthService(
            store, clock, machine, [r.name for r in config.readers], config.monitor.disk_floor_mb * 1024 * 1024
        ),
        zones=config.zones,
        outlets=config.outlets,
        tills={TillId(r.till): str(r.outlet) for r in config.readers if r.till is not None},
        encoders=frozenset(reader.name for reader in config.readers if reader.purpose == "encoder"),
        readers=lambda: [
            status_of(reader, device, loop, supervisor)
            for reader, device, loop in zip(config.readers, readers, loops, strict=True)
        ],
        find_token=TokenFile(settings.api_tokens_file).find,
        second_person_above_minor=payment_settings.second_person_above_minor,
        front=Front(frozenset(config.http.names), config.http.https),
        certificate=lambda: None if tls is None else _certificate(tls, clock),
        certificates=certificates.look,
        link=link.status,
        ship=ship.status,
        closing=asyncio.Event(),
    )
    fetch = make_fetch(config, store, clock, rankers)
    return Parts(
        config=config,
        store=store,
        services=services,
        supervisor=supervisor,
        actuator=actuator,
        readers=readers,
        loops=loops,
        tls=tls,
        link=link,
        ship=ship,
        certificates=certificates,
        rankers=rankers,
        fetch=fetch,
        on_air=on_air,
        on_bands=on_bands,
    )


def offer_settings_of(config: Config, keyring: KeyRing) -> OfferSettings:
    decisions = DecisionLog(keyring.card_key(b"", K_META, keyring.versions()[0]), config.holdout)
    return OfferSettings(config.gateway.day_start_hour, config.gateway.utc_offset_min * 60, decisions)


def _scene(config: Config, ship: Ship) -> Scene:
    members = () if config.ship is None else tuple(member.name for member in config.ship.members)
    return Scene(config.gateway.ship, config.gateway.name, members, config.link is not None, ship.follows)


def make_retention(config: Config, store: Store, clock: Clock, forget: Forget | None = None) -> RetentionService:
    """Whoever is to hear of an event must have acknowledged it before its time of keeping may end it."""
    follows = config.ship is not None and not config.ship.members
    has = (config.link is not None, follows)
    peers = [peer for peer, is_there in zip(PEERS, has, strict=True) if is_there]
    return RetentionService(store, clock, rules_of(REGISTER), peers, last_time, forget, days_of_all(REGISTER))


def _certificates(config: Config, tls: ServerTls | None, clock: Clock) -> CertificateWatch:
    ends: dict[str, Callable[[], int]] = {}
    if tls is not None:
        ends["http"] = lambda: tls.not_after_s
    links = {"link": config.link, "ship-link": None if config.ship is None else config.ship.link}
    files = {name: link.tls.certificate for name, link in links.items() if link is not None and link.tls is not None}
    if config.broker is not None and config.broker.certificate is not None:
        files["broker"] = config.broker.certificate
    return CertificateWatch(clock, ends | {name: partial(end_of, path) for name, path in files.items()})


def _certificate(tls: ServerTls, clock: Clock) -> CertificateStatus:
    found = tls.status(clock.now())
    return CertificateStatus(found.names, found.not_after_s, found.days_left, found.problem)


def _machine(config: Config, store: Store, keyring: KeyRing, supervisor: Supervisor) -> Machine:
    return Machine(
        Versions(__version__, platform.python_version(), SCHEMA_VERSION, tuple(keyring.versions())),
        lambda: read_vitals(config.gateway.database, store),
        supervisor.statuses,
    )


def _issuer(config: Config, keyring: KeyRing) -> Issuer:
    """Who answers for the data: by its name if the settings say it, else the ship."""
    ship, privacy = config.gateway.ship, config.privacy
    return Issuer(keyring.site, ship, privacy.controller or ship, privacy.contact or privacy.officer)


def _identity(config: Config, keyring: KeyRing, clock: Clock) -> Identity:
    settings = config.gateway
    return Identity(
        ship=settings.ship,
        gateway=settings.name,
        role=keyring.role,
        version=__version__,
        started_s=clock.now().unix_s,
        utc_offset_min=settings.utc_offset_min,
    )


def _payment_settings(config: Config) -> PaymentSettings:
    return PaymentSettings(
        duplicate_window_s=config.charges.duplicate_window_s,
        hold_s=config.charges.hold_ttl_s,
        request_expires_s=config.charges.request_ttl_s,
        day_start_hour=config.gateway.day_start_hour,
        utc_offset_s=config.gateway.utc_offset_min * 60,
        sun_required=config.charges.sun_required,
        second_person_above_minor=config.purser.second_person_above_minor,
    )
