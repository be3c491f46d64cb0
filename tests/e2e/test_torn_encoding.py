"""Bands torn away while they are encoded: at every flash write, at every APDU, and with the gateway dying as well.

Whatever the moment: put the band down again and it is finished. It opens its door, all five keys are the new ones,
and the keys it had before are refused.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.attack.middleman import Cut, Exchange, Hook, Middleman, cut_at, passed_on
from tests.e2e.tornkit import (
    CABIN,
    DESK,
    DOOR,
    UID,
    assert_issued,
    assert_keys,
    crash_image,
    desk,
    flash_writes,
    relabel_master,
)

from bandwire import apdu
from bandwire.keys import K_MASTER, KEY_COUNT
from steward.adapters.keyfile import KeyFile, new_key_file, rotate
from steward.adapters.system import OsEntropy
from steward.domain.guests import BandState, Guest, KeyChange
from steward.domain.ids import uid_from
from steward.services.encoder import JobId, JobState
from voyage.bandproc import BandOptions, BandProcess
from voyage.rig import Rig

OTHER_UID = bytes.fromhex("04000000000001")
ENTROPY = OsEntropy()
NOW_S = 1_800_000_000
# A blank band, and one that is keyed anew for the next voyage. Counted by the test below.
BLANK, ANEW = "blank", "anew"
WRITES = {BLANK: 19, ANEW: 13}
APDUS = {BLANK: 29, ANEW: 25}
MOMENTS = [(kind, n) for kind in APDUS for n in range(APDUS[kind])]
CUTS = ("0", "half", "all")  # bytes of the torn flash write that reach the medium


@dataclass(frozen=True)
class Past:
    """What there was before: the desk's database, the band's flash and the keys."""

    folder: Path
    flash: Path
    keys: KeyFile


@pytest.fixture(scope="module")
def pasts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Past]:
    """Made once; each test works on a copy."""
    return {kind: asyncio.run(make_past(kind, tmp_path_factory.mktemp(kind))) for kind in (BLANK, ANEW)}


async def make_past(kind: str, path: Path) -> Past:
    past = Past(path / "desk", path / "flash", new_key_file(7, ENTROPY, NOW_S))
    past.folder.mkdir()
    async with desk(past.folder, past.keys) as rig, wrist(past.flash, UID) as band:
        if kind == BLANK:
            return past
        returned = await rig.issue(await rig.check_in("B0", (CABIN,)), band)
        assert returned.uid is not None
        await rig.desk.give_back(returned.uid)
    return replace(past, keys=rotate(past.keys, ENTROPY, NOW_S))


@dataclass(frozen=True)
class Bench:
    """A band about to be encoded for `guest`, and the desk's folder."""

    folder: Path
    flash: Path
    keys: KeyFile
    guest: Guest

    @property
    def version(self) -> int:
        return self.keys.versions[-1].version

    @property
    def old_versions(self) -> tuple[int, ...]:
        return tuple(range(1, self.version))


@asynccontextmanager
async def bench(tmp_path: Path, past: Past, booking: str = "B1") -> AsyncIterator[tuple[Bench, Rig]]:
    folder, flash = tmp_path / "desk", tmp_path / "flash"
    shutil.copytree(past.folder, folder)
    shutil.copytree(past.flash, flash)
    async with desk(folder, past.keys) as rig:
        yield Bench(folder, flash, past.keys, await rig.check_in(booking, (CABIN,))), rig


@asynccontextmanager
async def wrist(flash: Path, uid: bytes | None = None, cut: str | None = None) -> AsyncIterator[BandProcess]:
    async with await BandProcess.start(BandOptions(flash, uid=uid, cut=cut), "field") as band:
        yield band


def relay_of(rig: Rig, side: str, hook: Hook) -> Middleman:
    """A relay to the desk with a hook before the command reaches the band, or after the band has answered it."""
    if side == "before":
        return Middleman(rig.ports[DESK], command=hook)
    return Middleman(rig.ports[DESK], answer=hook)


async def tear(rig: Rig, made: Bench, relay: Middleman) -> None:
    """One attempt through a relay that cuts it."""
    async with wrist(made.flash) as band:
        assert (await rig.tap(band, DESK, relay.port)).code == "card_removed"


