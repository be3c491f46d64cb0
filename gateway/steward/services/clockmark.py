"""The latest time that was believed, written down so that a clock that lost its battery is noticed after a restart."""

from __future__ import annotations

from steward.ports import Tx

_MARK = "clock.high_water_s"


def last_time(tx: Tx) -> int:
    """0 if none ever was. Events do not count: a clock that had jumped may have dated them."""
    return int(tx.meta(_MARK) or 0)


def set_mark(tx: Tx, unix_s: int) -> None:
    """Remember a believed time."""
    tx.set_meta(_MARK, str(unix_s))
