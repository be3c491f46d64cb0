"""Boards flashed by an unmodified esptool: what is in the chip afterwards, and what is said when it will not be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.workshop import rombootkit
from tests.workshop.imagekit import BASE, KEY, OTHER_KEY, built, put
from tests.workshop.rombootkit import ESP32_S2, Chip, Fault, RomDouble

from bandtool import flash
from bandtool.flash import BAUD, Part, identify
from bandtool.flashing import ENROL_FILE, USED_UID, FlashBench, FlashOrder, flash_board, order
from bandtool.image import BASE_OFFSET, sha256
from bandtool.journal import BandStage, BenchBand, BenchJournal, create
from bandtool.lfs import FLASH_OFFSET, unpack
from bandtool.manifest import IMAGE_FILE, ImageFault
from bandwire.keys import open_enrolment, pack_enrolment
from steward.adapters.system import SystemClock
from steward.domain.ids import uid_from
from steward.errors import CardRefused, CardRemoved, ConfigError, ReaderFault

SECRET = bytes(range(16))
UID = b"\x04" + Chip().mac


def enrol(uid: bytes) -> bytes:
    return pack_enrolment(uid, SECRET)


BENCH = FlashBench(None, SystemClock(), enrol)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> FlashOrder:
    return ordered(tmp_path_factory.mktemp("work"))


def ordered(folder: Path, **more: object) -> FlashOrder:
    (folder / "base.bin").write_bytes(BASE)
    how = {"public": KEY.public, "base_sha256": None, "development": False} | more
    return order(put(folder / "image", built()), folder / "base.bin", **how)  # type: ignore[arg-type]


async def flashed(
    chip: Chip, work: FlashOrder, fault: Fault | None = None, bench: FlashBench = BENCH, *, again: bool = False
) -> flash.Chip:
    steps: list[int] = []
    double = RomDouble(chip, fault)
    try:
        done = await flash_board(work, bench, double.name, steps.append, again=again)
    finally:
        double.stop()
        assert double.struck is (fault is not None)
    assert steps == sorted(set(steps))
    assert steps[-1] == 100
    return done


def right(chip: Chip) -> bool:
    """The base firmware is there, and the signed files with this chip's own secret, and nothing else."""
    base = bytes(chip.flash[BASE_OFFSET : BASE_OFFSET + len(BASE)])
    try:
        inside = unpack(bytes(chip.flash[FLASH_OFFSET:]))
    except ImageFault:
        return False
    return base == BASE and inside == dict(built().files) | {ENROL_FILE: enrol(b"\x04" + chip.mac)}


async def test_what_is_flashed_is_in_the_chip_with_its_own_secret(work: FlashOrder) -> None:
    chip = Chip()
    done = await flashed(chip, work)
    assert (done.name, done.uid) == ("ESP32", UID)
    assert chip.bauds == [BAUD]
    assert right(chip)
    assert open_enrolment(unpack(bytes(chip.flash[FLASH_OFFSET:]))[ENROL_FILE], UID) == SECRET


async def test_what_was_there_before_is_gone(work: FlashOrder) -> None:
    """Not a block of an earlier band's records outlives it, wherever in the file system it lay."""
    chip = Chip(flash=bytearray(b"\x5a" * rombootkit.FLASH_BYTES))
    await flashed(chip, work)
    assert b"\x5a" * 16 not in chip.flash[FLASH_OFFSET:]
    assert right(chip)


def starts(chip: Chip) -> bool:
    """Whether the ROM finds something to start, and that is whole."""
    return chip.flash[BASE_OFFSET : BASE_OFFSET + len(BASE)] == BASE


@pytest.mark.parametrize("how", ["power", "cable"])
async def test_a_board_cut_off_at_any_phase_is_simply_flashed_again(work: FlashOrder, how: str) -> None:
    """All phases at once, each board in a process of its own; then each of them again, now undisturbed.

    Each was flashed before, and starts. Once the first byte is written it starts nothing until all are.
    """
    phases = [rombootkit.READ_REG, rombootkit.MEM_DATA, rombootkit.CHANGE_BAUD, rombootkit.DEFLATE_DATA]
    if how == "cable":  # without power, esptool waits long for a chip that may be busy erasing or summing up
        phases += [rombootkit.SYNC, rombootkit.MEM_END, rombootkit.ERASE, rombootkit.DEFLATE_BEGIN, rombootkit.MD5]
    before = Chip()
    before.flash[BASE_OFFSET : BASE_OFFSET + len(BASE)] = BASE
    chips = [Chip(mac=bytes((0x24, 0xA1, 0x60, 0, 0, phase)), flash=bytearray(before.flash)) for phase in phases]
    faults = [Fault(phase, power=how == "power", cable=how == "cable") for phase in phases]
    tries = [flashed(chip, work, fault) for chip, fault in zip(chips, faults, strict=True)]
    for outcome, phase in zip(await asyncio.gather(*tries, return_exceptions=True), phases, strict=True):
        assert isinstance(outcome, (CardRemoved, ReaderFault)), phase
    touched = (rombootkit.DEFLATE_BEGIN, rombootkit.DEFLATE_DATA, rombootkit.MD5)
    for chip, phase in zip(chips, phases, strict=True):
        assert (chip.flash == before.flash, starts(chip)) == ((False, False) if phase in touched else (True, True)), (
            phase
        )
    halves = [chip for chip, phase in zip(chips, phases, strict=True) if phase in touched]
    await asyncio.gather(*(flashed(chip, work) for chip in halves))
    assert all(right(chip) for chip in halves)


