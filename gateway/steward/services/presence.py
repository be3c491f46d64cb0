"""Presence: which guests' bands are heard where. Only of who agreed, only the last zone, only for a while.

The gateways that listen hold no key: they pass on names and strengths. Only here, where key 0 of the bands is held, are
names resolved, and keys are in memory for no longer than a band is wanted. Whether anything may be written is asked
again in the transaction that writes it: a consent that was taken back a moment ago counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from bandwire import radio as bandradio
from bandwire.aes import Aes
from bandwire.keys import K_MASTER
from steward.domain.consent import ConsentPurpose
from steward.domain.eidtable import (
    EMPTY_TABLE,
    PERIOD_S,
    ClockWord,
    EidTable,
    Encrypt,
    Named,
    Tagged,
    follows,
    is_now,
    lost_periods,
    make_table,
)
from steward.domain.guests import BandState
from steward.domain.ids import GuestRef, Uid
from steward.domain.presence import Contest, Presence, Wanted, moved
from steward.domain.smoothing import ZoneFilter
from steward.domain.untracked import is_untracked
from steward.errors import Busy, KeyNotHeld
from steward.ports import Clock, KeyRing, Store, Tx
from steward.ports.radio import Radio, RadioState, Sighting
from steward.services.supervise import look_again

TICK_S = 0.5
LOOK_EVERY_MS = 5_000.0  # for bands that came or went, and consents
WRITES_MAX = 500  # presences in one transaction
SOUGHT_MAX = 64


@dataclass(frozen=True, slots=True)
class Heard:
    """Where a band was heard last, for connecting to it. zone: None: nowhere for sure."""

    radio: Radio
    address: str
    period: int
    at_ms: float
    zone: str | None


@dataclass(slots=True)
class _Band:
    """A band that is listened for. Gone with it: its key, where it was heard, everything."""

    wanted: Wanted
    tagged: Tagged
    filter: ZoneFilter = field(default_factory=ZoneFilter)
    contest: Contest | None = None
    heard: Heard | None = None
    spent_ms: float = -1.0  # what was heard until then came from an address that it has left
    late: tuple[Named, int] | None = None
    kept: Presence | None = None


@dataclass(slots=True)
class PresenceCounts:
    """Of this process. strange: names that are nobody's here; old: of a period that is over; contested: said twice."""

    resolved: int = 0
    strange: int = 0
    old: int = 0
    late: int = 0
    contested: int = 0
    written: int = 0


