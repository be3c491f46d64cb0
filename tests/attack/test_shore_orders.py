"""Having shore forget whom one likes: a stolen till, a check-in desk, an old gateway put back, a voyage's old keys.

The ship's keys, its erasure service and what the link sends of an event are the real ones.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.contract.makers import ANNA, AT_S, BOB
from tests.erasurekit import fill, settle
from tests.shore.kit import NOW_S, FixedClock, Sender, deliver, prepared, stored
from tests.shore.orderkit import reasons
from tests.unit.moneykit import AES, KEYS, CountingEntropy, HandClock

from steward.adapters import keyfile
from steward.adapters.keyfile import KeyFile, Role
from steward.adapters.keyring import FileKeyRing
from steward.adapters.memory import MemoryStore
from steward.domain.erasure import Part, certificate_id
from steward.domain.erasureorder import OrderSaid
from steward.domain.events import EventType, StoredEvent, is_erased
from steward.domain.ids import GuestRef
from steward.domain.recipients import Projection
from steward.domain.usecases import REGISTER
from steward.services.erasure import BY_GUEST, ErasureService, Scene
from steward.services.shoreorder import signed_order
from steward.shore.erasedfile import ErasedFile
from steward.shore.erasure import Forgetting, erasures
from steward.shore.ingest import Ingest
from steward.shore.ordered import Why, name_authority, print_of
from steward.shore.sqlite import SqliteShore

OVER_S = AT_S + 600_001
SHORE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
SENT = Projection.by(REGISTER.shore_fields)


def voyages(count: int) -> KeyFile:
    """The ship's key file after so many voyages."""
    file, entropy = KEYS, CountingEntropy()
    for _ in range(count - 1):
        entropy.token_bytes(1)
        file = keyfile.rotate(file, entropy, AT_S)
    return file


def ring(file: KeyFile = KEYS, role: Role = Role.AUTHORITY) -> FileKeyRing:
    return FileKeyRing(file if role is Role.AUTHORITY else keyfile.export(file, role, AT_S), AES)


class Ashore:
    def __init__(self, store: SqliteShore, folder: Path) -> None:
        self.store, self._folder = store, folder

    async def hear(self, gateway: str, events: Sequence[StoredEvent]) -> None:
        """What the gateway's link sends, by the real projection."""
        sent = [SENT.of(event) for event in events]
        await deliver(Ingest(self.store, FixedClock()), Sender(sent, gateway=gateway))

    async def name(self, gateway: str, file: KeyFile = KEYS) -> int:
        digits = print_of(file.versions[-1].verify)
        return await self.store.write(name_authority("aurora", gateway, digits, NOW_S))

    async def forgotten(self) -> list[tuple[str, int]]:
        work = Forgetting(self.store, FixedClock(), SHORE_KEY, ErasedFile(self._folder / "erased"), lambda: None)
        await work.work()
        found = await self.store.read(erasures(99))
        assert all(one.done_s is not None for one in found)
        return sorted((one.ref, one.part) for one in found)


@pytest_asyncio.fixture
async def ashore(tmp_path: Path) -> AsyncIterator[Ashore]:
    store = SqliteShore.open(tmp_path / "shore.db", create=True)
    await prepared(store, aurora=("bridge", "bar", "desk"))
    yield Ashore(store, tmp_path)
    await store.close()


async def aboard(file: KeyFile = KEYS, gateway: str = "bridge", *, left: bool = True) -> list[StoredEvent]:
    """The log of a gateway that has forgotten a guest, as the guest asked."""
    store, clock = MemoryStore(), HandClock(OVER_S if left else AT_S)
    await store.write(lambda tx: fill(tx, ANNA))
    if left:
        await store.write(lambda tx: settle(tx, ANNA))
    await ErasureService(store, clock, ring(file), Scene("aurora", gateway)).erase(ANNA, BY_GUEST)
    return [event for event in await store.read(lambda tx: tx.events(0, 999)) if event.type is EventType.GUEST_ERASED]


