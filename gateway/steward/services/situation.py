"""What the rules look at, read in the transaction that decides: the same for an offer and for its explanation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from steward.domain.care import Case
from steward.domain.catalogue import Item, ItemId
from steward.domain.consent import Consent, no_offers, purposes_given
from steward.domain.features import Signal
from steward.domain.holdout import Arm
from steward.domain.ids import GuestRef, OutletId
from steward.domain.modelinputs import may_choose
from steward.domain.offers import OFFERS_READ_MAX, Offer, OfferState, Scored, Situation, Workload
from steward.domain.profiles import Disclosed
from steward.domain.rulekinds import SALES_WITHIN_S, Rules
from steward.domain.rules import Decision, decide
from steward.domain.stock import Gone, gone_now
from steward.domain.tuning import tuned
from steward.domain.viewing import HEALTH, Field, LookUp, Viewer, allowed, look_at
from steward.ports import Tx
from steward.ports.service import Ranked
from steward.services.decisions import NOBODY_HELD_OUT, DecisionLog
from steward.services.lookups import age_group, guest_in
from steward.services.ranking import Orders

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class OfferSettings:
    """When the ship's day begins, for hours and for the day's limit; and who is held out of personal suggestions."""

    day_start_hour: int = 4
    utc_offset_s: int = 0
    decisions: DecisionLog = NOBODY_HELD_OUT

    def local_s(self, at_s: int) -> int:
        return at_s + self.utc_offset_s

    def hour(self, at_s: int) -> int:
        return self.local_s(at_s) // 3600 % 24

    def day_start_s(self, at_s: int) -> int:
        shift_s = self.utc_offset_s - self.day_start_hour * 3600
        return (at_s + shift_s) // DAY_S * DAY_S - shift_s


def offer_look(viewer: Viewer, ref: GuestRef, at_s: int) -> LookUp:
    """The look that an offer needs: what this viewer may know of allergies and diet with it."""
    return look_at(viewer, ref, {Field.SUGGESTIONS} | (allowed(viewer) & HEALTH), at_s)


def disclose_for_offer(tx: Tx, look: LookUp) -> Disclosed:
    """Also what has to be put right, if anything has."""
    if tx.open_case_count(look.guest) > 0:
        look = replace(look, fields=look.fields | (allowed(look.viewer) & {Field.RECOVERY}))
    return tx.disclose(look)


@dataclass(frozen=True, slots=True)
class Known:
    """What had been said, and was open, of a guest at some moment. off: what they had switched off.

    gone: what the outlet has none left of, or no place in.
    """

    offers: Sequence[Offer]  # oldest first
    consents: Sequence[Consent]
    in_recovery: bool
    cases: Sequence[Case]
    off: frozenset[Signal] = frozenset()
    gone: Mapping[ItemId, Gone] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision with what it was made from. here: the outlet's items in the guest's currency.

    ranked: as the ranker has it; scored: as the guest's own answers changed that, which the rules were given.
    """

    here: Mapping[ItemId, Item]
    situation: Situation
    ranked: Ranked
    scored: Sequence[Scored]
    decision: Decision


def agrees(consents: Iterable[Consent]) -> bool:
    """To one's own past choosing what is offered."""
    return may_choose(purposes_given(consents))


def known_now(tx: Tx, shown: Disclosed) -> Known:
    ref = shown.look.guest
    offers, cases = tx.last_offers_of(ref, OFFERS_READ_MAX), tx.open_case_count(ref)
    gone = gone_now(tx.stock_at(shown.look.outlet), shown.look.at_s)
    return Known(offers, tx.consents_of(ref), cases > 0, shown.cases, tx.signals_off(ref), gone)


def decided_in(
    tx: Tx, shown: Disclosed, known: Known, orders: Orders, at_s: int, settings: OfferSettings, rules: Rules
) -> Decided:
    """As things stand in this transaction. Raises NotFound."""
    guest, outlet = guest_in(tx, shown.look.guest), shown.look.outlet
    here = {item.id: item for item in tx.items_at(outlet) if item.currency == guest.currency}
    situation = Situation(
        minute=settings.local_s(at_s) // 60 % (24 * 60),
        age_group=age_group(guest),
        allergies=None if shown.allergies is None else frozenset(shown.allergies),
        diet=None if shown.diet is None else frozenset(shown.diet),
        in_recovery=known.in_recovery,
        personal=settings.decisions.arm(tx, guest.ref, agreed=agrees(known.consents)) is Arm.PERSONAL,
        offers=known.offers,
        day_start_s=settings.day_start_s(at_s),
        now_s=at_s,
        objects=no_offers(known.consents, child=guest.child),
        cases=known.cases,
        refused=_refused(tx, known.offers, outlet, here.values()),
        workload=Workload(len(tx.open_cases(outlet)), tx.sales(outlet, at_s - SALES_WITHIN_S)),
        gone=known.gone,
    )
    ranked = orders.best(situation.personal)
    scored = ranked.scored
    if situation.personal:
        scored = tuned(scored, here, known.offers, known.off, at_s, shares=ranked.shares)
    return Decided(here, situation, ranked, scored, decide(list(here.values()), scored, situation, rules))


def _refused(tx: Tx, offers: Sequence[Offer], outlet: OutletId, here: Iterable[Item]) -> list[Item]:
    """What the guest wants never, at whichever outlet it was offered."""
    wrong = {offer.item for offer in offers if offer.state is OfferState.WRONG}
    elsewhere = sorted({offer.outlet for offer in offers if offer.state is OfferState.WRONG} - {outlet})
    shelves = [here, *(tx.items_at(other) for other in elsewhere)]
    return [item for shelf in shelves for item in shelf if item.id in wrong]
