"""The part of the ship's readers that are real PC/SC readers: pcscd's, with a virtual reader's driver."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Mapping

from voyage.cast import Cast
from voyage.pcscd import Pcscd, PcscdError

# Every kind of place, and the ones where most happens: both desks, doors, all tills, two cabins.
PLACES = (
    *("desk-1", "desk-2", "gangway-1", "pool", "spa"),
    *("pool-bar", "atrium", "bistro", "shop", "cabin-5012", "cabin-5014", "cabin-5016"),
)


class PcscReaders:
    """Starts and ends the PC/SC service. Raises PcscdError if that is not possible here."""

    def __init__(self, cast: Cast) -> None:
        places = [place.name for place in cast.places]
        self._places = [name for name in PLACES if name in places]
        self._service = Pcscd(len(self._places))

    async def __aenter__(self) -> PcscReaders:
        if importlib.util.find_spec("smartcard") is None:
            raise PcscdError(
                "pyscard is missing: pip install 'steward-edge[pcsc]' (it builds from source; on Debian first: "
                "apt install swig gcc libpcsclite-dev)"
            )
        await asyncio.to_thread(self._service.start)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._service.stop)

    @property
    def pid(self) -> int | None:
        return self._service.pid

    @property
    def names(self) -> Mapping[str, str]:
        """Place -> the reader's name in PC/SC."""
        return {place: reader.name for place, reader in zip(self._places, self._service.readers, strict=True)}

    @property
    def ports(self) -> Mapping[str, int]:
        """Place -> where a band enters that reader's field."""
        return {place: reader.port for place, reader in zip(self._places, self._service.readers, strict=True)}

    def environment(self) -> dict[str, str]:
        """For the gateway's process."""
        return self._service.environment()
