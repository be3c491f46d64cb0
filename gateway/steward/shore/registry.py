"""Scripts: who belongs to the fleet, and which store this is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from steward.adapters.brokerrights import TAKEN
from steward.errors import Conflict, NotFound, Refused, StoreUnavailable
from steward.shore.script import Script, change, first, rows

BOOT_BYTES = 8
SHIPS_MAX = 1000
GATEWAYS_MAX = 64  # of one ship
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
NAME_RULE = "1 to 32 lower-case letters, digits and dashes, not beginning with a dash"

_ADD_SHIP = "INSERT INTO ship (ship, added_s) VALUES (?, ?) ON CONFLICT (ship) DO UPDATE SET ship = excluded.ship"
_ADD_GATEWAY = (
    "INSERT INTO gateway (ship, gateway, added_s) VALUES (?, ?, ?) ON CONFLICT (ship, gateway) DO NOTHING "
    "RETURNING gateway"
)


def begin(boot: bytes, now_s: int) -> Script[None]:
    """A new store's first script. Raises Conflict if it has begun already."""
    if (yield from first("SELECT 1 FROM shore")) is not None:
        raise Conflict("this database is a fleet's store already: nothing was changed")
    yield from change("INSERT INTO shore (one, boot, made_s) VALUES (1, ?, ?)", boot, now_s)


def boot() -> Script[bytes]:
    """Which store this is: gateways see by it that they talk to a restored one. Raises StoreUnavailable."""
    row = yield from first("SELECT boot FROM shore")
    if row is None:
        raise StoreUnavailable("this database is no fleet's store yet: run `steward shore init` on it")
    return bytes(row[0])


def renew_boot(fresh: bytes) -> Script[None]:
    """After this store was put back from a backup: gateways send again what it had forgotten."""
    yield from boot()
    yield from change("UPDATE shore SET boot = ?", fresh)


def add_ship(ship: str, gateways: Sequence[str], now_s: int) -> Script[list[str]]:
    """Let these gateways of a ship send events; the ones that are new. Raises Refused."""
    for name in (ship, *gateways):
        if not NAME.fullmatch(name) or name in TAKEN:
            raise Refused("name_unfit", f"a ship's or gateway's name is {NAME_RULE}, and none of {', '.join(TAKEN)}")
    yield from change(_ADD_SHIP, ship, now_s)
    added = []
    for gateway in gateways:
        if (yield from rows(_ADD_GATEWAY, ship, gateway, now_s)):
            added.append(gateway)
    ((ships,),) = yield from rows("SELECT count(*) FROM ship")
    ((known,),) = yield from rows("SELECT count(*) FROM gateway WHERE ship = ?", ship)
    if ships > SHIPS_MAX or known > GATEWAYS_MAX:
        raise Refused("fleet_full", f"a fleet has at most {SHIPS_MAX} ships, a ship at most {GATEWAYS_MAX} gateways")
    return added


def ships() -> Script[list[str]]:
    return [row[0] for row in (yield from rows("SELECT ship FROM ship ORDER BY ship"))]


def check_ship(ship: str) -> Script[None]:
    """Raises NotFound, naming only what has a name's shape."""
    if not NAME.fullmatch(ship) or (yield from first("SELECT 1 FROM ship WHERE ship = ?", ship)) is None:
        raise NotFound("ship", ship if NAME.fullmatch(ship) else "of that name")