class PresenceService:
    """encrypt: AES-ECB of many blocks. passed_on: radios here that another gateway listens to. Run `run` supervised."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        keyring: KeyRing,
        aes: Aes,
        encrypt: Encrypt,
        radios: Sequence[Radio],
        passed_on: Sequence[Radio] = (),
    ) -> None:
        self._store = store
        self._clock = clock
        self._keyring = keyring
        self._aes = aes
        self._encrypt = encrypt
        self._radios = tuple(radios)
        self._passed_on = tuple(passed_on)
        self._bands: dict[Uid, _Band] = {}
        self._sought: dict[Uid, float] = {}  # bands that somebody looks for, until when
        self._table: EidTable = EMPTY_TABLE
        self._must_make = False
        self._looked_ms: float | None = None
        self._turn = asyncio.Lock()
        self._heard: set[Uid] = set()  # since it was last written down
        self.counts = PresenceCounts()

    @property
    def listens(self) -> bool:
        """Whether any radio of the ship hears now."""
        return any(radio.status().state == "on" for radio in self._radios)

    def radios(self) -> list[RadioState]:
        """Of this gateway, and of those that tell it what they hear."""
        return [radio.status() for radio in (*self._radios, *self._passed_on)]

    def size(self) -> int:
        """How many bands are listened for."""
        return len(self._bands)

    async def run(self) -> None:
        await look_again(self.tick, TICK_S)

    async def tick(self) -> None:
        """Take what was heard. Nothing without a clock that is believed: names depend on it."""
        async with self._turn:
            await self._tick()

    async def _tick(self) -> None:
        now = self._clock.now()
        heard = [(radio, radio.take()) for radio in self._radios]
        if not now.trusted:
            return
        await self._keep_up(now.unix_s)
        for radio, sightings in heard:
            for sighting in sightings:
                self.hear(radio, sighting, now.unix_s)
        await self._write(now.unix_s)

    # whom to listen for

    async def seek(self, uid: Uid, until_ms: float) -> None:
        """Listen for this band until then, whether or not its guest agreed to more: somebody may look for it."""
        if len(self._sought) >= SOUGHT_MAX and uid not in self._sought:
            raise Busy("very many bands are looked for: try again in a minute")
        self._sought[uid] = until_ms
        self._looked_ms = None
        await self.tick()

    def where(self, uid: Uid) -> Heard | None:
        """Where this band was heard last, if it is listened for and nobody else says its name."""
        band = self._bands.get(uid)
        if band is None or band.heard is None or self.is_contested(uid):
            return None
        return replace(band.heard, zone=band.filter.look(self._clock.monotonic_ms()))

    def heard_now(self) -> list[Uid]:
        """The bands that were heard, of those that are listened for anyhow: not one that somebody looks for."""
        return [uid for uid, band in self._bands.items() if band.heard is not None and band.wanted.agreed]

    def is_contested(self, uid: Uid) -> bool:
        """Whether somebody else says this band's name too, in this period."""
        band = self._bands.get(uid)
        return band is not None and band.contest is not None and band.contest.is_contested

    def spent(self, uid: Uid) -> None:
        """A connection was tried: a band takes another address after each, so it must be heard again first."""
        band = self._bands.get(uid)
        if band is not None:
            band.heard, band.spent_ms = None, self._clock.monotonic_ms()

    def passkey(self, uid: Uid, heard: Heard, address: bytes) -> int:
        """Of one pairing with the band at this address. Raises KeyError if it is not listened for any more."""
        clock_s = heard.period << bandradio.PERIOD_EXPONENT
        return bandradio.passkey(self._aes, self._bands[uid].tagged.key, clock_s, address)

    async def _keep_up(self, now_s: int) -> None:
        now_ms = self._clock.monotonic_ms()
        if self._looked_ms is None or now_ms - self._looked_ms >= LOOK_EVERY_MS:
            self._looked_ms = now_ms
            self._sought = {uid: until for uid, until in self._sought.items() if until > now_ms}
            sought = tuple(self._sought)
            wanted = await self._store.read(lambda tx: _wanted(tx, now_s, sought))
            await self._listen_for(wanted)
        if self._must_make or not 0 <= now_s - self._table.made_s < PERIOD_S:
            self._must_make = False
            tagged = [band.tagged for band in self._bands.values()]
            self._table = await asyncio.to_thread(make_table, tagged, now_s, self._encrypt)

    async def _listen_for(self, wanted: Sequence[Wanted]) -> None:
        known = {each.uid: self._bands[each.uid] for each in wanted if each.uid in self._bands}
        fresh = [each for each in wanted if each.uid not in known or not _is_same(known[each.uid].wanted, each)]
        made = await asyncio.to_thread(self._tag, fresh) if fresh else {}
        for each in wanted:
            if each.uid not in made and each.uid in known and known[each.uid].wanted != each:
                _tell(known[each.uid], each)
                self._must_make = True
        self._bands = known | made
        self._must_make |= bool(made)

    def _tag(self, wanted: Iterable[Wanted]) -> dict[Uid, _Band]:
        """With each band's key: the one place where they are made."""
        found = {}
        for each in wanted:
            try:
                k0 = self._keyring.card_key(bytes.fromhex(each.uid), K_MASTER, each.key_version)
            except KeyNotHeld:
                continue  # of a voyage that is over
            key = bandradio.identity_key(self._aes, k0)
            found[each.uid] = _Band(each, Tagged(each.uid, key, ClockWord(each.period, each.told_s)))
        return found

    # what is heard

    def hear(self, radio: Radio, sighting: Sighting, now_s: int) -> None:
        """One name. Of a stranger's there is one look-up in each of two tables, and nothing is kept of it."""
        named = self._table.names.get(sighting.name)
        if named is None:
            self._hear_late(sighting, now_s)
            return
        band = self._bands.get(named.uid)
        if band is None:
            self.counts.strange += 1
        elif not is_now(band.tagged, named.period, now_s):
            self.counts.old += 1
        else:
            self._hear_band(band, radio, named.period, sighting)

    def _hear_band(self, band: _Band, radio: Radio, period: int, sighting: Sighting) -> None:
        self.counts.resolved += 1
        if band.contest is None or band.contest.period != period:
            band.contest = Contest(period, sighting.address)
            band.tagged = replace(band.tagged, heard=period)
        if not band.contest.hear(sighting.address, radio.zone, sighting.rssi, sighting.at_ms):
            self.counts.contested += 1
            band.heard, band.kept, band.filter = None, None, ZoneFilter()
            return
        self._heard.add(band.wanted.uid)
        zone = band.filter.hear(radio.name, radio.zone, sighting.rssi, sighting.at_ms)
        # connect from where it is strongest: the scanner of the zone that it is in, or whoever hears it
        if sighting.at_ms <= band.spent_ms:
            return
        if band.heard is None or zone in (None, radio.zone) or sighting.at_ms - band.heard.at_ms > LOOK_EVERY_MS:
            band.heard = Heard(radio, sighting.address, period, sighting.at_ms, zone)

    def _hear_late(self, sighting: Sighting, now_s: int) -> None:
        """A name of a band that may have been without power. Two in a row say so; one alone says nothing."""
        named = self._table.late.get(sighting.name)
        band = None if named is None else self._bands.get(named.uid)
        if named is None or band is None:
            self.counts.strange += 1
            return
        self.counts.late += 1
        if band.late is None or named.period > band.late[0].period + 1:
            band.late = (named, now_s)
        elif named.period == band.late[0].period:
            return
        elif follows(band.late[0], band.late[1], named, now_s):
            behind = lost_periods(band.tagged, named.period, now_s)
            band.tagged, band.late = replace(band.tagged, behind=behind), None
            self._must_make = True

    # what is kept

    async def _write(self, now_s: int) -> None:
        now_ms = self._clock.monotonic_ms()
        fresh: list[tuple[_Band, Presence]] = []
        heard, self._heard = self._heard, set()
        for uid in heard:
            band = self._bands.get(uid)
            zone = None if band is None else band.filter.look(now_ms)
            if band is None or zone is None or not band.wanted.agreed:
                continue
            presence = moved(band.kept, band.wanted.guest, zone, now_s)
            if presence is not None:
                fresh.append((band, presence))
        for at in range(0, len(fresh), WRITES_MAX):
            await self._write_some(fresh[at : at + WRITES_MAX], now_s)

    async def _write_some(self, fresh: Sequence[tuple[_Band, Presence]], now_s: int) -> None:
        def work(tx: Tx) -> list[bool]:
            return [keep_presence(tx, band.wanted, presence, now_s) for band, presence in fresh]

        for (band, presence), done in zip(fresh, await self._store.write(work), strict=True):
            band.kept = presence
            self.counts.written += done


