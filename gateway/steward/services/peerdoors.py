"""What another gateway's doors tell of stays and serials they have adopted, and how far the authority follows."""

from __future__ import annotations

import re
from collections.abc import Mapping

from steward.domain.events import Scalar
from steward.domain.guests import CabinStay
from steward.domain.ids import GuestRef
from steward.domain.peercharge import number_of, text_of
from steward.ports import Tx

_STAY = re.compile(r"([0-9]{1,5}):([0-9]{1,5})")
_STAYS_MAX = 2


def adopt_opened(tx: Tx, payload: Mapping[str, Scalar]) -> None:
    """What a door adopted, as far as the authority itself has given out such numbers: no door can lock people out with
    a number that nobody has. Raises BadPeerEvent.

    A door says nothing of a guest who is not tracked but the stay: the serial is told by the encoder that gave it.
    """
    said = payload.get("stays")
    adopted = said.split()[:_STAYS_MAX] if isinstance(said, str) else []
    if payload.get("guest") is None:
        for stay in (_stay(text) for text in adopted):
            if stay is not None and tx.guests_in(stay):
                tx.adopt_stay(stay.cabin, stay.stay)
        return
    guest = tx.guest(GuestRef(text_of(payload, "guest")))
    if guest is None:
        return
    serial = number_of(payload, "serial")
    if serial <= guest.serial:
        tx.adopt_serial(guest.ref, serial)
    for held in guest.cabins:
        if f"{held.cabin}:{held.stay}" in adopted:
            tx.adopt_stay(held.cabin, held.stay)


def _stay(text: str) -> CabinStay | None:
    """What a door writes as cabin:stay. None if it is none."""
    found = _STAY.fullmatch(text)
    return None if found is None else CabinStay(int(found[1]), int(found[2]))