def made_up(gateway: str, keys: FileKeyRing, ref: GuestRef = BOB, at_s: int = AT_S) -> StoredEvent:
    """An order as a gateway of ours would write it, with what its own key file can sign."""
    said = OrderSaid(ref, Part.ALL, certificate_id(ref), at_s)
    signed = signed_order(keys, said, "aurora", gateway)
    payload = {"ref": ref, "certificate": said.certificate, "part": 2, "gateway": gateway, **signed}
    return StoredEvent(1, 90, EventType.GUEST_ERASED, at_s, payload)


def evidence(ref: GuestRef) -> list[StoredEvent]:
    """What would tell of the theft, from when shore was sent references."""
    told = {"guest": ref, "amount_minor": 900, "currency": "EUR"}
    return [StoredEvent(1, seq, EventType.CHARGE_POSTED, AT_S, told) for seq in range(1, 6)]


async def kept(ashore: Ashore, gateway: str, ref: GuestRef) -> bool:
    found = await stored(ashore.store, Sender(evidence(ref), gateway=gateway))
    return not any(map(is_erased, found))


async def store_evidence(ashore: Ashore, gateway: str, ref: GuestRef) -> None:
    await deliver(Ingest(ashore.store, FixedClock()), Sender(evidence(ref), gateway=gateway))


async def test_the_true_authoritys_order_arrives_whole_through_the_link(ashore: Ashore) -> None:
    await ashore.name("bridge")
    events = await aboard()
    await store_evidence(ashore, "bar", ANNA)
    await ashore.hear("bridge", [replace(event, epoch=7) for event in events])
    assert await ashore.forgotten() == [(ANNA, 2)]
    assert not await kept(ashore, "bar", ANNA)


async def test_a_stolen_till_has_nobody_forgotten_and_hides_nothing(ashore: Ashore) -> None:
    await ashore.name("bridge")
    await store_evidence(ashore, "bar", BOB)
    true = await aboard()
    for gateway in ("bar", "bridge"):  # also where it can write into the payload what it likes
        till = made_up("bar", ring(role=Role.TILL))
        await ashore.hear("bar", [replace(till, payload={**till.payload, "gateway": gateway}, epoch=len(gateway))])
    proof = {name: true[0].payload[name] for name in ("keys", "signatures")}
    stolen = made_up("bar", ring(role=Role.TILL))
    await ashore.hear("bar", [replace(stolen, payload={**stolen.payload, **proof}, epoch=20)])
    await ashore.hear("bar", [replace(event, epoch=21) for event in true])  # the authority's own, sent again
    assert await ashore.forgotten() == []
    assert await kept(ashore, "bar", BOB)
    assert sorted(await reasons(ashore.store)) == [Why.GATEWAY, Why.GATEWAY, Why.WORD, Why.WORD]


async def test_a_stolen_desk_that_holds_the_voyages_key_is_not_the_authority(ashore: Ashore) -> None:
    await ashore.name("bridge")
    order = made_up("desk", ring(role=Role.ENCODER))
    assert order.payload["signatures"]
    await ashore.hear("desk", [order])
    assert await ashore.forgotten() == []
    assert await reasons(ashore.store) == [Why.GATEWAY]


async def test_a_guest_whose_folio_is_open_is_not_made_to_be_one_who_left(ashore: Ashore) -> None:
    """Who can bend what the authority sends makes no order for everything of one for a part."""
    await ashore.name("bridge")
    (event,) = await aboard(left=False)
    assert event.payload["part"] == Part.OPTIONAL
    await ashore.hear("bridge", [replace(event, payload={**event.payload, "part": 2})])
    assert await ashore.forgotten() == []
    assert await reasons(ashore.store) == [Why.SIGNATURE]
    await ashore.hear("bridge", [replace(event, epoch=9)])
    assert await ashore.forgotten() == [(ANNA, 1)]


