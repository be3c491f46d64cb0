"""What a leaf of the look-up log's tree commits to: a row as the guest may see it, and a closed part they may not.

Both are salted, so a hash that is published tells nothing, and a row whose salts are gone can be guessed by nobody.
The closed part is the crew member and the reason of a broken glass: a guest's proof does not open it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import cbor2

from steward.domain.merkle import leaf_hash
from steward.domain.viewing import LookUp

SALT_BYTES = 32
SWEPT = "look.swept"  # small fact: rows that were blanked again after a restore, by no erasure's count


@dataclass(frozen=True, slots=True)
class LookSalts:
    """Of one row: 32 random bytes for what the guest may see, and 32 for the closed part."""

    row: bytes = field(repr=False)
    closed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenRow:
    """A look as its guest may see it. logged_s: when it was entered, by the log's own reckoning; it never goes back.

    gateway: where it was made, if that was not the gateway whose log this is. Empty: there.
    """

    seq: int
    at_s: int
    role: str
    outlet: str
    outlet_kind: str
    purpose: str
    guest: str
    fields: tuple[str, ...]  # sorted
    way: str
    logged_s: int
    gateway: str = ""


def open_row(look: LookUp, logged_s: int) -> OpenRow:
    """Without the closed part."""
    return OpenRow(
        look.seq,
        look.at_s,
        look.role,
        look.outlet,
        look.outlet_kind.value,
        look.purpose.value,
        look.guest,
        tuple(sorted(field.value for field in look.fields)),
        look.way.value,
        logged_s,
        look.gateway,
    )


def closed_hash(actor: str, reason: str, salt: bytes) -> bytes:
    """What stands in a row for who looked, and why the glass was broken."""
    return hashlib.sha256(salt + cbor2.dumps([actor, reason], canonical=True)).digest()


def row_bytes(row: OpenRow, closed: bytes) -> bytes:
    """What is committed to, behind the salt."""
    first = [row.seq, row.at_s, row.role, row.outlet, row.outlet_kind, row.purpose, row.guest, list(row.fields)]
    elsewhere = [row.gateway] if row.gateway else []
    return cbor2.dumps([*first, row.way, closed, row.logged_s, *elsewhere], canonical=True)


def row_leaf(row: OpenRow, closed: bytes, salt: bytes) -> bytes:
    """The leaf's hash in the tree."""
    return leaf_hash(hashlib.sha256(salt + row_bytes(row, closed)).digest())


def look_leaf(look: LookUp, logged_s: int, salts: LookSalts) -> bytes:
    """The leaf of a whole look."""
    return row_leaf(open_row(look, logged_s), closed_hash(look.actor, look.reason, salts.closed), salts.row)


def origin(ship: str, gateway: str, epoch: int) -> str:
    """The log's name. A restored store is another log: what came after the backup is not in it."""
    return f"steward/{ship}/{gateway}/look-ups/{epoch}"
