"""Questions over many guests, from settings to the service. Their library is an extra: without it, all are refused."""

from __future__ import annotations

from steward.adapters.spentfile import SpentFile
from steward.config import Config
from steward.ports import Clock, Store
from steward.ports.aggregates import Noise
from steward.services.aggregates import AggregateService, AggregateSettings


def make_aggregates(config: Config, store: Store, clock: Clock, follows: bool) -> AggregateService:
    settings, gateway = config.aggregates, config.gateway
    book = SpentFile(gateway.database.with_name(f"{gateway.database.stem}.aggregates-spent"))
    said = AggregateSettings(
        config.holdout.voyage,
        settings.min_group,
        settings.budget_milli,
        gateway.utc_offset_min * 60,
        tuple(config.outlets),
    )
    return AggregateService(store, clock, _noise(), book, said, follows)


def _noise() -> Noise | None:
    try:
        from steward.adapters.opendpnoise import OpenDpNoise
    except ImportError:
        return None
    return OpenDpNoise()
