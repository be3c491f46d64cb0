"""Quiet or on: what a guest wants their band's radio to be, told to the band at its next tap.

Off is for everybody who holds the guest's page, as freezing is. On is for who has proved to be the guest; a child's is
switched on by an adult of the same booking alone. Under no-tracking the radio stays off.

A gateway that is cut off from the authority cannot know that a wish for on was taken back, so it holds it back; the
band is told at another reader, or at a later tap. Off is told by everybody at all times: it takes nothing from anybody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from bandwire.condition import WISH_NONE, WISH_OFF, WISH_ON
from steward.domain.events import EventType, fact
from steward.domain.guests import Band
from steward.domain.ids import GuestRef, Uid
from steward.domain.presence import BandRadio
from steward.errors import Refused
from steward.ports import Clock, Store, Tx
from steward.services.bandradio import band_for
from steward.services.family import PARENT_NEEDED
from steward.services.notracking import untracked_in
from steward.services.supervise import look_again

FIELD = "radio"
LOOK_EVERY_S = 2.0  # how soon a reader knows of a wish that came from another gateway, and that one is done
# An authority that was not heard for so long is not there: after an outage, gateways try again within a minute.
HOLD_ON_MS = 120_000.0
NO_RADIO, UNTRACKED = "no_radio", "no_tracking_on"


class RadioWishes:
    """heard_ago_ms: at a gateway that follows another, the ship's authority, which alone orders what guests say: since
    when that was last heard; None: never.
    """

    def __init__(
        self, store: Store, clock: Clock, heard_ago_ms: Callable[[], Awaitable[float | None]] | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._heard_ago_ms = heard_ago_ms
        self._as_of_ms: float | None = None  # when all that was taken back was known here
        self._waiting: Mapping[bytes, bytes] = {}

    def wish_of(self, uid: bytes) -> bytes:
        """What a reader is to tell this band: bandwire.condition. Asks no store, for a door is waiting."""
        wish = self._waiting.get(uid, WISH_NONE)
        return WISH_NONE if wish == WISH_ON and not self._is_abreast() else wish

    def _is_abreast(self) -> bool:
        if self._heard_ago_ms is None:
            return True
        return self._as_of_ms is not None and self._clock.monotonic_ms() - self._as_of_ms < HOLD_ON_MS

    async def run(self) -> None:
        """Keep up with the store, for ever."""
        await look_again(self.look, LOOK_EVERY_S)

    async def look(self) -> None:
        now_ms = self._clock.monotonic_ms()
        ago_ms = None if self._heard_ago_ms is None else await self._heard_ago_ms()
        wishes = await self._store.read(lambda tx: tx.wishes())  # later than that: not older than it says
        self._as_of_ms = None if ago_ms is None else now_ms - ago_ms
        self._waiting = {bytes.fromhex(each.uid): WISH_ON if each.wish else WISH_OFF for each in wishes}

    async def say(self, asker: GuestRef, uid: Uid, on: bool, by: str) -> None:
        """The word of a guest on the radio of their own band, or of a child's whom they speak for.

        Raises NotFound for anybody else's; Refused: authority_only, parent_needed, no_radio, no_tracking_on.
        """
        if self._heard_ago_ms is not None:
            raise Refused("authority_only", "guests are kept at the ship's folio authority: do it there")
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> None:
            band, guest = band_for(tx, asker, uid)
            if on and guest.child and guest.ref == asker:
                raise Refused(PARENT_NEEDED, "only an adult of the same booking switches a child's radio on")
            if on and untracked_in(tx, guest.ref):
                raise Refused(UNTRACKED, "switch no-tracking off first: it keeps the radio off")
            if _wish(tx, band, on):
                tx.append_event(fact(EventType.PROFILE_SET, now_s, guest=guest.ref, fields=FIELD, by=by))

        await self._store.write(work)
        await self.look()


def _wish(tx: Tx, band: Band, on: bool) -> bool:
    """Whether it says anything new. Raises Refused no_radio."""
    known = tx.radio(band.uid)
    said_none = known is not None and not known.has and known.wish is None  # with a wish it is still to be asked
    if not band.active or said_none:
        raise Refused(NO_RADIO, "this band has no radio")
    radio = known or BandRadio(band.uid)
    # A wish for on may have been taken at the last tap, which the band says at the next alone: off is told anyway.
    is_so = radio.has and radio.is_on == on and (on or radio.wish is None)
    wish = None if is_so else on
    if known is not None and known.wish == wish:
        return False
    tx.put_radio(replace(radio, wish=wish))
    return True
