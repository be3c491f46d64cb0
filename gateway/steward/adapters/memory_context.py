"""Switches of guests, company, weather, itinerary: ports.context in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from steward.adapters.memory_tables import Tables
from steward.adapters.store_rules import check_port_calls, check_weather
from steward.domain.context import WEATHER_KEPT, PortCalls, StayCompany, WeatherWord
from steward.domain.features import Signal
from steward.domain.ids import GuestRef
from steward.domain.replica import Kind
from steward.domain.signals import Switch, off_of
from steward.errors import Conflict


class ContextState:
    """What this part of the store keeps. history: by guest, oldest first. Of the ship there is one record, under 0."""

    def __init__(self) -> None:
        self.switches: dict[tuple[GuestRef, Signal], Switch] = {}
        self.history: dict[GuestRef, tuple[Switch, ...]] = {}
        self.companies: dict[GuestRef, StayCompany] = {}
        self.weather: dict[int, tuple[WeatherWord, ...]] = {}
        self.port_calls: dict[int, PortCalls] = {}


class MemoryContextTx(Tables):
    if TYPE_CHECKING:

        def _told(self, kind: Kind, name: str) -> None:
            """Of MemoryShipTx."""
            ...

    def put_switch(self, switch: Switch) -> None:
        state = self._part(ContextState)
        if not switch.guest or switch.version < 1:
            raise Conflict("signal: a guest and a version from 1")
        key = (switch.guest, switch.signal)
        known = state.switches.get(key)
        if known is not None and (switch.at_s, not switch.on) < (known.at_s, not known.on):
            raise Conflict("signal: a later word is known")
        self._put(state.switches, key, switch)
        self._put(state.history, switch.guest, (*state.history.get(switch.guest, ()), switch))
        self._told(Kind.SIGNAL, f"{switch.guest}/{switch.signal}")

    def switch(self, ref: GuestRef, signal: Signal) -> Switch | None:
        return self._part(ContextState).switches.get((ref, signal))

    def signals_off(self, ref: GuestRef) -> frozenset[Signal]:
        switches = self._part(ContextState).switches
        return off_of(switches[ref, signal] for signal in Signal if (ref, signal) in switches)

    def switch_history(self, ref: GuestRef, limit: int) -> Sequence[Switch]:
        return self._part(ContextState).history.get(ref, ())[::-1][: max(limit, 0)]

    def put_company(self, company: StayCompany) -> None:
        if not company.guest:
            raise Conflict("company: of a guest")
        self._put(self._part(ContextState).companies, company.guest, company)
        self._told(Kind.COMPANY, company.guest)

    def company(self, ref: GuestRef) -> StayCompany | None:
        return self._part(ContextState).companies.get(ref)

    def drop_context(self, ref: GuestRef) -> None:
        state = self._part(ContextState)
        for signal in Signal:
            self._drop(state.switches, (ref, signal))
        self._drop(state.history, ref)
        self._drop(state.companies, ref)

    def put_weather(self, word: WeatherWord) -> None:
        check_weather(word)
        state = self._part(ContextState)
        self._put(state.weather, 0, (*state.weather.get(0, ()), word)[-WEATHER_KEPT:])
        self._told(Kind.WEATHER, "weather")

    def weather(self, at_s: int | None = None) -> WeatherWord | None:
        words = self._part(ContextState).weather.get(0, ())
        return next((word for word in reversed(words) if at_s is None or word.said_s <= at_s), None)

    def put_port_calls(self, calls: PortCalls) -> None:
        check_port_calls(calls)
        self._put(self._part(ContextState).port_calls, 0, calls)
        self._told(Kind.PORT_CALLS, "itinerary")

    def port_calls(self) -> PortCalls:
        return self._part(ContextState).port_calls.get(0, PortCalls())
