"""Bytes from a broker in, an acknowledgement out: the one door through which events come ashore.

Whatever arrives is bounded and checked against the topic it came under, which is what the broker's permissions
vouch for. What is refused is counted and shown, and never ends a worker.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass

from steward.domain.batches import BATCH_BYTES_MAX, BadBatch, Batch, decode_batch, encode_ack
from steward.domain.topics import BadTopic, UpTopic, ack_topic, parse_up
from steward.ports import Clock
from steward.shore.alarms import AlarmKind, raise_alarm
from steward.shore.arrivals import Arrival, keep
from steward.shore.store import ShoreStore

_LOG = logging.getLogger(__name__)

PEER = "shore"


@dataclass(frozen=True, slots=True)
class Reply:
    """To be published once it exists: what it says is durable."""

    topic: str
    payload: bytes


class Ingest:
    """Any number of workers may call `batch` at once, in this process and in others on the same store."""

    def __init__(self, store: ShoreStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.counts: Counter[str] = Counter()  # since the start: batches, events, again, conflicts, refused, garbage

    async def batch(self, topic: str, payload: bytes) -> Reply | None:
        """Store a batch; its acknowledgement, or None for what is not acknowledged.

        Raises StoreUnavailable or Busy if it could not be stored: the gateway sends it again.
        """
        try:
            source, batch = _read(topic, payload)
        except BadTopic as error:
            await self._garbage(None, str(error))
            return None
        except BadBatch as error:
            await self._garbage(parse_up(topic), str(error))
            return None
        kept = await self._store.write(keep(Arrival(batch, len(payload), self._clock.now().unix_s)))
        if kept.ack is None:
            self.counts["refused"] += 1
            _LOG.warning("ingest.unregistered ship=%s gateway=%s", source.ship, source.gateway)
            return None
        self.counts.update(batches=1, events=kept.new, again=kept.again, conflicts=kept.conflicts)
        if kept.conflicts:
            _LOG.error("ingest.conflict ship=%s gateway=%s events=%d", source.ship, source.gateway, kept.conflicts)
        return Reply(ack_topic(source.ship, source.gateway, PEER), encode_ack(kept.ack))

    async def _garbage(self, source: UpTopic | None, why: str) -> None:
        self.counts["garbage"] += 1
        ship, gateway = (source.ship, source.gateway) if source is not None else ("", "")
        _LOG.warning("ingest.garbage ship=%s gateway=%s detail=%s", ship or "?", gateway or "?", why)
        now_s = self._clock.now().unix_s
        await self._store.write(raise_alarm(AlarmKind.GARBAGE, now_s, why, ship=ship, gateway=gateway))


def _read(topic: str, payload: bytes) -> tuple[UpTopic, Batch]:
    """Raises BadTopic, BadBatch."""
    source = parse_up(topic)
    batch = decode_batch(payload, BATCH_BYTES_MAX)
    if (batch.ship, batch.gateway, batch.cls) != (source.ship, source.gateway, source.cls):
        raise BadBatch("it says another ship, gateway or class than its topic")
    return source, batch
