"""Forgetting a guest ashore: by order of the ship, in what is there and in what comes late, and after a restore."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.shore import kit
from tests.shore.conftest import Reopen
from tests.shore.kit import NOW_S, FixedClock, Sender, deliver, stored, table, wire
from tests.shore.orderkit import GONE, named, order
from tests.shore.rig import eventually

from steward.adapters.system import OsEntropy
from steward.domain.batches import BadDown, open_down
from steward.domain.consent import ConsentPurpose
from steward.domain.downs import ERASURES_MAX, decode_erasures, decode_freeze, encode_erasures
from steward.domain.events import ERASED_PAYLOAD, EventType, StoredEvent, is_erased
from steward.domain.ids import GuestRef, Uid
from steward.domain.shorebodies import ConsentChange, decode_consents
from steward.domain.topics import consent_kind
from steward.errors import StoreUnavailable
from steward.shore import backup as copying
from steward.shore.decisions import Signer, change_consent, deny, freeze
from steward.shore.downs import message_of, newest_body, newest_of
from steward.shore.erasedfile import ErasedFile, Order
from steward.shore.erasure import CHUNK_EVENTS, Forgetting, erasures
from steward.shore.ingest import Ingest
from steward.shore.sqlite import SqliteShore
from steward.shore.store import ShoreStore

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
OTHER = GuestRef("ffeeddccbbaa9988")
UID = "04A1B2C3D4E5F6"


def log(count: int, epoch: int = 100, first: int = 1) -> list[StoredEvent]:
    """Charges of both guests in turn, as a gateway of before the upgrade sent them."""
    return [
        StoredEvent(epoch, seq, EventType.CHARGE_POSTED, NOW_S + seq, payload(GONE if seq % 2 else OTHER, seq))
        for seq in range(first, first + count)
    ]


def payload(ref: str, seq: int) -> dict[str, str | int]:
    return {"guest": ref, "uid": UID, "amount_minor": seq, "by": f"guest:{ref}"}


async def prepared(empty: ShoreStore, **gateways: Sequence[str]) -> ShoreStore:
    """A store of ships whose authority is their gw1."""
    store = await kit.prepared(empty, **gateways)
    for ship in gateways or ("aurora",):
        await named(store, ship)
    return store


@pytest_asyncio.fixture
async def store(empty: ShoreStore) -> ShoreStore:
    return await prepared(empty)


def forgetting(store: ShoreStore, folder: Path, told: list[str] | None = None) -> Forgetting:
    tell = (lambda: None) if told is None else (lambda: told.append("told"))
    return Forgetting(store, FixedClock(), KEY, ErasedFile(folder / "erased"), tell)


async def payloads(store: ShoreStore) -> bytes:
    """Everything ashore that could name a guest, but the orders themselves."""
    found = b""
    for row in await store.read(table("SELECT payload FROM event WHERE type <> ?", int(EventType.GUEST_ERASED))):
        found += bytes(row[0])  # type: ignore[call-overload]
    for row in await store.read(table("SELECT body, message FROM down WHERE kind <> ?", "erasures")):
        found += bytes(row[0]) + bytes(row[1])  # type: ignore[call-overload]
    return found


def assert_forgotten(found: bytes) -> None:
    assert GONE.encode() not in found
    assert bytes.fromhex(GONE) not in found


async def confirmed(store: ShoreStore, ship: str = "aurora") -> tuple[tuple[str, int, int], ...]:
    issued = await store.read(newest_of(ship, "erasures"))
    opened = open_down(await store.read(message_of(issued)), [KEY.public_key().public_bytes_raw()])
    assert opened.version == issued.version
    return decode_erasures(opened.body)


async def test_what_is_there_is_emptied_in_every_log_of_the_ship_and_of_no_other(
    empty: ShoreStore, tmp_path: Path
) -> None:
    store = await prepared(empty, aurora=("gw1", "gw2"), borealis=("gw1",))
    ingest = Ingest(store, FixedClock())
    senders = [Sender(log(30)), Sender(log(30), gateway="gw2"), Sender(log(9, 50), gateway="gw2")]
    elsewhere = Sender(log(30), ship="borealis")
    for sender in (*senders, elsewhere):
        await deliver(ingest, sender)
    told: list[str] = []
    work = forgetting(store, tmp_path, told)
    assert await work.work() == 0
    await deliver(ingest, Sender([order(1, epoch=7)]))
    assert await work.work() == 1
    for sender in senders:
        for event in (await stored(store, sender))[: len(sender.events)]:
            assert is_erased(event) == bool(event.seq % 2)
            assert event.at_s == NOW_S + event.seq
    assert await stored(store, elsewhere) == list(elsewhere.events)
    assert await confirmed(store) == ((GONE, 2, NOW_S),)
    assert told == ["told"]
    (done,) = await store.read(erasures(9))
    assert (done.ship, done.ref, done.events, done.done_s) == ("aurora", GONE, 15 + 15 + 5, NOW_S)
    assert await work.work() == 0
    assert (await store.read(newest_of("aurora", "erasures"))).version == NOW_S
    assert ingest.counts["conflicts"] == 0


async def test_what_comes_after_the_order_is_stored_emptied(store: ShoreStore, tmp_path: Path) -> None:
    ingest = Ingest(store, FixedClock())
    await deliver(ingest, Sender([order(1)]))
    late = Sender(log(20), gateway="gw2")
    await deliver(ingest, late)
    await deliver(ingest, late)  # and once more: no contradiction
    kept = await stored(store, late)
    assert [is_erased(event) for event in kept] == [bool(event.seq % 2) for event in kept]
    assert ingest.counts["conflicts"] == 0
    assert_forgotten(await payloads(store))
    assert await forgetting(store, tmp_path).work() == 1


async def test_an_erased_event_that_comes_again_as_it_was_stays_erased(store: ShoreStore, tmp_path: Path) -> None:
    ingest, sender = Ingest(store, FixedClock()), Sender(log(10))
    await deliver(ingest, sender)
    await deliver(ingest, Sender([order(1, epoch=101)]))
    await forgetting(store, tmp_path).work()
    sender.covered = [0] * 5
    await deliver(ingest, sender)
    assert_forgotten(await payloads(store))
    assert ingest.counts["conflicts"] == 0


async def test_decisions_about_the_guest_go_and_others_stay(store: ShoreStore, tmp_path: Path) -> None:
    signer = Signer(KEY, "test", NOW_S)
    twin = GuestRef(GONE[:2] + "99887766554433"[:14])  # in the same shard
    for ref in (GONE, twin):
        await store.write(change_consent(signer, "aurora", ConsentChange(ref, ConsentPurpose.PHOTO.value, True, NOW_S)))
    await store.write(freeze(signer, "aurora", [Uid(UID)], [GONE, OTHER], "lost"))
    await store.write(deny(signer, "aurora", [Uid(UID)], "stolen"))
    await deliver(Ingest(store, FixedClock()), Sender([order(1)]))
    await forgetting(store, tmp_path).work()
    assert_forgotten(await payloads(store))
    body = await store.read(newest_body("aurora", consent_kind(GONE)))
    assert body is not None
    assert [said.guest for said in decode_consents(body)] == [twin]
    body = await store.read(newest_body("aurora", "freeze"))
    assert body is not None
    assert decode_freeze(body).guests == ((OTHER, "lost"),)
    assert decode_freeze(body).bands == ((UID, "lost"),)
    assert await store.read(newest_body("aurora", "deny")) is not None


async def test_both_parts_are_carried_out_and_confirmed(store: ShoreStore, tmp_path: Path) -> None:
    ingest, work = Ingest(store, FixedClock()), forgetting(store, tmp_path)
    await deliver(ingest, Sender([order(1, part=1)]))
    assert await work.work() == 1
    await store.write(freeze(Signer(KEY, "test", NOW_S), "aurora", [], [GONE], "lost"))  # still aboard
    await deliver(ingest, Sender([order(1, part=1), order(2, part=2)]))
    assert await work.work() == 1
    assert_forgotten(await payloads(store))
    assert await confirmed(store) == ((GONE, 1, NOW_S), (GONE, 2, NOW_S))


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"ref": GONE},
        {"ref": "nobody", "part": 2, "certificate": "c"},
        {"ref": GONE, "part": 3, "certificate": "c"},
        {"ref": GONE, "part": "2", "certificate": "c"},
        {"ref": GONE, "part": 2, "certificate": "x" * 65},
        {"ref": GONE, "part": 2, "certificate": "a\tb"},
        {"ref": GONE, "part": 2, "certificate": 7},
    ],
)
async def test_what_is_no_order_is_kept_as_an_event_and_nothing_is_done(
    store: ShoreStore, tmp_path: Path, said: dict[str, str | int]
) -> None:
    ingest = Ingest(store, FixedClock())
    await deliver(ingest, Sender([*log(4), replace(order(5), payload=said)]))
    assert await forgetting(store, tmp_path).work() == 0
    assert GONE.encode() in await payloads(store)


async def test_a_long_log_is_walked_to_its_end(tmp_path: Path) -> None:
    store = await prepared(SqliteShore.open(tmp_path / "shore.db", create=True))
    ingest = Ingest(store, FixedClock())
    await deliver(ingest, Sender(log(2 * CHUNK_EVENTS + 7)), size=1000)
    await deliver(ingest, Sender([order(1, epoch=7)]))
    await forgetting(store, tmp_path).work()
    assert_forgotten(await payloads(store))
    (done,) = await store.read(erasures(9))
    assert done.events == CHUNK_EVENTS + 4
    await store.close()


async def test_batches_and_orders_at_the_same_time_leave_nothing(reopen: Reopen, tmp_path: Path) -> None:
    """Workers on stores of their own, as in several processes, while the walk goes on."""
    first, second, third = await reopen(), await reopen(), await reopen()
    await prepared(first)
    senders = [Sender(log(200), gateway="gw1"), Sender(log(200), gateway="gw2")]

    async def send(store: ShoreStore, sender: Sender) -> None:
        ingest = Ingest(store, FixedClock())
        for batch in sender.batches(5):
            assert await ingest.batch(*wire(batch)) is not None
            await asyncio.sleep(0)

    async def forget() -> None:
        await Ingest(third, FixedClock()).batch(*wire(next(iter(Sender([order(1, epoch=7)]).batches(1)))))
        work = forgetting(third, tmp_path)

        async def done() -> bool:
            return bool(await work.work())

        await eventually(done)

    await asyncio.gather(send(first, senders[0]), send(second, senders[1]), forget())
    assert_forgotten(await payloads(first))
    assert [len(await stored(first, sender)) for sender in senders] == [200, 200]


async def test_two_nodes_do_it_once(reopen: Reopen, tmp_path: Path) -> None:
    first, second = await reopen(), await reopen()
    await prepared(first)
    await deliver(Ingest(first, FixedClock()), Sender([*log(20), order(21)]))
    (tmp_path / "two").mkdir()
    works = (forgetting(first, tmp_path), forgetting(second, tmp_path / "two"))
    assert sum(await asyncio.gather(*(work.work() for work in works))) == 1
    assert len(await first.read(table("SELECT version FROM down WHERE kind = ?", "erasures"))) == 1
    for folder in (tmp_path, tmp_path / "two"):
        assert len(ErasedFile(folder / "erased").read()) == 1


async def test_a_backup_from_before_the_order_is_emptied_again_though_no_gateway_says_a_word(tmp_path: Path) -> None:
    path = tmp_path / "shore.db"
    store = await prepared(SqliteShore.open(path, create=True))
    ingest = Ingest(store, FixedClock())
    await deliver(ingest, Sender(log(30)))
    copying.backup(path, tmp_path / "old.db")
    await deliver(ingest, Sender([*log(30), order(31)]))
    await forgetting(store, tmp_path).work()
    await store.close()
    copying.restore(tmp_path / "old.db", path, OsEntropy().token_bytes(8))
    again = SqliteShore.open(path)
    assert GONE.encode() in await payloads(again)
    work = forgetting(again, tmp_path)
    assert await work.recall() == 1
    assert await work.recall() == 0
    assert await work.work() == 1
    assert_forgotten(await payloads(again))
    assert await confirmed(again) == ((GONE, 2, NOW_S),)
    # The gateway sends what the backup did not have, the order too: it is known.
    await deliver(Ingest(again, FixedClock()), Sender([*log(30), order(31)]))
    assert await work.work() == 0
    await again.close()


async def test_without_the_file_too_the_ship_s_log_says_it_again(tmp_path: Path) -> None:
    path = tmp_path / "shore.db"
    store = await prepared(SqliteShore.open(path, create=True))
    await deliver(Ingest(store, FixedClock()), Sender(log(30)))
    copying.backup(path, tmp_path / "old.db")
    await store.close()
    copying.restore(tmp_path / "old.db", path, OsEntropy().token_bytes(8))
    again = SqliteShore.open(path)
    await deliver(Ingest(again, FixedClock()), Sender([*log(30), order(31)]))
    (tmp_path / "erased").unlink(missing_ok=True)
    assert await forgetting(again, tmp_path).work() == 1
    assert_forgotten(await payloads(again))
    await again.close()


async def test_an_order_of_a_ship_that_left_the_fleet_is_passed_over(store: ShoreStore, tmp_path: Path) -> None:
    ErasedFile(tmp_path / "erased").add([Order("elsewhere", GONE, 2, "c", NOW_S)])
    work = forgetting(store, tmp_path)
    assert await work.recall() == 1
    assert await work.work() == 0


# The file


def test_the_file_is_private_and_an_unfinished_line_is_no_order(tmp_path: Path) -> None:
    path = tmp_path / "erased"
    first, second = Order("aurora", GONE, 1, "c", 5), Order("aurora", OTHER, 2, "", 6)
    assert ErasedFile(path).read() == []
    assert ErasedFile(path).add([first, first]) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(path.read_bytes() + second.line.encode()[:20])  # the power went
    kept = ErasedFile(path)
    assert kept.read() == [first]
    assert kept.add([first, second]) == 1
    assert ErasedFile(path).read() == [first, second]


@pytest.mark.parametrize("text", ["nonsense\n", "aurora\tnobody\t1\tc\t5\n", "\n", "aurora\t" + GONE + "\t3\tc\t5\n"])
def test_a_damaged_file_is_not_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "erased").write_text(text)
    with pytest.raises(StoreUnavailable, match="line 1"):
        ErasedFile(tmp_path / "erased").read()


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        ErasedFile(tmp_path / "missing" / "erased").add([Order("aurora", GONE, 1, "c", 5)])


async def test_nothing_is_confirmed_before_the_file_has_it(store: ShoreStore, tmp_path: Path) -> None:
    await deliver(Ingest(store, FixedClock()), Sender([*log(4), order(5)]))
    with pytest.raises(StoreUnavailable):
        await forgetting(store, tmp_path / "missing").work()
    assert (await store.read(erasures(9)))[0].done_s is None
    assert await store.read(newest_body("aurora", "erasures")) is None


# What goes down


def test_a_list_of_the_forgotten_is_read_strictly() -> None:
    done = tuple((GuestRef(f"{n:016x}"), 1 + n % 2, NOW_S + n) for n in range(ERASURES_MAX))
    assert decode_erasures(encode_erasures(done)) == done
    for bad in ([("x", 1, 1)], [(GONE, 3, 1)], [(GONE, True, 1)], [(GONE, 1, -1)], [(GONE, 1)], [*done, done[0]]):
        with pytest.raises(ValueError, match=r"up to 1000"):
            encode_erasures(bad)  # type: ignore[arg-type]
    for junk in (b"", b"\xff", b"\xa0", b"\x18"):
        with pytest.raises(BadDown):
            decode_erasures(junk)


async def test_the_newest_are_confirmed_when_there_are_many(store: ShoreStore, tmp_path: Path) -> None:
    many = [order(n + 1, f"{n:016x}") for n in range(ERASURES_MAX + 5)]
    await deliver(Ingest(store, FixedClock()), Sender(many), size=500)
    work = forgetting(store, tmp_path)
    assert await work.work() == 500
    assert await work.work() == 500
    assert await work.work() == 5
    assert len(await confirmed(store)) == ERASURES_MAX
    assert ERASED_PAYLOAD == {"erased": True}


async def test_not_a_byte_of_it_is_left_in_the_files(tmp_path: Path) -> None:
    store = await prepared(SqliteShore.open(tmp_path / "shore.db", create=True))
    await deliver(Ingest(store, FixedClock()), Sender(log(3000)), size=500)
    await store.write(freeze(Signer(KEY, "test", NOW_S), "aurora", [], [GONE], "lost"))
    await deliver(Ingest(store, FixedClock()), Sender([order(1, epoch=7)]))
    work = forgetting(store, tmp_path)
    assert await work.work() == 1
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.name != "erased")
    assert OTHER.encode() in left
    orders = left.count(GONE.encode())  # the order's event, its row, and what went down
    assert orders <= 4
    assert f"guest:{GONE}".encode() not in left
    await store.close()
