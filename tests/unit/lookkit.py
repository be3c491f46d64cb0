"""A gateway's look-up log with its signer, in memory, and a witness that signs what it is shown."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.contract.makers import ANNA, AT_S
from tests.contract.serviceparts import look
from tests.unit.moneykit import ring

from steward.adapters.keyfile import Role
from steward.adapters.memory import MemoryStore
from steward.domain.batches import DownMessage, sign_down
from steward.domain.events import EventType, StoredEvent
from steward.domain.ids import GuestRef
from steward.domain.lookleaf import origin
from steward.domain.lookwords import HeadSaid, WitnessWord, encode_words, head_said
from steward.domain.signednote import Checkpoint, cosigned
from steward.domain.topics import down_topic
from steward.domain.viewing import Field
from steward.ports import ClockReading, Store, Tx
from steward.ports.sync import PipeMessage
from steward.services.downlink import DownlinkService, DownlinkSettings, DownOutcome
from steward.services.lookheads import LookHeads, RingSigner
from steward.services.lookproof import LookProofs
from steward.services.lookwitness import witness_applier

SHORE_KEY = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
SHORE = SHORE_KEY.public_key().public_bytes_raw()
SHIP, GATEWAY = "aurora", "main"


class LookClock:
    def __init__(self) -> None:
        self.now_s = AT_S

    def now(self) -> ClockReading:
        return ClockReading(self.now_s, True)

    def monotonic_ms(self) -> float:
        return self.now_s * 1000.0


@dataclass
class LookLog:
    """`role`: of the key file that signs heads."""

    role: Role = Role.AUTHORITY
    store: Store = field(default_factory=MemoryStore)
    clock: LookClock = field(default_factory=LookClock)

    def __post_init__(self) -> None:
        self.heads = LookHeads(self.store, self.clock, RingSigner(ring(self.role)), SHIP, GATEWAY)
        self.proofs = LookProofs(self.store, self.clock, self.heads)
        applier = witness_applier(SHIP, GATEWAY, (SHORE,))
        self.downlink = DownlinkService(self.store, self.clock, DownlinkSettings(SHIP, (SHORE,)), {"witness": applier})
        self._version = 0

    async def look(self, count: int = 1, ref: GuestRef = ANNA, **changes: Any) -> None:
        def work(tx: Tx) -> None:
            for _ in range(count):
                asked = look({Field.PREFERRED_NAME, Field.LANGUAGE})
                tx.log_look_up(replace(asked, at_s=self.clock.now_s, guest=ref, **changes))

        await self.store.write(work)

    async def events(self, type_: EventType) -> list[StoredEvent]:
        found = await self.store.read(lambda tx: tx.events(0, 100_000))
        return [event for event in found if event.type is type_]

    async def said(self) -> list[HeadSaid]:
        """The heads that travel to shore."""
        found = [head_said(event.payload) for event in await self.events(EventType.LOOK_HEAD_SIGNED)]
        return [head for head in found if head is not None]

    async def alerts(self) -> list[str]:
        return [str(event.payload["alert"]) for event in await self.events(EventType.STAFF_ALERT)]

    async def witness(self, refused: str = "", **changes: Any) -> WitnessWord:
        """Shore signs the last head and tells the ship."""
        last, epoch = (await self.said())[-1], await self.store.read(lambda tx: tx.epoch())
        text = Checkpoint(origin(SHIP, GATEWAY, epoch), last.size, last.root).text
        at_s = self.clock.now_s
        signature = SHORE_KEY.sign(cosigned(text, at_s))
        word = replace(WitnessWord(GATEWAY, epoch, last.size, last.root, at_s, signature, refused), **changes)
        assert await self.down([word]) is DownOutcome.APPLIED
        return word

    async def down(self, words: list[WitnessWord]) -> DownOutcome:
        self._version += 1
        message = DownMessage(SHIP, "witness", self._version, self.clock.now_s, encode_words(words))
        payload = sign_down(message, SHORE_KEY)
        return await self.downlink.receive(PipeMessage(down_topic(SHIP, "witness"), payload))
