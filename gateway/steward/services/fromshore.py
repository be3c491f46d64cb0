"""What a gateway does with shore's decisions, kind by kind; for DownlinkService, inside its transaction."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from steward.domain.bandstages import decode_orders
from steward.domain.batches import BadDown
from steward.domain.catalogue import Catalogue
from steward.domain.downs import decode_erasures
from steward.domain.shorebodies import decode_catalogue, decode_consents, decode_releases
from steward.domain.topics import CONSENT_KINDS, consent_kind
from steward.ports import Tx
from steward.services.consents import record_shore
from steward.services.downlink import Applier
from steward.services.erasure import confirm_ashore
from steward.services.replica import position


def apply_catalogue(tx: Tx, body: bytes, at_s: int) -> None:
    """Sell from this catalogue. Raises BadDown if it cannot be one."""
    items = decode_catalogue(body)
    try:
        tx.put_catalogue(Catalogue(tx.catalogue_version() + 1, items))
    except ValueError as error:
        raise BadDown("bad_catalogue", str(error)) from error


def apply_consents(kind: str, tx: Tx, body: bytes, at_s: int) -> None:
    """Obey what is new on the list. A gateway that follows an authority hears of it from there, in one order for all.

    A guest who is not known here may be yet: the word is kept. Raises BadDown if it holds no changes of consent.
    """
    changes = decode_consents(body)
    if any(consent_kind(change.guest) != kind for change in changes):
        raise BadDown("bad_body", f"a guest who does not belong into {kind}")
    if position(tx).revision:
        return
    before = tx.down(kind)
    known = set() if before is None else set(decode_consents(before.body))
    record_shore(tx, [change for change in changes if change not in known], at_s)


def apply_erasures(tx: Tx, body: bytes, at_s: int) -> None:
    """Note whom shore has forgotten, for the certificates. Raises BadDown if it holds no such list."""
    confirm_ashore(tx, decode_erasures(body), at_s)


def check_releases(tx: Tx, body: bytes, at_s: int) -> None:
    """Kept; services/modelwatch.py looks for their files. Raises BadDown if it holds no releases."""
    decode_releases(body)


def check_band_release(tx: Tx, body: bytes, at_s: int) -> None:
    """Kept; services/bandreleases.py looks for its file. Raises BadDown if it orders no release."""
    decode_orders(body)


APPLIERS: Mapping[str, Applier] = MappingProxyType(
    {
        "catalogue": apply_catalogue,
        "release": check_releases,
        "band-release": check_band_release,
        "erasures": apply_erasures,
    }
    | {kind: partial(apply_consents, kind) for kind in CONSENT_KINDS}
)
