"""Figures for Prometheus at /metrics. Nothing in them is about a guest, and no label can have many values.

Without TLS the gateway is reached from this machine only, and so are the figures. With TLS the caller shows an API
token of role monitor: what a ship sells and refuses by the minute is nobody else's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized

from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.responses import Response

from steward.domain.bandstages import Halt
from steward.domain.budget import SPENDER_WORDS
from steward.domain.condition import PASSIVE
from steward.domain.guests import BandState
from steward.domain.reasons import Means
from steward.domain.rulecheck import Kind
from steward.domain.topics import CLASS_WORDS
from steward.services.bandreleases import ReleaseStatus
from steward.services.blanks import ready_count
from steward.services.board import LATENCY_BOUNDS_S
from steward.services.certificates import Urgency
from steward.services.ranking import FALLBACKS
from steward.services.supervise import TaskState
from steward.web.band_view import battery_counts
from steward.web.bundle import Services
from steward.web.errors import Problem
from steward.web.facts import FactReader, RankerFacts, StoreFacts
from steward.web.gate import bearer
from steward.web.roles import Role

_KINDS = ("passive", "active")
_READER_STATES = ("starting", "idle", "waiting", "busy", "fault", "stopped")
_URGENCY = {Urgency.GOOD: 0, Urgency.SOON: 1, Urgency.CRITICAL: 2}


class MetricsPage:
    def __init__(self, services: Services, facts: FactReader, streams: Sized) -> None:
        self._services = services
        self._facts = facts
        self._streams = streams
        self._process = ProcessCollector(registry=None)

    def install(self, app: FastAPI) -> None:
        app.add_api_route("/metrics", self.show, methods=["GET"], include_in_schema=False)

    async def show(self, request: Request) -> Response:
        """Prometheus' text format, or OpenMetrics for whoever asks for it."""
        if self._services.front.https:
            principal = bearer(request.scope, self._services.find_token)
            if principal.role is not Role.MONITOR:
                raise Problem(403, "role_not_allowed", "the figures are for monitor: use a token of that role")
        healthy = not await self._services.health.check()
        registry = CollectorRegistry()
        registry.register(Snapshot(self._services, await self._facts.get(), healthy, len(self._streams)))
        registry.register(self._process)
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type, "Cache-Control": "no-store"})


