"""Calls about now: the weather as the bridge or the desk tells it, and the ship's calls at ports. No guest's data."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from steward.domain.context import PORT_CALLS_MAX, PORT_NAME_MAX, WEATHER_HOURS, WEATHER_HOURS_MAX, PortCall, PortCalls
from steward.domain.features import Weather
from steward.web.bundle import Services
from steward.web.endpoints import Caller, Endpoint
from steward.web.roles import Role
from steward.web.schemas import Body, UnixTime

_TELLERS = frozenset({Role.DESK, Role.PURSER})
_WEATHER, _CALLS = "/v1/weather", "/v1/port-calls"


class WeatherBody(Body):
    """null takes back what was said: the weather is not known."""

    weather: Annotated[Weather, Field(strict=False)] | None = Field(examples=["rain"])
    hours: int = Field(
        WEATHER_HOURS, ge=1, le=WEATHER_HOURS_MAX, description="How long it is believed if nothing else is said."
    )


class WeatherView(BaseModel):
    weather: str | None = Field(description="null: not known, or said too long ago.", examples=["rain"])
    said_s: int | None
    until_s: int | None


class PortCallBody(Body):
    port: str = Field(min_length=1, max_length=PORT_NAME_MAX, examples=["Bergen"])
    from_s: UnixTime
    to_s: UnixTime


class PortCallsBody(Body):
    """The whole itinerary, in order of time. version: the one that is corrected; null: whichever there is."""

    calls: list[PortCallBody] = Field(max_length=PORT_CALLS_MAX)
    version: int | None = Field(None, ge=0)


class PortCallView(BaseModel):
    port: str
    from_s: int
    to_s: int


class PortCallsView(BaseModel):
    version: int = Field(description="Counts the changes; 0: no itinerary was given.")
    calls: list[PortCallView]

    @classmethod
    def of(cls, calls: PortCalls) -> PortCallsView:
        listed = [PortCallView(port=call.port, from_s=call.from_s, to_s=call.to_s) for call in calls.calls]
        return cls(version=calls.version, calls=listed)


class ContextApi:
    def __init__(self, services: Services) -> None:
        self._context = services.context

    def endpoints(self) -> list[Endpoint]:
        elsewhere = {409: "Said at the ship's folio authority, or an itinerary that cannot be; `code` says which."}
        return [
            Endpoint("GET", _WEATHER, _TELLERS, self.get_weather, "The weather as it was told", "desk"),
            Endpoint("PUT", _WEATHER, _TELLERS, self.put_weather, "Tell the weather", "desk", problems=elsewhere),
            Endpoint("GET", _CALLS, _TELLERS, self.get_port_calls, "When the ship is in port", "desk"),
            Endpoint("PUT", _CALLS, _TELLERS, self.put_port_calls, "Correct the itinerary", "desk", problems=elsewhere),
        ]

    async def get_weather(self) -> WeatherView:
        """What was said last, while it is believed."""
        word = await self._context.weather()
        if word is None:
            return WeatherView(weather=None, said_s=None, until_s=None)
        return WeatherView(weather=word.weather, said_s=word.said_s, until_s=word.until_s)

    async def put_weather(self, body: WeatherBody, caller: Caller) -> WeatherView:
        """Counts from the next suggestion on, at every gateway. After its hours it is not known any more."""
        await self._context.say_weather(body.weather, f"token:{caller.id}", body.hours)
        return await self.get_weather()

    async def get_port_calls(self) -> PortCallsView:
        """Between the first call and the last, the ship is at sea whenever it is in no port."""
        return PortCallsView.of(await self._context.port_calls())

    async def put_port_calls(self, body: PortCallsBody, caller: Caller) -> PortCallsView:
        """Replaces all of it; corrected times count from the next suggestion on. The same again changes nothing."""
        calls = [PortCall(call.port, call.from_s, call.to_s) for call in body.calls]
        return PortCallsView.of(await self._context.set_port_calls(calls, f"token:{caller.id}", body.version))
