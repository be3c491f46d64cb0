"""Releases of the bands' program for tests: made, ordered, and a gateway that brings them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.contract.makers import band, guest, uid
from tests.linkkit import LoopClock
from tests.unit.radiokit import ADDRESS, FakeRadio

from bandwire import release as wire
from steward.adapters.memory import MemoryStore
from steward.domain.bandstages import Order, Stage, encode_orders
from steward.domain.batches import DownMessage, sign_down
from steward.domain.guests import CabinStay
from steward.domain.ids import GuestRef, Uid
from steward.domain.topics import down_topic
from steward.ports import Store, Tx
from steward.ports.sync import PipeMessage
from steward.services.bandreleases import KIND, BandReleases
from steward.services.downlink import DownlinkService, DownlinkSettings, DownOutcome
from steward.services.fromshore import APPLIERS
from steward.services.presence import Heard

SHORE, RELEASE = Ed25519PrivateKey.from_private_bytes(bytes(32)), Ed25519PrivateKey.from_private_bytes(b"R" * 32)
URL = "https://fleet.example/band.release"


def public_of(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def container(
    number: int, minimum: int = 1, *, key: Ed25519PrivateKey = RELEASE, files: Mapping[str, bytes] | None = None
) -> bytes:
    inside = files or {"band/app.mpy": os.urandom(40), "bandwire/wire.mpy": b"w"}
    listed = [(path, len(data), hashlib.sha256(data).digest()) for path, data in inside.items()]
    header = wire.pack_header(number, minimum, "esp32", f"v{number}", listed)
    return header + key.sign(wire.signed_input(header)) + b"".join(data for _, data in sorted(inside.items()))


def order(content: bytes, number: int, *stages: Stage, limit: int = 10) -> Order:
    whole = stages or (Stage(100, None, 1, 0),)
    return Order(number, hashlib.sha256(content).hexdigest(), len(content), URL, limit, whole)


def told(number: int, other: int = 0, state: int = wire.NOTHING, *, running: int = 0, current: int = 0) -> bytes:
    """What a band says of its programs."""
    words = b"".join(value.to_bytes(4, "little") for value in (number, other, 1, 1))
    return bytes((running, current, state, 0)) + words


@dataclass
class Files:
    """ReleaseFiles in memory."""

    here: dict[str, bytes] = field(default_factory=dict)

    def put(self, content: bytes) -> None:
        self.here[hashlib.sha256(content).hexdigest()] = content

    async def read(self, sha256: str) -> bytes | None:
        return self.here.get(sha256)


class LongClock(LoopClock):
    """Hours pass in no time."""

    passed_s = 0.0

    def monotonic_ms(self) -> float:
        return super().monotonic_ms() + self.passed_s * 1000

    def tick(self, seconds: float) -> None:
        self.wall_s += seconds
        self.passed_s += seconds


@dataclass
class Ears:
    """services.bandwatch.Listener: hears whom the test says."""

    clock: LongClock
    listens: bool = True
    heard_ms: dict[Uid, float] = field(default_factory=dict)

    def hear(self, *uids: Uid) -> None:
        self.heard_ms |= dict.fromkeys(uids, self.clock.monotonic_ms())

    def where(self, uid: Uid) -> Heard | None:
        at_ms = self.heard_ms.get(uid)
        return None if at_ms is None else Heard(FakeRadio("gw1", "deck 8"), ADDRESS, 0, at_ms, None)


class Aboard:
    """A gateway that hears shore and brings bands their program. Bands 1..n are issued, in cabins 8001 and on."""

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or MemoryStore(first_epoch=1)
        self.clock, self.files = LongClock(), Files()
        self.ears = Ears(self.clock)
        settings = DownlinkSettings("aurora", (public_of(SHORE),))
        self.downs = DownlinkService(self.store, self.clock, settings, APPLIERS)
        self.restart()

    def restart(self) -> None:
        self.releases = BandReleases(self.store, self.clock, self.files, public_of(RELEASE), self.ears)

    async def hear(
        self, version: int, body: bytes, *, ship: str = "aurora", key: Ed25519PrivateKey = SHORE
    ) -> DownOutcome:
        signed = sign_down(DownMessage(ship, KIND, version, 1_800_000_000, body), key)
        return await self.downs.receive(PipeMessage(down_topic("aurora", KIND), signed))

    async def given(self, number: int, *stages: Stage, limit: int = 10, version: int | None = None) -> bytes:
        """Ordered, arrived and looked at."""
        content = container(number)
        self.files.put(content)
        ordered = encode_orders(order(content, number, *stages, limit=limit))
        assert await self.hear(version or number, ordered) is DownOutcome.APPLIED
        await self.releases.look()
        return content

    async def issue(self, count: int) -> list[Uid]:
        def work(tx: Tx) -> None:
            for number in range(1, count + 1):
                ref = GuestRef(f"{number:016x}")
                tx.put_guest(replace(guest(ref), cabins=(CabinStay(8000 + number, 1),)))
                tx.put_band(band(number, ref))

        await self.store.write(work)
        return [uid(number) for number in range(1, count + 1)]

    async def begin(self, uid: Uid) -> None:
        """Its content is being sent to this band."""
        release = await self.releases.next_for(uid)
        assert release is not None
        assert await self.releases.begin(uid, release)

    async def offered(self, uids: list[Uid]) -> int:
        return sum([await self.releases.next_for(one) is not None for one in uids])
