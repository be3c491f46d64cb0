"""Consent per guest and purpose, its history and what stood behind it: ConsentTx and BasisTx in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from steward.adapters.memory_tables import Tables
from steward.domain.consent import Basis, Consent, ConsentPurpose
from steward.domain.ids import GuestRef
from steward.domain.replica import Kind
from steward.errors import Conflict


class ConsentState:
    """What this part of the store keeps. history: by guest, oldest first."""

    def __init__(self) -> None:
        self.consents: dict[tuple[GuestRef, ConsentPurpose], Consent] = {}
        self.history: dict[GuestRef, tuple[Consent, ...]] = {}
        self.notices: dict[str, str] = {}
        self.bases: dict[GuestRef, dict[tuple[ConsentPurpose, int], Basis]] = {}
        self.objections: dict[GuestRef, int] = {}
        self.own_words: dict[GuestRef, int] = {}


class MemoryConsentTx(Tables):
    if TYPE_CHECKING:

        def _told(self, kind: Kind, name: str) -> None:
            """Of MemoryShipTx."""
            ...

        def drop_presence(self, ref: GuestRef) -> None:
            """Of MemoryPresenceTx."""
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
        if consent.purpose is ConsentPurpose.PRESENCE and not consent.given:
            self.drop_presence(consent.guest)

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
        self._drop(state.bases, ref)
        self._drop(state.objections, ref)
        self._drop(state.own_words, ref)
        self.drop_presence(ref)

    # what stood behind it

    def put_notice(self, digest: str, document: str) -> None:
        if len(digest) != 64 or not document:
            raise Conflict("consent: a notice has words, and the SHA-256 of them")
        notices = self._part(ConsentState).notices
        if digest not in notices:
            self._put(notices, digest, document)

    def notice(self, digest: str) -> str | None:
        return self._part(ConsentState).notices.get(digest)

    def put_basis(self, basis: Basis) -> None:
        state, key = self._part(ConsentState), (basis.purpose, basis.version)
        known = state.bases.get(basis.guest, {})
        if not basis.guest or basis.notice not in state.notices or key in known:
            raise Conflict("consent: what stood behind it stays as it was, and names a notice that is kept")
        self._put(state.bases, basis.guest, {**known, key: basis})

    def bases_of(self, ref: GuestRef) -> Mapping[tuple[ConsentPurpose, int], Basis]:
        return dict(self._part(ConsentState).bases.get(ref, {}))

    def put_browser_objection(self, ref: GuestRef, at_s: int) -> None:
        state = self._part(ConsentState)
        if ref not in state.objections:
            self._put(state.objections, ref, at_s)

    def browser_objection(self, ref: GuestRef) -> int | None:
        return self._part(ConsentState).objections.get(ref)

    def put_own_words(self, ref: GuestRef, at_s: int) -> None:
        self._put(self._part(ConsentState).own_words, ref, at_s)

    def own_words(self, ref: GuestRef) -> int | None:
        return self._part(ConsentState).own_words.get(ref)