async def finish(rig: Rig, made: Bench, job: JobId, serial: int = 1) -> None:
    """Put the band down once more, and see that it is as good as any."""
    async with wrist(made.flash) as band:
        record = await rig.tap(band, DESK)
        assert record.code == "encoded", rig.encoder.job(job).code
        assert rig.encoder.job(job).state is JobState.DONE
        assert (await rig.tap(band, DOOR)).code == "granted"
        assert rig.doors.signals[-1].open is True
    await assert_keys(made.flash, rig.keyring, made.version, made.old_versions)
    await assert_issued(rig, made.guest.ref, serial)


@pytest.mark.parametrize("kind", [BLANK, ANEW])
async def test_how_many_moments_there_are(pasts: dict[str, Past], tmp_path: Path, kind: str) -> None:
    async with bench(tmp_path, pasts[kind]) as (made, rig), Middleman(rig.ports[DESK]) as relay:
        async with wrist(made.flash) as band:
            before = flash_writes(made.flash)
            await rig.encoder.request(made.guest.ref, DESK)
            assert (await rig.tap(band, DESK, relay.port)).code == "encoded"
        assert (len(relay.exchanges), flash_writes(made.flash) - before) == (APDUS[kind], WRITES[kind])


@pytest.mark.parametrize("stored", CUTS)
@pytest.mark.parametrize(("kind", "write"), [(kind, n + 1) for kind in WRITES for n in range(WRITES[kind])])
async def test_power_cut_at_a_flash_write(
    pasts: dict[str, Past], tmp_path: Path, kind: str, write: int, stored: str
) -> None:
    async with bench(tmp_path, pasts[kind]) as (made, rig):
        job = await rig.encoder.request(made.guest.ref, DESK)
        async with wrist(made.flash, cut=f"{write}:{stored}") as band:
            await band.enter("127.0.0.1", rig.ports[DESK])
            await band.wait_cut()
            await band.kill()
            assert (await rig.next_tap(DESK)).code == "card_removed"
        assert rig.encoder.job(job).state is JobState.WAITING
        await finish(rig, made, job)


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize(("kind", "number"), MOMENTS)
async def test_link_cut_at_an_apdu(pasts: dict[str, Past], tmp_path: Path, kind: str, number: int, side: str) -> None:
    async with bench(tmp_path, pasts[kind]) as (made, rig):
        job = await rig.encoder.request(made.guest.ref, DESK)
        async with relay_of(rig, side, cut_at(number)) as relay:
            await tear(rig, made, relay)
        assert rig.encoder.job(job).code == "card_removed"
        await finish(rig, made, job)


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize(("kind", "number"), MOMENTS)
async def test_gateway_dies_at_an_apdu(
    pasts: dict[str, Past], tmp_path: Path, kind: str, number: int, side: str
) -> None:
    """The job was only in its memory. What is on disk must be enough for the next process to finish the band."""
    image = tmp_path / "image"
    async with bench(tmp_path, pasts[kind]) as (made, rig):

        async def die(exchange: Exchange) -> bytes:
            if exchange.number != number:
                return await passed_on(exchange)
            crash_image(made.folder, image)
            raise Cut

        await rig.encoder.request(made.guest.ref, DESK)
        async with relay_of(rig, side, die) as relay:
            await tear(rig, made, relay)
    async with desk(image, made.keys) as restarted:
        await finish(restarted, made, await restarted.encoder.request(made.guest.ref, DESK))


@pytest.mark.parametrize(("kind", "number"), MOMENTS)
async def test_torn_and_left_in_a_drawer_for_two_voyages(
    pasts: dict[str, Past], tmp_path: Path, kind: str, number: int
) -> None:
    """By then its keys are of versions that doors and encoders no longer know; the authority still does."""
    async with bench(tmp_path, pasts[kind]) as (made, rig):
        await rig.encoder.request(made.guest.ref, DESK)
        async with relay_of(rig, "after", cut_at(number)) as relay:
            await tear(rig, made, relay)
    keys = rotate(rotate(made.keys, ENTROPY, NOW_S), ENTROPY, NOW_S)
    async with desk(made.folder, keys) as rig:
        later = replace(made, keys=keys, guest=await rig.check_in("B9", (CABIN,)))
        await finish(rig, later, await rig.encoder.request(later.guest.ref, DESK))


