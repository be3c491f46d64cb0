"""One ingest worker of a cluster as a process: `python -m bench.ingest_worker URL SERVERS NUMBER SECONDS`.

Says "ready" when it is connected, waits for a line, works for SECONDS, and prints what it did as JSON. Times are of
the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Sequence

from nats.aio.client import Client

from steward.adapters.system import SystemClock
from steward.shore.cluster import STREAM, Cluster, ClusterPlan
from steward.shore.ingest import Ingest, Reply
from steward.shore.postgres import PostgresShore

FILL_IN_FLIGHT = 64
FILL_WAIT_S = 20.0


class _Timed(Ingest):
    """An ingest that remembers when its first batch came and its last one was stored."""

    first_s = last_s = 0.0

    async def batch(self, topic: str, payload: bytes) -> Reply | None:
        self.first_s = self.first_s or time.monotonic()
        reply = await super().batch(topic, payload)
        self.last_s = time.monotonic()
        return reply


async def fill(servers: Sequence[str], sent: Sequence[tuple[str, bytes]]) -> None:
    """Make the stream as the service does, and put every batch into it, and nothing else."""
    cluster = await Cluster.connect(ClusterPlan("bench-fill", tuple(servers)))
    await cluster.close()
    client = Client()
    await client.connect(servers=list(servers))
    stream, room = client.jetstream(timeout=FILL_WAIT_S), asyncio.Semaphore(FILL_IN_FLIGHT)
    await stream.purge_stream(STREAM)

    async def put(topic: str, payload: bytes) -> None:
        async with room:
            await stream.publish(topic.replace("/", "."), payload)

    await asyncio.gather(*(put(topic, payload) for topic, payload in sent))
    await client.close()


async def work(url: str, servers: Sequence[str], number: int, seconds: float) -> None:
    store = await PostgresShore.open(url, connection_count=2)
    cluster = await Cluster.connect(ClusterPlan(f"bench-{number}", tuple(servers)))
    ingest = _Timed(store, SystemClock())
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await cluster.work(ingest)
    await cluster.close()
    await store.close()
    found = {name: ingest.counts[name] for name in ("events", "batches", "again", "failures")}
    print(json.dumps({**found, "first_s": ingest.first_s, "last_s": ingest.last_s}), flush=True)


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2].split(","), int(sys.argv[3]), float(sys.argv[4])))
