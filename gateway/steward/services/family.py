"""Children and the adults who speak for them: an adult of the same booking, and nobody else."""

from __future__ import annotations

from collections.abc import Sequence

from steward.domain.guests import Guest
from steward.domain.ids import GuestRef
from steward.errors import Refused
from steward.ports import Tx
from steward.services.lookups import guest_in

PARENT_NEEDED = "parent_needed"


def speaks_for(adult: Guest, child: Guest) -> bool:
    return child.child and not adult.child and not adult.crew and adult.booking == child.booking


def children_of(tx: Tx, adult: Guest) -> Sequence[Guest]:
    """Whom this guest speaks for, by ref."""
    return [other for other in tx.party(adult.booking) if speaks_for(adult, other)]


def check_speaks_for(tx: Tx, adult: GuestRef, child: GuestRef) -> Guest:
    """The child. Raises NotFound, and Refused parent_needed for anybody else's."""
    other = guest_in(tx, child)
    if not speaks_for(guest_in(tx, adult), other):
        raise Refused(PARENT_NEEDED, "only an adult of the same booking speaks for a child")
    return other
