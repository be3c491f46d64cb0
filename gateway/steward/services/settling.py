"""The end of the voyage: every open folio settled one after the other, with progress to look at.

Each folio is a transaction of its own, so a cut leaves settled ones settled and the rest as they were; starting again
goes on with the rest. One run at a time, on the gateway's own supervised task.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from steward.domain.guests import Guest
from steward.domain.ids import GuestRef
from steward.domain.ledger import guest_account
from steward.domain.statement import Settlement
from steward.errors import Busy, Conflict, NotFound, StewardError
from steward.ports import Clock, Store, Tx
from steward.services.allowances import AllowancesOut, out_by_gateway
from steward.services.folio import ChargesHeld, FolioService

LEAVING_S = 24 * 3600  # whoever leaves within this is at the end of the voyage
BLOCKED_KEPT_MAX = 100
BUSY_WAIT_S = 0.2


@dataclass(frozen=True, slots=True)
class Preview:
    """What settling would do, by currency: put on cards, given back. blocked: folios with held charges."""

    guests: int
    owed_minor: dict[str, int]
    credit_minor: dict[str, int]
    blocked: int
    out_minor: dict[str, dict[str, int]]  # by gateway and currency: what it may still spend for these guests


@dataclass(slots=True)
class Progress:
    """The run that goes on, or the last one. state: "none", "running", "done" or "stopped" (with its code)."""

    state: str = "none"
    total: int = 0
    done: int = 0
    settled_minor: Counter[str] = field(default_factory=Counter)
    returned_minor: Counter[str] = field(default_factory=Counter)
    blocked: list[GuestRef] = field(default_factory=list)
    away: list[GuestRef] = field(default_factory=list)  # left because a gateway may still spend for them
    code: str = ""
    by: str = ""
    started_s: int = 0
    despite_away: bool = False


class SettleAll:
    def __init__(self, store: Store, clock: Clock, folio: FolioService) -> None:
        self._store = store
        self._clock = clock
        self._folio = folio
        self._asked = asyncio.Event()
        self._waiting: list[GuestRef] = []
        self.progress = Progress()

    async def preview(self, *, everybody: bool) -> Preview:
        """Totals only: nothing of one guest."""
        now_s = self._clock.now().unix_s
        return await self._store.read(lambda tx: _preview(tx, meant(tx, now_s, everybody)))

    async def start(self, by: str, *, everybody: bool, despite_away: bool = False) -> None:
        """Settle all open folios of guests who leave within a day, or of everybody; never the crew's.

        despite_away: see FolioService.settle. Raises Conflict while a run goes on.
        """
        if self.progress.state == "running":
            raise Conflict("folios are being settled already: wait until that is done")
        now_s = self._clock.now().unix_s
        self.progress = Progress("running", by=by, started_s=now_s, despite_away=despite_away)
        try:
            self._waiting = [guest.ref for guest in await self._store.read(lambda tx: meant(tx, now_s, everybody))]
        except StewardError as error:
            self.progress.state, self.progress.code = "stopped", error.code
            raise
        self.progress.total = len(self._waiting)
        self._asked.set()

    async def run(self) -> None:
        """For the supervisor. What fails ends the run, with its code on the page; the next one may be started."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                for ref in self._waiting:
                    await self._settle(ref)
                self.progress.state = "done"
            except StewardError as error:
                self.progress.code = error.code
                raise
            finally:
                if self.progress.state == "running":
                    self.progress.state = "stopped"

    async def _settle(self, ref: GuestRef) -> None:
        progress = self.progress
        try:
            settlement = await self._when_free(ref)
            progress.settled_minor[settlement.currency] += settlement.settled_minor
            progress.returned_minor[settlement.currency] += settlement.returned_minor
        except (ChargesHeld, AllowancesOut, NotFound) as error:
            left = progress.away if isinstance(error, AllowancesOut) else progress.blocked
            if len(left) < BLOCKED_KEPT_MAX:
                left.append(ref)
        progress.done += 1

    async def _when_free(self, ref: GuestRef) -> Settlement:
        """Taps come first: while too many writes wait, this one stands back."""
        while True:
            try:
                return await self._folio.settle(ref, self.progress.by, despite_away=self.progress.despite_away)
            except Busy:
                await asyncio.sleep(BUSY_WAIT_S)


def meant(tx: Tx, now_s: int, everybody: bool) -> Sequence[Guest]:
    """Whose folios are to be settled, by cabin."""
    guests = [
        guest
        for guest in tx.guests()
        if not guest.settled and not guest.crew and (everybody or guest.not_after_s <= now_s + LEAVING_S)
    ]
    return sorted(guests, key=lambda guest: (guest.cabins[0].cabin, guest.ref))


def _preview(tx: Tx, guests: Sequence[Guest]) -> Preview:
    owed, credit, blocked = Counter[str](), Counter[str](), 0
    out: dict[str, dict[str, int]] = {}
    for guest in guests:
        balance_minor = tx.balance(guest_account(guest.ref))
        owed[guest.currency] += max(balance_minor, 0)
        credit[guest.currency] += max(-balance_minor, 0)
        blocked += bool(tx.held_of(guest.ref))
        for gateway, minor in out_by_gateway(tx.grants_of(guest.ref)).items():
            sums = out.setdefault(gateway, {})
            sums[guest.currency] = sums.get(guest.currency, 0) + minor
    return Preview(len(guests), dict(owed), dict(credit), blocked, out)
