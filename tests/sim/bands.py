"""Wristbands of the simulation: the band's own applet over a flash that survives, and a field it can be torn from."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

from steward.adapters.aes import HostAes
from steward.errors import CardRemoved, ReaderFault
from steward.ports import Card

_DEVICE = str(Path(__file__).parents[2] / "firmware" / "device")
if _DEVICE not in sys.path:
    sys.path.append(_DEVICE)

from band.applet import Applet  # noqa: E402 - MicroPython's subset of the language, run here by CPython
from band.card import Card as AppletCard  # noqa: E402
from band.card import factory_records  # noqa: E402
from band.store import Store as AppletStore  # noqa: E402

EXCHANGE_S = 0.004


class Flash:
    """Two slots a record, in memory. A cut between commands leaves whole writes only: torn ones have their own test."""

    def __init__(self) -> None:
        self._slots: dict[tuple[str, int], bytes] = {}

    def read(self, name: str, slot: int) -> bytes | None:
        return self._slots.get((name, slot))

    def write(self, name: str, slot: int, data: bytes) -> None:
        self._slots[(name, slot)] = data


class Band:
    """One wristband, active or passive."""

    def __init__(self, uid: bytes, rng: random.Random, *, active: bool = True) -> None:
        self.uid = uid
        self._rng = rng
        self._active = active
        self._flash = Flash()
        AppletStore(self._flash).format(factory_records(uid))
        self.applet = self._power_up()

    def _power_up(self) -> Applet:
        card = AppletCard(AppletStore(self._flash), lambda: None)
        return Applet(HostAes(), card, self._rng.randbytes, lambda _: None, self._active)

    def enter(self, torn_at: int | None) -> FieldCard:
        """Into a reader's field; `torn_at`: the exchange (from 0) during which it is pulled away."""
        self.applet = self._power_up()
        self.applet.reset()
        shown = b"\x08" + self._rng.randbytes(3) if self.applet.card.random_id else self.uid
        return FieldCard(self.applet, shown, torn_at, answered=self._rng.random() < 0.5)


class FieldCard:
    """ports.Card: the applet at the other end of a few milliseconds of air."""

    def __init__(self, applet: Applet, anticollision_id: bytes, torn_at: int | None, *, answered: bool) -> None:
        self._applet = applet
        self._id = anticollision_id
        self._torn_at = torn_at
        self._answered = answered  # whether the band had done the torn command before it was gone
        self._count = 0

    @property
    def anticollision_id(self) -> bytes:
        return self._id

    async def exchange(self, capdu: bytes) -> bytes:
        await asyncio.sleep(EXCHANGE_S)
        number, self._count = self._count, self._count + 1
        if self._torn_at is not None and number >= self._torn_at:
            if number == self._torn_at and self._answered:
                self._applet.process(capdu)
            raise CardRemoved("pulled away")
        answer: bytes = self._applet.process(capdu)
        return answer


class SimReader:
    """ports.CardReader: cards are put into its field by the simulation, one after the other."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: deque[tuple[FieldCard, asyncio.Event]] = deque()
        self._bell = asyncio.Event()
        self._done: Callable[[], None] | None = None
        self._closed = False

    @property
    def name(self) -> str:
        return self._name

    async def present(self, card: FieldCard) -> None:
        """Hold a card to the reader until it has been served, or the reader has no power."""
        served = asyncio.Event()
        self._waiting.append((card, served))
        self._bell.set()
        await served.wait()

    async def connect(self) -> Card:
        while not self._waiting:
            if self._closed:
                raise ReaderFault(f"reader {self._name} has no power")
            self._bell.clear()
            await self._bell.wait()
        card, served = self._waiting.popleft()
        self._done = served.set
        return card

    async def disconnect(self, card: Card) -> None:
        if self._done is not None:
            self._done()
            self._done = None

    async def close(self) -> None:
        self._closed = True
        for _, served in self._waiting:
            served.set()
        self._waiting.clear()
        if self._done is not None:
            self._done()
        self._bell.set()
