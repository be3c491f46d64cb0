"""Which arm a guest is in, and the log of what was decided: written in the transaction that shows the offer."""

from __future__ import annotations

from dataclasses import dataclass, field

from steward.domain.exploring import Chances
from steward.domain.holdout import (
    KEPT_DAYS_DEFAULT,
    PERCENT_DEFAULT,
    VOYAGE_DEFAULT,
    Arm,
    Decision,
    Lot,
    draw,
)
from steward.domain.ids import GuestRef
from steward.domain.offers import Offer
from steward.ports import Tx

FORGET_AT_ONCE = 500  # decisions too old to be kept that one new guest clears away
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class HoldoutSettings:
    voyage: str = VOYAGE_DEFAULT
    percent: int = PERCENT_DEFAULT
    keep_days: int = KEPT_DAYS_DEFAULT


@dataclass(frozen=True, slots=True)
class DecisionLog:
    """key: the ship's, the same on every gateway, so that each guest's lot is, too."""

    key: bytes = field(repr=False)
    settings: HoldoutSettings

    def arm(self, tx: Tx, ref: GuestRef, *, agreed: bool) -> Arm:
        """Which suggestions this guest gets. agreed: that their own past may choose."""
        return self._drawn(tx, ref) if agreed else Arm.EVERYBODY

    def note(
        self,
        tx: Tx,
        offer: Offer,
        *,
        agreed: bool,
        chances: Chances,
        popular_ppm: int | None,
        features: str,
        clock_trusted: bool,
    ) -> None:
        """Log how an offer came to be. chances: what it was drawn from, itself among them. Raises Conflict."""
        voyage = self.settings.voyage
        first = tx.lot(offer.guest, voyage) is None
        if first:
            tx.put_lot(Lot(offer.guest, voyage, self._drawn(tx, offer.guest), offer.at_s))
        tx.log_decision(
            Decision(
                offer=offer.id,
                guest=offer.guest,
                voyage=voyage,
                arm=self.arm(tx, offer.guest, agreed=agreed),
                at_s=offer.at_s,
                ranker=offer.ranker,
                features=features,
                candidates=chances.count,
                item=offer.item,
                propensity_ppm=offer.propensity_ppm,
                popular_ppm=popular_ppm,
                named=chances.named,
            )
        )
        if first and clock_trusted:  # a clock that ran ahead must not empty the log
            tx.forget_decisions(offer.at_s - self.settings.keep_days * _DAY_S, FORGET_AT_ONCE)

    def _drawn(self, tx: Tx, ref: GuestRef) -> Arm:
        """As the store remembers it: a new key or another share moves nobody who was drawn before."""
        lot = tx.lot(ref, self.settings.voyage)
        return draw(self.key, self.settings.voyage, ref, self.settings.percent) if lot is None else lot.arm


NOBODY_HELD_OUT = DecisionLog(b"", HoldoutSettings(percent=0))
