"""Passive wristbands on a PC/SC reader, in the same station as cables: each that is laid down is a band plugged in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from bandtool.bands import Step, Tell
from bandtool.provision import KEYING_STEPS, Bench, provision
from bandtool.station import Maker, PortLister, PortSeen
from steward.adapters.pcsc import PcscReader, list_readers
from steward.errors import CardRemoved, ConfigError, ReaderFault
from steward.ports import Card, CardReader

AGAIN_S = 1.0  # before a reader that failed is asked again


class ReaderStand:
    """One reader: a station.PortLister and its Maker. run() as long as the station.

    A wristband stays on the screen until the next one is laid down.
    """

    def __init__(self, reader: CardReader, bench: Bench) -> None:
        self._reader = reader
        self._bench = bench
        self._card: Card | None = None
        self._served = asyncio.Event()
        self._count = 0

    @property
    def name(self) -> str:
        return self._reader.name

    def ports(self) -> Sequence[PortSeen]:
        return [PortSeen(self.name, self._count)] if self._count else []

    async def run(self) -> None:
        """Take one wristband after the other; never ends by itself."""
        while True:
            try:
                card = await self._reader.connect()
            except ReaderFault:
                await asyncio.sleep(AGAIN_S)
                continue
            self._served.clear()
            self._card = card
            self._count += 1
            try:
                await self._served.wait()
            finally:
                self._card = None
                await self._reader.disconnect(card)

    async def make(self, port: str, tell: Tell) -> None:
        """A station.Maker's."""
        card = self._card
        if card is None:
            raise CardRemoved("the wristband left the reader: lay it down again, and leave it there until it is done")
        try:
            await provision(
                self._bench,
                card,
                self._bench.factory,
                lambda step: tell.step(Step.KEYING, 100 * step // KEYING_STEPS),
                tell.meet,
            )
        finally:
            self._served.set()

    async def close(self) -> None:
        await self._reader.close()


class Together:
    """Cables and readers as one: whose a port is, its name says."""

    def __init__(self, cables: PortLister | None, cable_maker: Maker, stands: Sequence[ReaderStand]) -> None:
        self._cables = cables
        self._cable_maker = cable_maker
        self._stands: Mapping[str, ReaderStand] = {stand.name: stand for stand in stands}

    def ports(self) -> Sequence[PortSeen]:
        found = [seen for stand in self._stands.values() for seen in stand.ports()]
        return [*found, *(() if self._cables is None else self._cables.ports())]

    async def make(self, port: str, tell: Tell) -> None:
        maker: Maker = self._stands.get(port, self._cable_maker)
        await maker.make(port, tell)


def find_readers(wanted: str) -> list[PcscReader]:
    """wanted: "auto" for every reader, else a name or a part of it. Raises ConfigError, ReaderFault."""
    names = list_readers()
    found = names if wanted == "auto" else [name for name in names if wanted in name]
    if not found:
        raise ConfigError("--reader", f"finds no reader {wanted!r}; there are: {', '.join(names) or 'none'}")
    return [PcscReader(name) for name in found]
