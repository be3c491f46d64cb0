"""Guests who say yes, for tests of what only a yes allows."""

from __future__ import annotations

from steward.domain.consent import Consent, ConsentPurpose, Source, is_later
from steward.domain.ids import GuestRef
from steward.ports import Tx

AGREED_S = 1_700_000_000


def word(ref: GuestRef, purpose: ConsentPurpose, given: bool = True, at_s: int = AGREED_S, version: int = 1) -> Consent:
    return Consent(ref, purpose, given, at_s, Source.ABOARD, version)


def agree(tx: Tx, ref: GuestRef, *purposes: ConsentPurpose) -> None:
    """A yes to these purposes, to all of them if none is named, where nothing was said before."""
    for purpose in purposes or ConsentPurpose:
        if is_later(said := word(ref, purpose), tx.consent(ref, purpose)):
            tx.put_consent(said)
