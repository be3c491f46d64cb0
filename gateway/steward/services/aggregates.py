"""Answers about many guests that tell of none: who agreed is counted, noise is added, and the budget is kept.

The cost is written down before anybody is looked at; a fault afterwards costs the budget and not a guest. Guests are
read a few at a time. Whoever has taken consent back meanwhile is left out in the transaction in which the noise is
drawn and the answer recorded, so no answer is made with somebody who had said no by then. A guest who was aboard for
questions of several voyages bears the budget of one: whoever has borne that much is counted no more.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from types import MappingProxyType

from steward.domain.aggregates import (
    BUDGET_MILLI_DEFAULT,
    GROUPS_MAX,
    HOURS,
    KINDS,
    MIN_GROUP_DEFAULT,
    QUESTIONS,
    Answer,
    Over,
    Past,
    Question,
    Terms,
    bounded,
    make_answer,
    totals,
)
from steward.domain.consent import ConsentPurpose
from steward.domain.events import EventType, fact
from steward.domain.guests import Guest
from steward.domain.holdout import VOYAGE_DEFAULT
from steward.domain.ids import GuestRef, OutletId
from steward.domain.ledger import is_currency
from steward.errors import NotFound, Refused
from steward.ports import Clock, Store, Tx
from steward.ports.aggregates import Noise, Spent, SpentBook

_LOG = logging.getLogger(__name__)

GUESTS_PER_READ = 50
_SPENT = "aggregates.spent.{}"
_SLACK = 1e-6  # of the library's floating-point arithmetic, which rounds up
HINT = "install the extra: pip install 'steward-edge[aggregates]'"


@dataclass(frozen=True, slots=True)
class AggregateSettings:
    """budget_milli: thousandths of epsilon for a whole voyage. outlets: what there is, known without looking."""

    voyage: str = VOYAGE_DEFAULT
    min_group: int = MIN_GROUP_DEFAULT
    budget_milli: int = BUDGET_MILLI_DEFAULT
    utc_offset_s: int = 0
    outlets: Sequence[OutletId] = ()


@dataclass(frozen=True, slots=True)
class Budget:
    """Of the voyage, in thousandths of epsilon. asked: what was paid for, oldest first."""

    voyage: str
    budget_milli: int
    spent_milli: int
    min_group: int
    asked: tuple[Spent, ...]

    @property
    def left_milli(self) -> int:
        return max(self.budget_milli - self.spent_milli, 0)


class AggregateService:
    """noise: None where the library is not installed. follows: guests are at another gateway."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        noise: Noise | None,
        book: SpentBook,
        settings: AggregateSettings,
        follows: bool = False,
    ) -> None:
        self._store = store
        self._clock = clock
        self._noise = noise
        self._book = book
        self._settings = settings
        self._follows = follows

    @property
    def questions(self) -> Mapping[str, Question]:
        return QUESTIONS

    async def budget(self) -> Budget:
        """Raises StoreUnavailable."""
        asked = [spent for spent in await asyncio.to_thread(self._book.spent) if spent.voyage == self._settings.voyage]
        spent_milli = max(sum(spent.cost_milli for spent in asked), await self._floor())
        settings = self._settings
        return Budget(settings.voyage, settings.budget_milli, spent_milli, settings.min_group, tuple(asked))

    async def ask(self, name: str, by: str, currency: str = "EUR") -> Answer:
        """Pay for a question and answer it.

        by: of a token, no person's name. Raises NotFound, Refused (authority_only, library_missing, currency_unfit,
        budget_spent), StoreUnavailable.
        """
        question = QUESTIONS.get(name)
        if question is None:
            raise NotFound("question", f"of that name: there are {', '.join(QUESTIONS)}")
        noise = self._check(question, currency)
        settings = self._settings
        paid = Spent(settings.voyage, question.id, question.cost_milli, self._clock.now().unix_s, by)
        spent_milli = await asyncio.to_thread(self._book.spend, paid, settings.budget_milli, await self._floor())
        _LOG.info("aggregate.paid question=%s cost_milli=%d spent_milli=%d", question.id, paid.cost_milli, spent_milli)
        groups = await self._groups(question)
        terms = Terms(currency, settings.utc_offset_s)
        contributions = await self._contributions(question, terms, frozenset(groups))

        def work(tx: Tx) -> Answer:
            agreed = [given for ref, given in contributions.items() if _agrees(tx, ref)]
            answer = _noisy(noise, question, groups, agreed, settings.min_group, currency)
            known = max(int(tx.meta(_SPENT.format(settings.voyage)) or 0), spent_milli)
            tx.set_meta(_SPENT.format(settings.voyage), str(known))
            told = fact(
                EventType.AGGREGATE_ANSWERED,
                paid.at_s,
                voyage=settings.voyage,
                question=question.id,
                cost_milli=paid.cost_milli,
                answer=answer.text(),
                by=by,
            )
            tx.append_event(told)
            return answer

        return await self._store.write(work)

    def _check(self, question: Question, currency: str) -> Noise:
        """Raises Refused. Nothing was paid or looked at yet."""
        if self._follows:
            raise Refused("authority_only", "guests are kept at the ship's folio authority: ask there")
        if self._noise is None:
            raise Refused("library_missing", HINT)
        if not is_currency(currency):
            raise Refused("currency_unfit", "a currency is three capital letters")
        # What the library proves of the mechanism must be what is written down.
        _check_cost(self._noise, question.count_scale, question.groups_max, question.count_milli)
        if question.sum_milli:
            _check_cost(self._noise, question.sum_scale, question.sum_sensitivity, question.sum_milli)
        return self._noise

    async def _floor(self) -> int:
        """What the store knows to be spent: if the file was lost, it is not as if nothing had been."""
        key = _SPENT.format(self._settings.voyage)
        return int(await self._store.read(lambda tx: tx.meta(key)) or 0)

    async def _groups(self, question: Question) -> Sequence[str]:
        if question.over is Over.ITEM:
            found = await self._store.read(lambda tx: [str(item.id) for item in tx.catalogue().items])
            return sorted(set(found))[:GROUPS_MAX]
        return _FIXED[question.over] or sorted(self._settings.outlets)

    def _may_count(self, guest: Guest, borne: _Borne) -> bool:
        """The question that is being asked is paid for already."""
        return not guest.crew and borne.since(guest.not_before_s) <= self._settings.budget_milli

    async def _contributions(
        self, question: Question, terms: Terms, groups: frozenset[str]
    ) -> dict[GuestRef, Mapping[str, int]]:
        """By guest; a few in one reading, so that nothing else waits."""
        borne = _Borne(await asyncio.to_thread(self._book.spent))
        refs = await self._store.read(lambda tx: [guest.ref for guest in tx.guests() if self._may_count(guest, borne)])
        found: dict[GuestRef, Mapping[str, int]] = {}
        for at in range(0, len(refs), GUESTS_PER_READ):
            part = refs[at : at + GUESTS_PER_READ]
            found |= await self._store.read(partial(_read, part, question, terms, groups))
        return found


