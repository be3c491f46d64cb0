"""Fetches the release that shore ordered for bands, where nobody has carried it aboard; bandreleases.py takes it up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from steward.domain.bandrelease import CONTAINER_MAX
from steward.ports import Clock, Store, Tx
from steward.ports.fetching import Arrivals, Source
from steward.services.bandreleases import ordered
from steward.services.filefetch import FetchSettings, FileFetch, Wanted, What

_WHAT = What("band-release", "band-releases", CONTAINER_MAX)


def release_fetch(
    store: Store,
    clock: Clock,
    here: Callable[[str], Awaitable[bool]],
    source: Source,
    arrivals: Arrivals,
    settings: FetchSettings,
) -> FileFetch:
    """here: whether the file of this SHA-256 has come."""
    return FileFetch(_WHAT, store, clock, _wanted, here, source, arrivals, settings)


def _wanted(tx: Tx) -> tuple[Wanted | None, frozenset[str]]:
    order = ordered(tx)
    if order is None:
        return None, frozenset()
    file = Wanted(order.sha256, order.size, order.url, str(order.number)) if order.url else None
    return file, frozenset({order.sha256})
