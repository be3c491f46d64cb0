"""Everything the band raises on purpose. Messages never hold key material."""


class BandError(Exception):
    code = "band"


class BoardError(BandError):
    """The board cannot run: a part, a file or an argument is missing or wrong. Boot stops with the error light."""

    code = "band.board"


class StoreError(BandError):
    """Non-volatile memory. A card answers 91EE, or 6581 to an ISO command."""

    code = "band.store"


class RecordDamaged(StoreError):
    """Neither slot of a record holds a whole copy. Nothing is overwritten."""

    code = "band.store.damaged"


class WriteFailed(StoreError):
    """The flash did not take a write. The record keeps its old value."""

    code = "band.store.write"


class Refused(BandError):
    """The applet answers `sw` and nothing else."""

    code = "band.refused"

    def __init__(self, sw: int) -> None:
        super().__init__("%04X" % sw)
        self.sw = sw
