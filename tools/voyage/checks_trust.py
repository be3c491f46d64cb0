"""Checks of what guests are promised: they see who looked, take proof of it home, and are forgotten when they ask."""

from __future__ import annotations

from voyage.observed import Observed
from voyage.trust import PAGES
from voyage.verdict import Verdict

CONFIRMED = "confirmed"
DRILL_FILES = ("incident.json", "guests.jsonl", "notice.en.txt", "notice.nb.txt", "letters")
TAKEN = ("receipt", "lookup", "certificate")


def nothing_undeclared(seen: Observed) -> Verdict:
    """Every column of the store and every key of the day's events is named by the register of use cases."""
    trust = seen.trust
    if trust is None or not seen.events:
        return Verdict(["nothing was compared with the register"], "")
    keys = {(event.type, key) for event in seen.events for key in event.payload}
    return Verdict(list(trust.undeclared), f"fields without a use case: 0, of {len(keys)} kinds in this day's events")


def own_pages(seen: Observed) -> Verdict:
    """A guest comes to their pages by the band's link, which is good for one time."""
    trust = seen.trust
    if trust is None:
        return Verdict(["no phone came"], "")
    opened, again = trust.links
    faults = [] if opened else ["the band's link opened nothing"]
    faults += ["the band's link opened the pages twice"] if again else []
    faults += [f"{page} was not shown" for page in PAGES if page not in trust.pages]
    return Verdict(faults, f"{len(trust.pages)} pages of a guest's own; the link used again was refused")


def proofs_hold(seen: Observed) -> Verdict:
    """What the ship signed for a guest verifies off line, and no longer with one digit changed."""
    trust = seen.trust
    if trust is None:
        return Verdict(["nothing was taken home"], "")
    faults = [f"{kind} was not taken home" for kind in TAKEN if not trust.verified.get(kind)]
    faults += [f"a bent {kind} passed" for kind in TAKEN if not trust.bent.get(kind)]
    faults += [] if trust.log else ["the look-up log was not checked"]
    return Verdict(faults, f"{', '.join(TAKEN)} verified, each refused once bent; {trust.log.partition(chr(10))[0]}")


def forgotten(seen: Observed) -> Verdict:
    """Nothing of who was erased is in the store, an older backup restored, the shore or the logs."""
    trust = seen.trust
    if trust is None or not trust.erased or not trust.searched:
        return Verdict(["nobody was erased, or nothing searched"], "")
    faults = [f"{one.person}: {place}" for one in trust.erased for place in one.found]
    faults += [f"{one.person}: the certificate does not verify" for one in trust.erased if not one.verified]
    faults += [f"{one.person}: shore is {one.ashore}" for one in trust.erased if one.ashore != CONFIRMED]
    faults += [] if any(one.whole for one in trust.erased) else ["nobody was erased altogether"]
    return Verdict(
        faults,
        f"{len(trust.erased)} guests erased, shore confirmed; recoverable from store, backup, shore: no "
        f"({trust.searched / 1e6:.1f} MB searched)",
    )


def breach_drill(seen: Observed) -> Verdict:
    """Off line, from a restored copy: whose data and which keys were on a lost gateway, and the letters."""
    trust = seen.trust
    if trust is None:
        return Verdict(["there was no drill"], "")
    faults = [f"{name} is missing" for name in DRILL_FILES if name not in trust.drill]
    return Verdict(faults, f"{', '.join(trust.drill)} in {trust.drill_s:.1f} s")
