"""A radio at this gateway, or at another gateway of the ship: what it heard, and asking one band for something."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Sighting:
    """One advertisement of a name. address: from where it came, as the radio wants it for connecting."""

    name: bytes
    rssi: int
    address: str
    at_ms: float  # of the gateway's monotonic clock


@dataclass(frozen=True, slots=True)
class RadioState:
    """state: "starting", "on", "fault", "away". dropped: sightings that nobody took in time."""

    name: str
    zone: str
    state: str
    heard: int
    dropped: int


class Radio(Protocol):
    """A scanner with its place. Nothing that it hears is kept anywhere but in its queue."""

    @property
    def name(self) -> str: ...

    @property
    def zone(self) -> str: ...

    def status(self) -> RadioState: ...

    def take(self) -> Sequence[Sighting]:
        """What was heard since the last call, oldest first; of much more than fits, the newest."""
        ...

    async def ask(self, address: str, passkey: int, kind: int, data: bytes) -> tuple[int, bytes]:
        """Connect to the band at this address, pair with it, and have one request answered: bandwire.radio.

        Returns the answer's status and data. Raises BandAway.
        """
        ...


class Talk(Protocol):
    """A paired link to one band that lasts."""

    async def ask(self, kind: int, data: bytes = b"") -> tuple[int, bytes]:
        """The answer's status and data. Raises BandAway, also once somebody else wants the radio."""
        ...


@runtime_checkable
class TalkingRadio(Protocol):
    """A radio of this gateway itself, which can hold a link to a band for as long as an update takes."""

    def talk(self, address: str, passkey: int) -> AbstractAsyncContextManager[Talk]:
        """Connected and paired. Raises BandAway."""
        ...
