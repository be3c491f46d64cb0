"""Brings releases to bands by radio: at night, one band at a time, and only bands that are listened for anyhow.

So nobody is listened for because of an update: the others get theirs on a cable. A talk goes on where it broke off, as
the band knows how far it is; it breaks off by itself when a guest looks for a band. What became of an update is what
the band tells when it is met again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bandwire import radio as bandradio
from bandwire import release as wire
from bandwire.errors import BadRelease
from steward.domain.bandrelease import BandRelease, ReleaseFault, read_told
from steward.domain.ids import Uid
from steward.errors import BandAway
from steward.ports import Clock
from steward.ports.radio import Talk, TalkingRadio
from steward.services.bandreleases import BandReleases
from steward.services.bandwatch import Listener
from steward.services.findme import address_of
from steward.services.presence import Heard
from steward.services.supervise import look_again

_LOG = logging.getLogger(__name__)

LOOK_EVERY_S = 20.0
AGAIN_MS = 20 * 60_000.0  # for one band: longer than a period, so that a guest's search keeps its tries at pairing
AGAIN_MAX = 20_000  # bands remembered
PIECE_BYTES = 900  # four writes
NIGHT_FROM_H, NIGHT_TO_H = 2, 5
# What says nothing of the release: another time, or it is there already.
_LATER = (wire.TAP, wire.ON_TRIAL, wire.BATTERY, wire.MEMORY, wire.NOT_BEGUN, wire.BUDGET, wire.SAME)
_RESENDS_MAX = 3


class Ears(Listener, Protocol):
    """Of services/presence.py."""

    def heard_now(self) -> Sequence[Uid]: ...
    def passkey(self, uid: Uid, heard: Heard, address: bytes) -> int: ...
    def spent(self, uid: Uid) -> None: ...


@dataclass(frozen=True, slots=True)
class UpdaterSettings:
    """Hours of ship's time, from and to; the same: at any."""

    utc_offset_s: int = 0
    from_h: int = NIGHT_FROM_H
    to_h: int = NIGHT_TO_H


class BandUpdater:
    """`run` belongs to a supervisor."""

    def __init__(self, releases: BandReleases, ears: Ears, clock: Clock, settings: UpdaterSettings) -> None:
        self._releases = releases
        self._ears = ears
        self._clock = clock
        self._settings = settings
        self._not_before: dict[Uid, float] = {}

    async def run(self) -> None:
        await look_again(self.look, LOOK_EVERY_S)

    async def look(self) -> None:
        """Talk to each band that is heard and due, one after another, while it is night."""
        now_ms = self._clock.monotonic_ms()
        if not self._is_night():
            return
        heard = [uid for uid in self._ears.heard_now() if self._not_before.get(uid, 0.0) <= now_ms]
        for uid in await self._releases.due(heard):
            if not self._is_night():
                return
            if await self._releases.next_for(uid) is not None:  # it may have been halted since: a talk takes minutes
                self._remember(uid, self._clock.monotonic_ms() + AGAIN_MS)
                await self._visit(uid)

    async def _visit(self, uid: Uid) -> None:
        heard = self._ears.where(uid)
        address = None if heard is None else address_of(heard.address)
        if heard is None or address is None or not isinstance(heard.radio, TalkingRadio):
            return
        try:
            passkey = self._ears.passkey(uid, heard, address)
        except KeyError:
            return  # it is not listened for any more
        try:
            async with heard.radio.talk(heard.address, passkey) as talk:
                await self._update(uid, talk)
        except (BandAway, BadRelease, ReleaseFault) as error:
            _LOG.info("bands.update_broken_off problem=%s", type(error).__name__)
        finally:
            self._ears.spent(uid)

    async def _update(self, uid: Uid, talk: Talk) -> None:
        """Raises BandAway, BadRelease, ReleaseFault."""
        _, told = await talk.ask(bandradio.VERSION)
        await self._releases.heard(uid, told)
        release = await self._releases.next_for(uid)
        if release is None or read_told(told).on_trial:
            return
        code = await self._send(uid, talk, release)
        if code and code not in _LATER:
            _LOG.warning("bands.update_refused number=%d code=%d", release.number, code)
            await self._releases.refused(uid, release.number)

    def _is_night(self) -> bool:
        settings = self._settings
        hour = (self._clock.now().unix_s + settings.utc_offset_s) // 3600 % 24
        return settings.from_h == settings.to_h or settings.from_h <= hour < settings.to_h

    def _remember(self, uid: Uid, until_ms: float) -> None:
        self._not_before.pop(uid, None)
        self._not_before[uid] = until_ms
        if len(self._not_before) > AGAIN_MAX:
            del self._not_before[next(iter(self._not_before))]

    async def _send(self, uid: Uid, talk: Talk, release: BandRelease) -> int:
        """Why the band does not go on with it; 0: it has all of it, and tries it next. Raises BandAway, BadRelease."""
        code, at = await _asked(talk, bandradio.UPDATE_BEGIN, release.begin())
        if code == wire.OK and not await self._releases.begin(uid, release):
            raise BandAway("the release was withdrawn meanwhile: the band gets none of it")
        for _ in range(_RESENDS_MAX):
            while code == wire.OK and at < len(release.content):
                code, at = await _asked(talk, bandradio.UPDATE_DATA, release.piece(at, PIECE_BYTES))
            if code != wire.OK:
                return code
            if not await self._releases.goes_on(release):
                raise BandAway("the release was halted while it was sent: the band does not try it")
            code, at = await _asked(talk, bandradio.UPDATE_END, b"")
            if code not in (wire.BAD_FILE, wire.INCOMPLETE):
                return code
            code = wire.OK
        return wire.BAD_FILE


async def _asked(talk: Talk, kind: int, payload: bytes) -> tuple[int, int]:
    status, answer = await talk.ask(kind, payload)
    if status != bandradio.DONE:
        raise BandAway("the band would not take this part of an update")
    return wire.read_answer(answer)
