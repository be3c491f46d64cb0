"""The manifest import: a file of guests checked against the ship and then taken up whole, or not at all.

A row is the same guest as before if booking and guest number are. A row that says what it said last time changes
nothing, not even what the desk has corrected since. Photos are staged before, so that one transaction has only to
point at them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from steward.domain.ids import GuestRef, OutletId
from steward.domain.manifest import ROWS_MAX, read_manifest
from steward.domain.photos import BadPhoto, clean_photo
from steward.domain.profiles import Photo
from steward.errors import Busy, Refused
from steward.ports import Clock, Entropy, Store, Tx
from steward.services.manifest_plan import Planner, Report
from steward.services.manifest_write import Writer

STAGED_MAX = ROWS_MAX
STAGED_TTL_S = 24 * 3600
SWEEP_BATCH = 50


class ManifestService:
    """One import at a time. zones: name -> bit number; outlets: those of the settings."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        zones: Mapping[str, int],
        outlets: Collection[OutletId],
        utc_offset_s: int,
        follows: bool = False,
    ) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._zones = zones
        self._outlets = frozenset(outlets)
        self._utc_offset_s = utc_offset_s
        self._follows = follows  # another gateway of the ship: guests are kept at the authority
        self._running = False

    async def check(self, raw: bytes, photos: Mapping[str, str]) -> Report:
        """What an import of this file would do. photos: file name -> SHA-256, for the files that are at hand."""
        return await self._import(raw, photos, by=None)

    async def commit(self, raw: bytes, photos: Mapping[str, str], by: str) -> Report:
        """Import the file in one transaction, unless the report has problems or wants photos. Raises Busy."""
        return await self._import(raw, photos, by=by)

    async def stage_photo(self, raw: bytes) -> str:
        """Keep a photo for an import to come, cleaned of what a camera adds; its SHA-256. Raises Refused."""
        self._check_authority()
        try:
            content = await asyncio.to_thread(clean_photo, raw)
        except BadPhoto as bad:
            raise Refused("photo_unfit", f"the photo {bad.what}: {bad.remedy}") from None
        photo, now_s = Photo(GuestRef(""), content), self._clock.now().unix_s
        sha256 = photo.sha256

        def work(tx: Tx) -> None:
            if not tx.is_staged(sha256) and tx.staged_count() >= STAGED_MAX:
                raise Refused("photos_full", f"{STAGED_MAX} photos wait for their import: import them, or try tomorrow")
            tx.stage_photo(photo, now_s)

        await self._store.write(work)
        return sha256

    async def sweep(self) -> int:
        """Delete photos that were staged a day ago and that no guest has; how many. In small transactions."""
        now = self._clock.now()
        swept = batch = SWEEP_BATCH if now.trusted else 0
        total = 0
        while batch and swept == batch:
            swept = await self._store.write(lambda tx: tx.sweep_photos(now.unix_s - STAGED_TTL_S, SWEEP_BATCH))
            total += swept
        return total

    async def _import(self, raw: bytes, photos: Mapping[str, str], by: str | None) -> Report:
        self._check_authority()
        if self._running:
            raise Busy("another manifest is being imported: try again when it is done")
        self._running = True
        try:
            manifest = await asyncio.to_thread(read_manifest, raw)
            planner = Planner(self._zones, self._outlets, self._utc_offset_s, photos)
            if by is None or manifest.problems:
                return await self._store.read(lambda tx: planner.plan(tx, manifest).report())
            writer = Writer(self._entropy, self._utc_offset_s, self._clock.now().unix_s)

            def work(tx: Tx) -> Report:
                plan = planner.plan(tx, manifest)
                if plan.problems or plan.photos_wanted:
                    return plan.report()
                return plan.report(writer.write(tx, plan, by))

            return await self._store.write(work)
        finally:
            self._running = False

    def _check_authority(self) -> None:
        """A guest that only a follower knew would be replaced by what the authority says, or open no other door."""
        if self._follows:
            raise Refused("authority_only", "guests are kept at the ship's folio authority: import the manifest there")