@pytest.mark.parametrize("kind", [BLANK, ANEW])
@pytest.mark.parametrize("nth", range(KEY_COUNT))
async def test_the_journal_is_ahead_of_the_band(pasts: dict[str, Past], tmp_path: Path, kind: str, nth: int) -> None:
    """Whatever a ChangeKey on its way may do, what it is about to change is on disk, and so is what was changed."""
    order = [4, 3, 2, 1, 0]
    uid = uid_from(UID)
    async with bench(tmp_path, pasts[kind]) as (made, rig):
        old = 0 if kind == BLANK else 1
        await rig.encoder.request(made.guest.ref, DESK)
        async with relay_of(rig, "before", cut_at(nth, apdu.INS_CHANGE_KEY)) as relay:
            await tear(rig, made, relay)
        journal = await rig.store.read(lambda tx: tx.key_changes(uid))
        now = [change for change in journal if change.new_version == made.version]
        assert now == [KeyChange(uid, n, old, made.version, n != order[nth]) for n in sorted(order[: nth + 1])]
        band = await rig.store.read(lambda tx: tx.band(uid))
        assert band is not None
        assert band.state is BandState.ENCODING


@pytest.mark.parametrize("number", range(APDUS[ANEW] - 1))
async def test_without_random_id(tmp_path: Path, number: int) -> None:
    """Keyed anew, its UID told at anticollision: one APDU less, and otherwise the same."""
    folder, flash = tmp_path / "desk", tmp_path / "flash"
    folder.mkdir()
    keys = new_key_file(7, ENTROPY, NOW_S)
    async with desk(folder, keys, random_id=False) as rig, wrist(flash, UID) as band:
        returned = await rig.issue(await rig.check_in("B0", (CABIN,)), band)
        assert returned.uid is not None
        await rig.desk.give_back(returned.uid)
    keys = rotate(keys, ENTROPY, NOW_S)
    async with desk(folder, keys, random_id=False) as rig:
        made = Bench(folder, flash, keys, await rig.check_in("B1", (CABIN,)))
        job = await rig.encoder.request(made.guest.ref, DESK)
        async with relay_of(rig, "after", cut_at(number)) as relay:
            await tear(rig, made, relay)
        await finish(rig, made, job)


LABELS = {"new key, old label": (1, 0), "old key, new label": (0, 1)}


@pytest.mark.parametrize("what", LABELS)
@pytest.mark.parametrize("journalled", [True, False], ids=["journalled", "unknown"])
async def test_a_master_key_whose_label_lies(
    pasts: dict[str, Past], tmp_path: Path, what: str, journalled: bool
) -> None:
    """Should a chip tear between key and label: the journal names the other key, and no other is ever tried."""
    key_version, label = LABELS[what]
    async with bench(tmp_path, pasts[BLANK]) as (made, rig):
        key = rig.keyring.card_key(UID, K_MASTER, key_version)
        async with await BandProcess.start(BandOptions(made.flash)) as band:
            assert await band.apdu(apdu.select_df()) == b"\x90\x00"
            await relabel_master(band, key, label)
        if journalled:
            torn = KeyChange(uid_from(UID), K_MASTER, 0, 1, done=False)
            await rig.store.write(lambda tx: tx.journal_key_change(torn))
        job = await rig.encoder.request(made.guest.ref, DESK)
        if journalled:
            await finish(rig, made, job)
        else:
            async with wrist(made.flash) as refused:
                assert (await rig.tap(refused, DESK)).code == "foreign_card"
            assert rig.encoder.job(job).state is JobState.WAITING


async def test_an_older_torn_band_does_not_come_back_below_a_newer_one(pasts: dict[str, Past], tmp_path: Path) -> None:
    """Two bands torn for one guest, both with their tokens written: the one finished last is the one that opens."""
    async with bench(tmp_path, pasts[BLANK]) as (made, rig):
        other = replace(made, flash=tmp_path / "other")
        async with wrist(other.flash, OTHER_UID):
            pass
        job = await rig.encoder.request(made.guest.ref, DESK)
        for band in (made, other):
            async with relay_of(rig, "after", cut_at(APDUS[BLANK] - 1)) as relay:
                await tear(rig, band, relay)
        await finish(rig, made, job, serial=3)
        async with wrist(other.flash) as torn:
            assert (await rig.tap(torn, DOOR)).code == "superseded"
        async with wrist(made.flash) as good:
            assert (await rig.tap(good, DOOR)).code == "granted"
