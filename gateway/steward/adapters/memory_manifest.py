"""What the manifest import keeps: ports.manifest in memory."""

from __future__ import annotations

from collections.abc import Sequence

from steward.adapters.memory_lookups import LookUpState, MemoryLookUpTx
from steward.adapters.store_looks import check_photo
from steward.domain.ids import GuestRef
from steward.domain.manifest import Imported
from steward.domain.profiles import Photo
from steward.errors import NotFound


class ManifestState:
    def __init__(self) -> None:
        self.imported: dict[tuple[str, str], Imported] = {}
        self.staged: dict[str, tuple[Photo, int]] = {}  # SHA-256 -> photo of nobody yet, when it came


class MemoryManifestTx(MemoryLookUpTx):
    """Part of MemoryTx."""

    @property
    def _manifest(self) -> ManifestState:
        return self._part(ManifestState)

    def imported(self, booking: str) -> Sequence[Imported]:
        own = [record for record in self._manifest.imported.values() if record.booking == booking]
        return sorted(own, key=lambda record: record.guest)

    def put_imported(self, record: Imported) -> None:
        self._put(self._manifest.imported, (record.booking, record.guest), record)

    def stage_photo(self, photo: Photo, at_s: int) -> None:
        check_photo(photo)
        if self._shown(photo.sha256) is None:
            known = self._manifest.staged.get(photo.sha256, (photo, at_s))
            self._put(self._manifest.staged, photo.sha256, (photo, max(at_s, known[1])))

    def is_staged(self, sha256: str) -> bool:
        return sha256 in self._manifest.staged or self._shown(sha256) is not None

    def staged_count(self) -> int:
        return len(self._manifest.staged)

    def use_photo(self, ref: GuestRef, sha256: str) -> None:
        photo = self._manifest.staged[sha256][0] if sha256 in self._manifest.staged else self._shown(sha256)
        if photo is None:
            raise NotFound("staged photo", sha256[:12])
        self.put_photo(Photo(ref, photo.content))
        self._drop(self._manifest.staged, sha256)

    def sweep_photos(self, before_s: int, limit: int) -> int:
        old = sorted((at_s, sha256) for sha256, (_, at_s) in self._manifest.staged.items() if at_s < before_s)
        for _, sha256 in old[:limit]:
            self._drop(self._manifest.staged, sha256)
        return len(old[:limit])

    def _shown(self, sha256: str) -> Photo | None:
        """The photo of any guest with this hash."""
        shown = self._part(LookUpState).photos
        return next((photo for ref, photo in shown.items() if photo.sha256 == sha256 and self._photo(ref)), None)
