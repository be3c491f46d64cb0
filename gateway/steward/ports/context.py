"""What the store keeps for suggestions: each guest's switches, company of a stay, the weather, the itinerary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from steward.domain.context import PortCalls, StayCompany, WeatherWord
from steward.domain.features import Signal
from steward.domain.ids import GuestRef
from steward.domain.signals import Switch


class ContextTx(Protocol):
    """Part of ports.Tx."""

    # signals; every word stays in the history for as long as the guest does
    def put_switch(self, switch: Switch) -> None:
        """Insert or replace by guest and signal. Raises Conflict if a later word is known."""
        ...

    def switch(self, ref: GuestRef, signal: Signal) -> Switch | None:
        """None: nothing was said, so the signal is on."""
        ...

    def signals_off(self, ref: GuestRef) -> frozenset[Signal]:
        """What this guest has switched off."""
        ...

    def switch_history(self, ref: GuestRef, limit: int) -> Sequence[Switch]:
        """Newest first."""
        ...

    # company
    def put_company(self, company: StayCompany) -> None:
        """Insert or replace by guest."""
        ...

    def company(self, ref: GuestRef) -> StayCompany | None: ...
    def drop_context(self, ref: GuestRef) -> None:
        """Forget switches, their history and company: the guest is forgotten."""
        ...

    # the ship's own
    def put_weather(self, word: WeatherWord) -> None:
        """What is said of the weather last counts; so many words are kept. Raises ValueError for one that cannot be."""
        ...

    def weather(self, at_s: int | None = None) -> WeatherWord | None:
        """The last word of those said by `at_s`; None: of all."""
        ...

    def put_port_calls(self, calls: PortCalls) -> None:
        """Replace the itinerary. Raises ValueError for one that cannot be."""
        ...

    def port_calls(self) -> PortCalls: ...
