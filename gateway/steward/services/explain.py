"""Why this was offered, or nothing: one decision made again as it was made, without offering anything. A look-up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from steward.domain.care import CaseId
from steward.domain.catalogue import ItemId
from steward.domain.consent import Consent, ConsentPurpose, no_offers
from steward.domain.events import EventType
from steward.domain.ids import GuestRef, OutletId
from steward.domain.offers import Offer, offers_by, pending_offer
from steward.domain.profiles import Disclosed
from steward.domain.reasons import Why
from steward.domain.rules import Decision
from steward.domain.stock import gone_then
from steward.domain.viewing import Viewer
from steward.domain.why import changes_for, for_eyes
from steward.errors import Refused
from steward.ports import Clock, Store, Tx
from steward.services.lookups import NO_CONSENT, check_look, guest_in
from steward.services.offers import OfferService
from steward.services.situation import Known, disclose_for_offer, known_now, offer_look
from steward.services.why import Case, Claim

HISTORY_MAX = 1000
PAGE = 1000
EVENTS_MAX = 200_000


@dataclass(frozen=True, slots=True)
class Explanation:
    """One decision. scores: as ranked, best first; tuned: as the guest's own answers changed that, before the rules.

    pending: an offer that would be shown again.

    offered: what was offered at that very moment. why: as it was told then; if nothing was offered, of what would be.
    claims: what it says, beside what is found by deciding anew. Both as far as the viewer may know.
    """

    at_s: int
    personal: bool
    ranker: str
    titles: dict[ItemId, str]
    scores: tuple[tuple[ItemId, float], ...]
    tuned: tuple[tuple[ItemId, float], ...]
    decision: Decision
    pending: Offer | None
    offered: Offer | None = None
    why: Why | None = None
    claims: tuple[Claim, ...] = ()


class ExplainService:
    """Of the past are known: offers and answers, consent, cases, the guest's own history. As they are now: catalogue,
    rules, allergies and diet, what is popular, the crew's open cases.
    """

    def __init__(self, store: Store, clock: Clock, offers: OfferService) -> None:
        self._store = store
        self._clock = clock
        self._offers = offers

    async def explain(self, viewer: Viewer, ref: GuestRef, at_s: int | None = None) -> Explanation:
        """At a moment (None: now), as it was just before anything was shown then.

        Raises NotFound, Refused (not_permitted, no_consent, in_the_future).
        """
        now_s = self._clock.now().unix_s
        if at_s is not None and at_s > now_s:
            raise Refused("in_the_future", "give a time that has been: what will be decided depends on what is done")
        moment_s = now_s if at_s is None else at_s
        look = offer_look(viewer, ref, now_s)
        check_look(look)
        orders = await self._offers.orders(viewer, ref, moment_s, before=at_s is not None)

        def work(tx: Tx) -> tuple[Explanation, Case]:
            guest = guest_in(tx, ref)
            if no_offers(tx.consents_of(ref), child=guest.child):
                raise Refused(NO_CONSENT, "the guest objects to suggestions: nothing is read and nothing explained")
            shown = disclose_for_offer(tx, look)
            known = known_now(tx, shown) if at_s is None else known_at(tx, shown, moment_s)
            found = self._offers.decided_in(tx, shown, known, orders, moment_s)
            pending = pending_offer(known.offers, viewer.outlet, moment_s)
            offered = None if at_s is None else _offered_at(tx.offers_of(ref, moment_s), viewer.outlet, moment_s)
            told = Explanation(
                at_s=moment_s,
                personal=found.situation.personal,
                ranker=found.ranked.ranker,
                titles={id_: item.title("en") for id_, item in found.here.items()},
                scores=tuple((one.item, one.score) for one in found.ranked.scored),
                tuned=tuple((one.item, one.score) for one in found.scored),
                decision=found.decision,
                pending=pending,
                offered=offered,
            )
            return told, Case(orders, found, known.off)

        return await self._with_why(viewer, *await self._store.write(work))

    async def _with_why(self, viewer: Viewer, told: Explanation, case: Case) -> Explanation:
        """Of an offer that waits, no more than was told: nothing is decided before it is answered."""
        why, claims, ordered = None, None, told.decision.ordered
        if told.pending is not None:
            why = told.pending.why
        elif ordered:
            item = ordered[0].item
            if told.offered is not None and told.offered.item in case.decided.here:
                item, why = told.offered.item, told.offered.why
            why = why or await self._offers.why.of(case, item)
            claims = await self._offers.why.verify(case, item, why)
        return replace(
            told,
            pending=None if told.pending is None else replace(told.pending, why=None),
            offered=None if told.offered is None else replace(told.offered, why=None),
            why=None if why is None else for_eyes(why, viewer),
            claims=tuple(replace(one, changes=changes_for(one.changes, viewer)) for one in claims or ()),
        )


def _offered_at(offers: Sequence[Offer], outlet: OutletId, at_s: int) -> Offer | None:
    return next((offer for offer in offers if (offer.outlet, offer.at_s) == (outlet, at_s)), None)


def known_at(tx: Tx, shown: Disclosed, at_s: int) -> Known:
    """As it was just before `at_s`, from what was written down since."""
    ref = shown.look.guest
    offers = offers_by(tx.offers_of(ref, 0), at_s)
    cases = [case for case in shown.cases if case.opened_s <= at_s]
    closed = _closed_since(tx, ref, at_s)
    said = _said(tx.consent_history(ref, HISTORY_MAX), at_s)
    gone = gone_then(tx.stock_at(shown.look.outlet), at_s)
    return Known(offers, said, bool(cases or closed), cases, tx.signals_off(ref), gone)


def _said(history: Sequence[Consent], at_s: int) -> list[Consent]:
    """The last word on each purpose then. history: newest first."""
    found: dict[ConsentPurpose, Consent] = {}
    for consent in history:
        if consent.at_s <= at_s:
            found.setdefault(consent.purpose, consent)
    return list(found.values())


def _closed_since(tx: Tx, ref: GuestRef, at_s: int) -> list[CaseId]:
    """Cases that were open at `at_s` and are closed now. Raises Refused if too much has happened since to tell."""
    found, seq = [], _seq_before(tx, at_s)
    for _ in range(EVENTS_MAX // PAGE):
        page = tx.events(seq, PAGE)
        for event in page:
            if event.type is not EventType.RECOVERY_CLOSED or event.payload.get("guest") != ref or event.at_s < at_s:
                continue
            open_s = event.payload["open_s"]
            if isinstance(open_s, int) and event.at_s - open_s <= at_s:
                found.append(CaseId(str(event.payload["case"])))
        if len(page) < PAGE:
            return found
        seq = page[-1].seq
    raise Refused("too_long_ago", f"more than {EVENTS_MAX} events have happened since: give a later time")


def _seq_before(tx: Tx, at_s: int) -> int:
    """Where in the log to begin, by halving. The log is in the order of the clock, as far as that went forward."""
    low, high = 0, 1
    while (page := tx.events(high, 1)) and page[0].at_s < at_s:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        page = tx.events(middle, 1)
        low, high = (middle, high) if page and page[0].at_s < at_s else (low, middle)
    return low