def _is_same(known: Wanted, told: Wanted) -> bool:
    """Whether it is the same band on the same wrist, with the same keys."""
    return (known.guest, known.key_version) == (told.guest, told.key_version)


def _tell(band: _Band, told: Wanted) -> None:
    """What is said of a band has changed: its clock at a tap, or what its guest agreed to."""
    if (told.period, told.told_s) != (band.wanted.period, band.wanted.told_s):
        heard = band.tagged.heard
        is_before = heard is not None and heard <= told.period
        clock = ClockWord(told.period, told.told_s)
        band.tagged = replace(band.tagged, clock=clock, heard=heard if is_before else None, behind=0)
    if not told.agreed:
        band.kept = None
    band.wanted = told


def may_be_kept(tx: Tx, wanted: Wanted, now_s: int) -> bool:
    """Whether this guest's presence may be written as things stand in this transaction."""
    band, guest, radio = tx.band(wanted.uid), tx.guest(wanted.guest), tx.radio(wanted.uid)
    if band is None or guest is None or radio is None or band.state is not BandState.ISSUED:
        return False
    if band.guest != wanted.guest or band.key_version != wanted.key_version or now_s > guest.not_after_s:
        return False
    word = tx.consent(wanted.guest, ConsentPurpose.PRESENCE)
    agreed = word is not None and word.given
    return agreed and radio.wish is not False and not is_untracked(tx.untracked(wanted.guest), child=guest.child)


def keep_presence(tx: Tx, wanted: Wanted, presence: Presence, now_s: int) -> bool:
    """Write it in the caller's transaction, if it may be. Of a guest with two bands, the newer one counts."""
    if not may_be_kept(tx, wanted, now_s):
        return False
    issued = [band for band in tx.bands_of(wanted.guest) if band.state is BandState.ISSUED]
    radios = [tx.radio(band.uid) for band in issued]
    on = [radio.uid for radio in radios if radio is not None and radio.is_on]
    if on and on[-1] != wanted.uid:
        return False
    known = tx.presence(wanted.guest)
    later = moved(known, wanted.guest, presence.zone, presence.seen_s)
    if later is not None:
        tx.put_presence(later)
    return later is not None


def _wanted(tx: Tx, now_s: int, sought: Iterable[Uid]) -> list[Wanted]:
    found = {each.uid: each for each in tx.bands_to_hear(now_s)}
    for uid in sought:
        band, radio = tx.band(uid), tx.radio(uid)
        if uid in found or band is None or radio is None or radio.period is None:
            continue
        if band.state is BandState.ISSUED:
            found[uid] = Wanted(uid, GuestRef(band.guest), band.key_version, radio.period, radio.told_s, agreed=False)
    return list(found.values())
