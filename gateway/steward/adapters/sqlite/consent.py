"""Consent per guest and purpose, and its history: ports.service.ConsentTx on SQLite. The schema keeps the history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steward.adapters.sqlite.statements import Statements, select, upsert
from steward.domain.consent import Consent, ConsentPurpose, Source
from steward.domain.ids import GuestRef

_CONSENT = ("guest", "purpose", "given", "at_s", "source", "version")

PUT_CONSENT = upsert("consent", ("guest", "purpose"), _CONSENT[2:])
CONSENT = select(_CONSENT, "FROM consent WHERE guest = ? AND purpose = ?")
CONSENTS_OF = select(_CONSENT, "FROM consent WHERE guest = ? ORDER BY purpose")
CONSENT_HISTORY = select(_CONSENT, "FROM consent_change WHERE guest = ? ORDER BY seq DESC LIMIT ?")
DROP_CONSENTS = "DELETE FROM consent WHERE guest = ?"
DROP_CONSENT_HISTORY = "DELETE FROM consent_change WHERE guest = ?"


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


def _consent(row: Sequence[Any]) -> Consent:
    guest, purpose, given, at_s, source, version = row
    return Consent(GuestRef(guest), ConsentPurpose(purpose), bool(given), at_s, Source(source), version)
