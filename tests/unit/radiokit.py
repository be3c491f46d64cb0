"""A ship in memory with bands that have radios, and radios that hear what the test says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.unit.moneykit import AES, NOON_S, HandClock, ring
from tests.unit.servicekit import KIRA, guest

from bandwire import radio
from bandwire.condition import Condition
from bandwire.keys import K_MASTER
from steward.adapters.eidaes import encrypt_blocks
from steward.adapters.keyfile import Role
from steward.adapters.memory import MemoryStore
from steward.domain.consent import Consent, ConsentPurpose, Source
from steward.domain.eidtable import names_of
from steward.domain.guests import Band, BandState
from steward.domain.ids import GuestRef, Uid
from steward.domain.presence import Presence
from steward.domain.untracked import Untracked
from steward.errors import BandAway
from steward.ports import Tx
from steward.ports.radio import RadioState, Sighting
from steward.services.bandradio import note_radio
from steward.services.findme import FindMe
from steward.services.presence import PresenceService
from steward.services.radiowishes import RadioWishes

UID = Uid("04A1A1A1A1A1A1")
ADDRESS = "C1:00:00:00:00:01"
PERIOD = 40  # in which the band is when it is tapped, at noon
ALL = radio.PERIOD_S


@dataclass
class FakeRadio:
    """ports.radio.Radio at the hardware's boundary."""

    name: str
    zone: str
    heard: list[Sighting] = field(default_factory=list)
    asked: list[tuple[str, int, int, bytes]] = field(default_factory=list)
    answer: tuple[int, bytes] | None = (radio.DONE, b"")

    def status(self) -> RadioState:
        return RadioState(self.name, self.zone, "on", 0, 0)

    def take(self) -> Sequence[Sighting]:
        taken, self.heard = self.heard, []
        return taken

    async def ask(self, address: str, passkey: int, kind: int, data: bytes) -> tuple[int, bytes]:
        self.asked.append((address, passkey, kind, data))
        if self.answer is None:
            raise BandAway("out of reach")
        return self.answer


class RadioShip:
    """Kira wears a band whose radio is on; she agreed to be found. Radios at the pool and in the spa."""

    def __init__(self, role: Role = Role.AUTHORITY) -> None:
        self.store, self.clock, self.ring = MemoryStore(), HandClock(), ring(role)
        self.pool, self.spa = FakeRadio("gw1", "pool"), FakeRadio("gw2", "spa")
        self.presence = PresenceService(self.store, self.clock, self.ring, AES, encrypt_blocks, [self.pool, self.spa])
        self.find_me = FindMe(self.store, self.clock, self.presence)
        self.wishes = RadioWishes(self.store, self.clock)

    async def board(self, ref: GuestRef = KIRA, uid: Uid = UID, serial: int = 1, **changes: Any) -> None:
        def work(tx: Tx) -> None:
            tx.put_guest(guest(ref, **changes))
            tx.put_band(Band(uid, ref, serial, True, 1, True, BandState.ISSUED))
            note_radio(tx, uid, Condition(80, False, True, PERIOD), NOON_S)

        await self.store.write(work)

    async def agree(self, ref: GuestRef = KIRA, *, yes: bool = True) -> None:
        def work(tx: Tx) -> None:
            known = tx.consent(ref, ConsentPurpose.PRESENCE)
            version = 1 if known is None else known.version + 1
            tx.put_consent(
                Consent(ref, ConsentPurpose.PRESENCE, yes, self.clock.unix_s + version, Source.ABOARD, version)
            )

        await self.store.write(work)

    async def untrack(self, ref: GuestRef = KIRA, *, on: bool = True) -> None:
        await self.store.write(lambda tx: tx.put_untracked(Untracked(ref, on, self.clock.unix_s, 1)))

    def identity(self, uid: Uid = UID) -> bytes:
        return radio.identity_key(AES, self.ring.card_key(bytes.fromhex(uid), K_MASTER, 1))

    def name(self, period: int, uid: Uid = UID) -> bytes:
        ((_, name),) = names_of(self.identity(uid), [period], encrypt_blocks)
        return name

    def period(self) -> int:
        """In which a band that was told at noon is now."""
        return PERIOD + (self.clock.unix_s - NOON_S) // ALL

    def say(
        self, where: FakeRadio, rssi: int = -60, address: str = ADDRESS, uid: Uid = UID, period: int | None = None
    ) -> None:
        name = self.name(self.period() if period is None else period, uid)
        where.heard.append(Sighting(name, rssi, address, self.clock.ms))

    async def stand(self, where: FakeRadio, seconds: int = 20, **how: object) -> None:
        """So long at one place."""
        for _ in range(seconds):
            self.say(where, **how)  # type: ignore[arg-type]
            await self.presence.tick()
            self.clock.tick(1)

    async def kept(self, ref: GuestRef = KIRA) -> Presence | None:
        return await self.store.read(lambda tx: tx.presence(ref))


async def afloat(role: Role = Role.AUTHORITY) -> RadioShip:
    ship = RadioShip(role)
    await ship.board()
    await ship.agree()
    return ship
