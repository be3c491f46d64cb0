"""What guests switch off, and on again, of the signals that choose for them: recorded, and obeyed by the next read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steward.domain.events import EventType, fact
from steward.domain.features import Signal
from steward.domain.ids import GuestRef
from steward.domain.signals import Switch, switched
from steward.errors import Refused
from steward.ports import Clock, Store, Tx
from steward.services.lookups import guest_in

HISTORY_MAX = 100


@dataclass(frozen=True, slots=True)
class Signals:
    """history: every word, newest first, at most HISTORY_MAX."""

    off: frozenset[Signal]
    history: Sequence[Switch]


class SignalService:
    """follows: another gateway of the ship is the authority, which alone orders what guests say."""

    def __init__(self, store: Store, clock: Clock, follows: bool = False) -> None:
        self._store = store
        self._clock = clock
        self._follows = follows

    async def say(self, ref: GuestRef, words: Mapping[Signal, bool], by: str) -> Signals:
        """The guest's word on these signals, True for on; others stay. What was said already changes nothing.

        Raises NotFound, Refused authority_only.
        """
        if self._follows:
            raise Refused("authority_only", "guests are kept at the ship's folio authority: do it there")
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Signals:
            guest_in(tx, ref)
            for signal, on in sorted(words.items()):
                said = switched(tx.switch(ref, signal), ref, signal, on, now_s)
                if said is not None:
                    _record(tx, said, by, now_s)
            return signals_of(tx, ref)

        return await self._store.write(work)


def signals_of(tx: Tx, ref: GuestRef) -> Signals:
    return Signals(tx.signals_off(ref), tx.switch_history(ref, HISTORY_MAX))


def _record(tx: Tx, switch: Switch, by: str, now_s: int) -> None:
    tx.put_switch(switch)
    said = {"signal": switch.signal.value, "on": switch.on, "said_s": switch.at_s, "version": switch.version}
    tx.append_event(fact(EventType.SIGNAL_SET, now_s, guest=switch.guest, by=by, **said))
