"""Allowances in use: the authority grants, recalls and counts; a till gateway spends, asks and gives back.

The rules are domain/allowance.py's. Here they meet the store, inside the transactions of whoever calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from steward.domain import allowance
from steward.domain.allowance import Escrow, Grant, Report, Room, Sizing
from steward.domain.events import EventType, fact
from steward.domain.guests import Guest
from steward.domain.ids import GuestRef, TillId
from steward.domain.replica import REPORTS_MAX, MemberRole
from steward.errors import Conflict
from steward.ports import Clock, Entropy, Store, Tx
from steward.services.chargebook import ChargeBook
from steward.services.needs import Needs


@dataclass(frozen=True, slots=True)
class Member:
    """A gateway that follows the authority, as the authority's settings name it."""

    name: str
    role: MemberRole
    tills: frozenset[TillId] = frozenset()


@dataclass(frozen=True, slots=True)
class AllowanceSettings:
    sizing: Sizing = field(default_factory=Sizing)
    wait_ms: int = 1000  # a charge waits for an answer, at most
    again_ms: int = 150  # then it asks again
    settle_wait_ms: int = 3000  # a settlement waits for what is recalled


class AllowancesOut(Conflict):
    """A folio cannot be settled while `gateways` may still spend for the guest: reach them, or settle without them."""

    code = "allowances_out"

    def __init__(self, out: Mapping[str, int]) -> None:
        super().__init__(
            f"{', '.join(out)} may still have charges of up to {sum(out.values())} minor units and did not answer: "
            "bring them back, or settle without them and look for late charges"
        )
        self.out = out  # by gateway, in minor units of the folio's currency

    @property
    def gateways(self) -> tuple[str, ...]:
        return tuple(self.out)


class Funds(Protocol):
    """What a charge asks before it is decided: that there be enough, as far as others can help."""

    async def ensure(self, ref: GuestRef, amount_minor: int) -> str | None:
        """Return once there is enough, or there is no more to hope for; the refusal code if somebody said why."""
        ...


