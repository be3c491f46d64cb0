"""A guest's own pages: the services behind the way in, band, folio and no-tracking."""

from __future__ import annotations

from dataclasses import dataclass

from bandwire.aes import Aes
from steward.config import Config
from steward.domain.ids import OutletId
from steward.domain.outlets import OutletKind
from steward.ports import Clock, Entropy, KeyRing, Store
from steward.services.chargebook import PaymentSettings
from steward.services.feed import TapFeed
from steward.services.guestaccess import GuestAccess
from steward.services.notracking import NoTrackingService
from steward.services.ownband import OwnBandService
from steward.services.ownfolio import OwnFolioService
from steward.services.payments import PaymentService
from steward.services.pins import PinService


@dataclass(frozen=True, slots=True)
class GuestParts:
    access: GuestAccess
    band: OwnBandService
    folio: OwnFolioService
    no_tracking: NoTrackingService


def make_guest(
    config: Config,
    store: Store,
    clock: Clock,
    entropy: Entropy,
    keyring: KeyRing,
    aes: Aes,
    pins: PinService,
    feed: TapFeed,
    payments: PaymentService,
    settings: PaymentSettings,
    follows: bool,
) -> GuestParts:
    """follows: another gateway of the ship is the authority, which alone keeps guests."""
    path, stations = config.gateway.guest_path, _stations(config)
    return GuestParts(
        GuestAccess(store, clock, entropy, keyring, aes, pins, feed, path, stations, follows),
        OwnBandService(store, clock, entropy, _desk(config)),
        OwnFolioService(store, clock, payments, settings),
        NoTrackingService(store, clock, follows),
    )


def _stations(config: Config) -> dict[str, OutletId]:
    """The crew stations here: their readers always tell who taps, and nobody pays at them."""
    return {reader.name: OutletId(str(reader.outlet)) for reader in config.readers if reader.purpose == "crew"}


def _desk(config: Config) -> OutletId | None:
    """Where crew see what guests ask for: the first service point of the settings."""
    return next((id_ for id_, outlet in config.outlets.items() if outlet.kind is OutletKind.SERVICE), None)
