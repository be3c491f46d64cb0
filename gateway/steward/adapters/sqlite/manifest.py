"""What the manifest import keeps: ports.manifest on SQLite. A booking is found by what stands for it."""

from __future__ import annotations

from collections.abc import Sequence

from steward.adapters.sqlite.pictures import PictureTx
from steward.adapters.sqlite.statements import select, upsert
from steward.domain.ids import GuestRef
from steward.domain.manifest import Imported

_IMPORTED = ("booking", "guest", "ref", "stay", "person", "photo")

IMPORTED = select(_IMPORTED, "FROM imported_guest WHERE booking = ? ORDER BY guest")
PUT_IMPORTED = upsert("imported_guest", ("booking", "guest"), _IMPORTED[2:])


class ManifestTx(PictureTx):
    """Part of SqliteTx."""

    def imported(self, booking: str) -> Sequence[Imported]:
        return [self._imported(booking, *row[1:]) for row in self._all(IMPORTED, (self._booking(booking),))]

    def put_imported(self, record: Imported) -> None:
        person = self._keys.seal(record.ref, "import", record.person)
        photo = self._seal_text(record.ref, "import photo", record.photo)
        values = (self._booking(record.booking), record.guest, record.ref, record.stay, person, photo)
        self._change(PUT_IMPORTED, values)

    def _imported(self, booking: str, guest: str, ref: str, stay: bytes, person: bytes, photo: str) -> Imported:
        """A person that was forgotten has no digest: whatever the next manifest says of them is new."""
        of = GuestRef(ref)
        known = self._bytes(of, "import", person) or b""
        return Imported(booking, guest, of, stay, known, self._text(of, "import photo", photo))

    def _booking(self, booking: str) -> str:
        return self._keys.mark("booking", booking).hex()
