"""Checks of a day on which every guest asked not to be tracked: nobody is served worse, and nothing is kept."""

from __future__ import annotations

from voyage.observed import Observed
from voyage.verdict import Verdict

_CARE = ("note", "recovery", "put right", "search", "emergency", "consent")


def guests_recognised(seen: Observed) -> Verdict:
    """A tap tells crew who it is and of what they must take care; no photo, no note and no suggestion with it."""
    faults = [f"{s.person}: the card has another name" for s in seen.served if not s.named]
    faults += [f"{s.person}: the bar was shown the full name" for s in seen.served if not s.discreet]
    faults += [f"{s.person}: the photo was shown" for s in seen.served if s.photo_bytes]
    faults += [f"{s.person}: {s.title!r} was suggested" for s in seen.served if s.title]
    faults += [f"{care.kind}: not so, {care.detail}" for care in seen.care if not care.ok]
    kinds = {care.kind for care in seen.care}
    faults += [f"there was no {kind}" for kind in _CARE if kind not in kinds]
    faults += [] if seen.served else ["nobody was served"]
    return Verdict(faults, f"{len(seen.served)} cards at the handheld; no photo, no note, no suggestion on any")


def nothing_optional(seen: Observed) -> Verdict:
    """Of nobody who asked is anything kept that keys, payment, identity and muster do not need."""
    untracked = seen.untracked
    if untracked is None or not untracked.guests or not seen.events:
        return Verdict(["nobody asked, or nothing was searched"], "")
    faults = [f"{person} could not ask" for person in untracked.missing]
    faults += sorted(set(untracked.kept))
    hidden = [e for e in seen.events if e.type == "DOOR_OPENED" and e.payload.get("guest") is None]
    faults += [] if hidden else ["no door opened without saying for whom"]
    return Verdict(faults, f"{untracked.guests} guests asked; {len(hidden)} doors opened, and no log says for whom")
