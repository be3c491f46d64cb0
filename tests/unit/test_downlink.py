"""What comes down: signed, for this ship, each version once, never backwards; and what is refused fills no disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.contract.makers import ANNA, AT_S, BOB, band, guest, uid

from steward.adapters.memory import MemoryStore
from steward.domain.batches import BadDown, DownMessage, sign_down
from steward.domain.downs import ENTRIES_MAX, Freezes, encode_deny, encode_freeze
from steward.domain.events import EventType
from steward.domain.guests import BandState
from steward.domain.ids import GuestRef, Uid
from steward.domain.topics import down_topic
from steward.ports import ClockReading, Tx
from steward.ports.sync import PipeMessage
from steward.services.downlink import REFUSALS_EVERY_MS, DownlinkService, DownlinkSettings, DownOutcome

OLD_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NEW_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
WRONG_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))
SETTINGS = DownlinkSettings("aurora", tuple(key.public_key().public_bytes_raw() for key in (OLD_KEY, NEW_KEY)))
MESSAGE = DownMessage("aurora", "deny", 4, AT_S - 5, encode_deny([(uid(1), "lost")]))
APPLIED, KNOWN, REFUSED = DownOutcome.APPLIED, DownOutcome.KNOWN, DownOutcome.REFUSED


class HandClock:
    def __init__(self) -> None:
        self.ms = 0.0

    def now(self) -> ClockReading:
        return ClockReading(AT_S + int(self.ms / 1000), True)

    def monotonic_ms(self) -> float:
        return self.ms


class Rig:
    def __init__(self, **appliers: Callable[[Tx, bytes, int], None]) -> None:
        self.store = MemoryStore()
        self.clock = HandClock()
        self.service = DownlinkService(self.store, self.clock, SETTINGS, appliers)

    async def give(
        self, message: DownMessage, key: Ed25519PrivateKey = NEW_KEY, *, topic: str | None = None
    ) -> DownOutcome:
        return await self.raw(sign_down(message, key), topic or down_topic(message.ship, message.kind))

    async def raw(self, payload: bytes, topic: str = "steward/1/aurora/down/deny") -> DownOutcome:
        return await self.service.receive(PipeMessage(topic, payload, retained=True))

    async def events(self, type_: EventType) -> list[dict[str, object]]:
        found = await self.store.read(lambda tx: tx.events(0, 9999))
        return [dict(event.payload) for event in found if event.type is type_]

    async def refusals(self) -> list[dict[str, object]]:
        return await self.events(EventType.DOWN_REFUSED)


async def test_a_version_is_applied_once_with_its_event() -> None:
    rig = Rig()
    assert [await rig.give(MESSAGE) for _ in range(3)] == [APPLIED, KNOWN, KNOWN]
    assert await rig.events(EventType.DOWN_APPLIED) == [{"kind": "deny", "version": 4}]
    assert await rig.store.read(lambda tx: (tx.denied_at(uid(1)), tx.denied_at(uid(2)))) == (1, None)
    record = await rig.store.read(lambda tx: tx.down("deny"))
    assert record is not None
    assert (record.version, record.issued_s, record.applied_s, record.body) == (4, AT_S - 5, AT_S, MESSAGE.body)
    assert (await rig.service.versions())["deny"] == 4
    assert await rig.refusals() == []


async def test_two_at_once_are_applied_once() -> None:
    rig = Rig()
    outcomes = await asyncio.gather(*(rig.give(MESSAGE) for _ in range(5)))
    assert sorted(outcomes) == [APPLIED, KNOWN, KNOWN, KNOWN, KNOWN]


async def test_versions_of_other_kinds_count_for_themselves_and_none_goes_backwards() -> None:
    rig = Rig()
    freeze = replace(MESSAGE, kind="freeze", version=2, body=encode_freeze(Freezes()))
    assert [await rig.give(m) for m in (MESSAGE, freeze, replace(MESSAGE, version=9))] == [APPLIED] * 3
    assert await rig.give(MESSAGE) is REFUSED
    assert await rig.give(replace(MESSAGE, version=8)) is REFUSED
    assert await rig.give(replace(MESSAGE, version=9, body=encode_deny([(uid(2), "lost")]))) is REFUSED
    assert [refusal["code"] for refusal in await rig.refusals()] == ["backwards", "version_reused"]
    assert await rig.store.read(lambda tx: tx.denied_at(uid(2))) is None


async def test_either_of_shore_s_keys_signs_and_no_other() -> None:
    rig = Rig()
    assert await rig.give(MESSAGE, OLD_KEY) is APPLIED
    assert await rig.give(replace(MESSAGE, version=5), NEW_KEY) is APPLIED
    assert await rig.give(replace(MESSAGE, version=6), WRONG_KEY) is REFUSED
    assert [refusal["code"] for refusal in await rig.refusals()] == ["bad_signature"]


@pytest.mark.parametrize(
    ("message", "topic", "code"),
    [
        (replace(MESSAGE, ship="borealis"), None, "wrong_ship"),
        (replace(MESSAGE, ship="borealis"), "steward/1/aurora/down/deny", "wrong_ship"),
        (MESSAGE, "steward/1/borealis/down/deny", "wrong_ship"),
        (MESSAGE, "steward/1/aurora/down/freeze", "wrong_kind"),
        (MESSAGE, "steward/1/aurora/down/other", "wrong_topic"),
        (MESSAGE, "steward/1/aurora/gw1/up/money", "wrong_topic"),
        (replace(MESSAGE, body=b""), None, "bad_body"),
        (replace(MESSAGE, body=b"\xff\xff"), None, "bad_body"),
        (replace(MESSAGE, body=b"\x81\x82\x61x\x61y"), None, "bad_body"),
        (replace(MESSAGE, kind="freeze", body=b"\x80"), None, "bad_body"),
        (replace(MESSAGE, kind="freeze", body=b"\x82\x80\x01"), None, "bad_body"),
    ],
)
async def test_what_is_not_for_us_or_no_list_is_refused_whole(
    message: DownMessage, topic: str | None, code: str
) -> None:
    rig = Rig()
    assert await rig.give(message, topic=topic) is REFUSED
    assert await rig.refusals() == [{"code": code, "count": 1}]
    assert await rig.store.read(lambda tx: (tx.down(message.kind), tx.deny_epoch())) == (None, 0)


async def test_garbage_and_every_flipped_bit_of_a_good_message_are_refused() -> None:
    rig = Rig()
    good = sign_down(MESSAGE, NEW_KEY)
    for at in range(len(good)):
        for bit in (1, 0x80):
            assert await rig.raw(good[:at] + bytes([good[at] ^ bit]) + good[at + 1 :]) is REFUSED
    for payload in (b"\0", good[:-1], good + b"\0", good[:65], bytes(500_000), good[1:]):
        assert await rig.raw(payload) is REFUSED
    assert {refusal["code"] for refusal in await rig.refusals()} == {"bad_form", "bad_signature", "bad_size"}
    assert await rig.raw(good) is APPLIED


async def test_an_emptied_topic_is_no_attack() -> None:
    rig = Rig()
    assert await rig.raw(b"") is KNOWN
    assert await rig.refusals() == []


async def test_refusals_do_not_fill_the_disk() -> None:
    rig = Rig()
    for _ in range(1000):
        await rig.raw(b"junk")
        rig.clock.ms += 10
    assert await rig.refusals() == [{"code": "bad_size", "count": 1}]
    rig.clock.ms += REFUSALS_EVERY_MS
    await rig.raw(b"junk")
    assert await rig.refusals() == [{"code": "bad_size", "count": 1}, {"code": "bad_size", "count": 1000}]


# Appliers


async def test_denied_bands_that_are_known_are_frozen_as_at_the_desk() -> None:
    rig = Rig()
    await rig.store.write(lambda tx: tx.put_band(band(1)))
    await rig.give(replace(MESSAGE, body=encode_deny([(uid(1), "lost"), (uid(2), "stolen")])))
    found = await rig.store.read(lambda tx: (tx.band(uid(1)), tx.denied_at(uid(1)), tx.denied_at(uid(2))))
    assert found[0] is not None
    assert found[0].state is BandState.FROZEN
    assert None not in found[1:]
    (frozen,) = await rig.events(EventType.BAND_FROZEN)
    assert (frozen["uid"], frozen["reason"], frozen["by"]) == (uid(1), "lost", "shore")


async def test_a_longer_list_acts_only_on_what_is_new() -> None:
    rig = Rig()
    await rig.give(MESSAGE)
    await rig.store.write(lambda tx: tx.deny(uid(3), 7, "later"))
    await rig.give(replace(MESSAGE, version=5, body=encode_deny([(uid(1), "lost"), (uid(2), "lost")])))
    assert await rig.store.read(lambda tx: (tx.denied_at(uid(1)), tx.denied_at(uid(2)))) == (1, 8)


async def test_a_guest_s_bands_are_frozen_and_the_one_issued_after_is_not() -> None:
    rig = Rig()

    def check_in(tx: Tx) -> None:
        tx.put_guest(guest(ANNA))
        tx.put_guest(guest(BOB))
        for n, ref in ((1, ANNA), (2, ANNA), (3, BOB), (4, BOB)):
            tx.put_band(band(n, ref, serial=n))
        tx.put_band(replace(band(2, ANNA, serial=2), state=BandState.RETURNED))

    async def states() -> list[BandState]:
        bands = await rig.store.read(lambda tx: [tx.band(uid(n)) for n in (1, 2, 3, 4, 5)])
        return [b.state for b in bands if b is not None]

    issued, frozen, returned = BandState.ISSUED, BandState.FROZEN, BandState.RETURNED
    await rig.store.write(check_in)
    first = Freezes(bands=((uid(3), "lost"),), guests=((ANNA, "left"),))
    await rig.give(DownMessage("aurora", "freeze", 1, AT_S, encode_freeze(first)))
    assert await states() == [frozen, returned, frozen, issued]
    await rig.store.write(lambda tx: tx.put_band(band(5, ANNA, serial=5)))
    second = Freezes(bands=(*first.bands, (uid(4), "lost"), (Uid("04FFFFFFFFFFFF"), "lost")), guests=first.guests)
    await rig.give(DownMessage("aurora", "freeze", 2, AT_S, encode_freeze(second)))
    assert await states() == [frozen, returned, frozen, frozen, issued]


async def test_what_has_no_applier_is_kept_and_readable_and_one_that_fails_leaves_nothing() -> None:
    def picky(tx: Tx, body: bytes, at_s: int) -> None:
        tx.set_meta("catalogue", body.decode())
        if body == b"bad":
            raise BadDown("bad_body", "no catalogue")

    rig = Rig(catalogue=picky)
    assert await rig.give(DownMessage("aurora", "release", 1, AT_S, b"as it is")) is APPLIED
    assert await rig.give(DownMessage("aurora", "catalogue", 1, AT_S, b"good")) is APPLIED
    assert await rig.give(DownMessage("aurora", "catalogue", 2, AT_S, b"bad")) is REFUSED
    kept = await rig.store.read(lambda tx: [record.body for record in tx.downs("release", 9)])
    assert kept == [b"as it is"]
    assert await rig.store.read(lambda tx: tx.meta("catalogue")) == "good"
    assert (await rig.service.versions())["catalogue"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: encode_deny([(Uid("05FFFFFFFFFFFF"), "lost")]),
        lambda: encode_deny([(uid(1), "Has spaces")]),
        lambda: encode_deny([(uid(n), "lost") for n in range(ENTRIES_MAX + 1)]),
        lambda: encode_freeze(Freezes(guests=((GuestRef("short"), "lost"),))),
        lambda: sign_down(replace(MESSAGE, kind="other"), NEW_KEY),
        lambda: sign_down(replace(MESSAGE, version=0), NEW_KEY),
        lambda: sign_down(replace(MESSAGE, ship="A B"), NEW_KEY),
        lambda: sign_down(replace(MESSAGE, body=bytes(200_000)), NEW_KEY),
    ],
)
def test_shore_cannot_make_what_no_gateway_takes(wrong: Callable[[], bytes]) -> None:
    with pytest.raises(ValueError, match="needed|up to|entries|versions count"):
        wrong()


def test_the_longest_lists_fit() -> None:
    bands = tuple((uid(n), "a" * 32) for n in range(ENTRIES_MAX))
    for kind, body in (("deny", encode_deny(bands)), ("freeze", encode_freeze(Freezes(bands)))):
        assert len(sign_down(DownMessage("aurora", kind, 1, AT_S, body), NEW_KEY)) > 100_000
