"""Guests' photos and pictures staged for an import. Put and pointed at here, and read by `disclose` alone.

Each picture has a key of its own, sealed with the key of every guest who shows it: whoever is erased shows it no more,
and a picture that nobody shows is deleted. Of a staged one the key is sealed with a key of nobody's, gone with its use.
"""

from __future__ import annotations

from steward.adapters.sqlite.statements import Statements, upsert
from steward.adapters.store_looks import check_photo
from steward.adapters.vault import PICTURE, PICTURE_KEY, STAGED, open_with
from steward.domain.ids import GuestRef
from steward.domain.profiles import Photo
from steward.errors import NotFound

PUT_PICTURE = upsert("picture", ("mark",), ("content",))
PUT_PHOTO = upsert("photo", ("ref",), ("mark", "hash", "key"))
PHOTO_HASH = "SELECT hash FROM photo WHERE ref = ?"
DROP_PHOTO = "DELETE FROM photo WHERE ref = ?"
PHOTO_KEYS = "SELECT ref, key FROM photo WHERE mark = ?"
STAGED_KEYS = "SELECT owner, key FROM staged_picture WHERE mark = ?"
STAGE = """
INSERT INTO staged_picture (mark, at_s, owner, key) VALUES (?, ?, ?, ?)
ON CONFLICT (mark) DO UPDATE SET at_s = max(at_s, excluded.at_s)
"""
IS_SHOWN = "SELECT 1 FROM photo WHERE mark = ? LIMIT 1"
STAGED_COUNT = "SELECT count(*) FROM staged_picture"
UNSTAGE = "DELETE FROM staged_picture WHERE mark = ? RETURNING owner"
SWEEP = """
DELETE FROM staged_picture WHERE mark IN (SELECT mark FROM staged_picture WHERE at_s < ? ORDER BY at_s LIMIT ?)
RETURNING owner
"""
_PHOTO_CONTENT = "SELECT key, content FROM photo JOIN picture USING (mark) WHERE ref = ?"
_OWNER_BYTES = 16


class PictureTx(Statements):
    def put_photo(self, photo: Photo) -> None:
        check_photo(photo)
        self._show(photo.ref, photo.sha256, self._keep(photo))

    def photo_hash(self, ref: GuestRef) -> str | None:
        row = self._one(PHOTO_HASH, (ref,))
        found = None if row is None else self._bytes(ref, "photo hash", row[0])
        return None if found is None else found.decode()

    def drop_photo(self, ref: GuestRef) -> None:
        self._change(DROP_PHOTO, (ref,))

    # staged

    def stage_photo(self, photo: Photo, at_s: int) -> None:
        check_photo(photo)
        mark = self._mark(photo.sha256)
        if self._one(IS_SHOWN, (mark,)) is not None and self._material(photo.sha256) is not None:
            return
        material = self._keep(photo)
        owner = GuestRef(STAGED + self._keys.random_key()[:_OWNER_BYTES].hex())
        known = self._all(STAGED_KEYS, (mark,))
        if known and self._bytes(*_sealed(known[0])) is None:
            self._unstage(mark)
            known = []
        key = known[0][1] if known else self._keys.seal(owner, PICTURE_KEY, material)
        self._change(STAGE, (mark, at_s, known[0][0] if known else owner, key))

    def is_staged(self, sha256: str) -> bool:
        return self._material(sha256) is not None

    def staged_count(self) -> int:
        count: int = self._one(STAGED_COUNT)[0]
        return count

    def use_photo(self, ref: GuestRef, sha256: str) -> None:
        material = self._material(sha256)
        if material is None:
            raise NotFound("staged photo", sha256[:12])
        self._show(ref, sha256, material)
        self._unstage(self._mark(sha256))

    def sweep_photos(self, before_s: int, limit: int) -> int:
        swept = self._change(SWEEP, (before_s, limit))
        for (owner,) in swept:
            self._keys.drop(owner)
        return len(swept)

    def _unstage(self, mark: str) -> None:
        for (owner,) in self._change(UNSTAGE, (mark,)):
            self._keys.drop(owner)

    # pictures and their keys

    def _keep(self, photo: Photo) -> bytes:
        """The key of this picture, which is kept if it is not there yet, or if nobody can read it."""
        material = self._material(photo.sha256)
        if material is None:
            material = self._keys.random_key()
            sealed = self._keys.seal_with(material, PICTURE, photo.content)
            self._change(PUT_PICTURE, (self._mark(photo.sha256), sealed))
        return material

    def _show(self, ref: GuestRef, sha256: str, material: bytes) -> None:
        hash_, key = self._keys.seal(ref, "photo hash", sha256.encode()), self._keys.seal(ref, PICTURE_KEY, material)
        self._change(PUT_PHOTO, (ref, self._mark(sha256), hash_, key))

    def _material(self, sha256: str) -> bytes | None:
        """The key of a picture that is staged, or that any guest shows."""
        mark = self._mark(sha256)
        for statement in (STAGED_KEYS, PHOTO_KEYS):
            for row in self._all(statement, (mark,)):
                if (material := self._bytes(*_sealed(row))) is not None:
                    return material
        return None

    def _mark(self, sha256: str) -> str:
        return self._keys.mark(PICTURE, sha256).hex()

    def _photo(self, ref: GuestRef) -> Photo | None:
        row = self._one(_PHOTO_CONTENT, (ref,))
        material = None if row is None else self._bytes(ref, PICTURE_KEY, row[0])
        return None if material is None else Photo(ref, open_with(material, PICTURE, row[1]))


def _sealed(row: tuple[str, bytes]) -> tuple[GuestRef, str, bytes]:
    return GuestRef(row[0]), PICTURE_KEY, row[1]
