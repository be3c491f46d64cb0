"""Which bands are silent since they took a release, looked at again and again. What it means: domain/bandsilence.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from steward.domain.bandsilence import Listening, heard_of, is_lost, is_still, listened
from steward.domain.bandstages import BandState, BandUpdate, after
from steward.domain.guests import BandState as Worn
from steward.domain.ids import Uid
from steward.ports import Clock, Store, Tx
from steward.services.presence import Heard

_GIVEN_UP = (Worn.FROZEN, Worn.RETIRED)


class Listener(Protocol):
    """Of services/presence.py."""

    @property
    def listens(self) -> bool: ...
    def where(self, uid: Uid) -> Heard | None: ...


class BandWatch:
    """ears: None where no radio listens: nobody is brought a release there. silent: of the release at the last look."""

    def __init__(self, store: Store, clock: Clock, ears: Listener | None) -> None:
        self._store = store
        self._clock = clock
        self._ears = ears
        self._number = 0
        self._listening: Listening | None = None
        self._silent: Mapping[Uid, BandUpdate] = {}

    @property
    def silent(self) -> int:
        """How many."""
        return len(self._silent)

    async def look(self, number: int) -> None:
        """Once more, at the bands that have begun release `number`; nothing changes while the clock is not believed."""
        now, now_ms = self._clock.now(), self._clock.monotonic_ms()
        now_s, listens = now.unix_s, now.trusted and self._ears is not None and self._ears.listens
        self._listening = listened(self._listening, now_s, now_ms) if listens else None
        if not now.trusted:
            return
        if number != self._number:
            self._number, self._silent = number, {}
        trying = await self._store.read(lambda tx: tx.bands_trying(number))
        if trying or self._silent:
            on_air = {each.uid: self._on_air_s(each.uid, now_s, now_ms) for each in trying}
            before, listening = self._silent, self._listening
            self._silent = await self._store.write(lambda tx: _watch(tx, number, on_air, before, listening, now_s))

    def _on_air_s(self, uid: Uid, now_s: int, now_ms: float) -> int | None:
        heard = None if self._ears is None else self._ears.where(uid)
        return None if heard is None else now_s - int((now_ms - heard.at_ms) / 1000)


def _watch(
    tx: Tx,
    number: int,
    on_air: Mapping[Uid, int | None],
    before: Mapping[Uid, BandUpdate],
    listening: Listening | None,
    now_s: int,
) -> Mapping[Uid, BandUpdate]:
    """Write down who gave a sign of life and who is lost; return who is silent. before: who was at the last look."""
    listened_for = {each.uid for each in tx.bands_to_hear(now_s)}
    trying = {each.uid: each for each in tx.bands_trying(number)}
    silent: dict[Uid, BandUpdate] = {}
    for uid, known in {**before, **trying}.items():
        update = heard_of(known, _signs_s(tx, uid, on_air.get(uid)), now_s)
        counts = uid in trying and uid in listened_for
        given_up = uid in before and _is_given_up(tx, uid, number)
        if update != known:
            if uid in trying:
                tx.put_band_update(update)
        elif given_up or (counts and is_lost(update, now_s, listening)):
            tx.put_band_update(after(update, uid, number, BandState.FAILED, now_s))
        elif counts and is_still(update, now_s):
            silent[uid] = update
    return silent


def _is_given_up(tx: Tx, uid: Uid, number: int) -> bool:
    """Whether the desk has taken the band out, and nothing became of it before. The row of one replaced is gone."""
    band, update = tx.band(uid), tx.band_update(uid)
    if band is None or band.state not in _GIVEN_UP:
        return False
    return update is None or (update.number == number and update.state is BandState.TRYING)


def _signs_s(tx: Tx, uid: Uid, on_air_s: int | None) -> list[int]:
    """When it was heard by radio, held to a reader here, or told its clock at any reader of the ship."""
    condition, radio = tx.condition(uid), tx.radio(uid)
    times = (on_air_s, None if condition is None else condition.last_tap_s, None if radio is None else radio.told_s)
    return [at_s for at_s in times if at_s is not None]
