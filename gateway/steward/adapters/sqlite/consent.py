"""Consent per guest and purpose, its history and what stood behind it: ConsentTx and BasisTx on SQLite.

The schema keeps the history, and lets go of what stood behind a word with the word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from steward.adapters.sqlite.statements import Statements, select, upsert
from steward.domain.consent import Basis, Consent, ConsentPurpose, Said, Source
from steward.domain.ids import GuestRef

_CONSENT = ("guest", "purpose", "given", "at_s", "source", "version")

PUT_CONSENT = upsert("consent", ("guest", "purpose"), _CONSENT[2:])
CONSENT = select(_CONSENT, "FROM consent WHERE guest = ? AND purpose = ?")
CONSENTS_OF = select(_CONSENT, "FROM consent WHERE guest = ? ORDER BY purpose")
CONSENT_HISTORY = select(_CONSENT, "FROM consent_change WHERE guest = ? ORDER BY seq DESC LIMIT ?")
DROP_CONSENTS = "DELETE FROM consent WHERE guest = ?"
DROP_CONSENT_HISTORY = "DELETE FROM consent_change WHERE guest = ?"
_BASIS = ("guest", "purpose", "version", "notice", "way")
PUT_NOTICE = "INSERT INTO consent_notice (digest, document) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING"
NOTICE = "SELECT document FROM consent_notice WHERE digest = ?"
PUT_BASIS = f"INSERT INTO consent_basis ({', '.join(_BASIS)}) VALUES (?, ?, ?, ?, ?)"  # noqa: S608
BASES_OF = select(_BASIS, "FROM consent_basis WHERE guest = ?")
PUT_OBJECTION = "INSERT INTO browser_objection (guest, at_s) VALUES (?, ?) ON CONFLICT (guest) DO NOTHING"
OBJECTION = "SELECT at_s FROM browser_objection WHERE guest = ?"
PUT_OWN_WORDS = upsert("own_words", ("guest",), ("at_s",))
OWN_WORDS = "SELECT at_s FROM own_words WHERE guest = ?"
DROP_OWN_WORDS = "DELETE FROM own_words WHERE guest = ?"
DROP_OBJECTION = "DELETE FROM browser_objection WHERE guest = ?"


class ConsentTx(Statements):
    def put_consent(self, consent: Consent) -> None:
        what = (consent.given, consent.at_s, consent.source, consent.version)
        self._change(PUT_CONSENT, (consent.guest, consent.purpose, *what))

    def consent(self, ref: GuestRef, purpose: ConsentPurpose) -> Consent | None:
        row = self._one(CONSENT, (ref, purpose))
        return None if row is None else _consent(row)

    def consents_of(self, ref: GuestRef) -> Sequence[Consent]:
        return [_consent(row) for row in self._all(CONSENTS_OF, (ref,))]

    def consent_history(self, ref: GuestRef, limit: int) -> Sequence[Consent]:
        return [_consent(row) for row in self._all(CONSENT_HISTORY, (ref, max(limit, 0)))]

    def drop_consents(self, ref: GuestRef) -> None:
        self._change(DROP_CONSENTS, (ref,))
        self._change(DROP_CONSENT_HISTORY, (ref,))
        self._change(DROP_OBJECTION, (ref,))
        self._change(DROP_OWN_WORDS, (ref,))

    # what stood behind it

    def put_notice(self, digest: str, document: str) -> None:
        self._change(PUT_NOTICE, (digest, document))

    def notice(self, digest: str) -> str | None:
        row = self._one(NOTICE, (digest,))
        return None if row is None else row[0]

    def put_basis(self, basis: Basis) -> None:
        self._change(PUT_BASIS, (basis.guest, basis.purpose, basis.version, basis.notice, basis.way))

    def bases_of(self, ref: GuestRef) -> Mapping[tuple[ConsentPurpose, int], Basis]:
        found = [_basis(row) for row in self._all(BASES_OF, (ref,))]
        return {(basis.purpose, basis.version): basis for basis in found}

    def put_browser_objection(self, ref: GuestRef, at_s: int) -> None:
        self._change(PUT_OBJECTION, (ref, at_s))

    def browser_objection(self, ref: GuestRef) -> int | None:
        row = self._one(OBJECTION, (ref,))
        return None if row is None else row[0]

    def put_own_words(self, ref: GuestRef, at_s: int) -> None:
        self._change(PUT_OWN_WORDS, (ref, at_s))

    def own_words(self, ref: GuestRef) -> int | None:
        row = self._one(OWN_WORDS, (ref,))
        return None if row is None else row[0]


def _consent(row: Sequence[Any]) -> Consent:
    guest, purpose, given, at_s, source, version = row
    return Consent(GuestRef(guest), ConsentPurpose(purpose), bool(given), at_s, Source(source), version)


def _basis(row: Sequence[Any]) -> Basis:
    guest, purpose, version, notice, way = row
    return Basis(GuestRef(guest), ConsentPurpose(purpose), version, notice, Said(way))
