"""A certificate of erasure as somebody hands it to us, read strictly: what was destroyed, and what is kept. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steward.domain.erasure import FORMAT, Kept, Part, Wait
from steward.domain.signedrecord import RecordFault, Signed

KIND = "erasure"
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_REF, _NUMBER = re.compile(r"[0-9a-f]{16}"), re.compile(r"[0-9a-f]{32}")
_ROWS_MAX = 1000  # gateways, tables: more than any ship has
_BODY = {
    *("format", "certificate", "ship", "guest", "asked_at", "asked_by", "issued_at", "state"),
    *("waits_for", "done", "done_again_at", "kept", "gateways", "ashore"),
}
_DONE, _KEPT, _GATEWAY, _ASHORE = (
    {"part", "at", "destroyed", "key"},
    {"what", "until"},
    {"gateway", "state", "at"},
    {"state", "at"},
)


@dataclass(frozen=True, slots=True)
class DoneFacts:
    part: Part
    at: str
    destroyed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """until, at: a time in UTC, or None. ashore: "confirmed", "pending" or "none"."""

    number: str
    ship: str
    guest: str
    issued: str
    finished: bool
    waits: tuple[Wait, ...]
    done: tuple[DoneFacts, ...]
    again: str | None
    kept: tuple[tuple[Kept, str | None], ...]
    gateways: tuple[tuple[str, str | None], ...]
    ashore: str
    ashore_at: str | None


def read_certificate(signed: Signed) -> CertificateFacts:
    """Of a record whose signature holds or not. Raises RecordFault."""
    if signed.kind != KIND:
        raise RecordFault(f"it is no certificate of erasure but a record of kind {signed.kind}")
    body = _members(signed.body, _BODY, "its body")
    if body["format"] != FORMAT:
        raise RecordFault("it is a certificate in a form that this program does not know")
    if body["state"] not in ("finished", "waiting"):
        raise RecordFault("its state is none there is")
    _match(_TIME, body["asked_at"], "asked_at")
    _text(body["asked_by"])
    ashore = _members(body["ashore"], _ASHORE, "ashore")
    if ashore["state"] not in ("confirmed", "pending", "none"):
        raise RecordFault("what it says of shore is nothing there is")
    return CertificateFacts(
        number=_match(_NUMBER, body["certificate"], "certificate"),
        ship=_text(body["ship"]),
        guest=_match(_REF, body["guest"], "guest"),
        issued=_match(_TIME, body["issued_at"], "issued_at"),
        finished=body["state"] == "finished",
        waits=tuple(Wait(_code(Wait, wait)) for wait in _rows(body["waits_for"])),
        done=tuple(_done(row) for row in _rows(body["done"])),
        again=_maybe_time(body["done_again_at"]),
        kept=tuple(_kept(row) for row in _rows(body["kept"])),
        gateways=tuple(_gateway(row) for row in _rows(body["gateways"])),
        ashore=ashore["state"],
        ashore_at=_maybe_time(ashore["at"]),
    )


def _done(row: Any) -> DoneFacts:
    done = _members(row, _DONE, "what was done")
    parts = {part.name.lower(): part for part in Part}
    if done["part"] not in parts or done["key"] not in ("destroyed", "replaced"):
        raise RecordFault("what was done is nothing there is")
    counts = done["destroyed"]
    if not isinstance(counts, dict) or len(counts) > _ROWS_MAX:
        raise RecordFault("what was destroyed is no set of counts")
    if not all(type(count) is int and count > 0 for count in counts.values()):
        raise RecordFault("what was destroyed is counted in whole numbers")
    named = {_text(table): count for table, count in counts.items()}
    return DoneFacts(parts[done["part"]], _match(_TIME, done["at"], "done at"), named)


def _kept(row: Any) -> tuple[Kept, str | None]:
    kept = _members(row, _KEPT, "what is kept")
    return Kept(_code(Kept, kept["what"])), _maybe_time(kept["until"])


def _gateway(row: Any) -> tuple[str, str | None]:
    gateway = _members(row, _GATEWAY, "a gateway")
    at = _maybe_time(gateway["at"])
    if gateway["state"] != ("pending" if at is None else "confirmed"):
        raise RecordFault("a gateway's state and its time do not fit")
    return _text(gateway["gateway"]), at


def _rows(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > _ROWS_MAX:
        raise RecordFault("a list is missing in it, or too long")
    return value


def _members(value: Any, names: set[str], what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or set(value) != names:
        raise RecordFault(f"{what} does not have exactly {', '.join(sorted(names))}")
    return value


def _code(codes: type[Wait] | type[Kept], value: Any) -> str:
    if not isinstance(value, str) or value not in set(codes):
        raise RecordFault("it has a code that this program does not know")
    return value


def _match(shape: re.Pattern[str], value: Any, what: str) -> str:
    if not isinstance(value, str) or not shape.fullmatch(value):
        raise RecordFault(f"{what} in it is not what it should be")
    return value


def _maybe_time(value: Any) -> str | None:
    return None if value is None else _match(_TIME, value, "a time")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= 128:
        raise RecordFault("a text in it is missing, too long, or not printable")
    return value
