"""Figures for Prometheus at /metrics: per ship and gateway, so as many series as there are machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from steward.domain.topics import kind_word
from steward.shore.bundle import Shore
from steward.shore.fleet import Fleet

_COUNTS = {
    "batches": "Batches stored by this process.",
    "events": "New events stored by this process.",
    "again": "Events that had come before.",
    "conflicts": "Events whose number came with other content.",
    "refused": "Batches of gateways that nobody added.",
    "garbage": "Messages that are no batch.",
    "failures": "Attempts to store a batch that failed.",
    "given_up": "Batches not stored after many attempts; gateways send them again.",
}


class MetricsPage:
    def __init__(self, shore: Shore) -> None:
        self._shore = shore
        self._process = ProcessCollector(registry=None)

    def answer(self, request: Request, fleet: Fleet) -> Response:
        """Prometheus' text format, or OpenMetrics for whoever asks for it."""
        registry = CollectorRegistry()
        registry.register(_Snapshot(self._shore, fleet))
        registry.register(self._process)
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type})


class _Snapshot(Collector):
    """The fleet at one moment."""

    def __init__(self, shore: Shore, fleet: Fleet) -> None:
        self._shore = shore
        self._fleet = fleet

    def describe(self) -> Iterable[Metric]:
        return ()  # asked of it at registration; one registry lives for one answer

    def collect(self) -> Iterator[Metric]:
        yield from self._gateways()
        yield from self._ships()
        yield from self._node()

    def _gateways(self) -> Iterator[Metric]:
        labels = ("ship", "gateway")
        gauges = {
            "contact_timestamp_seconds": ("Unix time of the last batch; 0 for none.", "contact_s"),
            "missing_events": ("Events it has named and shore has not.", "missing"),
            "missing_bytes": ("What these will be, by those that came.", "missing_bytes"),
            "stored_events": ("Events stored.", "events"),
            "lost_events": ("Events that nobody has any more.", "lost"),
            "duplicate_events": ("Events that came more than once.", "duplicates"),
            "conflicting_events": ("Events whose number came with other content.", "conflicts"),
        }
        for name, (text, attribute) in gauges.items():
            metric = GaugeMetricFamily(f"steward_shore_gateway_{name}", text, labels=labels)
            for ship in self._fleet.ships:
                for gateway in ship.gateways:
                    metric.add_metric((gateway.ship, gateway.gateway), getattr(gateway, attribute))
            yield metric

    def _ships(self) -> Iterator[Metric]:
        today = GaugeMetricFamily(
            "steward_shore_bytes_today", "Bytes of batches since midnight UTC.", labels=("ship", "class")
        )
        versions = GaugeMetricFamily(
            "steward_shore_decision_version", "Newest version of each kind.", labels=("ship", "kind")
        )
        for ship in self._fleet.ships:
            for word, count in ship.today.items():
                today.add_metric((ship.ship, word), count)
            newest: dict[str, int] = {}
            for issued in ship.decisions:
                word = kind_word(issued.kind)
                newest[word] = max(newest.get(word, 0), issued.version)
            for word, version in sorted(newest.items()):
                versions.add_metric((ship.ship, word), version)
        yield today
        yield versions
        yield GaugeMetricFamily("steward_shore_alarms", "Alarms nobody has cleared.", value=len(self._fleet.alarms))

    def _node(self) -> Iterator[Metric]:
        node = self._shore.node
        info = GaugeMetricFamily(
            "steward_shore_build_info", "Which node this is; always 1.", labels=("fleet", "node", "version")
        )
        info.add_metric((node.fleet, node.name, node.version), 1)
        yield info
        up = GaugeMetricFamily("steward_shore_link_up", "1 while connected.", labels=("link",))
        moved = CounterMetricFamily("steward_shore_link_bytes", "At the socket.", labels=("link", "direction"))
        for link in self._shore.links():
            up.add_metric((link.name,), link.connected)
            moved.add_metric((link.name, "sent"), link.sent)
            moved.add_metric((link.name, "received"), link.received)
        yield up
        yield moved
        for name, text in _COUNTS.items():
            yield CounterMetricFamily(f"steward_shore_ingest_{name}", text, value=self._shore.ingest.counts[name])
