"""A station put together from its settings: keys unsealed, journal open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bandtool import stationkeys
from bandtool.config import StationSettings
from bandtool.journal import BenchJournal
from bandtool.provision import Bench
from bandtool.stationkeys import EnrolledKeyRing
from steward.adapters import keyfile
from steward.adapters.aes import HostAes
from steward.adapters.keyfile import RIGHTS, Role
from steward.adapters.keyring import FileKeyRing
from steward.adapters.system import OsEntropy, SystemClock
from steward.errors import ConfigError


@asynccontextmanager
async def open_bench(settings: StationSettings) -> AsyncIterator[Bench]:
    """Raises ConfigError, KeyFileError, StoreUnavailable."""
    secret = settings.secret()
    keys = keyfile.load(settings.key_file, secret)
    if set(RIGHTS[keys.role].masters) != set(RIGHTS[Role.STATION].masters):
        raise ConfigError(
            str(settings.key_file), f"is a {keys.role}'s: export one with: steward keys export --role station"
        )
    aes = HostAes()
    enrolment = stationkeys.load_enrolment(settings.enrolment, secret, aes)
    signer = stationkeys.load_station(settings.station_key, secret)
    journal = await BenchJournal.open(settings.journal)
    try:
        await journal.check_station(signer.public)
        yield Bench(
            journal,
            EnrolledKeyRing(keys, aes, enrolment),
            FileKeyRing(keys, aes),
            enrolment,
            signer,
            aes,
            OsEntropy(),
            SystemClock(),
            settings.sun_template,
            settings.random_id,
            settings.development,
        )
    finally:
        await journal.close()
