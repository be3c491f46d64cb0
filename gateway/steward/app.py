"""A running gateway: what is opened in which order, and how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import stat
import time
from functools import partial
from pathlib import Path

from steward import __version__, wiring
from steward.adapters.linkreader import LinkReader
from steward.adapters.servertls import ServerTls
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.system import OsEntropy, SystemClock
from steward.config import Config
from steward.domain.events import EventType, fact
from steward.errors import ConfigError, ReaderFault, StoreUnavailable
from steward.ports import Store, Tx
from steward.ports.radio import Radio
from steward.services.clockmark import last_time, set_mark
from steward.services.manifest import ManifestService
from steward.services.retention import confirm_in
from steward.web.api import create_app
from steward.web.server import HttpServer, HttpStopped, RunningHttp, bind, stopped_by_signal, url_of
from steward.wiring_link import open_link
from steward.wiring_ship import open_ship_pipe

_LOG = logging.getLogger(__name__)

TAP_GRACE_S = 5.0  # for taps in flight
MARK_EVERY_S = 60.0
CERTIFICATE_EVERY_S = 20.0
PHOTOS_EVERY_S = 600.0


class Gateway:
    """Made by `start`; `stop` ends it in order and within a bounded time."""

    def __init__(self, parts: wiring.Parts, listener: socket.socket) -> None:
        tls = parts.tls
        self._parts = parts
        self._http = RunningHttp(HttpServer(create_app(parts.services), None if tls is None else tls.context), listener)
        self.url = url_of(listener, None if tls is None else parts.config.http.names[0])

    @property
    def parts(self) -> wiring.Parts:
        return self._parts

    @classmethod
    async def start(cls, config: Config, radio: Radio | None = None) -> Gateway:
        """Open the store, the keys, the readers and the HTTP port. Raises StewardError, with nothing left open.

        radio: in place of the platform's, for whoever starts a gateway in its own process; it runs by itself.
        """
        async with contextlib.AsyncExitStack() as opened:
            keyring, data_key = wiring.open_key_ring(config), wiring.open_data_key(config, make=True)
            _make_folder(config, config.gateway.data_dir)
            store = SqliteStore.open(config.gateway.database, data_key, first_epoch=int(time.time()))
            opened.push_async_callback(store.close)
            clock = SystemClock(high_water_s=await store.read(last_time))
            link = await open_link(config, store, clock, OsEntropy())
            opened.push_async_callback(link.close)
            ship_pipe = await open_ship_pipe(config, store, link)
            parts = wiring.build(config, store, clock, keyring, data_key, link, ship_pipe, radio)
            listener = opened.enter_context(bind(config.http.host, config.http.port, config.file))
            opened.push_async_callback(_close_readers, parts)
            await _start_readers(parts)
            await store.write(lambda tx: _begin(tx, parts))
            if swept := await parts.services.erasures.sweep():
                _LOG.warning("erasure.again guests=%d", swept)
            await store.read(parts.services.rule_watch.look)
            gateway = cls(parts, listener)
            opened.pop_all()
        for loop, reader in zip(parts.loops, config.readers, strict=True):
            parts.supervisor.start(reader.name, loop.run)
        parts.supervisor.start("clock mark", lambda: _keep_mark(parts.store, clock))
        parts.supervisor.start("settlement", parts.services.settling.run)
        parts.supervisor.start("retention", parts.services.retention.run)
        parts.supervisor.start("erasures", parts.services.erasures.run)
        parts.supervisor.start("look-up log", parts.services.look_heads.run)
        parts.supervisor.start("photos", partial(_keep_photos, parts.services.manifests))
        for name, run in (link.tasks() | parts.ship.tasks | parts.on_air.tasks | parts.on_bands.tasks).items():
            parts.supervisor.start(name, run)
        if parts.rankers.watch is not None:
            parts.supervisor.start("models", parts.rankers.watch.run)
        if parts.fetch is not None:
            parts.supervisor.start("model files", parts.fetch.run)
        if parts.certificates.look():
            parts.supervisor.start("certificate dates", parts.certificates.run)
        if parts.tls is not None:
            parts.supervisor.start("certificate", partial(_keep_certificate, parts.tls, clock))
        try:
            await gateway._http.wait()
        except HttpStopped:
            await gateway.stop()
            raise
        _LOG.info("gateway.started url=%s role=%s readers=%d", gateway.url, keyring.role, len(parts.readers))
        return gateway

    async def wait(self, event: asyncio.Event) -> None:
        """Return when `event` is set. Raises HttpStopped if the HTTP server ends before."""
        await self._http.wait(event)

    async def stop(self) -> None:
        """Taps in flight are finished, then answers are sent, then the readers and the store are closed."""
        parts = self._parts
        await parts.supervisor.stop(TAP_GRACE_S)
        parts.services.closing.set()
        await self._http.stop()
        parts.rankers.ranking.close()
        await _close_readers(parts)
        await parts.link.close()
        reading = parts.services.clock.now()
        with contextlib.suppress(StoreUnavailable):  # a full disk must not keep us from closing
            if reading.trusted:
                await parts.store.write(lambda tx: set_mark(tx, reading.unix_s))
        await parts.store.close()
        _LOG.info("gateway.stopped")


async def serve(config: Config) -> None:
    """Run until SIGTERM or SIGINT. A second signal ends the process at once."""
    stop = stopped_by_signal()
    gateway = await Gateway.start(config)
    try:
        print(f"Steward for {config.gateway.ship}: {gateway.url}", flush=True)
        await gateway.wait(stop)
    finally:
        await gateway.stop()


async def _start_readers(parts: wiring.Parts) -> None:
    """Listen on every link reader's port, so that /v1/readers tells them from the first answer on; call the doors."""
    await parts.actuator.start()
    for settings, reader in zip(parts.config.readers, parts.readers, strict=True):
        if isinstance(reader, LinkReader):
            try:
                await reader.start()
            except ReaderFault as error:
                where = f"{parts.config.file}: [reader {settings.name}] port"
                raise ConfigError(where, f"{error} (0 takes any free one)") from None


