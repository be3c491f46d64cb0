"""Escrowed allowances: what each till gateway may spend for a guest while nobody can be asked. Pure.

The folio authority grants, a till gateway spends, and gives back when it is told to. Every figure is a running total
that only ever rises, so a message that is lost, repeated or late changes nothing but the time it takes:

    granted    by the authority, in all                      returned   given back by the gateway, in all
    used       posted by the gateway, in all                 booked     of those, what has reached the authority

A gateway may still spend granted - returned - used, less what it holds for a PIN or a photo. The authority counts
granted - returned - booked as spent already, for the stay and for every day from today on, so that all gateways
together never pass a guest's limits, whoever can reach whom. A figure belongs to one store of the gateway (`epoch`):
a gateway that lost its disk begins at nothing, and what its old disk was granted stays reserved.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from steward.domain.guests import Guest
from steward.domain.ids import GuestRef
from steward.domain.ledger import BALANCE_MAX_MINOR

HOARDING = "allowance_hoarding"  # asks for more at once than its tills could charge
DAY_LIMIT, STAY_LIMIT, CHILD_LIMIT, SETTLED = "day_limit", "stay_limit", "child_limit", "folio_settled"


class ReportProblem(StrEnum):
    """Why a gateway's report is not believed. Each is alarmed: an honest gateway never gives these."""

    MALFORMED = "allowance_malformed"
    WENT_DOWN = "allowance_went_down"  # less used or returned than it said before
    OVERDRAWN = "allowance_overdrawn"  # more used and returned than it was ever granted


@dataclass(frozen=True, slots=True)
class Grant:
    """The authority's side, one for each gateway's store and guest. Amounts in minor units of the guest's currency."""

    gateway: str
    epoch: int  # of the gateway's store
    ref: GuestRef
    granted_minor: int = 0
    returned_minor: int = 0  # confirmed by the gateway
    booked_minor: int = 0  # of its charges, taken in
    used_minor: int = 0  # as the gateway said last
    recall_minor: int = 0  # what returned_minor is asked to reach
    from_s: int = 0  # may be spent on ship's days that begin here or later
    answered: int = 0  # number of the last question that was answered
    why: str = ""  # a refusal code if that question could not be met

    @property
    def outstanding_minor(self) -> int:
        """What may have been spent there for all the authority knows."""
        return max(0, self.granted_minor - self.returned_minor - self.booked_minor)

    @property
    def recalled_minor(self) -> int:
        """What it was asked to give back and has not answered for yet."""
        return max(0, self.recall_minor - self.returned_minor)


@dataclass(frozen=True, slots=True)
class Escrow:
    """The till gateway's side, one for each guest."""

    ref: GuestRef
    granted_minor: int = 0
    used_minor: int = 0
    returned_minor: int = 0
    confirmed_minor: int = 0  # of returned_minor, what the authority has counted back
    recall_minor: int = 0  # what returned_minor is asked to reach
    from_s: int = 0
    answered: int = 0
    why: str = ""

    @property
    def left_minor(self) -> int:
        """What may still be spent or held."""
        return self.granted_minor - self.returned_minor - self.used_minor


@dataclass(frozen=True, slots=True)
class Report:
    """What a till gateway says of one guest. want_minor: what granted should come to; 0 asks for nothing."""

    ref: GuestRef
    used_minor: int
    returned_minor: int
    want_minor: int = 0
    number: int = 0  # of the question, to know its answer by


@dataclass(frozen=True, slots=True)
class Sizing:
    """How much is granted at a time."""

    advance_minor: int = 2_000  # to every till gateway when a guest comes aboard, for the day the LAN is cut
    grant_minor: int = 5_000  # asked for at once, beyond what the charge at hand needs
    low_minor: int = 1_000  # a gateway with less than this left asks for more
    percent_max: int = 25  # of what the guest has left: no gateway hoards it


@dataclass(frozen=True, slots=True)
class Room:
    """What the authority could still grant, and the limit that ends it. Below zero after a limit was lowered."""

    minor: int
    why: str


def room(guest: Guest, day_minor: int, stay_minor: int, outstanding_minor: int) -> Room:
    """day_minor: spent since the ship's day began, later days too. An allowance may be spent on any of those days."""
    if guest.settled:
        return Room(0, SETTLED)
    day = guest.limits.day_minor - day_minor - outstanding_minor
    stay = guest.limits.stay_minor - stay_minor - outstanding_minor
    why = DAY_LIMIT if day <= stay else STAY_LIMIT
    return Room(min(day, stay), CHILD_LIMIT if guest.child else why)


