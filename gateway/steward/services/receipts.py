"""Receipts of consent, for the guest to keep: made from what is written down, and signed when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from steward.domain.consent import Consent
from steward.domain.ids import GuestRef
from steward.domain.receipt import KIND, Issuer, receipt_body, receipt_id
from steward.domain.signedrecord import canonical, envelope
from steward.errors import NotFound
from steward.ports import KeyRing, Store, Tx
from steward.services.lookups import guest_in

RECEIPTS_MAX = 500  # the newest words of one guest; more than that is somebody playing with the button


class Receipts:
    """keys: of a gateway that signs. The same word has the same receipt for as long as the ship's keys are the same."""

    def __init__(self, store: Store, keys: KeyRing, issuer: Issuer) -> None:
        self._store = store
        self._keys = keys
        self._issuer = issuer

    async def of(self, ref: GuestRef) -> list[dict[str, Any]]:
        """Of every word of this guest, newest first, at most RECEIPTS_MAX. Raises NotFound, KeyNotHeld."""
        bodies = await self._store.read(lambda tx: list(bodies_in(tx, ref, self._issuer)))
        return [self._signed(body) for body in bodies]

    def made_in(self, tx: Tx, ref: GuestRef) -> list[dict[str, Any]]:
        """The same, of the caller's transaction."""
        return [self._signed(body) for body in bodies_in(tx, ref, self._issuer)]

    async def one(self, ref: GuestRef, id_: str) -> dict[str, Any]:
        """Of one word of this very guest. Raises NotFound for anybody else's, KeyNotHeld."""

        def work(tx: Tx) -> dict[str, Any]:
            for body in bodies_in(tx, ref, self._issuer):
                if body["dct:identifier"] == id_:
                    return body
            raise NotFound("receipt", id_)

        return self._signed(await self._store.read(work))

    def id_of(self, consent: Consent) -> str:
        return str(receipt_id(self._issuer.site, consent))

    def _signed(self, body: dict[str, Any]) -> dict[str, Any]:
        version, signature = self._keys.sign_record(KIND, canonical(body))
        return envelope(KIND, body, version, self._keys.verify_keys()[version], signature)


def bodies_in(tx: Tx, ref: GuestRef, issuer: Issuer) -> Iterator[dict[str, Any]]:
    """Newest first. Raises NotFound."""
    guest_in(tx, ref)
    bases = tx.bases_of(ref)
    for consent in tx.consent_history(ref, RECEIPTS_MAX):
        basis = bases.get((consent.purpose, consent.version))
        yield receipt_body(issuer, consent, basis, None if basis is None else tx.notice(basis.notice))