class Snapshot(Collector):
    """The gateway's figures at one moment."""

    def __init__(self, services: Services, facts: StoreFacts, healthy: bool, streams: int) -> None:
        self._services = services
        self._facts = facts
        self._healthy = healthy
        self._streams = streams

    def describe(self) -> Iterable[Metric]:
        return ()  # asked of it at registration; one registry lives for one answer

    def collect(self) -> Iterator[Metric]:
        yield from self._gateway()
        yield from self._taps()
        yield from self._readers_and_bands()
        yield from self._bands_in_service()
        yield from self._store()
        yield from self._ranking()
        yield from self._tasks()
        yield from self._link()
        yield from self._ship()

    def _gateway(self) -> Iterator[Metric]:
        services, identity = self._services, self._services.identity
        versions, now = services.machine.versions, services.clock.now()
        labels = ("ship", "gateway", "role", "version", "schema", "python", "key_version")
        info = GaugeMetricFamily("steward_build_info", "Which gateway this is; always 1.", labels=labels)
        newest = str(versions.keys[0]) if versions.keys else ""
        values = (identity.ship, identity.gateway, identity.role, versions.gateway, str(versions.schema))
        info.add_metric((*values, versions.python, newest), 1)
        yield info
        yield _gauge("steward_healthy", "1 if /healthz answers ok.", self._healthy)
        yield _gauge("steward_start_time_seconds", "Unix time of the start.", identity.started_s)
        yield _gauge("steward_clock_seconds", "Unix time as the gateway reads it.", now.unix_s)
        yield _gauge("steward_clock_trusted", "1 if the clock can be believed.", now.trusted)
        certificate = services.certificate()
        if certificate is not None:
            yield _gauge("steward_certificate_expiry_seconds", "Unix time of its end.", certificate.not_after_s)
        lives = services.certificates()
        left = [(life.name, life.days_left) for life in lives if life.days_left is not None]
        yield _gauges("steward_certificate_days_left", "Until it ends, negative after.", "certificate", left)
        urgent = [(life.name, _URGENCY[life.urgency]) for life in lives]
        said = "0: good, 1: ends within 21 days, 2: within 3, has ended, or cannot be read."
        yield _gauges("steward_certificate_urgency", said, "certificate", urgent)

    def _taps(self) -> Iterator[Metric]:
        board = self._services.board
        taps = CounterMetricFamily("steward_taps", "Taps by what came of them.", labels=("purpose", "result"))
        charges = CounterMetricFamily("steward_charges", "Charges at tills by what came of them.", labels=("result",))
        for (purpose, result), count in sorted(board.results().items()):
            taps.add_metric((purpose, result), count)
            if purpose == "till" and result != "idle":
                charges.add_metric(("posted" if result == "done" else result,), count)
        yield taps
        yield charges
        snapshot = board.snapshot()
        yield _counter(
            "steward_charges_posted", "Charges posted, after a PIN or photo too.", snapshot["charges_posted"]
        )
        yield _by("steward_refusals", "Refused taps by code.", "code", snapshot["refusals"].items())
        yield _by("steward_alerts", "Alerts for the staff by kind.", "kind", snapshot["alerts"].items())
        times = HistogramMetricFamily("steward_tap_seconds", "From band in the field to decision.", labels=("purpose",))
        for purpose, histogram in sorted(board.latency().items()):
            times.add_metric((purpose,), _cumulative(histogram.counts), histogram.sum_s)
        yield times

    def _readers_and_bands(self) -> Iterator[Metric]:
        services = self._services
        states = dict.fromkeys(_READER_STATES, 0)
        up = GaugeMetricFamily("steward_reader_up", "1 unless the reader has failed.", labels=("reader", "purpose"))
        for reader in services.readers():
            states[reader.state] = states.get(reader.state, 0) + 1
            up.add_metric((reader.name, reader.purpose), reader.state not in ("fault", "stopped"))
        yield up
        yield _gauges("steward_readers", "Readers by state.", "state", states.items())
        yield _bands(self._facts)
        ages = services.board.tap_ages(services.clock.now().unix_s)
        yield _gauges("steward_bands_last_tap", "Bands by the age of their last tap.", "age", ages.items())

    def _bands_in_service(self) -> Iterator[Metric]:
        """Radios, the bands' program, the stock. A release that nobody ordered has no figures."""
        presence, radios = self._services.presence, self._services.presence.radios()
        up = GaugeMetricFamily("steward_radio_up", "1 while the radio listens.", labels=("radio", "zone"))
        for radio in radios:
            up.add_metric((radio.name, radio.zone), radio.state == "on")
        yield up
        yield _counter("steward_radio_heard", "Names of bands heard, anybody's.", sum(r.heard for r in radios))
        yield _counter("steward_radio_dropped", "Of these, not taken in time.", sum(r.dropped for r in radios))
        yield _gauge("steward_radio_bands", "Bands that are listened for.", presence.size())
        yield _counter("steward_radio_contested", "Heard names that two devices say.", presence.counts.contested)
        yield from _band_release(self._facts.band_release)
        version = next(iter(self._services.machine.versions.keys), 0)
        ready = ready_count(self._facts.blanks, version)
        waiting = sum(each.waiting for each in self._facts.blanks)
        said = "The stock of keyed bands by whether only their token is missing."
        yield _gauges("steward_stock_bands", said, "state", [("ready", ready), ("other", waiting - ready)])

    def _store(self) -> Iterator[Metric]:
        vitals = self._services.machine.vitals()
        yield _counter("steward_store_commits", "Durable commits.", vitals.commits)
        yield _counter("steward_store_writes", "Transactions carried out in them.", vitals.writes)
        yield _counter("steward_store_failures", "Commits that failed.", vitals.write_failures)
        yield _gauge("steward_store_readable", "1 if the last read of the store succeeded.", self._facts.readable)
        yield _gauge("steward_database_bytes", "Size of the database with its log.", vitals.database_bytes)
        yield _gauge("steward_disk_free_bytes", "Free on the database's disk.", vitals.disk_free_bytes)
        yield _gauge("steward_disk_size_bytes", "Size of the database's disk.", vitals.disk_total_bytes)
        yield _gauge("steward_approvals_pending", "Corrections waiting for approval.", self._facts.approvals_pending)
        yield _gauge("steward_recovery_cases_open", "Guests to be helped, not sold to.", self._facts.recovery_open)
        due = self._facts.requests
        waiting = [("fine", due.waiting - due.soon - due.late), ("soon", due.soon), ("late", due.late)]
        yield _gauges("steward_requests_waiting", "Requests of guests by their statutory time.", "due", waiting)
        yield _gauge("steward_glass_unreviewed", "Emergencies nobody has reviewed.", self._facts.glass_unreviewed)
        said = "1 if the clock jumped and deletes nothing until it is confirmed."
        yield _gauge("steward_retention_waits", said, self._facts.retention_waits)
        yield _by("steward_look_ups", "Look-ups in the log by role.", "role", self._facts.look_ups.items())
        yield _gauge("steward_http_streams", "Handhelds that listen for taps.", self._streams)

    def _ranking(self) -> Iterator[Metric]:
        ranking = self._services.offers.ranking
        ranked = [(by, ranking.ranked[by]) for by in ("model", "popularity")]
        yield _by("steward_ranked", "Personal rankings by who ranked.", "by", ranked)
        fallbacks = [(reason, ranking.fallbacks[reason]) for reason in FALLBACKS]
        yield _by("steward_rank_fallbacks", "By popularity as the model could not, by reason.", "reason", fallbacks)
        explained = [(means, ranking.explained[means]) for means in Means]
        yield _by("steward_offers_explained", "Offers by what is told of why.", "by", explained)
        unasked = [(reason, ranking.unexplained[reason]) for reason in FALLBACKS]
        yield _by("steward_why_failures", "Times that nobody could be asked why, by reason.", "reason", unasked)
        yield _gauge("steward_models_loaded", "Preference models at hand.", len(ranking.loaded()))
        yield _rankers(self._facts.ranker)
        found = [(kind.value, self._facts.rule_findings.get(kind, 0)) for kind in Kind]
        yield _gauges("steward_rules_findings", "What is wrong with the rules of suggestions.", "kind", found)

    def _tasks(self) -> Iterator[Metric]:
        restarts = CounterMetricFamily("steward_task_restarts", "Restarts after a failure.", labels=("task",))
        running = GaugeMetricFamily("steward_task_running", "1 while the task runs.", labels=("task",))
        for name, status in sorted(self._services.machine.tasks().items()):
            restarts.add_metric((name,), status.restarts)
            running.add_metric((name,), status.state is TaskState.RUNNING)
        yield restarts
        yield running

    def _link(self) -> Iterator[Metric]:
        """Nothing at all without a link: an alert on a missing figure is then the operator's own choice."""
        link = self._facts.link
        if link is None:
            return
        up, now_s = link.uplink, self._services.clock.now().unix_s
        oldest_s = 0 if up.waiting.oldest_at_s is None else max(now_s - up.waiting.oldest_at_s, 0)
        yield _gauge("steward_link_connected", "1 while there is a connection to the broker.", up.connected)
        yield _gauge("steward_link_answering", "1 while shore answers over it.", up.answering)
        yield _gauge("steward_link_queue_events", "Events that shore has not acknowledged.", up.waiting.events)
        yield _gauge("steward_link_queue_bytes", "Bytes of their payloads.", up.waiting.bytes)
        yield _gauge("steward_link_queue_oldest_seconds", "Age of the oldest of them.", oldest_s)
        yield _gauge("steward_link_rtt_seconds", "Round trip; 0 before the first.", (up.rtt_ms or 0) / 1000)
        yield _gauge("steward_link_window_bytes", "How much may be under way at once.", up.window_bytes)
        yield _counter("steward_link_batches", "Batches sent.", up.batches)
        yield _counter("steward_link_batches_lost", "Batches sent once more.", up.lost)
        yield _counter("steward_link_rewinds", "Times that shore had less than before.", up.rewound)
        yield _counter("steward_link_divergences", "Ranges of events that shore has otherwise.", up.diverged)
        sockets = (("sent", link.socket.sent), ("received", link.socket.received))
        yield _by("steward_link_socket_bytes", "Bytes at the socket by direction.", "direction", sockets)
        spent = [(SPENDER_WORDS[cls], count) for cls, count in sorted(up.bytes_today.items())]
        yield _gauges("steward_link_bytes_today", "Bytes at the socket since the ship's midnight.", "class", spent)
        total = [(SPENDER_WORDS[cls], count) for cls, count in sorted(up.bytes_total.items())]
        yield _by("steward_link_class_bytes", "Bytes at the socket by class, both ways.", "class", total)
        limits = [(CLASS_WORDS[cls], count) for cls, count in sorted(up.budget.items())]
        yield _gauges("steward_link_budget_bytes", "Bytes a class may send in a day.", "class", limits)
        versions = sorted(link.down_versions.items())
        yield _gauges("steward_link_down_version", "Newest decision from shore applied, by kind.", "kind", versions)

    def _ship(self) -> Iterator[Metric]:
        """A gateway that was not heard since the start has no age."""
        ship = self._facts.ship
        if ship is None:
            return
        up = GaugeMetricFamily("steward_ship_gateway_up", "1 if it was heard lately.", labels=("gateway", "role"))
        for gateway in ship.gateways:
            up.add_metric((gateway.name, gateway.role), gateway.here)
        yield up
        heard = [(g.name, g.heard_ago_s) for g in ship.gateways if g.heard_ago_s is not None]
        yield _gauges("steward_ship_gateway_heard_seconds", "Since it was last heard.", "gateway", heard)
        queues = [(g.name, g.queue_events) for g in ship.gateways if g.queue_events is not None]
        yield _gauges("steward_ship_gateway_queue_events", "Of its log, still to come in.", "gateway", queues)
        if (told := ship.authority) is not None:
            yield _gauge("steward_ship_authority_up", "1 if the folio authority was heard lately.", told.here)
            if told.heard_ago_s is not None:
                yield _gauge("steward_ship_authority_heard_seconds", "Since it was last heard.", told.heard_ago_s)
            yield _gauge("steward_ship_position", "Newest change of its records applied here.", told.revision)
            yield _gauge("steward_ship_queue_events", "Events it has not acknowledged.", told.queue.events)


