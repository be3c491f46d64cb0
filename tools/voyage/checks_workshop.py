"""Check of what a workshop's station made before the voyage."""

from __future__ import annotations

from voyage.observed import Observed
from voyage.verdict import Verdict

MADE = 8


def bands_from_workshop(seen: Observed) -> Verdict:
    """Keyed all at once, imported from the signed report, and worn."""
    made = seen.workshop
    if made is None:
        return Verdict(["no station was at work"], "")
    issued = {str(event.payload.get("uid")) for event in seen.events if event.type == "BAND_ISSUED"}
    faults = [f"{uid} was given to nobody" for uid in made.uids if uid not in issued]
    faults += [f"{made.done} of {MADE} were made"] if made.done != MADE else []
    faults += [f"{made.stocked} came into the stock, {made.left_out} were left"] if made.stocked != made.done else []
    faults += [f"{made.taken} were taken out of the stock"] if made.taken != made.stocked else []
    return Verdict(faults, f"{made.done} keyed at once in {made.seconds:.1f} s, in stock by a signed report, and worn")
