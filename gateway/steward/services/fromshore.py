"""What a gateway does with shore's decisions, kind by kind; for DownlinkService, inside its transaction."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from steward.domain.batches import BadDown
from steward.domain.catalogue import Catalogue
from steward.domain.shorebodies import decode_catalogue, decode_consents, decode_releases
from steward.ports import Tx
from steward.services.downlink import Applier


def apply_catalogue(tx: Tx, body: bytes, at_s: int) -> None:
    """Sell from this catalogue. Raises BadDown if it cannot be one."""
    items = decode_catalogue(body)
    try:
        tx.put_catalogue(Catalogue(tx.catalogue_version() + 1, items))
    except ValueError as error:
        raise BadDown("bad_catalogue", str(error)) from error


def check_consents(tx: Tx, body: bytes, at_s: int) -> None:
    """Kept as a record. Raises BadDown if it holds no changes of consent."""
    decode_consents(body)


def check_releases(tx: Tx, body: bytes, at_s: int) -> None:
    """Kept as a record. Raises BadDown if it holds no releases."""
    decode_releases(body)


APPLIERS: Mapping[str, Applier] = MappingProxyType(
    {"catalogue": apply_catalogue, "consent": check_consents, "release": check_releases}
)
