"""The status page's rows about the link, the ship's gateways and the machine itself, as words and figures."""

from __future__ import annotations

from dataclasses import dataclass

from steward.domain.budget import SPENDER_WORDS
from steward.domain.rulecheck import Kind
from steward.domain.tally import LINK
from steward.domain.topics import IDENTITY, INSIGHT, MONEY, SAFETY, TELEMETRY
from steward.ports.sync import Waiting
from steward.services.supervise import TaskState
from steward.services.uplink import UplinkSnapshot
from steward.web.bundle import GatewayStatus, LinkStatus, Services, ShipStatus
from steward.web.facts import RankerFacts, StoreFacts
from steward.web.pages.language import Translator

_CLASS_ORDER = (SAFETY, MONEY, IDENTITY, INSIGHT, TELEMETRY, LINK)  # as they are sent; then what none caused
BAR_MAX = 100  # units of a bar's own scale
_UNITS = ("B", "kB", "MB", "GB", "TB")
_PAUSED_SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class Row:
    """A fact with its light: "ok", "calm" or "bad"."""

    words: str
    value: str
    light: str
    more: str = ""


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


def link_rows(link: LinkStatus | None, now_s: int, t: Translator) -> Link | None:
    """The queue to shore and how the line is; None if the settings name no shore."""
    if link is None:
        return None
    up = link.uplink
    state = "answers" if up.answering else "silent" if up.connected else "down"
    since = "" if up.connected_since_s is None else t("status.link.since", span=span(now_s - up.connected_since_s, t))
    rows = [
        Row(t("status.link.shore"), t(f"status.link.{state}"), "ok" if up.answering else "bad", link.trouble or since),
        _waiting_row(up, now_s, t),
        Row(
            t("status.link.socket"),
            t("status.link.up_down", up=size(link.socket.sent, t), down=size(link.socket.received, t)),
            "calm",
            t("status.link.since_start"),
        ),
    ]
    if up.rtt_ms is not None:
        batches = t("status.link.batches", batches=t.number(up.batches), lost=t.number(up.lost))
        rows.append(Row(t("status.link.round_trip"), f"{t.number(round(up.rtt_ms))} ms", "calm", batches))
    if up.diverged:
        ranges = t("status.link.ranges", n=up.diverged)
        rows.append(Row(t("status.link.log"), t("status.link.diverged"), "bad", ranges))
    return Link(tuple(rows), tuple(_class_row(up, cls, t) for cls in _CLASS_ORDER))


def _waiting_row(up: UplinkSnapshot, now_s: int, t: Translator) -> Row:
    oldest_s = up.waiting.oldest_at_s
    oldest = "" if oldest_s is None else t("status.link.oldest", span=span(now_s - oldest_s, t))
    return Row(t("status.link.waiting"), _queue(up.waiting, t), "calm", oldest)


def _queue(waiting: Waiting, t: Translator) -> str:
    key = "status.link.events_one" if waiting.events == 1 else "status.link.events_other"
    return t(key, n=t.number(waiting.events), size=size(waiting.bytes, t))


def _class_row(up: UplinkSnapshot, cls: int, t: Translator) -> ClassRow:
    spent, budget = up.bytes_today.get(cls, 0), up.budget.get(cls)
    most = budget or max(*up.bytes_today.values(), 1)
    width = min(round(spent / most * BAR_MAX), BAR_MAX)
    of, held = size(budget, t) if budget else "", cls in up.held_by_budget
    return ClassRow(t(f"status.class.{SPENDER_WORDS[cls]}"), size(spent, t), of, width, held)


def ship_rows(ship: ShipStatus | None, t: Translator) -> list[Row] | None:
    """The ship's other gateways, or at one of them the folio authority; None on a ship with one gateway."""
    if ship is None:
        return None
    if ship.authority is None:
        return [_gateway_row(gateway, t) for gateway in ship.gateways]
    told, queue = ship.authority, ship.authority.queue
    change, epoch = t("status.ship.change", n=t.number(told.revision)), t("status.ship.epoch", n=told.epoch)
    return [
        Row(t("status.ship.authority"), _heard(told.heard_ago_s, t), "ok" if told.here else "bad"),
        Row(t("status.ship.position"), change, "calm", epoch),
        Row(t("status.ship.waiting"), _queue(queue, t), "calm" if told.here or not queue.events else "bad"),
    ]


def _gateway_row(gateway: GatewayStatus, t: Translator) -> Row:
    more = [t.known(f"status.purpose.{gateway.role}", gateway.role)]
    if gateway.queue_events is not None:
        key = "status.ship.queue_one" if gateway.queue_events == 1 else "status.ship.queue_other"
        more.append(t(key, n=t.number(gateway.queue_events)))
    light = "ok" if gateway.here else "bad"
    return Row(gateway.name, _heard(gateway.heard_ago_s, t), light, ", ".join(more))


