"""Scripts: what somebody should look at. Bounded: the same again is counted, and so is whatever no longer fits."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from steward.shore.script import Script, change, one, rows

ALARMS_MAX = 500


class AlarmKind(StrEnum):
    """Stable codes; web.py has them in words."""

    CONFLICT = "conflict"  # an event's number came again with other content
    DIGEST = "digest"  # a gateway's digest over its events is not ours
    LOST = "lost"  # a gateway restored from a backup no longer has events that never came
    GARBAGE = "garbage"  # bytes that are no batch, or a batch under another's topic
    ERASURE = "erasure"  # an order to forget a guest that is not obeyed
    LOOK_LOG = "look_log"  # a ship's look-up log does not extend what was witnessed of it
    UNREGISTERED = "unregistered"  # a ship or gateway that nobody added


@dataclass(frozen=True, slots=True)
class Alarm:
    """`count` times from first_s to last_s. Without ship: too many different ones of this kind to tell apart."""

    kind: AlarmKind
    ship: str
    gateway: str
    epoch: int
    seq: int
    first_s: int
    last_s: int
    count: int
    detail: str


_KNOWN = "SELECT 1 FROM alarm WHERE kind = ? AND ship = ? AND gateway = ? AND epoch = ? AND seq = ?"
_RAISE = (
    "INSERT INTO alarm (kind, ship, gateway, epoch, seq, first_s, last_s, count, detail) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?) ON CONFLICT (kind, ship, gateway, epoch, seq) DO UPDATE SET "
    "count = alarm.count + 1, last_s = excluded.last_s, detail = excluded.detail"
)
_LIST = (
    "SELECT kind, ship, gateway, epoch, seq, first_s, last_s, count, detail FROM alarm "
    "ORDER BY last_s DESC, kind, ship, gateway, epoch, seq LIMIT ?"
)
_CLEAR = "DELETE FROM alarm WHERE kind = ? AND ship = ? RETURNING 1"


def raise_alarm(
    kind: AlarmKind, now_s: int, detail: str, *, ship: str = "", gateway: str = "", epoch: int = 0, seq: int = 0
) -> Script[None]:
    """Record it once more. The names must have been checked: they are shown to people."""
    key: tuple[str | int, ...] = (kind, ship, gateway, epoch, seq)
    if not (yield from rows(_KNOWN, *key)):
        (count,) = yield from one("SELECT count(*) FROM alarm")
        if count >= ALARMS_MAX:
            key, detail = (kind, "", "", 0, 0), "more than can be listed: clear some"
    yield from change(_RAISE, *key, now_s, now_s, detail)


def alarms(limit: int = ALARMS_MAX) -> Script[list[Alarm]]:
    """Newest first."""
    found = yield from rows(_LIST, limit)
    return [Alarm(AlarmKind(row[0]), *row[1:]) for row in found]


def clear(kind: AlarmKind, ship: str) -> Script[int]:
    """Forget these; how many there were."""
    return len((yield from rows(_CLEAR, kind, ship)))
