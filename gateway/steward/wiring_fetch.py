"""Settings in, what fetches released models out: where there is a link, and a folder for what comes."""

from __future__ import annotations

from steward.adapters.arrivals import FolderArrivals
from steward.adapters.httpsource import HttpSource
from steward.config import Config
from steward.errors import ConfigError
from steward.ports import Clock, Store
from steward.services.filefetch import FetchSettings, FileFetch
from steward.services.modelfetch import model_fetch
from steward.wiring_models import Rankers

_KIB = 1024


def make_fetch(config: Config, store: Store, clock: Clock, rankers: Rankers) -> FileFetch | None:
    """None where nothing is to be fetched. Raises ConfigError."""
    settings, link, watch = config.models, config.link, rankers.watch
    if link is None or settings.folder is None or watch is None or not settings.fetch_kib_per_day:
        return None
    try:
        source = HttpSource(None if link.tls is None else link.tls.ca)
    except OSError as error:
        raise ConfigError(f"{config.file}: [link] ca", f"cannot be read as certificates ({error.strerror})") from None
    return model_fetch(
        store,
        clock,
        rankers.ranking,
        watch.has,
        source,
        FolderArrivals(settings.folder, config.monitor.disk_floor_mb * _KIB * _KIB),
        FetchSettings(settings.fetch_kib_per_day * _KIB, config.gateway.utc_offset_min * 60),
    )