def answer(grant: Grant, report: Report, left: Room, sizing: Sizing, day_start_s: int, recallable: bool) -> Grant:
    """Grant what was asked for as far as there is room, and something beyond it so that the next charge need not ask.

    recallable: others may have to give back; then a question that cannot be met is left open and will be asked again.
    """
    dated, free = _dated(grant, left, day_start_s), max(0, left.minor)
    need = max(0, report.want_minor - grant.granted_minor)
    if need > free:
        given = replace(dated, granted_minor=grant.granted_minor + free)
        return given if recallable else replace(given, answered=report.number, why=left.why)
    extra = min(sizing.grant_minor, (free - need) * sizing.percent_max // 100) if need else 0
    return replace(dated, granted_minor=grant.granted_minor + need + extra, answered=report.number, why="")


def advance(grant: Grant, left: Room, sizing: Sizing, tills: int, day_start_s: int) -> Grant:
    """The first allowance of a guest at one of `tills` gateways, before anything was asked."""
    part = max(0, left.minor) * sizing.percent_max // 100 // max(1, tills)
    total = grant.granted_minor + min(sizing.advance_minor, part)
    return replace(_dated(grant, left, day_start_s), granted_minor=total)


def _dated(grant: Grant, left: Room, day_start_s: int) -> Grant:
    """From today on. Back to an earlier day, after a clock was put right, only if that day has room for all of it."""
    return replace(grant, from_s=day_start_s if left.minor >= 0 else max(grant.from_s, day_start_s))


def report_problem(grant: Grant, report: Report) -> ReportProblem | None:
    figures = (report.used_minor, report.returned_minor, report.want_minor, report.number)
    if not all(type(figure) is int and 0 <= figure <= BALANCE_MAX_MINOR for figure in figures):
        return ReportProblem.MALFORMED
    if report.used_minor < grant.used_minor or report.returned_minor < grant.returned_minor:
        return ReportProblem.WENT_DOWN
    if report.used_minor + report.returned_minor > grant.granted_minor:
        return ReportProblem.OVERDRAWN
    if grant.booked_minor + report.returned_minor > grant.granted_minor:
        return ReportProblem.OVERDRAWN  # gives back what its own charges have used up
    return None


def believe(grant: Grant, report: Report) -> Grant:
    """After a report without a problem: what was given back counts from now on."""
    return replace(grant, used_minor=report.used_minor, returned_minor=report.returned_minor)


def recall(grant: Grant, minor: int) -> Grant:
    """Ask for this much back, beyond what was asked for and answered already. Never more than there could be."""
    target = grant.returned_minor + min(minor, grant.outstanding_minor)
    return replace(grant, recall_minor=max(grant.recall_minor, target))


def recall_from(grants: Iterable[Grant], short_minor: int) -> list[Grant]:
    """Who gives back how much, so that `short_minor` comes together: from whoever has most left."""
    changed = []
    for grant in sorted(grants, key=lambda g: (-g.outstanding_minor, g.gateway, g.epoch)):
        if short_minor <= 0:
            break
        asked = recall(grant, short_minor)
        short_minor -= asked.recalled_minor
        if asked != grant:
            changed.append(asked)
    return changed


def take_grant(mine: Escrow, told: Grant, held_minor: int) -> Escrow:
    """The gateway's side after the authority's word. Gives back at once what is recalled and not spent or held."""
    heard = replace(
        mine,
        granted_minor=max(mine.granted_minor, told.granted_minor),
        confirmed_minor=max(mine.confirmed_minor, told.returned_minor),
        recall_minor=max(mine.recall_minor, told.recall_minor),
        from_s=told.from_s,
        answered=told.answered,
        why=told.why,
    )
    return give_back(heard, held_minor)


def give_back(mine: Escrow, held_minor: int) -> Escrow:
    """Give back what is recalled, as far as it is neither spent nor held. What is held now may follow later."""
    free = max(0, mine.left_minor - held_minor)
    give = min(free, max(0, mine.recall_minor - mine.returned_minor))
    return replace(mine, returned_minor=mine.returned_minor + give)


def use(mine: Escrow, minor: int) -> Escrow:
    """After a charge was posted out of it."""
    return replace(mine, used_minor=mine.used_minor + minor)


def spendable(mine: Escrow | None, held_minor: int, at_s: int) -> int:
    """What a charge made at `at_s` may come to. held_minor: what other charges hold.

    Nothing before the day it was granted for: a clock that is behind must not fill yesterday's limit twice.
    """
    if mine is None or at_s < mine.from_s:
        return 0
    return max(0, mine.left_minor - held_minor)
