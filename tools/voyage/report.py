"""The day in figures, for scripts (JSON) and for people."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from voyage.observed import Observed
from voyage.taps import seen_taps
from voyage.verdict import Check

SCHEMA = 3
VERSION_LIMIT_S = 10.0


def build_report(
    seen: Observed,
    checks: Iterable[Check],
    board: Mapping[str, Any],
    *,
    micropython: str,
    settings: Mapping[str, Any],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """board: the gateway's own figures. seconds: by phase. Money in minor units, times of a tap in milliseconds."""
    posted = [t for t in seen.till_tries if t.posted]
    listed = [asdict(check) for check in checks]
    return {
        "schema": SCHEMA,
        "ok": all(check["ok"] for check in listed),
        "figures": {
            "taps": board.get("taps", 0),
            "doors_tried": len(seen.door_tries),
            "doors_opened": sum(t.opened for t in seen.door_tries),
            "charges": len(posted),
            "charged_minor": sum(t.amount_minor for t in posted),
            "corrections": len(seen.corrections),
            "refusals": dict(board.get("refusals", {})),
            "alerts": dict(board.get("alerts", {})),
            "tap_ms": board.get("tap_ms", {}),
            "split_ms": board.get("split_ms", {}),
            "apdus": board.get("apdus", {}),
            "guests": len(seen.folios),
            "bands": len(seen.bands),
            "passive_bands": sum(band.passive for band in seen.bands),
            "events": len(seen.events),
            "link": _link(seen),
            "look_ups": sum(seen.looks.logged.values()) if seen.looks else 0,
            "suggestions": _suggestions(seen),
            "trust": _trust(seen),
            "cards_shown": len(seen.served),
            "card_ms": [round(s.ms, 1) for s in seen.served],
            "freeze_to_refusal_s": {
                f.where: None if f.refused_s is None else round(f.refused_s, 3) for f in seen.freezes
            },
            "seconds": {phase: round(value, 2) for phase, value in seconds.items()},
        },
        "taps": seen_taps(seen),
        "checks": listed,
        "settings": dict(settings),
        "micropython": micropython,
        "steward": version("steward-edge"),
        "machine": machine(),
    }


def _link(seen: Observed) -> dict[str, Any]:
    """Bytes as the relay in the middle of the line counted them."""
    link = seen.link
    if link is None:
        return {}
    figures: dict[str, Any] = {
        "events_ashore": sum(log.events for log in seen.ashore.logs) if seen.ashore else 0,
        "up_bytes": link.up_bytes,
        "down_bytes": link.down_bytes,
        "up_bytes_per_event": round(link.per_event, 1),
        "json_bytes_per_event": round(link.json_bytes / link.events, 1) if link.events else 0,
    }
    if seen.outage is not None:
        figures["outage"] = asdict(seen.outage)
    return figures


def _suggestions(seen: Observed) -> dict[str, Any]:
    """told: changes that were told of; as_told: those by which it came as told. acceptance: by arm, 95 % interval."""
    made = seen.suggestions
    switched = [flip for s in made for flip in s.flips]
    claimed = [claim for s in made for claim in s.claims]
    return {
        "made": len(made),
        "by": dict(Counter(s.ranker for s in made)),
        "explained": dict(Counter(s.means for s in made)),
        "answers": dict(Counter(s.answer for s in made)),
        "too_close_to_try": sum(s.crowded for s in made),
        "switches_tried": len(switched),
        "switches_as_told": sum(one.holds for one in switched),
        "claims_tried": len(claimed),
        "claims_as_told": sum(one.holds for one in claimed),
        "acceptance": [asdict(arm) for arm in seen.arms],
    }


def _trust(seen: Observed) -> dict[str, Any]:
    """look_ups_unlogged: made by somebody, as they counted, and not in the log."""
    trust, looks = seen.trust, seen.looks
    if trust is None or looks is None:
        return {}
    erased = trust.erased
    return {
        "fields_without_use_case": len(trust.undeclared),
        "look_ups_unlogged": sum(max(0, made - looks.logged.get(actor, 0)) for actor, made in looks.made.items()),
        "erased_guests": len(erased),
        "erased_guest_recoverable": any(one.found for one in erased),
        "searched_bytes": trust.searched,
        "breach_drill_s": round(trust.drill_s, 2),
    }


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(report, indent=2) + "\n")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "system": platform.system(),
        "release": platform.release(),
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
    }


def micropython_version(interpreter: str) -> str:
    """As the interpreter tells it, such as "MicroPython v1.28.0". Blocks shortly."""
    command = [interpreter, "-c", "import sys; print(sys.version)"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=VERSION_LIMIT_S, check=True)
    return answer.stdout.partition(";")[2].strip() or answer.stdout.strip()


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or "unknown"
