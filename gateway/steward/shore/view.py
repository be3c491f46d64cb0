"""The fleet page's words and figures: what an operator needs to see first, in plain language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from steward.domain.topics import CLASS_WORDS, IDENTITY, INSIGHT, MONEY, SAFETY, TELEMETRY, kind_word
from steward.shore.aggregates import Told
from steward.shore.alarms import Alarm, AlarmKind
from steward.shore.bundle import LinkState, Node
from steward.shore.downs import Issued
from steward.shore.fleet import Fleet, GatewayLine, ShipLine
from steward.shore.work import HEARD_S

BAR_WIDTH = 1000  # units of the class bar's own scale
_ORDER = tuple(CLASS_WORDS[cls] for cls in (SAFETY, MONEY, IDENTITY, INSIGHT, TELEMETRY))
_RANKS = ("bad", "busy", "ok", "calm")  # what needs somebody comes first
_NUMBERS_SHOWN = 5
_ALARM_WORDS: Mapping[AlarmKind, tuple[str, str]] = MappingProxyType(
    {
        AlarmKind.CONFLICT: (
            "An event's number came again with other content.",
            "Find out which copy is right: the first is kept. Was this gateway's disk cloned?",
        ),
        AlarmKind.DIGEST: (
            "A gateway and shore disagree on what they hold.",
            "Compare the range with the gateway's own log (GET /v1/events).",
        ),
        AlarmKind.LOST: (
            "A gateway was restored from a backup, and events are gone.",
            "They were made after the backup and never came ashore: check that voyage day's paper trail.",
        ),
        AlarmKind.GARBAGE: (
            "Messages that are no batch.",
            "Look at who may publish there, and whether the gateway runs a newer version than shore.",
        ),
        AlarmKind.ERASURE: (
            "An order to forget a guest is not carried out. It is kept.",
            "Ask the ship. If its folio authority gave it: compare the key with the one that steward keys show prints "
            "aboard, then: steward shore ship authority SHIP GATEWAY --key FINGERPRINT.",
        ),
        AlarmKind.LOOK_LOG: (
            "A ship's log of who looked at whom is not the one that was witnessed.",
            "Ask its privacy officer to run steward verify log aboard. After a restore, compare what was lost.",
        ),
        AlarmKind.UNREGISTERED: (
            "A ship or gateway that nobody added wants to send.",
            "If it is ours: steward shore ship add SHIP --gateway NAME.",
        ),
    }
)


def page_facts(
    node: Node, fleet: Fleet, here: Mapping[tuple[str, str], bool], links: Sequence[LinkState], now_s: int
) -> dict[str, Any]:
    """What the templates use."""
    ships = sorted((_ship(ship, here, now_s) for ship in fleet.ships), key=lambda ship: ship["rank"])
    behind = sum(ship["missing"] > 0 for ship in ships)
    silent = sum(ship["silent"] for ship in ships)
    return {
        "node": node,
        "now": f"{datetime.fromtimestamp(now_s, UTC):%Y-%m-%d %H:%M:%S}",
        "up": duration(now_s - node.started_s),
        "ships": ships,
        "figures": {
            "ships": len(ships),
            "behind": behind,
            "silent": silent,
            "missing": sum(ship["missing"] for ship in ships),
            "bytes": size(sum(ship["bytes"] for ship in ships)),
            "events": sum(gateway.events for ship in fleet.ships for gateway in ship.gateways),
        },
        "classes": _ORDER,
        "bar_width": BAR_WIDTH,
        "alarms": _alarms(fleet.alarms, now_s),
        "links": links,
        "news": _news(len(_alarms(fleet.alarms, now_s)), silent, [link for link in links if not link.connected]),
    }


def answer_facts(found: Sequence[Told]) -> list[dict[str, Any]]:
    """What the template of answers uses."""
    return [
        {
            "ship": told.ship,
            "voyage": told.voyage,
            "when": f"{datetime.fromtimestamp(told.at_s, UTC):%Y-%m-%d %H:%M}",
            "words": told.question.replace("_", " ").capitalize(),
            "cost_milli": told.cost_milli,
            "lines": told.lines,
            "currency": told.currency,
            "withheld": told.withheld,
            "shown_from": told.shown_from,
        }
        for told in found
    ]


def duration(seconds: int) -> str:
    """Two units at most."""
    seconds = max(seconds, 0)
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def size(count: int) -> str:
    """Bytes, in the largest unit that leaves two digits or more."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 10_000:
            break
        value, unit = value / 1000, larger
    return f"{value:,.0f} {unit}"


