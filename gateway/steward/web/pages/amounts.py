"""Amounts as people type them: "12.50", "12,50" or "12", in the currency of the folio."""

from __future__ import annotations

import re

from steward.domain.ledger import is_amount
from steward.web.pages.language import minor_digits

_AMOUNT = re.compile(r"([0-9]{1,9})(?:[.,]([0-9]{1,2}))?")


def read_amount(text: str, currency: str) -> int | None:
    """Minor units; None if this is no amount of that currency, or none that can be booked."""
    found = _AMOUNT.fullmatch("".join(text.split()))
    digits = minor_digits(currency)
    if found is None or (found[2] is not None and len(found[2]) > digits):
        return None
    minor = int(found[1]) * 10**digits + (int(found[2].ljust(digits, "0")) if found[2] else 0)
    return minor if is_amount(minor) else None


def write_amount(amount_minor: int, currency: str) -> str:
    """For a field that is to be changed: 12.50, without the currency."""
    digits = minor_digits(currency)
    return f"{amount_minor / 10**digits:.{digits}f}" if digits else str(amount_minor)
