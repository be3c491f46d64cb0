"""Switches of guests, company, weather, itinerary: ports.context on SQLite. The schema keeps the switches' history."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from steward.adapters.sqlite.statements import Statements, select, upsert
from steward.adapters.store_rules import check_port_calls, check_weather
from steward.domain.context import PortCall, PortCalls, StayCompany, WeatherWord
from steward.domain.features import Company, Signal, Weather
from steward.domain.ids import GuestRef
from steward.domain.signals import Switch

_SWITCH = ("guest", "signal", "is_on", "at_s", "version")

PUT_SWITCH = upsert("signal_switch", ("guest", "signal"), _SWITCH[2:])
SWITCH = select(_SWITCH, "FROM signal_switch WHERE guest = ? AND signal = ?")
SIGNALS_OFF = "SELECT signal FROM signal_switch WHERE guest = ? AND is_on = 0"
SWITCH_HISTORY = select(_SWITCH, "FROM signal_change WHERE guest = ? ORDER BY seq DESC LIMIT ?")
DROP_SWITCHES = "DELETE FROM signal_switch WHERE guest = ?"
DROP_SWITCH_HISTORY = "DELETE FROM signal_change WHERE guest = ?"
PUT_COMPANY = upsert("stay_company", ("guest",), ("company",))
COMPANY = "SELECT guest, company FROM stay_company WHERE guest = ?"
DROP_COMPANY = "DELETE FROM stay_company WHERE guest = ?"
PUT_WEATHER = "INSERT INTO weather_word (weather, said_s, until_s) VALUES (?, ?, ?)"
WEATHER = "SELECT weather, said_s, until_s FROM weather_word ORDER BY seq DESC LIMIT 1"
WEATHER_AT = "SELECT weather, said_s, until_s FROM weather_word WHERE said_s <= ? ORDER BY seq DESC LIMIT 1"
PUT_PORT_CALLS = upsert("itinerary", ("id",), ("version", "calls"))
PORT_CALLS = "SELECT version, calls FROM itinerary"


class ContextTx(Statements):
    """Part of SqliteTx."""

    def put_switch(self, switch: Switch) -> None:
        values = (switch.guest, switch.signal, switch.on, switch.at_s, switch.version)
        self._change(PUT_SWITCH, values)

    def switch(self, ref: GuestRef, signal: Signal) -> Switch | None:
        row = self._one(SWITCH, (ref, signal))
        return None if row is None else _switch(row)

    def signals_off(self, ref: GuestRef) -> frozenset[Signal]:
        return frozenset(Signal(signal) for (signal,) in self._all(SIGNALS_OFF, (ref,)))

    def switch_history(self, ref: GuestRef, limit: int) -> Sequence[Switch]:
        return [_switch(row) for row in self._all(SWITCH_HISTORY, (ref, max(limit, 0)))]

    def put_company(self, company: StayCompany) -> None:
        said = None if company.company is None else self._seal_text(company.guest, "company", company.company)
        self._change(PUT_COMPANY, (company.guest, said))

    def company(self, ref: GuestRef) -> StayCompany | None:
        row = self._one(COMPANY, (ref,))
        if row is None:
            return None
        said = "" if row[1] is None else self._text(ref, "company", row[1])
        return StayCompany(ref, Company(said) if said else None)

    def drop_context(self, ref: GuestRef) -> None:
        for statement in (DROP_SWITCHES, DROP_SWITCH_HISTORY, DROP_COMPANY):
            self._change(statement, (ref,))

    def put_weather(self, word: WeatherWord) -> None:
        check_weather(word)
        self._change(PUT_WEATHER, (word.weather, word.said_s, word.until_s))

    def weather(self, at_s: int | None = None) -> WeatherWord | None:
        row = self._one(WEATHER) if at_s is None else self._one(WEATHER_AT, (at_s,))
        return None if row is None else WeatherWord(None if row[0] is None else Weather(row[0]), row[1], row[2])

    def put_port_calls(self, calls: PortCalls) -> None:
        check_port_calls(calls)
        listed = [[call.port, call.from_s, call.to_s] for call in calls.calls]
        self._change(PUT_PORT_CALLS, (1, calls.version, json.dumps(listed, separators=(",", ":"))))

    def port_calls(self) -> PortCalls:
        row = self._one(PORT_CALLS)
        return PortCalls() if row is None else PortCalls(row[0], tuple(PortCall(*call) for call in json.loads(row[1])))


def _switch(row: Sequence[Any]) -> Switch:
    guest, signal, is_on, at_s, version = row
    return Switch(GuestRef(guest), Signal(signal), bool(is_on), at_s, version)
