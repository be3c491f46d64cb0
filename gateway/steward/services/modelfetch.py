"""Fetches the file of the release that shore signed last, where nobody has carried it aboard.

services/modelwatch.py takes it from there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from steward.domain.modelfile import MANIFEST_BYTES_MAX, NETWORK_BYTES_MAX
from steward.domain.shorebodies import decode_releases
from steward.domain.trial import begin
from steward.ports import Clock, Store, Tx
from steward.ports.fetching import Arrivals, Source
from steward.services.filefetch import FetchSettings, FileFetch, Wanted, What
from steward.services.modelwatch import MODEL
from steward.services.ranking import Ranking

_WHAT = What("model", "models", MANIFEST_BYTES_MAX + NETWORK_BYTES_MAX)


def model_fetch(
    store: Store,
    clock: Clock,
    ranking: Ranking,
    here: Callable[[str], Awaitable[bool]],
    source: Source,
    arrivals: Arrivals,
    settings: FetchSettings,
) -> FileFetch:
    """here: whether the file of this SHA-256 has come."""

    def wanted(tx: Tx) -> tuple[Wanted | None, frozenset[str]]:
        """The release to fetch, if it names an address and is still to be tried; and whatever must stay."""
        trial, record = ranking.read(tx), tx.down("release")
        told = () if record is None else decode_releases(record.body)
        newest = next((release for release in told if release.name == MODEL), None)
        kept = frozenset(trial.wants()) | ({newest.sha256} if newest is not None else set())
        if newest is None or not newest.url:
            return None, kept
        new_or_lost = begin(trial, newest.sha256) is not trial or newest.sha256 in trial.wants()
        file = Wanted(newest.sha256, newest.size, newest.url, newest.version)
        return file if new_or_lost else None, kept

    return FileFetch(_WHAT, store, clock, wanted, here, source, arrivals, settings)
