"""What crew say of now: the weather, the calls at ports; and what a ranker is told of it for one guest."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from steward.domain.context import (
    WEATHER_HOURS,
    PortCall,
    PortCalls,
    WeatherWord,
    company_now,
    in_port,
    port_calls_problem,
    weather_now,
    weather_said,
)
from steward.domain.events import EventType, fact
from steward.domain.features import Company, Signal, Weather
from steward.domain.guests import Guest
from steward.domain.replica import UNTOLD_CABIN
from steward.errors import Refused
from steward.ports import Clock, Store, Tx


@dataclass(frozen=True, slots=True)
class Context:
    """Of one guest at one moment. None: not known."""

    in_port: bool | None
    company: Company | None
    weather: Weather | None


class ContextService:
    """follows: another gateway of the ship is the authority, from which every gateway hears of it."""

    def __init__(self, store: Store, clock: Clock, follows: bool = False) -> None:
        self._store = store
        self._clock = clock
        self._follows = follows

    async def say_weather(self, weather: Weather | None, by: str, hours: int = WEATHER_HOURS) -> WeatherWord:
        """As it is now; believed for so many hours. None: it is not known any more.

        Raises Refused (authority_only, weather_hours).
        """
        self._check_authority()
        now_s = self._clock.now().unix_s
        try:
            word = weather_said(weather, hours, now_s)
        except ValueError as error:
            raise Refused("weather_hours", str(error)) from None

        def work(tx: Tx) -> WeatherWord:
            tx.put_weather(word)
            said = None if weather is None else weather.value
            tx.append_event(fact(EventType.WEATHER_SAID, now_s, weather=said, until_s=word.until_s, by=by))
            return word

        return await self._store.write(work)

    async def weather(self) -> WeatherWord | None:
        """What was said last, if it is still believed."""
        now_s = self._clock.now().unix_s
        word = await self._store.read(lambda tx: tx.weather(now_s))
        return word if weather_now(word, now_s) is not None else None

    async def set_port_calls(self, calls: Sequence[PortCall], by: str, known_version: int | None = None) -> PortCalls:
        """The whole itinerary anew; it counts from the next read on. The same again changes nothing.

        known_version: the one that was corrected; if another has come since, nothing is changed. Raises Refused
        (authority_only, itinerary_invalid, itinerary_changed).
        """
        self._check_authority()
        if (problem := port_calls_problem(calls)) is not None:
            raise Refused("itinerary_invalid", problem)
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> PortCalls:
            before = tx.port_calls()
            if before.calls == tuple(calls):
                return before
            if known_version not in (None, before.version):
                raise Refused("itinerary_changed", f"version {before.version} has come since: read it, correct that")
            made = PortCalls(before.version + 1, tuple(calls))
            tx.put_port_calls(made)
            tx.append_event(fact(EventType.ITINERARY_SET, now_s, version=made.version, calls=len(made.calls), by=by))
            return made

        return await self._store.write(work)

    async def port_calls(self) -> PortCalls:
        return await self._store.read(lambda tx: tx.port_calls())

    def _check_authority(self) -> None:
        if self._follows:
            raise Refused("authority_only", "this is told to every gateway by the folio authority: say it there")


def context_at(tx: Tx, guest: Guest, at_s: int, off: Collection[Signal]) -> Context:
    """For a guest who agreed to personal suggestions: the cabin is looked at for company. What is off is not read.

    Weather as it was last told by then; company and calls at ports as they are known now.
    """
    return Context(
        in_port=None if Signal.DAY in off else in_port(tx.port_calls().calls, at_s),
        company=None if Signal.COMPANY in off else _company(tx, guest),
        weather=None if Signal.WEATHER in off else weather_now(tx.weather(at_s), at_s),
    )


def stay_of(guest: Guest) -> tuple[int, int] | None:
    """The first and the last second of the stay; None at a till's gateway, which is not told."""
    return (guest.not_before_s, guest.not_after_s) if guest.not_after_s else None


def _company(tx: Tx, guest: Guest) -> Company | None:
    told = tx.company(guest.ref)
    if told is not None and told.company is not None:
        return told.company
    if UNTOLD_CABIN in guest.cabins:
        return None
    mates = {mate.ref: mate for stay in guest.cabins for mate in tx.guests_in(stay)}
    others = [mate.child for mate in mates.values() if mate.ref != guest.ref and not mate.crew]
    return company_now(None, guest.child, others)
