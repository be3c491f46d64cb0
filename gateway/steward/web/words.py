"""Plain words for the stable codes: what happened, and what somebody can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Words:
    said: str
    todo: str = ""


def plain(code: str) -> Words:
    """Words for a code. One that nobody has described yet stands for itself."""
    return _WORDS.get(code) or Words(code.replace("_", " ").capitalize() + ".")


def alert(kind: str) -> Words:
    """Words for a staff alert."""
    return _ALERTS.get(kind) or plain(kind)


_WORDS: Mapping[str, Words] = MappingProxyType(
    {
        # a tap that did what it was for
        "granted": Words("Open."),
        "posted": Words("Charged."),
        "encoded": Words("Band ready."),
        "crew_login": Words("Crew band read."),
        "announced": Words("Guest shown to the crew."),
        "idle": Words("Nothing was asked for.", "Ask for an amount or a band first, then tap."),
        "waiting": Words("Waiting for a band.", "Tap the band on the reader."),
        "held": Words("Waiting for a PIN or a look at the photo."),
        # the card
        "card_removed": Words("Taken away too soon.", "Tap again and hold still for a second."),
        "not_our_card": Words("Not one of our bands.", "Hold only the wristband to the reader."),
        "auth_failed": Words("Our key does not fit this band.", "Blank, foreign or copied: see the desk."),
        "auth_delayed": Words("The band waits after wrong keys.", "Hold it still and tap again."),
        "card_locked": Words("The band has locked itself after too many wrong keys.", "Issue a new band."),
        "token_unreadable": Words("The key on the band cannot be read.", "Issue the band again at the desk."),
        "reader_fault": Words("The reader failed.", "Look at its cable, then at the gateway's log."),
        "store_unavailable": Words("The decision could not be written down.", "Look at the gateway's disk now."),
        # at the desk
        "foreign_card": Words("This band carries keys of another site.", "Use another band."),
        "band_in_use": Words("This band is another guest's.", "Have it returned or frozen first."),
        "encode_failed": Words("The band refused a step.", "Put the same band down again: it goes on where it was."),
        "encode_mismatch": Words("The band does not hold what was written.", "Use another band."),
        # the key
        "bad_signature": Words("The key on the band is not signed by us.", "Forged or blank: tell security."),
        "uid_mismatch": Words("The key belongs to another band.", "Copied: tell security."),
        "wrong_site": Words("A key of another ship.", "Send the guest to the desk."),
        "wrong_cabin": Words("Not this guest's cabin.", "Look at the number on the door."),
        "zone_not_allowed": Words("This area is not on the guest's key.", "The desk can add it with a new band."),
        "frozen": Words("This band was reported lost or stolen.", "Ask for it back and tell the desk."),
        "superseded": Words("A newer band has replaced this one.", "Use the newest band."),
        "not_yet_valid": Words("The stay has not begun."),
        "expired": Words("The stay is over.", "Send the guest to the desk."),
        # the charge
        "no_charge_signature": Words("The band did not sign the charge.", "Tap again, or issue a new band."),
        "bad_charge_signature": Words("The band's signature is wrong.", "Keep the band and tell the purser."),
        "counter_replayed": Words("An old signature was shown again.", "Replayed or cloned: tell the purser."),
        "guest_unknown": Words("No folio here for this guest.", "Send the guest to the desk."),
        "amount_invalid": Words("This amount cannot be charged."),
        "currency_mismatch": Words("The folio is in another currency.", "Charge in the folio's currency."),
        "allowances_out": Words(
            "Another gateway may still have charges of this guest and did not answer.",
            "Bring it back, or settle without it and look for late charges.",
        ),
        "authority_only": Words("Not at this gateway.", "Do it at the ship's folio authority."),
        "folio_settled": Words("The folio is settled.", "No more charges: send the guest to the desk."),
        "age_restricted": Words("Not for children.", "Offer something else."),
        "duplicate_tap": Words("Same amount, same till, just now.", "Ask whether a second round is meant."),
        "child_limit": Words("The child's limit is reached.", "A parent can raise it at the desk."),
        "day_limit": Words("The guest's limit for today is reached.", "It can be raised at the desk."),
        "stay_limit": Words("The guest's limit for the stay is reached.", "It can be raised at the desk."),
        "allowance_exceeded": Words(
            "This till may spend no more for this guest until it has heard from the folio.",
            "Try a smaller amount, or again in a moment; if it stays so, look at the ship's network.",
        ),
        "verification_required": Words("Above the limit without a check.", "Ask for the PIN, or compare the photo."),
        "pin_wrong": Words("Wrong PIN.", "Try again, or compare the photo."),
        "pin_locked": Words("Too many wrong PINs.", "Compare the photo, or set a new PIN at the desk."),
        "photo_mismatch": Words("Guest and photo differ.", "Keep the band and tell the desk."),
        "hold_expired": Words("Nobody checked PIN or photo in time.", "Ask for the charge again."),
        "cancelled": Words("Cancelled at the till."),
        "request_expired": Words("No band was tapped in time.", "Ask for the charge again."),
        # after the charge
        "voided": Words("Voided: it is off the folio."),
        "refunded": Words("Refunded in full."),
        "partly_refunded": Words("Refunded in part.", "Refund the rest; it can no longer be voided."),
        "disputed": Words("Disputed: marked until it is resolved."),
        "dispute_upheld": Words("The dispute was right: paid back."),
        "dispute_rejected": Words("The dispute was rejected: the charge stands."),
        "not_posted": Words("Only a charge on the folio can be corrected."),
        "void_too_late": Words("Made on another day.", "Refund it."),
        "dispute_open": Words("It is disputed.", "Resolve the dispute first."),
        "refund_exceeds": Words("More than is left of the charge."),
        "not_disputed": Words("Nobody disputes it."),
        "own_folio": Words("This is your own folio.", "A colleague must do it."),
        # the gateway itself
        "store_slow": Words("The disk takes too long to write.", "Look at what else writes to it."),
        "disk_low": Words("The disk is nearly full.", "Free some space before charges are refused."),
        "clock_lost": Words("The clock cannot be believed.", "Set it, then steward confirm-clock."),
        "task_failing": Words("A part of the gateway fails.", "Look for task.failed in its log."),
        # the second person
        "own_approval": Words("Whoever asked cannot approve it.", "Another purser must."),
        "approval_decided": Words("It is decided already."),
        "approval_expired": Words("Nobody decided it in time.", "Ask again."),
        "approval_outdated": Words("The charge has changed since it was asked.", "Refuse it and ask again."),
    }
)

_ALERTS: Mapping[str, Words] = MappingProxyType(
    {
        "forged_token": Words("A forged key was shown.", "Look at the events: which reader, which band."),
        "copied_token": Words("A copied key was shown.", "Look at the events: which reader, which band."),
        "frozen_band_used": Words("A frozen band was tried.", "Somebody has it: ask for it back."),
        "clock_lost": Words("The clock cannot be believed.", "Doors ignore dates: set it, then steward confirm-clock."),
        "store_unavailable": Words("The disk refuses to write.", "Doors stay shut to be safe: look at the disk now."),
        "bad_charge_signature": Words("A wrong charge signature was shown.", "Keep the band and tell the purser."),
        "counter_replayed": Words("An old charge signature was shown again.", "Replayed or cloned: tell the purser."),
        "photo_mismatch": Words("A guest and the photo differed.", "Somebody may pay with a found band."),
        "foreign_till": Words("A gateway sent a charge of a till that is not its own.", "Look at that gateway."),
        "allowance_exceeded": Words("A till gateway spent more than it was granted.", "Disputed: look at it."),
        "allowance_malformed": Words("A gateway reported what cannot be.", "Look at that gateway."),
        "allowance_went_down": Words("A gateway took back what it had reported.", "Look at that gateway."),
        "allowance_overdrawn": Words("A gateway reported more than it was granted.", "Look at that gateway."),
        "guest_unknown": Words("A charge came in for a guest nobody knows here.", "Disputed: find whose it is."),
        "no_charge_signature": Words("A charge came in that no band signed.", "Disputed: look at it."),
        "tap_booked_twice": Words("Two gateways charged the same tap.", "Booked once: look at both."),
        "currency_mismatch": Words("A charge came in in another currency than the folio.", "Set aside: look at it."),
        "late_charge": Words("A charge came in after its folio was settled.", "Listed for the purser."),
        "lan_forged": Words("A message on the ship's network was not signed by us.", "Find what sent it."),
        "lan_foreign": Words("A message came in another gateway's name.", "Find what sent it."),
        "lan_garbage": Words("A message on the ship's network could not be read.", "Find what sent it."),
        "lan_flood": Words("A gateway sends far too much.", "Look at that gateway."),
        "peer_diverged": Words("A gateway tells the same event in two ways.", "Restored wrongly, or tampered with."),
        "peer_unreadable": Words("A gateway sent an event that cannot be.", "Set aside: look at that gateway."),
        "serial_taken": Words("Two encoders gave the same number to two bands of a guest.", "Replace one of them."),
        "band_refrozen": Words("A band was issued while it was frozen elsewhere.", "It stays frozen: use another."),
    }
)