async def test_a_gateway_that_took_over_is_obeyed_and_the_old_one_put_back_is_not(ashore: Ashore) -> None:
    await ashore.name("bridge")
    await ashore.name("desk", voyages(2))
    await ashore.hear("desk", await aboard(voyages(2), "desk"))
    old = made_up("bridge", ring())
    await ashore.hear("bridge", [old])
    assert await ashore.forgotten() == [(ANNA, 2)]
    assert await reasons(ashore.store) == [Why.GATEWAY]


async def test_a_new_voyages_keys_follow_by_themselves_and_those_of_long_ago_end(ashore: Ashore) -> None:
    await ashore.name("bridge")
    await ashore.hear("bridge", [replace(event, epoch=4) for event in await aboard(voyages(4))])
    assert await ashore.forgotten() == [(ANNA, 2)]
    for number, old in enumerate((voyages(1), voyages(2)), 5):
        await ashore.hear("bridge", [replace(made_up("bridge", ring(old)), epoch=number)])
    assert await ashore.forgotten() == [(ANNA, 2)]
    assert await reasons(ashore.store) == [Why.KEY, Why.KEY]
    await ashore.hear("bridge", [replace(made_up("bridge", ring(voyages(3))), epoch=8)])
    assert await ashore.forgotten() == [(ANNA, 2), (BOB, 2)]


async def test_an_order_from_before_shore_knew_the_ship_is_carried_out_later(ashore: Ashore) -> None:
    await store_evidence(ashore, "bar", ANNA)
    await ashore.hear("bridge", [replace(event, epoch=7) for event in await aboard()])
    assert await ashore.forgotten() == []
    assert await kept(ashore, "bar", ANNA)
    assert await ashore.name("bridge") == 1
    assert await ashore.forgotten() == [(ANNA, 2)]
    assert not await kept(ashore, "bar", ANNA)


@pytest.mark.parametrize("at_s", [0, 5, 4_000_000_000])
async def test_the_authority_with_a_lost_clock_is_still_obeyed(ashore: Ashore, at_s: int) -> None:
    await ashore.name("bridge")
    await ashore.hear("bridge", [made_up("bridge", ring(), at_s=at_s)])
    assert await ashore.forgotten() == [(BOB, 2)]


async def test_an_order_is_no_other_paper_the_ship_signs(ashore: Ashore) -> None:
    """The certificate's own signature, which every guest holds, orders nothing."""
    await ashore.name("bridge")
    store = MemoryStore()
    await store.write(lambda tx: (fill(tx, ANNA), settle(tx, ANNA)))
    service = ErasureService(store, HandClock(OVER_S), ring(), Scene("aurora", "bridge"))
    await service.erase(ANNA, BY_GUEST)
    paper = (await service.certificate(ANNA))["signature"]
    given = {"keys": bytes.fromhex(paper["key"]), "signatures": bytes.fromhex(paper["value"])}
    order = made_up("bridge", ring(role=Role.TILL), ANNA)
    await ashore.hear("bridge", [replace(order, payload={**order.payload, **given})])
    assert await ashore.forgotten() == []
    assert await reasons(ashore.store) == [Why.SIGNATURE]


async def test_a_gateway_that_follows_says_only_its_word_whatever_keys_it_holds() -> None:
    store = MemoryStore()
    scene = Scene("aurora", "desk", follows=True)
    service = ErasureService(store, HandClock(OVER_S), ring(role=Role.ENCODER), scene)
    await store.write(lambda tx: (fill(tx, ANNA), settle(tx, ANNA)))
    await store.write(lambda tx: tx.destroy_key(ANNA))  # as the file of keys says it after a restore
    assert await service.sweep() == 1
    told = [e for e in await store.read(lambda tx: tx.events(0, 999)) if e.type is EventType.GUEST_ERASED]
    assert [set(event.payload) for event in told] == [{"ref", "certificate", "part", "gateway"}]