async def test_a_board_cut_off_in_its_last_part_starts_nothing_either(work: FlashOrder) -> None:
    """After the bootloader's first block, and when only the last sum is missing: then all of it is right."""
    for fault, whole in (
        (Fault(rombootkit.DEFLATE_BEGIN, 2, cable=True), False),
        (Fault(rombootkit.MD5, 2, cable=True), True),
    ):
        chip = Chip()
        with pytest.raises(CardRemoved):
            await flashed(chip, work, fault)
        assert (starts(chip), right(chip)) == (whole, whole)


async def test_a_torn_answer_is_asked_for_again_or_the_board_is(work: FlashOrder) -> None:
    for command in (rombootkit.SYNC, rombootkit.DEFLATE_DATA):
        chip = Chip()
        try:
            await flashed(chip, work, Fault(command, torn=True))
        except (CardRemoved, ReaderFault):
            await flashed(chip, work)
        assert right(chip)


@pytest.mark.parametrize("way", ["spoil_in", "spoil_out"])
async def test_on_a_noisy_cable_no_board_passes_that_is_not_right(work: FlashOrder, way: str) -> None:
    chip = Chip(**{way: 40_000 if way == "spoil_in" else 900})
    passed = False
    try:
        await flashed(chip, work)
        passed = True
    except (CardRefused, CardRemoved, ReaderFault):
        setattr(chip, way, 0)
    assert chip.spoilt > 0
    if not passed:
        await flashed(chip, work)
    assert right(chip)


async def test_a_worn_flash_is_found_out(work: FlashOrder, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bit that does not take: the chip's own MD5 tells."""
    finish = RomDouble._md5

    def worn(self: RomDouble, command: int, data: bytes) -> None:
        self.chip.flash[FLASH_OFFSET + 5] ^= 1
        finish(self, command, data)

    monkeypatch.setitem(rombootkit._COMMANDS, rombootkit.MD5, worn)
    with pytest.raises(CardRefused) as refused:
        await flashed(Chip(), work)
    assert refused.value.code == "flash_mismatch"


async def test_a_locked_flash_is_called_so(work: FlashOrder) -> None:
    chip = Chip(protected=0x1C)
    with pytest.raises(CardRefused, match="write-protected") as refused:
        await flashed(chip, work)
    assert refused.value.code == "flash_locked"
    assert set(chip.flash) == {0xFF}


async def test_a_chip_whose_fuses_are_blown_is_left_alone(work: FlashOrder) -> None:
    chip = Chip(encrypted=True)
    with pytest.raises(CardRefused, match="eFuses") as refused:
        await flashed(chip, work)
    assert (refused.value.code, chip.writes) == ("flash_locked", 0)


async def test_another_chip_is_set_aside_untouched(work: FlashOrder) -> None:
    chip = Chip(magic=ESP32_S2)
    with pytest.raises(CardRefused, match="ESP32-S2") as refused:
        await flashed(chip, work)
    assert (refused.value.code, chip.writes) == ("wrong_chip", 0)


async def test_a_board_that_is_not_in_its_bootloader_says_what_to_do(work: FlashOrder) -> None:
    with pytest.raises(ReaderFault, match="hold BOOT"):
        await flashed(Chip(), work, Fault(rombootkit.SYNC, power=True))


async def test_a_port_that_is_not_there_is_named(work: FlashOrder, tmp_path: Path) -> None:
    with pytest.raises(ReaderFault, match="ttyNONE"):
        await flash_board(work, BENCH, str(tmp_path / "ttyNONE"), lambda percent: None)


async def test_two_at_once_do_not_mix(work: FlashOrder) -> None:
    chips = [Chip(mac=bytes.fromhex(f"24a16011220{number}")) for number in range(2)]
    done = await asyncio.gather(*(flashed(chip, work) for chip in chips))
    assert [one.mac for one in done] == [chip.mac for chip in chips]
    assert all(right(chip) for chip in chips)


async def test_a_chip_is_asked_what_it_is_and_keeps_what_it_has() -> None:
    for magic, name in ((rombootkit.ESP32, "ESP32"), (ESP32_S2, "ESP32-S2")):
        chip = Chip(magic=magic)
        double = RomDouble(chip)
        try:
            assert (await identify(double.name)).name == name
        finally:
            double.stop()
        assert chip.writes == 0


async def test_a_finished_band_is_not_flashed_by_accident(work: FlashOrder, tmp_path: Path) -> None:
    create(tmp_path / "station.db", KEY.public)
    journal = await BenchJournal.open(tmp_path / "station.db")
    try:
        bench = replace(BENCH, journal=journal)
        chip = Chip()
        await flashed(chip, work, bench=bench)
        band = BenchBand(uid_from(UID), BandStage.DONE, True, 1, 1_700_000_000, finished=True)
        (note,) = (await journal.flashes()).values()
        assert (note.uid, note.number, note.base) == (uid_from(UID), 3, sha256(BASE))
        assert note.image == work.image.manifest.version
        await flashed(chip, work, bench=bench)
        await journal.put(band)
        chip.writes = 0
        with pytest.raises(CardRefused, match="--again") as refused:
            await flashed(chip, work, bench=bench)
        assert (refused.value.code, chip.writes) == (USED_UID, 0)
        await flashed(chip, work, bench=bench, again=True)
        assert right(chip)
        assert len(await journal.flashes()) == 1
    finally:
        await journal.close()


async def test_a_board_that_takes_for_ever_is_given_up(work: FlashOrder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flash, "LIMIT_S", 0.2)
    with pytest.raises(CardRemoved, match="took more than"):
        await flashed(Chip(), work)


async def test_a_process_that_dies_tells_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flash, "BAUD", "much")
    with pytest.raises(CardRemoved, match="invalid literal"):
        await identify("/dev/null")


