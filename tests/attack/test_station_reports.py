"""Whoever is no trusted station, or changes what one said, brings no band into the stock; nor back into it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.contract.makers import band, guest
from tests.stationkit import LINK, ToyStation, reported, uid

from steward.adapters.aes import HostAes
from steward.adapters.keyfile import new_key_file
from steward.adapters.keyring import FileKeyRing
from steward.adapters.memory import MemoryStore
from steward.adapters.system import OsEntropy
from steward.domain import stationreport
from steward.domain.blanks import BlankBand, Left, is_ready
from steward.domain.guests import BandState
from steward.domain.stationreport import Outcome
from steward.errors import Refused
from steward.services.blanks import BlankService, TrustedStation

STATION, SECOND, STRANGER = ToyStation(1), ToyStation(2, "bench-2"), ToyStation(3)
RING = FileKeyRing(new_key_file(7, OsEntropy(), 1_790_000_000), HostAes())


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def blanks(store: MemoryStore) -> BlankService:
    return BlankService(store, RING, [STATION.trusted(), SECOND.trusted()], 7, LINK)


async def left(blanks: BlankService) -> int:
    return sum(each.waiting for each in await blanks.count())


async def refused(blanks: BlankService, content: bytes) -> str:
    with pytest.raises(Refused) as caught:
        await blanks.take(content)
    assert await left(blanks) == 0
    return caught.value.code


async def test_a_report_comes_in_once_and_a_newer_one_brings_what_is_new(blanks: BlankService) -> None:
    content = STATION.file(reported(1), reported(2, active=False))
    done = await blanks.take(content)
    assert (done.station, done.taken, done.known, list(done.left)) == ("bench-1", 2, 0, [])
    again = await blanks.take(content)
    assert (again.taken, again.known) == (0, 2)
    newer = await blanks.take(STATION.file(reported(1), reported(2, active=False), reported(3)))
    assert (newer.taken, newer.known) == (1, 2)
    counts = await blanks.count()
    assert [(each.station, each.active, each.waiting) for each in counts] == [
        ("bench-1", False, 1),
        ("bench-1", True, 2),
    ]


async def test_nobody_signs_for_a_station(blanks: BlankService) -> None:
    assert await refused(blanks, STRANGER.file(reported(1))) == "station_unknown"
    # A trusted key under another station's name is not that station either.
    assert await refused(blanks, SECOND.file(reported(1), station="bench-1")) == "station_unknown"
    half = BlankService(MemoryStore(), RING, [TrustedStation("bench-1", STATION.fingerprint[:32])], 7, LINK)
    assert (await half.take(STATION.file(reported(1)))).taken == 1


def _uid(record: dict[str, Any]) -> None:
    record["body"]["bands"][0]["uid"] = "04FFFFFFFFFFFF"


def _outcome(record: dict[str, Any]) -> None:
    record["body"]["bands"][0]["outcome"] = "done"


def _more(record: dict[str, Any]) -> None:
    record["body"]["bands"].append(dict(record["body"]["bands"][0], uid="04EEEEEEEEEEEE"))


def _key(record: dict[str, Any]) -> None:
    record["signature"] |= {"key": STRANGER.public.hex()}


def _kind(record: dict[str, Any]) -> None:
    record["kind"] = "receipt"


def _bit(record: dict[str, Any]) -> None:
    value = record["signature"]["value"]
    record["signature"]["value"] = ("0" if value[0] != "0" else "1") + value[1:]


@pytest.mark.parametrize("change", [_uid, _outcome, _more, _key, _kind, _bit])
async def test_a_changed_report_is_torn(blanks: BlankService, change: Callable[[dict[str, Any]], None]) -> None:
    record = json.loads(STATION.file(reported(1, outcome=Outcome.FAULTY, reason="card_locked")))
    change(record)
    assert await refused(blanks, json.dumps(record).encode()) == "report_torn"


async def test_a_file_cut_anywhere_is_torn(blanks: BlankService) -> None:
    content = STATION.file(reported(1), reported(2))
    for size in range(0, len(content) - 2, 97):
        assert await refused(blanks, content[:size]) == "report_torn"


async def test_a_signature_over_something_else_does_not_pass(blanks: BlankService) -> None:
    report = STATION.report([reported(1)])
    assert await refused(blanks, STATION.sign(report, kind="incident")) == "report_torn"


async def test_what_is_signed_must_make_sense_as_well(blanks: BlankService) -> None:
    twice = STATION.file(reported(1), reported(1))
    assert await refused(blanks, twice) == "report_torn"
    for wrong in ({"uid": "05000000000001"}, {"key_version": 0}, {"key_version": 256}, {"reason": "A B"}):
        assert await refused(blanks, STATION.file(reported(1, **wrong))) == "report_torn"


async def test_another_ships_bands_stay_out(blanks: BlankService) -> None:
    assert await refused(blanks, ToyStation(1, site=8).file(reported(1))) == "other_site"
    assert await refused(blanks, STATION.file(reported(1), link="evil.example/t?e={picc}&c={mac}")) == "other_link"


async def test_bands_that_do_not_belong_are_left_and_named(blanks: BlankService, store: MemoryStore) -> None:
    await store.write(lambda tx: tx.put_guest(guest()))
    await store.write(lambda tx: tx.put_band(replace(band(2), uid=uid(2))))
    await store.write(lambda tx: tx.deny(uid(3), 1, "stolen"))
    await blanks.take(SECOND.file(reported(4)))
    faulty = reported(5, outcome=Outcome.FAULTY, reason="card_locked")
    begun = reported(6, outcome=Outcome.BEGUN, ended_s=0)
    old = reported(7, key_version=9)
    done = await blanks.take(STATION.file(reported(1), reported(2), reported(3), reported(4), faulty, begun, old))
    assert done.taken == 1
    assert list(done.left) == [
        (uid(2), Left.WORN),
        (uid(3), Left.DENIED),
        (uid(4), Left.OTHER_STATION),
        (uid(5), Left.NOT_DONE),
        (uid(6), Left.NOT_DONE),
        (uid(7), Left.OTHER_VERSION),
    ]


@pytest.mark.parametrize("state", [BandState.FROZEN, BandState.RETIRED, BandState.ISSUED])
async def test_a_replay_brings_no_used_band_back(blanks: BlankService, store: MemoryStore, state: BandState) -> None:
    content = STATION.file(reported(1))
    await blanks.take(content)
    blank = await store.read(lambda tx: tx.blank(uid(1)))
    assert blank is not None
    await store.write(lambda tx: tx.put_blank(replace(blank, taken=True)))
    await store.write(lambda tx: tx.put_guest(guest()))
    await store.write(lambda tx: tx.put_band(replace(band(1), uid=uid(1), state=state)))
    again = await blanks.take(content)
    assert (again.taken, again.known) == (0, 1)
    assert await left(blanks) == 0
    later = await blanks.take(STATION.file(reported(1, ended_s=1_790_009_999)))
    assert (later.taken, later.known) == (0, 1)
    assert await left(blanks) == 0


async def test_what_a_station_withdraws_no_older_report_brings_back(blanks: BlankService) -> None:
    before = STATION.file(reported(1), reported(2))
    await blanks.take(before)
    twice = reported(1, outcome=Outcome.FAULTY, reason="uid_twice")
    stranger = await blanks.take(SECOND.file(replace(twice, uid=uid(2))))
    assert list(stranger.left) == [(uid(2), Left.NOT_DONE)]
    assert await left(blanks) == 2
    newer = await blanks.take(STATION.file(twice, reported(2)))
    assert list(newer.left) == [(uid(1), Left.NOT_DONE)]
    assert await left(blanks) == 1
    assert (await blanks.take(before)).taken == 0
    assert await left(blanks) == 1


async def test_an_older_report_changes_nothing_after_a_newer(blanks: BlankService, store: MemoryStore) -> None:
    older, newer = reported(1, active=False), reported(1, ended_s=1_790_000_500)
    await blanks.take(STATION.file(newer))
    assert (await blanks.take(STATION.file(older))).known == 1
    blank = await store.read(lambda tx: tx.blank(uid(1)))
    assert blank is not None
    assert (blank.active, blank.keyed_s) == (True, 1_790_000_500)


async def test_an_empty_report_and_a_huge_one(blanks: BlankService, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await blanks.take(STATION.file())).taken == 0
    monkeypatch.setattr(stationreport, "BANDS_MAX", 40)
    many = [reported(number) for number in range(1, 42)]
    assert await refused(blanks, STATION.file(*many)) == "report_torn"
    assert (await blanks.take(STATION.file(*many[:-1]))).taken == 40


@pytest.mark.parametrize(("version", "ready"), [(2, False), (3, True), (4, False)])
def test_only_a_band_of_the_version_that_is_issued_now_needs_its_token_alone(version: int, ready: bool) -> None:
    blank = BlankBand(uid(1), STATION.fingerprint, True, version, 1_790_000_000)
    assert is_ready(blank, 3, [STATION.fingerprint[:32]], worn=False, denied=False) is ready
    for stations in ([], [STRANGER.fingerprint]):
        assert not is_ready(blank, 3, stations, worn=False, denied=False)