def _heard(ago_s: int | None, t: Translator) -> str:
    return t("status.ship.unheard") if ago_s is None else t("status.ship.heard", span=span(ago_s, t))


def machine_rows(services: Services, facts: StoreFacts, t: Translator) -> list[Row]:
    """Clock, disk, database, tasks, rules, what is due to guests, who ranks, certificate, versions."""
    machine = services.machine
    vitals, versions = machine.vitals(), machine.versions
    trusted = services.clock.now().trusted
    clock = t("status.machine.believed") if trusted else t("status.machine.not_believed")
    writes = t("status.machine.writes", writes=t.number(vitals.writes), commits=t.number(vitals.commits))
    rows = [
        Row(t("status.machine.clock"), clock, "ok" if trusted else "bad"),
        _disk(services, t),
        Row(t("status.machine.database"), size(vitals.database_bytes, t), "calm", writes),
        _tasks(services, t),
        _rules(facts, t),
        _privacy(facts, t),
        *([] if facts.ranker is None else [_ranker(facts.ranker, t)]),
    ]
    certificate = services.certificate()
    if certificate is not None:
        left = t.count("status.machine.days", certificate.days_left)
        light = "bad" if certificate.problem else "ok"
        rows.append(Row(t("status.machine.certificate"), left, light, certificate.problem))
    keys = ", ".join(map(str, versions.keys)) or t("status.machine.no_keys")
    rows.append(Row(t("status.machine.keys"), keys, "calm", t("status.machine.newest")))
    schema = t("status.machine.schema", schema=versions.schema, python=versions.python)
    rows.append(Row(t("status.machine.versions"), f"Steward {versions.gateway}", "calm", schema))
    return rows


def _disk(services: Services, t: Translator) -> Row:
    vitals = services.machine.vitals()
    low = vitals.disk_free_bytes < services.health.disk_floor_bytes
    more = [t("status.machine.of", size=size(vitals.disk_total_bytes, t))]
    if low:
        more.append(t("status.machine.nearly_full"))
    return Row(t("status.machine.disk"), size(vitals.disk_free_bytes, t), "bad" if low else "ok", ", ".join(more))


def _tasks(services: Services, t: Translator) -> Row:
    tasks = services.machine.tasks()
    down = [name for name, status in tasks.items() if status.state is not TaskState.RUNNING]
    restarts = sum(status.restarts for status in tasks.values())
    more = t.count("status.machine.restarts", restarts) if restarts else ""
    if down:
        more = ", ".join(sorted(down)[:_PAUSED_SHOWN_MAX])
    running = t("status.machine.running", running=len(tasks) - len(down), all=len(tasks))
    return Row(t("status.machine.tasks"), running, "bad" if down else "ok", more)


def _privacy(facts: StoreFacts, t: Translator) -> Row:
    """Requests of guests by their statutory time; a clock that waits for the officer."""
    late, soon = facts.requests.late, facts.requests.soon
    said = [t.count("status.machine.privacy_late", late)] if late else []
    said += [t.count("status.machine.privacy_soon", soon)] if soon else []
    more = t("status.machine.privacy_clock") if facts.retention_waits else ""
    light = "bad" if late or facts.retention_waits else "calm" if soon else "ok"
    return Row(t("status.machine.privacy"), ", ".join(said) or t("status.machine.privacy_well"), light, more)


def _rules(facts: StoreFacts, t: Translator) -> Row:
    """Those that contradict each other light up; those that never act are only told."""
    conflicts, dead = facts.rule_findings.get(Kind.CONFLICT, 0), facts.rule_findings.get(Kind.DEAD, 0)
    if not conflicts and not dead:
        return Row(t("status.machine.rules"), t("status.machine.rules_well"), "ok")
    parts = [("conflicts", conflicts), ("dead", dead)]
    said = ", ".join(t.count(f"status.machine.rules_{name}", count) for name, count in parts if count)
    return Row(t("status.machine.rules"), said, "bad" if conflicts else "calm", t("status.machine.rules_more"))


def _ranker(ranker: RankerFacts, t: Translator) -> Row:
    missing = t("status.machine.not_at_hand")
    more = t("status.machine.on_trial", model=ranker.beside or missing) if ranker.on_trial else ""
    return Row(t("status.machine.ranker"), ranker.shown or missing, "bad" if ranker.shown is None else "calm", more)


def span(seconds: int, t: Translator) -> str:
    """A length of time in its largest unit."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return t(f"status.span.{unit}", n=seconds // length)
    return t("status.span.s", n=max(seconds, 0))


def size(count: int, t: Translator | None = None) -> str:
    """Bytes in the unit that leaves the fewest digits; with a decimal point unless `t` writes another."""
    value, unit = float(count), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    text = f"{value:.0f} {_UNITS[unit]}" if unit == 0 or value >= 100 else f"{value:.1f} {_UNITS[unit]}"
    return text if t is None else text.replace(".", t.point)