class Bell:
    """Rung when something has changed; whoever waits looks again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = asyncio.Event()

    def ring(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    def arm(self) -> asyncio.Event:
        """Taken before looking, so that no change falls in between."""
        return self._event

    async def heard(self, event: asyncio.Event, wait_ms: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, wait_ms) / 1000):
                await event.wait()
        except TimeoutError:
            return


class AllowanceBook:
    """The authority's side. Every method but `ensure` runs inside the caller's transaction."""

    def __init__(
        self, store: Store, clock: Clock, book: ChargeBook, members: Mapping[str, Member], settings: AllowanceSettings
    ) -> None:
        self._store = store
        self._clock = clock
        self._book = book
        self._members = members
        self._settings = settings
        self._tills = sum(member.role is MemberRole.TILL for member in members.values())
        self._needs = Needs(clock, {name: len(member.tills) for name, member in members.items()})
        self._closing: list[GuestRef] = []  # folios being settled
        self.changed = Bell(clock)
        self.reachable: Callable[[str], bool] = lambda gateway: False

    def room(self, tx: Tx, guest: Guest, now_s: int) -> Room:
        if guest.ref in self._closing:
            return Room(0, allowance.SETTLED)
        day_minor = tx.spent_since(guest.ref, self._book.day_start(now_s))
        return allowance.room(guest, day_minor, tx.spent_since(guest.ref, 0), tx.outstanding(guest.ref))

    def heard(self, tx: Tx, gateway: str, epoch: int, reports: Iterable[Report], now_s: int) -> list[str]:
        """Take a gateway's reports; the problems of those that are not believed."""
        problems = []
        for report in reports:
            if not self._needs.may(gateway, report):
                problems.append(allowance.HOARDING)
                report = replace(report, want_minor=0, number=0)  # what it gives back counts all the same
            guest = tx.guest(report.ref)
            grant = tx.grant(gateway, epoch, report.ref) or Grant(gateway, epoch, report.ref)
            problem = allowance.report_problem(grant, report)
            if problem is not None:
                problems.append(problem.value)
            elif guest is not None:
                self._answer(tx, guest, grant, report, now_s)
        return problems

    def _answer(self, tx: Tx, guest: Guest, grant: Grant, report: Report, now_s: int) -> None:
        believed = allowance.believe(grant, report)
        if believed.returned_minor > grant.returned_minor:
            self._record(tx, EventType.ALLOWANCE_RETURNED, grant, believed.returned_minor - grant.returned_minor, now_s)
        if believed != grant:
            tx.put_grant(believed)
        if report.want_minor <= believed.granted_minor and not report.number:
            return
        left, day_start_s = self.room(tx, guest, now_s), self._book.day_start(now_s)
        if not report.number:  # in good time, not in need: no more than a fair part
            part = max(0, left.minor) * self._settings.sizing.percent_max // 100
            level = min(report.want_minor, believed.granted_minor + part)
            report = replace(report, want_minor=level)
        short = report.want_minor - believed.granted_minor - max(0, left.minor)
        coming = self._recall(tx, guest.ref, believed, short) if short > 0 and not guest.settled else False
        answered = allowance.answer(believed, report, left, self._settings.sizing, day_start_s, coming)
        if answered.granted_minor > believed.granted_minor:
            granted = answered.granted_minor - believed.granted_minor
            self._record(tx, EventType.ALLOWANCE_GRANTED, grant, granted, now_s)
        if answered != believed:
            tx.put_grant(answered)

    def _recall(self, tx: Tx, ref: GuestRef, besides: Grant | None, short_minor: int) -> bool:
        """Ask others for what is short. Whether any of it may come."""
        others = [
            grant
            for grant in tx.grants_of(ref)
            if grant.outstanding_minor and self.reachable(grant.gateway) and not _same(grant, besides)
        ]
        for grant in allowance.recall_from(others, short_minor):
            tx.put_grant(grant)
        return bool(others)

    def advance(self, tx: Tx, gateway: str, epoch: int, refs: Sequence[GuestRef], now_s: int) -> None:
        """Give a till gateway its first allowance for these guests; where a limit was lowered, ask for some back."""
        for ref in refs:
            guest = tx.guest(ref)
            if guest is None:
                continue
            left = self.room(tx, guest, now_s)
            if tx.grant(gateway, epoch, ref) is None and not guest.settled:
                grant = Grant(gateway, epoch, ref)
                first = allowance.advance(grant, left, self._settings.sizing, self._tills, self._book.day_start(now_s))
                tx.put_grant(first)  # no event: one for every guest and gateway would crowd the way to shore
            elif left.minor < 0:
                for asked in allowance.recall_from(tx.grants_of(ref), -left.minor):
                    tx.put_grant(asked)

    def needs_advance(self, tx: Tx, gateway: str, epoch: int, ref: GuestRef, now_s: int) -> bool:
        """Whether `advance` would do anything for this guest."""
        guest = tx.guest(ref)
        if guest is None or guest.settled:
            return False
        if tx.grant(gateway, epoch, ref) is None:
            return True
        short = -self.room(tx, guest, now_s).minor
        return short > 0 and bool(allowance.recall_from(tx.grants_of(ref), short))

    def booked(self, tx: Tx, gateway: str, epoch: int, ref: GuestRef, amount_minor: int) -> bool:
        """Count a gateway's charge. False if it had not been granted that much."""
        grant = tx.grant(gateway, epoch, ref) or Grant(gateway, epoch, ref)
        counted = replace(grant, booked_minor=grant.booked_minor + amount_minor)
        tx.put_grant(counted)
        return counted.booked_minor + counted.returned_minor <= counted.granted_minor

    def recall_all(self, tx: Tx, ref: GuestRef) -> None:
        """Ask everyone for everything of this guest."""
        for grant in tx.grants_of(ref):
            asked = allowance.recall(grant, grant.outstanding_minor)
            if asked != grant:
                tx.put_grant(asked)

    @contextmanager
    def closing(self, ref: GuestRef) -> Iterator[None]:
        """While a folio is being settled nothing more is granted for it."""
        self._closing.append(ref)
        try:
            yield
        finally:
            self._closing.remove(ref)

    async def gather(self, ref: GuestRef, *, despite_away: bool) -> None:
        """Recall everything of a guest and wait a little.

        Raises AllowancesOut if some of it did not come back, unless that is expected.
        """
        await self._store.write(lambda tx: self.recall_all(tx, ref))
        end_ms = self._clock.monotonic_ms() + self._settings.settle_wait_ms
        while True:
            armed = self.changed.arm()
            grants = await self._store.read(lambda tx: [g for g in tx.grants_of(ref) if g.outstanding_minor])
            if not grants:
                return
            left_ms = end_ms - self._clock.monotonic_ms()
            if left_ms <= 0 or not any(self.reachable(grant.gateway) for grant in grants):
                if despite_away:
                    return
                raise _out(grants)
            await self.changed.heard(armed, left_ms)

    async def ensure(self, ref: GuestRef, amount_minor: int) -> str | None:
        """Funds for the authority's own tills: what others hold is asked back if this charge needs it."""
        end_ms = self._clock.monotonic_ms() + self._settings.wait_ms
        asked = False
        while True:
            armed, now_s = self.changed.arm(), self._clock.now().unix_s
            short = await self._store.read(partial(self._short, ref=ref, amount_minor=amount_minor, now_s=now_s))
            left_ms = end_ms - self._clock.monotonic_ms()
            if short <= 0 or left_ms <= 0:
                return None
            recall = partial(self._recall, ref=ref, besides=None, short_minor=short)
            if not asked and not await self._store.write(recall):
                return None
            asked = True
            await self.changed.heard(armed, left_ms)

    def _short(self, tx: Tx, ref: GuestRef, amount_minor: int, now_s: int) -> int:
        """What a charge here lacks only because others may have spent it."""
        guest = tx.guest(ref)
        if guest is None or guest.settled:
            return 0
        short = amount_minor - self.room(tx, guest, now_s).minor
        return short if short <= tx.outstanding(ref) else 0

    @staticmethod
    def _record(tx: Tx, type_: EventType, grant: Grant, amount_minor: int, now_s: int) -> None:
        tx.append_event(
            fact(type_, now_s, guest=grant.ref, gateway=grant.gateway, epoch=grant.epoch, amount_minor=amount_minor)
        )


