"""What the manifest import keeps: ports.manifest on SQLite. Pictures are put and pointed at here, and never read."""

from __future__ import annotations

from collections.abc import Sequence

from steward.adapters.sqlite.lookups import PUT_PHOTO, PUT_PICTURE
from steward.adapters.sqlite.statements import Statements, select, upsert
from steward.adapters.store_looks import check_photo
from steward.domain.ids import GuestRef
from steward.domain.manifest import Imported
from steward.domain.profiles import Photo
from steward.errors import NotFound

_IMPORTED = ("booking", "guest", "ref", "stay", "person", "photo")

IMPORTED = select(_IMPORTED, "FROM imported_guest WHERE booking = ? ORDER BY guest")
PUT_IMPORTED = upsert("imported_guest", ("booking", "guest"), _IMPORTED[2:])
STAGE = """
INSERT INTO staged_picture (sha256, at_s) SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM photo WHERE sha256 = ?1)
ON CONFLICT (sha256) DO UPDATE SET at_s = max(at_s, excluded.at_s)
"""
IS_STAGED = "SELECT 1 FROM picture WHERE sha256 = ?"
STAGED_COUNT = "SELECT count(*) FROM staged_picture"
UNSTAGE = "DELETE FROM staged_picture WHERE sha256 = ?"
SWEEP = """
DELETE FROM staged_picture WHERE sha256 IN (SELECT sha256 FROM staged_picture WHERE at_s < ? ORDER BY at_s LIMIT ?)
RETURNING sha256
"""


class ManifestTx(Statements):
    """Part of SqliteTx."""

    def imported(self, booking: str) -> Sequence[Imported]:
        return [
            Imported(of, guest, GuestRef(ref), stay, person, photo)
            for of, guest, ref, stay, person, photo in self._all(IMPORTED, (booking,))
        ]

    def put_imported(self, record: Imported) -> None:
        values = (record.booking, record.guest, record.ref, record.stay, record.person, record.photo)
        self._change(PUT_IMPORTED, values)

    def stage_photo(self, photo: Photo, at_s: int) -> None:
        check_photo(photo)
        self._change(PUT_PICTURE, (photo.sha256, photo.content))
        self._change(STAGE, (photo.sha256, at_s))

    def is_staged(self, sha256: str) -> bool:
        return self._one(IS_STAGED, (sha256,)) is not None

    def staged_count(self) -> int:
        count: int = self._one(STAGED_COUNT)[0]
        return count

    def use_photo(self, ref: GuestRef, sha256: str) -> None:
        if not self.is_staged(sha256):
            raise NotFound("staged photo", sha256[:12])
        self._change(PUT_PHOTO, (ref, sha256))
        self._change(UNSTAGE, (sha256,))

    def sweep_photos(self, before_s: int, limit: int) -> int:
        return len(self._change(SWEEP, (before_s, limit)))
