"""Put it right: a case for a guest whom something went wrong for. While it is open, nobody tries to sell to them: no
suggestion is made. What they ask for themselves is charged as ever, and a till never learns of the case.
"""

from __future__ import annotations

from dataclasses import replace

from steward.domain.care import TEXT_MAX, Case, CaseId, is_text
from steward.domain.events import EventType, fact
from steward.domain.ids import GuestRef
from steward.domain.outlets import OutletKind
from steward.domain.viewing import Field, Viewer, allowed, look_at
from steward.errors import NotFound, Refused
from steward.ports import Clock, Entropy, Store, Tx
from steward.services.lookups import NOT_PERMITTED, guest_in

OPEN_EACH_MAX = 5
OPEN_SHOWN_MAX = 50


class RecoveryService:
    def __init__(self, store: Store, clock: Clock, entropy: Entropy) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy

    async def open(self, viewer: Viewer, ref: GuestRef, what: str) -> Case:
        """Raises NotFound, Refused (not_permitted, case_invalid, too_many_cases)."""
        _check(viewer, what)
        now_s = self._clock.now().unix_s
        id_ = CaseId(self._entropy.token_bytes(8).hex())
        case = Case(id_, ref, viewer.outlet, what.strip(), viewer.actor, now_s)

        def work(tx: Tx) -> Case:
            guest_in(tx, ref)
            if tx.open_case_count(ref) >= OPEN_EACH_MAX:
                raise Refused("too_many_cases", f"{OPEN_EACH_MAX} cases of this guest are open: close one first")
            tx.open_case(case)
            tx.append_event(
                fact(EventType.RECOVERY_OPENED, now_s, case=id_, guest=ref, outlet=case.outlet, by=viewer.actor)
            )
            return case

        return await self._store.write(work)

    async def close(self, viewer: Viewer, case_id: CaseId, outcome: str) -> Case:
        """Close it with what was done. Closing again changes nothing. Returns the case without its texts."""
        _check(viewer, outcome)
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Case:
            case = tx.case_place(case_id)
            if case is None:
                raise NotFound("case", case_id)
            if not case.is_open:
                return case
            tx.close_case(case_id, viewer.actor, now_s, outcome.strip())
            tx.append_event(
                fact(
                    EventType.RECOVERY_CLOSED,
                    now_s,
                    case=case_id,
                    guest=case.guest,
                    outlet=viewer.outlet,
                    by=viewer.actor,
                    open_s=now_s - case.opened_s,
                )
            )
            return replace(case, closed_by=viewer.actor, closed_s=now_s)

        return await self._store.write(work)

    async def open_cases(self, viewer: Viewer) -> list[Case]:
        """Open cases of the viewer's outlet, oldest first; of every outlet at a service point. Each is a look-up."""
        _check_role(viewer)
        now_s = self._clock.now().unix_s
        outlet = None if viewer.outlet_kind is OutletKind.SERVICE else viewer.outlet

        def work(tx: Tx) -> list[Case]:
            wanted = list(tx.open_cases(outlet))[:OPEN_SHOWN_MAX]
            shown: dict[CaseId, Case] = {}
            for ref in dict.fromkeys(case.guest for case in wanted):
                look = look_at(viewer, ref, {Field.RECOVERY}, now_s)
                shown.update((case.id, case) for case in tx.disclose(look).cases)
            return [shown[case.id] for case in wanted]

        return await self._store.write(work)


def _check_role(viewer: Viewer) -> None:
    if Field.RECOVERY not in allowed(viewer):
        raise Refused(NOT_PERMITTED, f"{viewer.role} has nothing to put right for {viewer.purpose}")


def _check(viewer: Viewer, text: str) -> None:
    _check_role(viewer)
    if not is_text(text.strip()):
        raise Refused("case_invalid", f"say it on one line of 1 to {TEXT_MAX} characters")
