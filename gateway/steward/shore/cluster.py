"""Ingest from a NATS cluster (extra `fleet`): batches that gateways publish over MQTT, shared out by JetStream.

nats-server turns the topic steward/1/SHIP/GATEWAY/up/CLASS into a subject with dots, and a stream of ours on those
subjects keeps each message on several nodes. All workers of all shore nodes pull from one durable consumer, so each
batch goes to one of them; it is acknowledged to the stream once it is durable in the store, and given to another
worker if that does not happen in time. The gateway's own acknowledgement goes out as a NATS message, which MQTT
subscribers of the same topic receive.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from dataclasses import dataclass, field

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from steward.domain.topics import ROOT
from steward.errors import Busy, LocalError, StoreUnavailable
from steward.ports.sync import LinkDown
from steward.shore.ingest import Ingest

_LOG = logging.getLogger(__name__)

STREAM, CONSUMER = "STEWARD_UP", "steward-ingest"
SUBJECTS = f"{ROOT.replace('/', '.')}.*.*.up.*"
# What waits longer is sent again by its gateway anyhow, so old batches need no room.
AGE_MAX_S = 3600.0
BYTES_MAX = 1024**3
ACK_WAIT_S = 30.0  # then another worker gets it
ACK_PENDING_MAX = 256
FETCH_COUNT = 4
FETCH_WAIT_S = 5.0
AGAIN_AFTER_S = 5.0  # a batch that could not be stored
CONNECT_MAX_S = 60.0
SETUP_PAUSE_S = 1.0
REQUEST_MAX_S = 3.0  # then ask again: while there is no leader nobody answers


class ClusterFault(LocalError):
    """The NATS cluster cannot be reached or refuses what the shore service needs."""

    code = "cluster"


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """Where, and as whom. replicas: nodes that keep each batch."""

    name: str
    servers: tuple[str, ...]
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    login: tuple[str, str] | None = field(default=None, repr=False)
    replicas: int = 3


class Cluster:
    """One connection; `work` is a worker's task for a supervisor, as many as wanted."""

    def __init__(self, client: Client, plan: ClusterPlan) -> None:
        self._client = client
        self._plan = plan
        self._js = client.jetstream(timeout=REQUEST_MAX_S)

    @classmethod
    async def connect(cls, plan: ClusterPlan) -> Cluster:
        """Connect, and see that stream and consumer are there. Raises ClusterFault."""
        try:
            async with asyncio.timeout(CONNECT_MAX_S):
                client = await _connect(plan)
                cluster = cls(client, plan)
                await cluster._set_up_patiently()
                return cluster
        except TimeoutError:
            where = ", ".join(plan.servers)
            raise ClusterFault(f"no NATS cluster with JetStream at {where} within {CONNECT_MAX_S:.0f} s") from None

    @property
    def is_connected(self) -> bool:
        return self._client.is_connected

    async def work(self, ingest: Ingest) -> None:
        """Take batches for ever. One in hand is finished even when this is cancelled."""
        subscription = await self._js.pull_subscribe_bind(CONSUMER, STREAM)
        try:
            while True:
                for message in await _fetch(subscription):
                    doing = asyncio.ensure_future(self._take(ingest, message))
                    try:
                        await asyncio.shield(doing)
                    except asyncio.CancelledError:
                        await doing
                        raise
        finally:
            with contextlib.suppress(NatsError):
                await subscription.unsubscribe()

    async def close(self) -> None:
        """Send what is written, then go."""
        with contextlib.suppress(NatsError, TimeoutError):
            async with asyncio.timeout(REQUEST_MAX_S):
                await self._client.flush()
        with contextlib.suppress(NatsError):
            await self._client.close()

    async def _take(self, ingest: Ingest, message: Msg) -> None:
        try:
            reply = await ingest.batch(message.subject.replace(".", "/"), message.data)
        except (StoreUnavailable, Busy) as error:
            ingest.counts["failures"] += 1
            _LOG.error("ingest.not_stored detail=%s", error)
            with contextlib.suppress(NatsError):
                await message.nak(AGAIN_AFTER_S)
            return
        try:
            if reply is not None:
                await self._client.publish(reply.topic.replace("/", "."), reply.payload)
            await message.ack()
        except NatsError as error:  # it is stored: whoever gets it again finds nothing new in it
            raise LinkDown(f"the cluster is gone: {type(error).__name__}") from None

    async def _set_up_patiently(self) -> None:
        """A cluster that has just started elects its leaders first."""
        while True:
            try:
                await self._set_up()
                return
            except (NatsError, TimeoutError) as error:
                _LOG.warning("cluster.not_ready error=%s", type(error).__name__)
                await asyncio.sleep(SETUP_PAUSE_S)

    async def _set_up(self) -> None:
        stream = StreamConfig(
            name=STREAM,
            subjects=[SUBJECTS],
            retention=RetentionPolicy.WORK_QUEUE,
            storage=StorageType.FILE,
            num_replicas=self._plan.replicas,
            max_age=AGE_MAX_S,
            max_bytes=BYTES_MAX,
            discard=DiscardPolicy.OLD,
        )
        consumer = ConsumerConfig(
            durable_name=CONSUMER,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_S,
            max_ack_pending=ACK_PENDING_MAX,
        )
        try:
            await self._js.stream_info(STREAM)
            await self._js.update_stream(stream)
        except NotFoundError:
            await self._js.add_stream(stream)
        await self._js.add_consumer(STREAM, consumer)


async def _connect(plan: ClusterPlan) -> Client:
    async def tell(error: Exception) -> None:
        _LOG.warning("cluster.trouble error=%s", type(error).__name__)

    user, password = plan.login or (None, None)
    client = Client()
    await client.connect(
        servers=list(plan.servers),
        name=plan.name,
        tls=plan.tls,
        user=user,
        password=password,
        error_cb=tell,
        allow_reconnect=True,
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        connect_timeout=5,
        ping_interval=10,
        max_outstanding_pings=2,
    )
    return client


async def _fetch(subscription: JetStreamContext.PullSubscription) -> list[Msg]:
    """A few batches; none if none came in time. Raises LinkDown when there is no connection."""
    try:
        return await subscription.fetch(FETCH_COUNT, timeout=FETCH_WAIT_S)
    except TimeoutError:
        return []
    except NatsError as error:
        raise LinkDown(f"the cluster is gone: {type(error).__name__}") from None
