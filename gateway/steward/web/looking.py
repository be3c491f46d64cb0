"""Calls of the API that answer with something of a guest: each answer is a look-up, logged before it leaves.

A token has no shift: the desk's looks at guests to check them in, the purser's for billing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from steward.domain.ids import GuestRef, OutletId, TapId
from steward.domain.outlets import OutletKind
from steward.domain.viewing import DESK, CrewRole, Field, Purpose, Viewer
from steward.ports import Tx
from steward.services.lookups import LookupService
from steward.web.roles import Principal, Role

T = TypeVar("T")

API = OutletId("api")
_LOOKS_AS: Mapping[Role, tuple[str, Purpose]] = {
    Role.DESK: (DESK, Purpose.CHECK_IN),
    Role.PURSER: (CrewRole.PURSER, Purpose.BILLING),
}


def token_viewer(caller: Principal) -> Viewer:
    """As whom this token looks at guests. Only the desk's and the purser's do."""
    role, purpose = _LOOKS_AS[caller.role]
    return Viewer(f"token:{caller.id}", role, API, OutletKind.SERVICE, purpose)


class Looking:
    def __init__(self, lookups: LookupService) -> None:
        self._lookups = lookups

    async def read(
        self,
        caller: Principal,
        guest: GuestRef | Callable[[Tx], GuestRef | None],
        field: Field,
        work: Callable[[Tx], T],
    ) -> T:
        """What `work` reads of this guest, logged in the same transaction."""
        return await self._lookups.read_as(token_viewer(caller), guest, {field}, work)

    async def show(
        self, caller: Principal, guest: GuestRef | Callable[[Tx], GuestRef | None], field: Field, answer: T
    ) -> T:
        """An answer that shows something of this guest. If the look cannot be logged, it is not given."""
        return await self.read(caller, guest, field, lambda _tx: answer)


def who_tapped(tap_id: TapId) -> Callable[[Tx], GuestRef | None]:
    """Finds the guest of a charge; None if no band of ours was read."""

    def find(tx: Tx) -> GuestRef | None:
        charge = tx.charge(tap_id)
        return None if charge is None or charge.evidence is None else charge.evidence.guest

    return find
