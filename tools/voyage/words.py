"""Codes of doors and charges in plain words, as a purser would say them."""

from __future__ import annotations

PLAIN_WORDS = {
    "granted": "opened",
    "posted": "charged",
    "wrong_cabin": "another guest's cabin",
    "zone_not_allowed": "not for this guest",
    "frozen": "lost band, frozen",
    "superseded": "replaced by a newer band",
    "expired": "stay is over",
    "not_yet_valid": "stay has not begun",
    "auth_failed": "not one of our bands",
    "auth_delayed": "too many wrong keys, wait",
    "card_removed": "taken away too soon",
    "not_our_card": "not a Steward band",
    "bad_signature": "forged token",
    "child_limit": "child's limit reached",
    "day_limit": "day's limit reached",
    "stay_limit": "stay's limit reached",
    "age_restricted": "not for children",
    "duplicate_tap": "tapped twice, asked again",
    "verification_required": "PIN or photo needed",
    "pin_wrong": "wrong PIN",
    "pin_locked": "PIN locked",
    "photo_mismatch": "photo does not match",
    "cancelled": "cancelled at the till",
    "request_expired": "nobody tapped",
    "folio_settled": "folio is settled",
    "no_charge_signature": "band did not sign",
    "counter_replayed": "replayed signature",
}


def words(code: str) -> str:
    """A refusal code in plain words."""
    return PLAIN_WORDS.get(code, code.replace("_", " "))
