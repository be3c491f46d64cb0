"""Find me: a guest looks for their own band, or an adult for a child's; crew look for a guest who agreed to it.

The band is listened for, then asked over a paired link to buzz. What comes of it is told in one word to who asked, and
kept for nobody: only the last zone of who agreed to presence is kept, by services/presence.py.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from bandwire import radio as bandradio
from steward.domain.guests import BandState
from steward.domain.ids import GuestRef, Uid
from steward.domain.presence import Presence
from steward.domain.viewing import Field, Viewer, look_at
from steward.errors import BandAway, Busy, NotFound, Refused
from steward.ports import Clock, Store, Tx
from steward.services.bandradio import band_for
from steward.services.family import PARENT_NEEDED
from steward.services.lookups import NO_CONSENT, check_look, guest_in, withheld_in
from steward.services.presence import Heard, PresenceService
from steward.services.rates import Rate

FINDS_BURST, FINDS_PER_S = 5, 1 / 60
RUNNING_MAX = 8
LISTEN_MS = 14_000.0  # a band that is on says its name every second, or in bursts to save its battery
ASK_S = 12.0
POLL_S = 0.25
FRESH_MS = 12_000.0
TOLD_MS = 300_000.0  # how long the answer is shown to who asked
TOLD_MAX = 512
BUZZ_S = 5
QUIET_MINUTES = bandradio.QUIET_MINUTES_MAX
_ADDRESS_BYTES = 6


class Finding(StrEnum):
    BUZZED = "buzzed"  # it was heard, and buzzes
    HEARD = "heard"  # it was heard, but did not take the request
    CONTESTED = "contested"  # two devices say its name: which is the band cannot be told
    SILENT = "silent"  # its radio was on when it was last held to a reader; nobody hears it now
    OFF = "off"
    PENDING = "pending"  # on at its next tap
    NO_RADIO = "no_radio"
    NO_EARS = "no_ears"  # no gateway of this ship listens


@dataclass(frozen=True, slots=True)
class Found:
    """zone: where it was heard; None: nowhere for sure."""

    finding: Finding
    zone: str | None
    at_s: int


class FindMe:
    def __init__(self, store: Store, clock: Clock, presence: PresenceService) -> None:
        self._store = store
        self._clock = clock
        self._presence = presence
        self._rate = Rate(clock, burst=FINDS_BURST, per_s=FINDS_PER_S)
        self._running: dict[Uid, asyncio.Task[Found]] = {}
        self._hushing: set[asyncio.Task[bool]] = set()
        self._failed: dict[Uid, tuple[int, int]] = {}  # pairings, in which period
        self._told: dict[tuple[GuestRef, Uid], tuple[Found, float]] = {}

    async def find_own(self, asker: GuestRef, uid: Uid) -> Found:
        """A guest's own band, or a child's whom they speak for. It is not logged: nobody else looks.

        Raises NotFound, Refused (parent_needed), Busy.
        """

        def work(tx: Tx) -> Finding | None:
            _, guest = band_for(tx, asker, uid)
            if guest.child and guest.ref == asker:
                raise Refused(PARENT_NEEDED, "an adult of the same booking looks for a child's band")
            return state_of(tx, uid)

        known = await self._store.read(work)
        self._count(asker)
        found = await self._find(uid, known)
        self._keep((asker, uid), found)
        return found

    def hush(self, uid: Uid) -> None:
        """Have a band that is heard now be quiet at once, if it can be reached. For good it is told at its next tap."""
        heard, now_ms = self._presence.where(uid), self._clock.monotonic_ms()
        if heard is None or heard.at_ms < now_ms - FRESH_MS or len(self._hushing) >= RUNNING_MAX:
            return
        task = asyncio.create_task(self._ask(uid, heard, bandradio.QUIET, bandradio.quiet_data(QUIET_MINUTES)))
        self._hushing.add(task)
        task.add_done_callback(self._hushing.discard)

    def told(self, asker: GuestRef, uid: Uid) -> Found | None:
        """What came of the last search of this guest, for a few minutes."""
        found, until_ms = self._told.get((asker, uid), (None, 0.0))
        return found if self._clock.monotonic_ms() < until_ms else None

    async def last_of(self, viewer: Viewer, ref: GuestRef) -> Presence | None:
        """Where a guest was heard last, for crew. The look-up is logged, also if there is nothing.

        Raises NotFound, Refused (not_permitted, no_consent).
        """
        look = look_at(viewer, ref, {Field.PRESENCE}, self._clock.now().unix_s)
        check_look(look)

        def work(tx: Tx) -> Presence | None:
            guest = guest_in(tx, ref)
            if look.at_s > guest.not_after_s or guest.crew:
                raise NotFound("guest", ref)
            if withheld_in(tx, look):
                raise Refused(NO_CONSENT, "the guest has not agreed to be found")
            tx.log_look_up(look)
            known = tx.presence(ref)
            return known if known is not None and look.at_s <= known.until_s else None

        return await self._store.write(work)

    async def find_for(self, viewer: Viewer, ref: GuestRef) -> Found:
        """The band of a guest who agreed to be found, made to buzz for crew. Logged as `last_of`.

        Raises as `last_of`, NotFound without a band in use, Busy.
        """
        await self.last_of(viewer, ref)

        def work(tx: Tx) -> tuple[Uid, Finding | None]:
            worn = [band for band in tx.bands_of(ref) if band.state is BandState.ISSUED]
            if not worn:
                raise NotFound("band", "in use of this guest")
            uid = worn[-1].uid
            radio = tx.radio(uid)
            hushed = radio is not None and radio.wish is False  # though the band does not know yet
            return uid, Finding.OFF if hushed else state_of(tx, uid)

        uid, known = await self._store.read(work)
        self._count(viewer.actor)
        found = await self._find(uid, known)
        look = look_at(viewer, ref, {Field.PRESENCE}, self._clock.now().unix_s)
        if await self._store.read(lambda tx: withheld_in(tx, look)):
            raise Refused(NO_CONSENT, "the guest has taken the yes back meanwhile")
        return found

    def _count(self, who: str) -> None:
        if not self._rate.take(who):
            raise Busy("bands were looked for very often: wait a minute")

    async def _find(self, uid: Uid, known: Finding | None) -> Found:
        """Two who look for one band look together."""
        if known is None and not self._presence.listens:
            known = Finding.NO_EARS
        if known is not None:
            return Found(known, None, self._clock.now().unix_s)
        running = self._running.get(uid)
        if running is None:
            if len(self._running) >= RUNNING_MAX:
                raise Busy("several bands are looked for right now: try again in a moment")
            running = asyncio.create_task(self._search(uid))
            self._running[uid] = running
            running.add_done_callback(lambda _: self._running.pop(uid, None))
        return await asyncio.shield(running)

    async def _search(self, uid: Uid) -> Found:
        begun_ms = self._clock.monotonic_ms()
        await self._presence.seek(uid, begun_ms + LISTEN_MS + ASK_S * 1000)
        heard = await self._listen(uid, begun_ms)
        now_s = self._clock.now().unix_s
        if heard is None:
            contested = self._presence.is_contested(uid)
            return Found(Finding.CONTESTED if contested else Finding.SILENT, None, now_s)
        buzzed = await self._ask(uid, heard, bandradio.BUZZ, bandradio.buzz_data(BUZZ_S))
        return Found(Finding.BUZZED if buzzed else Finding.HEARD, heard.zone or heard.radio.zone, now_s)

    async def _listen(self, uid: Uid, begun_ms: float) -> Heard | None:
        """Where it is heard now, waiting for its next name."""
        while True:
            heard, now_ms = self._presence.where(uid), self._clock.monotonic_ms()
            if heard is not None and heard.at_ms >= now_ms - FRESH_MS:
                return heard
            if now_ms - begun_ms > LISTEN_MS or self._presence.is_contested(uid):
                return None
            await asyncio.sleep(POLL_S)

    async def _ask(self, uid: Uid, heard: Heard, kind: int, data: bytes) -> bool:
        """Whether the band has done it."""
        address = address_of(heard.address)
        if address is None or not self._may_pair(uid, heard.period):
            return False
        try:
            passkey = self._presence.passkey(uid, heard, address)
            async with asyncio.timeout(ASK_S):
                status, _ = await heard.radio.ask(heard.address, passkey, kind, data)
        except (BandAway, KeyError, TimeoutError):
            _, count = self._failed.get(uid, (heard.period, 0))
            self._failed[uid] = (heard.period, count + 1)
            return False
        finally:
            self._presence.spent(uid)
        self._failed.pop(uid, None)
        return status == bandradio.DONE

    def _may_pair(self, uid: Uid, period: int) -> bool:
        """Not more often in a period than the band lets anybody: whoever repeats its name gets no more tries either."""
        failed_in, count = self._failed.get(uid, (period, 0))
        if failed_in != period:
            del self._failed[uid]
            return True
        return count < bandradio.FAILED_PAIRINGS_A_PERIOD

    def _keep(self, key: tuple[GuestRef, Uid], found: Found) -> None:
        self._told.pop(key, None)
        self._told[key] = (found, self._clock.monotonic_ms() + TOLD_MS)
        if len(self._told) > TOLD_MAX:
            del self._told[next(iter(self._told))]


def state_of(tx: Tx, uid: Uid) -> Finding | None:
    """Why there is nothing to listen for; None: it is on, as far as it told."""
    band, radio = tx.band(uid), tx.radio(uid)
    if band is None or not band.active or (radio is not None and not radio.has):
        return Finding.NO_RADIO
    if radio is not None and radio.is_on:
        return None
    return Finding.PENDING if radio is not None and radio.wish else Finding.OFF


def address_of(text: str) -> bytes | None:
    """The six bytes of a Bluetooth address as it is read aloud; None for a platform that tells none."""
    try:
        found = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        return None
    return found if len(found) == _ADDRESS_BYTES else None
