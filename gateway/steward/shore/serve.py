"""A running shore service: what is opened in which order, and how it stops.

One node takes batches from an MQTT subscription. With a cluster, batches come from its streams, as many nodes as
wanted share them, and MQTT only carries decisions down.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from steward import __version__
from steward.adapters.certificates import end_of
from steward.adapters.mqtt import MqttPipe
from steward.adapters.servertls import ServerTls
from steward.adapters.sqlite.lock import DatabaseLock
from steward.adapters.system import SystemClock
from steward.errors import ConfigError
from steward.services.certificates import CertificateWatch
from steward.services.supervise import Supervisor
from steward.shore import parts
from steward.shore.bundle import LinkState, Node, Shore
from steward.shore.config import ShoreConfig
from steward.shore.erasedfile import ErasedFile
from steward.shore.erasure import Forgetting
from steward.shore.ingest import Ingest
from steward.shore.registry import boot
from steward.shore.store import ShoreStore
from steward.shore.web import create_app
from steward.shore.witness import Witness
from steward.shore.work import LinkIntake, Presence, Publisher
from steward.web.bundle import Front
from steward.web.server import HttpServer, RunningHttp, bind, stopped_by_signal, url_of
from steward.web.tokens import TokenFile

if TYPE_CHECKING:
    from steward.shore.cluster import Cluster

_LOG = logging.getLogger(__name__)

STOP_GRACE_S = 15.0  # for batches in hand
LINK_GRACE_S = 3.0  # for a good-bye
CERTIFICATE_EVERY_S = 20.0


class ShoreService:
    """Made by `start`; `stop` ends it in order and within a bounded time."""

    def __init__(self, shore: Shore, http: RunningHttp, url: str, opened: contextlib.AsyncExitStack) -> None:
        self.shore = shore
        self.url = url
        self._http = http
        self._opened = opened

    @classmethod
    async def start(cls, config: ShoreConfig) -> ShoreService:
        """Open the store, the key, the broker's and the cluster's connection, the HTTP port.

        Raises StewardError, with nothing left open.
        """
        async with contextlib.AsyncExitStack() as opened:
            parts.make_folder(config)
            # Two of one name would end each other's connection to the broker.
            opened.callback(DatabaseLock(config.shore.data_dir / "shore").release)
            store = await parts.open_store(config)
            opened.push_async_callback(store.close)
            await store.read(boot())
            clock = SystemClock()
            tls = _open_tls(config, clock)
            listener = opened.enter_context(bind(config.http.host, config.http.port, config.file))
            cluster = await _open_cluster(config)
            if cluster is not None:
                opened.push_async_callback(cluster.close)
            pipe = parts.make_pipe(config)
            links, tasks = (Supervisor(lambda: clock.monotonic_ms() / 1000) for _ in range(2))
            opened.push_async_callback(links.stop, LINK_GRACE_S)  # after the tasks, which still acknowledge
            opened.push_async_callback(tasks.stop, STOP_GRACE_S)
            links.start("broker", pipe.run)
            shore = _start_tasks(config, store, clock, pipe, cluster, tasks)
            certificates = _certificates(config, tls, clock)
            if certificates.look():
                tasks.start("certificate dates", certificates.run)
            if tls is not None:
                tasks.start("certificate", partial(_keep_certificate, tls, clock))
            http = RunningHttp(HttpServer(create_app(shore), None if tls is None else tls.context), listener)
            opened.push_async_callback(http.stop)
            await http.wait()
            url = url_of(listener, config.http.names[0] if config.http.https else None)
            everything = opened.pop_all()
        _LOG.info("shore.started url=%s node=%s workers=%d", url, config.shore.name, config.shore.workers)
        return cls(shore, http, url, everything)

    async def wait(self, event: asyncio.Event) -> None:
        """Return when `event` is set. Raises HttpStopped if the HTTP server ends before."""
        await self._http.wait(event)

    async def stop(self) -> None:
        """Answers are sent, batches in hand are stored and acknowledged, then everything is closed."""
        await self._opened.aclose()
        _LOG.info("shore.stopped")


async def serve(config: ShoreConfig) -> None:
    """Run until SIGTERM or SIGINT. A second signal ends the process at once."""
    stop = stopped_by_signal()
    service = await ShoreService.start(config)
    try:
        print(f"Steward shore for {config.shore.fleet}: {service.url}", flush=True)
        await service.wait(stop)
    finally:
        await service.stop()


def _start_tasks(
    config: ShoreConfig,
    store: ShoreStore,
    clock: SystemClock,
    pipe: MqttPipe,
    cluster: Cluster | None,
    supervisor: Supervisor,
) -> Shore:
    ingest, presence = Ingest(store, clock), Presence()
    publisher = Publisher(store, pipe, clock)
    workers = config.shore.workers
    intake = LinkIntake(pipe, ingest, presence, workers=workers, up=cluster is None)
    key = parts.open_key(config).private
    forgetting = Forgetting(store, clock, key, ErasedFile(config.shore.erased_file), publisher.wake)
    supervisor.start("link", intake.read)
    supervisor.start("publisher", publisher.run)
    supervisor.start("erasures", forgetting.run)
    supervisor.start("witness", Witness(store, clock, key, publisher.wake).run)
    for number in range(1, workers + 1):
        work = intake.work if cluster is None else partial(cluster.work, ingest)
        supervisor.start(f"worker {number}", work)
    return Shore(
        node=Node(config.shore.fleet, config.shore.name, __version__, clock.now().unix_s),
        store=store,
        clock=clock,
        key=key,
        ingest=ingest,
        presence=presence,
        supervisor=supervisor,
        links=lambda: _links(pipe, cluster),
        find_token=TokenFile(config.shore.api_tokens_file).find,
        front=Front(frozenset(config.http.names), config.http.https),
        decided=publisher.wake,
    )


def _links(pipe: MqttPipe, cluster: Cluster | None) -> list[LinkState]:
    counted = pipe.counted()
    links = [LinkState("broker", pipe.is_connected, pipe.trouble, counted.sent, counted.received)]
    if cluster is not None:
        links.append(LinkState("cluster", cluster.is_connected, ""))
    return links


async def _open_cluster(config: ShoreConfig) -> Cluster | None:
    if not config.cluster.servers:
        return None
    try:
        from steward.shore.cluster import Cluster, ClusterPlan
    except ImportError:
        raise ConfigError(f"{config.file}: [cluster] servers", f"needs nats-py: {parts.FLEET_HINT}") from None
    cluster = config.cluster
    return await Cluster.connect(
        ClusterPlan(
            f"steward-shore-{config.shore.name}",
            cluster.servers,
            parts.cluster_tls(config),
            parts.cluster_login(config),
            cluster.replicas,
        )
    )


def _open_tls(config: ShoreConfig, clock: SystemClock) -> ServerTls | None:
    http = config.http
    if http.certificate is None or http.private_key is None:
        return None
    return ServerTls.open(http.certificate, http.private_key, http.names, clock.now())


async def _keep_certificate(tls: ServerTls, clock: SystemClock) -> None:
    """Take up renewed files."""
    while True:
        await asyncio.sleep(CERTIFICATE_EVERY_S)
        tls.refresh(clock.now())


def _certificates(config: ShoreConfig, tls: ServerTls | None, clock: SystemClock) -> CertificateWatch:
    ends: dict[str, Callable[[], int]] = {} if tls is None else {"http": lambda: tls.not_after_s}
    files = {"link": config.link.certificate, "cluster": config.cluster.certificate}
    return CertificateWatch(clock, ends | {name: partial(end_of, path) for name, path in files.items() if path})
