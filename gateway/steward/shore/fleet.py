"""Scripts: the fleet as an operator sees it. Counts, times and names of machines; nothing about a guest."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from steward.domain.topics import CLASS_WORDS
from steward.shore.alarms import Alarm, alarms
from steward.shore.arrivals import DAY_S
from steward.shore.downs import Issued, newest, reached
from steward.shore.script import Row, Script, rows

ALARMS_SHOWN = 50
_GATEWAYS = "SELECT ship, gateway, contact_s, version FROM gateway ORDER BY ship, gateway"
_LOGS = "SELECT ship, gateway, events, head, lost, bytes, duplicates, conflicts, whole_s FROM log"
_TODAY = "SELECT ship, class, bytes FROM traffic WHERE day = ?"
_COUNT = (
    "SELECT gateway, epoch, count(*), min(seq), max(seq) FROM event WHERE ship = ? "
    "GROUP BY gateway, epoch ORDER BY gateway, epoch"
)


@dataclass(frozen=True, slots=True)
class GatewayLine:
    """missing: events it has named and shore has not; missing_bytes: what they will be, by those that came.

    behind_s: since when something is missing; None if nothing is. contact_s is 0 if it was never heard.
    """

    ship: str
    gateway: str
    version: str
    contact_s: int
    events: int
    missing: int
    missing_bytes: int
    behind_s: int | None
    lost: int
    duplicates: int
    conflicts: int


@dataclass(frozen=True, slots=True)
class ShipLine:
    """today: bytes by class since midnight UTC, every class named."""

    ship: str
    gateways: tuple[GatewayLine, ...]
    today: dict[str, int]
    decisions: tuple[Issued, ...]
    applied: dict[str, dict[str, int]]  # by gateway, then kind: the newest version it says it has applied

    @property
    def missing(self) -> int:
        return sum(gateway.missing for gateway in self.gateways)

    @property
    def missing_bytes(self) -> int:
        return sum(gateway.missing_bytes for gateway in self.gateways)

    @property
    def contact_s(self) -> int:
        return max((gateway.contact_s for gateway in self.gateways), default=0)


@dataclass(frozen=True, slots=True)
class Fleet:
    ships: tuple[ShipLine, ...]
    alarms: tuple[Alarm, ...]


@dataclass(frozen=True, slots=True)
class EpochCount:
    """What the event table holds of one log, counted there and not from any counter."""

    gateway: str
    epoch: int
    events: int
    first: int
    last: int


def fleet(now_s: int) -> Script[Fleet]:
    """Everything, on one snapshot."""
    logs: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in (yield from rows(_LOGS)):
        logs[row[0], row[1]].append(row[2:])
    today: defaultdict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(CLASS_WORDS.values(), 0))
    for ship, word, count in (yield from rows(_TODAY, now_s // DAY_S)):
        today[ship][word] = count
    decisions: defaultdict[str, list[Issued]] = defaultdict(list)
    for issued in (yield from newest()):
        decisions[issued.ship].append(issued)
    applied: defaultdict[str, dict[str, dict[str, int]]] = defaultdict(dict)
    for line in (yield from reached()):
        applied[line.ship][line.gateway] = line.versions
    gateways: defaultdict[str, list[GatewayLine]] = defaultdict(list)
    for row in (yield from rows(_GATEWAYS)):
        gateways[row[0]].append(_line(row, logs[row[0], row[1]]))
    lines = [
        ShipLine(ship, tuple(gateways[ship]), today[ship], tuple(decisions[ship]), applied[ship])
        for (ship,) in (yield from rows("SELECT ship FROM ship ORDER BY ship"))
    ]
    return Fleet(tuple(lines), tuple((yield from alarms(ALARMS_SHOWN))))


def count_events(ship: str) -> Script[list[EpochCount]]:
    """Per gateway and epoch. Reads every event's key: for checks, not for pages."""
    return [EpochCount(*row) for row in (yield from rows(_COUNT, ship))]


def _line(gateway: Row, logs: list[Row]) -> GatewayLine:
    ship, name, contact_s, version = gateway
    events, lost, size = sum(row[0] for row in logs), sum(row[2] for row in logs), sum(row[3] for row in logs)
    open_logs = [row for row in logs if row[1] - row[0] - row[2] > 0]
    missing = sum(row[1] - row[0] - row[2] for row in open_logs)
    return GatewayLine(
        ship=ship,
        gateway=name,
        version=version,
        contact_s=contact_s,
        events=events,
        missing=missing,
        missing_bytes=missing * size // events if events else 0,
        behind_s=min((row[6] for row in open_logs), default=None),
        lost=lost,
        duplicates=sum(row[4] for row in logs),
        conflicts=sum(row[5] for row in logs),
    )