async def _close_readers(parts: wiring.Parts) -> None:
    for reader in parts.readers:
        await reader.close()
    await parts.actuator.close()


def _begin(tx: Tx, parts: wiring.Parts) -> None:
    """Record the start, and the time of it if it is believed."""
    identity = parts.services.identity
    reading = parts.services.clock.now()
    if reading.trusted:
        set_mark(tx, reading.unix_s)
    tx.append_event(
        fact(
            EventType.GATEWAY_STARTED,
            reading.unix_s,
            gateway=identity.gateway,
            role=identity.role,
            version=__version__,
            clock_trusted=reading.trusted,
        )
    )


async def confirm_clock(config: Config) -> int:
    """Believe the machine's clock as it stands, in place of what was believed before; returns its time.

    For a stopped gateway: after a restart there is no jump to compare with, only the mark. Raises StewardError.
    """
    reading = SystemClock().confirm()
    if not reading.trusted:
        raise ConfigError("the machine's clock", "reads a time before this program was written: set it first")
    if not config.gateway.database.exists():
        raise StoreUnavailable(f"{config.gateway.database} does not exist: there is no time to correct")

    def work(tx: Tx) -> None:
        tx.append_event(fact(EventType.CLOCK_CONFIRMED, reading.unix_s, believed_before_s=last_time(tx)))
        tx.look_clock_confirmed()
        set_mark(tx, reading.unix_s)
        confirm_in(tx, reading.unix_s)

    store = SqliteStore.open(config.gateway.database, wiring.open_data_key(config, make=True))
    try:
        await store.write(work)
    finally:
        await store.close()
    return reading.unix_s


async def _keep_mark(store: Store, clock: SystemClock) -> None:
    """Write down from time to time how late it is, so that a clock that lost its battery is noticed after a restart."""
    while True:
        await asyncio.sleep(MARK_EVERY_S)
        reading = clock.now()
        if reading.trusted:
            await store.write(partial(set_mark, unix_s=reading.unix_s))


async def _keep_photos(manifests: ManifestService) -> None:
    """Delete photos that were staged for an import which never came."""
    while True:
        if swept := await manifests.sweep():
            _LOG.info("photos.swept count=%d", swept)
        await asyncio.sleep(PHOTOS_EVERY_S)


async def _keep_certificate(tls: ServerTls, clock: SystemClock) -> None:
    """Take up renewed files."""
    while True:
        await asyncio.sleep(CERTIFICATE_EVERY_S)
        tls.refresh(clock.now())


def _make_folder(config: Config, folder: Path) -> None:
    where = f"{config.file}: [gateway] data_dir"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(where, f"{folder} cannot be made ({error.strerror}): choose another folder") from None
    if folder.stat().st_mode & stat.S_IWOTH:  # anyone could put another database in the place of ours
        raise ConfigError(where, f"{folder} can be written by everybody: run chmod 700 on it, or choose another folder")
