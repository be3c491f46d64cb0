"""What the web layer is given by app.py."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from steward.domain.ids import OutletId, TillId
from steward.domain.outlets import Outlet
from steward.ports import Clock, KeyRing, Store
from steward.ports.sync import LinkBytes, Waiting
from steward.services.aggregates import AggregateService
from steward.services.bandreleases import BandReleases
from steward.services.blanks import BlankService
from steward.services.board import TapBoard
from steward.services.browsersignal import BrowserSignal
from steward.services.certificates import CertificateLife
from steward.services.checkin import CheckinService
from steward.services.consents import ConsentService
from steward.services.context import ContextService
from steward.services.crew import CrewService
from steward.services.desk import PurserDesk
from steward.services.encoder import EncodeService
from steward.services.erasure import ErasureService
from steward.services.feed import TapFeed
from steward.services.findme import FindMe
from steward.services.folio import FolioService
from steward.services.guestaccess import GuestAccess
from steward.services.health import HealthService, Machine
from steward.services.lookheads import LookHeads
from steward.services.lookproof import LookProofs
from steward.services.lookups import LookupService
from steward.services.manifest import ManifestService
from steward.services.mydata import MyData
from steward.services.notes import NoteService
from steward.services.notracking import NoTrackingService
from steward.services.offers import OfferService
from steward.services.officer import OfficerDesk
from steward.services.ownband import OwnBandService
from steward.services.ownfolio import OwnFolioService
from steward.services.ownoffers import OwnOfferService
from steward.services.payments import PaymentService
from steward.services.presence import PresenceService
from steward.services.radiowishes import RadioWishes
from steward.services.receipts import Receipts
from steward.services.recovery import RecoveryService
from steward.services.requests import RequestService
from steward.services.retention import RetentionService
from steward.services.rulewatch import RuleWatch
from steward.services.settling import SettleAll
from steward.services.signals import SignalService
from steward.services.stock import StockService
from steward.services.takeout import TakeoutService
from steward.services.uplink import UplinkSnapshot
from steward.web.roles import Principal


@dataclass(frozen=True, slots=True)
class ReaderStatus:
    """A reader as an operator sees it."""

    name: str
    kind: str  # "link" | "pcsc"
    purpose: str  # "door" | "till" | "encoder" | "crew"
    place: str  # "cabin 5012", "zone gangway", "till bar-1", "desk"
    port: int | None  # of a link reader, once it listens
    state: str  # "starting" | "idle" | "waiting" | "busy" | "fault" | "stopped"
    error: str = ""  # why it last failed, as a code


@dataclass(frozen=True, slots=True)
class Identity:
    """Which gateway this is, for the page's head."""

    ship: str
    gateway: str
    role: str
    version: str
    started_s: int
    utc_offset_min: int


@dataclass(frozen=True, slots=True)
class Front:
    """How callers reach the gateway: by which names (an IPv6 address without brackets), and whether over TLS."""

    names: frozenset[str] = frozenset({"127.0.0.1", "localhost", "::1"})
    https: bool = False


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """The TLS certificate in use, as an operator sees it. problem: empty if there is nothing to do."""

    names: tuple[str, ...]
    not_after_s: int
    days_left: int
    problem: str


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """The link to shore as an operator sees it. trouble: why it is down, or what the broker refuses; empty if well."""

    url: str
    trouble: str
    uplink: UplinkSnapshot
    socket: LinkBytes  # since this process started
    down_versions: Mapping[str, int]  # the newest decision applied of each kind; 0: none


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """Another gateway of this ship, as the folio authority hears of it."""

    name: str
    role: str
    here: bool  # heard lately
    heard_ago_s: int | None  # None: not since this process started
    queue_events: int | None  # of its log, still to come in; None: not known, it has sent none yet


@dataclass(frozen=True, slots=True)
class FollowedStatus:
    """The folio authority, as a gateway that follows it hears of it."""

    here: bool
    heard_ago_s: int | None  # None: not since this process started
    epoch: int  # position: what of the authority's records is applied here
    revision: int
    queue: Waiting  # what it has not acknowledged yet


@dataclass(frozen=True, slots=True)
class ShipStatus:
    """The ship's gateways as seen from here. authority: None at the authority itself, else there are no `gateways`."""

    gateways: tuple[GatewayStatus, ...] = ()
    authority: FollowedStatus | None = None


async def _no_link() -> LinkStatus | None:
    return None


async def _no_ship() -> ShipStatus | None:
    return None


@dataclass(frozen=True, slots=True)
class Services:
    """The services and facts the routes need. find_token: whose API token this is."""

    identity: Identity
    store: Store
    clock: Clock
    keys: KeyRing
    checkin: CheckinService
    manifests: ManifestService
    blanks: BlankService
    encoder: EncodeService
    payments: PaymentService
    folio: FolioService
    lookups: LookupService
    look_heads: LookHeads
    look_proofs: LookProofs
    notes: NoteService
    recovery: RecoveryService
    offers: OfferService
    rule_watch: RuleWatch
    stock: StockService
    consents: ConsentService
    receipts: Receipts
    browser_signal: BrowserSignal
    my_data: MyData
    own_offers: OwnOfferService
    signals: SignalService
    context: ContextService
    crew: CrewService
    guest_access: GuestAccess
    own_band: OwnBandService
    own_folio: OwnFolioService
    no_tracking: NoTrackingService
    radio_wishes: RadioWishes
    presence: PresenceService
    find_me: FindMe
    feed: TapFeed
    board: TapBoard
    desk: PurserDesk
    requests: RequestService
    officer: OfficerDesk
    retention: RetentionService
    settling: SettleAll
    erasures: ErasureService
    takeouts: TakeoutService
    aggregates: AggregateService
    machine: Machine
    health: HealthService
    zones: Mapping[str, int]
    outlets: Mapping[OutletId, Outlet]
    tills: Mapping[TillId, str]  # tills with a reader here -> their outlet
    encoders: frozenset[str]  # names of readers that encode
    readers: Callable[[], Sequence[ReaderStatus]]
    find_token: Callable[[str], Principal | None]
    second_person_above_minor: int = 0  # what one person may give back alone
    front: Front = field(default_factory=Front)
    certificate: Callable[[], CertificateStatus | None] = lambda: None  # None: no TLS
    certificates: Callable[[], Sequence[CertificateLife]] = tuple  # of HTTP, the links and the broker
    link: Callable[[], Awaitable[LinkStatus | None]] = _no_link  # None: there is none
    ship: Callable[[], Awaitable[ShipStatus | None]] = _no_ship  # None: this is the ship's only gateway
    band_releases: BandReleases | None = None  # None: this gateway brings bands no program
    closing: asyncio.Event = field(default_factory=asyncio.Event)
