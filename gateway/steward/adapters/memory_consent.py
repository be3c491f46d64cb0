"""Consent per guest and purpose, and its history: ports.service.ConsentTx in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from steward.adapters.memory_tables import Tables
from steward.domain.consent import Consent, ConsentPurpose
from steward.domain.ids import GuestRef
from steward.domain.replica import Kind
from steward.errors import Conflict


class ConsentState:
    """What this part of the store keeps. history: by guest, oldest first."""

    def __init__(self) -> None:
        self.consents: dict[tuple[GuestRef, ConsentPurpose], Consent] = {}
        self.history: dict[GuestRef, tuple[Consent, ...]] = {}


class MemoryConsentTx(Tables):
    if TYPE_CHECKING:

        def _told(self, kind: Kind, name: str) -> None:
            """Of MemoryShipTx."""
            ...

    def put_consent(self, consent: Consent) -> None:
        state = self._part(ConsentState)
        if not consent.guest or consent.version < 1:
            raise Conflict("consent: a guest and a version from 1")
        key = (consent.guest, consent.purpose)
        known = state.consents.get(key)
        if known is not None and (consent.at_s, not consent.given) < (known.at_s, not known.given):
            raise Conflict("consent: a later word is known")
        self._put(state.consents, key, consent)
        self._put(state.history, consent.guest, (*state.history.get(consent.guest, ()), consent))
        self._told(Kind.CONSENT, f"{consent.guest}/{consent.purpose}")

    def consent(self, ref: GuestRef, purpose: ConsentPurpose) -> Consent | None:
        return self._part(ConsentState).consents.get((ref, purpose))

    def consents_of(self, ref: GuestRef) -> Sequence[Consent]:
        consents = self._part(ConsentState).consents
        return [consents[ref, purpose] for purpose in sorted(ConsentPurpose) if (ref, purpose) in consents]

    def consent_history(self, ref: GuestRef, limit: int) -> Sequence[Consent]:
        return self._part(ConsentState).history.get(ref, ())[::-1][: max(limit, 0)]

    def drop_consents(self, ref: GuestRef) -> None:
        state = self._part(ConsentState)
        for purpose in ConsentPurpose:
            self._drop(state.consents, (ref, purpose))
        self._drop(state.history, ref)
