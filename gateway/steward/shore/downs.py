"""Scripts: decisions for ships, each a signed message of its own version. The newest of a kind is all a ship needs.

A version is the time it was made, or one more than the last if that is more. So versions grow even where this store
was put back from a backup and has forgotten some: no ship ever takes a decision for an old one.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from steward.domain.batches import DownMessage, sign_down
from steward.domain.topics import CONSENT_KINDS, DOWN_KINDS, kind_word
from steward.errors import Refused
from steward.shore.registry import check_ship
from steward.shore.script import Script, change, first, one, rows

KEPT_PER_KIND = 200  # older versions are forgotten: the newest is whole in itself
KEPT_PER_SHARD = 8  # of a consent shard: there are many of them

_LOCK = "UPDATE ship SET ship = ship WHERE ship = ?"
_LAST = "SELECT coalesce(max(version), 0) FROM down WHERE ship = ? AND kind = ?"
_ADD = "INSERT INTO down (ship, kind, version, issued_s, issued_by, body, message) VALUES (?, ?, ?, ?, ?, ?, ?)"
_FORGET = (
    "DELETE FROM down WHERE ship = ? AND kind = ? AND version <= coalesce((SELECT version FROM down "
    "WHERE ship = ? AND kind = ? ORDER BY version DESC LIMIT 1 OFFSET ?), 0)"
)
_NEWEST = (
    "SELECT d.ship, d.kind, d.version, d.issued_s, d.issued_by FROM down AS d JOIN "
    "(SELECT ship, kind, max(version) AS version FROM down GROUP BY ship, kind) AS newest "
    "ON d.ship = newest.ship AND d.kind = newest.kind AND d.version = newest.version ORDER BY d.ship, d.kind"
)
_OF_KIND = (
    "SELECT ship, kind, version, issued_s, issued_by FROM down "
    "WHERE ship = ? AND kind = ? ORDER BY version DESC LIMIT 1"
)
_MESSAGE = "SELECT message FROM down WHERE ship = ? AND kind = ? AND version = ?"
_BODY = "SELECT body FROM down WHERE ship = ? AND kind = ? ORDER BY version DESC LIMIT 1"


_REACHED = (
    "SELECT g.ship, g.gateway, g.contact_s, a.kind, a.version FROM gateway AS g "
    "LEFT JOIN applied AS a ON a.ship = g.ship AND a.gateway = g.gateway ORDER BY g.ship, g.gateway"
)


@dataclass(frozen=True, slots=True)
class Reached:
    """What a gateway has said it has applied, by kind. contact_s: when it was heard last; 0 for never."""

    ship: str
    gateway: str
    contact_s: int
    versions: dict[str, int]


@dataclass(frozen=True, slots=True)
class Issued:
    """One version. by: which command or token made it."""

    ship: str
    kind: str
    version: int
    issued_s: int
    by: str


def lock(ship: str) -> Script[None]:
    """One decision for a ship at a time. Raises NotFound."""
    yield from check_ship(ship)
    yield from change(_LOCK, ship)


def newest_body(ship: str, kind: str) -> Script[bytes | None]:
    row = yield from first(_BODY, ship, kind)
    return None if row is None else bytes(row[0])


def issue(key: Ed25519PrivateKey, ship: str, kind: str, body: bytes, now_s: int, by: str) -> Script[Issued]:
    """Sign and keep the next version of this kind. Raises NotFound, Refused."""
    if kind not in DOWN_KINDS:
        raise Refused("kind_unknown", f"a decision is one of {', '.join(dict.fromkeys(map(kind_word, DOWN_KINDS)))}")
    yield from lock(ship)
    (last,) = yield from one(_LAST, ship, kind)
    issued = Issued(ship, kind, max(last + 1, now_s), now_s, by)
    try:
        message = sign_down(DownMessage(ship, kind, issued.version, now_s, body), key)
    except ValueError as error:
        raise Refused("body_unfit", str(error)) from None
    yield from change(_ADD, ship, kind, issued.version, now_s, by, body, message)
    kept = KEPT_PER_SHARD if kind in CONSENT_KINDS else KEPT_PER_KIND
    yield from change(_FORGET, ship, kind, ship, kind, kept)
    return issued


def forget_older(ship: str, kind: str) -> Script[None]:
    """All versions but the newest: it is whole in itself, and they may hold what is to be forgotten."""
    yield from change(_FORGET, ship, kind, ship, kind, 1)


def newest() -> Script[list[Issued]]:
    """Of every ship and kind."""
    return [Issued(*row) for row in (yield from rows(_NEWEST))]


def reached() -> Script[list[Reached]]:
    """Every gateway."""
    found: dict[tuple[str, str], Reached] = {}
    for ship, gateway, contact_s, kind, version in (yield from rows(_REACHED)):
        line = found.setdefault((ship, gateway), Reached(ship, gateway, contact_s, {}))
        if kind is not None:
            line.versions[kind] = version
    return list(found.values())


def newest_of(ship: str, kind: str) -> Script[Issued]:
    """There must be one."""
    row = yield from one(_OF_KIND, ship, kind)
    return Issued(*row)


def message_of(issued: Issued) -> Script[bytes]:
    row = yield from one(_MESSAGE, issued.ship, issued.kind, issued.version)
    return bytes(row[0])