def _bands(facts: StoreFacts) -> Metric:
    """Those issued by their battery too, every name of it; of others the label is empty, which is no label at all."""
    said = "Bands by state, kind, and the battery that issued ones last told here."
    family = GaugeMetricFamily("steward_bands", said, labels=("state", "kind", "battery"))
    for (state, active), count in sorted(facts.bands.items()):
        if state is not BandState.ISSUED:
            family.add_metric((state.value, _KINDS[active], ""), count)
    for battery, count in battery_counts(facts).items():
        family.add_metric((BandState.ISSUED.value, _KINDS[battery != PASSIVE], battery), count)
    return family


def _band_release(status: ReleaseStatus | None) -> Iterator[Metric]:
    stage, problem, halted, bands = [], [], [], []
    if status is not None:
        number, rollout, tally = str(status.order.number), status.rollout, status.tally
        stage = [(number, 0 if rollout is None else rollout.stage + 1)]
        problem = [(number, bool(status.problem))]
        halted = [(why.value, rollout is not None and rollout.halted is why) for why in Halt if why]
        bands = [("kept", tally.kept), ("failed", tally.failed), ("silent", tally.silent)]
    yield _gauges("steward_band_release_stage", "Of its stages; 0 before the first.", "number", stage)
    yield _gauges("steward_band_release_problem", "1 if it waits, or cannot be given.", "number", problem)
    yield _gauges("steward_band_release_halted", "1 if it is halted, by whom.", "by", halted)
    yield _gauges("steward_band_release_bands", "Bands by what became of it.", "state", bands)


