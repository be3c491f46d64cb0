"""The status page's rows about bands and about the machine itself, as words and figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from steward.domain.guests import BandState
from steward.domain.topics import CLASS_WORDS, IDENTITY, INSIGHT, MONEY, SAFETY, TELEMETRY
from steward.services.supervise import TaskState
from steward.services.uplink import UplinkSnapshot
from steward.web.bundle import GatewayStatus, LinkStatus, Services, ShipStatus
from steward.web.facts import StoreFacts

_AGE_WORDS = (("minutes_5", "last 5 minutes"), ("hour", "last hour"), ("day", "last 24 hours"), ("older", "before"))
_CLASS_ORDER = (SAFETY, MONEY, IDENTITY, INSIGHT, TELEMETRY)  # as they are sent
_BAR_MAX = 100  # units of a bar's own scale
_UNITS = ("B", "kB", "MB", "GB", "TB")
_PAUSED_SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class Bar:
    """One row with a bar: `width` of _BAR_MAX."""

    words: str
    count: int
    width: int


@dataclass(frozen=True, slots=True)
class Bands:
    """readable False: the store did not answer, the counts are old."""

    issued: int
    active: int
    frozen: int
    ages: tuple[Bar, ...]
    readable: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A fact with its light: "ok", "calm" or "bad"."""

    words: str
    value: str
    light: str
    more: str = ""


def band_rows(facts: StoreFacts, ages: Mapping[str, int]) -> Bands:
    active = facts.bands.get((BandState.ISSUED, True), 0)
    issued = active + facts.bands.get((BandState.ISSUED, False), 0)
    frozen = sum(count for (state, _), count in facts.bands.items() if state is BandState.FROZEN)
    counts = [(words, ages[name]) for name, words in _AGE_WORDS]
    counts.append(("not since the start", max(issued - sum(ages.values()), 0)))
    most = max(*(count for _, count in counts), 1)
    return Bands(
        issued,
        active,
        frozen,
        tuple(Bar(words, count, round(count / most * _BAR_MAX)) for words, count in counts),
        facts.readable,
    )


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class of events on the link: bytes today, against its budget if it has one."""

    words: str
    sent: str
    of: str  # its budget, empty if it is not limited
    width: int
    held: bool  # the budget holds it back


@dataclass(frozen=True, slots=True)
class Link:
    rows: tuple[Row, ...]
    classes: tuple[ClassRow, ...]


def link_rows(link: LinkStatus | None, now_s: int) -> Link | None:
    """The queue to shore and how the line is; None if the settings name no shore."""
    if link is None:
        return None
    up = link.uplink
    state = "answers" if up.answering else "connected, shore is silent" if up.connected else "down"
    since = f"for {span(now_s - up.connected_since_s)}" if up.connected_since_s is not None else ""
    oldest = "" if up.waiting.oldest_at_s is None else f"oldest {span(now_s - up.waiting.oldest_at_s)}"
    rows = [
        Row("Shore", state, "ok" if up.answering else "bad", link.trouble or since),
        Row("Waiting", f"{up.waiting.events:,} events, {size(up.waiting.bytes)}", "calm", oldest),
        Row("Socket", f"{size(link.socket.sent)} up, {size(link.socket.received)} down", "calm", "since the start"),
    ]
    if up.rtt_ms is not None:
        rows.append(Row("Round trip", f"{up.rtt_ms:,.0f} ms", "calm", f"{up.batches:,} batches, {up.lost:,} again"))
    if up.diverged:
        rows.append(Row("Log", "shore has it otherwise", "bad", f"{up.diverged} ranges: look for uplink in the log"))
    return Link(tuple(rows), tuple(_class_row(up, cls) for cls in _CLASS_ORDER))


def _class_row(up: UplinkSnapshot, cls: int) -> ClassRow:
    spent, budget = up.bytes_today.get(cls, 0), up.budget.get(cls)
    most = budget or max(*up.bytes_today.values(), 1)
    width = min(round(spent / most * _BAR_MAX), _BAR_MAX)
    return ClassRow(CLASS_WORDS[cls], size(spent), size(budget) if budget else "", width, cls in up.held_by_budget)


def ship_rows(ship: ShipStatus | None) -> list[Row] | None:
    """The ship's other gateways, or at one of them the folio authority; None on a ship with one gateway."""
    if ship is None:
        return None
    if ship.authority is None:
        return [_gateway_row(gateway) for gateway in ship.gateways]
    told, queue = ship.authority, ship.authority.queue
    waits = f"{queue.events:,} events, {size(queue.bytes)}"
    return [
        Row("Folio authority", _heard(told.heard_ago_s), "ok" if told.here else "bad"),
        Row("Position", f"change {told.revision:,}", "calm", f"of its epoch {told.epoch}"),
        Row("Waiting for it", waits, "calm" if told.here or not queue.events else "bad"),
    ]


def _gateway_row(gateway: GatewayStatus) -> Row:
    queue = "" if gateway.queue_events is None else f", {gateway.queue_events:,} events to come in"
    light = "ok" if gateway.here else "bad"
    return Row(gateway.name, _heard(gateway.heard_ago_s), light, gateway.role + queue)


def _heard(ago_s: int | None) -> str:
    return "not heard since the start" if ago_s is None else f"heard {span(ago_s)} ago"


def machine_rows(services: Services) -> list[Row]:
    """Clock, disk, database, tasks, certificate, versions."""
    machine = services.machine
    vitals, versions = machine.vitals(), machine.versions
    trusted = services.clock.now().trusted
    low = vitals.disk_free_bytes < services.health.disk_floor_bytes
    rows = [
        Row("Clock", "believed" if trusted else "not believed", "ok" if trusted else "bad"),
        Row(
            "Disk free",
            size(vitals.disk_free_bytes),
            "bad" if low else "ok",
            f"of {size(vitals.disk_total_bytes)}" + (", nearly full" if low else ""),
        ),
        Row("Database", size(vitals.database_bytes), "calm", f"{vitals.writes:,} writes in {vitals.commits:,} commits"),
        _tasks(services),
    ]
    certificate = services.certificate()
    if certificate is not None:
        light = "bad" if certificate.problem else "ok"
        rows.append(Row("Certificate", f"{certificate.days_left} days left", light, certificate.problem))
    keys = ", ".join(map(str, versions.keys)) or "none"
    rows.append(Row("Key versions", keys, "calm", "newest first"))
    rows.append(
        Row("Versions", f"Steward {versions.gateway}", "calm", f"schema {versions.schema}, Python {versions.python}")
    )
    return rows


def _tasks(services: Services) -> Row:
    tasks = services.machine.tasks()
    down = [name for name, status in tasks.items() if status.state is not TaskState.RUNNING]
    restarts = sum(status.restarts for status in tasks.values())
    more = f"{restarts} restarts" if restarts else ""
    if down:
        more = ", ".join(sorted(down)[:_PAUSED_SHOWN_MAX])
    return Row("Tasks", f"{len(tasks) - len(down)} of {len(tasks)} running", "bad" if down else "ok", more)


def span(seconds: int) -> str:
    """A length of time in its largest unit."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{max(seconds, 0)} s"


def size(count: int) -> str:
    """Bytes in the unit that leaves the fewest digits."""
    value, unit = float(count), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 or value >= 100 else f"{value:.1f} {_UNITS[unit]}"