async def test_whoever_changes_their_mind_has_written_nothing() -> None:
    """The board is let go, and the process is gone, whether preparing fails or is called off."""
    chip = Chip()
    started = asyncio.Event()

    async def never(_chip: flash.Chip) -> Sequence[Part]:
        started.set()
        await asyncio.Event().wait()
        return []

    double = RomDouble(chip)
    try:
        task = asyncio.create_task(flash.flash(double.name, never, lambda percent: None))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    finally:
        double.stop()
    assert (chip.writes, chip.bauds) == (0, [])


# What may be flashed at all.


def test_an_image_that_was_changed_is_not_flashed(tmp_path: Path) -> None:
    ordered(tmp_path)
    path = tmp_path / "image" / IMAGE_FILE
    right = path.read_bytes()
    path.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    with pytest.raises(ImageFault):
        order(tmp_path / "image", tmp_path / "base.bin", public=KEY.public, base_sha256=None, development=False)


def test_whose_image_it_is_must_be_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="release_key"):
        ordered(tmp_path, public=None)
    with pytest.raises(ImageFault, match="release key"):
        ordered(tmp_path, public=OTHER_KEY.public)


def test_a_development_image_needs_a_word(tmp_path: Path) -> None:
    (tmp_path / "base.bin").write_bytes(BASE)
    folder = put(tmp_path / "open", built(production=False, base=False), None)
    with pytest.raises(ConfigError, match="is a development image"):
        order(folder, tmp_path / "base.bin", public=None, base_sha256=None, development=False)
    taken = order(folder, tmp_path / "base.bin", public=None, base_sha256=None, development=True)
    assert (taken.image.manifest.production, taken.base) == (False, BASE)
    with pytest.raises(ConfigError, match="is a production image"):
        ordered(tmp_path, development=True)


def test_the_base_firmware_is_pinned(tmp_path: Path) -> None:
    ordered(tmp_path)
    other = tmp_path / "other.bin"
    other.write_bytes(BASE + b"\0")
    loose = put(tmp_path / "loose", built(base=False))
    for folder, base, sha, said in (
        (tmp_path / "image", other, None, "another firmware"),
        (tmp_path / "image", tmp_path / "base.bin", sha256(b""), "another firmware"),
        (tmp_path / "image", other, sha256(BASE + b"\0"), "another firmware"),
        (loose, tmp_path / "base.bin", None, "pinned by nothing"),
        (loose, other, sha256(BASE), "another firmware"),
    ):
        with pytest.raises(ConfigError, match=said):
            order(folder, base, public=KEY.public, base_sha256=sha, development=False)
    taken = order(loose, tmp_path / "base.bin", public=KEY.public, base_sha256=sha256(BASE), development=False)
    assert taken.base == BASE


async def test_a_production_band_is_not_born_without_a_secret(work: FlashOrder) -> None:
    with pytest.raises(ConfigError, match="--dir"):
        await flash_board(work, FlashBench(None, SystemClock(), None), "/dev/null", lambda percent: None)