def _gauge(name: str, said: str, value: float) -> Metric:
    return GaugeMetricFamily(name, said, value=float(value))


def _counter(name: str, said: str, value: float) -> Metric:
    return CounterMetricFamily(name, said, value=float(value))


def _by(name: str, said: str, label: str, values: Iterable[tuple[str, int]]) -> Metric:
    family = CounterMetricFamily(name, said, labels=(label,))
    for value, count in values:
        family.add_metric((value,), count)
    return family


def _rankers(ranker: RankerFacts | None) -> Metric:
    told = GaugeMetricFamily("steward_ranker", "1 if it is at hand, by place and version.", labels=("place", "version"))
    if ranker is not None:
        told.add_metric(("shown", ranker.shown or ""), ranker.shown is not None)
        if ranker.on_trial:
            told.add_metric(("beside", ranker.beside or ""), ranker.beside is not None)
    return told


def _gauges(name: str, said: str, label: str, values: Iterable[tuple[str, int]]) -> Metric:
    family = GaugeMetricFamily(name, said, labels=(label,))
    for value, count in values:
        family.add_metric((value,), count)
    return family


def _cumulative(counts: list[int]) -> list[tuple[str, float]]:
    buckets, total = [], 0
    for bound, count in zip((*map(str, LATENCY_BOUNDS_S), "+Inf"), counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets
