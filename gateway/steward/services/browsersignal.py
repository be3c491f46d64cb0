"""Sec-GPC: a browser that says nothing of its user is to be sold or shared. Heard once, it is the guest's word.

The header speaks in general, and was switched on before this ship was thought of. So it counts as a no to whatever
hands personal data to somebody else and rests on consent, at the moment it is heard first, also against an earlier
yes; and what the guest says here afterwards counts more, however often the header comes again. It says nothing of what
stays aboard, and nothing of what rests on law or on the booking. Specification: Global Privacy Control, W3C.
"""

from __future__ import annotations

from collections.abc import Sequence

from steward.domain.consent import ConsentPurpose, Said
from steward.domain.ids import GuestRef
from steward.domain.usecase_shapes import Place, UseCase
from steward.domain.usecases import REGISTER
from steward.ports import Clock, Store, Tx
from steward.services.consents import record_words

HEADER, SAYS = "sec-gpc", ["1"]  # any other value, and a header sent twice, says nothing
BY_BROWSER = "browser"


class BrowserSignal:
    """follows: another gateway of the ship is the authority, which alone orders what guests say."""

    def __init__(self, store: Store, clock: Clock, follows: bool = False) -> None:
        self._store = store
        self._clock = clock
        self._follows = follows

    async def heard(self, ref: GuestRef) -> None:
        """The header came with a request of this guest's phone. Idempotent; a guest who is gone says nothing."""
        if self._follows or await self._store.read(lambda tx: tx.browser_objection(ref)) is not None:
            return
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> None:
            if tx.guest(ref) is None or tx.browser_objection(ref) is not None:
                return
            tx.put_browser_objection(ref, now_s)
            record_words(tx, ref, dict.fromkeys(sharing(), False), BY_BROWSER, now_s, way=Said.BROWSER)

        await self._store.write(work)


def sharing() -> Sequence[ConsentPurpose]:
    """What hands personal data to somebody else by the guest's consent: ashore, or to another controller."""
    return [purpose for purpose in ConsentPurpose if any(map(hands_on, REGISTER.asked_for(purpose)))]


def hands_on(case: UseCase) -> bool:
    """Whether personal data of this use reach anybody beyond the ship."""
    return any(each.third or each.place is Place.ASHORE for each in case.recipients)
