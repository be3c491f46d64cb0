"""Settings in, what brings bands their program out: at the folio authority, where the settings name a release key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from steward.adapters.arrivals import FolderArrivals
from steward.adapters.httpsource import HttpSource
from steward.adapters.releasefolder import ENDING, FolderReleases
from steward.config import Config
from steward.errors import ConfigError
from steward.ports import Clock, Store
from steward.services.bandfetch import release_fetch
from steward.services.bandreleases import BandReleases
from steward.services.bandupdater import BandUpdater, Ears, UpdaterSettings
from steward.services.filefetch import FetchSettings

_KIB = 1024


@dataclass(frozen=True, slots=True)
class BandParts:
    """releases: None where bands are updated at the bench alone. tasks: for a supervisor."""

    releases: BandReleases | None = None
    tasks: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)


def make_bands(config: Config, store: Store, clock: Clock, ears: Ears | None, *, follows: bool) -> BandParts:
    """ears: None where no radio listens: bands are then updated on a cable alone. Raises ConfigError."""
    settings, link = config.bands, config.link
    if settings is None or follows:
        return BandParts()
    folder = FolderReleases(settings.folder)
    releases = BandReleases(store, clock, folder, settings.release_key, ears)
    tasks: dict[str, Callable[[], Awaitable[None]]] = {"band releases": releases.run}
    if link is not None and settings.fetch_kib_per_day:
        try:
            source = HttpSource(None if link.tls is None else link.tls.ca)
        except OSError as error:
            problem = f"cannot be read as certificates ({error.strerror})"
            raise ConfigError(f"{config.file}: [link] ca", problem) from None
        arrivals = FolderArrivals(settings.folder, config.monitor.disk_floor_mb * _KIB * _KIB, ENDING)
        spending = FetchSettings(settings.fetch_kib_per_day * _KIB, config.gateway.utc_offset_min * 60)
        fetch = release_fetch(store, clock, folder.here, source, arrivals, spending)
        tasks["band release files"] = fetch.run
    if ears is not None:
        night = UpdaterSettings(config.gateway.utc_offset_min * 60)
        tasks["band updates"] = BandUpdater(releases, ears, clock, night).run
    return BandParts(releases, tasks)
