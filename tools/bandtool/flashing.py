"""What goes onto a board, and whether it may: one image and one base firmware for all, one secret for each.

Each board's image is the signed one plus one file, its enrolment secret. The secret is derived here once the chip has
told its address, so that the first thing the band ever does on a cable is a mutual proof.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bandtool import flash, manifest
from bandtool.image import BASE_OFFSET, read_base, sha256
from bandtool.journal import BenchJournal, BoardFlash
from bandtool.lfs import FLASH_OFFSET, pack
from bandtool.manifest import CheckedImage
from steward.domain.ids import uid_from
from steward.errors import CardRefused, ConfigError
from steward.ports import Clock

ENROL_FILE = "card/enrol"
USED_UID = "uid_used"


@dataclass(frozen=True, slots=True)
class FlashOrder:
    """What every board of this session gets: checked, and in memory, so that no file can be exchanged meanwhile."""

    image: CheckedImage
    base: bytes


@dataclass(frozen=True, slots=True)
class FlashBench:
    """enrol: a board's enrolment file, by UID; None, as without a station: development boards only."""

    journal: BenchJournal | None
    clock: Clock
    enrol: Callable[[bytes], bytes] | None


def order(
    folder: Path, base_file: Path, *, public: bytes | None, base_sha256: str | None, development: bool
) -> FlashOrder:
    """Check what is to be flashed. public: the release key that must have signed it.

    Raises ConfigError for what needs another option or setting, ImageFault for an image that is not in order.
    """
    image = manifest.check(folder, public)
    said = image.manifest
    if said.production is development:
        kind = "production" if said.production else "development"
        rule = "leave --development away" if said.production else "give --development, for a developer's board only"
        raise ConfigError(str(folder), f"is a {kind} image: {rule}")
    if said.production and public is None:
        raise ConfigError("release_key", "is not set: whose images are right? Set it in station.toml, or give --public")
    pinned = {sha for sha in (said.base_sha256, base_sha256) if sha is not None}
    if said.production and not pinned:
        raise ConfigError(
            str(base_file),
            "is pinned by nothing: build the image with --base, or give --base-sha256",
        )
    base = read_base(base_file)
    if pinned - {sha256(base)}:
        raise ConfigError(str(base_file), f"is another firmware than the one pinned: its SHA-256 is {sha256(base)}")
    return FlashOrder(image, base)


async def flash_board(
    work: FlashOrder, bench: FlashBench, port: str, progress: Callable[[int], None], *, again: bool = False
) -> flash.Chip:
    """Flash one board, and note what is on it. again: even one that this station has finished.

    Raises as flash.flash(); CardRefused uid_used for a finished band: nothing was written to it then.
    """
    if bench.enrol is None and work.image.manifest.production:
        raise ConfigError("--dir", "is missing: a production band is born with a secret of the station's")

    async def prepare(chip: flash.Chip) -> Sequence[flash.Part]:
        await _need_fresh(bench.journal, chip, again)
        files = {} if bench.enrol is None else {ENROL_FILE: bench.enrol(chip.uid)}
        return [(FLASH_OFFSET, pack(files, onto=work.image.image)), (BASE_OFFSET, work.base)]

    chip = await flash.flash(port, prepare, progress)
    if bench.journal is not None:
        said = work.image.manifest
        now_s = bench.clock.now().unix_s
        await bench.journal.flashed(BoardFlash(uid_from(chip.uid), said.version, said.number, sha256(work.base), now_s))
    return chip


async def _need_fresh(journal: BenchJournal | None, chip: flash.Chip, again: bool) -> None:
    if journal is None or again:
        return
    band = await journal.band(uid_from(chip.uid))
    if band is not None and band.finished:
        raise CardRefused(
            USED_UID,
            f"{band.uid} was finished at this station: flashed with --again it loses its keys and is never keyed again",
        )