class _Borne:
    """What was asked so far, of all voyages. A clock that was set back makes no question older than the one before."""

    def __init__(self, asked: Sequence[Spent]) -> None:
        self._times = list(accumulate((spent.at_s for spent in asked), max))
        self._sums = [0, *accumulate(spent.cost_milli for spent in asked)]

    def since(self, unix_s: int) -> int:
        """What all of it cost whoever came aboard then."""
        return self._sums[-1] - self._sums[bisect_left(self._times, unix_s)]


_FIXED: Mapping[Over, Sequence[str]] = MappingProxyType({Over.HOUR: HOURS, Over.KIND: KINDS, Over.OUTLET: ()})


def _read(
    refs: Iterable[GuestRef], question: Question, terms: Terms, groups: frozenset[str], tx: Tx
) -> dict[GuestRef, Mapping[str, int]]:
    found: dict[GuestRef, Mapping[str, int]] = {}
    for ref in refs:
        guest = tx.guest(ref)
        if guest is None or not _agrees(tx, ref):
            continue
        past = _PASTS[question.over](tx, Past(guest))
        found[ref] = bounded(question, past, terms, groups)
    return found


def _with_charges(tx: Tx, past: Past) -> Past:
    return Past(past.guest, charges=tx.charges_of(past.guest.ref))


def _with_offers(tx: Tx, past: Past) -> Past:
    return Past(past.guest, offers=tx.offers_of(past.guest.ref, 0))


_PASTS: Mapping[Over, Callable[[Tx, Past], Past]] = MappingProxyType(
    {
        Over.OUTLET: _with_charges,
        Over.HOUR: _with_charges,
        Over.ITEM: _with_offers,
        Over.KIND: lambda _tx, past: past,
    }
)


def _agrees(tx: Tx, ref: GuestRef) -> bool:
    said = tx.consent(ref, ConsentPurpose.ANALYTICS_ASHORE)
    return said is not None and said.given


def _noisy(
    noise: Noise,
    question: Question,
    groups: Sequence[str],
    agreed: Iterable[Mapping[str, int]],
    min_group: int,
    currency: str,
) -> Answer:
    exact = totals(groups, agreed)
    counts = noise.laplace(exact.counts, question.count_scale)
    sums = noise.laplace(exact.sums, question.sum_scale) if question.sum_milli else None
    return make_answer(question, groups, counts, sums, min_group, currency)


def _check_cost(noise: Noise, scale: float, sensitivity: int, milli: int) -> None:
    proven = noise.epsilon(scale, sensitivity)
    assert proven <= milli / 1000 + _SLACK, f"it would cost {proven}, and {milli} thousandths are said"