def check_gathered(tx: Tx, ref: GuestRef) -> None:
    """Raises AllowancesOut if another gateway may still spend for this guest."""
    out = [grant for grant in tx.grants_of(ref) if grant.outstanding_minor]
    if out:
        raise _out(out)


def out_by_gateway(grants: Iterable[Grant]) -> dict[str, int]:
    """What each gateway may have spent for all that is known here, if it is anything; by name."""
    out: dict[str, int] = {}
    for grant in sorted(grants, key=lambda grant: grant.gateway):
        if grant.outstanding_minor:
            out[grant.gateway] = out.get(grant.gateway, 0) + grant.outstanding_minor
    return out


def _out(grants: Sequence[Grant]) -> AllowancesOut:
    return AllowancesOut(out_by_gateway(grants))


def _same(grant: Grant, other: Grant | None) -> bool:
    return other is not None and (grant.gateway, grant.epoch) == (other.gateway, other.epoch)


@dataclass(frozen=True, slots=True)
class _Want:
    level_minor: int
    number: int


class EscrowDesk:
    """A till gateway's side. services/replica.py asks and applies; it rings `changed` when something was applied."""

    def __init__(
        self, store: Store, clock: Clock, entropy: Entropy, book: ChargeBook, settings: AllowanceSettings
    ) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._book = book
        self._settings = settings
        self._wants: dict[GuestRef, _Want] = {}
        self.changed = Bell(clock)
        self.ask: Callable[[], bool] = lambda: False  # hurry a question; False if nobody can be asked

    async def ensure(self, ref: GuestRef, amount_minor: int) -> str | None:
        """See Funds. Waits only while there is a connection, and no longer than `wait_ms`."""
        end_ms = self._clock.monotonic_ms() + self._settings.wait_ms
        number = 1 + int.from_bytes(self._entropy.token_bytes(6), "big")
        try:
            while True:
                armed, now_s = self.changed.arm(), self._clock.now().unix_s
                escrow, held_minor = await self._store.read(lambda tx: self._look(tx, ref))
                left = allowance.spendable(escrow, held_minor, now_s)
                if left >= amount_minor:
                    self._top_up(escrow, left - amount_minor)
                    return None
                if escrow.answered == number and escrow.why:
                    return escrow.why
                left_ms = end_ms - self._clock.monotonic_ms()
                if left_ms <= 0 or now_s < escrow.from_s:
                    return None
                self.want(escrow, amount_minor - left, number)
                if not self.ask():
                    return None
                await self.changed.heard(armed, min(left_ms, self._settings.again_ms))
        finally:
            self.unwant(ref, number)

    def _top_up(self, escrow: Escrow, after_minor: int) -> None:
        """Ask for more before it runs out."""
        sizing = self._settings.sizing
        if after_minor < sizing.low_minor and escrow.ref not in self._wants and len(self._wants) < REPORTS_MAX:
            self.want(escrow, sizing.grant_minor - after_minor, 0)
            self.ask()

    def want(self, escrow: Escrow, short_minor: int, number: int) -> None:
        """Say in the next question that this much more is wanted; number 0: in good time, nobody waits for it."""
        self._wants[escrow.ref] = _Want(escrow.granted_minor + short_minor, number)

    def unwant(self, ref: GuestRef, number: int) -> None:
        """Nobody waits for the answer to this question any more."""
        want = self._wants.get(ref)
        if want is not None and want.number == number:
            del self._wants[ref]

    def _look(self, tx: Tx, ref: GuestRef) -> tuple[Escrow, int]:
        held_minor = sum(charge.request.amount_minor for charge in tx.held_of(ref))
        return tx.escrow(ref) or Escrow(ref), held_minor

    def take(self, tx: Tx, told: Grant, now_s: int) -> bool:
        """Apply the authority's word on an allowance. Whether something was given back, which it waits to hear."""
        held_minor = self._book.held_minor(tx, told.ref, now_s)
        mine = tx.escrow(told.ref) or Escrow(told.ref)
        taken = allowance.take_grant(mine, told, held_minor)
        if taken != mine:
            tx.put_escrow(taken)
        return taken.returned_minor > mine.returned_minor

    def reports(self, tx: Tx, now_s: int) -> tuple[Report, ...]:
        """What to say in the next question: what was given back and is not confirmed, and what is wanted."""
        reports = {}
        for escrow in tx.escrows_to_report(REPORTS_MAX):
            given = allowance.give_back(escrow, self._book.held_minor(tx, escrow.ref, now_s))
            if given != escrow:
                tx.put_escrow(given)
            reports[escrow.ref] = Report(escrow.ref, given.used_minor, given.returned_minor)
        for ref, want in list(self._wants.items())[:REPORTS_MAX]:
            mine = tx.escrow(ref) or Escrow(ref)
            reports[ref] = Report(ref, mine.used_minor, mine.returned_minor, want.level_minor, want.number)
        return tuple(reports.values())[:REPORTS_MAX]

    def asked(self) -> None:
        """A question has gone out: what was wanted in good time is not wanted again until it runs low once more."""
        for ref in [ref for ref, want in self._wants.items() if not want.number]:
            del self._wants[ref]