def _ship(ship: ShipLine, here: Mapping[tuple[str, str], bool], now_s: int) -> dict[str, Any]:
    gateways = [_gateway(gateway, here.get((gateway.ship, gateway.gateway)), now_s) for gateway in ship.gateways]
    total = sum(ship.today.values())
    return {
        "name": ship.ship,
        "rank": min((_RANKS.index(gateway["light"]) for gateway in gateways), default=len(_RANKS)),
        "gateways": gateways,
        "missing": ship.missing,
        "missing_bytes": size(ship.missing_bytes),
        "silent": bool(gateways) and all(gateway["light"] == "bad" for gateway in gateways),
        "bytes": total,
        "today": size(total),
        "bars": _bars(ship.today, total),
        "decisions": [_decision(issued, ship) for issued in _by_word(ship)],
    }


def _gateway(gateway: GatewayLine, is_here: bool | None, now_s: int) -> dict[str, Any]:
    quiet_s = now_s - gateway.contact_s
    if not gateway.contact_s:
        light, words = "calm", "never heard"
    elif is_here is False:
        light, words = "bad", "link down"
    elif quiet_s > HEARD_S:
        light, words = "bad", "silent"
    elif gateway.missing:
        light, words = "busy", "catching up"
    else:
        light, words = "ok", "up to date"
    return {
        "name": gateway.gateway,
        "light": light,
        "words": words,
        "contact": f"{duration(quiet_s)} ago" if gateway.contact_s else "",
        "version": gateway.version or "",
        "events": gateway.events,
        "missing": gateway.missing,
        "missing_bytes": size(gateway.missing_bytes),
        "behind": "" if gateway.behind_s is None else duration(now_s - gateway.behind_s),
        "again": gateway.duplicates,
        "conflicts": gateway.conflicts,
        "lost": gateway.lost,
    }


def _by_word(ship: ShipLine) -> Iterable[Issued]:
    """The newest of each kind as it is shown."""
    newest: dict[str, Issued] = {}
    for issued in sorted(ship.decisions, key=lambda issued: issued.version):
        newest[kind_word(issued.kind)] = issued
    return [newest[word] for word in sorted(newest)]


def _decision(issued: Issued, ship: ShipLine) -> dict[str, Any]:
    word = kind_word(issued.kind)
    asked = [other for other in ship.decisions if kind_word(other.kind) == word]
    lacks = [
        name
        for name, versions in ship.applied.items()
        if any(versions.get(other.kind, 0) < other.version for other in asked)
    ]
    return {
        "kind": word,
        "at": _date(issued.issued_s),
        "by": issued.by,
        "light": "ok" if not lacks else "busy",
        "words": "applied by all" if not lacks else f"not applied yet by {', '.join(lacks)}",
    }


def _bars(today: Mapping[str, int], total: int) -> list[dict[str, Any]]:
    """Each class's part of a bar of BAR_WIDTH units."""
    bars, start = [], 0.0
    for word in _ORDER:
        width = today[word] / total * BAR_WIDTH if total else 0.0
        bars.append({"word": word, "start": round(start), "width": round(width), "size": size(today[word])})
        start += width
    return bars


def _alarms(alarms: Sequence[Alarm], now_s: int) -> list[dict[str, Any]]:
    """Newest first; those of one kind about one log in one line."""
    groups: dict[tuple[AlarmKind, str, str, int], list[Alarm]] = {}
    for alarm in alarms:
        groups.setdefault((alarm.kind, alarm.ship, alarm.gateway, alarm.epoch), []).append(alarm)
    return [_alarm(group, now_s) for group in groups.values()]


def _alarm(group: Sequence[Alarm], now_s: int) -> dict[str, Any]:
    newest = group[0]
    said, todo = _ALARM_WORDS[newest.kind]
    where = " ".join(part for part in (newest.ship, newest.gateway) if part) or "unknown sender"
    seqs = sorted(alarm.seq for alarm in group if alarm.seq)
    shown = ", ".join(map(str, seqs[:_NUMBERS_SHOWN])) + (", ..." if len(seqs) > _NUMBERS_SHOWN else "")
    return {
        "said": said,
        "todo": todo,
        "where": where,
        "number": f"event{'s' if len(seqs) > 1 else ''} {shown} of epoch {newest.epoch}" if seqs else "",
        "detail": newest.detail,
        "count": sum(alarm.count for alarm in group),
        "last": f"{duration(now_s - newest.last_s)} ago",
    }


def _date(unix_s: int) -> str:
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%d %H:%M}"


def _news(alarms: int, silent: int, down: Sequence[LinkState]) -> str:
    """One sentence that changes only when somebody should look; screen readers speak it."""
    said = []
    if alarms:
        said.append(f"{alarms} alarm{'s' if alarms > 1 else ''}")
    if silent:
        said.append(f"{silent} ship{'s' if silent > 1 else ''} not heard")
    said += [f"no connection to the {link.name}" for link in down]
    return f"{', '.join(said)}." if said else "All well."
