"""Calls about signals: what of a guest's past and of the moment may choose what is offered, as the desk is told."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from steward.domain.features import Signal
from steward.domain.ids import GuestRef
from steward.domain.signals import Switch
from steward.domain.viewing import Field as Seen
from steward.ports import Tx
from steward.services.lookups import guest_in
from steward.services.signals import HISTORY_MAX, signals_of
from steward.web.bundle import Services
from steward.web.endpoints import Caller, Endpoint
from steward.web.looking import Looking
from steward.web.roles import Role
from steward.web.schemas import Body, RefPath

_DESK = frozenset({Role.DESK})
_PATH = "/v1/guests/{ref}/signals"


class SignalsBody(Body):
    """What the guest says, by signal: true for on, false for off. Signals that are not named stay as they are."""

    signals: Annotated[
        dict[Annotated[Signal, Field(strict=False)], bool],
        Field(min_length=1, examples=[{"history": False, "weather": True}]),
    ]


class SwitchView(BaseModel):
    signal: str
    on: bool
    at_s: int
    version: int = Field(description="Counts the changes, from 1.")

    @classmethod
    def of(cls, switch: Switch) -> SwitchView:
        return cls(signal=switch.signal.value, on=switch.on, at_s=switch.at_s, version=switch.version)


class SignalsView(BaseModel):
    signals: dict[str, bool] = Field(description="Every signal there is: whether it is on. All are until switched off.")
    history: list[SwitchView] = Field(description=f"Every word, newest first; at most {HISTORY_MAX}.")


class SignalApi:
    def __init__(self, services: Services) -> None:
        self._signals = services.signals
        self._looking = Looking(services.lookups)

    def endpoints(self) -> list[Endpoint]:
        missing = {404: "No such guest."}
        elsewhere = {409: "Guests are kept at the ship's folio authority: send it there."}
        get, put = "What may choose for a guest", "What a guest switches off or on"
        return [
            Endpoint("GET", _PATH, _DESK, self.get_signals, get, "desk", problems=missing),
            Endpoint("PUT", _PATH, _DESK, self.put_signals, put, "desk", problems=missing | elsewhere),
        ]

    async def get_signals(self, ref: RefPath, caller: Caller) -> SignalsView:
        """Signal by signal, with every change of it. A look-up: it is logged."""
        return await self._looking.read(caller, GuestRef(ref), Seen.CONSENTS, lambda tx: _view(tx, GuestRef(ref)))

    async def put_signals(self, ref: RefPath, body: SignalsBody, caller: Caller) -> SignalsView:
        """Counts from the next suggestion on, at every gateway that is connected. Sent again it changes nothing.

        What is off is neither shown to a model nor exported to learn from. What is popular with everybody is not
        personal and has no switch: a no to the consent `suggestions` stops all of them.
        """
        await self._signals.say(GuestRef(ref), body.signals, f"token:{caller.id}")
        return await self._looking.read(caller, GuestRef(ref), Seen.CONSENTS, lambda tx: _view(tx, GuestRef(ref)))


def _view(tx: Tx, ref: GuestRef) -> SignalsView:
    guest_in(tx, ref)
    found = signals_of(tx, ref)
    return SignalsView(
        signals={signal.value: signal not in found.off for signal in Signal},
        history=[SwitchView.of(switch) for switch in found.history],
    )
